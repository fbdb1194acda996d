import type { JSX } from "preact";
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";

import { Face } from "../Faces.tsx";
import { clockText, counted, dayText, sizeText } from "./format.ts";
import type { HistoryRow, KernelAsker, Side, VersionFilter, VersionRow } from "../messages.ts";
import type { PresenceTraits } from "../traits.ts";
import { Button, Empty, Missing, Note, Search } from "./parts.tsx";
import { NothingSaved } from "./states.tsx";
import { Tree, type TreeItem } from "./Tree.tsx";
import { useKept, type Memory } from "./useKept.ts";
import { useRows } from "./useRows.ts";
import { useSettled } from "./useSettled.ts";
import { VersionDetails } from "./VersionDetails.tsx";

const EVERYTHING: VersionFilter = { text: "", mine: false, named: false, code: "" };
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

export interface VersionsProps {
  readonly asker: KernelAsker;
  readonly panel: PresenceTraits;
  readonly memory: Memory;
  readonly onCompare: (a: Side, b: Side) => void;
  readonly onRestore: (number: number) => void;
  readonly onDone: (what: string) => void;
}

/** Every version: by day, automatic ones folded; the one under the keyboard is previewed. */
export function Versions({ asker, panel, memory, onCompare, onRestore, onDone }: VersionsProps): JSX.Element {
  const [filter, setFilter] = useKept(memory, "filter", EVERYTHING);
  const [opened, setOpened] = useKept<readonly number[]>(memory, "folds", []);
  const [now_s] = useState(() => Date.now() / 1000);
  const chosenRef = useRef("");
  const [active, setActive] = useKept(memory, "version", 1);
  const settled = useSettled(filter);
  const question = useMemo(
    () => ({ filter: settled, opened, zone: ZONE, offset_min: -new Date().getTimezoneOffset() }),
    [settled, opened],
  );
  const { rowAt, total, answer, error, isSlow, want } = useRows(asker, "versions", question, panel.versions_stamp);
  const activeRow = rowAt(active);

  // What was chosen stays chosen when rows come above it.
  useEffect(() => {
    const found = chosenRef.current === "" ? -1 : indexOf(chosenRef.current, rowAt, total);
    if (found >= 0) {
      setActive(found);
    }
  }, [answer]); // oxlint-disable-line react/exhaustive-deps -- only a new answer moves rows

  const choose = useCallback(
    (index: number): void => {
      setActive(index);
      chosenRef.current = rowAt(index)?.key ?? "";
    },
    [rowAt, setActive],
  );
  const toggle = (index: number): void => {
    const row = rowAt(index);
    if (row?.kind === "fold") {
      setOpened(row.open ? opened.filter((number) => number !== row.oldest) : [...opened, row.oldest]);
    }
  };
  const itemAt = (index: number): TreeItem | undefined => {
    const row = rowAt(index);
    return row && itemOf(row, now_s, panel.saved_number);
  };
  const shown = useSettled(activeRow?.kind === "version" ? activeRow : undefined, 120);
  if (answer?.versions === 0) {
    return <NothingSaved panel={panel} />;
  }
  return (
    <div class="msq-panel-tab">
      <Filters filter={filter} codes={answer?.codes ?? []} onFilter={setFilter}>
        {answer === undefined ? "" : matchingText(answer.matching, answer.versions)}
      </Filters>
      <Missing answer={answer} error={error} isSlow={isSlow} />
      {(answer?.damaged ?? 0) > 0 && (
        <Note tone="warn">{`${counted(answer?.damaged ?? 0, "version")} cannot be read: their description was changed, or is damaged. They are not shown.`}</Note>
      )}
      {answer !== undefined && total === 0 && (
        <Empty title="No version is like that">
          <Button
            onClick={() => {
              setFilter(EVERYTHING);
            }}
          >
            Show all versions
          </Button>
        </Empty>
      )}
      {total > 0 && (
        <div class="msq-panel-split">
          <Tree
            label="Versions, newest first"
            testId="msq-panel-versions"
            total={total}
            itemAt={itemAt}
            want={want}
            active={Math.min(active, total - 1)}
            onActive={choose}
            onToggle={toggle}
            onChoose={(index) => {
              const row = rowAt(index);
              if (row?.kind === "version") {
                onRestore(row.number);
              }
            }}
          />
          <VersionDetails
            asker={asker}
            version={shown}
            onCompare={onCompare}
            onRestore={onRestore}
            onDone={onDone}
          />
        </div>
      )}
    </div>
  );
}

