"""The places a notebook is opened in, each with the same few things a person does in it.

A notebook is a list of cells in plain Python. Where there is IPython, `%load_ext msq_jupyter` comes first.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from playwright.sync_api import Browser

from tests.browser.lab import JupyterServer, NotebookPage, Person, end_synchronizer
from tests.ports import free_port
from tests.waiting import until_serving

#: marimo runs the cells of a notebook when it is opened, if it is told to.
MARIMO_SETTINGS = "[tool.marimo.runtime]\nauto_instantiate = true\n"
MARIMO_FILE = "import marimo\n\napp = marimo.App()\n"
MARIMO_CELL = "\n\n@app.cell\nasync def _():\n{}\n    return\n"


class Jupyter:
    """JupyterLab or Notebook 7.

    Args:
        application: "lab" or "notebook".
    """

    def __init__(self, application: str) -> None:
        self._application = application

    @contextmanager
    def running(self, root: Path, cells: list[str]) -> Iterator[Jupyter]:
        """A server with the notebook, once for each of two people."""
        server = JupyterServer(self._application, root)
        sources = ["%load_ext msq_jupyter", *cells]
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(source, id=f"cell-{number}") for number, source in enumerate(sources)],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        )
        with server.running():
            for name in ("ada", "ben"):
                nbformat.write(notebook, server.notebooks / f"{name}.ipynb")
            self._server = server
            yield self

    def person(self, browser: Browser, name: str) -> NotebookPage:
        """Somebody in front of the notebook, all of it run."""
        person = NotebookPage(browser, self._server, f"{name}.ipynb")
        person.open()
        person.run_all()
        return person


class MarimoPage(Person):
    """One person in front of a notebook in marimo."""

    def errors_in_cells(self) -> list[str]:
        return self.page.locator(".marimo-error, [data-testid='cell-console-output-stderr']").all_inner_texts()


class Marimo:
    """marimo, with a kernel that is a process for each person, or a thread of one process.

    Args:
        mode: "edit" or "run".
    """

    def __init__(self, mode: str) -> None:
        self._mode = mode

    @contextmanager
    def running(self, root: Path, cells: list[str]) -> Iterator[Marimo]:
        """A server with the notebook, once for each of two people who edit it."""
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        folder = root / "notebooks"
        folder.mkdir()
        (folder / "pyproject.toml").write_text(MARIMO_SETTINGS)
        text = MARIMO_FILE + "".join(MARIMO_CELL.format(textwrap.indent(cell, "    ")) for cell in cells)
        for name in ("ada", "ben"):
            (folder / f"{name}.py").write_text(text)
        what = str(folder) if self._mode == "edit" else str(folder / "ada.py")
        command = [
            *(sys.executable, "-m", "marimo", "--quiet", self._mode, what, "--headless", "--no-token"),
            *("--host", "127.0.0.1", "--port", str(port)),
            *(("--skip-update-check",) if self._mode == "edit" else ()),
        ]
        folders = {
            "MSQ_DATA_DIR": "synchronizer",
            "XDG_CONFIG_HOME": "config",
            "XDG_STATE_HOME": "state",
            "XDG_CACHE_HOME": "cache",
        }
        environment = {**os.environ, **{name: str(root / folder) for name, folder in folders.items()}}
        environment.pop("MSQ_SYNCHRONIZER", None)
        with (root / "server.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)
        try:
            until_serving(f"{self._url}/health", process, root / "server.log")
            yield self
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            end_synchronizer(root / "synchronizer", signal.SIGTERM)

    def person(self, browser: Browser, name: str) -> MarimoPage:
        """Somebody in front of the notebook, all of it run."""
        person = MarimoPage(browser)
        person.page.goto(f"{self._url}/?file={name}.py" if self._mode == "edit" else self._url)
        return person


HOSTS = {
    "JupyterLab": Jupyter("lab"),
    "Notebook 7": Jupyter("notebook"),
    "marimo edit": Marimo("edit"),
    "marimo run": Marimo("run"),
}
