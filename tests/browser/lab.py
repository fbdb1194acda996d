"""A real Jupyter server and a real browser, and the few things a person does with them."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, expect

from tests.ports import free_port
from tests.waiting import until_serving

CHROMIUM = "/usr/bin/chromium"
BROWSER_FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
STEP_LIMIT_MS = 45_000
expect.set_options(timeout=STEP_LIMIT_MS)  # a page's own default is not that of what is expected of it

#: What Jupyter itself writes to the console, and is none of our doing.
FOREIGN_CONSOLE = [
    r"Cannot read properties of undefined \(reading 'schema'\)",  # Notebook 7.6, on every load
    r"\[yjs#509\] Not same Y\.Doc",
    r"Comm not found for comm id",  # JupyterLab, when a second browser asks for its own control comm
]

#: A notebook is ready when its kernel is: the indicator in the toolbar says "idle" too early.
_KERNEL_READY = """async () => {
    const panel = window.jupyterapp.shell.currentWidget;
    await panel.context.ready;
    await panel.sessionContext.ready;
    const kernel = panel.sessionContext.session.kernel;
    await kernel.info;
    while (kernel.connectionStatus !== 'connected' || kernel.status !== 'idle') {
        await new Promise(resolve => setTimeout(resolve, 50));
    }
}"""


class JupyterServer:
    """JupyterLab or Notebook 7 as a child process, with every folder of its own below `root`.

    Args:
        application: "lab" or "notebook".
        root: an empty folder; notebooks go to `root/notebooks`.
        python: the interpreter whose Jupyter it is.
    """

    def __init__(self, application: str, root: Path, python: str = sys.executable) -> None:
        self.application = application
        self._python = python
        self.root = root
        self.notebooks = root / "notebooks"
        self.notebooks.mkdir(parents=True, exist_ok=True)
        self.synchronizer_data = root / "synchronizer"
        self.token = secrets.token_urlsafe(8)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator[JupyterServer]:
        settings = self.root / "config/lab/user-settings/@jupyterlab/apputils-extension"
        settings.mkdir(parents=True)
        (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
        application_class = {"lab": "LabApp", "notebook": "JupyterNotebookApp"}[self.application]
        command = [
            *(self._python, "-m", "jupyter", self.application, "--allow-root", "--no-browser", "--ip=127.0.0.1"),
            *(f"--port={self.port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={self.token}"),
            *(f"--ServerApp.root_dir={self.notebooks}", f"--{application_class}.expose_app_in_browser=True"),
        ]
        folders = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "IPYTHONDIR": "ipython",
            "MSQ_DATA_DIR": "synchronizer",
        }
        environment = {**os.environ, **{name: str(self.root / folder) for name, folder in folders.items()}}
        environment.pop("MSQ_SYNCHRONIZER", None)
        with (self.root / "server.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=self.notebooks)
        try:
            until_serving(f"{self.url}/api/status?token={self.token}", process, self.root / "server.log")
            yield self
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            self.kill_synchronizer(signal.SIGTERM)

    def kill_synchronizer(self, signal_number: int = signal.SIGKILL) -> int | None:
        """End the local synchronizer of this server's kernels; its process id, or None when there was none."""
        return end_synchronizer(self.synchronizer_data, signal_number)


def end_synchronizer(folder: Path, signal_number: int) -> int | None:
    """End the local synchronizer that keeps its data in a folder; its process id, or None when there was none."""
    import msgspec

    registry = folder / "synchronizer.json"
    if not registry.exists():
        return None
    pid: int = msgspec.json.decode(registry.read_bytes())["pid"]
    try:
        os.kill(pid, signal_number)
    except ProcessLookupError:
        return None
    return pid


