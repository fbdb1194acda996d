// A button that puts a text on the clipboard.

import type { ComponentChildren, JSX } from "preact";

import { useFleeting } from "./useFleeting.ts";

/** How long a button says what came of it. */
const TOLD_MS = 2000;

export interface CopyProps {
  readonly text: string | (() => string);
  readonly children: ComponentChildren;
  readonly testId?: string;
  /** Of the button. */
  readonly class?: string;
}

/** Copies a text, and says that it did. */
export function Copy({ text, children, testId, class: name }: CopyProps): JSX.Element {
  const [outcome, setOutcome] = useFleeting(TOLD_MS);
  const copy = async (): Promise<void> => {
    const isCopied = await copyText(typeof text === "string" ? text : text());
    setOutcome(isCopied ? "Copied" : "The browser refused");
  };
  return (
    <span class="msq-copy">
      <button type="button" class={name} data-testid={testId} onClick={() => void copy()}>
        {outcome === "" ? children : outcome}
      </button>
      <span class="msq-hidden" role="status">
        {outcome}
      </span>
    </span>
  );
}

/** Whether a text is on the clipboard now; also on pages that have no clipboard because they have no TLS. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelected(text);
  }
}

function copySelected(text: string): boolean {
  const before = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.style.position = "fixed";
  area.style.opacity = "0";
  document.body.append(area);
  area.focus({ preventScroll: true });
  area.select();
  try {
    // oxlint-disable-next-line typescript/no-deprecated -- there is nothing else on such pages
    return document.execCommand("copy");
  } finally {
    area.remove();
    if (before instanceof HTMLElement) {
      before.focus();
    }
  }
}
