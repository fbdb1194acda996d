import type { PanelTraits } from "../../src/panel/messages.ts";
import type { PanelModel } from "../../src/panel.tsx";
import { badgeWith } from "../fakeModel.ts";

const LIVE: PanelTraits = {
  ...badgeWith({ saved_state: "saved", saved_number: 12, saved_at_s: 1_700_000_000, saved_by: "Ada" }),
  seq: 1,
  others: [],
  on_branch: false,
  error_type: "",
  error: "",
  has_hook: true,
  model_name: "Poll",
  code: "0123abcd",
  model_stamp: 0,
  versions_stamp: 0,
  check_stamp: 0,
  log_stamp: 0,
};

export interface AskedMessage {
  readonly ask: string;
  readonly client: string;
  readonly id: number;
  readonly [field: string]: unknown;
}

/** What the kernel of a test answers, by the kind of question; a thrown `{type, text}` is a failure. */
export type Kernel = Readonly<Record<string, (asked: AskedMessage) => unknown>>;

/** A panel's model as anywidget gives it to a view, with a kernel that the test plays. */
export class FakePanel implements PanelModel {
  readonly asked: AskedMessage[] = [];
  #values: PanelTraits;
  readonly #kernel: Kernel;
  readonly #listeners = new Map<string, Set<(content: unknown) => void>>();

  constructor(kernel: Kernel, values: Partial<PanelTraits> = {}) {
    this.#kernel = kernel;
    this.#values = { ...LIVE, ...values };
  }

  get<Key extends keyof PanelTraits>(key: Key): PanelTraits[Key] {
    return this.#values[key];
  }

  on(event: string, callback: (content: unknown) => void): void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(callback));
  }

  off(event: string, callback: (content: unknown) => void): void {
    this.#listeners.get(event)?.delete(callback);
  }

  send(content: unknown): void {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only a panel sends here
    const asked = content as AskedMessage;
    this.asked.push(asked);
    const answer = this.#kernel[asked.ask];
    if (answer !== undefined) {
      queueMicrotask(() => {
        this.fire("msg:custom", { client: asked.client, id: asked.id, ...outcomeOf(answer, asked) });
      });
    }
  }

  /** What a state message from the kernel does: first all values, then one event for each. */
  receive(values: Partial<PanelTraits>): void {
    this.#values = { ...this.#values, ...values };
    for (const name of Object.keys(values)) {
      this.fire(`change:${name}`);
    }
  }

  fire(event: string, content?: unknown): void {
    for (const callback of this.#listeners.get(event) ?? []) {
      callback(content);
    }
  }

  get listenerCount(): number {
    return [...this.#listeners.values()].reduce((sum, listeners) => sum + listeners.size, 0);
  }
}

function outcomeOf(answer: (asked: AskedMessage) => unknown, asked: AskedMessage): object {
  try {
    return { ok: true, answer: answer(asked) };
  } catch (error) {
    return { ok: false, error };
  }
}
