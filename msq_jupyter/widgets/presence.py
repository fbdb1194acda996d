"""The badge and the panel of a session: how the link stands, who is there, what is saved.

The classes only carry values to the browser; `js/src/traits.ts` names the same traits, and `js/src/badge.tsx` and
`js/src/panel.tsx` draw them. Whoever sets the traits has to be one writer: traitlets mixes up the holds of several
threads.
"""

from __future__ import annotations

from datetime import datetime, timezone
from html import escape
from typing import get_args

import traitlets

from msq_jupyter.session.client import LinkState
from msq_jupyter.session.saving import SavedState
from msq_jupyter.widgets.one_way import OneWayWidget, built

LINK_STATES: tuple[str, ...] = get_args(LinkState)
SAVED_STATES: tuple[str, ...] = get_args(SavedState)

#: Not how long it will take: what is printed stays as it is.
_SAVED_WORDS = {
    "none": "nothing saved yet",
    "dirty": "not saved yet",
    "saving": "saving",
    "failed": "save failed, trying again",
}


class Presence(OneWayWidget):
    """How a session is doing: what the badge and the panel show of it.

    Attributes:
        name: Name of the session.
        app_id: Identifier of the application, shown as a tooltip.
        link_state: One of `LINK_STATES`; "away" is a lost connection that is being made again.
        people: Everybody in the session, each `{"view_id": str, "label": str, "is_me": bool}`. Assign a new list:
            a change inside the old one is not seen.
        saved_state: One of `SAVED_STATES`; "none" when the model never saved.
        saved_number: Number of the last saved version; 0 for none.
        saved_at_s: Time of the last save in seconds since 1970; 0 for none. The browser counts up by itself.
        saved_by: Who made the last save; "" when that is not known.
        saved_error: Why the last save failed, one line; shown while `saved_state` is "failed".
        next_save_s: When what waits is saved, or tried again, in seconds since 1970; 0 when nothing keeps it. The
            browser counts down by itself.
        waiting_ms: For how many milliseconds a running cell has kept the replica from catching up; 0 when it does not.
        notice: The last message for the user, one line; "" for none.
        others: Who runs other code, or the same with other options:
            [{"view_id": str, "label": str, "differs_in": "newer code", "other code" or "other options"}].
        on_branch: Whether what is saved grows beside the newest version, and not from it.
        error_type: Class of the error that ended the session, "" while it goes on.
        error: Its message.
        synchronizer: The URL of the synchronizer, or a word for one without.
        latency_ms: Round trip to it; -1 while that is not known.
        edit_state: How far it is with edited code that the session does not run; "" when there is none.
        edit_title: A line about it.
        has_hook: Whether the model's code saves anything at all.
        model_name: Class of the root model.
        code: The beginning of our code's hash.
        model_stamp: Another one when the model has changed.
        versions_stamp: Another one when the list of versions has.
        check_stamp: Another one when the dry run has got further.
        log_stamp: Another one when the log has grown.
        seq: Grows by one with every change of the other traits.
    """

    name = traitlets.Unicode("").tag(sync=True)
    app_id = traitlets.Unicode("").tag(sync=True)
    link_state = traitlets.Enum(LINK_STATES, default_value="joining").tag(sync=True)
    people = traitlets.List(traitlets.Dict()).tag(sync=True)
    saved_state = traitlets.Enum(SAVED_STATES, default_value="none").tag(sync=True)
    saved_number = traitlets.Int(0, min=0).tag(sync=True)
    saved_at_s = traitlets.Float(0.0, min=0.0).tag(sync=True)
    saved_by = traitlets.Unicode("").tag(sync=True)
    saved_error = traitlets.Unicode("").tag(sync=True)
    next_save_s = traitlets.Float(0.0, min=0.0).tag(sync=True)
    waiting_ms = traitlets.Int(0, min=0).tag(sync=True)
    notice = traitlets.Unicode("").tag(sync=True)
    others = traitlets.List(traitlets.Dict()).tag(sync=True)
    on_branch = traitlets.Bool(False).tag(sync=True)
    error_type = traitlets.Unicode("").tag(sync=True)
    error = traitlets.Unicode("").tag(sync=True)
    synchronizer = traitlets.Unicode("").tag(sync=True)
    latency_ms = traitlets.Int(-1).tag(sync=True)
    edit_state = traitlets.Unicode("").tag(sync=True)
    edit_title = traitlets.Unicode("").tag(sync=True)
    has_hook = traitlets.Bool(True).tag(sync=True)
    model_name = traitlets.Unicode("").tag(sync=True)
    code = traitlets.Unicode("").tag(sync=True)
    model_stamp = traitlets.Int(0).tag(sync=True)
    versions_stamp = traitlets.Int(0).tag(sync=True)
    check_stamp = traitlets.Int(0).tag(sync=True)
    log_stamp = traitlets.Int(0).tag(sync=True)
    seq = traitlets.Int(0).tag(sync=True)

    def snapshot(self) -> tuple[str, str]:
        """`lesson-1 · live · 2 people · saved … by Ada · v3`."""
        rest = self.state_in_words()
        return f"{self.name} · {rest}", f"<div><strong>{escape(self.name)}</strong> · {escape(rest)}</div>"

    def state_in_words(self) -> str:
        """How it stands, without the name."""
        parts = [self.link_state, self._people_in_words(), self._saved_in_words()]
        return " · ".join(part for part in parts if part)

    def _people_in_words(self) -> str:
        count = len(self.people)
        return "" if count == 0 else "1 person" if count == 1 else f"{count} people"

    def _saved_in_words(self) -> str:
        if self.saved_number == 0:
            return _SAVED_WORDS.get(self.saved_state, self.saved_state)
        when = (
            datetime.fromtimestamp(self.saved_at_s, timezone.utc).strftime(" %Y-%m-%d %H:%M UTC")
            if self.saved_at_s
            else ""
        )
        author = f" by {self.saved_by}" if self.saved_by else ""
        last = "" if self.saved_state == "saved" else f"{_SAVED_WORDS.get(self.saved_state)}, last was "
        return f"{last}saved{when}{author} · v{self.saved_number}"


class Badge(Presence):
    """One line that says how a session is doing; a click opens more of it, another one the panel below it."""

    _esm = built("badge.js")
    _css = built("badge.css")


class Panel(Presence):
    """The persistence panel: the live model, versions of its data, what differs, restoring, the dry run, the log."""

    _esm = built("panel.js")
    _css = built("panel.css")

    def snapshot(self) -> tuple[str, str]:
        """The badge's line, and where the panel itself is."""
        rest = self.state_in_words()
        note = "The persistence panel needs a running kernel: run this cell again."
        html = f"<div><strong>{escape(self.name)}</strong> · {escape(rest)}<br><em>{note}</em></div>"
        return f"{self.name} · {rest}", html
