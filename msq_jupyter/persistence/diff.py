"""The difference of two versions: of their data, piece by piece, and of the model sources that wrote them.

    changes = difference(old, new)
    changes.counts                    # {"added": 1, "removed": 0, "changed": 2, "moved": 0}
    changes.operations[0].path_text   # 'documents["d1"].title'
    print(changes.text(colour=True))
    apply(old, changes) == new and apply(new, invert(changes)) == old

`edits` says how lists are compared. Both classes show themselves in notebooks and terminals.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from msq_jupyter.errors import ArgumentError
from msq_jupyter.persistence.edits import Edit, compare, inverted, patched
from msq_jupyter.persistence.harmless import shortened
from msq_jupyter.persistence.operations import Added, Changed, Moved, Operation, Removed, operations
from msq_jupyter.persistence.rendering import Line, Mark, counts_text, html_of, line_of, text_of
from msq_jupyter.persistence.unified import unified_lines

#: How many lines are shown when nobody says otherwise.
LINES_SHOWN = 40

_KINDS: tuple[tuple[str, type[Operation]], ...] = (
    ("added", Added),
    ("removed", Removed),
    ("changed", Changed),
    ("moved", Moved),
)


class _Shown(abc.ABC):
    """What shows itself as text, as HTML in a notebook, and as its text in a `print`."""

    def text(self, limit: int = LINES_SHOWN, *, colour: bool = False) -> str:
        """For a terminal.

        Args:
            limit: how many lines at most; what is left out is counted.
            colour: with ANSI colours.
        """
        lines, more = self._lines(limit)
        return text_of(self.title, lines, more, colour=colour)

    def html(self, limit: int = LINES_SHOWN) -> str:
        """For a notebook: self-contained, escaped, readable in light and dark themes."""
        lines, more = self._lines(limit)
        return html_of(self.title, lines, more)

    @property
    @abc.abstractmethod
    def title(self) -> str:
        """What is compared, and how much differs."""

    @abc.abstractmethod
    def _lines(self, limit: int) -> tuple[list[Line], int]:
        """At most so many lines, and how many more there are."""

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return self.html()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": self.text(), "text/html": self.html()}


@dataclass(frozen=True)
class Difference(_Shown):
    """How one version's data became another's; made by `difference`. False when there is none.

    Attributes:
        edit: the tree of edits, None when there is no difference.
        old_name: what the old value is called, for people.
        new_name: what the new value is called.
        source_difference: of the model sources that wrote the two, None when that was not asked.
    """

    edit: Edit | None
    old_name: str = "old"
    new_name: str = "new"
    source_difference: SourceDifference | None = None

    @cached_property
    def operations(self) -> tuple[Operation, ...]:
        """Everything that was added, removed, changed and moved; in the order of the keys, from the outside in."""
        return tuple(operations(self.edit))

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many operations of each kind: "added", "removed", "changed", "moved"."""
        return {name: sum(type(operation) is kind for operation in self.operations) for name, kind in _KINDS}

    @property
    def title(self) -> str:
        """`version 3 → version 4: 2 added, 1 changed; other code, see source_difference`."""
        names = f"{shortened(self.old_name, 80)} → {shortened(self.new_name, 80)}"
        code = "; other code, see source_difference" if self.source_difference else ""
        return f"{names}: {counts_text(self.counts.items())}{code}"

    def _lines(self, limit: int) -> tuple[list[Line], int]:
        _check_limit(limit)
        shown = [line_of(operation) for operation in islice(self.operations, limit)]
        return shown, len(self.operations) - len(shown)

    def __bool__(self) -> bool:
        return self.edit is not None

    def __repr__(self) -> str:
        return self.text()


@dataclass(frozen=True)
class SourceDifference(_Shown):
    """How one model source became another; made by `source_difference`. False when there is none.

    Attributes:
        lines: a unified difference: "@@" lines, and lines that begin with "+", "-" or " ".
        old_name: what the old source is called, for people.
        new_name: what the new source is called.
    """

    lines: tuple[str, ...]
    old_name: str
    new_name: str

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many lines: "added" and "removed"."""
        return {what: sum(line[:1] == mark for line in self.lines) for what, mark in (("added", "+"), ("removed", "-"))}

    @property
    def title(self) -> str:
        """`v3 → v4: 12 lines added, 3 lines removed`."""
        counts = counts_text((f"line{'s' * (count != 1)} {what}", count) for what, count in self.counts.items())
        return f"{shortened(self.old_name, 80)} → {shortened(self.new_name, 80)}: {counts}"

    def _lines(self, limit: int) -> tuple[list[Line], int]:
        _check_limit(limit)
        shown = [_source_line(line) for line in self.lines[:limit]]
        return shown, len(self.lines) - len(shown)

    def __bool__(self) -> bool:
        return bool(self.lines)

    def __repr__(self) -> str:
        return self.text()


def difference(old: Any, new: Any, *, old_name: str = "old", new_name: str = "new") -> Difference:
    """The difference of two values.

    Args:
        old: JSON data that `check_json` lets pass.
        new: likewise.
        old_name: what the old value is called, for people.
        new_name: what the new value is called.
    """
    return Difference(compare(old, new), old_name, new_name)


def source_difference(old: str, new: str, *, old_name: str = "old", new_name: str = "new") -> SourceDifference:
    """The difference of two model sources, line by line; arguments as in `difference`."""
    return SourceDifference(tuple(unified_lines(old.splitlines(), new.splitlines())), old_name, new_name)


def apply(old: Any, changes: Difference) -> Any:
    """The new value: `apply(old, difference(old, new)) == new`.

    Args:
        old: what the difference was made from; stays as it is.
        changes: a difference.

    Raises:
        ArgumentError: `old` is another value than the difference was made from.
    """
    return patched(old, changes.edit)


def invert(changes: Difference) -> Difference:
    """The difference that leads back, of the data alone."""
    return Difference(inverted(changes.edit), changes.new_name, changes.old_name)


def _check_limit(limit: int) -> None:
    if type(limit) is not int or limit < 1:
        raise ArgumentError(f"limit: expected a number of lines of 1 or more, got {limit!r}")


def _source_line(line: str) -> Line:
    mark: Mark = line[0] if line[0] in "+-@" else " "  # type: ignore[assignment]
    kinds = {"+": "new", "-": "old"}
    text = shortened(line[1:].expandtabs(4), 1_000)
    return Line(mark, "", [(kinds.get(mark, "same"), text)])  # type: ignore[list-item]
