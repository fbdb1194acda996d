import { useLayoutEffect, useState } from "preact/hooks";

/**
 * What a view may do with its model: read and listen. The model of anywidget can do more; this narrower type makes a
 * write from the browser an error of the compiler.
 */
export interface ReadableModel<Traits> {
  get<Key extends keyof Traits & string>(key: Key): Traits[Key];
  on(event: string, callback: (this: unknown) => void): void;
  off(event: string, callback: (this: unknown) => void): void;
}

/**
 * The values of some traits, kept up to date for as long as the component is mounted.
 *
 * The same object is returned until a value changes. `names` has to be a constant.
 */
export function useTraits<Traits, Name extends keyof Traits & string>(
  model: ReadableModel<Traits>,
  names: readonly Name[],
): Pick<Traits, Name> {
  const [values, setValues] = useState(() => readTraits(model, names));
  // A layout effect runs in the same turn as the first render, so no change can fall between the two.
  useLayoutEffect(() => {
    const update = (): void => {
      setValues(() => readTraits(model, names));
    };
    for (const name of names) {
      model.on(`change:${name}`, update);
    }
    return () => {
      for (const name of names) {
        model.off(`change:${name}`, update);
      }
    };
  }, [model, names]);
  return values;
}

function readTraits<Traits, Name extends keyof Traits & string>(
  model: ReadableModel<Traits>,
  names: readonly Name[],
): Pick<Traits, Name> {
  const values: Partial<Pick<Traits, Name>> = {};
  for (const name of names) {
    values[name] = model.get(name);
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the loop above has set each name
  return values as Pick<Traits, Name>;
}

/**
 * Whether the kernel behind the model is gone.
 *
 * Jupyter's widget manager tells a model so when the kernel restarts, dies or is shut down. What a notebook was saved
 * with, and is shown again without its kernel, never had one. Hosts without such a manager (marimo) never send the event,
 * and the answer stays false.
 */
export function useKernelGone<Traits>(model: ReadableModel<Traits>): boolean {
  const [isGone, setGone] = useState(() => isFromFile(model));
  useLayoutEffect(() => {
    function update(this: unknown): void {
      setGone(!(isCommLive(this) ?? false));
    }
    model.on("comm_live_update", update);
    return () => {
      model.off("comm_live_update", update);
    };
  }, [model]);
  return isGone;
}

/** Whether the model was made from a saved notebook. Its layout is a model of Jupyter's own, which tells. */
function isFromFile(model: unknown): boolean {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a trait of every widget, and not one of ours
  const layout = (model as ReadableModel<{ layout: unknown }>).get("layout");
  return hasKey(layout, "comm_live") && layout.comm_live === false;
}

/**
 * The event has no argument, and anywidget's model has no `comm_live`; but Backbone calls a listener with the host's
 * view as `this`, which knows its full model. Undefined where that is not so; there the event can only mean the end,
 * because a comm is made live before any view can listen.
 */
function isCommLive(hostView: unknown): boolean | undefined {
  if (!hasKey(hostView, "model") || !hasKey(hostView.model, "comm_live")) {
    return undefined;
  }
  const live = hostView.model.comm_live;
  return typeof live === "boolean" ? live : undefined;
}

function hasKey<Key extends string>(value: unknown, key: Key): value is Record<Key, unknown> {
  return typeof value === "object" && value !== null && key in value;
}
