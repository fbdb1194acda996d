import type { JSX } from "preact";
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";

import { freshKeys, keyOf, toggled } from "./freshness.ts";
import { counted, sizeText } from "./format.ts";
import { Copy, copyText } from "../Copy.tsx";
import type { KernelAsker, TreeRow } from "../messages.ts";
import type { PresenceTraits } from "../traits.ts";
import { Empty, Missing, Search } from "./parts.tsx";
import { Tree, type TreeItem } from "./Tree.tsx";
import { useRows } from "./useRows.ts";
import { useKept, type Memory } from "./useKept.ts";
import { useSettled } from "./useSettled.ts";

/** How long a field that has changed stays marked, in milliseconds. */
const FRESH_MS = 2000;

export interface InspectProps {
  readonly asker: KernelAsker;
  readonly panel: PresenceTraits;
  readonly memory: Memory;
}

/** The live model as a tree. */
export function Inspect({ asker, panel, memory }: InspectProps): JSX.Element {
  const [opened, setOpened] = useKept<readonly (readonly string[])[]>(memory, "opened", []);
  const [typed, setTyped] = useKept(memory, "searched", "");
  const text = useSettled(typed.trim());
  const isSearch = text !== "";
  const question = useMemo(() => ({ opened: isSearch ? [] : opened, text }), [opened, text, isSearch]);
  const { rowAt, total, answer, error, isSlow, want } = useRows(asker, "tree", question, panel.model_stamp);
  const [active, setActive] = useKept(memory, "field", 0);
  const [rootSize, setRootSize] = useState(0);
  const fresh = useFresh(answer?.rows);
  const first = isSearch ? undefined : rowAt(0);
  useEffect(() => {
    if (first !== undefined) {
      setRootSize(first.size_bytes);
    }
  }, [first]);
  const toggle = useCallback(
    (index: number): void => {
      const row = rowAt(index);
      if (row !== undefined && row.count >= 0 && row.path.length > 0) {
        setOpened(toggled(opened, row.path));
      }
    },
    [opened, rowAt, setOpened],
  );
  const activeRow = rowAt(active);
  const onKey = (event: KeyboardEvent): void => {
    if ((event.ctrlKey || event.metaKey) && event.key === "c" && activeRow !== undefined) {
      event.preventDefault();
      void copyText(activeRow.copy);
    }
  };
  const itemAt = (index: number): TreeItem | undefined => {
    const row = rowAt(index);
    return row && itemOf(row, isSearch, fresh.has(keyOf(row)), rootSize);
  };
  return (
    <div class="msq-panel-tab">
      <div class="msq-panel-tools">
        <Search
          label="Search the model"
          placeholder="Search names and values"
          testId="msq-panel-search"
          value={typed}
          onValue={(value) => {
            setTyped(value);
            setActive(0);
          }}
        />
        <span class="msq-panel-quiet msq-panel-model-size" role={isSearch ? "status" : undefined}>
          {isSearch ? hitsText(total, answer?.more ?? false) : first && `${panel.model_name} · ${sizeText(rootSize)}`}
        </span>
      </div>
      <Missing answer={answer} error={error} isSlow={isSlow} />
      {isSearch && answer !== undefined && total === 0 ? (
        <Empty title={`Nothing in the model has “${text}” in its name or value`} />
      ) : (
        <Tree
          label="The live model"
          testId="msq-panel-tree"
          total={total}
          itemAt={itemAt}
          want={want}
          active={Math.min(active, total - 1)}
          onActive={setActive}
          onToggle={toggle}
          onKey={onKey}
        />
      )}
      <div class="msq-panel-foot">
        <code class="msq-panel-code msq-panel-grow" title={activeRow?.copy}>
          {activeRow?.copy ?? ""}
        </code>
        {activeRow !== undefined && <Copy class="msq-panel-button" text={activeRow.copy}>Copy path</Copy>}
      </div>
    </div>
  );
}

function hitsText(total: number, isMore: boolean): string {
  return isMore ? `the first ${total} hits` : counted(total, "hit");
}

function itemOf(row: TreeRow, isSearch: boolean, isFresh: boolean, rootSize: number): TreeItem {
  const isLeaf = row.count < 0;
  const size = sizeText(row.size_bytes);
  return {
    key: row.copy,
    level: isSearch ? 1 : row.path.length + 1,
    place: row.place,
    siblings: row.siblings,
    isOpen: isLeaf || isSearch ? undefined : row.open,
    content: (
      <span class={`msq-panel-field${isFresh ? " msq-panel-fresh" : ""}`}>
        <bdi class="msq-panel-field-name">{row.name}</bdi>
        <bdi class="msq-panel-field-value">{isLeaf || !row.open ? row.preview : ""}</bdi>
        <span class="msq-panel-field-type">{isLeaf ? row.type : `${row.type} ${row.count.toLocaleString("en")}`}</span>
        <span class="msq-panel-field-size" style={{ "--msq-panel-share": shareOf(row.size_bytes, rootSize) }}>
          {size}
        </span>
        {isFresh && <span class="msq-hidden">just changed</span>}
      </span>
    ),
  };
}

function shareOf(size_bytes: number, rootSize: number): number {
  return rootSize > 0 && size_bytes > 0 ? Math.min(size_bytes / rootSize, 1) : 0;
}

/** The rows that came with another digest than before, for a moment. */
function useFresh(rows: readonly TreeRow[] | undefined): ReadonlySet<string> {
  const digestsRef = useRef(new Map<string, number>());
  const [fresh, setFresh] = useState<ReadonlySet<string>>(new Set());
  useEffect(() => {
    const changed = freshKeys(digestsRef.current, rows ?? []);
    if (changed.length === 0) {
      return;
    }
    setFresh((last) => new Set([...last, ...changed]));
    // Not undone with the effect: the next rows come long before.
    setTimeout(() => {
      setFresh((last) => new Set([...last].filter((key) => !changed.includes(key))));
    }, FRESH_MS);
  }, [rows]);
  return fresh;
}
