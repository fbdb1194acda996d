"""What differs between two versions, as rows; and what a restore would change. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from msq_jupyter.json_path import Step, path_text
from msq_jupyter.persistence.diff import Difference
from msq_jupyter.persistence.harmless import shortened
from msq_jupyter.persistence.operations import Operation, Removed
from msq_jupyter.persistence.rendering import line_of

#: A restore is told by so many places at most.
PLACES_MAX = 200


def data_rows(operations: Sequence[Operation], start: int, count: int) -> list[dict[str, Any]]:
    """Some of what changed: [{"mark": "+", "-", "~" or ">", "path": str, "pieces": [[kind, text]]}]."""
    lines = (line_of(operation) for operation in operations[start : start + count])
    return [{"mark": line.mark, "path": line.path, "pieces": line.pieces} for line in lines]


def source_rows(difference: Difference, start: int, count: int) -> list[dict[str, Any]]:
    """Some lines of the code's difference, in the form of `data_rows`; its paths are empty."""
    sources = difference.source_difference
    lines = () if sources is None else sources.lines[start : start + count]
    kinds = {"+": "new", "-": "old"}
    return [
        {
            "mark": line[:1],
            "path": "",
            "pieces": [[kinds.get(line[:1], "same"), shortened(line[1:].expandtabs(4), 1_000)]],
        }
        for line in lines
    ]


def within(operations: Sequence[Operation], place: str) -> list[Operation]:
    """The operations at or below a place, "" for all."""
    return [one for one in operations if not place or place in _texts_of(one.path)]


def places_of(operations: Sequence[Operation]) -> list[dict[str, Any]]:
    """Where something changes, most changes first: the first step of each path, and the second where there is one.

    Returns:
        [{"path": str, "count": int}], without what stands for the whole, and without what the version does not have.
    """
    counts: Counter[str] = Counter()
    missing = {path_text(operation.path) for operation in operations if isinstance(operation, Removed)}
    for operation in operations:
        counts.update(text for text in _texts_of(operation.path) if text not in missing)
    shown = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:PLACES_MAX]
    return [{"path": path, "count": count} for path, count in shown]


def _texts_of(path: Sequence[Step]) -> list[str]:
    return [path_text(path[:length]) for length in range(1, min(len(path), 2) + 1)]
