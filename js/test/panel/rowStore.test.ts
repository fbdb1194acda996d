import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { AskError } from "../../src/asker.ts";
import type { RowsAnswer } from "../../src/messages.ts";
import { PAGE_ROWS, RowStore } from "../../src/panel/rowStore.ts";

interface Question {
  readonly start: number;
  answer(total: number, tag?: string): Promise<void>;
  fail(error: unknown): Promise<void>;
}

let questions: Question[];
let told: number;

async function settle(act: () => void): Promise<void> {
  act();
  await vi.advanceTimersByTimeAsync(0);
}

function storeOf(): RowStore<string, RowsAnswer<string>> {
  questions = [];
  told = 0;
  return new RowStore<string, RowsAnswer<string>>(
    (start, count) =>
      new Promise((resolve, reject) => {
        questions.push({
          start,
          answer: (total, tag = "") =>
            settle(() => {
              const length = Math.max(Math.min(count, total - start), 0);
              resolve({ total, rows: Array.from({ length }, (_, place) => `${start + place}${tag}`) });
            }),
          fail: (error) => settle(() => reject(error)),
        });
      }),
    () => {
      told += 1;
    },
    () => Date.now(),
  );
}

function question(place: number): Question {
  const found = questions[place];
  if (found === undefined) {
    throw new Error(`no question ${place} of ${questions.length}`);
  }
  return found;
}

beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000 });
});

afterEach(() => {
  vi.useRealTimers();
});

describe("the rows of a long list", () => {
  it("asks for the pages in view only, and once", async () => {
    const store = storeOf();
    store.want(0, 20);
    store.want(0, 25);
    expect(questions.map(({ start }) => start)).toEqual([0]);
    await question(0).answer(10_000);
    expect(store.total).toBe(10_000);
    expect(store.rowAt(20)).toBe("20");
    expect(store.rowAt(PAGE_ROWS)).toBeUndefined();
    store.want(5050, 5080);
    expect(questions.map(({ start }) => start)).toEqual([0, 5000]);
    await question(1).answer(10_000);
    expect(store.rowAt(5070)).toBe("5070");
    expect(told).toBe(4);
    expect(store.isLoading).toBe(false);
  });

  it("keeps old rows until the new ones come, and asks for those in view only", async () => {
    const store = storeOf();
    store.want(0, 20);
    await question(0).answer(1000);
    store.want(500, 520);
    await question(1).answer(1000);
    await vi.advanceTimersByTimeAsync(1000);
    store.refresh();
    expect(questions.map(({ start }) => start)).toEqual([0, 500, 500]);
    expect(store.rowAt(510)).toBe("510");
    await question(2).answer(1001, " new");
    expect(store.rowAt(510)).toBe("510 new");
    store.want(0, 20);
    await vi.advanceTimersByTimeAsync(1000);
    expect(questions.at(-1)?.start).toBe(0);
  });

  it("rests after an answer, longer when it took long", async () => {
    const store = storeOf();
    store.want(0, 20);
    await vi.advanceTimersByTimeAsync(500);
    await question(0).answer(10);
    store.refresh();
    store.refresh();
    await vi.advanceTimersByTimeAsync(1999);
    expect(questions).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(questions).toHaveLength(2);
  });

  it("asks again when the list changed while an answer was on its way", async () => {
    const store = storeOf();
    store.want(0, 20);
    await question(0).answer(10);
    await vi.advanceTimersByTimeAsync(1000);
    store.refresh();
    store.refresh();
    await question(1).answer(10, " newer");
    await vi.advanceTimersByTimeAsync(1000);
    expect(questions).toHaveLength(3);
  });

  it("never asks for pages beyond the end", async () => {
    const store = storeOf();
    store.want(0, 20);
    await question(0).answer(10);
    store.want(0, 5000);
    expect(questions).toHaveLength(1);
    expect(store.rowAt(9)).toBe("9");
    expect(store.rowAt(10)).toBeUndefined();
  });

  it("keeps an error until it is asked again", async () => {
    const store = storeOf();
    store.want(0, 20);
    await question(0).fail(new AskError("NoAnswer", "nobody is there"));
    expect(store.error?.name).toBe("NoAnswer");
    expect(questions).toHaveLength(1);
    store.refresh();
    await question(1).answer(3);
    expect(store.error).toBeUndefined();
    expect(store.total).toBe(3);
  });

  it("says nothing after it is closed", async () => {
    const store = storeOf();
    store.want(0, 20);
    store.close();
    told = 0;
    await question(0).answer(10);
    expect(told).toBe(0);
  });
});
