import { render, type ComponentType } from "preact";

/** What anywidget hands over; hosts before 0.10 have no `signal` and only call what is returned. */
export interface RenderProps<Model> {
  readonly model: Model;
  readonly el: HTMLElement;
  readonly signal?: AbortSignal;
}

/** The entry for anywidget: shows a model in a view, and takes the view down again. */
export function entryOf<Model>(View: ComponentType<{ readonly model: Model }>): {
  readonly render: (props: RenderProps<Model>) => () => void;
} {
  return {
    render: ({ model, el, signal }) => {
      const unmount = (): void => {
        render(null, el);
      };
      render(<View model={model} />, el);
      signal?.addEventListener("abort", unmount, { once: true });
      return unmount;
    },
  };
}
