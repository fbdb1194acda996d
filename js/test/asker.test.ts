import { describe, expect, it } from "vitest";

import { Asker } from "../src/asker.ts";
import { freshKeys, toggled } from "../src/panel/freshness.ts";
import type { Asked } from "../src/messages.ts";
import { FakeModel } from "./fakeModel.ts";

describe("questions to the kernel", () => {
  it("get the answers with their number, in any order", async () => {
    const comm = new FakeModel({});
    const asker = new Asker<Asked>(comm);
    const first = asker.rows("log", { text: "a" }, 0, 10);
    const second = asker.rows("log", { text: "b" }, 10, 10);
    const [one, two] = comm.asked;
    expect(two).toMatchObject({ ask: "log", text: "b", start: 10, count: 10 });
    comm.tell({ client: two?.client, id: two?.id, ok: true, answer: { total: 2, rows: [] } });
    comm.tell({ client: one?.client, id: one?.id, ok: true, answer: { total: 1, rows: [] } });
    expect((await first).total).toBe(1);
    expect((await second).total).toBe(2);
  });

  it("are not answered by what another browser is told", async () => {
    const comm = new FakeModel({});
    const [asker, other] = [new Asker<Asked>(comm), new Asker<Asked>(comm)];
    const mine = asker.rows("log", { text: "" }, 0, 10);
    const theirs = other.rows("log", { text: "" }, 0, 20);
    const [one, two] = comm.asked;
    expect(one?.client).not.toBe(two?.client);
    comm.tell({ client: two?.client, id: two?.id, ok: true, answer: { total: 20, rows: [] } });
    comm.tell({ client: one?.client, id: one?.id, ok: true, answer: { total: 10, rows: [] } });
    expect((await mine).total).toBe(10);
    expect((await theirs).total).toBe(20);
  });

  it("fail with what the kernel says", async () => {
    const comm = new FakeModel({});
    const asked = new Asker<Asked>(comm).ask("restore", { number: 3, place: "" });
    const [sent] = comm.asked;
    comm.tell({ client: sent?.client, id: sent?.id, ok: false, error: { type: "VersionMissing", text: "no v3" } });
    await expect(asked).rejects.toMatchObject({ name: "VersionMissing", message: "no v3" });
  });

  it("fail at once while the kernel is gone, and those that wait, too", async () => {
    const comm = new FakeModel({});
    const asker = new Asker<Asked>(comm);
    const waiting = asker.ask("stop check", {});
    asker.setGone(true);
    await expect(waiting).rejects.toMatchObject({ name: "KernelGone" });
    await expect(asker.ask("stop check", {})).rejects.toMatchObject({ name: "KernelGone" });
    expect(comm.asked).toHaveLength(1);
    asker.setGone(false);
    void asker.ask("stop check", {}).catch(() => undefined);
    expect(comm.asked).toHaveLength(2);
  });

  it("end with the panel", async () => {
    const comm = new FakeModel({});
    const asker = new Asker<Asked>(comm);
    const waiting = asker.ask("stop check", {});
    asker.close();
    await expect(waiting).rejects.toThrow("gone");
    expect(comm.listenerCount).toBe(0);
  });

  it.each([null, 3, "x", {}, { client: "x", id: 1 }])("are not disturbed by %j", (content) => {
    const comm = new FakeModel({});
    void new Asker<Asked>(comm);
    expect(() => {
      comm.tell(content);
    }).not.toThrow();
  });
});

describe("fields that just changed", () => {
  it("are those with another digest, not those that are new", () => {
    const digests = new Map<string, number>();
    expect(freshKeys(digests, [{ path: [".a"], digest: 1 }, { path: [".b"], digest: 1 }])).toEqual([]);
    expect(freshKeys(digests, [{ path: [".a"], digest: 2 }, { path: [".c"], digest: 1 }])).toEqual([".a"]);
    expect(freshKeys(digests, [{ path: [".a"], digest: 2 }, { path: [".b"], digest: 3 }])).toEqual([".b"]);
  });

  it("are not remembered for ever", () => {
    const digests = new Map<string, number>();
    freshKeys(digests, Array.from({ length: 9000 }, (_, place) => ({ path: [`[${place}]`], digest: 1 })));
    expect(digests.size).toBe(5000);
    expect(digests.has("[8999]")).toBe(true);
  });
});

describe("open branches", () => {
  it("open and close, with all that is below", () => {
    const opened = toggled(toggled([], [".a"]), [".a", "[1]"]);
    expect(opened).toEqual([[".a"], [".a", "[1]"]]);
    expect(toggled(opened, [".a", "[1]"])).toEqual([[".a"]]);
    expect(toggled(opened, [".a"])).toEqual([]);
    expect(toggled([[".ab"]], [".a"])).toEqual([[".ab"], [".a"]]);
  });
});
