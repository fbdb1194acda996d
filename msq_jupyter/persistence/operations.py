"""A difference as a list: what was added, removed, changed and moved, each with the path to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from msq_jupyter.json_path import Item, Step, path_text
from msq_jupyter.persistence.edits import DictEdit, Edit, ListEdit, Replaced


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that changed.

    Attributes:
        path: the way to it: strings are keys, integers places in a list (the new place; for what was removed, the old
            one), an `Item` is an element by its identity.
    """

    path: tuple[Step, ...]

    @property
    def path_text(self) -> str:
        """`documents["d1"].title`: the path, for people; `(all)` for the whole."""
        return path_text(self.path)


@dataclass(frozen=True, slots=True)
class Added(Operation):
    """`value` came; `index` is its new place in a list, None for a key of a dict."""

    value: Any
    index: int | None


@dataclass(frozen=True, slots=True)
class Removed(Operation):
    """`value` went; `index` was its place in a list, None for a key of a dict."""

    value: Any
    index: int | None


@dataclass(frozen=True, slots=True)
class Changed(Operation):
    """`old` became `new`: at most one of them is a dict, at most one a list."""

    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Moved(Operation):
    """An element changed its place in a list."""

    old_index: int
    new_index: int


def operations(edit: Edit | None, path: tuple[Step, ...] = ()) -> Iterator[Operation]:
    """What an edit does, one after the other, from the outside in; keys in alphabetical order."""
    if isinstance(edit, Replaced):
        yield Changed(path, edit.old, edit.new)
    elif isinstance(edit, DictEdit):
        for key in sorted({**edit.removed, **edit.added, **edit.changed}):
            if key in edit.removed:
                yield Removed((*path, key), edit.removed[key], None)
            elif key in edit.added:
                yield Added((*path, key), edit.added[key], None)
            else:
                yield from operations(edit.changed[key], (*path, key))
    elif isinstance(edit, ListEdit):
        field = edit.field
        for index, value in edit.removed:
            yield Removed((*path, index if field is None else Item(field, value[field])), value, index)
        for index, value in edit.added:
            yield Added((*path, index if field is None else Item(field, value[field])), value, index)
        for old_index, new_index, item in edit.moved:
            yield Moved((*path, item), old_index, new_index)
        for _, new_index, known, inner in edit.changed:
            yield from operations(inner, (*path, new_index if known is None else known))
