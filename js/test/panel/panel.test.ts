import { describe, expect, it, vi } from "vitest";

import type { TreeRow, VersionRow } from "../../src/messages.ts";
import type { PresenceTraits } from "../../src/traits.ts";
import entry from "../../src/panel.tsx";
import { emptyPage, NOON_S } from "../emptyPage.ts";
import { FakeModel, presenceWith, type AskedMessage, type Kernel } from "../fakeModel.ts";

const { el, settle, find, byTestId, click } = emptyPage(400);

const FIELD = { type: "int", preview: "3", count: -1, size_bytes: 1, digest: 1, place: 0, siblings: 1, open: false };

function field(path: readonly string[], more: Partial<TreeRow> = {}): TreeRow {
  const name = path.at(-1)?.slice(1) ?? "session.model";
  return { ...FIELD, path, name, copy: `session.model${path.join("")}`, ...more };
}

const VERSION: VersionRow = {
  kind: "version",
  key: "",
  count: 1,
  number: 1,
  parent: 0,
  time_s: NOON_S,
  author: "Ada",
  label: "",
  reason: "automatic",
  size_bytes: 100,
  stored_bytes: 30,
  schema: "1",
  code: "0123abcd",
  is_new_schema: false,
  is_new_code: false,
  pinned: false,
  line: "",
};

function version(number: number, more: Partial<VersionRow> = {}): VersionRow {
  return { ...VERSION, key: `version ${number}`, number, parent: number - 1, ...more };
}

const CHANGE = { mark: "~", path: "votes.yes", pieces: [["old", "1"], ["new", "2"]] };
const CHANGES = { total: 1, rows: [CHANGE], counts: { changed: 1 }, code_lines: 0, a: "now", b: 12 };
const PLAN = { changes: 32, reason: "", counts: {}, places: [{ path: "votes", count: 2 }], people: 2, version: version(12) };

const UNCHECKED = { total: 0, rows: [], begun: false, running: false, of: 0, failed: 0, title: "", error: "", same_code: true, is_old: false };

const KERNEL: Kernel = {
  tree: () => ({ total: 2, rows: [field([], { count: 1, open: true, type: "Poll" }), field([".votes"])] }),
  versions: () => ({
    total: 3,
    versions: 2,
    matching: 2,
    codes: ["0123abcd"],
    damaged: 0,
    newest: 12,
    rows: [{ kind: "day", key: "day", time_s: NOON_S, count: 2 }, version(12, { label: "exam" }), version(11)],
  }),
  changes: ({ a, b }) => ({ total: 1, rows: [CHANGE], counts: { changed: 1 }, code_lines: 0, a: a === 0 ? 11 : a, b }),
  plan: () => PLAN,
  restore: () => ({}),
  label: () => ({}),
  pin: () => ({}),
  save: () => ({}),
  checked: () => UNCHECKED,
  log: () => ({ total: 1, rows: [{ time_s: NOON_S, level: "warning", text: "the connection was lost" }] }),
};

const SAVED = { saved_state: "saved", saved_number: 12, saved_at_s: NOON_S, saved_by: "Ada" } as const;

async function show(values: Partial<PresenceTraits> = {}, kernel: Kernel = KERNEL): Promise<{ model: FakeModel<PresenceTraits>; unmount: () => void }> {
  const model = new FakeModel(presenceWith({ ...SAVED, ...values }), kernel);
  const unmount = entry.render({ model, el: el() });
  await settle();
  return { model, unmount };
}

async function openTab(name: string): Promise<void> {
  find(`[data-tab="${name}"]`).click();
  await settle();
}

async function choosePlace(place: string): Promise<void> {
  const select = byTestId("msq-panel-place");
  if (select instanceof HTMLSelectElement) {
    select.value = place;
    select.dispatchEvent(new Event("change", { bubbles: true }));
  }
  await settle();
}

async function press(element: HTMLElement, key: string): Promise<void> {
  element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  await settle();
}

function askedOf(model: FakeModel<PresenceTraits>, kind: string): AskedMessage[] {
  return model.asked.filter(({ ask }) => ask === kind);
}

