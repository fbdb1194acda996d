"""What model code runs under: the user can interrupt it, and it has as many frames for recursion as anywhere else.

A kernel that runs no cell ignores SIGINT, and one that awaits in a cell only cancels what is awaited. Neither would
end a method of a model that loops, so while models run, an interrupt is raised in the middle of them.
"""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import Any

from msq_jupyter.runtime.model import Model

#: How many frames model code may use, whatever called the session and whatever limit the notebook has set.
FRAMES = 1000


class ModelRun:
    """A context in which model code runs.

    Leaving it with a KeyboardInterrupt passes that on to whoever would have had the signal, after `interrupted`: the
    cell that runs ends, the program too, and a kernel that runs no cell goes on.
    """

    def __enter__(self) -> ModelRun:
        self._limit = sys.getrecursionlimit()
        sys.setrecursionlimit(_depth() + FRAMES)
        self._on_main_thread = threading.current_thread() is threading.main_thread()
        if self._on_main_thread:
            self._handler: Any = signal.signal(signal.SIGINT, signal.default_int_handler)
        return self

    def __exit__(self, *_: object) -> None:
        if self._on_main_thread:
            signal.signal(signal.SIGINT, signal.SIG_DFL if self._handler is None else self._handler)
        sys.setrecursionlimit(self._limit)

    def pass_on(self, interrupt: KeyboardInterrupt) -> None:
        """Give an interrupt to whoever would have had it, once this context is left."""
        if not self._on_main_thread or self._handler is signal.default_int_handler:
            raise interrupt
        if callable(self._handler):
            self._handler(signal.SIGINT, None)


def method_in(frame: FrameType | None) -> str:
    """The innermost method of a model on a stack, such as "Board.spin", or "" when there is none."""
    while frame is not None:
        model = frame.f_locals.get("self")
        if isinstance(model, Model) and not frame.f_globals.get("__name__", "").startswith("msq_jupyter.runtime"):
            return f"{type(model).__qualname__}.{frame.f_code.co_name}"
        frame = frame.f_back
    return ""


def interrupted_method(error: BaseException) -> str:
    """The method of a model that an exception came out of, or ""."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return method_in(trace.tb_frame if trace is not None else None)


def _depth() -> int:
    frame: FrameType | None = sys._getframe()
    depth = 0
    while frame is not None:
        depth += 1
        frame = frame.f_back
    return depth
