"""What the cells of one notebook make: a cell that runs again replaces what it made before, and doubles nothing.

What a run of a cell made ends as soon as a later run of it makes something, when a later run has other code and makes
nothing, and when the cell is deleted. A cell that runs again unchanged and makes nothing keeps what it has: it said
`if link is None`. So does one that fails before it comes to that.

`jupyter/cells.py` says when a cell begins and ends; in marimo, `session/marimo.py` does. Outside of cells, in scripts
and tests, nothing here does anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from weakref import WeakSet

from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.view import View
from msq_jupyter.session import marimo

if TYPE_CHECKING:
    from msq_jupyter.session.arguments import JoinArguments
    from msq_jupyter.session.session import SessionCore

#: Ends what a cell made; a second time does nothing.
Undo = Callable[[], None]


@dataclass
class _Run:
    """One run of a cell, and what ends the things it made."""

    key: str
    source: str
    made: list[Undo] = field(default_factory=list)


class Cells:
    """The cells of one kernel.

    Attributes:
        sessions: what cells have joined.
        joining: held while a cell joins, so that two that do it at once get one session.
    """

    def __init__(self) -> None:
        self.sessions: WeakSet[SessionCore] = WeakSet()
        self.joining = asyncio.Lock()
        self._last: dict[str, _Run] = {}
        self._run: _Run | None = None
        self._depth = 0
        self._when_idle: list[Callable[[], object]] = []

    @property
    def is_running(self) -> bool:
        """Whether a cell runs just now, or waits for something."""
        return self._run is not None

    def begin(self, key: str, source: str) -> None:
        """A cell begins; one that runs inside of another is a part of that.

        Args:
            key: the same when it runs again.
            source: its code.
        """
        self._depth += 1
        if self._depth == 1:
            self._run = _Run(key, source)

    def end(self, *, succeeded: bool) -> None:
        """The cell that began last has ended; nothing happens when none has, as when we came in the middle of one."""
        self._depth = max(self._depth - 1, 0)
        if self._depth or self._run is None:
            return
        run, self._run = self._run, None
        waiting, self._when_idle = self._when_idle, []
        for call in waiting:
            call()
        earlier = self._last.get(run.key)
        if run.made:
            self._last[run.key] = run
        elif succeeded and earlier is not None and earlier.source != run.source:
            self.forget([run.key])

    def stop(self) -> None:
        """No more is heard of cells: the one that runs has ended."""
        self._depth = min(self._depth, 1)
        self.end(succeeded=True)

    def forget(self, keys: Iterable[str]) -> None:
        """End what cells made that are no more."""
        for key in keys:
            run = self._last.pop(key, None)
            for undo in run.made if run else ():
                undo()

    def when_idle(self, call: Callable[[], object]) -> None:
        """Have something called once, when the cell that runs has ended."""
        self._when_idle.append(call)

    def note(self, undo: Undo) -> None:
        """The running cell, if one does, has made something that `undo` ends: what it made when it ran before ends."""
        if self._run is not None:
            self.forget([self._run.key])
            self._run.made.append(undo)

    def drop(self, undo: Undo) -> None:
        """What `undo` ends has ended by itself: keep it no longer."""
        for run in (*self._last.values(), self._run):
            if run is not None and undo in run.made:
                run.made.remove(undo)

    def joined(self, arguments: JoinArguments) -> SessionCore | None:
        """The live session that a cell has joined with the same arguments; the code may be another."""
        loop = asyncio.get_running_loop()
        for session in self.sessions:
            if session.loop is loop and session.is_open and _without_code(session.given) == _without_code(arguments):
                return session
        return None


class MarimoCells(Cells):
    """The cells of one kernel of marimo.

    There, a cell runs again after one that it depends on: an edit of the model's cell runs the one that joins again,
    and it gets the session that it joined before, which goes on with the edited code.
    """

    def __init__(self, kernel: object) -> None:
        super().__init__()
        self._kernel = kernel

    def note(self, undo: Undo) -> None:
        """The running cell, if one does, has made something that `undo` ends: when it runs again that ends."""
        marimo.made_by_cell(self._kernel, undo)


_cells: ContextVar[Cells | None] = ContextVar("msq_cells", default=None)


def enter(cells: Cells | None) -> None:
    """What runs from here on in this context runs in a cell of `cells`, or in none."""
    _cells.set(cells)


def current() -> Cells | None:
    """The cells of the kernel this code runs in, None in a script."""
    kernel = marimo.kernel_here()
    if kernel is None:
        return _cells.get()
    if not hasattr(kernel, "msq_cells"):  # kept where it ends with the kernel
        kernel.msq_cells = MarimoCells(kernel)
    cells: Cells = kernel.msq_cells
    return cells


def _without_code(arguments: JoinArguments) -> JoinArguments:
    return replace(arguments, model=Model, view=View, on_code_edit="ask")
