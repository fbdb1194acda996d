import { useEffect, useRef, useState } from "preact/hooks";

import type { Person, PresenceTraits } from "./traits.ts";
import { stateInWords, type ShownState } from "./wording.ts";

/** A model may save every few seconds; someone who listens to the page wants to hear of it now and then. */
const SECONDS_BETWEEN_SPOKEN_SAVES = 30;

/** The part of the badge that is worth saying aloud when it changes. */
export interface Hearable extends Pick<
  PresenceTraits,
  "people" | "saved_state" | "saved_number" | "saved_by" | "saved_error" | "notice"
> {
  readonly state: ShownState;
}

/** Text for the two live regions; what was said last stays until there is something new to say. */
export interface Spoken {
  readonly polite: string;
  readonly urgent: string;
}

/** What to say of a change; "" for nothing. The time since a save is never spoken. */
export function announcement(before: Hearable, after: Hearable, isSaveSpoken: boolean): Spoken {
  const polite: string[] = [];
  const urgent: string[] = [];
  if (after.state !== before.state) {
    const isBad = after.state === "failed" || after.state === "kernel gone";
    (isBad ? urgent : polite).push(`Session ${stateInWords(after.state, 0)}`);
  }
  polite.push(...sayComingAndGoing(before.people, after.people));
  if (after.saved_state === "failed" && before.saved_state !== "failed") {
    urgent.push(after.saved_error === "" ? "Save failed" : `Save failed: ${after.saved_error}`);
  } else if (isSaveSpoken && after.saved_state === "saved" && after.saved_number !== before.saved_number) {
    polite.push(`Version ${after.saved_number} saved${after.saved_by === "" ? "" : ` by ${after.saved_by}`}`);
  }
  if (after.notice !== "" && after.notice !== before.notice) {
    polite.push(after.notice);
  }
  return { polite: polite.join(". "), urgent: urgent.join(". ") };
}

function sayComingAndGoing(before: readonly Person[], after: readonly Person[]): string[] {
  return [...sayTogether(othersMissingIn(before, after), "joined"), ...sayTogether(othersMissingIn(after, before), "left")];
}

/** Who of `people`, apart from oneself, is not in `list`. */
function othersMissingIn(list: readonly Person[], people: readonly Person[]): Person[] {
  const ids = new Set(list.map(({ view_id }) => view_id));
  return people.filter(({ view_id, is_me }) => !is_me && !ids.has(view_id));
}

/** A class that comes in together is one sentence, not thirty. */
function sayTogether(people: readonly Person[], verb: string): string[] {
  if (people.length === 0) {
    return [];
  }
  const who = people.length <= 3 ? people.map(({ label }) => label).join(", ") : `${people.length} people`;
  return [`${who} ${verb}`];
}

/** Keeps the text of the live regions. Nothing is said of what was there when the badge appeared. */
export function useSpoken(presence: PresenceTraits, state: ShownState): Spoken {
  const [spoken, setSpoken] = useState<Spoken>({ polite: "", urgent: "" });
  const beforeRef = useRef<Hearable>({ ...presence, state });
  const spokenSaveRef = useRef(0);
  useEffect(() => {
    const before = beforeRef.current;
    const isSaveSpoken = presence.saved_at_s - spokenSaveRef.current >= SECONDS_BETWEEN_SPOKEN_SAVES;
    const { polite, urgent } = announcement(before, { ...presence, state }, isSaveSpoken);
    if (isSaveSpoken && presence.saved_number !== before.saved_number) {
      spokenSaveRef.current = presence.saved_at_s;
    }
    beforeRef.current = { ...presence, state };
    if (polite !== "" || urgent !== "") {
      setSpoken((last) => ({
        polite: polite === "" ? last.polite : polite,
        urgent: urgent === "" ? last.urgent : urgent,
      }));
    }
  }, [presence, state]);
  return spoken;
}
