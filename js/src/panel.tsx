// The entry for anywidget: binds a model to the panel and takes it down again.

import type { AnyWidget } from "@anywidget/types";
import { render, type JSX } from "preact";

import type { MessageModel } from "./asker.ts";
import { useKernelGone, useTraits, type ReadableModel } from "./model.ts";
import { PANEL_TRAITS, type Asked, type PanelTraits } from "./panel/messages.ts";
import { PanelView } from "./panel/Panel.tsx";
import { useAsker } from "./useAsker.ts";
import type { ShownState } from "./wording.ts";

/** What the panel may do with its model: read, listen, and ask. */
export type PanelModel = ReadableModel<PanelTraits> & MessageModel;

export function Panel({ model }: { readonly model: PanelModel }): JSX.Element {
  const panel: PanelTraits = useTraits(model, PANEL_TRAITS);
  const isGone = useKernelGone(model);
  const state: ShownState = isGone ? "kernel gone" : panel.link_state;
  const asker = useAsker<Asked>(model, isGone);
  return <PanelView panel={panel} state={state} asker={asker} />;
}

interface RenderProps {
  readonly model: PanelModel;
  readonly el: HTMLElement;
  readonly signal?: AbortSignal;
}

function renderPanel({ model, el, signal }: RenderProps): () => void {
  const unmount = (): void => {
    render(null, el);
  };
  render(<Panel model={model} />, el);
  signal?.addEventListener("abort", unmount, { once: true });
  return unmount;
}

export default { render: renderPanel } satisfies AnyWidget<PanelTraits>;
