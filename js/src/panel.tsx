// The panel: binds its model to the view.

import type { AnyWidget } from "@anywidget/types";
import type { JSX } from "preact";

import type { MessageModel } from "./asker.ts";
import { entryOf } from "./entry.tsx";
import { useKernelGone, useTraits, type ReadableModel } from "./model.ts";
import { PANEL_TRAITS, type Asked, type PanelTraits } from "./panel/messages.ts";
import { PanelView } from "./panel/Panel.tsx";
import { useAsker } from "./useAsker.ts";
import type { ShownState } from "./wording.ts";

/** What the panel may do with its model: read, listen, and ask. */
export type PanelModel = ReadableModel<PanelTraits> & MessageModel;

function Panel({ model }: { readonly model: PanelModel }): JSX.Element {
  const panel: PanelTraits = useTraits(model, PANEL_TRAITS);
  const isGone = useKernelGone(model);
  const state: ShownState = isGone ? "kernel gone" : panel.link_state;
  const asker = useAsker<Asked>(model, isGone);
  return <PanelView panel={panel} state={state} asker={asker} />;
}

export default entryOf(Panel) satisfies AnyWidget<PanelTraits>;
