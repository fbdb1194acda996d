import type { AskableModel, Request } from "../src/asking.ts";
import type { BadgeTraits } from "../src/traits.ts";

const LIVE: BadgeTraits = {
  name: "lesson-1",
  app_id: "edu.school.demo",
  link_state: "live",
  people: [
    { view_id: "v1", label: "Ada Lovelace", is_me: true },
    { view_id: "v2", label: "Ben", is_me: false },
  ],
  saved_state: "none",
  saved_number: 0,
  saved_at_s: 0,
  saved_by: "",
  saved_error: "",
  next_save_s: 0,
  waiting_ms: 0,
  notice: "",
  details: { synchronizer: "wss://sync", latency_ms: 12, others: [], edit_state: "", edit_title: "" },
};

/** The values of a live session with two people, apart from those given. */
export function badgeWith(values: Partial<BadgeTraits> = {}): BadgeTraits {
  return { ...LIVE, ...values };
}

/** A model as anywidget gives it to a view, with a kernel that the test plays. */
export class FakeModel implements AskableModel<BadgeTraits> {
  /** What the view asked for. */
  readonly asked: Request[] = [];
  #values: BadgeTraits;
  readonly #listeners = new Map<string, Set<(this: unknown, content?: unknown) => void>>();

  constructor(values: Partial<BadgeTraits> = {}) {
    this.#values = badgeWith(values);
  }

  get<Key extends keyof BadgeTraits>(key: Key): BadgeTraits[Key] {
    return this.#values[key];
  }

  on(event: string, callback: (this: unknown, content?: unknown) => void): void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(callback));
  }

  off(event: string, callback: (this: unknown, content?: unknown) => void): void {
    this.#listeners.get(event)?.delete(callback);
  }

  /** What a state message from the kernel does: first all values, then one event for each. */
  receive(values: Partial<BadgeTraits>): void {
    this.#values = { ...this.#values, ...values };
    for (const name of Object.keys(values)) {
      this.fire(`change:${name}`);
    }
  }

  /** Calls the listeners as Backbone does, with the host's view as `this`. */
  fire(event: string, hostView?: unknown): void {
    for (const callback of this.#listeners.get(event) ?? []) {
      callback.call(hostView);
    }
  }

  send(content: Request): void {
    this.asked.push(content);
  }

  /** What an answer of the kernel does. */
  answer(content: unknown): void {
    for (const callback of this.#listeners.get("msg:custom") ?? []) {
      callback(content);
    }
  }

  get listenerCount(): number {
    return [...this.#listeners.values()].reduce((sum, listeners) => sum + listeners.size, 0);
  }
}
