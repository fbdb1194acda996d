import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";

import { SidePicker } from "./Compare.tsx";
import { counted, momentText, planText } from "./format.ts";
import { AskError } from "../asker.ts";
import type { KernelAsker, PlanAnswer } from "../messages.ts";
import type { PresenceTraits } from "../traits.ts";
import { Button, ChangeList, Empty, Failure, Missing, More, Note, Scroll } from "./parts.tsx";
import { NothingSaved } from "./states.tsx";
import { useAnswer } from "./useAnswer.ts";
import { usePortion, useRows, useSlow } from "./useRows.ts";

export interface RestoreProps {
  readonly asker: KernelAsker;
  readonly panel: PresenceTraits;
  /** The version that is to be restored; 0 for none yet. */
  readonly number: number;
  readonly onNumber: (number: number) => void;
  readonly onDone: (what: string) => void;
}

type Stage = "plan" | "confirm" | "going on";

/** Says what restoring a version would change, and for how many people; then does it. */
export function Restore({ asker, panel, number, onNumber, onDone }: RestoreProps): JSX.Element {
  const chosen = number > 0 ? number : panel.saved_number;
  const [place, setPlace] = useState("");
  const [stage, setStage] = useState<Stage>("plan");
  const [error, setError] = useState<AskError>();
  const [turn, setTurn] = useState(0);
  const question = chosen === 0 ? undefined : { number: chosen, place };
  const { answer: plan, error: planError, last } = useAnswer(asker, "plan", question, turn + panel.saved_number);
  // Which places there are, and whose version it is, does not depend on the place.
  const known = last?.version.number === chosen ? last : undefined;
  const isSlow = useSlow(plan === undefined && planError === undefined);
  useEffect(() => {
    setStage("plan");
    setError(undefined);
  }, [chosen, place]);
  useEffect(() => {
    setPlace("");
  }, [chosen]);
  if (chosen === 0) {
    return <NothingSaved panel={panel} />;
  }
  const restore = async (): Promise<void> => {
    setStage("going on");
    try {
      await asker.ask("restore", { number: chosen, place });
      setError(undefined);
      onDone(place === "" ? `v${chosen} is restored` : `${place} is restored from v${chosen}`);
    } catch (failure) {
      setError(AskError.of(failure));
    }
    setStage("plan");
    setTurn((before) => before + 1);
  };
  return (
    <div class="msq-panel-tab">
      <div class="msq-panel-tools">
        <SidePicker
          name="Version"
          testId="msq-panel-restore-number"
          side={chosen}
          newest={panel.saved_number}
          onSide={(side) => {
            onNumber(side === "now" ? panel.saved_number : side);
          }}
        />
        {known !== undefined && <PlacePicker plan={known} place={place} onPlace={setPlace} />}
        {known !== undefined && (
          <span class="msq-panel-quiet">
            <bdi>{known.version.label === "" ? known.version.author : known.version.label}</bdi>
            {`, ${momentText(known.version.time_s)}`}
          </span>
        )}
      </div>
      <Missing answer={plan} error={planError} isSlow={isSlow} />
      {error !== undefined && <Failure error={error} />}
      {plan !== undefined && (
        <Plan
          plan={plan}
          place={place}
          stage={stage}
          people={panel.people.length}
          onAsk={() => {
            setStage("confirm");
          }}
          onCancel={() => {
            setStage("plan");
          }}
          onRestore={() => void restore()}
        />
      )}
      {plan !== undefined && plan.changes > 0 && (
        <WhatChanges key={JSON.stringify(question)} asker={asker} number={chosen} place={place} turn={turn} />
      )}
    </div>
  );
}

interface PlacePickerProps {
  readonly plan: PlanAnswer;
  readonly place: string;
  readonly onPlace: (place: string) => void;
}

function PlacePicker({ plan, place, onPlace }: PlacePickerProps): JSX.Element {
  const isListed = place === "" || plan.places.some(({ path }) => path === place);
  return (
    <label class="msq-panel-side">
      What
      <select
        class="msq-panel-input msq-panel-place"
        data-testid="msq-panel-place"
        value={place}
        onChange={(event) => {
          onPlace(event.currentTarget.value);
        }}
      >
        <option value="">everything</option>
        {!isListed && <option value={place}>{place}</option>}
        {plan.places.map(({ path, count }) => (
          <option key={path} value={path}>{`only ${path} (${counted(count, "change")})`}</option>
        ))}
      </select>
    </label>
  );
}

interface PlanProps {
  readonly plan: PlanAnswer;
  readonly place: string;
  readonly stage: Stage;
  readonly people: number;
  readonly onAsk: () => void;
  readonly onCancel: () => void;
  readonly onRestore: () => void;
}

function Plan({ plan, place, stage, people, onAsk, onCancel, onRestore }: PlanProps): JSX.Element {
  const { number } = plan.version;
  const what = place === "" ? `v${number}` : `${place} from v${number}`;
  const [wasAsked, setWasAsked] = useState(false);
  return (
    <div class="msq-panel-plan" data-testid="msq-panel-plan">
      <p>
        <strong data-testid="msq-panel-plan-text">
          {plan.changes < 0 ? "What will change cannot be told." : planText(plan.changes, people)}
        </strong>{" "}
        {plan.changes !== 0 && "What is there now is saved first, so this can be undone."}
        {plan.changes < 0 && <span class="msq-panel-quiet">{` ${plan.reason}`}</span>}
      </p>
      {stage === "confirm" ? (
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-element-interactions -- Escape on any of its buttons
        <div
          class="msq-panel-confirm"
          role="group"
          aria-label={`Restore ${what}?`}
          onKeyDown={(event) => {
            if (event.key === "Escape") {
              onCancel();
            }
          }}
        >
          <span>{`Restore ${what} for everybody here?`}</span>
          <Button isMain hasFocus testId="msq-panel-confirm" onClick={onRestore}>
            {people > 1 ? `Yes, for ${people} people` : "Yes, restore"}
          </Button>
          <Button testId="msq-panel-cancel" onClick={onCancel}>
            No
          </Button>
        </div>
      ) : (
        <Button
          isMain
          testId="msq-panel-restore"
          isDisabled={plan.changes === 0 || stage === "going on"}
          hasFocus={wasAsked && stage === "plan"}
          onClick={() => {
            setWasAsked(true);
            onAsk();
          }}
        >
          {stage === "going on" ? "Restoring…" : `Restore ${what}…`}
        </Button>
      )}
    </div>
  );
}

interface WhatChangesProps {
  readonly asker: KernelAsker;
  readonly number: number;
  readonly place: string;
  readonly turn: number;
}

function WhatChanges({ asker, number, place, turn }: WhatChangesProps): JSX.Element {
  const question = useMemo(() => ({ a: "now" as const, b: number, part: "data" as const, place }), [number, place]);
  const listing = useRows(asker, "changes", question, turn);
  const { total, answer, error, isSlow } = listing;
  const { rows, shown, onMore } = usePortion(listing);
  if (error !== undefined || answer === undefined) {
    return <Missing answer={answer} error={error} isSlow={isSlow} />;
  }
  if (answer.code_lines > 0 && total === 0) {
    return <Empty title="The data is the same" />;
  }
  return (
    <Scroll label="What will change">
      {answer.code_lines > 0 && (
        <Note>{`v${number} was saved by other code. Check tells whether the code as it is now can load it.`}</Note>
      )}
      <ChangeList label={`What restoring v${number} changes`} rows={rows}>
        <More total={total} shown={shown} onMore={onMore} isItem />
      </ChangeList>
    </Scroll>
  );
}
