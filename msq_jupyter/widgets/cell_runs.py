"""Which cell made what follows a session, so that running a cell again replaces it instead of adding to it.

What a run of a cell made ends when a later run of it has made something or has other code, and when the cell is
deleted. A cell that runs again unchanged and makes nothing keeps what it has: it said `if link is None`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol


class Ends(Protocol):
    """What can be ended."""

    def end(self) -> None:
        """End it; a second time does nothing."""


@dataclass
class _Run:
    """One run of a cell, and what it made."""

    cell_id: str
    source: str
    made: list[Ends] = field(default_factory=list)


class _Current(threading.local):
    """The run that goes on; by thread, because a process may hold kernels in several threads."""

    runs: CellRuns | None = None


_current = _Current()


class CellRuns:
    """The runs of one shell's cells."""

    def __init__(self) -> None:
        self._last: dict[str, _Run] = {}
        self._going_on: list[_Run] = []
        self._when_idle: list[Callable[[], object]] = []

    @property
    def is_running(self) -> bool:
        """Whether a cell runs just now, or waits for something."""
        return bool(self._going_on)

    def begin(self, cell_id: str | None, source: str) -> None:
        """A cell begins to run; one inside of another is a part of that.

        Args:
            cell_id: None where cells have none; equal cells are one then.
            source: its code.
        """
        self._going_on.append(_Run(cell_id or f"code {source}", source))
        _current.runs = self

    def finish(self) -> None:
        """The cell that began last has ended."""
        if not self._going_on:
            return  # we came in the middle of a cell
        run = self._going_on.pop()
        if self._going_on:
            self._going_on[-1].made += run.made
            return
        _current.runs = None
        waiting, self._when_idle = self._when_idle, []
        for call in waiting:
            call()
        earlier = self._last.get(run.cell_id)
        if earlier is not None and (run.made or run.source != earlier.source):
            self.forget([run.cell_id])
        if run.made:
            self._last[run.cell_id] = run

    def forget(self, cell_ids: Iterable[str]) -> None:
        """End what cells made that are no more."""
        for cell_id in cell_ids:
            run = self._last.pop(cell_id, None)
            for made in run.made if run else ():
                made.end()

    def when_idle(self, call: Callable[[], object]) -> None:
        """Have something called once, when the cell that runs has ended."""
        self._when_idle.append(call)

    def note(self, made: Ends) -> None:
        """Something was made by the cell that runs."""
        if self._going_on:
            self._going_on[-1].made.append(made)

    def drop(self, ended: Ends) -> None:
        """Something ended by itself: keep it no longer."""
        for run in [*self._last.values(), *self._going_on]:
            run.made = [made for made in run.made if made is not ended]


def running() -> CellRuns | None:
    """The runs of the shell whose cell runs on this thread; None outside of cells and notebooks."""
    return _current.runs
