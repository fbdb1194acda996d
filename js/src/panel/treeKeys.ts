/** What a key means in a tree. */
export type TreeMove = { readonly kind: "go"; readonly to: number } | { readonly kind: "toggle" } | { readonly kind: "choose" };

/** Where one is in a tree. */
export interface TreePlace {
  /** -1 for nowhere. */
  readonly active: number;
  readonly total: number;
  /** How many rows Page Down goes. */
  readonly page: number;
  /** Undefined for a row that is not there yet. */
  readonly levelAt: (index: number) => number | undefined;
  /** Undefined for a leaf. */
  readonly isOpenAt: (index: number) => boolean | undefined;
}

type Key = Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey">;

/**
 * The keys of the ARIA Authoring Practices for trees; undefined for a key that means nothing here.
 *
 * @see https://www.w3.org/WAI/ARIA/apg/patterns/treeview/
 */
export function afterKey({ key, ctrlKey, metaKey, altKey }: Key, place: TreePlace): TreeMove | undefined {
  const { active, total, page } = place;
  if (ctrlKey || metaKey || altKey || total === 0) {
    return undefined;
  }
  const isOpen = active < 0 ? undefined : place.isOpenAt(active);
  switch (key) {
    case "ArrowDown":
      return go(active + 1, total);
    case "ArrowUp":
      return go(active - 1, total);
    case "PageDown":
      return go(active + page, total);
    case "PageUp":
      return go(active - page, total);
    case "Home":
      return go(0, total);
    case "End":
      return go(total - 1, total);
    case "ArrowRight":
      return isOpen === false ? { kind: "toggle" } : go(isOpen === true ? active + 1 : active, total);
    case "ArrowLeft":
      return isOpen === true && active > 0 ? { kind: "toggle" } : go(parentOf(place), total);
    case "Enter":
    case " ":
      return isOpen === undefined ? { kind: "choose" } : { kind: "toggle" };
    default:
      return undefined;
  }
}

function go(to: number, total: number): TreeMove {
  return { kind: "go", to: Math.min(Math.max(to, 0), total - 1) };
}

/** The row that the active one is in; itself when it is outermost, or when the way there is not loaded. */
function parentOf({ active, levelAt }: TreePlace): number {
  const level = levelAt(active) ?? 0;
  for (let index = active - 1; index >= 0; index -= 1) {
    const other = levelAt(index);
    if (other === undefined) {
      break;
    }
    if (other < level) {
      return index;
    }
  }
  return active;
}