class Person:
    """Somebody in front of a browser, who hears what the console complains of.

    Args:
        browser: the browser; the person gets a context of its own.
    """

    def __init__(self, browser: Browser, **context_options: Any) -> None:
        options: dict[str, Any] = {"viewport": {"width": 1100, "height": 1400}, **context_options}
        self.context = browser.new_context(**options)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(STEP_LIMIT_MS)
        self.complaints: list[str] = []
        self.page.on("console", lambda m: self._complain(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self._complain(str(error)))

    def _complain(self, text: str) -> None:
        if not any(re.search(pattern, text) for pattern in FOREIGN_CONSOLE):
            self.complaints.append(text)

    def screenshot(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=path)


class NotebookPage(Person):
    """One person in front of one notebook in JupyterLab or Notebook 7.

    Args:
        browser: the browser; the person gets a context of its own.
        server: where the notebook is.
        path: the notebook, below the server's folder.
    """

    def __init__(self, browser: Browser, server: JupyterServer, path: str, **context_options: Any) -> None:
        super().__init__(browser, **context_options)
        self.server = server
        self.path = path

    def open(self) -> None:
        """Open the notebook and wait for its kernel."""
        route = {"lab": "doc/tree", "notebook": "notebooks"}[self.server.application]
        reset = "&reset" if self.server.application == "lab" else ""
        self.page.goto(f"{self.server.url}/{route}/{self.path}?token={self.server.token}{reset}")
        self.page.locator(".jp-Notebook .jp-Cell").first.wait_for()
        self.wait_for_kernel()

    def wait_for_kernel(self) -> None:
        self.page.evaluate(_KERNEL_READY)

    def run_all(self) -> None:
        """Run every cell and wait until all are done."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells').then(() => null)")
        self.wait_for_kernel()

    def cell(self, cell_id: str) -> Locator:
        """A cell by its id in the notebook file."""
        index = self.page.evaluate(
            "id => window.jupyterapp.shell.currentWidget.content.widgets.findIndex(w => w.model.id === id)", cell_id
        )
        assert index >= 0, f"no cell {cell_id!r} in {self.path}"
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def set_source(self, cell_id: str, source: str) -> None:
        """Type new code into a cell."""
        self.page.evaluate(
            """([id, source]) => window.jupyterapp.shell.currentWidget.content.widgets
                .find(w => w.model.id === id).model.sharedModel.setSource(source)""",
            [cell_id, source],
        )

    def start_cell(self, cell_id: str) -> None:
        """Run one cell, without waiting for its end."""
        self.page.evaluate(
            """id => {
                const content = window.jupyterapp.shell.currentWidget.content;
                content.activeCellIndex = content.widgets.findIndex(w => w.model.id === id);
                void window.jupyterapp.commands.execute('notebook:run-cell');
            }""",
            cell_id,
        )

    def run_cell(self, cell_id: str) -> Locator:
        """Run one cell, wait for its end, and return its output."""
        self.start_cell(cell_id)
        self.page.wait_for_function(
            """id => {
                const cell = window.jupyterapp.shell.currentWidget.content.widgets.find(w => w.model.id === id);
                return cell.model.executionState === 'idle' && cell.model.executionCount !== null;
            }""",
            arg=cell_id,
        )
        return self.output(cell_id)

    def output(self, cell_id: str) -> Locator:
        return self.cell(cell_id).locator(".jp-OutputArea-output")

    def evaluate(self, expression: str) -> str:
        """What an expression is in this notebook's kernel, as its repr; asked beside the notebook, as a person would
        in a console."""
        return self.page.evaluate(
            """async expression => {
                const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const future = kernel.requestExecute(
                    {code: '', silent: true, user_expressions: {answer: expression}, store_history: false});
                const reply = await future.done;
                const answer = reply.content.user_expressions.answer;
                return answer.status === 'ok' ? answer.data['text/plain'] : `${answer.ename}: ${answer.evalue}`;
            }""",
            expression,
        )

    def wait_until(self, expression: str, limit_s: float = 30) -> None:
        """Wait until an expression is true in the kernel."""
        deadline_s = time.monotonic() + limit_s
        while (value := self.evaluate(f"bool({expression})")) != "True":
            assert time.monotonic() < deadline_s, f"{expression} is {value}: {self.evaluate(expression)}"

    def restart_kernel(self) -> None:
        self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel().then(() => null)"
        )
        self.wait_for_kernel()

    def errors_in_cells(self) -> list[str]:
        return self.page.locator(
            ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']"
        ).all_inner_texts()
