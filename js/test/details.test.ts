import { afterEach, describe, expect, it, vi } from "vitest";

import entry from "../src/badge.tsx";
import type { PresenceTraits } from "../src/traits.ts";
import { emptyPage } from "./emptyPage.ts";
import { presenceWith, FakeModel, type Kernel } from "./fakeModel.ts";

const { el, settle, byTestId, maybe, click } = emptyPage(100);

async function show(values: Partial<PresenceTraits> = {}, kernel: Kernel = {}): Promise<FakeModel<PresenceTraits>> {
  const model = new FakeModel(presenceWith(values), kernel);
  entry.render({ model, el: el() });
  await settle();
  return model;
}

const BEN = { view_id: "v9", label: "Ben", differs_in: "newer code" } as const;

const INVITATION = { line: "%msq join x", link: "https://h/join#x", qr: "", remark: "told" } as const;

function refuse(): never {
  // oxlint-disable-next-line typescript/only-throw-error -- what the kernel sends
  throw { type: "ArgumentError", text: "Ben has left" };
}

describe("the badge's details", () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it("are closed until a click, say so to screen readers, and close again", async () => {
    await show();
    const toggle = byTestId("msq-toggle");
    expect(toggle.getAttribute("aria-expanded")).toBe("false");
    expect(maybe("msq-details")).toBeNull();
    await click("msq-toggle");
    expect(toggle.getAttribute("aria-expanded")).toBe("true");
    expect(byTestId("msq-details").id).toBe(toggle.getAttribute("aria-controls"));
    expect(byTestId("msq-details").getAttribute("aria-label")).toBe("Details of lesson-1");
    await click("msq-toggle");
    expect(maybe("msq-details")).toBeNull();
  });

  it("name everybody, who runs other code, and how far the synchronizer is", async () => {
    const cy = { view_id: "v8", label: "Cy", differs_in: "other code" } as const;
    await show({ others: [BEN, cy, { view_id: "v7", label: "Di", differs_in: "other options" }] });
    await click("msq-toggle");
    const people = [...byTestId("msq-details-people").querySelectorAll("li")].map((item) => item.textContent);
    expect(people).toEqual([
      "Ada Lovelace (you)",
      "Ben",
      "Ben: newer code Show the difference",
      "Cy: other code Show the difference",
      "Di: other options ",
    ]);
    expect(byTestId("msq-synchronizer").textContent).toBe("wss://sync · 12 ms");
  });

  it("leave out a latency that is not known", async () => {
    await show({ latency_ms: -1 });
    await click("msq-toggle");
    expect(byTestId("msq-synchronizer").textContent).toBe("wss://sync");
  });

  it("ask for an invitation, without the password unless that is asked for", async () => {
    const model = await show({}, {
      invite: ({ with_password }) => ({
        line: `%msq join ${with_password === true ? "secret" : "x"}`,
        link: "https://h/join#x",
        qr: "<svg/>",
        remark: "told",
      }),
    });
    await click("msq-toggle");
    await click("msq-invite");
    expect(byTestId("msq-invitation").querySelector("code")?.textContent).toBe("%msq join x");
    expect(byTestId("msq-invitation").querySelector("a")?.getAttribute("href")).toBe("https://h/join#x");
    expect(byTestId("msq-invitation").querySelector("img")?.getAttribute("src")).toBe("data:image/svg+xml,%3Csvg%2F%3E");
    await click("msq-invite-with-password");
    expect(byTestId("msq-invitation").querySelector("code")?.textContent).toBe("%msq join secret");
    expect(model.asked).toMatchObject([
      { ask: "invite", with_password: false, page: "" },
      { ask: "invite", with_password: true },
    ]);
  });

  it("copy the invitation's line or its link, and say so for a while", async () => {
    const writeText = vi.fn<(text: string) => Promise<void>>(() => Promise.resolve());
    vi.stubGlobal("navigator", { clipboard: { writeText } });
    await show({}, { invite: () => INVITATION });
    await click("msq-toggle");
    await click("msq-invite");
    expect(byTestId("msq-copy-line").textContent).toBe("Copy the line");
    await click("msq-copy-line");
    await click("msq-copy-link");
    expect(writeText.mock.calls).toEqual([["%msq join x"], ["https://h/join#x"]]);
    expect(byTestId("msq-copy-line").textContent).toBe("Copied");
    expect(byTestId("msq-invitation").querySelector('[role="status"]')?.textContent).toBe("Copied");
    await vi.advanceTimersByTimeAsync(2000);
    expect(byTestId("msq-copy-line").textContent).toBe("Copy the line");
  });

  it.each([
    [true, "Copied"],
    [false, "The browser refused"],
  ])("copy what is selected on a page that has no clipboard (%s)", async (isAllowed, says) => {
    vi.stubGlobal("navigator", {}); // as without TLS
    const selected: string[] = [];
    document.execCommand = (): boolean => {
      const area = document.activeElement;
      selected.push(area instanceof HTMLTextAreaElement ? area.value.slice(area.selectionStart, area.selectionEnd) : "");
      return isAllowed;
    };
    await show({}, { invite: () => ({ ...INVITATION, link: "" }) });
    await click("msq-toggle");
    await click("msq-invite");
    expect(maybe("msq-copy-link")).toBeNull();
    byTestId("msq-copy-line").focus();
    await click("msq-copy-line");
    expect(selected).toEqual(["%msq join x"]);
    expect(byTestId("msq-copy-line").textContent).toBe(says);
    expect(document.activeElement).toBe(byTestId("msq-copy-line"));
    expect(document.querySelector("textarea")).toBeNull();
  });

  it("show no invitation to who did not ask for that one: another browser has the same badge", async () => {
    const model = await show();
    await click("msq-toggle");
    const secret = { ok: true, answer: { line: "secret", link: "", qr: "", remark: "" } };
    model.tell({ client: "another", id: 1, ...secret });
    model.tell("nonsense");
    await settle();
    expect(maybe("msq-invitation")).toBeNull();
    await click("msq-invite");
    model.tell({ client: "another", id: 1, ...secret });
    model.tell({ kind: "invitation", ...secret.answer });
    await settle();
    expect(maybe("msq-invitation")).toBeNull();
  });

  it("show the difference to somebody's code as text", async () => {
    const model = await show({ others: [BEN] }, {
      difference: () => ({ title: "1 line added", lines: ["@@ -1 +1 @@", " a", "+<b>"] }),
    });
    await click("msq-toggle");
    await click("msq-show-difference");
    expect(model.asked).toMatchObject([{ ask: "difference", view_id: "v9" }]);
    expect(byTestId("msq-difference").querySelector("pre")?.textContent).toBe("@@ -1 +1 @@\n a\n+<b>\n");
    expect(byTestId("msq-difference").querySelector(".msq-badge-added")?.textContent).toBe("+<b>\n");
  });

  it("do not keep the difference to somebody who runs other code no more", async () => {
    const model = await show({ others: [BEN] }, { difference: () => ({ title: "1 line added", lines: [] }) });
    await click("msq-toggle");
    await click("msq-show-difference");
    expect(maybe("msq-difference")).not.toBeNull();
    model.receive({ others: [] });
    await settle();
    expect(maybe("msq-difference")).toBeNull();
  });

  it("say why there is no answer", async () => {
    await show({ others: [BEN] }, { invite: refuse, difference: refuse });
    await click("msq-toggle");
    await click("msq-show-difference");
    expect(byTestId("msq-difference").textContent).toBe("Ben has left");
    await click("msq-invite");
    expect(byTestId("msq-invitation").textContent).toBe("Ben has left");
  });
});

