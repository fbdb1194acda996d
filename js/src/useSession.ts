import { useEffect, useMemo } from "preact/hooks";

import { Asker, type MessageModel } from "./asker.ts";
import type { Asked, KernelAsker } from "./messages.ts";
import { useKernelGone, useTraits, type ReadableModel } from "./model.ts";
import { PRESENCE_TRAITS, type PresenceTraits } from "./traits.ts";
import type { ShownState } from "./wording.ts";

/** What a badge or panel may do with its model: read, listen, and ask. */
export type SessionModel = ReadableModel<PresenceTraits> & MessageModel;

/** A session as a badge or panel has it. */
export interface ShownSession {
  readonly presence: PresenceTraits;
  readonly state: ShownState;
  /** Asks the kernel, for as long as the component is mounted and the kernel is there. */
  readonly asker: KernelAsker;
}

/** The session behind a model, for as long as the component is mounted. */
export function useSession(model: SessionModel): ShownSession {
  const presence: PresenceTraits = useTraits(model, PRESENCE_TRAITS);
  const isGone = useKernelGone(model);
  const asker = useMemo(() => new Asker<Asked>(model), [model]);
  useEffect(() => () => {
    asker.close();
  }, [asker]);
  useEffect(() => {
    asker.setGone(isGone);
  }, [asker, isGone]);
  return { presence, state: isGone ? "kernel gone" : presence.link_state, asker };
}
