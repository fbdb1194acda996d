import type { PanelTraits } from "../../src/panel/messages.ts";
import { presenceWith } from "../fakeModel.ts";

const LIVE: PanelTraits = {
  ...presenceWith({ saved_state: "saved", saved_number: 12, saved_at_s: 1_700_000_000, saved_by: "Ada" }),
  seq: 1,
  others: [],
  on_branch: false,
  error_type: "",
  error: "",
  has_hook: true,
  model_name: "Poll",
  code: "0123abcd",
  model_stamp: 0,
  versions_stamp: 0,
  check_stamp: 0,
  log_stamp: 0,
};

/** The values of a panel of a live session that has saved, apart from those given. */
export function panelWith(values: Partial<PanelTraits> = {}): PanelTraits {
  return { ...LIVE, ...values };
}
