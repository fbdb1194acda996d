"""One quiet line under a cell that defines a model which replicas would not agree about."""

from __future__ import annotations

import logging
from typing import Any
from weakref import WeakSet

from msq_jupyter.runtime.lint import Finding, lint_model
from msq_jupyter.runtime.model import Model

logger = logging.getLogger("msq_jupyter")

#: Findings that one line names.
_NAMED_MAX = 3


class LintLine:
    """Says what the lint found, once for each version of a cell.

    Args:
        namespace: the shell's names.
    """

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._known: WeakSet[type] = WeakSet(self._models())
        self._said: dict[str, str] = {}

    def after_cell(self, cell: str) -> None:
        """Print a line for each model that the cell has defined.

        Args:
            cell: the cell's text.
        """
        for kind in self._models():
            if kind in self._known:
                continue
            self._known.add(kind)
            if self._said.get(kind.__qualname__) == cell:
                continue
            self._said[kind.__qualname__] = cell
            try:
                findings = lint_model(kind)
            except Exception:
                # A help must not stand in the way of the cell.
                logger.exception("the lint of %s failed", kind.__qualname__)
                continue
            if findings:
                print(line_for(kind.__qualname__, findings))

    def _models(self) -> list[type[Model]]:
        """The models that cells have defined, in the order of their names' first use."""
        values = [value for name, value in self._namespace.items() if not name.startswith("_")]
        return [
            value
            for value in dict.fromkeys(value for value in values if isinstance(value, type))
            if issubclass(value, Model) and value.__module__ == "__main__"
        ]


def line_for(name: str, findings: list[Finding]) -> str:
    """What stands under the cell.

    Args:
        name: the class.
        findings: what the lint found, at least one.
    """
    # The lines of other cells and files would be read as this cell's.
    home = next((finding.path for finding in findings if finding.where.partition(".")[0] == name), None)
    parts = [
        f"{one.code} {'' if one.path == home else f'{one.path} '}line {one.line}: {one.message}"
        for one in findings[:_NAMED_MAX]
    ]
    more = [f"{len(findings) - _NAMED_MAX} more"] if len(findings) > _NAMED_MAX else []
    return f"{name}: {'; '.join([*parts, *more])}  (msq lint --explain {findings[0].code})"
