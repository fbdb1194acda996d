// The one contract between `msq_jupyter/widgets/panel_*.py` and the browser: questions and answers. Traits are in
// `traits.ts`; what is asked for comes as a message, because nothing of it may be stored with the notebook.

import type { Asker } from "./asker.ts";

/** A version's number, or what the model would save now. */
export type Side = number | "now";

export interface TreeRow {
  readonly path: readonly string[];
  /** What to paste into a cell. */
  readonly copy: string;
  readonly name: string;
  readonly type: string;
  readonly preview: string;
  /** Number of children; -1 for a leaf. */
  readonly count: number;
  /** -1 when it is not known. */
  readonly size_bytes: number;
  /** Another one when the value is. */
  readonly digest: number;
  readonly place: number;
  readonly siblings: number;
  readonly open: boolean;
}

export interface VersionFacts {
  readonly number: number;
  /** 0 for none. */
  readonly parent: number;
  readonly time_s: number;
  readonly author: string;
  readonly label: string;
  readonly reason: "named" | "restored" | "automatic";
  readonly size_bytes: number;
  /** What it costs on the disk. */
  readonly stored_bytes: number;
  readonly schema: string;
  readonly code: string;
  readonly is_new_schema: boolean;
  readonly is_new_code: boolean;
  readonly pinned: boolean;
  /** Where it stands: "head", "branch" for the end of another line, "from v3" where it did not grow from the last. */
  readonly line: string;
}

interface RowBase {
  readonly key: string;
  readonly time_s: number;
  readonly count: number;
}

export interface DayRow extends RowBase {
  readonly kind: "day";
}

export interface FoldRow extends RowBase {
  readonly kind: "fold";
  /** The newest version in it. */
  readonly number: number;
  readonly oldest: number;
  readonly open: boolean;
}

export interface VersionRow extends RowBase, VersionFacts {
  readonly kind: "version";
}

export type HistoryRow = DayRow | FoldRow | VersionRow;

export interface VersionFilter {
  readonly text: string;
  readonly mine: boolean;
  readonly named: boolean;
  readonly code: string;
}

export interface ChangeRow {
  readonly mark: "+" | "-" | "~" | ">" | "@" | " ";
  readonly path: string;
  readonly pieces: readonly (readonly ["same" | "old" | "new", string])[];
}

export type Counts = Readonly<Partial<Record<"added" | "removed" | "changed" | "moved", number>>>;

export interface CheckedRow {
  readonly number: number;
  readonly ok: boolean;
  readonly schema: string;
  readonly saved_schema: string;
  readonly error_type: string;
  readonly error: string;
  readonly place: string;
  readonly note: string;
}

export interface LogRow {
  readonly time_s: number;
  readonly level: string;
  readonly text: string;
}

export interface RowsAnswer<Row> {
  readonly total: number;
  readonly rows: readonly Row[];
}

export interface TreeAnswer extends RowsAnswer<TreeRow> {
  /** Whether a search ended before it had seen everything. */
  readonly more?: boolean;
}

export interface VersionsAnswer extends RowsAnswer<HistoryRow> {
  readonly versions: number;
  readonly matching: number;
  readonly codes: readonly string[];
  readonly damaged: number;
  readonly newest: number;
}

export interface ChangesAnswer extends RowsAnswer<ChangeRow> {
  readonly counts: Counts;
  readonly code_lines: number;
  readonly a: Side;
  readonly b: Side;
}

export interface CheckedAnswer extends RowsAnswer<CheckedRow> {
  readonly begun: boolean;
  readonly running: boolean;
  readonly of: number;
  readonly failed: number;
  readonly title: string;
  readonly error: string;
  readonly same_code: boolean;
  /** Whether the notebook has other code by now than what was checked. */
  readonly is_old: boolean;
}

export type LogAnswer = RowsAnswer<LogRow>;

export interface PlanAnswer {
  /** -1 when that cannot be told. */
  readonly changes: number;
  readonly reason: string;
  readonly counts: Counts;
  readonly places: readonly { readonly path: string; readonly count: number }[];
  readonly people: number;
  readonly version: VersionFacts;
}

/** What others need to join; `link` and `qr` (an SVG element) are "" when only this machine can reach the session. */
export interface Invitation {
  readonly line: string;
  readonly link: string;
  readonly qr: string;
  readonly remark: string;
}

/** How our source becomes somebody's; `lines` as in a unified diff. */
export interface Difference {
  readonly title: string;
  readonly lines: readonly string[];
}

/** For each kind of question that is about rows: what it asks besides, and what comes back. */
export interface Listings {
  tree: { question: { opened: readonly (readonly string[])[]; text: string }; answer: TreeAnswer };
  versions: {
    question: {
      filter: VersionFilter;
      opened: readonly number[];
      zone: string;
      offset_min: number;
    };
    answer: VersionsAnswer;
  };
  changes: { question: { a: Side; b: Side; part: "data" | "code"; place: string }; answer: ChangesAnswer };
  checked: { question: Nothing; answer: CheckedAnswer };
  log: { question: { text: string }; answer: LogAnswer };
}

type Nothing = Readonly<Record<string, never>>;

/** For each other kind: what goes along, and what comes back. */
export interface Actions {
  plan: { question: { number: number; place: string }; answer: PlanAnswer };
  restore: { question: { number: number; place: string }; answer: Nothing };
  check: { question: { newest: number }; answer: Nothing };
  "stop check": { question: Nothing; answer: Nothing };
  explain: { question: { view_id: string }; answer: { readonly sentences: readonly string[] } };
  save: { question: { label: string }; answer: Nothing };
  label: { question: { number: number; text: string }; answer: Nothing };
  pin: { question: { number: number; pinned: boolean }; answer: Nothing };
  invite: { question: { with_password: boolean; page: string }; answer: Invitation };
  difference: { question: { view_id: string }; answer: Difference };
  follow: { question: Nothing; answer: Nothing };
}

export type Asked = Listings & Actions;
export type AskKind = keyof Asked;
export type ListingKind = keyof Listings;

/** What a badge or panel asks with. */
export type KernelAsker = Asker<Asked>;
