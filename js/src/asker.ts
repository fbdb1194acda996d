/** The part of anywidget's model that carries custom messages. */
export interface MessageModel {
  send(content: unknown): void;
  on(event: "msg:custom", callback: (content: unknown) => void): void;
  off(event: "msg:custom", callback: (content: unknown) => void): void;
}

/** For each kind of question: what goes along, and what comes back. */
export type Contract<Kind extends PropertyKey> = Readonly<
  Record<Kind, { readonly question: object; readonly answer: unknown }>
>;

/** Why a question has no answer; made by the kernel, or by `Asker` when there is no kernel. */
export class AskError extends Error {
  override readonly name: string;

  constructor(type: string, text: string) {
    super(text);
    this.name = type;
  }

  /** What was thrown, as an AskError. */
  static of(failure: unknown): AskError {
    return failure instanceof AskError ? failure : new AskError("Error", String(failure));
  }
}

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: AskError) => void;
}

/**
 * Asks the kernel and waits for its answers.
 *
 * Answers go to every browser that shows the notebook, so each has a name of its own.
 */
export class Asker<Questions extends Contract<keyof Questions>> {
  readonly #model: MessageModel;
  readonly #client = randomName();
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;
  #isGone = false;

  constructor(model: MessageModel) {
    this.#model = model;
    model.on("msg:custom", this.#receive);
  }

  /** Rejects with an AskError: what the kernel says, "KernelGone", or "Superseded" by a later question. */
  ask<Kind extends keyof Questions>(
    kind: Kind,
    question: Questions[Kind]["question"],
  ): Promise<Questions[Kind]["answer"]> {
    return this.#ask(kind, question);
  }

  /** Some rows of a listing. */
  rows<Kind extends keyof Questions>(
    kind: Kind,
    question: Questions[Kind]["question"],
    start: number,
    count: number,
  ): Promise<Questions[Kind]["answer"]> {
    return this.#ask(kind, { ...question, start, count });
  }

  #ask<Result>(kind: keyof Questions, question: object): Promise<Result> {
    if (this.#isGone) {
      return Promise.reject(gone());
    }
    this.#last += 1;
    const id = this.#last;
    return new Promise<Result>((resolve, reject) => {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the kernel keeps the contract
      this.#waiting.set(id, { resolve: (answer) => resolve(answer as Result), reject });
      this.#model.send({ ask: kind, client: this.#client, id, ...question });
    });
  }

  /** The kernel behind the model is gone, or there again. */
  setGone(isGone: boolean): void {
    this.#isGone = isGone;
    if (isGone) {
      this.#rejectAll();
    }
  }

  close(): void {
    this.#model.off("msg:custom", this.#receive);
    this.#rejectAll();
  }

  #rejectAll(): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) {
      reject(gone());
    }
  }

  readonly #receive = (content: unknown): void => {
    if (!isAnswer(content) || content.client !== this.#client) {
      return;
    }
    const waiting = this.#waiting.get(content.id);
    this.#waiting.delete(content.id);
    if (content.ok) {
      waiting?.resolve(content.answer);
    } else {
      const { type, text } = content.error ?? { type: "Superseded", text: "" };
      waiting?.reject(new AskError(type, text));
    }
  };
}

type Answer = {
  readonly client: string;
  readonly id: number;
} & (
  | { readonly ok: true; readonly answer: unknown }
  | { readonly ok: false; readonly error: { readonly type: string; readonly text: string } | null }
);

function isAnswer(content: unknown): content is Answer {
  return typeof content === "object" && content !== null && "client" in content && "id" in content && "ok" in content;
}

function gone(): AskError {
  return new AskError("KernelGone", "The kernel is gone: run the cell that joins the session again.");
}

/** What a page calls itself: answers go to all that show the notebook. */
export function randomName(): string {
  // Not `crypto.randomUUID`, which pages without TLS do not have.
  const bytes = crypto.getRandomValues(new Uint8Array(9));
  return Array.from(bytes, (byte) => byte.toString(36).padStart(2, "0")).join("");
}
