import { describe, expect, it } from "vitest";

import { counted, countsText, dayText, planText, sideOf, sizeText } from "../../src/panel/format.ts";
import { stepped } from "../../src/panel/Compare.tsx";

function at(day: number, hour: number): number {
  return new Date(2026, 10, day, hour).getTime() / 1000;
}

describe("sizes, counts and times in words", () => {
  it.each([
    [-1, ""],
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.0 KB"],
    [10_240, "10.0 KB"],
    [1_024_000, "1.0 MB"],
    [10_485_760, "10.0 MB"],
  ])("says %d bytes", (size, text) => {
    expect(sizeText(size)).toBe(text);
  });

  it("counts one and many", () => {
    expect(counted(1, "version")).toBe("1 version");
    expect(counted(12_345, "version")).toBe("12,345 versions");
    expect(counted(2, "other person", "other people")).toBe("2 other people");
  });

  it("names today, yesterday and other days", () => {
    const noon_s = new Date(2026, 10, 23, 12).getTime() / 1000;
    expect(dayText(at(23, 0), noon_s)).toBe("Today");
    expect(dayText(at(22, 23), noon_s)).toBe("Yesterday");
    expect(dayText(at(22, 0), noon_s)).toBe("Yesterday");
    expect(dayText(at(21, 12), noon_s)).toMatch(/^Saturday,? 21 November 2026$/);
  });

  it("says what differs", () => {
    expect(countsText({})).toBe("nothing");
    expect(countsText({ added: 0, changed: 2, moved: 1 })).toBe("2 changed, 1 moved");
  });

  it("says whom a restore is for", () => {
    expect(planText(0, 3)).toBe("Nothing changes: what is there now is the same.");
    expect(planText(1, 1)).toBe("1 change for you.");
    expect(planText(32, 6)).toBe("32 changes for you and 5 other people.");
  });
});

describe("a side of a comparison", () => {
  it.each([
    ["now", "now"],
    [" Now ", "now"],
    ["12", 12],
    ["v12", 12],
    ["", undefined],
    ["0", undefined],
    ["v", undefined],
    ["twelve", undefined],
    ["-3", undefined],
  ])("takes %j", (text, side) => {
    expect(sideOf(text)).toBe(side);
  });

  it("goes to the next by arrow, with now after the newest", () => {
    expect(stepped(4, "ArrowUp", 5)).toBe(5);
    expect(stepped(5, "ArrowUp", 5)).toBe("now");
    expect(stepped("now", "ArrowUp", 5)).toBe("now");
    expect(stepped("now", "ArrowDown", 5)).toBe(5);
    expect(stepped(1, "ArrowDown", 5)).toBe(1);
    expect(stepped(1, "x", 5)).toBeUndefined();
  });
});
