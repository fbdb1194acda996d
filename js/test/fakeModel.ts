import type { MessageModel } from "../src/asker.ts";
import type { ReadableModel } from "../src/model.ts";
import type { PresenceTraits } from "../src/traits.ts";

const LIVE: PresenceTraits = {
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
  others: [],
  on_branch: false,
  error_type: "",
  error: "",
  synchronizer: "wss://sync",
  latency_ms: 12,
  edit_state: "",
  edit_title: "",
  has_hook: true,
  model_name: "Poll",
  code: "0123abcd",
  model_stamp: 0,
  versions_stamp: 0,
  check_stamp: 0,
  log_stamp: 0,
  seq: 1,
};

/** The values of a live session with two people, apart from those given. */
export function presenceWith(values: Partial<PresenceTraits> = {}): PresenceTraits {
  return { ...LIVE, ...values };
}

export interface AskedMessage {
  readonly ask: string;
  readonly client: string;
  readonly id: number;
  readonly [field: string]: unknown;
}

/** What the kernel of a test answers, by the kind of question: a thrown `{type, text}` is a failure, undefined no answer. */
export type Kernel = Readonly<Record<string, (asked: AskedMessage) => unknown>>;

type Listener = (this: unknown, content?: unknown) => void;

/** A model as anywidget gives it to a view, with a kernel that the test plays. */
export class FakeModel<Traits extends object> implements ReadableModel<Traits>, MessageModel {
  /** What the view asked for. */
  readonly asked: AskedMessage[] = [];
  #values: Traits;
  readonly #kernel: Kernel;
  readonly #listeners = new Map<string, Set<Listener>>();

  constructor(values: Traits, kernel: Kernel = {}) {
    this.#values = values;
    this.#kernel = kernel;
  }

  get<Key extends keyof Traits & string>(key: Key): Traits[Key] {
    return this.#values[key];
  }

  on(event: string, callback: Listener): void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(callback));
  }

  off(event: string, callback: Listener): void {
    this.#listeners.get(event)?.delete(callback);
  }

  send(content: unknown): void {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only an Asker sends here
    const asked = content as AskedMessage;
    this.asked.push(asked);
    const answer = this.#kernel[asked.ask];
    const outcome = answer === undefined ? undefined : outcomeOf(answer, asked);
    if (outcome !== undefined) {
      queueMicrotask(() => {
        this.tell({ client: asked.client, id: asked.id, ...outcome });
      });
    }
  }

  /** What a message from the kernel does. */
  tell(content: unknown): void {
    for (const callback of this.#listeners.get("msg:custom") ?? []) {
      callback(content);
    }
  }

  /** What a state message from the kernel does: first all values, then one event for each. */
  receive(values: Partial<Traits>): void {
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

  get listenerCount(): number {
    return [...this.#listeners.values()].reduce((sum, listeners) => sum + listeners.size, 0);
  }
}

function outcomeOf(answerTo: (asked: AskedMessage) => unknown, asked: AskedMessage): object | undefined {
  try {
    const answer = answerTo(asked);
    return answer === undefined ? undefined : { ok: true, answer };
  } catch (error) {
    return { ok: false, error };
  }
}
