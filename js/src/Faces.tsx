import type { JSX } from "preact";

import { colourNumber, countInWords, initials, namesInWords } from "./people.ts";
import type { Person } from "./traits.ts";

const FACES_SHOWN = 5;

export interface PeopleProps {
  readonly people: readonly Person[];
  readonly class: string;
  readonly testId?: string;
}

/** Who is there: a few faces and how many they are; all names in the tooltip. */
export function People({ people, class: className, testId }: PeopleProps): JSX.Element {
  const names = namesInWords(people);
  return (
    <span
      class={className}
      data-testid={testId}
      role="group"
      aria-label={`${countInWords(people.length)}: ${names}`}
      title={names}
    >
      <span class="msq-faces" aria-hidden="true">
        {people.slice(0, FACES_SHOWN).map(({ view_id, label, is_me }) => (
          <Face key={view_id} name={label} isMe={is_me} />
        ))}
      </span>
      {countInWords(people.length)}
    </span>
  );
}

export interface FaceProps {
  /** The colour follows it, too: a version has no more than its author's name. */
  readonly name: string;
  readonly isMe?: boolean;
  readonly title?: string;
}

/** The letters of a name in a circle; a picture only, so the name has to be said beside it. */
export function Face({ name, isMe = false, title }: FaceProps): JSX.Element {
  return (
    <span
      class={`msq-face msq-face-${colourNumber(name)}${isMe ? " msq-face-me" : ""}`}
      data-initials={initials(name)}
      title={title}
      aria-hidden="true"
    />
  );
}
