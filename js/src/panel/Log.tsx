import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";

import { clockText, counted, momentText } from "./format.ts";
import { Copy } from "../Copy.tsx";
import type { LogRow, KernelAsker } from "../messages.ts";
import type { PresenceTraits } from "../traits.ts";
import { Empty, Missing, More, Scroll, Search, Sign, type Tone } from "./parts.tsx";
import { usePortion, useRows } from "./useRows.ts";
import { useSettled } from "./useSettled.ts";

export interface LogProps {
  readonly asker: KernelAsker;
  readonly panel: PresenceTraits;
}

/** What happened, the newest first. */
export function Log({ asker, panel }: LogProps): JSX.Element {
  const [typed, setTyped] = useState("");
  const text = useSettled(typed.trim());
  const question = useMemo(() => ({ text }), [text]);
  const listing = useRows(asker, "log", question, panel.log_stamp);
  const { total, answer, error, isSlow } = listing;
  const { rows: lines, shown, onMore } = usePortion(listing);
  return (
    <div class="msq-panel-tab">
      <div class="msq-panel-tools">
        <Search label="Filter the log" placeholder="Filter" testId="msq-panel-log-filter" value={typed} onValue={setTyped} />
        <span class="msq-panel-quiet" role="status">
          {answer === undefined ? "" : counted(total, "line")}
        </span>
        {lines.length > 0 && <Copy class="msq-panel-button" text={() => logText(lines)}>Copy</Copy>}
      </div>
      <Missing answer={answer} error={error} isSlow={isSlow} />
      {answer !== undefined && total === 0 && (
        <Empty title={text === "" ? "Nothing has happened yet" : "No line has this text"} />
      )}
      {lines.length > 0 && (
        <Scroll label="Log">
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
          <More total={total} shown={shown} onMore={onMore} />
        </Scroll>
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
function logText(lines: readonly LogRow[]): string {
  return lines
    .map(({ time_s, level, text }) => `${new Date(time_s * 1000).toISOString()} ${level.padEnd(7)} ${text}`)
    .reduce((text, line) => `${line}\n${text}`, "");
}
