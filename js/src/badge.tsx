// The entry for anywidget: binds a model to the view and takes it down again.

import type { AnyWidget } from "@anywidget/types";
import { render, type JSX } from "preact";
import { useId, useState } from "preact/hooks";

import { useAgo, useSoon } from "./ago.ts";
import { useSpoken } from "./announce.ts";
import { useAnswers, type AskableModel } from "./asking.ts";
import { BadgeDetails } from "./BadgeDetails.tsx";
import { BadgeView } from "./BadgeView.tsx";
import { useKernelGone, useTraits } from "./model.ts";
import { BADGE_TRAITS, type BadgeTraits } from "./traits.ts";
import type { ShownState } from "./wording.ts";

export function Badge({ model }: { readonly model: AskableModel<BadgeTraits> }): JSX.Element {
  const badge: BadgeTraits = useTraits(model, BADGE_TRAITS);
  const state: ShownState = useKernelGone(model) ? "kernel gone" : badge.link_state;
  const ago = useAgo(badge.saved_at_s);
  // Whoever has left, or lost the kernel, saves nothing any more.
  const isOver = state === "closed" || state === "failed" || state === "kernel gone";
  const soon = useSoon(isOver ? 0 : badge.next_save_s);
  const spoken = useSpoken(badge, state);
  const { invitation, difference, ask } = useAnswers(model);
  const [isOpen, setOpen] = useState(false);
  const detailsId = useId();
  const details = (
    <BadgeDetails
      id={detailsId}
      badge={badge}
      invitation={invitation}
      difference={difference}
      onInvite={(with_password) => {
        ask({ kind: "invite", with_password });
      }}
      onDifference={(view_id) => {
        ask({ kind: "difference", view_id });
      }}
    />
  );
  return (
    <BadgeView
      badge={badge}
      state={state}
      ago={ago}
      soon={soon}
      spoken={spoken}
      isOpen={isOpen}
      onToggle={() => {
        setOpen((wasOpen) => !wasOpen);
      }}
      onFollow={() => {
        ask({ kind: "follow" });
      }}
      details={details}
      detailsId={detailsId}
    />
  );
}

/** What anywidget hands over; hosts before 0.10 have no `signal` and only call what is returned. */
interface RenderProps {
  readonly model: AskableModel<BadgeTraits>;
  readonly el: HTMLElement;
  readonly signal?: AbortSignal;
}

function renderBadge({ model, el, signal }: RenderProps): () => void {
  const unmount = (): void => {
    render(null, el);
  };
  render(<Badge model={model} />, el);
  signal?.addEventListener("abort", unmount, { once: true });
  return unmount;
}

export default { render: renderBadge } satisfies AnyWidget<BadgeTraits>;
