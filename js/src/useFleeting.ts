import { useEffect, useState, type Dispatch, type StateUpdater } from "preact/hooks";

/** A text that is shown for a while: "" again after so many milliseconds. */
export function useFleeting(forMs: number): [string, Dispatch<StateUpdater<string>>] {
  const [text, setText] = useState("");
  useEffect(() => {
    if (text === "") {
      return undefined;
    }
    const timer = setTimeout(() => {
      setText("");
    }, forMs);
    return () => {
      clearTimeout(timer);
    };
  }, [text, forMs]);
  return [text, setText];
}
