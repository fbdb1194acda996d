import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { counted } from "./format.ts";
import { AskError } from "../asker.ts";
import type { CheckedAnswer, CheckedRow, KernelAsker } from "../messages.ts";
import type { PresenceTraits } from "../traits.ts";
import { Button, Empty, Failure, Missing, More, Note, Scroll, Sign } from "./parts.tsx";
import { NothingSaved } from "./states.tsx";
import { usePortion, useRows } from "./useRows.ts";

/** So many of the newest versions are checked at a click. */
const FEW = 20;
const NOTHING = {};

export interface CheckProps {
  readonly asker: KernelAsker;
  readonly panel: PresenceTraits;
}

/** The dry run: which versions the code as it is now in the notebook can load. */
export function Check({ asker, panel }: CheckProps): JSX.Element {
  const [failure, setFailure] = useState<AskError>();
  const listing = useRows(asker, "checked", NOTHING, panel.check_stamp);
  const { total, answer, error, isSlow } = listing;
  const { rows, shown, onMore } = usePortion(listing);
  if (panel.saved_number === 0 && panel.saved_state === "none") {
    return <NothingSaved panel={panel} />;
  }
  const act = async (action: Promise<unknown>): Promise<void> => {
    try {
      await action;
      setFailure(undefined);
    } catch (problem) {
      setFailure(AskError.of(problem));
    }
  };
  const isRunning = answer?.running ?? false;
  return (
    <div class="msq-panel-tab">
      <div class="msq-panel-tools">
        {isRunning ? (
          <Button testId="msq-panel-stop-check" onClick={() => void act(asker.ask("stop check", {}))}>
            Stop
          </Button>
        ) : (
          <>
            <Button
              isMain
              testId="msq-panel-check"
              onClick={() => void act(asker.ask("check", { newest: FEW }))}
            >{`Check the newest ${FEW}`}</Button>
            <Button onClick={() => void act(asker.ask("check", { newest: 1_000_000 }))}>Check all</Button>
          </>
        )}
        <span class="msq-panel-quiet" role="status" data-testid="msq-panel-checked">
          {answer === undefined ? "" : progressText(answer)}
        </span>
      </div>
      {failure !== undefined && <Failure error={failure} />}
      <Missing answer={answer} error={error} isSlow={isSlow} />
      {answer !== undefined && answer.error !== "" && <Note tone="bad">{answer.error}</Note>}
      {answer !== undefined && answer.begun && <WhatWasChecked name={panel.model_name} checked={answer} />}
      {answer !== undefined && !answer.begun && (
        <Empty title={`Can ${panel.model_name} load what was saved?`} testId="msq-panel-unchecked">
          <p>
            Each version is loaded with the code as it is now in the notebook, in a copy that nobody else sees. Nothing is
            changed and nothing is saved, so try it before you join with edited code.
          </p>
        </Empty>
      )}
      {total > 0 && (
        <Scroll label="Checked versions">
          <table class="msq-panel-table">
            <thead>
              <tr>
                <th scope="col">Version</th>
                <th scope="col">Loads</th>
                <th scope="col">Schema</th>
                <th scope="col">What happened</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <CheckedLine key={row.number} row={row} />
              ))}
            </tbody>
          </table>
          <More total={total} shown={shown} onMore={onMore} />
        </Scroll>
      )}
    </div>
  );
}

function WhatWasChecked({ name, checked }: { readonly name: string; readonly checked: CheckedAnswer }): JSX.Element | null {
  if (checked.is_old) {
    return <Note tone="warn">{`The code has changed since ${name} was checked: check again.`}</Note>;
  }
  return checked.same_code ? null : (
    <Note>{`Checked is ${name} as it is in the notebook now, which is not what this session runs.`}</Note>
  );
}

/** "loads 12 of 20 so far", "Poll loads all 20 versions". */
function progressText({ begun, running, of, total, title, failed }: CheckedAnswer): string {
  if (running) {
    const bad = failed > 0 ? `, ${failed} failed` : "";
    return `${total} of ${counted(of, "version")}${bad}…`;
  }
  return begun ? title : "";
}

function CheckedLine({ row }: { readonly row: CheckedRow }): JSX.Element {
  const { number, ok, schema, saved_schema, error_type, error, place, note } = row;
  return (
    <tr>
      <th scope="row">{`v${number}`}</th>
      <td class="msq-panel-verdict">
        <Sign tone={ok ? (note === "" ? "good" : "warn") : "bad"} />
        {ok ? "yes" : "no"}
      </td>
      <td>{saved_schema === "" || saved_schema === schema ? schema : `${schema === "" ? "none" : schema} → ${saved_schema}`}</td>
      <td>
        <bdi>{error_type === "" ? note : `${error_type}: ${error}`}</bdi>
        {place !== "" && <div class="msq-panel-quiet">{place}</div>}
      </td>
    </tr>
  );
}
