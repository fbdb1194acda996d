"""What goes to the browser: how a session is doing, written into the traits of its badge and its panel.

Everything else is asked for in portions, by messages that `panel_desk` answers; traits that end in `_stamp` tell a
browser that what it shows may be out of date. A stamp moves on only when somebody has asked since, so a panel that
nobody looks at costs nothing.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from msq_jupyter.widgets import panel_requests as ask
from msq_jupyter.widgets.panel_desk import Desk
from msq_jupyter.widgets.panel_tree import mark_of
from msq_jupyter.widgets.presence import Presence

if TYPE_CHECKING:
    from msq_jupyter.widgets.session import Session

#: State goes to the browser at most so often.
RATE_PER_S = 30.0


class Writer:
    """The one writer of the traits of a session's widgets; what differs goes out in one message for each of them.

    The main loop writes after each step, at most `RATE_PER_S` times a second. While a cell keeps it busy the socket
    thread writes what it knows.

    Args:
        session: what is shown.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._widgets: list[Presence] = []
        self._lock = threading.Lock()
        self._written_s = float("-inf")
        self._timer_set = False
        self._stamped: dict[str, Any] = {}
        self._stamps: dict[str, int] = {}
        self._code: dict[str, Any] = {"code": ""}
        self._desk = Desk(session, self.write)
        session.frame_hooks.append(self.write)
        session.watch_hooks.append(self.write_if_waiting)

    def attach(self) -> None:
        """Go on with the session of edited code."""
        self._desk.attach()

    def show(self, widget: Presence) -> None:
        """Keep one more widget up to date, and answer what its browsers ask; on the main loop."""
        widget.listen(self._session.loop, lambda content: self._desk.take(content, widget.send))
        self._widgets.append(widget)
        self._write_now()

    def write(self) -> None:
        """Look at the session, now or a little later; on the main loop."""
        wait_s = self._written_s + 1 / RATE_PER_S - time.monotonic()
        if wait_s <= 0 or self._session.link_state in ("closed", "failed"):  # the loop may end with the session
            self._write_now()
        elif not self._timer_set:
            self._timer_set = True
            self._session.loop.call_later(wait_s, self._write_late)

    def write_if_waiting(self) -> None:
        """Say that a cell keeps the replica waiting; on the socket thread."""
        status = self._session.status
        if status.waiting_ms:
            # Rounded, so that the line changes once a second and not four times.
            self._set({"link_state": status.link_state, "waiting_ms": max(status.waiting_ms // 1000 * 1000, 1)})

    def _write_late(self) -> None:
        self._timer_set = False
        self._write_now()

    def _write_now(self) -> None:
        self._written_s = time.monotonic()
        self._set({**presence_of(self._session), **self._code_now(), **self._stamps_now()})

    def _code_now(self) -> dict[str, Any]:
        """What is shown of the model's code; to look at it takes longer than to see that it is the same."""
        session = self._session
        if self._code["code"] != session.code_hash[:8]:
            self._code = {
                "model_name": session.model_class.__name__,
                "code": session.code_hash[:8],
                "has_hook": session.saves_itself,
            }
        return self._code

    def _stamps_now(self) -> dict[str, int]:
        """The stamps: those of what was asked for since they last moved, and is another now, have moved."""
        desk = self._desk
        states: dict[str, tuple[type, Any]] = {
            "model_stamp": (ask.Tree, mark_of(self._session.model)),
            "versions_stamp": (ask.Versions, desk.history.stamp),
            "check_stamp": (ask.Checked, desk.check.stamp),
            "log_stamp": (ask.Log, _log_stamp(self._session)),
        }
        for name, (kind, state) in states.items():
            known = self._stamped.setdefault(name, state)
            if known != state and kind in desk.asked:
                desk.asked.discard(kind)
                self._stamped[name] = state
                self._stamps[name] = self._stamps.get(name, 0) + 1
        return self._stamps

    def _set(self, values: dict[str, Any]) -> None:
        with self._lock:
            for widget in self._widgets:
                changed = {name: value for name, value in values.items() if getattr(widget, name) != value}
                if changed:
                    with widget.hold_sync():
                        for name, value in changed.items():
                            setattr(widget, name, value)
                        widget.seq += 1


def presence_of(session: Session) -> dict[str, Any]:
    """How a session is doing, as values of the traits of `Presence`."""
    status, error, edit = session.status, session.error, session.edit
    people = [] if status.link_state in ("closed", "failed") else session.participants
    return {
        "people": [{"view_id": one.view_id, "label": one.label, "is_me": one.is_me} for one in people],
        "others": [
            {"view_id": other.view_id, "label": other.label, "differs_in": other.differs_in} for other in session.others
        ],
        "link_state": status.link_state,
        "saved_state": status.saved_state,
        "saved_number": status.saved_number,
        "saved_at_s": status.saved_at_s,
        "saved_by": status.saved_by,
        "saved_error": status.save_error,
        "next_save_s": status.next_save_s,
        "on_branch": status.on_branch,
        "waiting_ms": 0,
        "notice": session.notice,
        "error_type": "" if error is None else type(error).__name__,
        "error": "" if error is None else str(error),
        "synchronizer": session.synchronizer,
        "latency_ms": round(session.latency_ms) if session.latency_ms >= 0 else -1,
        "edit_state": "" if edit is None else edit.state,
        "edit_title": "" if edit is None else edit.title,
    }


def _log_stamp(session: Session) -> Any:
    """Another one when the log has grown; its length alone stands still once it is full."""
    log = session.log
    return (len(log), log[-1].time) if log else None
