import { useEffect, useState } from "preact/hooks";

/** What somebody is typing, once the hands rest for a moment: every letter would be a question. */
export function useSettled<Value>(value: Value, delay_ms = 150): Value {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => {
      setSettled(value);
    }, delay_ms);
    return () => {
      clearTimeout(timer);
    };
  }, [value, delay_ms]);
  return settled;
}
