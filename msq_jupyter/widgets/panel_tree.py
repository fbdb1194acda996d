"""The live model as the rows of a tree: only what is open is walked, and only what is seen is described.

A node is addressed by segments, as Python writes them: `.documents`, `["d1"]`, `[3]`. All of this reads the models
themselves, on the main loop, between two events; nothing is copied.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import reprlib
import time
import zlib
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeAlias
from weakref import ref

from msq_jupyter.errors import MsqError
from msq_jupyter.persistence.harmless import shortened
from msq_jupyter.runtime.facade import model_of
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.packer import PACK_OPTIONS, packb
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.runtime.snapshot import Writer

#: What paths begin with, for people who copy one into a cell.
ROOT_TEXT = "session.model"
#: A search shows no more than this many hits.
HITS_MAX = 500
#: How long a search may keep the main loop at a time, in seconds.
PORTION_S = 0.02

_PREVIEW_CHARACTERS = 120
_INNER_CHARACTERS = 24
_NAME_CHARACTERS = 80

#: Leaves that are told apart from containers at a glance.
_SCALARS = frozenset({str, int, float, bool, bytes, type(None)})

Children: TypeAlias = "Iterator[tuple[str, Any]]"
#: Segments of open nodes: {'.documents': {'["d1"]': {}}}.
Opened: TypeAlias = "dict[str, Opened]"


def root_of(session_model: Any) -> tuple[Model, Replica]:
    """The model behind a session's facade, and its replica."""
    model = model_of(session_model)
    return model, model._msq_replica


def mark_of(session_model: Any) -> Hashable:
    """Equal as long as nothing of the model can have changed; a replica made anew counts its moves from the start."""
    replica = root_of(session_model)[1]
    return ref(replica), replica.moves


def opened_of(paths: Sequence[Sequence[str]]) -> Opened:
    """Open nodes as a tree, from the list of their paths."""
    opened: Opened = {}
    for path in paths:
        node = opened
        for segment in path:
            node = node.setdefault(segment, {})
    return opened


# --- what is inside of a value -------------------------------------------------------------------------------------


def _attributes(value: Any) -> dict[str, Any]:
    own: dict[str, Any] = object.__getattribute__(value, "__dict__")
    return own


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}


def _keyed(value: Any) -> Children:
    return ((_key_segment(key), inner) for key, inner in value.items())


def _key_segment(key: Any) -> str:
    if type(key) is not str:
        return f"[{key!r}]"
    return f'["{key}"]' if key.isalnum() else f"[{json.dumps(key, ensure_ascii=False)}]"


def _placed(value: Any) -> Children:
    return ((f"[{place}]", inner) for place, inner in enumerate(value))


def _members(value: Any) -> Children:
    return ((f"{{{place}}}", inner) for place, inner in enumerate(value))


