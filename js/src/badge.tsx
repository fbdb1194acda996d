// The badge: binds its model to the view.

import type { AnyWidget } from "@anywidget/types";
import type { JSX } from "preact";
import { useId, useState } from "preact/hooks";

import { useAgo, useSoon } from "./ago.ts";
import { useSpoken } from "./announce.ts";
import { AskError, type MessageModel } from "./asker.ts";
import { BadgeDetails } from "./BadgeDetails.tsx";
import type { BadgeAsked, Difference, Invitation } from "./badgeMessages.ts";
import { BadgeView } from "./BadgeView.tsx";
import { entryOf } from "./entry.tsx";
import { jupyterAddress } from "./jupyterPage.ts";
import { useKernelGone, useTraits, type ReadableModel } from "./model.ts";
import { BADGE_TRAITS, type BadgeTraits } from "./traits.ts";
import { useAsker } from "./useAsker.ts";
import { isOver, type ShownState } from "./wording.ts";

/** What the badge may do with its model: read, listen, and ask. */
export type BadgeModel = ReadableModel<BadgeTraits> & MessageModel;

function Badge({ model }: { readonly model: BadgeModel }): JSX.Element {
  const badge: BadgeTraits = useTraits(model, BADGE_TRAITS);
  const isGone = useKernelGone(model);
  const state: ShownState = isGone ? "kernel gone" : badge.link_state;
  const ago = useAgo(badge.saved_at_s);
  const soon = useSoon(isOver(state) ? 0 : badge.next_save_s);
  const spoken = useSpoken(badge, state);
  const asker = useAsker<BadgeAsked>(model, isGone);
  const [invitation, setInvitation] = useState<Invitation>();
  const [difference, setDifference] = useState<Difference>();
  const [isOpen, setOpen] = useState(false);
  const detailsId = useId();
  const details = (
    <BadgeDetails
      id={detailsId}
      badge={badge}
      invitation={invitation}
      difference={difference}
      onInvite={(with_password) => {
        void asker.ask("invite", { with_password, page: jupyterAddress() }).then(setInvitation, (failure: unknown) => {
          setInvitation({ line: "", link: "", qr: "", remark: AskError.of(failure).message });
        });
      }}
      onDifference={(view_id) => {
        void asker.ask("difference", { view_id }).then(setDifference, (failure: unknown) => {
          setDifference({ title: AskError.of(failure).message, lines: [] });
        });
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
        // What goes wrong is in `details`, and so on the badge.
        void asker.ask("follow", {}).catch(() => undefined);
      }}
      details={details}
      detailsId={detailsId}
    />
  );
}

export default entryOf(Badge) satisfies AnyWidget<BadgeTraits>;
