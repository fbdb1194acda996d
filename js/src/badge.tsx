// The badge, and the panel below it: binds its model to the views.

import type { AnyWidget } from "@anywidget/types";
import type { JSX } from "preact";
import { useId, useState } from "preact/hooks";

import { useAgo, useSoon } from "./ago.ts";
import { useSpoken } from "./announce.ts";
import { AskError } from "./asker.ts";
import { BadgeDetails } from "./BadgeDetails.tsx";
import { BadgeView } from "./BadgeView.tsx";
import { entryOf } from "./entry.tsx";
import { jupyterAddress } from "./jupyterPage.ts";
import type { Difference, Invitation } from "./messages.ts";
import { PanelView } from "./panel/Panel.tsx";
import type { PresenceTraits } from "./traits.ts";
import { useSession, type SessionModel } from "./useSession.ts";
import { isOver } from "./wording.ts";

function Badge({ model }: { readonly model: SessionModel }): JSX.Element {
  const { presence: badge, state, asker } = useSession(model);
  const ago = useAgo(badge.saved_at_s);
  const soon = useSoon(isOver(state) ? 0 : badge.next_save_s);
  const spoken = useSpoken(badge, state);
  const [invitation, setInvitation] = useState<Invitation>();
  const [difference, setDifference] = useState<Difference & { readonly viewId: string }>();
  const [dismissed, setDismissed] = useState("");
  const [isOpen, setOpen] = useState(false);
  const [isPanelOpen, setPanelOpen] = useState(false);
  const id = useId();
  const details = (
    <BadgeDetails
      id={`${id}-details`}
      badge={badge}
      invitation={invitation}
      difference={badge.others.some(({ view_id }) => view_id === difference?.viewId) ? difference : undefined}
      onInvite={(with_password) => {
        void asker.ask("invite", { with_password, page: jupyterAddress() }).then(setInvitation, (failure: unknown) => {
          setInvitation({ line: "", link: "", qr: "", remark: AskError.of(failure).message });
        });
      }}
      onDifference={(viewId) => {
        const tell = (answer: Difference): void => {
          setDifference({ ...answer, viewId });
        };
        void asker.ask("difference", { view_id: viewId }).then(tell, (failure: unknown) => {
          tell({ title: AskError.of(failure).message, lines: [] });
        });
      }}
    />
  );
  return (
    <>
      <BadgeView
        id={id}
        badge={badge}
        state={state}
        ago={ago}
        soon={soon}
        notice={badge.notice === dismissed ? "" : badge.notice}
        onDismiss={() => {
          setDismissed(badge.notice);
        }}
        spoken={spoken}
        isOpen={isOpen}
        onToggle={() => {
          setOpen(!isOpen);
        }}
        isPanelOpen={isPanelOpen}
        onPanel={() => {
          setPanelOpen(!isPanelOpen);
        }}
        onFollow={() => {
          // What goes wrong is on the badge.
          void asker.ask("follow", {}).catch(() => undefined);
        }}
        details={details}
      />
      {isPanelOpen && <PanelView id={`${id}-panel`} panel={badge} state={state} asker={asker} isBelowBadge />}
    </>
  );
}

export default entryOf(Badge) satisfies AnyWidget<PresenceTraits>;
