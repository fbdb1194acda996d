import type { ComponentChildren, JSX } from "preact";

import type { Spoken } from "./announce.ts";
import { People } from "./Faces.tsx";
import { LiveRegions } from "./LiveRegions.tsx";
import { StateSign } from "./StateSign.tsx";
import type { PresenceTraits } from "./traits.ts";
import { isHeldByCell, savedInWords, stateInWords, type ShownState } from "./wording.ts";

export interface BadgeViewProps {
  /** Begins the ids of what the buttons open: `…-details` and `…-panel`. */
  readonly id: string;
  readonly badge: PresenceTraits;
  readonly state: ShownState;
  /** How long ago the last save was, in words. */
  readonly ago: string;
  /** How far away the next save is, in words; "" when nothing keeps it. */
  readonly soon: string;
  /** What the user should know and has not dismissed, one line; "" for nothing. */
  readonly notice: string;
  /** Called when the notice has been read. */
  readonly onDismiss: () => void;
  readonly spoken: Spoken;
  readonly isOpen: boolean;
  /** Called when the details are to be opened or closed. */
  readonly onToggle: () => void;
  readonly isPanelOpen: boolean;
  /** Called when the panel is to be opened or closed. */
  readonly onPanel: () => void;
  /** Called when the session is to go on with edited code. */
  readonly onFollow: () => void;
  readonly details: ComponentChildren;
}

/** The badge as a function of its values: no state, no effects, no clock. */
export function BadgeView(props: BadgeViewProps): JSX.Element {
  const { id, badge, state, ago, soon, notice, onDismiss, spoken, isOpen, onToggle, isPanelOpen, onPanel } = props;
  const { onFollow, details } = props;
  const { name, app_id, people, waiting_ms, saved_state, saved_number } = badge;
  const isHeld = isHeldByCell(state, waiting_ms);
  return (
    <div
      class="msq-presence msq-badge"
      role="group"
      aria-label={`Session ${name}`}
      data-testid="msq-badge"
      data-state={state}
      data-people={people.length}
      data-version={saved_number}
      // Without it JupyterLab's command mode takes the keys: D twice, and the cell is gone.
      data-lm-suppress-shortcuts="true"
    >
      <div class="msq-badge-line">
        <span class="msq-badge-session">
          <StateSign state={isHeld ? "catching up" : state} />
          <span class="msq-badge-name" title={app_id === "" ? name : `${name}\n${app_id}`}>
            {name}
          </span>
          <span
            class="msq-badge-state"
            data-testid="msq-state"
            title={isHeld ? `${(waiting_ms / 1000).toFixed(1)} s behind` : undefined}
          >
            {stateInWords(state, waiting_ms)}
          </span>
        </span>
        {people.length === 0 ? (
          <span class="msq-badge-people" data-testid="msq-people" />
        ) : (
          <People people={people} class="msq-badge-people" testId="msq-people" />
        )}
        <Saved badge={badge} ago={ago} soon={soon} />
        <span class="msq-badge-toggles">
          <Toggle
            testId="msq-open-panel"
            opens={`${id}-panel`}
            isOpen={isPanelOpen}
            label={`Data and versions of ${name}`}
            title="Data and versions"
            size={16}
            path="M2.5 8 A5.5 5.5 0 1 0 4.2 4 M2.5 2.5 V5.5 H5.5 M8 5 V8.25 L10.25 9.5"
            onToggle={onPanel}
          />
          <Toggle
            testId="msq-toggle"
            opens={`${id}-details`}
            isOpen={isOpen}
            label={`People, invitation and code of ${name}`}
            title="People, invitation, latency"
            size={12}
            path={isOpen ? "M2.5 7.5 L6 4 L9.5 7.5" : "M2.5 4.5 L6 8 L9.5 4.5"}
            onToggle={onToggle}
          />
        </span>
      </div>
      <Edit badge={badge} onFollow={onFollow} />
      {saved_state === "failed" && badge.saved_error !== "" && (
        <Message testId="msq-saved-error" isError>
          {badge.saved_error}
        </Message>
      )}
      {notice !== "" && (
        <div class="msq-badge-notice">
          <Message testId="msq-notice">{notice}</Message>
          <button type="button" class="msq-badge-toggle" aria-label="Dismiss" title="Dismiss" data-testid="msq-dismiss" onClick={onDismiss}>
            <svg viewBox="0 0 12 12" aria-hidden="true">
              <path d="M3 3 L9 9 M9 3 L3 9" />
            </svg>
          </button>
        </div>
      )}
      {isOpen && details}
      <LiveRegions spoken={spoken} />
    </div>
  );
}

interface ToggleProps {
  readonly testId: string;
  /** The id of what it opens. */
  readonly opens: string;
  readonly isOpen: boolean;
  readonly label: string;
  readonly title: string;
  /** Of the square that the path is drawn in. */
  readonly size: number;
  readonly path: string;
  readonly onToggle: () => void;
}

/** A small button with a picture, which opens something and closes it again. */
function Toggle({ testId, opens, isOpen, label, title, size, path, onToggle }: ToggleProps): JSX.Element {
  return (
    <button
      type="button"
      class="msq-badge-toggle"
      data-testid={testId}
      aria-expanded={isOpen}
      aria-controls={isOpen ? opens : undefined}
      aria-label={label}
      title={title}
      onClick={onToggle}
    >
      <svg viewBox={`0 0 ${size} ${size}`} aria-hidden="true">
        <path d={path} />
      </svg>
    </button>
  );
}

function Saved({ badge, ago, soon }: Pick<BadgeViewProps, "badge" | "ago" | "soon">): JSX.Element {
  const { what, author, version } = savedInWords(badge, ago, soon);
  const date = badge.saved_at_s > 0 ? new Date(badge.saved_at_s * 1000).toLocaleString() : "";
  return (
    <span
      class={`msq-badge-saved msq-badge-saved-${badge.saved_state}`}
      data-testid="msq-saved"
      title={date === "" ? undefined : `v${badge.saved_number}, ${date}${author}`}
    >
      {what}
      {author !== "" && <span class="msq-badge-author">{author}</span>}
      {version}
    </span>
  );
}

function Edit({ badge, onFollow }: { readonly badge: PresenceTraits; readonly onFollow: () => void }): JSX.Element | null {
  const { edit_state, edit_title } = badge;
  if (edit_state === "") {
    return null;
  }
  return (
    <div class="msq-badge-edit" data-testid="msq-edit" data-edit={edit_state}>
      <Message testId="msq-edit-title" isError={edit_state === "refused"}>
        {edit_title}
      </Message>
      {edit_state === "ready" && (
        <button type="button" data-testid="msq-follow" onClick={onFollow}>
          Use the new code
        </button>
      )}
    </div>
  );
}

interface MessageProps {
  readonly testId: string;
  readonly isError?: boolean;
  readonly children: string;
}

function Message({ testId, isError = false, children }: MessageProps): JSX.Element {
  return (
    <div class={`msq-badge-message${isError ? " msq-badge-message-error" : ""}`} data-testid={testId} title={children}>
      {children}
    </div>
  );
}