/** The place of a row, as far as it is loaded; -1 when it is not. */
function indexOf(key: string, rowAt: (index: number) => HistoryRow | undefined, total: number): number {
  for (let index = 0; index < Math.min(total, 5000); index += 1) {
    if (rowAt(index)?.key === key) {
      return index;
    }
  }
  return -1;
}

function matchingText(matching: number, versions: number): string {
  return matching === versions ? counted(versions, "version") : `${matching.toLocaleString("en")} of ${counted(versions, "version")}`;
}

interface FiltersProps {
  readonly filter: VersionFilter;
  readonly codes: readonly string[];
  readonly onFilter: (filter: VersionFilter) => void;
  readonly children: string;
}

function Filters({ filter, codes, onFilter, children }: FiltersProps): JSX.Element {
  return (
    <div class="msq-panel-tools">
      <Search
        label="Search versions"
        placeholder="Name, author, v12 or code"
        testId="msq-panel-filter"
        value={filter.text}
        onValue={(text) => {
          onFilter({ ...filter, text });
        }}
      />
      <Check
        label="named or pinned"
        isOn={filter.named}
        onChange={(named) => {
          onFilter({ ...filter, named });
        }}
      />
      <Check
        label="mine"
        isOn={filter.mine}
        onChange={(mine) => {
          onFilter({ ...filter, mine });
        }}
      />
      {codes.length > 1 && (
        <select
          class="msq-panel-input"
          aria-label="Code that saved"
          value={filter.code}
          onChange={(event) => {
            onFilter({ ...filter, code: event.currentTarget.value });
          }}
        >
          <option value="">any code</option>
          {codes.map((code) => (
            <option key={code} value={code}>{`code ${code.slice(0, 8)}`}</option>
          ))}
        </select>
      )}
      <span class="msq-panel-quiet" role="status">
        {children}
      </span>
    </div>
  );
}

interface CheckProps {
  readonly label: string;
  readonly isOn: boolean;
  readonly onChange: (isOn: boolean) => void;
}

function Check({ label, isOn, onChange }: CheckProps): JSX.Element {
  return (
    <label class="msq-panel-check">
      <input
        type="checkbox"
        checked={isOn}
        onChange={(event) => {
          onChange(event.currentTarget.checked);
        }}
      />
      {label}
    </label>
  );
}

function itemOf(row: HistoryRow, now_s: number, current: number): TreeItem {
  const base = { key: row.key, place: 0, siblings: 0, isOpen: undefined };
  if (row.kind === "day") {
    return {
      ...base,
      level: 1,
      content: (
        <span class="msq-panel-day">
          <span class="msq-panel-grow">{dayText(row.time_s, now_s)}</span>
          <span class="msq-panel-quiet">
            {row.count.toLocaleString("en")}
            <span class="msq-hidden">{row.count === 1 ? " version" : " versions"}</span>
          </span>
        </span>
      ),
    };
  }
  if (row.kind === "fold") {
    const text = `${counted(row.count, "automatic version")}, v${row.oldest} to v${row.number}`;
    return { ...base, level: 2, isOpen: row.open, content: <span class="msq-panel-fold">{text}</span> };
  }
  return { ...base, level: 2, content: <VersionLine row={row} current={current} /> };
}

function VersionLine({ row, current }: { readonly row: VersionRow; readonly current: number }): JSX.Element {
  return (
    <span class="msq-panel-version">
      <span class="msq-panel-number">{`v${row.number}`}</span>
      <Face name={row.author} title={row.author} />
      <bdi class={`msq-panel-grow msq-panel-label${row.label === "" ? " msq-panel-quiet" : ""}`}>
        {row.label === "" ? row.author : row.label}
      </bdi>
      {row.label !== "" && <span class="msq-hidden">{`by ${row.author}`}</span>}
      {row.number === current && <span class="msq-panel-tag">current</span>}
      {row.line !== "" && row.number !== current && <span class="msq-panel-tag">{row.line}</span>}
      {row.pinned && <PinSign />}
      {row.pinned && <span class="msq-hidden">pinned</span>}
      {row.is_new_schema && <span class="msq-panel-tag msq-panel-tag-new">{`schema ${row.schema}`}</span>}
      {row.is_new_code && !row.is_new_schema && <span class="msq-panel-tag msq-panel-tag-new">new code</span>}
      <span class="msq-panel-version-size">{sizeText(row.size_bytes)}</span>
      <span class="msq-panel-clock">{clockText(row.time_s)}</span>
    </span>
  );
}

function PinSign(): JSX.Element {
  return (
    <svg class="msq-panel-pin" viewBox="0 0 16 16" aria-hidden="true">
      <path d="M5.5 2 H10.5 L10 7 L12 9.5 H4 L6 7 Z M8 9.5 V14" />
    </svg>
  );
}
