// States that are written out: why there is nothing to see, and what to do about it.

import type { JSX } from "preact";

import type { ShownState } from "../wording.ts";
import { Copy } from "../Copy.tsx";
import type { PresenceTraits } from "../traits.ts";
import { Empty, Note, type Tone } from "./parts.tsx";

/** What to paste into a model that saves nothing. */
const HOOK = `def save(self):
    self.persist_session(lambda: {"version": 1, "count": self.count})`;

/** There is no version yet: because nothing was saved, or because the model cannot save. */
export function NothingSaved({ panel }: { readonly panel: PresenceTraits }): JSX.Element {
  if (panel.has_hook) {
    return (
      <Empty title="Nothing has been saved yet" testId="msq-panel-nothing-saved">
        <p>{`The first version appears when ${panel.model_name} calls persist_session.`}</p>
      </Empty>
    );
  }
  return (
    <Empty title={`${panel.model_name} saves nothing`} testId="msq-panel-no-hook">
      <p>
        What is in the model lives only as long as somebody is in the session. Add a method that says what must last, and
        call it where the model changes:
      </p>
      <pre class="msq-panel-snippet">{HOOK}</pre>
      <p>
        <Copy class="msq-panel-button" text={HOOK}>Copy the method</Copy>
      </p>
      <p>
        In <code>init</code>, it comes back as <code>persisted</code>. Then run the cell and join again.
      </p>
    </Empty>
  );
}

interface Ending {
  readonly title: string;
  readonly remedy: string;
}

/** What ended a session, by the class of the error: in words, and what to do. */
const ENDINGS: Readonly<Record<string, Ending>> = {
  WrongPassword: {
    title: "The password is not the one of this session.",
    remedy: "Join again with the password that the others use, or under another name.",
  },
  ReplicaDiverged: {
    title: "This kernel’s models are not the same as everybody else’s.",
    remedy: "Nothing of the others was changed. Run the cell that joins again; if it comes back, run the lint on the model.",
  },
  SynchronizerUnreachable: {
    title: "Nobody answers at the synchronizer.",
    remedy: "Check the network and the address, then run the cell that joins again.",
  },
  SynchronizerRefused: {
    title: "The synchronizer refused the connection.",
    remedy: "Check its address and token, then run the cell that joins again.",
  },
  PersistedDataError: {
    title: "The saved data could not be loaded; nothing was overwritten.",
    remedy: "Mend the model’s init and join again, or join with persisted= and the number of an older version.",
  },
  ModelInitError: { title: "The model’s init failed.", remedy: "Mend it, run its cell and join again." },
};

const OTHER_ENDING: Ending = { title: "The session has ended.", remedy: "Run the cell that joins again." };

/** What to know before everything else: the session is over, away, or kept waiting; "" when all is well. */
function stateNote(panel: PresenceTraits, state: ShownState): { tone: Tone; title: string; remedy: string } | undefined {
  if (state === "kernel gone") {
    return {
      tone: "bad",
      title: "The kernel is gone.",
      remedy: "What you see is the last that it sent. Restart it and run the cell that joins again: what was saved is there.",
    };
  }
  if (state === "failed") {
    return { tone: "bad", ...(ENDINGS[panel.error_type] ?? OTHER_ENDING) };
  }
  if (state === "closed") {
    return {
      tone: "plain",
      title: "The session has been left.",
      remedy: "The model stands still, and versions cannot be asked for. Run the cell that joins again.",
    };
  }
  if (state === "away") {
    return {
      tone: "warn",
      title: "The connection is lost, and being made again.",
      remedy: "What you do is kept and sent then.",
    };
  }
  if (panel.on_branch) {
    return {
      tone: "warn",
      title: "What you save does not become the newest version.",
      remedy: "Others saved under this name meanwhile; compare the two, and restore the one that shall go on.",
    };
  }
  return undefined;
}

export function StateNote({ panel, state }: { readonly panel: PresenceTraits; readonly state: ShownState }): JSX.Element | null {
  const note = stateNote(panel, state);
  if (note === undefined) {
    return null;
  }
  return (
    <Note tone={note.tone} testId="msq-panel-state-note">
      <strong>{note.title}</strong> {note.remedy}
      {state === "failed" && panel.error !== "" && <div class="msq-panel-quiet">{panel.error}</div>}
    </Note>
  );
}
