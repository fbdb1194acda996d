import { beforeEach, describe, expect, it } from "vitest";

import entry from "../src/textArea.ts";
import type { TextAreaTraits } from "../src/traits.ts";
import { emptyPage } from "./emptyPage.ts";
import { FakeModel } from "./fakeModel.ts";

const { el } = emptyPage(0);

type Message = Readonly<Record<"page" | "text", string>> & Readonly<Record<"number" | "seen", number>>;

/** A model that keeps what the page sends. */
class Kernel extends FakeModel<TextAreaTraits> {
  readonly sent: Message[] = [];

  override send(content: unknown): void {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what is asserted is looked at
    this.sent.push(content as Message);
  }

  /** Shows a text that has in it what the page has sent so far. */
  show(number: number, text: string, last = this.sent.at(-1)): void {
    this.receive({ shown: { number, text, acknowledged: last === undefined ? {} : { [last.page]: last.number } } });
  }
}

let kernel: Kernel, unmount: () => void;

beforeEach(() => {
  const shown = { number: 7, text: "tea", acknowledged: {} };
  kernel = new Kernel({ description: "notes", rows: 4, disabled: false, shown });
  unmount = entry.render({ model: kernel, el: el() });
});

function area(): HTMLTextAreaElement {
  const found = el().querySelector("textarea");
  if (found === null) {
    throw new Error("no text area");
  }
  return found;
}

function type(text: string): void {
  area().value = text;
  area().dispatchEvent(new Event("input"));
}

describe("the text area", () => {
  it("shows the text at once, and takes none before the kernel knows of the page", () => {
    expect(area().value).toBe("tea");
    expect(area().readOnly).toBe(true);
    expect(kernel.sent).toMatchObject([{ number: 1, seen: 7 }]);
    kernel.show(8, "tea");
    expect(area().readOnly).toBe(false);
    expect(el().textContent).toBe("notes");
    expect(area().getAttribute("rows")).toBe("4");
  });

  it("sends what is typed, with the number of the text it was typed into", () => {
    kernel.show(8, "tea");
    type("teas");
    expect(kernel.sent.at(-1)).toMatchObject({ number: 2, seen: 8, text: "teas" });
  });

  it("shows no text that lacks what was typed", () => {
    kernel.show(8, "tea");
    type("teas");
    kernel.show(9, "hot tea", kernel.sent[0]);
    expect(area().value).toBe("teas");
    type("teas!");
    expect(kernel.sent.at(-1)).toMatchObject({ number: 3, seen: 8 });
    kernel.show(10, "hot teas!");
    expect(area().value).toBe("hot teas!");
  });

  it.each([
    ["before the caret", "hot tea", 2, 6],
    ["behind it", "tea, hot", 2, 2],
    ["around it", "", 2, 0],
    ["at it", "txea", 1, 1],
  ])("keeps the caret in its word when somebody types %s", (_, text, before, after) => {
    kernel.show(8, "tea");
    area().setSelectionRange(before, before);
    kernel.show(9, text);
    expect([area().selectionStart, area().selectionEnd]).toEqual([after, after]);
  });

  it("waits with a word that is being put together from several keys", () => {
    kernel.show(8, "tea");
    area().dispatchEvent(new Event("compositionstart"));
    type("tea´");
    kernel.show(9, "hot tea");
    expect(area().value).toBe("tea´");
    area().value = "teaé";
    area().dispatchEvent(new Event("compositionend"));
    expect(kernel.sent.at(-1)).toMatchObject({ number: 2, seen: 8, text: "teaé" });
  });

  it("says now and then what it shows, to a kernel that need not keep what is seen", () => {
    for (let number = 8; number < 400; number += 1) {
      kernel.show(number, `tea ${number}`, kernel.sent[0]);
    }
    expect(kernel.sent.map(({ seen }) => seen)).toEqual([7, 107, 207, 307]);
    expect(kernel.sent.every(({ number, text }) => number === 1 && text === undefined)).toBe(true);
  });

  it("makes itself known again to a kernel that has forgotten it, with the kernel's text", () => {
    kernel.show(8, "tea");
    type("teas");
    kernel.receive({ shown: { number: 9, text: "coffee", acknowledged: {} } });
    expect(area().value).toBe("coffee");
    expect(area().readOnly).toBe(true);
    expect(kernel.sent.at(-1)).toMatchObject({ number: 2, seen: 9 });
    expect(kernel.sent.at(-1)?.text).toBe(undefined);
    kernel.show(10, "coffee");
    expect(area().readOnly).toBe(false);
  });

  it("keeps its keys from the notebook, and ends without leftovers", () => {
    let heard = 0;
    el().addEventListener("keydown", () => {
      heard += 1;
    });
    area().dispatchEvent(new KeyboardEvent("keydown", { key: "d", bubbles: true }));
    expect(heard).toBe(0);
    kernel.receive({ disabled: true });
    expect(area().disabled).toBe(true);
    unmount();
    expect(kernel.listenerCount).toBe(0);
    expect(el().childElementCount).toBe(0);
  });
});