def _inside(value: Any) -> tuple[int, Callable[[], Children]] | None:
    """How many values are inside of one, and what gives them with their segments; None for a leaf."""
    if isinstance(value, Model):
        own = _attributes(value)
        return len(own), lambda: ((f".{name}", inner) for name, inner in own.items())
    if isinstance(value, dict):
        return len(value), lambda: _keyed(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return len(value), lambda: zip((f".{name}" for name in value._fields), value, strict=True)
    if isinstance(value, (list, tuple, deque)):
        return len(value), lambda: _placed(value)
    if isinstance(value, (set, frozenset)) or type(value).__name__ in ("OrderedSet", "OrderedFrozenSet"):
        return len(value), lambda: _members(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        own = _fields(value)
        return len(own), lambda: ((f".{name}", inner) for name, inner in own.items())
    return None


# --- how a value is told -------------------------------------------------------------------------------------------


class _Preview(reprlib.Repr):
    """Short representations, at a price that does not grow with the value."""

    def __init__(self) -> None:
        super().__init__()
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdeque = 6
        self.maxlevel = 2
        self.maxother = _PREVIEW_CHARACTERS

    def repr_str(self, value: str, level: int) -> str:
        limit = _PREVIEW_CHARACTERS if level == self.maxlevel else _INNER_CHARACTERS
        return json.dumps(value, ensure_ascii=False) if len(value) <= limit else f'"{value[:limit]}…"'

    def repr_dict(self, value: dict[Any, Any], level: int) -> str:
        # reprlib would sort all of it first.
        if level <= 0:
            return "{…}"
        shown = [
            f"{self.repr1(key, level - 1)}: {self.repr1(inner, level - 1)}"
            for key, inner in islice(value.items(), self.maxdict)
        ]
        return f"{{{', '.join(shown + ['…'] * (len(value) > self.maxdict))}}}"

    def repr_set(self, value: Any, level: int) -> str:
        if level <= 0:
            return "{…}"
        shown = [self.repr1(inner, level - 1) for inner in islice(value, self.maxset)]
        return f"{{{', '.join(shown + ['…'] * (len(value) > self.maxset))}}}" if value else "set()"

    repr_OrderedSet = repr_OrderedFrozenSet = repr_set  # noqa: N815

    def repr_frozenset(self, value: Any, level: int) -> str:
        return self.repr_set(value, level)

    def repr_instance(self, value: Any, level: int) -> str:
        if isinstance(value, Model):
            return f"{type(value).__name__} {value.id}"
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return f"{type(value).__name__}(…)"
        return super().repr_instance(value, level)


_preview = _Preview()


def type_text(value: Any) -> str:
    """`dict`, `Counter`, `ndarray float64 3x4`."""
    name = type(value).__name__
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(shape, tuple) and dtype is not None:
        return f"{name} {dtype} {'x'.join(map(str, shape)) or 'scalar'}"
    return name


def measured(value: Any, replica: Replica) -> tuple[int, int]:
    """Size in a snapshot, in bytes, and a digest that tells whether it has changed; -1 and 0 when it has none."""
    if isinstance(value, Model):
        value = _attributes(value)

    def stand_in(inner: Any) -> Any:
        if isinstance(inner, Model):
            return inner.id  # what belongs to another model is counted there
        if type(inner) is tuple:
            return list(inner)
        raise TypeError("needs care")

    try:
        packed = packb(value, stand_in, PACK_OPTIONS)
    except Exception:
        try:
            packed = Writer(replica).write(value, "value")
        except (MsqError, RecursionError):
            return -1, 0
    return len(packed), zlib.crc32(packed)


def _whole(replica: Replica) -> tuple[int, int]:
    """The same of all models together: the root's row is the whole that the others are parts of."""
    sizes = [measured(model, replica) for model in replica.models.values()]
    return sum(size for size, _ in sizes if size > 0), zlib.crc32(repr(sizes).encode())


def _row(path: tuple[str, ...], value: Any, replica: Replica, name: str = "") -> dict[str, Any]:
    inside = _inside(value)
    size_bytes, digest = measured(value, replica) if path else _whole(replica)
    return {
        "path": list(path),
        "copy": copyable(path),
        "name": shortened(name or _name_of(path), _NAME_CHARACTERS),
        "type": type_text(value),
        "preview": shortened(_preview.repr(value), 2 * _PREVIEW_CHARACTERS),
        "count": -1 if inside is None else inside[0],
        "size_bytes": size_bytes,
        "digest": digest,
    }


def copyable(path: Sequence[str]) -> str:
    """`session.model.documents["d1"]`; of a member of a set, which has no name, the way to the set."""
    named = []
    for segment in path:
        if segment.startswith("{"):
            break
        named.append(segment)
    return ROOT_TEXT + "".join(named)


def _name_of(path: Sequence[str]) -> str:
    if not path:
        return ROOT_TEXT
    last = path[-1]
    return last[1:] if last.startswith(".") else last.strip("[]") if last.startswith('["') else last


# --- the tree ------------------------------------------------------------------------------------------------------


class _Window:
    """Collects the rows from `start` on, and counts all."""

    def __init__(self, start: int, count: int, replica: Replica) -> None:
        self.rows: list[dict[str, Any]] = []
        self.total = 0
        self._start = start
        self._end = start + count
        self._replica = replica

    def see(self, path: tuple[str, ...], value: Any, place: int, siblings: int, is_open: bool) -> None:
        if self._start <= self.total < self._end:
            row = _row(path, value, self._replica)
            self.rows.append({**row, "place": place, "siblings": siblings, "open": is_open})
        self.total += 1

    def see_closed(self, path: tuple[str, ...], first: int, end: int, siblings: int, children: Children) -> None:
        """Children `first` to `end`, none of them open: those outside of the window are only counted."""
        total = self.total + end - first
        start = first + max(self._start - self.total, 0)
        stop = min(first + self._end - self.total, end)
        if start < stop:
            self.total += start - first
            for place, (segment, value) in enumerate(islice(children, start, stop), start):
                self.see((*path, segment), value, place, siblings, False)
        self.total = total


def tree_rows(root: Model, replica: Replica, opened: Opened, start: int, count: int) -> dict[str, Any]:
    """Some rows of the tree.

    Args:
        root: the root model, which is the first row and always open.
        replica: its replica.
        opened: which nodes are open.
        start: the first row wanted.
        count: how many at most.

    Returns:
        {"total": int, "rows": [{"path": [segment], "copy", "name", "type", "preview", "count": number of children or
        -1, "size_bytes", "digest", "place", "siblings", "open"}]}
    """
    window = _Window(start, count, replica)
    window.see((), root, 0, 1, True)
    _walk(window, (), root, opened)
    return {"total": window.total, "rows": window.rows}


def _walk(window: _Window, path: tuple[str, ...], value: Any, opened: Opened) -> None:
    inside = _inside(value)
    if inside is None:
        return
    count, children = inside
    done = 0
    for place, segment in _open_places(value, opened, children):
        window.see_closed(path, done, place, count, children())
        _, child = next(islice(children(), place, None))
        window.see((*path, segment), child, place, count, _inside(child) is not None)
        _walk(window, (*path, segment), child, opened[segment])
        done = place + 1
    window.see_closed(path, done, count, count, children())


def _open_places(value: Any, opened: Opened, children: Callable[[], Children]) -> list[tuple[int, str]]:
    """Where the open ones are among the children; in a large dict, without writing a segment for each key."""
    if not opened:
        return []
    if isinstance(value, dict) and all(segment.startswith('["') for segment in opened):
        keys = {_key_of(segment): segment for segment in opened}
        return [(place, keys[key]) for place, key in enumerate(value) if type(key) is str and key in keys]
    return [(place, segment) for place, (segment, _) in enumerate(children()) if segment in opened]


def _key_of(segment: str) -> Any:
    try:
        return json.loads(segment[1:-1])
    except ValueError:
        return None  # a browser may say what it likes


async def search(root: Model, replica: Replica, text: str) -> dict[str, Any]:
    """The nodes whose name or value holds a text, whatever the case, in portions between which others have their turn.

    Returns:
        {"total": number of hits, "more": whether there may be more, "rows": as in `tree_rows`}
    """
    wanted = text.casefold()
    hits: list[dict[str, Any]] = []
    seen: set[int] = set()
    stack: list[tuple[tuple[str, ...], Children]] = [((), iter([("", root)]))]
    deadline_s = time.monotonic() + PORTION_S
    while stack and len(hits) < HITS_MAX:
        path, children = stack[-1]
        for segment, value in children:
            inner = (*path, segment) if segment else ()
            inside = None if type(value) in _SCALARS else _inside(value)
            if wanted in segment.casefold() or (inside is None and wanted in _leaf_text(value)):
                hits.append(_row(inner, value, replica, "".join(inner).lstrip(".")))
            if inside is not None and id(value) not in seen:
                seen.add(id(value))
                # A list of them, because the model may change between two portions.
                stack.append((inner, iter(list(inside[1]()))))
                break
            if len(hits) == HITS_MAX:
                break
        else:
            stack.pop()
        if time.monotonic() > deadline_s:
            await asyncio.sleep(0)
            deadline_s = time.monotonic() + PORTION_S
    rows = [{**row, "place": place, "siblings": len(hits), "open": False} for place, row in enumerate(hits)]
    return {"total": len(rows), "rows": rows, "more": len(hits) == HITS_MAX}


def _leaf_text(value: Any) -> str:
    kind = type(value)
    text = value if kind is str else repr(value) if kind in _SCALARS else _preview.repr(value)
    return text.casefold()
