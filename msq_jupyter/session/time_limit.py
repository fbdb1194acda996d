"""A limit to how long user code may run on this thread, whatever it does in Python."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class TimeIsUp(KeyboardInterrupt):
    """Raised in the middle of what ran too long. Like the user's interrupt, no model's error handling takes it."""


def within(limit_s: float, function: Callable[[], T]) -> T:
    """Call a function and give it so much time.

    A second thread raises the exception in this one, on any thread and system; it cannot end what waits inside of a
    library in C.

    Args:
        limit_s: how long it may take, in seconds, above 0.
        function: what to call.

    Raises:
        TimeIsUp: it took longer.
    """
    alarm = _Alarm(limit_s)
    try:
        result = function()
    finally:
        alarm.stop()
    if alarm.is_raised:  # and caught by what it should have ended, or on its way when that came to its end
        raise TimeIsUp
    return result


class _Alarm:
    """Raises `TimeIsUp` once in the thread that made it, unless it is stopped before.

    Attributes:
        is_raised: whether it has been.
    """

    def __init__(self, limit_s: float) -> None:
        self._thread_id = ctypes.c_ulong(threading.get_ident())
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.is_raised = False
        threading.Thread(target=self._wait, args=(limit_s,), daemon=True, name="msq time limit").start()

    def _wait(self, limit_s: float) -> None:
        if self._stopped.wait(limit_s):
            return
        with self._lock:
            if not self._stopped.is_set():
                self.is_raised = True
                self._raise()

    def stop(self) -> None:
        """After this, none is raised.

        Raises:
            TimeIsUp: it was on its way.
        """
        with self._lock:
            self._stopped.set()
        if self.is_raised:
            # Taking an exception back that is on its way would leave CPython looking for it for ever: up to 3.11, the
            # thread then hangs as soon as a debugger or a coverage tool traces it. So it is let come, and caught.
            with contextlib.suppress(TimeIsUp):
                is_coming = self._raise()
                while is_coming:
                    pass

    def _raise(self) -> bool:
        """Whether CPython knows the thread, and so raises it there at its next step."""
        return bool(ctypes.pythonapi.PyThreadState_SetAsyncExc(self._thread_id, ctypes.py_object(TimeIsUp)))
