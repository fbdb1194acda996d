import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";

import type { Asker } from "./asker.ts";
import { clockText, counted, momentText } from "./format.ts";
import type { LogRow, PanelTraits } from "./messages.ts";
import { Copy, Empty, Failure, Loading, More, Sign, type Tone } from "./parts.tsx";
import { PAGE_ROWS } from "./rowStore.ts";
import { useRows } from "./useRows.ts";
import { useSettled } from "./useSettled.ts";

export interface LogProps {
  readonly asker: Asker;
  readonly panel: PanelTraits;
}

/** What happened, the newest first. */
export function Log({ asker, panel }: LogProps): JSX.Element {
  const [typed, setTyped] = useState("");
  const [shown, setShown] = useState(PAGE_ROWS);
  const text = useSettled(typed.trim());
  const question = useMemo(() => ({ text }), [text]);
  const { rowAt, total, answer, error, isSlow, want } = useRows(asker, "log", question, panel.log_stamp);
  useEffect(() => {
    want(0, shown - 1);
  }, [want, shown]);
  const lines = Array.from({ length: Math.min(shown, total) }, (_, index) => rowAt(index)).filter(
    (row): row is LogRow => row !== undefined,
  );
  return (
    <div class="msq-panel-tab">
      <div class="msq-panel-tools">
        <input
          class="msq-panel-input msq-panel-grow"
          type="search"
          placeholder="Filter"
          aria-label="Filter the log"
          data-testid="msq-panel-log-filter"
          value={typed}
          onInput={(event) => {
            setTyped(event.currentTarget.value);
          }}
        />
        <span class="msq-panel-quiet" role="status">
          {answer === undefined ? "" : counted(total, "line")}
        </span>
        {lines.length > 0 && <Copy text={() => logText(lines)}>Copy</Copy>}
      </div>
      {error !== undefined && <Failure error={error} />}
      {answer === undefined && error === undefined && <Loading isSlow={isSlow} />}
      {answer !== undefined && total === 0 && (
        <Empty title={text === "" ? "Nothing has happened yet" : "No line has this text"} />
      )}
      {lines.length > 0 && (
        <section
          class="msq-panel-scroll"
          aria-label="Log"
          // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it scrolls, and the keyboard must reach it
          tabIndex={0}
        >
          <div role="list" aria-label="What happened, newest first">
            {lines.map((line) => (
              <div key={`${line.time_s} ${line.text}`} class="msq-panel-log-line" role="listitem">
                <span class="msq-panel-clock" title={momentText(line.time_s)}>
                  {clockText(line.time_s)}
                </span>
                <LevelSign level={line.level} />
                <bdi class="msq-panel-log-text">{line.text}</bdi>
              </div>
            ))}
          </div>
          <More
            total={total}
            shown={Math.min(shown, total)}
            onMore={() => {
              setShown((last) => last + PAGE_ROWS);
            }}
          />
        </section>
      )}
    </div>
  );
}

const TONES: Readonly<Record<string, Tone>> = { warning: "warn", error: "bad", critical: "bad" };

function LevelSign({ level }: { readonly level: string }): JSX.Element {
  const tone = TONES[level];
  return (
    <span class="msq-panel-level">
      {tone !== undefined && <Sign tone={tone} />}
      <span class="msq-hidden">{tone === undefined ? "" : `${level}: `}</span>
    </span>
  );
}

/** The lines as text, oldest first, to paste into a report. */
export function logText(lines: readonly LogRow[]): string {
  return lines
    .map(({ time_s, level, text }) => `${new Date(time_s * 1000).toISOString()} ${level.padEnd(7)} ${text}`)
    .reduce((text, line) => `${line}\n${text}`, "");
}