describe("the head of the panel", () => {
  it("says how the session is doing and what is saved", async () => {
    await show();
    expect(byTestId("msq-panel").dataset["state"]).toBe("live");
    expect(byTestId("msq-panel-saved").textContent).toContain("by Ada · v12");
    expect(byTestId("msq-panel-code").textContent).toBe("all run the same code");
  });

  it("names whoever runs other code, and asks why on a click", async () => {
    const { model } = await show({ others: [{ view_id: "v3", label: "Cy", differs_in: "other code" }] }, {
      ...KERNEL,
      explain: () => ({ sentences: ["Poll.vote differs"] }),
    });
    expect(byTestId("msq-panel-code").textContent).toBe("Cy runs other code");
    find('[data-testid="msq-panel-code"] button').click();
    await settle();
    expect(byTestId("msq-panel-code").textContent).toContain("Poll.vote differs");
    expect(askedOf(model, "explain")[0]).toMatchObject({ view_id: "v3" });
  });

  it("tells other options from other code", async () => {
    const cy = { view_id: "v3", label: "Cy", differs_in: "other options" } as const;
    const { model } = await show({ others: [cy] });
    expect(byTestId("msq-panel-code").textContent).toBe("Cy runs the same code with other options");
    model.receive({ others: [cy, { ...cy, view_id: "v4" }] });
    await settle();
    expect(byTestId("msq-panel-code").textContent).toBe("2 people run the same code with other options");
    model.receive({ others: [cy, { view_id: "v4", label: "Di", differs_in: "newer code" }] });
    await settle();
    expect(byTestId("msq-panel-code").textContent).toBe("2 people run other code or options");
  });

  it("shows no control for what cannot be done", async () => {
    await show({ has_hook: false });
    expect(el().querySelector('[data-testid="msq-panel-save"]')).toBeNull();
  });

  it.each<[Partial<PresenceTraits>, string]>([
    [{ link_state: "failed", error_type: "WrongPassword", error: "in use" }, "The password is not the one of this session."],
    [{ link_state: "failed", error_type: "ReplicaDiverged" }, "not the same as everybody else’s"],
    [{ link_state: "failed", error_type: "SomethingNew", error: "told in full" }, "The session has ended. Run the cell that joins again.told in full"],
    [{ link_state: "closed" }, "The session has been left."],
    [{ link_state: "away" }, "The connection is lost"],
    [{ on_branch: true }, "does not become the newest version"],
  ])("writes out %j", async (values, words) => {
    await show(values);
    expect(byTestId("msq-panel-state-note").textContent).toContain(words);
  });

  it("says that a running cell keeps answers waiting", async () => {
    await show({ waiting_ms: 2000 });
    expect(byTestId("msq-panel-held").textContent).toBe("A cell is running: answers come when it ends.");
  });

  it("says so when the kernel is gone, and asks no more", async () => {
    const { model } = await show();
    model.fire("comm_live_update");
    await settle();
    const asked = model.asked.length;
    expect(byTestId("msq-panel-state-note").textContent).toContain("The kernel is gone.");
    await openTab("Versions");
    expect(model.asked).toHaveLength(asked);
    expect(byTestId("msq-panel-failure").textContent).toContain("The kernel is gone");
  });

  it("speaks of a failed save at once", async () => {
    const { model } = await show();
    model.receive({ saved_state: "failed", saved_error: "the disk is full" });
    await settle();
    expect(find('[role="alert"]').textContent).toBe("Save failed: the disk is full");
  });
});

describe("the live model", () => {
  it("is asked for again when it has changed, and says what did", async () => {
    let digest = 1;
    const { model } = await show({}, {
      ...KERNEL,
      tree: () => ({ total: 2, rows: [field([], { count: 1, open: true }), field([".votes"], { digest })] }),
    });
    const [, votes] = el().querySelectorAll('[role="treeitem"]');
    expect(votes?.textContent).toBe("votes3int1 B");
    digest = 2;
    model.receive({ model_stamp: 1 });
    await settle();
    expect(find('[role="treeitem"]:nth-child(2)').textContent).toContain("just changed");
    await vi.advanceTimersByTimeAsync(3000);
    expect(find('[role="treeitem"]:nth-child(2)').textContent).not.toContain("just changed");
  });

  it("asks for what is in view only", async () => {
    const { model } = await show({}, {
      ...KERNEL,
      tree: ({ start }) => ({ total: 90_000, rows: Array.from({ length: 100 }, (_, place) => field([`[${Number(start) + place}]`])) }),
    });
    expect(askedOf(model, "tree")).toHaveLength(1);
    await press(byTestId("msq-panel-tree"), "End");
    expect(el().querySelectorAll('[role="treeitem"]').length).toBeLessThan(100);
  });

  it("waits for the hands to rest before it searches", async () => {
    const { model } = await show();
    const input = find('[data-testid="msq-panel-search"]');
    for (const text of ["v", "vo", "vot"]) {
      if (input instanceof HTMLInputElement) {
        input.value = text;
        input.dispatchEvent(new Event("input", { bubbles: true }));
      }
    }
    await settle();
    expect(askedOf(model, "tree").map(({ text }) => text)).toEqual(["", "vot"]);
  });

  it("says what to do when the kernel does not answer", async () => {
    await show({}, {});
    await vi.advanceTimersByTimeAsync(1000);
    expect(find(".msq-panel-loading").textContent).toContain("Waiting for the kernel");
  });
});

