import { afterEach, beforeEach, vi } from "vitest";

export const NOON_S = 1_700_000_000;

/** What a test does with the page; nothing of it needs `this`. */
export interface Page {
  readonly el: () => HTMLElement;
  /** Lets Preact run the renders and effects it has put off. */
  readonly settle: () => Promise<void>;
  readonly find: (selector: string) => HTMLElement;
  readonly byTestId: (testId: string) => HTMLElement;
  readonly maybe: (testId: string) => HTMLElement | null;
  readonly click: (testId: string) => Promise<void>;
}

/**
 * An element for a widget, empty before each test of a file, on a page whose clock stands at noon.
 *
 * @param settle_ms How far the clock goes to settle.
 */
export function emptyPage(settle_ms: number): Page {
  let el = document.createElement("div");
  beforeEach(() => {
    vi.useFakeTimers({ now: NOON_S * 1000 });
    el = document.createElement("div");
    document.body.replaceChildren(el);
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  const settle = async (): Promise<void> => {
    await vi.advanceTimersByTimeAsync(settle_ms);
  };
  const maybe = (testId: string): HTMLElement | null => el.querySelector<HTMLElement>(`[data-testid="${testId}"]`);
  const find = (selector: string): HTMLElement => {
    const found = el.querySelector<HTMLElement>(selector);
    if (found === null) {
      throw new Error(`no ${selector} in ${el.innerHTML}`);
    }
    return found;
  };
  const byTestId = (testId: string): HTMLElement => find(`[data-testid="${testId}"]`);
  const click = async (testId: string): Promise<void> => {
    byTestId(testId).click();
    await settle();
  };
  return { el: () => el, settle, find, byTestId, maybe, click };
}
