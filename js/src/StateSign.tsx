import type { ComponentChildren, JSX } from "preact";

import type { ShownState } from "./wording.ts";

export interface StateSignProps {
  readonly state: ShownState;
  /** What the classes begin with: "msq-badge" for the badge. */
  readonly prefix: string;
}

/** Each state has a shape of its own, so the colour only repeats what shape and word say. */
export function StateSign({ state, prefix }: StateSignProps): JSX.Element {
  return (
    <svg class={`${prefix}-sign ${prefix}-sign-${state.replace(" ", "-")}`} viewBox="0 0 12 12" aria-hidden="true">
      {shapeOf(state, prefix)}
    </svg>
  );
}

function shapeOf(state: ShownState, prefix: string): ComponentChildren {
  switch (state) {
    case "joining":
    case "catching up":
      return (
        <>
          <circle class={`${prefix}-track`} cx="6" cy="6" r="4.25" />
          <path d="M6 1.75 A4.25 4.25 0 0 1 10.25 6" />
        </>
      );
    case "live":
      return <circle class={`${prefix}-solid`} cx="6" cy="6" r="4.25" />;
    case "away":
      return <circle class={`${prefix}-dashes`} cx="6" cy="6" r="4.25" />;
    case "closed":
      return <circle cx="6" cy="6" r="4.25" />;
    case "failed":
    case "kernel gone":
      return <path d="M2.5 2.5 L9.5 9.5 M9.5 2.5 L2.5 9.5" />;
  }
}
