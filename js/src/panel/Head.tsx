import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";

import { useAgo, useSoon } from "../ago.ts";
import { People } from "../Faces.tsx";
import { isHeldByCell, isOver, savedInWords, stateInWords, type ShownState } from "../wording.ts";
import { StateSign } from "../StateSign.tsx";
import { AskError } from "../asker.ts";
import type { KernelAsker } from "../messages.ts";
import type { Other, PresenceTraits } from "../traits.ts";
import { Button, Note, Sign, type Tone } from "./parts.tsx";
import { useAnswer } from "./useAnswer.ts";

const OTHERS_NAMED = 3;

export interface HeadProps {
  readonly asker: KernelAsker;
  readonly panel: PresenceTraits;
  readonly state: ShownState;
  readonly onDone: (what: string) => void;
}

/** The session's name, how it is doing, who is there and with which code; below it, what is saved. */
export function Head({ asker, panel, state, onDone, isBelowBadge }: HeadProps & { readonly isBelowBadge: boolean }): JSX.Element {
  if (isBelowBadge) {
    return (
      <div class="msq-panel-head">
        <SaveStrip asker={asker} panel={panel} state={state} onDone={onDone}>
          <Code panel={panel} asker={asker} />
        </SaveStrip>
      </div>
    );
  }
  const isHeld = isHeldByCell(state, panel.waiting_ms);
  return (
    <div class="msq-panel-head">
      <div class="msq-panel-head-line">
        <h2 class="msq-panel-name" title={panel.app_id === "" ? panel.name : `${panel.name}\n${panel.app_id}`}>
          <StateSign state={isHeld ? "catching up" : state} />
          <span class="msq-panel-name-text">{panel.name}</span>
        </h2>
        <span class="msq-panel-quiet" data-testid="msq-panel-state">
          {stateInWords(state, panel.waiting_ms)}
        </span>
        {panel.people.length > 0 && <People people={panel.people} class="msq-panel-people" />}
        <span class="msq-panel-grow" />
        <Code panel={panel} asker={asker} />
      </div>
      <SaveStrip asker={asker} panel={panel} state={state} onDone={onDone} />
    </div>
  );
}

/** Whose code agrees, and on a click what the others' differs in. */
function Code({ panel, asker }: { readonly panel: PresenceTraits; readonly asker: KernelAsker }): JSX.Element {
  const { others, code, people } = panel;
  const [isOpen, setOpen] = useState(false);
  if (others.length === 0) {
    const all = people.length > 1 ? "all run the same code" : "";
    return (
      <span class="msq-panel-quiet msq-panel-code-state" data-testid="msq-panel-code" title={`${panel.model_name}, code ${code}`}>
        {all === "" ? `code ${code}` : all}
      </span>
    );
  }
  return (
    <span class="msq-panel-code-state" data-testid="msq-panel-code">
      <Sign tone="warn" />
      <button
        type="button"
        class="msq-panel-link"
        aria-expanded={isOpen}
        onClick={() => {
          setOpen(!isOpen);
        }}
      >
        {othersText(others)}
      </button>
      {isOpen && <Explained asker={asker} others={others} />}
    </span>
  );
}

/** "Ben runs other code", "5 people run the same code with other options". */
function othersText(others: readonly Other[]): string {
  const [first] = others;
  const who = others.length === 1 && first !== undefined ? `${first.label} runs` : `${others.length} people run`;
  const withOptions = others.filter(({ differs_in }) => differs_in === "other options").length;
  if (withOptions === 0) {
    return `${who} other code`;
  }
  return `${who} ${withOptions === others.length ? "the same code with other options" : "other code or options"}`;
}

function Explained({ asker, others }: { readonly asker: KernelAsker; readonly others: readonly Other[] }): JSX.Element {
  return (
    <div class="msq-panel-explained">
      {others.slice(0, OTHERS_NAMED).map((other) => (
        <ExplainedOne key={other.view_id} asker={asker} other={other} />
      ))}
      <p class="msq-panel-quiet">
        Whoever runs the other’s cell joins there. The saved data is the same for both; nothing runs by itself.
      </p>
    </div>
  );
}

function ExplainedOne({ asker, other }: { readonly asker: KernelAsker; readonly other: Other }): JSX.Element {
  const { answer, error } = useAnswer(asker, "explain", { view_id: other.view_id });
  return (
    <div>
      <strong>{other.label}</strong>
      {error !== undefined && <span>{` ${error.message}`}</span>}
      {error === undefined && answer === undefined && <span class="msq-panel-quiet"> asking…</span>}
      <ul>
        {answer?.sentences.map((sentence) => (
          <li key={sentence}>{sentence}</li>
        ))}
      </ul>
    </div>
  );
}

/** What is saved, by whom, and when the next one is due. */
function SaveStrip({ asker, panel, state, onDone, children }: HeadProps & { readonly children?: ComponentChildren }): JSX.Element {
  const ago = useAgo(panel.saved_at_s);
  const isLive = state === "live" || state === "catching up";
  const soon = useSoon(isOver(state) ? 0 : panel.next_save_s);
  const { what, author, version } = savedInWords(panel, ago, soon);
  const [error, setError] = useState("");
  const save = async (): Promise<void> => {
    try {
      await asker.ask("save", { label: "" });
      setError("");
      onDone("Saved");
    } catch (failure) {
      setError(AskError.of(failure).message);
    }
  };
  return (
    <div class="msq-panel-saved" data-testid="msq-panel-saved" data-state={panel.saved_state}>
      <Sign tone={SAVED_TONES[panel.saved_state] ?? "plain"} />
      <span class="msq-panel-grow">
        {`${what}${author}${version}`}
      </span>
      {children}
      {panel.has_hook && isLive && (
        <Button testId="msq-panel-save" onClick={() => void save()}>
          Save now
        </Button>
      )}
      {panel.saved_state === "failed" && panel.saved_error !== "" && (
        <Note tone="bad">{panel.saved_error}</Note>
      )}
      {error !== "" && <Note tone="bad">{error}</Note>}
    </div>
  );
}

const SAVED_TONES: Readonly<Record<string, Tone>> = { saved: "good", failed: "bad" };
