"""The badge under a session: how the link stands, who is there, what is saved.

The class only carries values to the browser; `js/src/traits.ts` names the same traits, and `js/src/badge.tsx` draws
them. Whoever sets the traits has to be one writer: traitlets mixes up the holds of several threads.
"""

from __future__ import annotations

from datetime import datetime, timezone
from html import escape
from pathlib import Path
from typing import Any, get_args

import anywidget
import traitlets

from msq_jupyter.errors import InternalError
from msq_jupyter.session.client import LinkState
from msq_jupyter.session.saving import SavedState

LINK_STATES: tuple[str, ...] = get_args(LinkState)
SAVED_STATES: tuple[str, ...] = get_args(SavedState)

#: Not how long it will take: what is printed stays as it is.
_SAVED_WORDS = {
    "none": "nothing saved yet",
    "dirty": "not saved yet",
    "saving": "saving",
    "failed": "save failed, trying again",
}


def _built(name: str) -> Path:
    path = Path(__file__).parent / "static" / name
    if not path.is_file():
        raise InternalError(
            f"this copy of msq_jupyter has no widgets/static/{name}, the browser side of its widgets: "
            "in a checkout run `npm ci` and `npm run build` in js/; else install the package again"
        )
    return path


class Badge(anywidget.AnyWidget):
    """One line that says how a session is doing. All traits go one way, from the kernel to the browser.

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
    """

    _esm = _built("badge.js")
    _css = _built("badge.css")

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

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Ignore what a browser writes.

        ipywidgets would take it and echo it to everybody who has the notebook open, `_esm` included: one browser
        could run its code in all of them.
        """

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The live view, and a snapshot in text and HTML for readers without a kernel or without trust."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle
        parts = [self.link_state, self._people_in_words(), self._saved_in_words()]
        rest = " · ".join(part for part in parts if part)
        data["text/plain"] = f"{self.name} · {rest}"
        data["text/html"] = f"<div><strong>{escape(self.name)}</strong> · {escape(rest)}</div>"
        return data, metadata

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
