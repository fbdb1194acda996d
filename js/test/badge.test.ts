import { describe, expect, it, vi } from "vitest";

import entry from "../src/badge.tsx";
import { PRESENCE_TRAITS, type LinkState, type PresenceTraits } from "../src/traits.ts";
import { emptyPage, NOON_S } from "./emptyPage.ts";
import { presenceWith, FakeModel } from "./fakeModel.ts";

const { el, settle, byTestId } = emptyPage(100);

async function show(values: Partial<PresenceTraits> = {}): Promise<{ model: FakeModel<PresenceTraits>; unmount: () => void }> {
  const model = new FakeModel(presenceWith(values));
  const unmount = entry.render({ model, el: el() });
  await settle();
  return { model, unmount };
}

function text(testId: string): string {
  return byTestId(testId).textContent;
}

describe("the badge", () => {
  it.each<[LinkState, string]>([
    ["joining", "joining…"],
    ["catching up", "catching up…"],
    ["live", "live"],
    ["away", "reconnecting…"],
    ["closed", "closed"],
    ["failed", "failed"],
  ])("shows the state %j in words and for tests", async (link_state, words) => {
    await show({ link_state });
    expect(text("msq-state")).toBe(words);
    expect(byTestId("msq-badge").dataset["state"]).toBe(link_state);
  });

  it("says the state by shape too", async () => {
    const { model } = await show();
    const shapes = new Set<string>();
    for (const link_state of ["joining", "live", "away", "closed", "failed"] as const) {
      model.receive({ link_state });
      // oxlint-disable-next-line no-await-in-loop -- one state after the other is the point
      await settle();
      shapes.add(el().querySelector("svg")?.innerHTML ?? "");
    }
    expect(shapes.size).toBe(5);
  });

  it("follows the kernel", async () => {
    const { model } = await show();
    expect(text("msq-people")).toBe("2 people");
    model.receive({ people: [], saved_state: "saved", saved_number: 7, saved_at_s: NOON_S, saved_by: "Ben" });
    await settle();
    expect(text("msq-people")).toBe("");
    expect(text("msq-saved")).toBe("saved just now by Ben · v7");
    expect(byTestId("msq-badge").dataset).toMatchObject({ people: "0", version: "7" });
  });

  it("names people in the tooltip and shows at most five of them as letters", async () => {
    const people = ["Ada", "Ben", "Cy", "Dora", "Eve", "Fay"].map((label) => ({ view_id: label, label, is_me: false }));
    await show({ people });
    expect(byTestId("msq-people").title).toBe("Ada, Ben, Cy, Dora, Eve, Fay");
    expect(el().querySelectorAll("[data-initials]")).toHaveLength(5);
    expect(text("msq-people")).toBe("6 people");
  });

  it.each<[Partial<PresenceTraits>, string]>([
    [{ saved_state: "none" }, "nothing saved yet"],
    [{ saved_state: "dirty", saved_number: 2 }, "not saved yet"],
    [{ saved_state: "dirty", next_save_s: NOON_S + 2.6 }, "saving in 3 s"],
    [{ saved_state: "saving", saved_number: 2 }, "saving…"],
    [{ saved_state: "saved", saved_number: 3, saved_at_s: NOON_S - 12, saved_by: "Ada" }, "saved 12 s ago by Ada · v3"],
    [{ saved_state: "saved", saved_number: 3, saved_at_s: NOON_S - 12 }, "saved 12 s ago · v3"],
    [{ saved_state: "failed" }, "save failed"],
    [{ saved_state: "failed", next_save_s: NOON_S + 2 }, "save failed, trying again in 2 s"],
    [{ saved_state: "failed", saved_number: 3, saved_at_s: NOON_S - 130 }, "save failed · last is v3, 2 min ago"],
  ])("says of %j: %s", async (values, words) => {
    await show(values);
    expect(text("msq-saved")).toBe(words);
  });

  it("says why a save failed, and a notice only while there is one", async () => {
    const { model } = await show({ saved_state: "failed", saved_error: "no room", notice: "Newer code exists" });
    expect(text("msq-saved-error")).toBe("no room");
    expect(text("msq-notice")).toBe("Newer code exists");
    model.receive({ saved_state: "saved", notice: "" });
    await settle();
    expect(el().querySelector("[data-testid=msq-saved-error], [data-testid=msq-notice]")).toBeNull();
  });

  it("says that a cell holds the replica back, but not over a lost connection", async () => {
    const { model } = await show({ waiting_ms: 3400 });
    expect(text("msq-state")).toBe("catching up when this cell ends");
    expect(byTestId("msq-state").title).toBe("3.4 s behind");
    model.receive({ link_state: "away" });
    await settle();
    expect(text("msq-state")).toBe("reconnecting…");
  });

  it("counts up by itself with one timer, and from the start again after the next save", async () => {
    const { model } = await show({ saved_state: "saved", saved_number: 1, saved_at_s: NOON_S });
    expect(text("msq-saved")).toBe("saved just now · v1");
    await vi.advanceTimersByTimeAsync(12_000);
    expect(text("msq-saved")).toBe("saved 12 s ago · v1");
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(110_000);
    expect(text("msq-saved")).toBe("saved 2 min ago · v1");
    model.receive({ saved_number: 2, saved_at_s: Date.now() / 1000 });
    await settle();
    expect(text("msq-saved")).toBe("saved just now · v2");
    expect(vi.getTimerCount()).toBe(1);
  });

  it("counts down to the next save, and stops there", async () => {
    const { model } = await show({ saved_state: "dirty", next_save_s: NOON_S + 5 });
    expect(text("msq-saved")).toBe("saving in 5 s");
    await vi.advanceTimersByTimeAsync(2_000);
    expect(text("msq-saved")).toBe("saving in 3 s");
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(3_000);
    expect(text("msq-saved")).toBe("not saved yet");
    expect(vi.getTimerCount()).toBe(0);
    model.receive({ next_save_s: NOON_S + 9 });
    await settle();
    expect(text("msq-saved")).toBe("saving in 4 s");
    model.receive({ link_state: "closed" });
    await settle();
    expect(text("msq-saved")).toBe("not saved yet");
    expect(vi.getTimerCount()).toBe(0);
  });

  it("has no timer when nothing was saved", async () => {
    await show();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("says that there is no kernel where a saved notebook is shown without one", async () => {
    const model = new FakeModel({ ...presenceWith({ link_state: "live" }), layout: { comm_live: false } });
    entry.render({ model, el: el() });
    await settle();
    expect(text("msq-state")).toBe("kernel gone");
  });

  it("says that the kernel is gone, by the event alone where the host tells no more", async () => {
    const { model } = await show();
    model.fire("comm_live_update");
    await settle();
    expect(text("msq-state")).toBe("kernel gone");
    expect(byTestId("msq-badge").dataset["state"]).toBe("kernel gone");
    expect(el().querySelector("[role=alert]")?.textContent).toBe("Session kernel gone");
  });

  it("believes a host that says whether the kernel is there", async () => {
    const { model } = await show();
    model.fire("comm_live_update", { model: { comm_live: false } });
    await settle();
    expect(text("msq-state")).toBe("kernel gone");
    model.fire("comm_live_update", { model: { comm_live: true } });
    await settle();
    expect(text("msq-state")).toBe("live");
  });

  it("says joins and saves aloud, but not what was there before nor the passing of time", async () => {
    const { model } = await show({ saved_state: "saved", saved_number: 1, saved_at_s: NOON_S - 60 });
    const status = el().querySelector("[role=status]");
    expect(status?.textContent).toBe("");
    await vi.advanceTimersByTimeAsync(120_000);
    expect(status?.textContent).toBe("");
    model.receive({ people: [...model.get("people"), { view_id: "v3", label: "Cy", is_me: false }] });
    await settle();
    expect(status?.textContent).toBe("Cy joined");
    model.receive({ saved_number: 2, saved_at_s: NOON_S + 120 });
    await settle();
    expect(status?.textContent).toBe("Version 2 saved");
    model.receive({ saved_number: 3, saved_at_s: NOON_S + 125 });
    await settle();
    expect(status?.textContent).toBe("Version 2 saved");
    model.receive({ saved_number: 9, saved_at_s: NOON_S + 155 });
    await settle();
    expect(status?.textContent).toBe("Version 9 saved");
  });

  it("shows markup of others as the text it is", async () => {
    const markup = `"><img src=x onerror=alert(1)><script>alert(1)</script>`;
    await show({
      name: markup,
      app_id: markup,
      people: [{ view_id: markup, label: markup, is_me: false }],
      saved_state: "failed",
      saved_by: markup,
      saved_error: markup,
      notice: markup,
    });
    expect(el().querySelector("img, script")).toBeNull();
    expect(text("msq-notice")).toBe(markup);
    expect(byTestId("msq-people").title).toBe(markup);
  });

  it("keeps JupyterLab's command mode away from its keys", async () => {
    await show();
    expect(byTestId("msq-badge").dataset["lmSuppressShortcuts"]).toBe("true");
  });
});

describe("taking the badge down", () => {
  const saved = { saved_state: "saved", saved_number: 1, saved_at_s: NOON_S } as const;

  it("ends every listener and timer, however often it is asked", async () => {
    const { model, unmount } = await show(saved);
    expect(model.listenerCount).toBe(PRESENCE_TRAITS.length + 2);
    unmount();
    unmount();
    await settle();
    expect(model.listenerCount).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
    expect(el().innerHTML).toBe("");
  });

  it("follows the host's signal where there is one", async () => {
    const model = new FakeModel(presenceWith(saved));
    const controller = new AbortController();
    entry.render({ model, el: el(), signal: controller.signal });
    await settle();
    controller.abort();
    await settle();
    expect(model.listenerCount).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("leaves another view of the same model alone", async () => {
    const { model, unmount } = await show(saved);
    const other = document.createElement("div");
    entry.render({ model, el: other });
    await settle();
    unmount();
    model.receive({ link_state: "closed" });
    await settle();
    expect(other.textContent).toContain("closed");
  });
});