describe("a notice", () => {
  it("goes with a click, and the next one is shown", async () => {
    const model = await show({ notice: "Poll.vote: KeyError: 'maybe'" });
    expect(byTestId("msq-notice").textContent).toBe("Poll.vote: KeyError: 'maybe'");
    await click("msq-dismiss");
    expect(maybe("msq-notice")).toBeNull();
    model.receive({ latency_ms: 13 });
    await settle();
    expect(maybe("msq-notice")).toBeNull();
    model.receive({ notice: "Ben runs newer code" });
    await settle();
    expect(byTestId("msq-notice").textContent).toBe("Ben runs newer code");
  });
});

describe("the panel below the badge", () => {
  const KERNEL: Kernel = { tree: () => ({ total: 0, rows: [] }) };

  it("is opened and closed by a button, and asks nothing before", async () => {
    const model = await show({}, KERNEL);
    const toggle = byTestId("msq-open-panel");
    expect(toggle.getAttribute("aria-expanded")).toBe("false");
    expect(maybe("msq-panel")).toBeNull();
    expect(model.asked).toEqual([]);
    await click("msq-open-panel");
    expect(toggle.getAttribute("aria-expanded")).toBe("true");
    expect(byTestId("msq-panel").id).toBe(toggle.getAttribute("aria-controls"));
    expect(model.asked.map(({ ask }) => ask)).toEqual(["tree"]);
    await click("msq-toggle");
    expect(maybe("msq-details")).not.toBeNull();
    expect(el().querySelectorAll('[data-testid="msq-panel"]').length).toBe(1);
    await click("msq-open-panel");
    expect(maybe("msq-panel")).toBeNull();
    expect(maybe("msq-details")).not.toBeNull();
  });

  it("does not say again who is there, neither in words nor aloud", async () => {
    const model = await show({}, KERNEL);
    await click("msq-open-panel");
    expect(byTestId("msq-panel").querySelector("h2")).toBeNull();
    expect(byTestId("msq-panel-code").textContent).toBe("all run the same code");
    model.receive({ people: [] });
    model.receive({ link_state: "failed", error: "gone" });
    await settle();
    expect([...el().querySelectorAll('[aria-live="assertive"]')].map(({ textContent }) => textContent)).toEqual(["Session failed"]);
  });
});

describe("edited code", () => {
  it("is said on the badge, and waits for a click", async () => {
    const model = await show({ edit_state: "ready", edit_title: "Counter was edited: loads all" });
    expect(byTestId("msq-edit-title").textContent).toBe("Counter was edited: loads all");
    await click("msq-follow");
    expect(model.asked).toMatchObject([{ ask: "follow" }]);
  });

  it.each(["checking", "refused", "moving"] as const)("offers no click while it is %s", async (edit_state) => {
    await show({ edit_state, edit_title: "x" });
    expect(byTestId("msq-edit").dataset["edit"]).toBe(edit_state);
    expect(maybe("msq-follow")).toBeNull();
  });

  it("is not there when nothing was edited", async () => {
    await show();
    expect(maybe("msq-edit")).toBeNull();
  });
});
