import { describe, expect, it } from "vitest";

import { ago, soon } from "../src/ago.ts";

describe("ago", () => {
  it.each([
    [-5, "just now"],
    [0, "just now"],
    [1.9, "just now"],
    [2, "2 s ago"],
    [12.7, "12 s ago"],
    [24.9, "20 s ago"],
    [59.9, "55 s ago"],
    [60, "1 min ago"],
    [3599, "59 min ago"],
    [3600, "1 h ago"],
    [86_399, "23 h ago"],
    [86_400, "1 d ago"],
    [40 * 86_400, "40 d ago"],
  ])("says of an age of %s s: %s", (age_s, text) => {
    expect(ago(age_s).text).toBe(text);
  });

  it("says when the words will change, and not a moment earlier", () => {
    for (const age_s of [-1, 0, 1.5, 2, 12.7, 19.5, 20, 33, 59, 60, 61, 3599, 3600, 5000, 86_400, 100_000]) {
      const { text, changesIn_s } = ago(age_s);
      const since = Math.max(0, age_s);
      expect(ago(since + changesIn_s + 0.001).text).not.toBe(text);
      expect(ago(since + changesIn_s - 0.001).text).toBe(text);
    }
  });

  it("turns more slowly the older a save is", () => {
    const waits = [2, 20, 60, 3600, 86_400].map((age_s) => ago(age_s).changesIn_s);
    expect(waits).toEqual([1, 5, 60, 3600, 86_400]);
  });
});

describe("soon", () => {
  it.each([
    [-1, ""],
    [0, ""],
    [0.1, "in 1 s"],
    [3, "in 3 s"],
    [3.01, "in 4 s"],
    [59, "in 59 s"],
    [59.5, "in 1 min"],
    [61, "in 2 min"],
  ])("says of a wait of %s s: %s", (wait_s, text) => {
    expect(soon(wait_s)).toBe(text);
  });
});