describe("the versions", () => {
  it("are previewed by keyboard", async () => {
    const { model } = await show();
    await openTab("Versions");
    expect(byTestId("msq-panel-details").textContent).toContain("exam");
    await press(byTestId("msq-panel-versions"), "ArrowDown");
    await settle();
    expect(byTestId("msq-panel-details").textContent).toContain("v11");
    expect(askedOf(model, "changes").map(({ b }) => b)).toEqual([12, 11]);
    await press(byTestId("msq-panel-versions"), "Enter");
    expect(find('[aria-selected="true"][role="tab"]').textContent).toBe("Restore");
  });

  it("are named and pinned", async () => {
    const { model } = await show();
    await openTab("Versions");
    await click("msq-panel-pin");
    expect(askedOf(model, "pin")[0]).toMatchObject({ number: 12, pinned: true });
    expect(byTestId("msq-panel-done").textContent).toBe("v12 is pinned");
    const input = byTestId("msq-panel-label");
    if (input instanceof HTMLInputElement) {
      input.value = "after the exam ";
      input.dispatchEvent(new Event("input", { bubbles: true }));
      await settle();
      input.form?.requestSubmit();
      await settle();
    }
    expect(askedOf(model, "label")[0]).toMatchObject({ number: 12, text: "after the exam" });
  });

  it("tell what to do when the model saves nothing", async () => {
    const nothing = { ...KERNEL, versions: () => ({ total: 0, rows: [], versions: 0, matching: 0, codes: [], damaged: 0, newest: 0 }) };
    await show({ has_hook: false, saved_state: "none", saved_number: 0 }, nothing);
    await openTab("Versions");
    expect(byTestId("msq-panel-no-hook").textContent).toContain("persist_session");
    for (const tab of ["Compare", "Restore", "Check"]) {
      // oxlint-disable-next-line no-await-in-loop -- one tab after the other
      await openTab(tab);
      expect(byTestId("msq-panel-no-hook").textContent).toContain("Poll saves nothing");
    }
  });

  it("show why they cannot be listed", async () => {
    const failing: Kernel = {
      ...KERNEL,
      versions: () => {
        // oxlint-disable-next-line typescript/only-throw-error -- what the kernel sends
        throw { type: "SessionClosed", text: "the session has been left" };
      },
    };
    await show({}, failing);
    await openTab("Versions");
    expect(byTestId("msq-panel-failure").textContent).toBe("Not connected: the session has been left");
  });
});

describe("comparing", () => {
  it("says of two versions only what was asked of them", async () => {
    const same = { ...CHANGES, total: 0, rows: [], counts: {}, a: 12, b: "now" };
    await show({}, { ...KERNEL, changes: ({ a }) => (a === 12 ? same : undefined) });
    await openTab("Compare");
    expect(find(".msq-panel-tab").textContent).toContain("v12 and now hold the same data");
    await press(byTestId("msq-panel-from"), "ArrowDown");
    expect(byTestId("msq-panel-from")).toHaveProperty("value", "v11");
    expect(find(".msq-panel-tab").textContent).not.toContain("the same");
  });
});

describe("checking", () => {
  const checked = { ...UNCHECKED, begun: true, title: "Poll loads all 3 versions" };

  it.each([
    [{}, ""],
    [{ same_code: false }, "Checked is Poll as it is in the notebook now, which is not what this session runs."],
    [{ same_code: false, is_old: true }, "The code has changed since Poll was checked: check again."],
  ])("says which code was checked: %j", async (code, words) => {
    await show({}, { ...KERNEL, checked: () => ({ ...checked, ...code }) });
    await openTab("Check");
    expect(el().querySelector(".msq-panel-note")?.textContent ?? "").toBe(words);
  });
});

