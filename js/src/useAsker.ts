import { useEffect, useMemo } from "preact/hooks";

import { Asker, type Contract, type MessageModel } from "./asker.ts";

/** Asks the kernel behind a model, for as long as the component is mounted and the kernel is there. */
export function useAsker<Questions extends Contract<keyof Questions>>(
  model: MessageModel,
  isGone: boolean,
): Asker<Questions> {
  const asker = useMemo(() => new Asker<Questions>(model), [model]);
  useEffect(() => () => {
    asker.close();
  }, [asker]);
  useEffect(() => {
    asker.setGone(isGone);
  }, [asker, isGone]);
  return asker;
}
