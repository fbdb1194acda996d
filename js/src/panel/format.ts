import { DAY_S } from "../ago.ts";
import type { Counts, Side, VersionFacts } from "../messages.ts";

/** A size for people: `980 B`, `1.2 KB`, `3.4 MB`; "" when it is not known. As `size_text` in Python. */
export function sizeText(size_bytes: number): string {
  if (size_bytes < 0) {
    return "";
  }
  if (size_bytes < 1000) {
    return `${size_bytes} B`;
  }
  const size = size_bytes / 1024;
  return size < 1000 ? `${size.toFixed(1)} KB` : `${(size / 1024).toFixed(1)} MB`;
}

/** "1 version", "1,234 versions". */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? noun : plural}`;
}

/** "Today", "Yesterday", "Monday, 23 November 2026". */
export function dayText(at_s: number, now_s: number): string {
  const day = startOfDay(at_s);
  if (day === startOfDay(now_s)) {
    return "Today";
  }
  if (day === startOfDay(startOfDay(now_s) - DAY_S / 2)) {
    return "Yesterday";
  }
  return new Date(at_s * 1000).toLocaleDateString("en-GB", {
    weekday: "long",
    day: "numeric",
    month: "long",
    year: "numeric",
  });
}

function startOfDay(at_s: number): number {
  return new Date(at_s * 1000).setHours(0, 0, 0, 0) / 1000;
}

/** "14:05:09": the seconds matter, because versions may follow each other in seconds. */
export function clockText(at_s: number): string {
  return new Date(at_s * 1000).toLocaleTimeString("en-GB");
}

/** "23 Nov 2026, 14:05:09". */
export function momentText(at_s: number): string {
  const day = new Date(at_s * 1000).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
  return `${day}, ${clockText(at_s)}`;
}

/** "v12", "now". */
export function sideText(side: Side): string {
  return side === "now" ? "now" : `v${side}`;
}

/** The side that somebody typed: "v12", "12" or "now"; undefined for anything else. */
export function sideOf(text: string): Side | undefined {
  const typed = text.trim().toLowerCase();
  if (typed === "now") {
    return "now";
  }
  const digits = /^v?(\d{1,9})$/.exec(typed)?.[1];
  const number = Number(digits ?? "0");
  return number > 0 ? number : undefined;
}

/** "2 added, 1 changed", "nothing". */
export function countsText(counts: Counts): string {
  const parts = (["added", "removed", "changed", "moved"] as const)
    .map((kind) => [counts[kind] ?? 0, kind] as const)
    .filter(([count]) => count > 0)
    .map(([count, kind]) => `${count.toLocaleString("en")} ${kind}`);
  return parts.length === 0 ? "nothing" : parts.join(", ");
}

/** Why a version was saved, in words. */
export function reasonText({ reason, label }: Pick<VersionFacts, "reason" | "label">): string {
  return { named: "saved under a name", restored: label, automatic: "saved by itself" }[reason];
}

/** What a restore would do, before it does: "3 changes for you and 1 other person." */
export function planText(changes: number, people: number): string {
  const others = people - 1;
  const whom = others < 1 ? "for you" : `for you and ${counted(others, "other person", "other people")}`;
  return changes === 0 ? `Nothing changes: what is there now is the same.` : `${counted(changes, "change")} ${whom}.`;
}
