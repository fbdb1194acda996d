import type { ComponentChildren, JSX } from "preact";

import type { ShownState } from "./wording.ts";

/** Each state has a shape of its own, so the colour only repeats what shape and word say. */
export function StateSign({ state }: { readonly state: ShownState }): JSX.Element {
  return (
    <svg class={`msq-state-sign msq-state-sign-${state.replace(" ", "-")}`} viewBox="0 0 12 12" aria-hidden="true">
      {shapeOf(state)}
    </svg>
  );
}

function shapeOf(state: ShownState): ComponentChildren {
  switch (state) {
    case "joining":
    case "catching up":
      return (
        <>
          <circle class="msq-state-track" cx="6" cy="6" r="4.25" />
          <path d="M6 1.75 A4.25 4.25 0 0 1 10.25 6" />
        </>
      );
    case "live":
      return <circle class="msq-state-solid" cx="6" cy="6" r="4.25" />;
    case "away":
      return <circle class="msq-state-dashes" cx="6" cy="6" r="4.25" />;
    case "closed":
      return <circle cx="6" cy="6" r="4.25" />;
    case "failed":
    case "kernel gone":
      return <path d="M2.5 2.5 L9.5 9.5 M9.5 2.5 L2.5 9.5" />;
  }
}
