"""Telling the author of a model what is wrong with it: once, with place and remedy, while the session goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from msq_jupyter.errors import MsqError, StateError
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.session.story import Story

#: The state is checked for what cannot be replicated at most this often, and never for more than 2 % of the time.
CHECK_S = 2.0
CHECK_SHARE = 0.02
#: The same mistake is told again after so long.
REPEAT_S = 1.0
#: A method that runs this long without a pause is told of.
ENDLESS_S = 5.0
_PACKAGE = str(Path(__file__).parents[1])
#: Why replicas may differ after an error that depends on the kernel.
_OF_THIS_KERNEL = {
    RecursionError: "; how deep it got may differ between kernels",
    MemoryError: "; kernels with more memory may have got further",
}


def _trace_of_author(error: BaseException) -> TracebackType | None:
    """The traceback of an error without the way through this package to the author's code."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        trace = trace.tb_next
    return trace or error.__traceback__


class Mistakes:
    """What went wrong in model code.

    Args:
        story: who is told.
        always_check: check the state after every step, whatever it costs.

    Attributes:
        story: as given.
        notice: the last mistake in one line, or "".
        always_check: as given; may be changed.
    """

    def __init__(self, story: Story, *, always_check: bool) -> None:
        self.notice = ""
        self.story = story
        self.always_check = always_check
        self._told_endless = False
        self._known: set[str] = set()
        self._told_s: dict[str, float] = {}
        self._checked_moves = 0
        self._check_after_s = 0.0

    def report(self, model: str, method: str, error: BaseException, *, of_another: bool = False) -> None:
        """Tell of a mistake: with its traceback the first time, in one line when it comes again.

        Args:
            model: the class.
            method: its method, or "".
            error: what it raised.
            of_another: another participant's event did it; only `notice` says so, because what is printed here would
                stand below a cell that has nothing to do with it.
        """
        place = f"{model}.{method}" if method else model
        hint = next((why for kind, why in _OF_THIS_KERNEL.items() if isinstance(error, kind)), "")
        self.notice = f"{place}: {type(error).__name__}: {error}{hint}"
        if of_another:
            self.story.debug("%s", self.notice)
            return
        now_s = time.monotonic()
        if self.notice not in self._known:
            self._known.add(self.notice)
            shown = None if isinstance(error, StateError) else (type(error), error, _trace_of_author(error))
            self.story.error("%s", self.notice, exc_info=shown)
        elif now_s > self._told_s[place] + REPEAT_S:  # a timer can fail twenty times a second
            self.story.error("%s (again)", self.notice)
        else:
            return
        self._told_s[place] = now_s

    def guard(self, function: Callable[..., Any], *args: Any) -> None:
        """Call what shows the model: its mistakes are told, and end neither the session nor the others."""
        try:
            function(*args)
        except Exception as error:
            self.report(getattr(function, "__qualname__", repr(function)), "", error)

    def tell_if_endless(self, running_s: float, method: Callable[[], str]) -> None:
        """Tell of a model that keeps the kernel, once for each time; on the socket thread, because no other is free.

        Args:
            running_s: for how long it has been running, in seconds.
            method: says what runs, or "".
        """
        if running_s <= ENDLESS_S:
            self._told_endless = False
        elif not self._told_endless:
            self._told_endless = True
            self.notice = f"{method() or 'the model'} has been running for {running_s:.0f} s"
            self.story.warning("%s, and nothing else can: interrupt the kernel if it should not", self.notice)

    def warn(self, notice: str) -> None:
        """Tell of something that people should know, and nobody did wrong."""
        self.notice = notice
        self.story.warning("%s", notice)

    def withdraw(self, notice: str) -> None:
        """What was told is true no more; nothing is done if something else was told since."""
        if self.notice == notice:
            self.notice = ""

    def tell(self, error: MsqError) -> None:
        """Tell of something that was found and mended, in one line."""
        self.notice = str(error)
        self.story.error("%s: %s", type(error).__name__, error)

    def check_state(self, replica: Replica) -> None:
        """Find what cannot be replicated soon after it was stored, and not first at the next snapshot."""
        now_s = time.monotonic()
        if self._checked_moves == replica.moves or (now_s < self._check_after_s and not self.always_check):
            return
        self._checked_moves = replica.moves
        try:
            replica.snapshot()
        except Exception as error:
            # Whatever it is, it is in the author's data, and the session goes on.
            self.report(type(replica.root).__qualname__, getattr(error, "path", "state"), error)
        self._check_after_s = now_s + max(CHECK_S, (time.monotonic() - now_s) / CHECK_SHARE)
