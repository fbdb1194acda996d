import type { ComponentChildren, JSX } from "preact";

import type { Spoken } from "./announce.ts";
import { colourNumber, countInWords, initials, namesInWords } from "./people.ts";
import type { BadgeTraits, Person } from "./traits.ts";
import { isHeldByCell, savedInWords, stateInWords, type ShownState } from "./wording.ts";

const FACES_SHOWN = 5;

export interface BadgeViewProps {
  readonly badge: BadgeTraits;
  readonly state: ShownState;
  /** How long ago the last save was, in words. */
  readonly ago: string;
  /** How far away the next save is, in words; "" when nothing keeps it. */
  readonly soon: string;
  readonly spoken: Spoken;
}

/** The badge as a function of its values: no state, no effects, no clock. */
export function BadgeView({ badge, state, ago, soon, spoken }: BadgeViewProps): JSX.Element {
  const { name, app_id, people, waiting_ms, saved_state, saved_number } = badge;
  const isHeld = isHeldByCell(state, waiting_ms);
  return (
    <div
      class="msq-badge"
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
        <People people={people} />
        <Saved badge={badge} ago={ago} soon={soon} />
      </div>
      {saved_state === "failed" && badge.saved_error !== "" && (
        <Message testId="msq-saved-error" isError>
          {badge.saved_error}
        </Message>
      )}
      {badge.notice !== "" && <Message testId="msq-notice">{badge.notice}</Message>}
      <span class="msq-badge-spoken" role="status" aria-live="polite">
        {spoken.polite}
      </span>
      <span class="msq-badge-spoken" role="alert" aria-live="assertive">
        {spoken.urgent}
      </span>
    </div>
  );
}

/** Each state has a shape of its own, so the colour only repeats what shape and word say. */
function StateSign({ state }: { readonly state: ShownState }): JSX.Element {
  return (
    <svg class={`msq-badge-sign msq-badge-sign-${state.replace(" ", "-")}`} viewBox="0 0 12 12" aria-hidden="true">
      {SHAPES[state]}
    </svg>
  );
}

const RING = <circle class="msq-badge-track" cx="6" cy="6" r="4.25" />;
const ARC = <path d="M6 1.75 A4.25 4.25 0 0 1 10.25 6" />;
const CROSS = <path d="M2.5 2.5 L9.5 9.5 M9.5 2.5 L2.5 9.5" />;

const SHAPES: Record<ShownState, ComponentChildren> = {
  joining: [RING, ARC],
  "catching up": [RING, ARC],
  live: <circle class="msq-badge-solid" cx="6" cy="6" r="4.25" />,
  away: <circle class="msq-badge-dashes" cx="6" cy="6" r="4.25" />,
  closed: <circle cx="6" cy="6" r="4.25" />,
  failed: CROSS,
  "kernel gone": CROSS,
};

function People({ people }: { readonly people: readonly Person[] }): JSX.Element {
  if (people.length === 0) {
    return <span class="msq-badge-people" data-testid="msq-people" />;
  }
  const names = namesInWords(people);
  const faces = people.slice(0, FACES_SHOWN);
  return (
    <span
      class="msq-badge-people"
      data-testid="msq-people"
      role="group"
      aria-label={`${countInWords(people.length)}: ${names}`}
      title={names}
    >
      <span class="msq-badge-faces" aria-hidden="true">
        {faces.map(({ view_id, label, is_me }) => (
          <span
            key={view_id}
            class={`msq-badge-face msq-badge-face-${colourNumber(view_id)}${is_me ? " msq-badge-face-me" : ""}`}
            data-initials={initials(label)}
          />
        ))}
      </span>
      {countInWords(people.length)}
    </span>
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
