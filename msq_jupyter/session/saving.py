"""When to upload what `persist_session` collected: one participant does, and another one if it does not. Pure.

Every replica has the same pending content, under the same save id, so it is stored once whoever sends it. First in line
is the participant whose event saved, then the others in the order of joining; each one further down waits longer.

Versions keep a distance, but nothing stays for so long in one kernel only: what waits goes up as a draft soon, which
becomes a version when nobody is left who could save it. Who is first in line hands a draft over at once, with the time
when it shall go up: it goes then whatever the kernel does (`session/drafts.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from msq_jupyter.runtime.replica import Replica
from msq_jupyter.runtime.saves import PendingSave

SavedState = Literal["none", "dirty", "saving", "saved", "failed"]
Upload = Literal["save", "draft", "nothing"]

#: How much longer each participant further down the line waits before it takes over.
TURN_S = 2.0
#: How long after a refusal an upload is tried again; twice as long after each one more, up to a limit.
RETRY_S = 2.0
RETRY_LONGEST_S = 30.0
#: Distance of a draft from the upload before it.
DRAFT_S = 0.5


class Saver:
    """Decides for one participant; time is an argument, in seconds of any steady clock.

    Args:
        view_id: who we are.
        interval_s: uploads keep this distance, the last content wins.

    Attributes:
        interval_s: as given.
        in_flight: id of the save that is uploaded and not acknowledged, "" for none.
        draft_at_s: when the draft that was handed over last goes up.
        error: why the last upload failed, "" when it did not.
    """

    def __init__(self, view_id: str, interval_s: float) -> None:
        self._view_id = view_id
        self.interval_s = interval_s
        self._uploaded_s = float("-inf")
        self.in_flight = ""
        self._handed_over: tuple[str, int] | None = None
        self.draft_at_s = float("-inf")
        self._unsaved_since_s = float("inf")
        self._refused_s = float("-inf")
        self._refusals = 0
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
        """What to do with `pending` now; whoever asks does it: a draft has to go up at `draft_at_s`.

        Args:
            pending: what the replica has to save.
            parent: number of the version it grew from; a draft that named another one is of no use any more.
            views: everybody in the session, in the order of joining.
            now_s: the time.
            at_once: do not keep the distance, and try soon again after refusals, when leaving; while another save is
                in flight, as a draft.
            is_ready: asked when it is our turn and the time; False puts it off.
        """
        self._unsaved_since_s = min(self._unsaved_since_s, now_s)
        if self.in_flight == pending.save_id or now_s < self._retry_time_s(at_once=at_once):
            return "nothing"
        place = self._place(pending, list(views))
        # What is in flight becomes the parent: wait for its number, and until then let nothing be lost.
        is_due = not self.in_flight and (at_once or self._is_due(place, now_s))
        is_draft_due = (pending.save_id, parent) != self._handed_over and (at_once or self._is_draft_due(place, now_s))
        if not (is_due or is_draft_due) or not is_ready():
            return "nothing"
        if is_due:
            self.in_flight = pending.save_id
            self._uploaded_s = now_s
            self._handed_over = None
            return "save"
        self._handed_over = (pending.save_id, parent)
        self.draft_at_s = now_s if at_once else self._draft_time_s(place, now_s)
        return "draft"

    def _is_due(self, place: int, now_s: float) -> bool:
        if place == 0:
            return now_s >= self._uploaded_s + self.interval_s
        return now_s >= self._unsaved_since_s + self.interval_s + place * TURN_S

    def _is_draft_due(self, place: int, now_s: float) -> bool:
        if place == 0:
            return True
        # Nobody is told of drafts, so those further down send some in vain.
        return not self.in_flight and now_s >= max(self._unsaved_since_s, self.draft_at_s) + place * TURN_S

    def _draft_time_s(self, place: int, now_s: float) -> float:
        if place > 0:
            return now_s
        if self.draft_at_s > now_s:
            return self.draft_at_s  # it takes the place of one that has not gone up yet
        return max(now_s, self._uploaded_s + DRAFT_S, self.draft_at_s + DRAFT_S)

    def _place(self, pending: PendingSave, views: list[str]) -> int:
        """Our place in line: before all others stands whose event saved, if it is still there."""
        if self._view_id == pending.view_id and self._view_id in views:
            return 0
        place = views.index(self._view_id) if self._view_id in views else len(views)
        return place + (pending.view_id in views[place:])

    # --- for people ----------------------------------------------------------------------------------------------

    def state(self, replica: Replica | None, now_s: float, *, is_live: bool) -> SavedState:
        """How saving is doing; who is first in line uploads, and the others take it that it does."""
        if self.error:
            return "failed"
        if replica is None:
            return "none"
        pending = replica.pending_save
        if pending is None:
            return "saved" if replica.last_save else "none"
        is_ours = self._place(pending, list(replica.views)) == 0
        is_uploaded = self.in_flight == pending.save_id if is_ours else self.next_s <= now_s
        return "saving" if is_uploaded and is_live else "dirty"

    @property
    def next_s(self) -> float:
        """When what waits is uploaded, or tried again; in the past when nothing keeps it."""
        return max(self._retry_time_s(at_once=False), self._uploaded_s + self.interval_s)

    def _retry_time_s(self, *, at_once: bool) -> float:
        if not self._refusals:
            return float("-inf")
        longest_s = RETRY_S if at_once else RETRY_LONGEST_S
        return self._refused_s + min(RETRY_S * 2.0 ** (self._refusals - 1), longest_s)

    # --- what came of it -----------------------------------------------------------------------------------------

    def stored(self, now_s: float, *, is_history: bool = False) -> None:
        """Some version of this session is stored, by us or another one; the next one keeps its distance to it.

        Args:
            now_s: the time.
            is_history: it was stored at some earlier time.
        """
        if not self.in_flight and not is_history:
            self._uploaded_s = now_s
        self.in_flight = ""
        self._unsaved_since_s = float("inf")
        self._refusals = 0
        self.error = ""

    def refused(self, reason: str, now_s: float) -> None:
        """The synchronizer could not store it: try again in a while."""
        self.in_flight = ""
        self._handed_over = None
        self._refusals = min(self._refusals + 1, 10)
        self._refused_s = now_s
        self.error = reason

    def reconnected(self) -> None:
        """Whatever was on its way may be lost: send it again."""
        self.in_flight = ""
        self._handed_over = None
