import { describe, expect, it } from "vitest";

import { colourNumber, countInWords, initials, namesInWords } from "../src/people.ts";

describe("people", () => {
  it.each([
    ["Ada Lovelace", "AL"],
    ["ben", "B"],
    ["Anna Maria von Trapp", "AT"],
    ["eva_klein", "EK"],
    ["王小明", "王"],
    ["🦊 fox", "🦊F"],
    ["  ", "?"],
    ["", "?"],
  ])("abbreviates %j as %j", (label, letters) => {
    expect(initials(label)).toBe(letters);
  });

  it("counts in words", () => {
    expect([0, 1, 2].map(countInWords)).toEqual(["0 people", "1 person", "2 people"]);
  });

  it("gives the same person the same of seven colours everywhere", () => {
    const numbers = Array.from({ length: 200 }, (_, index) => colourNumber(`view-${index}`));
    expect(new Set(numbers)).toEqual(new Set([1, 2, 3, 4, 5, 6, 7]));
    expect(colourNumber("view-1")).toBe(numbers[1]);
  });

  it("names everybody, up to twenty", () => {
    const people = Array.from({ length: 23 }, (_, index) => ({
      view_id: `v${index}`,
      label: `P${index}`,
      is_me: index === 0,
    }));
    expect(namesInWords(people.slice(0, 2))).toBe("P0 (you), P1");
    expect(namesInWords(people)).toMatch(/P19 and 3 more$/u);
  });
});