describe("restoring", () => {
  it("says what it changes and for whom, asks, and does it", async () => {
    const { model } = await show();
    await openTab("Restore");
    expect(byTestId("msq-panel-plan-text").textContent).toBe("32 changes for you and 1 other person.");
    await click("msq-panel-restore");
    expect(document.activeElement).toBe(byTestId("msq-panel-confirm"));
    expect(askedOf(model, "restore")).toEqual([]);
    await click("msq-panel-cancel");
    expect(document.activeElement).toBe(byTestId("msq-panel-restore"));
    await click("msq-panel-restore");
    await click("msq-panel-confirm");
    expect(askedOf(model, "restore")[0]).toMatchObject({ number: 12, place: "" });
    expect(byTestId("msq-panel-done").textContent).toBe("v12 is restored");
  });

  it("restores one place", async () => {
    const { model } = await show();
    await openTab("Restore");
    await choosePlace("votes");
    expect(askedOf(model, "plan").at(-1)).toMatchObject({ place: "votes" });
    await click("msq-panel-restore");
    await click("msq-panel-confirm");
    expect(askedOf(model, "restore")[0]).toMatchObject({ number: 12, place: "votes" });
  });

  it("never shows the plan for one place beside another", async () => {
    await show({}, {
      ...KERNEL,
      plan: ({ place }) => (place === "" ? PLAN : undefined),
      changes: ({ place }) => (place === "" ? CHANGES : undefined),
    });
    await openTab("Restore");
    expect(find(".msq-panel-tab").textContent).toContain("votes.yes");
    await choosePlace("votes");
    expect(byTestId("msq-panel-place")).toHaveProperty("value", "votes");
    expect(find(".msq-panel-tab").textContent).not.toContain("32 changes");
    expect(find(".msq-panel-tab").textContent).not.toContain("votes.yes");
    expect(document.querySelector('[data-testid="msq-panel-restore"]')).toBeNull();
    await choosePlace("");
    expect(byTestId("msq-panel-plan-text").textContent).toContain("32 changes");
  });

  it("does not keep why the plan for one place failed beside another", async () => {
    await show({}, {
      ...KERNEL,
      plan: ({ place }) => {
        if (place === "votes") {
          // oxlint-disable-next-line typescript/only-throw-error -- what the kernel sends
          throw { type: "ArgumentError", text: "no such place" };
        }
        return PLAN;
      },
    });
    await openTab("Restore");
    await choosePlace("votes");
    expect(byTestId("msq-panel-failure").textContent).toContain("no such place");
    await choosePlace("");
    expect(byTestId("msq-panel-plan-text").textContent).toContain("32 changes");
  });

  it("says so when the question does not even leave the browser", async () => {
    const { model } = await show();
    vi.spyOn(model, "send").mockImplementation(() => {
      throw new Error("the comm is closed");
    });
    await openTab("Restore");
    expect(byTestId("msq-panel-failure").textContent).toContain("the comm is closed");
  });

  it("says why it failed, and that nothing was changed", async () => {
    await show({}, {
      ...KERNEL,
      restore: () => {
        // oxlint-disable-next-line typescript/only-throw-error -- what the kernel sends
        throw { type: "PersistedDataError", text: "Poll.init failed" };
      },
    });
    await openTab("Restore");
    await click("msq-panel-restore");
    await click("msq-panel-confirm");
    expect(byTestId("msq-panel-failure").textContent).toContain("Not restored: Poll.init failed");
    expect(byTestId("msq-panel-done").textContent).toBe("");
  });
});

describe("keys", () => {
  it("walk the tabs, and never reach the notebook", async () => {
    await show();
    const heard = vi.fn<(event: Event) => void>();
    document.body.addEventListener("keydown", heard);
    const tab = find('[role="tab"][aria-selected="true"]');
    await press(tab, "ArrowRight");
    expect(find('[role="tab"][aria-selected="true"]').textContent).toBe("Versions");
    expect(document.activeElement?.textContent).toBe("Versions");
    await press(byTestId("msq-panel"), "d");
    expect(heard).not.toHaveBeenCalled();
    expect(byTestId("msq-panel").dataset["lmSuppressShortcuts"]).toBe("true");
    document.body.removeEventListener("keydown", heard);
  });
});

describe("taking the panel down", () => {
  it("ends every listener", async () => {
    const { model, unmount } = await show();
    expect(model.listenerCount).toBeGreaterThan(20);
    unmount();
    await settle();
    expect(model.listenerCount).toBe(0);
    expect(el().innerHTML).toBe("");
  });
});
