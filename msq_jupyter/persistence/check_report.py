"""What a dry run found: which stored versions a model can load."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from msq_jupyter.persistence.harmless import shortened
from msq_jupyter.persistence.tables import table_html, table_text

#: An error's message is shown up to this length.
_MESSAGE_CHARACTERS = 400


@dataclass(frozen=True)
class CheckedVersion:
    """What came of loading one version.

    Attributes:
        number: the version's; 0 for the data there is now.
        ok: whether it was loaded.
        schema_version: the data's own "version", None when it has none.
        saved_schema_version: that of what the model saves while it loads, None when it saves nothing or has none.
        error_type: class of the exception, "" when it was loaded.
        error: its message.
        place: where in the user's code: `Notes.add_titles, lesson.py line 12`; "" when nowhere.
        note: what else there is to know, "" when nothing.
    """

    number: int
    ok: bool
    schema_version: int | str | None
    saved_schema_version: int | str | None = None
    error_type: str = ""
    error: str = ""
    place: str = ""
    note: str = ""


class CheckReport(list[CheckedVersion]):
    """A row for each version, in the order they were checked; shows as a table in notebooks and terminals.

    Args:
        model_name: the model's class that was checked.
        rows: what came of each version.
    """

    _COLUMNS = ("version", "loads", "schema", "what happened", "where")

    def __init__(self, model_name: str, rows: Iterable[CheckedVersion] = ()) -> None:
        super().__init__(rows)
        self.model_name = model_name

    @property
    def ok(self) -> bool:
        """Whether every version was loaded."""
        return all(row.ok for row in self)

    @property
    def failed(self) -> list[CheckedVersion]:
        """The versions that were not."""
        return [row for row in self if not row.ok]

    @property
    def title(self) -> str:
        """`Notes loads 9 of 10 versions`."""
        name = shortened(self.model_name, 80)
        return f"{name} loads {self.what_loads}" if self else f"no versions to load with {name}"

    @property
    def what_loads(self) -> str:
        """`the data there is now and 9 of 10 versions`; "" when nothing was checked."""
        versions = [row for row in self if row.number]
        loaded = sum(row.ok for row in versions)
        parts = [("" if row.ok else "not ") + "the data there is now" for row in self if not row.number]
        if versions and loaded == len(versions):
            parts.append("the one version" if loaded == 1 else f"all {loaded:,} versions")
        elif versions:
            parts.append(f"{loaded:,} of {len(versions):,} version{'s' * (len(versions) != 1)}")
        return " and ".join(parts)

    def as_data(self) -> dict[str, Any]:
        """All of it as JSON data: {"model", "ok", "versions": [{"number", "ok", ...}]}."""
        return {"model": self.model_name, "ok": self.ok, "versions": [asdict(row) for row in self]}

    def __repr__(self) -> str:
        return f"{self.title}\n{table_text(self._COLUMNS, self._rows())}" if self else self.title

    def _repr_html_(self) -> str:
        title = f"<p>{escape(self.title)}</p>"
        return title + table_html(self._COLUMNS, self._rows()) if self else title

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                f"v{row.number}" if row.number else "now",
                "yes" if row.ok else "NO",
                _schema_text(row),
                shortened(f"{row.error_type}: {row.error}" if row.error_type else row.note, _MESSAGE_CHARACTERS),
                shortened(row.place, 200),
            )
            for row in self
        ]


def _schema_text(row: CheckedVersion) -> str:
    before = "" if row.schema_version is None else shortened(str(row.schema_version), 40)
    after = row.saved_schema_version
    return before if after is None else f"{before or 'none'} → {shortened(str(after), 40)}"
