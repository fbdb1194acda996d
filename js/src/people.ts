import type { Person } from "./traits.ts";

/** JupyterLab themes define this many colours for people: `--jp-collaborator-color1` to `7`. */
const COLOURS = 7;

/** Beyond this many names a tooltip is no help. */
const NAMES_SHOWN = 20;

/** One or two capital letters for a name; "?" for a name without any character. */
export function initials(label: string): string {
  const words = label.split(/[\s._@-]+/u).filter((word) => word !== "");
  const chosen = words.length > 1 ? [words[0], words.at(-1)] : words;
  // By code points: half of a surrogate pair is not a letter.
  const letters = chosen.map((word) => Array.from(word ?? "")[0] ?? "").join("");
  return letters === "" ? "?" : letters.toLocaleUpperCase();
}

/** A number from 1 to 7, the same for the same person in every browser. */
export function colourNumber(label: string): number {
  let hash = 0;
  for (const character of label) {
    hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 1_000_003;
  }
  return (hash % COLOURS) + 1;
}

export function countInWords(count: number): string {
  return count === 1 ? "1 person" : `${count} people`;
}

/** "Ada (you), Ben, Cy": all names, or the first twenty and the number of the rest. */
export function namesInWords(people: readonly Person[]): string {
  const names = people.slice(0, NAMES_SHOWN).map(({ label, is_me }) => (is_me ? `${label} (you)` : label));
  const rest = people.length - names.length;
  return rest > 0 ? `${names.join(", ")} and ${rest} more` : names.join(", ");
}
