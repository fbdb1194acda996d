import { describe, expect, it } from "vitest";

import { announcement, type Hearable } from "../src/announce.ts";
import type { ShownState } from "../src/wording.ts";
import { presenceWith } from "./fakeModel.ts";

function hearable(values: Parameters<typeof presenceWith>[0] = {}, state: ShownState = "live"): Hearable {
  return { ...presenceWith(values), state };
}

function person(label: string): { view_id: string; label: string; is_me: boolean } {
  return { view_id: label, label, is_me: false };
}

describe("announcement", () => {
  const now = hearable();

  it("is silent when only the age of the save or the delay of a cell changes", () => {
    expect(announcement(now, hearable({ saved_at_s: 5, waiting_ms: 900 }), true)).toEqual({ polite: "", urgent: "" });
  });

  it("names who joined and who left", () => {
    const before = hearable({ people: [person("Ben")] });
    const after = hearable({ people: [person("Cy"), person("Dora")] });
    expect(announcement(before, after, true).polite).toBe("Cy, Dora joined. Ben left");
  });

  it("says of a class that joins together one thing, and nothing of oneself", () => {
    const me = { view_id: "me", label: "Me", is_me: true };
    const people = [me, ...["A", "B", "C", "D"].map(person)];
    expect(announcement(hearable({ people: [] }), hearable({ people }), true).polite).toBe("4 people joined");
  });

  it("says who saved, unless a save was spoken of just before", () => {
    const after = hearable({ saved_state: "saved", saved_number: 4, saved_by: "Ada" });
    expect(announcement(now, after, true).polite).toBe("Version 4 saved by Ada");
    expect(announcement(now, after, false).polite).toBe("");
  });

  it("says a change of state politely, and its end at once", () => {
    expect(announcement(now, hearable({}, "away"), true)).toEqual({ polite: "Session reconnecting…", urgent: "" });
    expect(announcement(now, hearable({}, "failed"), true)).toEqual({ polite: "", urgent: "Session failed" });
    expect(announcement(now, hearable({}, "kernel gone"), true).urgent).toBe("Session kernel gone");
  });

  it("says a failed save at once, and once", () => {
    const failed = hearable({ saved_state: "failed", saved_error: "no room" });
    expect(announcement(now, failed, true).urgent).toBe("Save failed: no room");
    expect(announcement(failed, failed, true).urgent).toBe("");
  });

  it("reads a new notice", () => {
    expect(announcement(now, hearable({ notice: "Newer code exists" }), true).polite).toBe("Newer code exists");
  });
});
