import { AskError } from "../asker.ts";
import type { RowsAnswer } from "../messages.ts";

/** So many rows come in one answer. */
export const PAGE_ROWS = 100;
/** What is out of date is asked for again at the earliest so long after it came, in milliseconds. */
const REFRESH_MS = 200;
/** An answer that takes long to find is asked for less often: at most a fifth of the kernel's time is ours. */
const REST_FACTOR = 4;

interface Page<Row> {
  readonly rows: readonly Row[];
  readonly isStale: boolean;
}

export interface Fetch<Answer> {
  (start: number, count: number): Promise<Answer>;
}

/**
 * The rows of one long list, fetched page by page as they come into view.
 *
 * When the kernel says that the list may have changed, what is in view is fetched again; until that comes, the old rows
 * stay, so nothing flickers.
 */
export class RowStore<Row, Answer extends RowsAnswer<Row>> {
  readonly #fetch: Fetch<Answer>;
  readonly #tell: () => void;
  readonly #now: () => number;
  readonly #pages = new Map<number, Page<Row>>();
  readonly #inFlight = new Set<number>();
  #first = 0;
  #last = 0;
  #rest: ReturnType<typeof setTimeout> | undefined;
  #restUntil_ms = 0;
  #isClosed = false;
  /** The newest answer, whatever rows it was about. */
  answer: Answer | undefined;
  error: AskError | undefined;

  /**
   * @param fetch Asks for some rows.
   * @param tell Called when there is something new to see, or to wait for.
   * @param now A clock in milliseconds.
   */
  constructor(fetch: Fetch<Answer>, tell: () => void, now: () => number = () => performance.now()) {
    this.#fetch = fetch;
    this.#tell = tell;
    this.#now = now;
  }

  get total(): number {
    return this.answer?.total ?? 0;
  }

  get isLoading(): boolean {
    return this.#inFlight.size > 0;
  }

  rowAt(index: number): Row | undefined {
    return index < this.total ? this.#pages.get(Math.floor(index / PAGE_ROWS))?.rows[index % PAGE_ROWS] : undefined;
  }

  /** Rows `first` to `last`, both included, are in view now. */
  want(first: number, last: number): void {
    this.#first = first;
    this.#last = last;
    this.#fetchMissing();
  }

  /** The list may have changed. */
  refresh(): void {
    for (const [number, { rows }] of this.#pages) {
      this.#pages.set(number, { rows, isStale: true });
    }
    this.error = undefined;
    this.#fetchMissing();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#rest);
  }

  #fetchMissing(): void {
    const last = Math.max(Math.floor(this.#last / PAGE_ROWS), 0);
    for (let number = Math.floor(this.#first / PAGE_ROWS); number <= last; number += 1) {
      const page = this.#pages.get(number);
      const isBeyond = this.answer !== undefined && number > 0 && number * PAGE_ROWS >= this.total;
      if ((page !== undefined && !page.isStale) || this.#inFlight.has(number) || isBeyond) {
        continue;
      }
      const wait_ms = page === undefined ? 0 : this.#restUntil_ms - this.#now();
      if (wait_ms > 0) {
        this.#rest ??= setTimeout(() => {
          this.#rest = undefined;
          this.#fetchMissing();
        }, wait_ms);
      } else {
        void this.#fetchPage(number);
      }
    }
  }

  async #fetchPage(number: number): Promise<void> {
    this.#inFlight.add(number);
    // What is marked as stale from now on is stale again when this answer comes.
    const before = this.#pages.get(number);
    if (before !== undefined) {
      this.#pages.set(number, { rows: before.rows, isStale: false });
    }
    const asked_ms = this.#now();
    this.#tell();
    try {
      const answer = await this.#fetch(number * PAGE_ROWS, PAGE_ROWS);
      const isStale = this.#pages.get(number)?.isStale ?? false;
      this.#pages.set(number, { rows: answer.rows, isStale });
      this.answer = answer;
      this.error = undefined;
    } catch (error) {
      this.error = AskError.of(error);
    } finally {
      this.#inFlight.delete(number);
      const now_ms = this.#now();
      this.#restUntil_ms = now_ms + Math.max(REFRESH_MS, (now_ms - asked_ms) * REST_FACTOR);
    }
    if (!this.#isClosed) {
      this.#tell();
      if (this.error === undefined) {
        this.#fetchMissing();
      }
    }
  }
}
