"""When to upload what `persist_session` collected: one participant does, and another one if it does not. Pure.

Every replica has the same pending content, under the same save id, so it is stored once whoever sends it. First in line
is the participant whose event saved, then the others in the order of joining; each one further down waits longer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msq_jupyter.runtime.replica import Replica
from msq_jupyter.runtime.saves import PendingSave

SavedState = Literal["none", "saving", "saved", "failed"]

#: How much longer each participant further down the line waits before it takes over.
TURN_S = 2.0
#: How long after a refusal an upload is tried again.
RETRY_S = 2.0


class Saver:
    """Decides for one participant; time is an argument, in seconds of any steady clock.

    Args:
        view_id: who we are.
        interval_s: uploads keep this distance, the last content wins.

    Attributes:
        error: why the last upload failed, "" when it did not.
    """

    def __init__(self, view_id: str, interval_s: float) -> None:
        self._view_id = view_id
        self._interval_s = interval_s
        self._uploaded_s = float("-inf")
        self._in_flight = ""
        self._unsaved_since_s: float | None = None
        self._retry_s = float("-inf")
        self.error = ""

    def due(self, pending: PendingSave, views: Iterable[str], now_s: float, *, at_once: bool = False) -> bool:
        """Whether to upload `pending` now; if so, call `uploading`.

        Args:
            pending: what the replica has to save.
            views: everybody in the session, in the order of joining.
            now_s: the time.
            at_once: do not keep the distance; when leaving.
        """
        if self._unsaved_since_s is None:
            self._unsaved_since_s = now_s
        if self._in_flight == pending.save_id or now_s < self._retry_s:
            return False
        if at_once:
            return True
        line = [pending.view_id, *(view_id for view_id in views if view_id != pending.view_id)]
        line = [view_id for view_id in line if view_id in set(views)]
        place = line.index(self._view_id) if self._view_id in line else len(line)
        if place == 0:
            return not self._in_flight and now_s >= self._uploaded_s + self._interval_s
        return now_s >= self._unsaved_since_s + self._interval_s + place * TURN_S

    def state(self, replica: Replica | None) -> SavedState:
        """How saving is doing, for people."""
        if self.error:
            return "failed"
        if replica is None or (replica.pending_save is None and replica.last_save is None):
            return "none"
        return "saved" if replica.pending_save is None else "saving"

    def uploading(self, pending: PendingSave, now_s: float) -> None:
        """An upload begins."""
        self._in_flight = pending.save_id
        self._uploaded_s = now_s

    def stored(self) -> None:
        """Some version of this session is stored, by us or another one."""
        self._in_flight = ""
        self._unsaved_since_s = None
        self.error = ""

    def refused(self, reason: str, now_s: float) -> None:
        """The synchronizer could not store it: try again in a while."""
        self._in_flight = ""
        self._retry_s = now_s + RETRY_S
        self.error = reason

    def reconnected(self) -> None:
        """Whatever was on its way may be lost: send it again."""
        self._in_flight = ""
