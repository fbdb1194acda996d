import type { LinkState, PresenceTraits } from "./traits.ts";

/** What the badge shows as its state: that of the link, unless the kernel behind it is gone. */
export type ShownState = LinkState | "kernel gone";

const STATE_WORDS: Record<ShownState, string> = {
  joining: "joining…",
  "catching up": "catching up…",
  live: "live",
  away: "reconnecting…",
  closed: "closed",
  failed: "failed",
  "kernel gone": "kernel gone",
};

/** Whether the session has been left, or its kernel lost: then nothing is saved any more. */
export function isOver(state: ShownState): boolean {
  return state === "closed" || state === "failed" || state === "kernel gone";
}

/** Whether a running cell holds the replica back; while the link itself is down, that is the smaller news. */
export function isHeldByCell(state: ShownState, waiting_ms: number): boolean {
  return waiting_ms > 0 && (state === "live" || state === "catching up");
}

export function stateInWords(state: ShownState, waiting_ms: number): string {
  return isHeldByCell(state, waiting_ms) ? "catching up when this cell ends" : STATE_WORDS[state];
}

/** "saved 12 s ago", " by Ada", " · v3": in parts, because a narrow badge leaves the author to the tooltip. */
export interface SavedWords {
  readonly what: string;
  readonly author: string;
  readonly version: string;
}

/** `ago` says how long the last save is past, `soon` how far the next one is away, or "". */
type Saved = Pick<PresenceTraits, "saved_state" | "saved_number" | "saved_by">;

export function savedInWords({ saved_state, saved_number, saved_by }: Saved, ago: string, soon: string): SavedWords {
  switch (saved_state) {
    case "none":
      return { what: "nothing saved yet", author: "", version: "" };
    case "dirty":
      return { what: soon === "" ? "not saved yet" : `saving ${soon}`, author: "", version: "" };
    case "saving":
      return { what: "saving…", author: "", version: "" };
    case "saved":
      return {
        what: ago === "" ? "saved" : `saved ${ago}`,
        author: saved_by === "" ? "" : ` by ${saved_by}`,
        version: saved_number > 0 ? ` · v${saved_number}` : "",
      };
    case "failed":
      // What is still safe is the first thing one wants to know after a failure.
      return {
        what: soon === "" ? "save failed" : `save failed, trying again ${soon}`,
        author: "",
        version: saved_number > 0 ? ` · last is v${saved_number}${ago === "" ? "" : `, ${ago}`}` : "",
      };
  }
}
