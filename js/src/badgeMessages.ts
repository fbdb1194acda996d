// The one contract between `msq_jupyter/widgets/badge_requests.py` and the browser. What is asked for comes as a message,
// because nothing of it may be stored with the notebook, as traits can be.

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

/** For each kind of question: what goes along, and what comes back. */
export interface BadgeAsked {
  invite: { question: { with_password: boolean; page: string }; answer: Invitation };
  difference: { question: { view_id: string }; answer: Difference };
  follow: { question: Readonly<Record<string, never>>; answer: Readonly<Record<string, never>> };
}
