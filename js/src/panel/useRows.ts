import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from "preact/hooks";

import type { AskError } from "../asker.ts";
import type { ListingKind, Listings, KernelAsker } from "../messages.ts";
import { PAGE_ROWS, RowStore } from "./rowStore.ts";

/** An answer that takes longer than this is waited for aloud, in milliseconds. */
const SLOW_MS = 600;

type RowOf<Kind extends ListingKind> = Listings[Kind]["answer"]["rows"][number];
type Store<Kind extends ListingKind> = RowStore<RowOf<Kind>, Listings[Kind]["answer"]>;

/** A listing as a component sees it. */
export interface Listing<Kind extends ListingKind> {
  readonly rowAt: (index: number) => RowOf<Kind> | undefined;
  readonly total: number;
  /** The newest answer, undefined before the first. */
  readonly answer: Listings[Kind]["answer"] | undefined;
  readonly error: AskError | undefined;
  /** Whether what is shown answers the question before this one. */
  readonly isOld: boolean;
  /** Whether an answer has been missing for so long that people should be told. */
  readonly isSlow: boolean;
  /** Says which rows are in view. */
  readonly want: (first: number, last: number) => void;
}

/**
 * The rows of a listing, kept up to date; those of the question before stay until there are others.
 *
 * @param question What is asked; another one when its JSON is another.
 * @param stamp Another number when the rows may be out of date.
 */
export function useRows<Kind extends ListingKind>(
  asker: KernelAsker,
  kind: Kind,
  question: Listings[Kind]["question"],
  stamp: number,
): Listing<Kind> {
  const [, redraw] = useReducer<number, null>((count) => count + 1, 0);
  const [come, setCome] = useState<Store<Kind>>();
  const key = JSON.stringify(question);
  const next = useMemo(() => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it was made from one a few lines above
    const asked = JSON.parse(key) as Listings[Kind]["question"];
    const store: Store<Kind> = new RowStore(
      (start, count) => asker.rows(kind, asked, start, count),
      () => {
        if (store.answer !== undefined || store.error !== undefined) {
          setCome(store);
        }
        redraw(null);
      },
    );
    return store;
  }, [asker, kind, key]);
  const shown = come ?? next;
  useEffect(() => {
    next.want(0, 0);
    return () => {
      next.close();
    };
  }, [next]);
  const stampRef = useRef(stamp);
  useEffect(() => {
    if (stampRef.current !== stamp) {
      stampRef.current = stamp;
      next.refresh();
    }
  }, [next, stamp]);
  const want = useCallback(
    (first: number, last: number): void => {
      next.want(first, last);
    },
    [next],
  );
  const isSlow = useSlow(next.isLoading);
  return {
    rowAt: (index) => shown.rowAt(index),
    total: shown.total,
    answer: shown.answer,
    error: shown.error,
    isOld: shown !== next,
    isSlow,
    want,
  };
}

/** The beginning of a listing, as much of it as was asked for. */
export interface Portion<Row> {
  readonly rows: readonly Row[];
  /** So many rows are shown once they have come. */
  readonly shown: number;
  readonly onMore: () => void;
}

/**
 * The first page of a listing, and one more each time somebody wants more.
 *
 * @param question Another one begins with the first page again.
 */
export function usePortion<Kind extends ListingKind>(listing: Listing<Kind>, question?: unknown): Portion<RowOf<Kind>> {
  const { want } = listing;
  const [shown, setShown] = useState(PAGE_ROWS);
  useEffect(() => {
    setShown(PAGE_ROWS);
  }, [question]);
  useEffect(() => {
    want(0, shown - 1);
  }, [want, shown]);
  const onMore = useCallback((): void => {
    setShown((last) => last + PAGE_ROWS);
  }, []);
  return { rows: firstRows(listing, shown), shown, onMore };
}

/** Those of the first rows that are there. */
export function firstRows<Row>(
  { rowAt, total }: { readonly rowAt: (index: number) => Row | undefined; readonly total: number },
  count: number,
): Row[] {
  return Array.from({ length: Math.min(count, total) }, (_, index) => rowAt(index)).filter((row) => row !== undefined);
}

/** Whether something has been going on for longer than a moment. */
export function useSlow(isGoingOn: boolean): boolean {
  const [isSlow, setSlow] = useState(false);
  useEffect(() => {
    if (!isGoingOn) {
      setSlow(false);
      return undefined;
    }
    const timer = setTimeout(() => {
      setSlow(true);
    }, SLOW_MS);
    return () => {
      clearTimeout(timer);
    };
  }, [isGoingOn]);
  return isSlow;
}
