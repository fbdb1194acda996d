"""The draft that goes up next, on the socket thread: it keeps its time also while a cell keeps the main loop.

The main loop hands over what waits to be saved as soon as it is collected, with the time when it shall go up. A newer
draft takes the place of one that waits. It is sealed when it goes up, and not before: then it is known which version it
grew from, although the main loop has not heard of that yet. Nothing acknowledges a draft, so it goes up again with each
new connection, until it is a version.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from msq_jupyter import protocol
from msq_jupyter.runtime.saves import PendingSave
from msq_jupyter.session.client import Client

#: How long it waits for what it grew from to be acknowledged, or for a connection, before it looks again, in seconds.
LOOK_AGAIN_S = 0.1
#: How often it is looked whether a draft that is up has lost its connection.
WATCH_S = 0.5


@dataclass(frozen=True)
class WaitingDraft:
    """Content that shall go up as a draft.

    Attributes:
        run: the run it is of.
        parent: number of the version it grew from, as far as the main loop knows.
        in_flight: id of the save that is on its way, and will be its parent; "" for none.
        at_s: when it shall go up, by the clock of its sender.
    """

    run: str
    pending: PendingSave
    parent: int
    in_flight: str
    at_s: float


class DraftSender:
    """Sends drafts for one participant; all of it runs where the client does.

    Args:
        client: what sends.
        seal: makes of pending content and its parent what goes up.
        now_s: the clock.
        later: calls something after so many seconds.
        sent: called when a draft has gone up.
    """

    def __init__(
        self,
        client: Client,
        seal: Callable[[PendingSave, int], protocol.Save],
        now_s: Callable[[], float],
        later: Callable[[float, Callable[[], None]], object],
        sent: Callable[[WaitingDraft], None],
    ) -> None:
        self._client = client
        self._seal = seal
        self._now_s = now_s
        self._later = later
        self._sent = sent
        self._draft: WaitingDraft | None = None
        self._connection = 0
        self._up_on = 0
        self._look_s: float | None = None

    def put(self, draft: WaitingDraft) -> None:
        """Let this one go up in its time, in the place of one that waits."""
        self._draft = draft
        self._connection = self._client.connections
        self._up_on = 0
        self._look()

    def drop(self) -> None:
        """What waits is not wanted any more: it goes up as a save."""
        self._draft = None

    def _look(self) -> None:
        draft, client = self._draft, self._client
        if draft is None or client.ended:
            return
        newest = client.newest_saved
        parent = max(draft.parent, newest.number if newest else 0)
        now_s = self._now_s()
        if now_s < draft.at_s:
            self._look_again(draft.at_s - now_s)
        elif not self._can_go(draft):
            self._look_again(LOOK_AGAIN_S)
        elif draft.run != client.run or (newest and newest.save_id == draft.pending.save_id):
            self._draft = None
        else:
            if self._up_on != client.connections:
                self._up_on = client.connections
                client.tell_of(draft.run, self._seal(draft.pending, parent))
                self._sent(draft)
            self._look_again(WATCH_S)

    def _can_go(self, draft: WaitingDraft) -> bool:
        if self._client.state != "live":
            return False
        # What was on its way on an earlier connection has come back by now, or is lost.
        if not draft.in_flight or self._connection != self._client.connections:
            return True
        newest = self._client.newest_saved
        return newest is not None and newest.number > draft.parent

    def _look_again(self, delay_s: float) -> None:
        look_s = self._now_s() + delay_s
        if self._look_s is None or look_s < self._look_s:
            self._look_s = look_s
            self._later(delay_s, self._on_time)

    def _on_time(self) -> None:
        self._look_s = None
        self._look()
