"""The dry run behind a panel's Check: which versions the code as it is now in the notebook can load."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from msq_jupyter.errors import MsqError
from msq_jupyter.persistence.check_report import CheckReport
from msq_jupyter.persistence.harmless import shortened
from msq_jupyter.runtime.codehash import identify
from msq_jupyter.runtime.model import Model

if TYPE_CHECKING:
    from msq_jupyter.widgets.session import Session

#: So many versions are loaded before what came of them is shown.
PORTION = 10


def model_now(kind: type[Model]) -> type[Model]:
    """The class of that name as it is now where it was defined: in a notebook, what the cell that ran last made."""
    now = getattr(sys.modules.get(kind.__module__), kind.__qualname__, None)
    return now if isinstance(now, type) and issubclass(now, Model) else kind


class CheckRun:
    """One dry run at a time; its rows stay until the next one begins.

    Args:
        session: whose versions.
        changed: called when there is something new to see.

    """

    def __init__(self, session: Session, changed: Callable[[], None]) -> None:
        self._session = session
        self._changed = changed
        self._task: asyncio.Task[None] | None = None
        self._report: CheckReport | None = None
        self._of = 0
        self._error = ""
        self._code = session.code_hash
        self._noticed = self._code_noticed()
        self._told = 0

    @property
    def stamp(self) -> Any:
        """Another one when there is something new to see."""
        return self._told, self._session.code_hash, self._code_noticed()

    @property
    def running(self) -> bool:
        """Whether it is not done yet."""
        return self._task is not None and not self._task.done()

    def begin(self, newest: int) -> None:
        """Check so many of the newest versions, newest first; a run that is not done ends."""
        self.stop()
        self._task = self._session.loop.create_task(self._run(newest))

    def stop(self) -> None:
        """End the run that is not done."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
            self._tell()

    def rows(self, start: int, count: int) -> dict[str, Any]:
        """Rows of the run.

        Returns:
            {"total", "rows": [the fields of `CheckedVersion`], "begun": bool, "running": bool, "of": how many there
            will be, "failed": int, "title": str, "error": why it ended early, "same_code": whether the code is the
            session's, "is_old": whether the notebook has other code by now}
        """
        report = self._report
        found: list[Any] = [] if report is None else list(report)
        return {
            "total": len(found),
            "rows": [_row(row) for row in found[start : start + count]],
            "begun": report is not None,
            "running": self.running,
            "of": self._of,
            "failed": 0 if report is None else len(report.failed),
            "title": "" if report is None else report.title,
            "error": self._error,
            "same_code": self._code == self._session.code_hash,
            "is_old": report is not None and self._noticed != self._code_noticed(),
        }

    async def _run(self, newest: int) -> None:
        model = model_now(self._session.model_class)
        self._noticed = self._code_noticed()
        self._report = report = CheckReport(model.__name__)
        self._error, self._of = "", 0
        self._tell()
        try:
            self._code = identify(model, model_base=Model).code_hash
            numbers = [version.number for version in await self._session.versions()][::-1][:newest]
            self._of = len(numbers)
            for start in range(0, len(numbers), PORTION):
                report.extend(await self._session.check(model, numbers[start : start + PORTION]))
                self._tell()
        except MsqError as error:
            self._error = shortened(f"{type(error).__name__}: {error}", 1_000)
        finally:
            if self._task is asyncio.current_task():
                self._task = None
            self._tell()

    def _code_noticed(self) -> str:
        """The code that the notebook has, as far as the session has noticed."""
        edit = self._session.edit
        return self._session.code_hash if edit is None else edit.code_hash

    def _tell(self) -> None:
        self._told += 1
        self._changed()


def _row(row: Any) -> dict[str, Any]:
    data = asdict(row)
    data["schema"] = "" if row.schema_version is None else shortened(str(row.schema_version), 40)
    data["saved_schema"] = "" if row.saved_schema_version is None else shortened(str(row.saved_schema_version), 40)
    del data["schema_version"], data["saved_schema_version"]
    return {**data, **{name: shortened(data[name], 400) for name in ("error_type", "error", "place", "note")}}
