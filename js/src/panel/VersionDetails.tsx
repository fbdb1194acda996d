import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";

import { countsText, momentText, reasonText, sideText, sizeText } from "./format.ts";
import { AskError } from "../asker.ts";
import type { KernelAsker, Side, VersionRow } from "../messages.ts";
import { Button, ChangeList, Empty, Failure, Missing } from "./parts.tsx";
import { firstRows, useRows } from "./useRows.ts";

const LINE_WORDS: Readonly<Record<string, string>> = {
  head: "the head: new sessions start from it",
  branch: "the end of a branch, beside the head",
};

/** So many changes make a preview; Compare shows all. */
const PREVIEW_LINES = 12;

export interface VersionDetailsProps {
  readonly asker: KernelAsker;
  readonly version: VersionRow | undefined;
  readonly onCompare: (a: Side, b: Side) => void;
  readonly onRestore: (number: number) => void;
  readonly onDone: (what: string) => void;
}

/** What is known of one version, what it changed, and what one can do with it. */
export function VersionDetails({ version, ...rest }: VersionDetailsProps): JSX.Element {
  return (
    <section
      class="msq-panel-details"
      aria-label={version === undefined ? "Preview" : `Preview of v${version.number}`}
      data-testid="msq-panel-details"
      // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it scrolls, and the keyboard must reach it
      tabIndex={0}
    >
      {version === undefined ? (
        <Empty title="Choose a version to see what it changed" />
      ) : (
        <Known key={version.number} version={version} {...rest} />
      )}
    </section>
  );
}

interface KnownProps extends VersionDetailsProps {
  readonly version: VersionRow;
}

function Known({ asker, version, onCompare, onRestore, onDone }: KnownProps): JSX.Element {
  const { number, parent } = version;
  const [error, setError] = useState<AskError>();
  const act = async (action: Promise<unknown>, done: string): Promise<void> => {
    try {
      await action;
      setError(undefined);
      onDone(done);
    } catch (failure) {
      setError(AskError.of(failure));
    }
  };
  return (
    <>
      <h3 class="msq-panel-title">
        <span class="msq-panel-number">{`v${number}`}</span> <bdi>{version.label}</bdi>
      </h3>
      <div class="msq-panel-actions">
        <Button
          isMain
          testId="msq-panel-to-restore"
          onClick={() => {
            onRestore(number);
          }}
        >
          Restore…
        </Button>
        <Button
          testId="msq-panel-to-compare"
          onClick={() => {
            onCompare(number, "now");
          }}
        >
          Compare with now
        </Button>
        <Button
          isPressed={version.pinned}
          title="Pruning leaves pinned versions alone"
          testId="msq-panel-pin"
          onClick={() =>
            void act(
              asker.ask("pin", { number, pinned: !version.pinned }),
              version.pinned ? `v${number} is not pinned any more` : `v${number} is pinned`,
            )
          }
        >
          {version.pinned ? "Pinned" : "Pin"}
        </Button>
      </div>
      {error !== undefined && <Failure error={error} />}
      <LabelForm
        version={version}
        onLabel={(text) =>
          void act(
            asker.ask("label", { number, text }),
            text === "" ? `v${number} has no name any more` : `v${number} is named ${text}`,
          )
        }
      />
      <dl class="msq-panel-facts">
        <Fact name="Saved">{momentText(version.time_s)}</Fact>
        <Fact name="By">{version.author}</Fact>
        <Fact name="Why">{reasonText(version)}</Fact>
        <Fact name="Size">
          {`${sizeText(version.size_bytes)}, ${sizeText(version.stored_bytes)} on the disk`}
        </Fact>
        {version.schema !== "" && (
          <Fact name="Schema">{`${version.schema}${version.is_new_schema ? ", new here" : ""}`}</Fact>
        )}
        <Fact name="Code">{`${version.code}${version.is_new_code ? ", new here" : ""}`}</Fact>
        {parent > 0 && <Fact name="Grew from">{`v${parent}`}</Fact>}
        {version.line !== "" && <Fact name="Line">{LINE_WORDS[version.line] ?? version.line}</Fact>}
      </dl>
      <Preview asker={asker} number={number} onCompare={onCompare} />
    </>
  );
}

function Fact({ name, children }: { readonly name: string; readonly children: string }): JSX.Element {
  return (
    <>
      <dt>{name}</dt>
      <dd>
        <bdi>{children}</bdi>
      </dd>
    </>
  );
}

interface LabelFormProps {
  readonly version: VersionRow;
  readonly onLabel: (text: string) => void;
}

function LabelForm({ version, onLabel }: LabelFormProps): JSX.Element {
  const [text, setText] = useState(version.label);
  useEffect(() => {
    setText(version.label);
  }, [version.label]);
  return (
    <form
      class="msq-panel-tools"
      onSubmit={(event) => {
        event.preventDefault();
        onLabel(text.trim());
      }}
    >
      <input
        class="msq-panel-input msq-panel-grow"
        aria-label={`Name of v${version.number}`}
        placeholder="Name this version"
        data-testid="msq-panel-label"
        maxLength={120}
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
        }}
      />
      <button type="submit" class="msq-panel-button" disabled={text.trim() === version.label}>
        {version.label === "" ? "Name" : text.trim() === "" ? "Unname" : "Rename"}
      </button>
    </form>
  );
}

interface PreviewProps {
  readonly asker: KernelAsker;
  readonly number: number;
  readonly onCompare: (a: Side, b: Side) => void;
}

function Preview({ asker, number, onCompare }: PreviewProps): JSX.Element {
  const question = useMemo(() => ({ a: 0, b: number, part: "data" as const, place: "" }), [number]);
  const listing = useRows(asker, "changes", question, 0);
  const { total, answer, error, isSlow } = listing;
  if (error !== undefined || answer === undefined) {
    return <Missing answer={answer} error={error} isSlow={isSlow} />;
  }
  if (answer.a === 0) {
    return <p class="msq-panel-quiet">This is the first version: there is nothing before it.</p>;
  }
  const { a, code_lines } = answer;
  return (
    <>
      <h4 class="msq-panel-subtitle">
        {`Since ${sideText(a)}: ${countsText(answer.counts)}${code_lines > 0 ? ", other code" : ""}`}
      </h4>
      <ChangeList label={`What v${number} changed`} rows={firstRows(listing, PREVIEW_LINES)} />
      {(total > PREVIEW_LINES || code_lines > 0) && (
        <Button
          onClick={() => {
            onCompare(a, number);
          }}
        >
          {code_lines > 0 ? "Show all, and the code" : `Show all ${total.toLocaleString("en")}`}
        </Button>
      )}
    </>
  );
}
