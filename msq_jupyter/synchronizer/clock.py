"""Session time: it runs while somebody is in the session and never goes back, not even over `kill -9`."""

from __future__ import annotations

#: How far ahead of what members have seen the stored mark is written while time runs. A crash makes session time jump
#: by at most this much; a smaller value costs one more write per that many milliseconds of silence.
LEASE_MS = 5_000.0


class SessionClock:
    """Session time of one run.

    Ticks are not in the log, so the log cannot say which times members have seen. Therefore a mark is stored that is
    never before any of them: ahead of time while time runs, exact while it stands still.

    Args:
        time_ms: the stored mark, 0 for a new run. Time stands still until `start`.
    """

    def __init__(self, time_ms: float) -> None:
        self._last_ms = time_ms
        self._mark_ms = time_ms
        self._base_ms = time_ms
        self._since_ms: float | None = None

    def start(self, now_ms: float) -> None:
        """Let time run from `now_ms` (of the driver's clock) on; nothing happens when it runs already."""
        if self._since_ms is None:
            self._base_ms, self._since_ms = self._last_ms, now_ms

    def stop(self, now_ms: float) -> None:
        """Let time stand still."""
        self.read(now_ms)
        self._since_ms = None

    def read(self, now_ms: float) -> float:
        """Session time, rounded to microseconds; never less than what was read before."""
        if self._since_ms is not None:
            self._last_ms = max(self._last_ms, round(self._base_ms + (now_ms - self._since_ms), 3))
        return self._last_ms

    def take_mark(self) -> float | None:
        """The mark to store before anybody sees what was read, or None when the stored one does."""
        if self._since_ms is None:
            mark_ms = self._last_ms
        elif self._last_ms > self._mark_ms:
            mark_ms = round(self._last_ms + LEASE_MS, 3)
        else:
            return None
        if mark_ms == self._mark_ms:
            return None
        self._mark_ms = mark_ms
        return mark_ms
