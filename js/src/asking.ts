// What the badge asks of its kernel, by messages: nothing of it is stored with the notebook, as traits can be.

import { useLayoutEffect, useState } from "preact/hooks";

import type { ReadableModel } from "./model.ts";

/** What others need to join; `link` and `qr` (an SVG element) are "" when only this machine can reach the session. */
export interface Invitation {
  readonly line: string;
  readonly link: string;
  readonly qr: string;
  readonly remark: string;
}

/** How our source becomes somebody's; `lines` as in a unified diff. */
export interface Difference {
  readonly title: string;
  readonly lines: readonly string[];
}

export type Request =
  | { readonly kind: "invite"; readonly with_password: boolean }
  | { readonly kind: "difference"; readonly view_id: string }
  | { readonly kind: "follow" };

export type Answer =
  | ({ readonly kind: "invitation" } & Invitation)
  | ({ readonly kind: "difference" } & Difference);

/** A model that can be asked; its answers come to every browser that shows it. */
export interface AskableModel<Traits> extends ReadableModel<Traits> {
  send(content: Request): void;
  on(event: string, callback: (this: unknown, content?: unknown) => void): void;
  off(event: string, callback: (this: unknown, content?: unknown) => void): void;
}

export interface Answers {
  readonly invitation: Invitation | null;
  readonly difference: Difference | null;
  readonly ask: (request: Request) => void;
}

/**
 * Asks, and keeps the last answers. Only who asked sees them: others have the same badge open, and did not ask.
 */
export function useAnswers<Traits>(model: AskableModel<Traits>): Answers {
  const [invitation, setInvitation] = useState<Invitation | null>(null);
  const [difference, setDifference] = useState<Difference | null>(null);
  const [asked] = useState(() => new Set<Answer["kind"]>());
  useLayoutEffect(() => {
    const hear = (content?: unknown): void => {
      if (!isAnswer(content) || !asked.has(content.kind)) {
        return;
      }
      asked.delete(content.kind);
      if (content.kind === "invitation") {
        setInvitation(content);
      } else {
        setDifference(content);
      }
    };
    model.on("msg:custom", hear);
    return () => {
      model.off("msg:custom", hear);
    };
  }, [model, asked]);
  const ask = (request: Request): void => {
    if (request.kind !== "follow") {
      asked.add(request.kind === "invite" ? "invitation" : "difference");
    }
    model.send(request);
  };
  return { invitation, difference, ask };
}

function isAnswer(content: unknown): content is Answer {
  return (
    typeof content === "object" &&
    content !== null &&
    "kind" in content &&
    (content.kind === "invitation" || content.kind === "difference")
  );
}
