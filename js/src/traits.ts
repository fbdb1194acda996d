// The one contract between `msq_jupyter/widgets/presence.py` and the browser: the name of each synced trait and the
// type of its value. All of them go one way, from the kernel to the browser.

/** How the session stands to the synchronizer; "away" is a lost connection that is being made again. */
export type LinkState = "joining" | "catching up" | "live" | "away" | "closed" | "failed";

/** What became of the last save; "none" when the model never saved, "dirty" when something waits to be uploaded. */
export type SavedState = "none" | "dirty" | "saving" | "saved" | "failed";

export interface Person {
  readonly view_id: string;
  readonly label: string;
  readonly is_me: boolean;
}

/** Somebody under the same app and name who runs other code, or the same with other options. */
export interface Other {
  readonly view_id: string;
  readonly label: string;
  readonly differs_in: "newer code" | "other code" | "other options";
}

/** How a session is doing: what the badge and the panel show of it. */
export interface PresenceTraits {
  readonly name: string;
  readonly app_id: string;
  readonly link_state: LinkState;
  readonly people: readonly Person[];
  readonly saved_state: SavedState;
  /** Number of the last saved version; 0 when there is none. */
  readonly saved_number: number;
  /** Time of the last save in seconds since 1970; 0 when there is none. */
  readonly saved_at_s: number;
  readonly saved_by: string;
  readonly saved_error: string;
  /** When what waits is saved, or tried again, in seconds since 1970; 0 when nothing keeps it. */
  readonly next_save_s: number;
  /** For how long a running cell has kept the replica from catching up; 0 when it does not. */
  readonly waiting_ms: number;
  /** The last message for the user, one line; "" when there is none. */
  readonly notice: string;
  readonly others: readonly Other[];
  /** Whether what is saved grows beside the newest version, and not from it. */
  readonly on_branch: boolean;
  /** Class of the error that ended the session, "" while it goes on. */
  readonly error_type: string;
  readonly error: string;
  readonly synchronizer: string;
  /** Round trip in whole milliseconds; -1 while it is not known. */
  readonly latency_ms: number;
  /** Edited code that the session does not run: how far it is, and a line about it; "" when there is none. */
  readonly edit_state: "" | "checking" | "ready" | "refused" | "moving";
  readonly edit_title: string;
  /** Whether the model's code saves anything at all. */
  readonly has_hook: boolean;
  readonly model_name: string;
  readonly code: string;
  /** A stamp is another one when what was asked for may be out of date. */
  readonly model_stamp: number;
  readonly versions_stamp: number;
  readonly check_stamp: number;
  readonly log_stamp: number;
  /** Grows with every change of the other traits. */
  readonly seq: number;
}

export const PRESENCE_TRAITS = [
  "name",
  "app_id",
  "link_state",
  "people",
  "saved_state",
  "saved_number",
  "saved_at_s",
  "saved_by",
  "saved_error",
  "next_save_s",
  "waiting_ms",
  "notice",
  "others",
  "on_branch",
  "error_type",
  "error",
  "synchronizer",
  "latency_ms",
  "edit_state",
  "edit_title",
  "has_hook",
  "model_name",
  "code",
  "model_stamp",
  "versions_stamp",
  "check_stamp",
  "log_stamp",
  "seq",
] as const satisfies readonly (keyof PresenceTraits)[];

/** A text area for a shared text; of `msq_jupyter/widgets/text_area.py`. */
export interface TextAreaTraits {
  readonly description: string;
  readonly rows: number;
  readonly disabled: boolean;
  /** The kernel's text, its number, and of each page the number of the last message that is in it. */
  readonly shown: {
    readonly number: number;
    readonly text: string;
    readonly acknowledged: Readonly<Record<string, number>>;
  };
}
