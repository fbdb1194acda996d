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
        return function()
    finally:
        alarm.stop()


class _Alarm:
    """Raises `TimeIsUp` once in the thread that made it, unless it is stopped before."""

    def __init__(self, limit_s: float) -> None:
        self._thread_id = ctypes.c_ulong(threading.get_ident())
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._is_raised = False
        threading.Thread(target=self._wait, args=(limit_s,), daemon=True, name="msq time limit").start()

    def _wait(self, limit_s: float) -> None:
        if self._stopped.wait(limit_s):
            return
        with self._lock:
            if not self._stopped.is_set():
                self._is_raised = True
                self._raise()

    def stop(self) -> None:
        """After this, none is raised.

        Raises:
            TimeIsUp: it was on its way.
        """
        with self._lock:
            self._stopped.set()
        if self._is_raised:
            # Taking an exception back that is on its way would leave CPython looking for it for ever: up to 3.11, the
            # thread then hangs as soon as a debugger or a coverage tool traces it. So it is let come, and caught.
            with contextlib.suppress(TimeIsUp):
                self._raise()
                while True:
                    pass

    def _raise(self) -> None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(self._thread_id, ctypes.py_object(TimeIsUp))
