import type { TreeRow } from "../messages.ts";

/** So many fields are remembered, to tell which of them changed. */
const REMEMBERED_MAX = 5000;

/** What names a field for as long as it is there. */
export function keyOf({ path }: Pick<TreeRow, "path">): string {
  return path.join("\n");
}

/**
 * The fields whose value is another one than when it was seen last.
 *
 * @param digests By key, what was seen; updated. Fields that are new are remembered, and not said to have changed.
 */
export function freshKeys(digests: Map<string, number>, rows: readonly Pick<TreeRow, "path" | "digest">[]): string[] {
  const changed: string[] = [];
  for (const row of rows) {
    const key = keyOf(row);
    const before = digests.get(key);
    if (before !== undefined && before !== row.digest) {
      changed.push(key);
    }
    digests.delete(key);
    digests.set(key, row.digest);
  }
  for (const key of digests.keys()) {
    if (digests.size <= REMEMBERED_MAX) {
      break;
    }
    digests.delete(key);
  }
  return changed;
}

/** The list of open paths with one path opened; or, if it was open, closed with all that is below it. */
export function toggled(opened: readonly (readonly string[])[], path: readonly string[]): readonly (readonly string[])[] {
  const isBelow = (one: readonly string[]): boolean => path.every((segment, place) => one[place] === segment);
  const rest = opened.filter((one) => !isBelow(one));
  return rest.length < opened.length ? rest : [...opened, path];
}
