"""What happens with cells while the extension is loaded.

* Class definitions are noted, so that the source of a model defined in a cell is found (`runtime.sources`).
* A session that a cell replaces by another one with the same data is left: running the cell that joins again must not
  leave a ghost behind.
* A model that replicas would not agree about gets a line under its cell (`lint_line`).
* A cell that edits the code of a live session makes the session try the new code out, or follow it (`edit_line`).
* `%msq` is there (`magics`).
* A cell that runs again replaces what it made before, and gets the session it joined before; what a deleted cell made
  ends (`session.cells`).
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from typing import Any

from msq_jupyter.jupyter.edit_line import EditLine
from msq_jupyter.jupyter.lint_line import LintLine
from msq_jupyter.jupyter.magics import Magics
from msq_jupyter.runtime.codehash import capture_sources
from msq_jupyter.session.cells import Cells, enter
from msq_jupyter.session.session import SessionCore

logger = logging.getLogger("msq_jupyter")


class CellWatcher:
    """Watches one IPython shell.

    Args:
        shell: the shell, with `user_ns` and `events`.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._known: dict[str, SessionCore] = {}
        self._stop_capturing = capture_sources()
        self._cells = Cells()
        self._lint_line = LintLine(shell.user_ns)
        self._edit_line = EditLine(shell)
        self._magics = Magics(shell)
        shell.events.register("pre_run_cell", self._before_cell)
        shell.events.register("post_run_cell", self._after_cell)

    def stop(self) -> None:
        """Watch no more."""
        self._shell.events.unregister("pre_run_cell", self._before_cell)
        self._shell.events.unregister("post_run_cell", self._after_cell)
        self._stop_capturing()
        self._magics.stop()
        enter(None)
        self._cells.stop()

    def _before_cell(self, info: Any) -> None:
        kernel = getattr(self._shell, "kernel", None)
        if kernel is not None:
            # JupyterLab says with each request which cells were deleted before.
            self._cells.forget(kernel.get_parent().get("metadata", {}).get("deletedCells") or ())
        enter(self._cells)
        # Where cells have no id, in a console, the same text is the same cell.
        self._cells.begin(info.cell_id or f"code {info.raw_cell}", info.raw_cell)

    def _after_cell(self, result: Any) -> None:
        self._cells.end(succeeded=bool(result.success))
        self._lint_line.after_cell(result.info.raw_cell)
        self._leave_replaced()
        known = {id(session): session for session in [*self._known.values(), *self._cells.sessions]}
        self._edit_line.after_cell(list(known.values()))

    def _leave_replaced(self) -> None:
        now = {
            name: value
            for name, value in self._shell.user_ns.items()
            if isinstance(value, SessionCore) and not name.startswith("_")
        }
        held = {id(session) for session in now.values()}
        for name, session in self._known.items():
            replacement = now.get(name)
            if (
                replacement is not None
                and id(session) not in held
                and replacement.persistent_id == session.persistent_id
            ):
                task = asyncio.ensure_future(session.leave())
                task.add_done_callback(_log_failure)
        self._known = now


def _log_failure(task: asyncio.Future[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.warning("leaving the replaced session failed: %s", task.exception())


_watchers: dict[int, CellWatcher] = {}


def load(shell: Any) -> None:
    """Begin to watch a shell; a second time does nothing."""
    if id(shell) not in _watchers:
        _watchers[id(shell)] = CellWatcher(shell)
        # Not before: a plain shell loads this room to note classes, and needs no widgets.
        importlib.import_module("msq_jupyter.jupyter.live").load(shell)


def unload(shell: Any) -> None:
    """Stop watching a shell."""
    watcher = _watchers.pop(id(shell), None)
    if watcher is not None:
        watcher.stop()
