// The panel: binds its model to the view.

import type { AnyWidget } from "@anywidget/types";
import type { JSX } from "preact";

import { entryOf } from "./entry.tsx";
import { PanelView } from "./panel/Panel.tsx";
import type { PresenceTraits } from "./traits.ts";
import { useSession, type SessionModel } from "./useSession.ts";

function Panel({ model }: { readonly model: SessionModel }): JSX.Element {
  const { presence, state, asker } = useSession(model);
  return <PanelView panel={presence} state={state} asker={asker} />;
}

export default entryOf(Panel) satisfies AnyWidget<PresenceTraits>;
