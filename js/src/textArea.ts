// A text area in which many type at the same moment; `msq_jupyter/widgets/text_area.py` says how.
//
// The kernel moves edits past each other. All there is to do here: send the whole text whenever somebody has typed,
// show the kernel's text only if nothing was typed since, and leave the caret where it was in the words. Who only reads
// says now and then how far that is, so that the kernel need not keep what is seen already.

import { randomName, type MessageModel } from "./asker.ts";
import type { RenderProps } from "./entry.tsx";
import type { ReadableModel } from "./model.ts";
import type { TextAreaTraits } from "./traits.ts";

type TextAreaModel = ReadableModel<TextAreaTraits> & MessageModel;

const TRAITS = ["description", "rows", "disabled", "shown"] as const;

/** After so many texts it says which one it shows. */
const TELL_EVERY = 100;

/** Where a place in the old text is in the next, and what two texts have in common stays around it. */
function placeIn(next: string, old: string): (place: number) => number {
  const shorter = Math.min(old.length, next.length);
  let start = 0;
  while (start < shorter && old[start] === next[start]) {
    start += 1;
  }
  return (place) => (place <= start ? place : Math.max(start, place + next.length - old.length));
}

function render({ model, el, signal }: RenderProps<TextAreaModel>): () => void {
  const label = document.createElement("label");
  const title = document.createElement("span");
  const area = document.createElement("textarea");
  label.className = "msq-text-area";
  label.append(title, area);
  el.append(label);

  const page = randomName(); // two windows may show one widget
  let sent = 1;
  let seen = 0;
  let told = 0;
  let isComposing = false;

  function send(): void {
    sent += 1;
    model.send({ page, number: sent, seen, text: area.value });
  }

  function tell(): void {
    told = seen;
    model.send({ page, number: sent, seen });
  }

  function show(): void {
    const { number, text, acknowledged } = model.get("shown");
    const heard = acknowledged[page];
    area.readOnly = heard === undefined; // not known to the kernel yet, or no longer, or there is none
    if (isComposing || (heard !== undefined && heard !== sent)) {
      return; // typed since
    }
    seen = number;
    if (area.value !== text) {
      const moved = placeIn(text, area.value);
      const caret = [moved(area.selectionStart), moved(area.selectionEnd)] as const;
      area.value = text;
      area.setSelectionRange(...caret);
    }
    if (heard === undefined || seen - told >= TELL_EVERY) {
      tell();
    }
  }

  function update(): void {
    title.textContent = model.get("description");
    area.rows = model.get("rows");
    area.disabled = model.get("disabled");
    show();
  }

  area.addEventListener("input", () => {
    if (!isComposing) {
      send();
    }
  });
  area.addEventListener("compositionstart", () => {
    isComposing = true;
  });
  area.addEventListener("compositionend", () => {
    isComposing = false;
    send();
  });
  // A notebook has commands on single letters.
  for (const name of ["keydown", "keypress", "keyup"] as const) {
    area.addEventListener(name, (event) => {
      event.stopPropagation();
    });
  }
  for (const name of TRAITS) {
    model.on(`change:${name}`, update);
  }
  update();

  function unmount(): void {
    for (const name of TRAITS) {
      model.off(`change:${name}`, update);
    }
    label.remove();
  }
  signal?.addEventListener("abort", unmount, { once: true });
  return unmount;
}

export default { render };
