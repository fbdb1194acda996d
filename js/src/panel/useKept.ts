import { useCallback, useState } from "preact/hooks";

/** What tabs remember while another one is shown. */
export type Memory = Map<string, unknown>;

/** State that outlives the component, as long as the panel is there. */
export function useKept<Value>(memory: Memory, name: string, initial: Value): [Value, (value: Value) => void] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- each name is used in one place
  const [value, setValue] = useState(() => (memory.has(name) ? (memory.get(name) as Value) : initial));
  const keep = useCallback(
    (next: Value): void => {
      memory.set(name, next);
      setValue(next);
    },
    [memory, name],
  );
  return [value, keep];
}
