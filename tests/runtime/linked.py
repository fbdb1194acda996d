"""Notebooks for the tests of linking: cells that run one by one, and a replica of the model they define."""

from __future__ import annotations

import itertools
import linecache
import sys
import textwrap
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from msq_jupyter.runtime.codehash import capture_sources, identify
from msq_jupyter.runtime.link import link
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.replica import Replica

_numbers = itertools.count(1)


class Notebook:
    """A `__main__` of its own."""

    def __init__(self) -> None:
        self.main = types.ModuleType("__main__")
        self.main.__dict__["Model"] = Model
        self.files: list[str] = []

    def run(self, cell: str) -> None:
        """Run a cell under a file name of its own, as a kernel does."""
        text = textwrap.dedent(cell)
        name = f"<linked cell {next(_numbers)}>"
        self.files.append(name)
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        exec(compile(text, name, "exec", dont_inherit=True), self.main.__dict__)

    def replica(self, root: str = "Root", options: Any = None, persisted: Any = None) -> Replica:
        """A new replica of the model, as a participant who joins now has it."""
        code = link(identify(getattr(self.main, root), model_base=Model))
        replica = Replica("session", "run", code.models, value_types=code.value_types, originals=code.originals)
        replica.start(code.root, options or {}, persisted)
        return replica


@contextmanager
def notebook(*cells: str) -> Iterator[Notebook]:
    """A notebook in which cells ran; it is the process's `__main__` meanwhile."""
    undo = capture_sources()
    before = sys.modules["__main__"]
    made = Notebook()
    sys.modules["__main__"] = made.main
    try:
        for cell in cells:
            made.run(cell)
        yield made
    finally:
        sys.modules["__main__"] = before
        undo()


def computed(expression: str, *cells: str) -> Any:
    """What an expression is inside a model's `init`, after cells ran; `self` is the model."""
    with notebook(*cells, method(expression)) as made:
        return made.replica().root.result


def method(expression: str) -> str:
    """A cell with a root model that computes an expression."""
    return f"class Root(Model):\n    def init(self, options):\n        self.result = {expression}\n"
