"""Future messages: what a replica will do by itself, in one total order.

The order is `(time_ms, order)`, where `order` counts schedulings. It is the same on a replica that has lived long and
on one that was restored a moment ago, because neither the shape of a heap nor an address enters it.
"""

from __future__ import annotations

import math
from heapq import heapify, heappop, heappush, heapreplace
from typing import Any

import msgspec

from msq_jupyter.errors import ScheduleError

#: How many calls may be scheduled within one millisecond for the same millisecond: more never end.
RUSH_MAX = 200_000


class FutureMessage(msgspec.Struct, eq=False):
    """A call of a model's method, later.

    Attributes:
        handle_id: what its handle knows it by; stays when a repeated message is armed again.
        time_ms: when it is due, in session time.
        order: its place among messages of the same time.
        every_ms: the period of a repeated message, 0 for one that runs once.
    """

    handle_id: int
    time_ms: float
    order: int
    every_ms: float
    model_id: str
    method: str
    args: tuple[Any, ...]


class Schedule:
    """The future messages of one replica."""

    def __init__(self) -> None:
        self._by_handle: dict[int, FutureMessage] = {}
        # Entries whose message was cancelled or moved stay in the heap until they come up; `order` tells them.
        self._heap: list[tuple[float, int, FutureMessage]] = []
        #: Before this time nothing is due. At it there may be nothing either, when a message was cancelled.
        self.next_ms = math.inf
        self.next_handle_id = 1
        self.next_order = 1
        #: A millisecond, and how many calls were scheduled in it with a delay of less than one.
        self.rushed = (0, 0)

    def __len__(self) -> int:
        return len(self._by_handle)

    def add(self, time_ms: float, every_ms: float, model_id: str, method: str, args: tuple[Any, ...]) -> FutureMessage:
        """Schedule a call; `every_ms` > 0 repeats it."""
        handle_id, order = self.next_handle_id, self.next_order
        self.next_handle_id, self.next_order = handle_id + 1, order + 1
        self._by_handle[handle_id] = message = FutureMessage(
            handle_id, time_ms, order, every_ms, model_id, method, args
        )
        heappush(self._heap, (time_ms, order, message))
        if time_ms < self.next_ms:
            self.next_ms = time_ms
        return message

    def rush(self, now_ms: float, method: str) -> None:
        """Count a call that is scheduled with a delay of less than a millisecond.

        Raises:
            ScheduleError: there were so many that they must be an endless chain.
        """
        moment, count = self.rushed
        if moment != int(now_ms):
            moment, count = int(now_ms), 0
        if count >= RUSH_MAX:
            raise ScheduleError(
                f"future: {count:,} calls were scheduled at {moment} ms for the same moment, so this never ends: give "
                f"{method} a delay of 1 ms or more"
            )
        self.rushed = (moment, count + 1)

    def take_due(self, time_ms: float) -> tuple[float, str, str, tuple[Any, ...]] | None:
        """When the first message due at or before `time_ms` is due, and its model, method and args; or None.

        A repeated one is armed again before it is returned: so it can be cancelled from inside its own method, and an
        exception in there does not stop it.
        """
        heap = self._heap
        while heap:
            due_ms, order, message = heap[0]
            is_live = message.order == order and message.handle_id in self._by_handle
            if is_live and due_ms > time_ms:
                self.next_ms = due_ms
                return None
            if is_live and message.every_ms:
                message.time_ms = due_ms + message.every_ms
                message.order = self.next_order
                self.next_order += 1
                heapreplace(heap, (message.time_ms, message.order, message))
            else:
                heappop(heap)
            self.next_ms = heap[0][0] if heap else math.inf
            if is_live:
                if not message.every_ms:
                    del self._by_handle[message.handle_id]
                return due_ms, message.model_id, message.method, message.args
        return None

    def cancel(self, handle_id: int) -> bool:
        """Forget a message; whether there was one."""
        return self._forget([handle_id])

    def cancel_earliest(self, model_id: str, method: str) -> bool:
        """Forget the earliest message for a method of a model; whether there was one."""
        messages = [m for m in self._by_handle.values() if m.model_id == model_id and m.method == method]
        if not messages:
            return False
        return self.cancel(min(messages, key=lambda m: (m.time_ms, m.order)).handle_id)

    def cancel_all(self, model_id: str) -> bool:
        """Forget every message for a model; whether there was any."""
        handle_ids = [m.handle_id for m in self._by_handle.values() if m.model_id == model_id]
        return self._forget(handle_ids)

    def messages(self) -> list[FutureMessage]:
        """All of them, in the order in which they will run."""
        return sorted(self._by_handle.values(), key=lambda m: (m.time_ms, m.order))

    def restore(
        self, messages: list[FutureMessage], next_handle_id: int, next_order: int, rushed: tuple[int, int]
    ) -> None:
        """Become the schedule that `messages` and the counters were read from."""
        self.rushed = rushed
        self._by_handle = {message.handle_id: message for message in messages}
        self._make_heap()
        self.next_handle_id = next_handle_id
        self.next_order = next_order

    def emptied(self) -> Schedule:
        """A schedule without messages whose numbers go on from here."""
        empty = Schedule()
        empty.restore([], self.next_handle_id, self.next_order, self.rushed)
        return empty

    def _forget(self, handle_ids: list[int]) -> bool:
        count = len(self._by_handle)
        for handle_id in handle_ids:
            self._by_handle.pop(handle_id, None)
        if len(self._heap) > 2 * len(self._by_handle) + 64:
            # A timer that is put off again and again would leave an entry each time.
            self._make_heap()
        return len(self._by_handle) < count

    def _make_heap(self) -> None:
        # In place: whoever takes messages holds it.
        self._heap[:] = [(message.time_ms, message.order, message) for message in self._by_handle.values()]
        heapify(self._heap)
        self.next_ms = self._heap[0][0] if self._heap else math.inf
