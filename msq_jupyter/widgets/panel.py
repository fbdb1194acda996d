"""The persistence panel: the live model, every version of its data, what differs, restoring, the dry run, the log.

The state of the session goes to the browser as traits. Everything else is asked for in portions, by messages that
`panel_desk` answers; traits that end in `_stamp` tell a browser that what it shows may be out of date. A stamp moves
on only when somebody has asked since, so a panel that nobody looks at costs nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

import traitlets

from msq_jupyter.widgets import panel_requests as ask
from msq_jupyter.widgets.one_way import built
from msq_jupyter.widgets.panel_desk import Desk
from msq_jupyter.widgets.panel_tree import mark_of
from msq_jupyter.widgets.presence import Presence

if TYPE_CHECKING:
    from msq_jupyter.widgets.session import Session

#: State goes to the browser at most so often.
RATE_PER_S = 30.0


class Panel(Presence):
    """The panel of a session, made by `Session.panel`.

    Attributes:
        seq: grows by one with every change of the other traits.
        others: who runs other code: [{"view_id": str, "label": str}].
        on_branch: whether what is saved grows beside the newest version, and not from it.
        error_type: class of the error that ended the session, "" while it goes on.
        error: its message.
        has_hook: whether the model's code saves anything at all.
        model_name: class of the root model.
        code: the beginning of our code's hash.
        model_stamp: another one when the model has changed.
        versions_stamp: another one when the list of versions has.
        check_stamp: another one when the dry run has got further.
        log_stamp: another one when the log has grown.
    """

    _esm = built("panel.js")
    _css = built("panel.css")

    seq = traitlets.Int(0).tag(sync=True)
    others = traitlets.List(traitlets.Dict()).tag(sync=True)
    on_branch = traitlets.Bool(False).tag(sync=True)
    error_type = traitlets.Unicode("").tag(sync=True)
    error = traitlets.Unicode("").tag(sync=True)
    has_hook = traitlets.Bool(True).tag(sync=True)
    model_name = traitlets.Unicode("").tag(sync=True)
    code = traitlets.Unicode("").tag(sync=True)
    model_stamp = traitlets.Int(0).tag(sync=True)
    versions_stamp = traitlets.Int(0).tag(sync=True)
    check_stamp = traitlets.Int(0).tag(sync=True)
    log_stamp = traitlets.Int(0).tag(sync=True)

    def snapshot(self) -> tuple[str, str]:
        """The badge's line, and where the panel itself is."""
        rest = self.state_in_words()
        note = "The persistence panel needs a running kernel: run this cell again."
        html = f"<div><strong>{escape(self.name)}</strong> · {escape(rest)}<br><em>{note}</em></div>"
        return f"{self.name} · {rest}", html


class PanelWriter:
    """The one writer of a panel's traits; what differs goes out in one message, at most `RATE_PER_S` a second.

    The main loop writes after each step. While a cell keeps it busy the socket thread writes what it knows.

    Args:
        session: what is shown.
        panel: where.
        state: the values of the traits that the badge has, too.
    """

    def __init__(self, session: Session, panel: Panel, state: Callable[[], dict[str, Any]]) -> None:
        self._session = session
        self._panel = panel
        self._state = state
        self._lock = threading.Lock()
        self._written_s = float("-inf")
        self._timer_set = False
        self._stamped: dict[str, Any] = {}
        self._code_hash = ""
        self.desk = Desk(session, panel.send, self.write)
        panel.listen(session.loop, self.desk.take)

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
        session, status, error = self._session, self._session.status, self._session.error
        self._set(
            {
                **self._state(),
                **self._code(),
                "others": [{"view_id": other.view_id, "label": other.label} for other in session.others],
                "on_branch": status.on_branch,
                "error_type": "" if error is None else type(error).__name__,
                "error": "" if error is None else str(error),
                **self._stamps(),
            }
        )

    def _code(self) -> dict[str, Any]:
        """What is shown of the model's code, if that is another than before."""
        session = self._session
        if self._code_hash == session.code_hash:
            return {}
        self._code_hash = session.code_hash
        return {
            "model_name": session.model_class.__name__,
            "code": session.code_hash[:8],
            "has_hook": session.saves_itself,
        }

    def _stamps(self) -> dict[str, int]:
        """The stamps of what was asked for since they last moved, and is another now."""
        desk = self.desk
        states: dict[str, tuple[type, Any]] = {
            "model_stamp": (ask.Tree, mark_of(self._session.model)),
            "versions_stamp": (ask.Versions, desk.history.stamp),
            "check_stamp": (ask.Checked, desk.check.stamp),
            "log_stamp": (ask.Log, log_stamp(self._session)),
        }
        moved = {}
        for name, (kind, state) in states.items():
            known = self._stamped.setdefault(name, state)
            if known != state and kind in desk.asked:
                desk.asked.discard(kind)
                self._stamped[name] = state
                moved[name] = getattr(self._panel, name) + 1
        return moved

    def _set(self, values: dict[str, Any]) -> None:
        with self._lock:
            panel = self._panel
            changed = {name: value for name, value in values.items() if getattr(panel, name) != value}
            if changed:
                with panel.hold_sync():
                    for name, value in changed.items():
                        setattr(panel, name, value)
                    panel.seq += 1


def log_stamp(session: Session) -> Any:
    """Another one when the log has grown; its length alone stands still once it is full."""
    log = session.log
    return (len(log), log[-1].time) if log else None
