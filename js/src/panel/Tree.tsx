import type { ComponentChildren, JSX } from "preact";
import { useCallback, useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";

import { afterKey, type TreeMove } from "./treeKeys.ts";

/** Height of a row in pixels: a target that a finger hits, too. */
const ROW_HEIGHT = 26;
/** So many rows above and below what is seen are there already. */
const MARGIN_ROWS = 8;

/** What the tree has to know of a row; the rest is its content. */
export interface TreeItem {
  readonly key: string;
  /** 1 for the outermost. */
  readonly level: number;
  readonly place: number;
  /** 0 when that is not known. */
  readonly siblings: number;
  /** Undefined for a leaf. */
  readonly isOpen: boolean | undefined;
  /** All that is to be known of it, in words: it is the name, too. */
  readonly content: ComponentChildren;
}

export interface TreeProps {
  readonly label: string;
  readonly testId: string;
  readonly total: number;
  /** Undefined while the row is on its way. */
  readonly itemAt: (index: number) => TreeItem | undefined;
  /** Says which rows are in view. */
  readonly want: (first: number, last: number) => void;
  readonly active: number;
  readonly onActive: (index: number) => void;
  /** A row is to be opened or closed. */
  readonly onToggle: (index: number) => void;
  /** Enter on a leaf, or a double click. */
  readonly onChoose?: (index: number) => void;
  /** Keys that the tree has no use for. */
  readonly onKey?: (event: KeyboardEvent) => void;
}

/**
 * A tree of any length: only the rows in view are in the page.
 *
 * The tree has the focus and `aria-activedescendant` says which row is meant, so rows may come and go under it.
 */
export function Tree(props: TreeProps): JSX.Element {
  const { label, testId, total, itemAt, want, active, onActive, onToggle, onChoose, onKey } = props;
  const boxRef = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 400 });
  const id = useId();
  const measure = useCallback((): void => {
    const box = boxRef.current;
    if (box !== null) {
      setView((last) =>
        last.top === box.scrollTop && last.height === box.clientHeight
          ? last
          : { top: box.scrollTop, height: box.clientHeight },
      );
    }
  }, []);
  useLayoutEffect(() => {
    measure();
    const box = boxRef.current;
    if (box === null || typeof ResizeObserver === "undefined") {
      return undefined;
    }
    const observer = new ResizeObserver(measure);
    observer.observe(box);
    return () => {
      observer.disconnect();
    };
  }, [measure]);
  const first = Math.max(Math.floor(view.top / ROW_HEIGHT) - MARGIN_ROWS, 0);
  const last = Math.min(Math.ceil((view.top + view.height) / ROW_HEIGHT) + MARGIN_ROWS, Math.max(total - 1, 0));
  useEffect(() => {
    want(first, last);
  }, [want, first, last]);
  useLayoutEffect(() => {
    const box = boxRef.current;
    if (box === null || active < 0) {
      return;
    }
    const top = active * ROW_HEIGHT;
    if (top < box.scrollTop) {
      box.scrollTop = top;
    } else if (top + ROW_HEIGHT > box.scrollTop + box.clientHeight && box.clientHeight > 0) {
      box.scrollTop = top + ROW_HEIGHT - box.clientHeight;
    }
  }, [active]);

  const act = (move: TreeMove): void => {
    if (move.kind === "go") {
      onActive(move.to);
    } else if (move.kind === "toggle") {
      onToggle(active);
    } else {
      onChoose?.(active);
    }
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const page = Math.max(Math.floor(view.height / ROW_HEIGHT) - 1, 1);
    const move = afterKey(event, { active, total, page, levelAt: (index) => itemAt(index)?.level, isOpenAt: (index) => itemAt(index)?.isOpen });
    if (move === undefined) {
      onKey?.(event);
      return;
    }
    event.preventDefault();
    act(move);
  };
  const indices = total === 0 ? [] : Array.from({ length: last - first + 1 }, (_, place) => first + place);
  const isActiveShown = active >= first && active <= last && itemAt(active) !== undefined;
  return (
    <div
      ref={boxRef}
      class="msq-panel-tree"
      role="tree"
      aria-label={label}
      aria-activedescendant={isActiveShown ? `${id}-${active}` : undefined}
      data-testid={testId}
      tabIndex={0}
      onScroll={measure}
      onKeyDown={onKeyDown}
    >
      <div role="none" class="msq-panel-tree-all" style={{ height: `${total * ROW_HEIGHT}px` }}>
        {indices.map((index) => (
          <TreeRowView
            key={index}
            id={`${id}-${index}`}
            index={index}
            item={itemAt(index)}
            isActive={index === active}
            onActive={onActive}
            onToggle={onToggle}
            onChoose={onChoose}
          />
        ))}
      </div>
    </div>
  );
}

interface TreeRowViewProps {
  readonly id: string;
  readonly index: number;
  readonly item: TreeItem | undefined;
  readonly isActive: boolean;
  readonly onActive: (index: number) => void;
  readonly onToggle: (index: number) => void;
  readonly onChoose: ((index: number) => void) | undefined;
}

function TreeRowView({ id, index, item, isActive, onActive, onToggle, onChoose }: TreeRowViewProps): JSX.Element {
  const style = { top: `${index * ROW_HEIGHT}px`, height: `${ROW_HEIGHT}px` };
  if (item === undefined) {
    return <div role="none" class="msq-panel-row msq-panel-row-coming" style={style} />;
  }
  const { level, place, siblings, isOpen, content } = item;
  return (
    // oxlint-disable-next-line jsx-a11y/click-events-have-key-events, jsx-a11y/interactive-supports-focus -- the tree itself has the focus and the keys
    <div
      id={id}
      class={`msq-panel-row${isActive ? " msq-panel-row-active" : ""}`}
      role="treeitem"
      aria-level={level}
      aria-posinset={siblings > 0 ? place + 1 : undefined}
      aria-setsize={siblings > 0 ? siblings : undefined}
      aria-expanded={isOpen}
      aria-selected={isActive}
      style={{ ...style, "--msq-panel-level": level - 1 }}
      onClick={() => {
        onActive(index);
        if (isOpen !== undefined) {
          onToggle(index);
        }
      }}
      onDblClick={() => {
        if (isOpen === undefined) {
          onChoose?.(index);
        }
      }}
    >
      <span class="msq-panel-twisty" aria-hidden="true">
        {isOpen === undefined ? "" : <Twisty isOpen={isOpen} />}
      </span>
      {content}
    </div>
  );
}

function Twisty({ isOpen }: { readonly isOpen: boolean }): JSX.Element {
  return (
    <svg class={`msq-panel-twisty-sign${isOpen ? " msq-panel-twisty-open" : ""}`} viewBox="0 0 16 16">
      <path d="M6 4 L10 8 L6 12" />
    </svg>
  );
}
