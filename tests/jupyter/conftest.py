"""IPython shells in this process, whose cells run on the test's loop."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import msq_jupyter
from tests.shells import a_shell


class Notebook:
    """A notebook with a kernel, in this process.

    Args:
        shell: runs its cells; its names are `__main__` while they run.
    """

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self._main = sys.modules["__main__"]

    async def run(self, cell: str, cell_id: str | None = None) -> Any:
        """Run a cell as ipykernel does; returns its value, raises what it raises."""
        sys.modules["__main__"] = self.shell.user_module
        try:
            transformed = self.shell.transform_cell(cell)
            result = await self.shell.run_cell_async(
                cell, store_history=True, transformed_cell=transformed, cell_id=cell_id
            )
            self.shell.events.trigger("post_execute")
            self.shell.events.trigger("post_run_cell", result)
            result.raise_error()
            return result.result
        finally:
            sys.modules["__main__"] = self._main

    def __getitem__(self, name: str) -> Any:
        return self.shell.user_ns[name]


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Notebook]]:
    """Opens notebooks with the extension loaded."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    main = sys.modules["__main__"]
    with ExitStack() as stack:

        def open_notebook() -> Notebook:
            shell = stack.enter_context(a_shell())
            msq_jupyter.load_ipython_extension(shell)
            stack.callback(msq_jupyter.unload_ipython_extension, shell)
            sys.modules["__main__"] = main
            return Notebook(shell)

        yield open_notebook


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A shell with the extension loaded, whose names are `__main__`."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    with a_shell(is_singleton=True) as shell:
        msq_jupyter.load_ipython_extension(shell)
        yield shell
        msq_jupyter.unload_ipython_extension(shell)
