"""What the cells of one notebook make: a cell that runs again replaces what it made before, and doubles nothing.

`jupyter/cells.py` says when a cell begins and ends. Outside of cells, in scripts and tests, nothing here does anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING
from weakref import WeakSet

from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.view import View

if TYPE_CHECKING:
    from msq_jupyter.session.arguments import JoinArguments
    from msq_jupyter.session.session import SessionCore

Undo = Callable[[], None]


class Cells:
    """The cells of one kernel.

    Attributes:
        sessions: what cells have joined.
        joining: held while a cell joins, so that two that do it at once get one session.
    """

    def __init__(self) -> None:
        self.sessions: WeakSet[SessionCore] = WeakSet()
        self.joining = asyncio.Lock()
        self._made: dict[str, list[Undo]] = {}
        self._earlier: list[Undo] = []
        self._running = ""
        self._depth = 0

    def begin(self, key: str) -> None:
        """A cell begins; `key` is the same when it runs again. A cell that runs inside of another is part of it."""
        self._depth += 1
        if self._depth == 1:
            self._running = key
            self._earlier = self._made.pop(key, [])

    def end(self, *, succeeded: bool) -> None:
        """The cell ended. What it did not make again ends, unless it failed before it came to that."""
        self._depth = max(self._depth - 1, 0)
        if self._depth or not self._running:
            return
        if not succeeded and self._earlier:
            self._made.setdefault(self._running, []).extend(self._earlier)
            self._earlier = []
        self.replace_earlier()
        self._running = ""

    def replace_earlier(self) -> None:
        """What this cell made when it ran before ends now."""
        earlier, self._earlier = self._earlier, []
        for undo in earlier:
            undo()

    def note(self, undo: Undo) -> None:
        """The running cell has made something, which `undo` ends."""
        if self._running:
            self._made.setdefault(self._running, []).append(undo)

    def joined(self, arguments: JoinArguments) -> SessionCore | None:
        """The live session that a cell has joined with the same arguments; the code may be another."""
        loop = asyncio.get_running_loop()
        for session in self.sessions:
            if session.loop is loop and session.is_open and _without_code(session.given) == _without_code(arguments):
                return session
        return None


_cells: ContextVar[Cells | None] = ContextVar("msq_cells", default=None)


def enter(cells: Cells | None) -> None:
    """What runs from here on in this context runs in a cell of `cells`, or in none."""
    _cells.set(cells)


def current() -> Cells | None:
    """The cells of the kernel this code runs in, None in a script."""
    return _cells.get()


def make(make_it: Callable[[], Undo]) -> Undo:
    """Make something that ends when the cell that makes it runs again, such as a subscription or a link.

    Args:
        make_it: makes it, and returns what ends it; ending it twice is harmless.

    Returns:
        What `make_it` returned.
    """
    cells = current()
    if cells is None:
        return make_it()
    cells.replace_earlier()
    undo = make_it()
    cells.note(undo)
    return undo


def _without_code(arguments: JoinArguments) -> JoinArguments:
    return replace(arguments, model=Model, view=View, on_code_edit="ask")
