import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";

import { counted, countsText, sideOf, sideText } from "./format.ts";
import type { KernelAsker, Side } from "../messages.ts";
import type { PresenceTraits } from "../traits.ts";
import { Button, ChangeList, Empty, Missing, More, Scroll } from "./parts.tsx";
import { NothingSaved } from "./states.tsx";
import { usePortion, useRows } from "./useRows.ts";

export interface CompareProps {
  readonly asker: KernelAsker;
  readonly panel: PresenceTraits;
  readonly sides: Sides;
  readonly onSides: (sides: Sides) => void;
}

export interface Sides {
  readonly a: Side;
  readonly b: Side;
}

/** How the data of one version became another's, and the code that saved it. */
export function Compare({ asker, panel, sides, onSides }: CompareProps): JSX.Element {
  const { a, b } = sides;
  const [part, setPart] = useState<"data" | "code">("data");
  const [turn, setTurn] = useState(0);
  const question = useMemo(() => ({ a, b, part, place: "" }), [a, b, part]);
  const listing = useRows(asker, "changes", question, turn);
  const { total, answer, error, isOld, isSlow } = listing;
  const { rows, shown, onMore } = usePortion(listing, question);
  if (panel.saved_number === 0 && panel.saved_state === "none") {
    return <NothingSaved panel={panel} />;
  }
  const again = (): void => {
    setTurn((last) => last + 1);
  };
  return (
    <div class="msq-panel-tab">
      <div class="msq-panel-tools">
        <SidePicker name="From" testId="msq-panel-from" side={a} newest={panel.saved_number} onSide={(side) => onSides({ a: side, b })} />
        <span aria-hidden="true">→</span>
        <SidePicker name="To" testId="msq-panel-to" side={b} newest={panel.saved_number} onSide={(side) => onSides({ a, b: side })} />
        <Button
          title="Compare the other way round"
          onClick={() => {
            onSides({ a: b, b: a });
          }}
        >
          Swap
        </Button>
        {(a === "now" || b === "now") && (
          <Button onClick={again} title="The model may have changed since">
            Compare again
          </Button>
        )}
      </div>
      <div class="msq-panel-tools">
        <div class="msq-panel-choice" role="group" aria-label="What to compare">
          <Button
            isPressed={part === "data"}
            onClick={() => {
              setPart("data");
            }}
          >
            Data
          </Button>
          <Button
            isPressed={part === "code"}
            testId="msq-panel-code-part"
            onClick={() => {
              setPart("code");
            }}
          >
            Code
          </Button>
        </div>
        <span class="msq-panel-quiet" role="status" data-testid="msq-panel-summary">
          {answer === undefined || isOld
            ? ""
            : `${countsText(answer.counts)}; ${answer.code_lines === 0 ? "the same code" : counted(answer.code_lines, "line of code", "lines of code")}`}
        </span>
      </div>
      <Missing answer={answer} error={error} isSlow={isSlow} onAgain={again} />
      {answer !== undefined && error === undefined && total === 0 && !isOld && (
        <Empty title={`${sideText(a)} and ${sideText(b)} ${part === "data" ? "hold the same data" : "were saved by the same code"}`} />
      )}
      {total > 0 && error === undefined && (
        <Scroll label="Differences" isOld={isOld}>
          <ChangeList label={`From ${sideText(answer?.a ?? a)} to ${sideText(answer?.b ?? b)}`} rows={rows} isCode={part === "code"}>
            <More total={total} shown={shown} onMore={onMore} isItem />
          </ChangeList>
        </Scroll>
      )}
    </div>
  );
}

interface SidePickerProps {
  readonly name: string;
  readonly testId: string;
  readonly side: Side;
  readonly newest: number;
  readonly onSide: (side: Side) => void;
}

/** A version to type, "12", "v12" or "now"; up and down go to the next. */
export function SidePicker({ name, testId, side, newest, onSide }: SidePickerProps): JSX.Element {
  const [text, setText] = useState(sideText(side));
  useEffect(() => {
    setText(sideText(side));
  }, [side]);
  const typed = sideOf(text);
  const take = (): void => {
    if (typed === undefined) {
      setText(sideText(side));
    } else {
      setText(sideText(typed));
      onSide(typed);
    }
  };
  return (
    <label class="msq-panel-side">
      {name}
      <input
        class="msq-panel-input"
        data-testid={testId}
        size={6}
        value={text}
        aria-invalid={typed === undefined}
        title="The number of a version, or now; the arrows up and down go to the next one"
        onInput={(event) => {
          setText(event.currentTarget.value);
        }}
        onBlur={take}
        onKeyDown={(event) => {
          const next = stepped(typed ?? side, event.key, newest);
          if (next !== undefined) {
            event.preventDefault();
            onSide(next);
          } else if (event.key === "Enter") {
            take();
          }
        }}
      />
    </label>
  );
}

/** The side after an arrow key: "now" comes after the newest version; undefined for other keys. */
export function stepped(side: Side, key: string, newest: number): Side | undefined {
  const step = { ArrowUp: 1, ArrowDown: -1 }[key];
  if (step === undefined) {
    return undefined;
  }
  const place = (side === "now" ? newest + 1 : side) + step;
  return place > newest ? "now" : Math.max(place, 1);
}
