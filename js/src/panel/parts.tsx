// The small parts that the tabs share: buttons, messages, states, lists of changes.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

import { counted } from "./format.ts";
import type { AskError } from "../asker.ts";
import type { ChangeRow } from "../messages.ts";
import { PAGE_ROWS } from "./rowStore.ts";

export interface ButtonProps {
  readonly children: ComponentChildren;
  readonly onClick: () => void;
  readonly isMain?: boolean;
  readonly isDisabled?: boolean;
  readonly isPressed?: boolean;
  readonly testId?: string;
  readonly title?: string;
  readonly hasFocus?: boolean;
}

export function Button(props: ButtonProps): JSX.Element {
  const { children, onClick, isMain = false, isDisabled = false, isPressed, testId, title, hasFocus = false } = props;
  const ref = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (hasFocus) {
      ref.current?.focus();
    }
  }, [hasFocus]);
  return (
    <button
      ref={ref}
      type="button"
      class={`msq-panel-button${isMain ? " msq-panel-button-main" : ""}`}
      disabled={isDisabled}
      aria-pressed={isPressed}
      data-testid={testId}
      title={title}
      onClick={onClick}
    >
      {children}
    </button>
  );
}

export type Tone = "plain" | "good" | "warn" | "bad";

export interface NoteProps {
  readonly tone?: Tone;
  readonly testId?: string;
  readonly children: ComponentChildren;
}

/** A line that stands out a little: something failed, something is old. */
export function Note({ tone = "plain", testId, children }: NoteProps): JSX.Element {
  return (
    <div class={`msq-panel-note msq-panel-note-${tone}`} data-testid={testId}>
      <Sign tone={tone} />
      <div class="msq-panel-note-text">{children}</div>
    </div>
  );
}

/** Each tone has a shape of its own, so the colour only repeats it. */
export function Sign({ tone }: { readonly tone: Tone }): JSX.Element {
  return (
    <svg class={`msq-panel-sign msq-panel-sign-${tone}`} viewBox="0 0 16 16" aria-hidden="true">
      <path d={SIGNS[tone]} />
    </svg>
  );
}

const SIGNS: Record<Tone, string> = {
  plain: "M8 2 A6 6 0 1 1 7.99 2 M8 7.5 V11 M8 5 V5.1",
  good: "M3 8.5 L6.5 12 L13 4.5",
  warn: "M8 2.5 L14 13.5 H2 Z M8 7 V10 M8 11.8 V11.9",
  bad: "M8 2 A6 6 0 1 1 7.99 2 M5.75 5.75 L10.25 10.25 M10.25 5.75 L5.75 10.25",
};

export interface EmptyProps {
  readonly title: string;
  readonly testId?: string;
  readonly children?: ComponentChildren;
}

/** What stands where there is nothing: why, and what to do. */
export function Empty({ title, testId, children }: EmptyProps): JSX.Element {
  return (
    <div class="msq-panel-empty" data-testid={testId}>
      <p class="msq-panel-empty-title">{title}</p>
      {children}
    </div>
  );
}

interface FailureProps {
  readonly error: AskError;
  readonly onAgain?: (() => void) | undefined;
}

/** Why a question has no answer, and a way to ask again. */
export function Failure({ error, onAgain }: FailureProps): JSX.Element {
  return (
    <Note tone="bad" testId="msq-panel-failure">
      <strong>{ERROR_WORDS[error.name] ?? error.name}</strong> {error.message}
      {onAgain !== undefined && (
        <>
          {" "}
          <Button onClick={onAgain}>Try again</Button>
        </>
      )}
    </Note>
  );
}

const ERROR_WORDS: Readonly<Record<string, string>> = {
  KernelGone: "",
  SessionClosed: "Not connected:",
  NoAnswer: "No answer:",
  SealBroken: "Changed by somebody without the password:",
  VersionDamaged: "Damaged:",
  VersionMissing: "",
  ArgumentError: "",
  PersistedDataError: "Not restored:",
  RestoreTimeout: "Not done in time:",
};

export interface MissingProps {
  readonly answer: unknown;
  readonly error: AskError | undefined;
  readonly isSlow: boolean;
  readonly onAgain?: (() => void) | undefined;
}

/** What stands where an answer is missing: why, or that it is on its way. */
export function Missing({ answer, error, isSlow, onAgain }: MissingProps): JSX.Element | null {
  if (error !== undefined) {
    return <Failure error={error} onAgain={onAgain} />;
  }
  return answer === undefined ? <Loading isSlow={isSlow} /> : null;
}

