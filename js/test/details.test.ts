import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import entry from "../src/badge.tsx";
import type { BadgeTraits } from "../src/traits.ts";
import { badgeWith, FakeModel } from "./fakeModel.ts";

let el: HTMLElement;

beforeEach(() => {
  vi.useFakeTimers();
  el = document.createElement("div");
  document.body.replaceChildren(el);
});

afterEach(() => {
  vi.useRealTimers();
});

async function show(details: Partial<BadgeTraits["details"]> = {}): Promise<FakeModel> {
  const model = new FakeModel({ details: { ...badgeWith().details, ...details } });
  entry.render({ model, el });
  await settle();
  return model;
}

async function settle(): Promise<void> {
  await vi.advanceTimersByTimeAsync(100);
}

function maybe(testId: string): HTMLElement | null {
  return el.querySelector<HTMLElement>(`[data-testid="${testId}"]`);
}

function find(testId: string): HTMLElement {
  const found = maybe(testId);
  if (found === null) {
    throw new Error(`no ${testId} in ${el.innerHTML}`);
  }
  return found;
}

async function click(testId: string): Promise<void> {
  find(testId).click();
  await settle();
}

const BEN = { view_id: "v9", label: "Ben", is_newer: true };

describe("the badge's details", () => {
  it("are closed until a click, say so to screen readers, and close again", async () => {
    await show();
    const toggle = find("msq-toggle");
    expect(toggle.getAttribute("aria-expanded")).toBe("false");
    expect(maybe("msq-details")).toBeNull();
    await click("msq-toggle");
    expect(toggle.getAttribute("aria-expanded")).toBe("true");
    expect(find("msq-details").id).toBe(toggle.getAttribute("aria-controls"));
    expect(find("msq-details").getAttribute("aria-label")).toBe("Details of lesson-1");
    await click("msq-toggle");
    expect(maybe("msq-details")).toBeNull();
  });

  it("name everybody, who runs other code, and how far the synchronizer is", async () => {
    await show({ others: [BEN, { view_id: "v8", label: "Cy", is_newer: false }] });
    await click("msq-toggle");
    const people = [...find("msq-details-people").querySelectorAll("li")].map((item) => item.textContent);
    expect(people).toEqual([
      "Ada Lovelace (you)",
      "Ben",
      "Ben: newer code Show the difference",
      "Cy: other code Show the difference",
    ]);
    expect(find("msq-synchronizer").textContent).toBe("wss://sync · 12 ms");
  });

  it("leave out a latency that is not known", async () => {
    await show({ latency_ms: -1 });
    await click("msq-toggle");
    expect(find("msq-synchronizer").textContent).toBe("wss://sync");
  });

  it("ask for an invitation, without the password unless that is asked for", async () => {
    const model = await show();
    await click("msq-toggle");
    await click("msq-invite");
    await click("msq-invite-with-password");
    expect(model.asked).toEqual([
      { kind: "invite", with_password: false },
      { kind: "invite", with_password: true },
    ]);
    model.answer({ kind: "invitation", line: "%msq join x", link: "https://h/join#x", qr: "<svg/>", remark: "told" });
    await settle();
    expect(find("msq-invitation").querySelector("code")?.textContent).toBe("%msq join x");
    expect(find("msq-invitation").querySelector("a")?.getAttribute("href")).toBe("https://h/join#x");
    expect(find("msq-invitation").querySelector("img")?.getAttribute("src")).toBe("data:image/svg+xml,%3Csvg%2F%3E");
  });

  it("show no invitation to who did not ask: another browser has the same badge", async () => {
    const model = await show();
    await click("msq-toggle");
    model.answer({ kind: "invitation", line: "secret", link: "", qr: "", remark: "" });
    model.answer("nonsense");
    await settle();
    expect(maybe("msq-invitation")).toBeNull();
  });

  it("show the difference to somebody's code as text", async () => {
    const model = await show({ others: [BEN] });
    await click("msq-toggle");
    await click("msq-show-difference");
    expect(model.asked).toEqual([{ kind: "difference", view_id: "v9" }]);
    model.answer({ kind: "difference", title: "1 line added", lines: ["@@ -1 +1 @@", " a", "+<b>"] });
    await settle();
    expect(find("msq-difference").querySelector("pre")?.textContent).toBe("@@ -1 +1 @@\n a\n+<b>\n");
    expect(find("msq-difference").querySelector(".msq-badge-added")?.textContent).toBe("+<b>\n");
  });
});

describe("edited code", () => {
  it("is said on the badge, and waits for a click", async () => {
    const model = await show({ edit_state: "ready", edit_title: "Counter was edited: loads all" });
    expect(find("msq-edit-title").textContent).toBe("Counter was edited: loads all");
    await click("msq-follow");
    expect(model.asked).toEqual([{ kind: "follow" }]);
  });

  it.each(["checking", "refused", "moving"] as const)("offers no click while it is %s", async (edit_state) => {
    await show({ edit_state, edit_title: "x" });
    expect(find("msq-edit").dataset["edit"]).toBe(edit_state);
    expect(maybe("msq-follow")).toBeNull();
  });

  it("is not there when nothing was edited", async () => {
    await show();
    expect(maybe("msq-edit")).toBeNull();
  });
});
