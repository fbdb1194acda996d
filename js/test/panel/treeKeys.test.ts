import { describe, expect, it } from "vitest";

import { afterKey, type TreePlace } from "../../src/panel/treeKeys.ts";
import { tabAfter } from "../../src/panel/Panel.tsx";

/** An open root with an open branch of two leaves, a closed branch, a leaf. */
const LEVELS = [1, 2, 3, 3, 2, 2];
const OPEN = [true, true, undefined, undefined, false, undefined];

function press(key: string, active: number, more: Partial<KeyboardEvent> = {}): ReturnType<typeof afterKey> {
  const place: TreePlace = {
    active,
    total: LEVELS.length,
    page: 3,
    levelAt: (index) => LEVELS[index],
    isOpenAt: (index) => OPEN[index],
  };
  return afterKey({ key, ctrlKey: false, metaKey: false, altKey: false, ...more }, place);
}

describe("the keys of a tree", () => {
  it.each([
    ["ArrowDown", 0, 1],
    ["ArrowDown", 5, 5],
    ["ArrowDown", -1, 0],
    ["ArrowUp", 1, 0],
    ["ArrowUp", 0, 0],
    ["PageDown", 1, 4],
    ["PageUp", 1, 0],
    ["Home", 4, 0],
    ["End", 1, 5],
    ["ArrowRight", 1, 2],
    ["ArrowRight", 2, 2],
    ["ArrowLeft", 3, 1],
    ["ArrowLeft", 4, 0],
    ["ArrowLeft", 0, 0],
  ])("%s goes from row %d to %d", (key, active, to) => {
    expect(press(key, active)).toEqual({ kind: "go", to });
  });

  it.each([
    ["ArrowRight", 4],
    ["ArrowLeft", 1],
    ["Enter", 4],
    [" ", 1],
  ])("%s opens or closes row %d", (key, active) => {
    expect(press(key, active)).toEqual({ kind: "toggle" });
  });

  it("chooses a leaf with Enter", () => {
    expect(press("Enter", 5)).toEqual({ kind: "choose" });
  });

  it("leaves other keys to others", () => {
    expect(press("a", 0)).toBeUndefined();
    expect(press("ArrowDown", 0, { ctrlKey: true })).toBeUndefined();
  });

  it("does not go where nothing is loaded", () => {
    const place = { active: 9, total: 20, page: 3, levelAt: (index: number) => (index === 9 ? 2 : undefined), isOpenAt: () => undefined };
    const key = { key: "ArrowLeft", ctrlKey: false, metaKey: false, altKey: false };
    expect(afterKey(key, place)).toEqual({ kind: "go", to: 9 });
  });
});

describe("the keys of the tabs", () => {
  it.each([
    ["ArrowRight", "a", "b"],
    ["ArrowRight", "c", "a"],
    ["ArrowLeft", "a", "c"],
    ["Home", "b", "a"],
    ["End", "a", "c"],
    ["x", "a", undefined],
  ])("%s leads from %s to %s", (key, from, to) => {
    expect(tabAfter(["a", "b", "c"], from, key)).toBe(to);
  });
});
