"""Virtual time: callbacks in the order in which they are due, and a clock that jumps from one to the next."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class Timer:
    """A callback that waits for its time; `cancel` forgets it."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Forget the callback."""
        self.call = None


class Timeline:
    """A deterministic event loop without threads, sockets or real time.

    Callbacks that are due at the same moment run in the order in which they were asked for.

    Attributes:
        now_ms: virtual time in milliseconds, 0 at the beginning.
        steps: how many callbacks have run.
    """

    def __init__(self) -> None:
        self.now_ms = 0.0
        self.steps = 0
        self._order = itertools.count()
        self._heap: list[tuple[float, int, Timer]] = []

    def after(self, delay_ms: float, call: Callable[[], None]) -> Timer:
        """Have something called, `delay_ms` milliseconds from now."""
        return self.at(self.now_ms + delay_ms, call)

    def at(self, time_ms: float, call: Callable[[], None]) -> Timer:
        """Have something called at a time; at once if it has passed."""
        timer = Timer(call)
        heapq.heappush(self._heap, (max(self.now_ms, time_ms), next(self._order), timer))
        return timer

    def run_until(self, time_ms: float) -> None:
        """Run everything due at or before `time_ms`, and let it be that time.

        Raises:
            Exception: whatever a callback raises; running again goes on behind it.
        """
        while self._heap and self._heap[0][0] <= time_ms:
            due_ms, _, timer = heapq.heappop(self._heap)
            if timer.call is not None:
                self.now_ms = due_ms
                self.steps += 1
                timer.call()
        self.now_ms = max(self.now_ms, time_ms)
