import type { JSX } from "preact";
import { useCallback, useId, useRef, useState } from "preact/hooks";

import { useSpoken } from "../announce.ts";
import { useFleeting } from "../useFleeting.ts";
import { LiveRegions } from "../LiveRegions.tsx";
import { isHeldByCell, type ShownState } from "../wording.ts";
import { Check } from "./Check.tsx";
import { Compare, type Sides } from "./Compare.tsx";
import { Head } from "./Head.tsx";
import { Inspect } from "./Inspect.tsx";
import { Log } from "./Log.tsx";
import type { KernelAsker, Side } from "../messages.ts";
import type { PresenceTraits } from "../traits.ts";
import { Note } from "./parts.tsx";
import { Restore } from "./Restore.tsx";
import { StateNote } from "./states.tsx";
import type { Memory } from "./useKept.ts";
import { Versions } from "./Versions.tsx";

const TABS = ["Inspect", "Versions", "Compare", "Restore", "Check", "Log"] as const;
type Tab = (typeof TABS)[number];

/** How long the outcome of an action is shown, in milliseconds. */
const DONE_MS = 6000;

export interface PanelViewProps {
  readonly panel: PresenceTraits;
  readonly state: ShownState;
  readonly asker: KernelAsker;
  readonly id?: string;
  /** The badge above says already who is there and how the session is doing. */
  readonly isBelowBadge?: boolean;
}

export function PanelView({ panel, state, asker, id: rootId, isBelowBadge = false }: PanelViewProps): JSX.Element {
  const [tab, setTab] = useState<Tab>("Inspect");
  const [sides, setSides] = useState<Sides>();
  const [restoring, setRestoring] = useState(0);
  const [done, setDone] = useFleeting(DONE_MS);
  const [memory] = useState<Memory>(() => new Map());
  const spoken = useSpoken(panel, state);
  const id = useId();
  const bodyRef = useRef<HTMLDivElement>(null);
  /** Goes to a tab, and takes the focus along: the control that led there is gone. */
  const go = useCallback((to: Tab): void => {
    setTab(to);
    requestAnimationFrame(() => {
      bodyRef.current?.focus();
    });
  }, []);
  const compare = useCallback(
    (a: Side, b: Side): void => {
      setSides({ a, b });
      go("Compare");
    },
    [go],
  );
  const restore = useCallback(
    (number: number): void => {
      setRestoring(number);
      go("Restore");
    },
    [go],
  );
  const isHeld = isHeldByCell(state, panel.waiting_ms);
  const shared = { asker, panel } as const;
  const body = ((): JSX.Element => {
    switch (tab) {
      case "Inspect":
        return <Inspect {...shared} memory={memory} />;
      case "Versions":
        return <Versions {...shared} memory={memory} onCompare={compare} onRestore={restore} onDone={setDone} />;
      case "Compare":
        return <Compare {...shared} sides={sides ?? { a: Math.max(panel.saved_number, 1), b: "now" }} onSides={setSides} />;
      case "Restore":
        return <Restore {...shared} number={restoring} onNumber={setRestoring} onDone={setDone} />;
      case "Check":
        return <Check {...shared} />;
      case "Log":
        return <Log {...shared} />;
    }
  })();
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- it only keeps keys in
    <div
      id={rootId}
      class={`msq-presence msq-panel${isBelowBadge ? " msq-panel-below" : ""}`}
      role="region"
      aria-label={`Persistence of ${panel.name}`}
      data-testid="msq-panel"
      data-state={state}
      data-seq={panel.seq}
      // Without it JupyterLab's command mode takes the keys: D twice, and the cell is gone.
      data-lm-suppress-shortcuts="true"
      onKeyDown={keepKeys}
    >
      <div class="msq-panel-frame">
        <Head asker={asker} panel={panel} state={state} onDone={setDone} isBelowBadge={isBelowBadge} />
        <StateNote panel={panel} state={state} />
        {isHeld && <Note testId="msq-panel-held">A cell is running: answers come when it ends.</Note>}
        <TabList tab={tab} id={id} onTab={setTab} />
        <div
          ref={bodyRef}
          id={`${id}-body`}
          class="msq-panel-body"
          role="tabpanel"
          aria-labelledby={`${id}-${tab}`}
          tabIndex={-1}
        >
          {body}
        </div>
        <div class={`msq-panel-done${done === "" ? "" : " msq-panel-done-shown"}`} role="status" data-testid="msq-panel-done">
          {done}
        </div>
      </div>
      {!isBelowBadge && <LiveRegions spoken={spoken} />}
    </div>
  );
}

/** Hosts without `data-lm-suppress-shortcuts` listen further out; Escape stays theirs, as the way out. */
function keepKeys(event: KeyboardEvent): void {
  if (event.key !== "Escape") {
    event.stopPropagation();
  }
}

interface TabListProps {
  readonly tab: Tab;
  readonly id: string;
  readonly onTab: (tab: Tab) => void;
}

function TabList({ tab, id, onTab }: TabListProps): JSX.Element {
  const listRef = useRef<HTMLDivElement>(null);
  const onKeyDown = (event: KeyboardEvent): void => {
    const to = tabAfter(TABS, tab, event.key);
    if (to !== undefined) {
      event.preventDefault();
      onTab(to);
      listRef.current?.querySelector<HTMLElement>(`[data-tab="${to}"]`)?.focus();
    }
  };
  return (
    <div ref={listRef} class="msq-panel-tabs" role="tablist" aria-label="Persistence" tabIndex={-1} onKeyDown={onKeyDown}>
      {TABS.map((one) => (
        <button
          key={one}
          type="button"
          id={`${id}-${one}`}
          class="msq-panel-tab-button"
          role="tab"
          aria-selected={one === tab}
          aria-controls={`${id}-body`}
          tabIndex={one === tab ? 0 : -1}
          data-tab={one}
          onClick={() => {
            onTab(one);
          }}
        >
          {one}
        </button>
      ))}
    </div>
  );
}

/** The tab that a key leads to, round and round; undefined for other keys. */
export function tabAfter<Name>(tabs: readonly Name[], tab: Name, key: string): Name | undefined {
  const place = tabs.indexOf(tab);
  const to = { ArrowRight: place + 1, ArrowLeft: place - 1 + tabs.length, Home: 0, End: tabs.length - 1 }[key];
  return to === undefined ? undefined : tabs[to % tabs.length];
}
