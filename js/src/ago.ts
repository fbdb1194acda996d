import { useEffect, useState } from "preact/hooks";

const MINUTE_S = 60;
const HOUR_S = 60 * MINUTE_S;
export const DAY_S = 24 * HOUR_S;

/** From `from_s` on, an age is shown in `unit`s and changes every `step_s`: seconds, then slower as it gets older. */
const SCALE = [
  { from_s: DAY_S, step_s: DAY_S, unit_s: DAY_S, unit: "d" },
  { from_s: HOUR_S, step_s: HOUR_S, unit_s: HOUR_S, unit: "h" },
  { from_s: MINUTE_S, step_s: MINUTE_S, unit_s: MINUTE_S, unit: "min" },
  { from_s: 20, step_s: 5, unit_s: 1, unit: "s" },
  { from_s: 2, step_s: 1, unit_s: 1, unit: "s" },
] as const;

/** The words for one age, and the number of seconds until they change. */
export interface Ago {
  readonly text: string;
  readonly changesIn_s: number;
}

/**
 * Says how long ago something was.
 *
 * @param age_s Age in seconds; a negative one (the kernel's clock is ahead of the browser's) counts as zero.
 */
export function ago(age_s: number): Ago {
  const age = Math.max(0, age_s);
  for (const { from_s, step_s, unit_s, unit } of SCALE) {
    if (age >= from_s) {
      const shown_s = Math.floor(age / step_s) * step_s;
      return { text: `${shown_s / unit_s} ${unit} ago`, changesIn_s: shown_s + step_s - age };
    }
  }
  return { text: "just now", changesIn_s: 2 - age };
}

/**
 * The words for the age of `at_s`, counting up by themselves with one timer.
 *
 * @param at_s Seconds since 1970; 0 for "never", which gives "" and no timer.
 */
export function useAgo(at_s: number): string {
  const [now_s, setNow] = useState(readClock);
  useEffect(() => {
    if (at_s <= 0) {
      return undefined;
    }
    let timer: ReturnType<typeof setTimeout>;
    const turn = (): void => {
      const turn_s = readClock();
      setNow(turn_s);
      // Timers may fire a little early: the extra 20 ms saves a turn that would change nothing.
      timer = setTimeout(turn, ago(turn_s - at_s).changesIn_s * 1000 + 20);
    };
    turn();
    return () => {
      clearTimeout(timer);
    };
  }, [at_s]);
  return at_s > 0 ? ago(now_s - at_s).text : "";
}

function readClock(): number {
  return Date.now() / 1000;
}

/**
 * Says how far away something is: "in 3 s", and "" once it is not.
 *
 * @param wait_s Seconds until then.
 */
export function soon(wait_s: number): string {
  const whole_s = Math.ceil(wait_s);
  if (whole_s <= 0) {
    return "";
  }
  return whole_s < MINUTE_S ? `in ${whole_s} s` : `in ${Math.ceil(wait_s / MINUTE_S)} min`;
}

/**
 * The words for how far away `at_s` is, counting down by themselves.
 *
 * @param at_s Seconds since 1970; 0 for "never", which gives "" and no timer.
 */
export function useSoon(at_s: number): string {
  const [now_s, setNow] = useState(readClock);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const turn = (): void => {
      const turn_s = readClock();
      setNow(turn_s);
      const wait_s = at_s - turn_s;
      if (wait_s > 0) {
        // Until the number of whole seconds that is shown changes, and a little more: timers may fire early.
        timer = setTimeout(turn, (wait_s - Math.ceil(wait_s) + 1) * 1000 + 20);
      }
    };
    if (at_s > 0) {
      turn();
    }
    return () => {
      clearTimeout(timer);
    };
  }, [at_s]);
  return at_s > 0 ? soon(at_s - now_s) : "";
}
