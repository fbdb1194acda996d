import type { JSX } from "preact";

import type { Spoken } from "./announce.ts";

/** What is said aloud, and not seen. */
export function LiveRegions({ spoken }: { readonly spoken: Spoken }): JSX.Element {
  return (
    <>
      <span class="msq-hidden" role="status" aria-live="polite">
        {spoken.polite}
      </span>
      <span class="msq-hidden" role="alert" aria-live="assertive">
        {spoken.urgent}
      </span>
    </>
  );
}
