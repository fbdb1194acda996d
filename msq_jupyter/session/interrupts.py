"""What model code runs under: the user can interrupt it, and it has as many frames for recursion as anywhere else.

A kernel that runs no cell ignores SIGINT, and one that awaits in a cell only cancels what is awaited. Neither would
end a method of a model that loops, so while models run, an interrupt is raised in the middle of them.

Only there: what surrounds them must know afterwards whether an event was cut in two, however often and however quickly
the user presses. And it is noted: a model may catch the exception, and would then have gone another way than elsewhere.
"""

from __future__ import annotations

import signal
import sys
import threading
from decimal import getcontext, setcontext
from types import CodeType, FrameType
from typing import Any

from msq_jupyter.runtime.model import Model, running_replica, set_running_replica
from msq_jupyter.runtime.replica import Replica

#: How many frames model code may use, whatever called the session and whatever limit the notebook has set.
FRAMES = 1000

#: Model code runs inside of these, and nothing runs inside of them that must not be cut in two.
MODEL_CODE = frozenset(method.__code__ for method in (Replica.start, Replica.follow, Replica.restore))


class ModelRun:
    """A context in which model code runs.

    Whoever would have had an interrupt gets it from `pass_on`, after this: the cell that runs ends, the program too,
    and a kernel that runs no cell goes on.

    Args:
        inside: an interrupt is raised inside of these functions only, and otherwise just noted. Anywhere, if empty.

    Attributes:
        interrupted: whether one was raised inside, and maybe caught there.
        method: which method of a model ran then, such as "Board.spin", or "".
    """

    def __init__(self, inside: frozenset[CodeType] = MODEL_CODE) -> None:
        self._inside = inside
        self._pressed = False
        self.interrupted = False
        self.method = ""

    def __enter__(self) -> ModelRun:
        self._limit = sys.getrecursionlimit()
        self._before = running_replica(), getcontext()
        self._on_main_thread = threading.current_thread() is threading.main_thread()
        # First to come and last to go: nothing is changed while an interrupt is still raised anywhere.
        if self._on_main_thread:
            self._handler: Any = signal.signal(signal.SIGINT, self._press)
        sys.setrecursionlimit(_depth() + FRAMES)
        return self

    def __exit__(self, *_: object) -> None:
        replica, decimals = self._before
        set_running_replica(replica)  # the replica does that itself, unless it was interrupted doing it
        setcontext(decimals)
        sys.setrecursionlimit(self._limit)
        if self._on_main_thread:
            signal.signal(signal.SIGINT, signal.SIG_DFL if self._handler is None else self._handler)

    def _press(self, _: int, frame: FrameType | None) -> None:
        self._pressed = True
        if not self._inside or _is_inside(frame, self._inside):
            self.interrupted = True
            self.method = method_in(frame)
            raise KeyboardInterrupt

    def caught(self, interrupt: KeyboardInterrupt) -> None:
        """Note an interrupt that came out, whoever raised it."""
        self._pressed = self.interrupted = True
        self.method = self.method or interrupted_method(interrupt)

    def pass_on(self) -> None:
        """Give an interrupt, if there was one, to whoever would have had it, once this context is left.

        Raises:
            KeyboardInterrupt: that is a cell, or a program.
        """
        if not self._pressed:
            return
        if not self._on_main_thread or self._handler is signal.default_int_handler:
            raise KeyboardInterrupt
        if callable(self._handler):
            self._handler(signal.SIGINT, None)


def _is_inside(frame: FrameType | None, codes: frozenset[CodeType]) -> bool:
    while frame is not None:
        if frame.f_code in codes:
            return True
        frame = frame.f_back
    return False


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
