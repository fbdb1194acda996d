"""When to upload what `persist_session` collected: one participant does, and another one if it does not. Pure.

Every replica has the same pending content, under the same save id, so it is stored once whoever sends it. First in line
is the participant whose event saved, then the others in the order of joining; each one further down waits longer.

Versions keep a distance, but nothing stays for so long in one kernel only: what waits goes up as a draft soon, which
becomes a version when nobody is left who could save it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from msq_jupyter.runtime.replica import Replica
from msq_jupyter.runtime.saves import PendingSave

SavedState = Literal["none", "saving", "saved", "failed"]
Upload = Literal["save", "draft", "nothing"]

#: How much longer each participant further down the line waits before it takes over.
TURN_S = 2.0
#: How long after a refusal an upload is tried again.
RETRY_S = 2.0
#: Distance of a draft from the upload before it.
DRAFT_S = 0.5


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
        self._drafted: tuple[str, int] | None = None
        self._drafted_s = float("-inf")
        self._unsaved_since_s = float("inf")
        self._retry_s = float("-inf")
        self.error = ""

    def begin(
        self,
        pending: PendingSave,
        parent: int,
        views: Iterable[str],
        now_s: float,
        *,
        at_once: bool = False,
        is_ready: Callable[[], bool] = lambda: True,
    ) -> Upload:
        """What to upload of `pending` now; whoever asks does it.

        Args:
            pending: what the replica has to save.
            parent: number of the version it grew from; a draft that named another one is of no use any more.
            views: everybody in the session, in the order of joining.
            now_s: the time.
            at_once: do not keep the distance, when leaving: while another save is in flight, as a draft.
            is_ready: asked when it is our turn and the time; False puts it off.
        """
        self._unsaved_since_s = min(self._unsaved_since_s, now_s)
        if self._in_flight == pending.save_id or now_s < self._retry_s:
            return "nothing"
        place = self._place(pending, list(views))
        # What is in flight becomes the parent: wait for its number, and until then let nothing be lost.
        is_due = not self._in_flight and (at_once or self._is_due(place, now_s))
        is_draft_due = (pending.save_id, parent) != self._drafted and (at_once or self._is_draft_due(place, now_s))
        if not (is_due or is_draft_due) or not is_ready():
            return "nothing"
        if is_due:
            self._in_flight = pending.save_id
            self._uploaded_s = now_s
            return "save"
        self._drafted = (pending.save_id, parent)
        self._drafted_s = now_s
        return "draft"

    def _is_due(self, place: int, now_s: float) -> bool:
        if place == 0:
            return now_s >= self._uploaded_s + self._interval_s
        return now_s >= self._unsaved_since_s + self._interval_s + place * TURN_S

    def _is_draft_due(self, place: int, now_s: float) -> bool:
        if self._in_flight:
            return False
        if place == 0:
            return now_s >= max(self._uploaded_s, self._drafted_s) + DRAFT_S
        # Nobody is told of drafts, so those further down send some in vain.
        return now_s >= max(self._unsaved_since_s, self._drafted_s) + place * TURN_S

    def _place(self, pending: PendingSave, views: list[str]) -> int:
        line = [pending.view_id, *(view_id for view_id in views if view_id != pending.view_id)]
        line = [view_id for view_id in line if view_id in views]
        return line.index(self._view_id) if self._view_id in line else len(line)

    def state(self, replica: Replica | None) -> SavedState:
        """How saving is doing, for people."""
        if self.error:
            return "failed"
        if replica is None or (replica.pending_save is None and replica.last_save is None):
            return "none"
        return "saved" if replica.pending_save is None else "saving"

    def stored(self) -> None:
        """Some version of this session is stored, by us or another one."""
        self._in_flight = ""
        self._unsaved_since_s = float("inf")
        self.error = ""

    def refused(self, reason: str, now_s: float) -> None:
        """The synchronizer could not store it: try again in a while."""
        self._in_flight = ""
        self._drafted = None
        self._retry_s = now_s + RETRY_S
        self.error = reason

    def reconnected(self) -> None:
        """Whatever was on its way may be lost: send it again."""
        self._in_flight = ""
        self._drafted = None