/** Stands where something is on its way; says so in words when it takes long. */
function Loading({ isSlow }: { readonly isSlow: boolean }): JSX.Element {
  return (
    <div class="msq-panel-loading" role="status">
      {isSlow ? "Waiting for the kernel: it answers between cells." : ""}
    </div>
  );
}

export interface SearchProps {
  readonly label: string;
  readonly placeholder: string;
  readonly testId: string;
  readonly value: string;
  readonly onValue: (value: string) => void;
}

/** A field for the text that rows must have. */
export function Search({ label, placeholder, testId, value, onValue }: SearchProps): JSX.Element {
  return (
    <input
      class="msq-panel-input msq-panel-grow"
      type="search"
      placeholder={placeholder}
      aria-label={label}
      data-testid={testId}
      value={value}
      onInput={(event) => {
        onValue(event.currentTarget.value);
      }}
    />
  );
}

export interface ScrollProps {
  readonly label: string;
  readonly isOld?: boolean;
  readonly children: ComponentChildren;
}

/** The part of a tab that scrolls. */
export function Scroll({ label, isOld = false, children }: ScrollProps): JSX.Element {
  return (
    <section
      class={`msq-panel-scroll${isOld ? " msq-panel-old" : ""}`}
      aria-label={label}
      // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it scrolls, and the keyboard must reach it
      tabIndex={0}
    >
      {children}
    </section>
  );
}

const MARK_WORDS: Readonly<Record<ChangeRow["mark"], string>> = {
  "+": "added",
  "-": "removed",
  "~": "changed",
  ">": "moved",
  "@": "place",
  " ": "",
};

export interface ChangeListProps {
  readonly label: string;
  readonly rows: readonly ChangeRow[];
  readonly isCode?: boolean;
  /** An item for the end of the list. */
  readonly children?: ComponentChildren;
}

/** What differs, line by line. */
export function ChangeList({ label, rows, isCode = false, children }: ChangeListProps): JSX.Element {
  return (
    <div class={`msq-panel-changes${isCode ? " msq-panel-changes-code" : ""}`} role="list" aria-label={label}>
      {rows.map((row, index) => (
        // oxlint-disable-next-line react/no-array-index-key -- a line of a difference has no other identity
        <ChangeLine key={index} row={row} />
      ))}
      {children}
    </div>
  );
}

function ChangeLine({ row }: { readonly row: ChangeRow }): JSX.Element {
  const { mark, path, pieces } = row;
  const isPair = pieces.length === 2 && pieces[0]?.[0] === "old" && pieces[1]?.[0] === "new";
  return (
    <div class={`msq-panel-change msq-panel-change-${MARK_CLASSES[mark]}`} role="listitem">
      <span class="msq-panel-mark" aria-hidden="true">
        {mark}
      </span>
      <span class="msq-hidden">{MARK_WORDS[mark]} </span>
      {path !== "" && <bdi class="msq-panel-path">{path}</bdi>}
      <span class="msq-panel-pieces">
        {pieces.map(([kind, text], index) => {
          const Tag = ({ old: "del", new: "ins", same: "span" } as const)[kind];
          return (
            // oxlint-disable-next-line react/no-array-index-key -- pieces of one line never move
            <span key={index}>
              {isPair && kind === "new" && <span aria-hidden="true"> → </span>}
              <Tag>
                <bdi>{text}</bdi>
              </Tag>
            </span>
          );
        })}
      </span>
    </div>
  );
}

const MARK_CLASSES: Readonly<Record<ChangeRow["mark"], string>> = {
  "+": "added",
  "-": "removed",
  "~": "changed",
  ">": "moved",
  "@": "place",
  " ": "same",
};

export interface MoreProps {
  readonly total: number;
  readonly shown: number;
  readonly onMore: () => void;
  readonly isItem?: boolean;
}

/** The way to the next portion of a list. */
export function More({ total, shown, onMore, isItem = false }: MoreProps): JSX.Element | null {
  const rest = total - shown;
  if (rest <= 0) {
    return null;
  }
  return (
    <div class="msq-panel-more" role={isItem ? "listitem" : undefined}>
      <Button onClick={onMore}>{`Show ${counted(Math.min(rest, PAGE_ROWS), "more line", "more lines")}`}</Button>
      <span>{`of ${rest.toLocaleString("en")}`}</span>
    </div>
  );
}
