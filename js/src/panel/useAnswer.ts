import { useEffect, useState } from "preact/hooks";

import { AskError } from "../asker.ts";
import type { Asked, AskKind, KernelAsker } from "../messages.ts";

/** What became of a question: neither answer nor error is there before the kernel has answered it. */
export interface Outcome<Answer> {
  readonly answer?: Answer;
  readonly error?: AskError;
  /** The last answer, be it to another question. */
  readonly last?: Answer | undefined;
}

/**
 * The answer to one question; it stays while the same question is asked again.
 *
 * @param question What is asked, undefined for nothing; another one when its JSON is another.
 * @param turn Another number when it is to be asked again.
 */
export function useAnswer<Kind extends AskKind>(
  asker: KernelAsker,
  kind: Kind,
  question: Asked[Kind]["question"] | undefined,
  turn = 0,
): Outcome<Asked[Kind]["answer"]> {
  const [outcome, setOutcome] = useState<Outcome<Asked[Kind]["answer"]> & { readonly key?: string }>({});
  const key = question === undefined ? "" : JSON.stringify(question);
  useEffect(() => {
    if (key === "") {
      return undefined;
    }
    let isWanted = true;
    const ask = async (): Promise<void> => {
      let next: Outcome<Asked[Kind]["answer"]>;
      try {
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it was made from one a few lines above
        const answer = await asker.ask(kind, JSON.parse(key) as Asked[Kind]["question"]);
        next = { answer, last: answer };
      } catch (failure) {
        next = { error: AskError.of(failure) };
      }
      if (isWanted) {
        setOutcome(({ last }) => ({ last, ...next, key }));
      }
    };
    void ask();
    return () => {
      isWanted = false;
    };
  }, [asker, kind, key, turn]);
  return outcome.key === key ? outcome : { last: outcome.last };
}
