"""Where something is in saved data: paths as differences print them, read back and followed.

documents["d1"].title     of the element or pair "d1" of a list, or of the value of a key
pages[3]                  an element by its place, from 0
people[#7]                an element whose identity is the number 7
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from msq_jupyter.errors import ArgumentError

#: Place of the identity in a pair.
PAIR_KEY = 0
#: Where elements of a list have their identity: the key of objects, the place in pairs; most telling first.
IDENTITIES = ("id", "key", "name", PAIR_KEY)
#: How many neighbours of what is missing are named.
_SHOWN_MAX = 5
_SHOWN_CHARACTERS = 60

LISTS = (list, tuple)


class Item(NamedTuple):
    """An element of a list that is known by its identity: `field` is "id", "key" or "name", or 0 in a pair."""

    field: str | int
    value: str | int


Step: TypeAlias = "str | int | Item"


def places(items: Sequence[Any], field: str | int) -> dict[Any, int] | None:
    """Index of each element of a list by its identity; None when not every element has a unique one."""
    found: dict[Any, int] = {}
    for index, item in enumerate(items):
        if field == PAIR_KEY:
            identity = item[0] if type(item) in LISTS and len(item) == 2 and type(item[0]) is str else None
        else:
            identity = item.get(field) if type(item) is dict else None
        if type(identity) not in (str, int):
            return None
        found[identity] = index
    return found if len(found) == len(items) else None


# --- written -----------------------------------------------------------------------------------------------------


def path_text(path: Sequence[Step]) -> str:
    """`documents["d1"].title`: a path for people.

    An element with an integer for an identity is `[#7]`, a place is `[7]`; the value of a pair is written like the
    value of a key.
    """
    text = ""
    in_pair = False
    for step in path:
        if isinstance(step, Item):
            in_pair = step.field == PAIR_KEY
            text += f"[#{step.value}]" if isinstance(step.value, int) else f"[{_quoted(step.value)}]"
            continue
        if isinstance(step, int):
            text += "" if in_pair else f"[{step}]"
        elif step.isidentifier():
            text += f".{step}" if text else step
        else:
            text += f"[{_quoted(step)}]"
        in_pair = False
    return text or "(all)"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


# --- read --------------------------------------------------------------------------------------------------------


class Way(NamedTuple):
    """One step of a path that was read: a name, the place in a list, or a number that is an identity."""

    kind: str
    value: str | int
    text: str


_STEP = re.compile(
    r"""(?P<dot>\.)?(?P<name>[^\W\d]\w*)"""
    r"""|\[(?P<place>\d{1,9})\]|\[\#(?P<identity>-?\d{1,19})\]|\[(?P<quoted>"(?:[^"\\]|\\.)*")\]"""
)
_EXAMPLE = 'documents["d1"].title or pages[3]'


def parse_path(text: str) -> tuple[Way, ...]:
    """Read what `path_text` writes.

    Raises:
        ArgumentError: says where it cannot be read.
    """
    if not isinstance(text, str) or not text:
        raise ArgumentError(f"path: expected one such as {_EXAMPLE}, got {text!r}")
    ways: list[Way] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None or (match["name"] is not None and bool(match["dot"]) != bool(ways)):
            raise ArgumentError(f"path: cannot read {text[position:]!r} in {text!r}: expected one such as {_EXAMPLE}")
        ways.append(_way(match, text))
        position = match.end()
    return tuple(ways)


def _way(match: re.Match[str], text: str) -> Way:
    if match["place"] is not None:
        return Way("place", int(match["place"]), match[0])
    if match["identity"] is not None:
        return Way("identity", int(match["identity"]), match[0])
    if match["name"] is not None:
        return Way("name", match["name"], match[0])
    try:
        return Way("name", json.loads(match["quoted"]), match[0])
    except ValueError:
        raise ArgumentError(f"path: cannot read {match[0]!r} in {text!r}: expected a quoted name as in JSON") from None


# --- followed ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """Where a step leads: the key or index of what is there, and whether that is a pair, of which its value counts."""

    place: Any
    in_pair: bool = False


def transplanted(target: Any, source: Any, path: str, *, target_name: str, source_name: str) -> Any:
    """`target` with what is at `path` in `source` in its place; what is not there yet is added. Neither is changed.

    Args:
        target: JSON data.
        source: likewise.
        path: as `path_text` writes it.
        target_name: for messages.
        source_name: likewise.

    Raises:
        ArgumentError: `source` has no such path, with its nearest relative; or `target` has nothing that could hold it.
    """
    ways = parse_path(path)
    _require(source, ways, source_name)
    return _transplanted(target, source, ways, 0, target_name)


def _require(data: Any, ways: tuple[Way, ...], name: str) -> None:
    for depth, way in enumerate(ways):
        found = _find(data, way)
        if found is None:
            raise ArgumentError(_missing(data, ways, depth, name))
        data = _value(data, found)


def _transplanted(target: Any, source: Any, ways: tuple[Way, ...], depth: int, name: str) -> Any:
    if depth == len(ways):
        return source
    way, is_last = ways[depth], depth == len(ways) - 1
    there = _find(source, way)
    assert there is not None  # `_require` has been there
    given = _value(source, there)
    here = _find(target, way)
    same_kind = (type(target) is dict) == (type(source) is dict) and (type(target) in LISTS) == (type(source) in LISTS)
    if here is None and is_last and same_kind:
        return _added(target, source, there)
    if here is None or not same_kind:
        longer = "" if is_last else ": restore what holds it, with a shorter path"
        raise ArgumentError(_missing(target, ways, depth, name) + longer)
    inner = _transplanted(_value(target, here), given, ways, depth + 1, name)
    if type(target) is dict:
        return {**target, here.place: inner}
    items = list(target)
    items[here.place] = [items[here.place][0], inner] if here.in_pair else inner
    return items


def _added(target: Any, source: Any, there: _Found) -> Any:
    if type(target) is dict:
        return {**target, there.place: source[there.place]}
    index = min(there.place, len(target))
    return [*target[:index], source[there.place], *target[index:]]


def _find(data: Any, way: Way) -> _Found | None:
    if type(data) is dict:
        return _Found(way.value) if way.kind == "name" and way.value in data else None
    if type(data) not in LISTS:
        return None
    if way.kind == "place":
        return _Found(way.value) if int(way.value) < len(data) else None
    for field in IDENTITIES:
        index = (places(data, field) or {}).get(way.value)
        if index is not None:
            return _Found(index, in_pair=field == PAIR_KEY)
    return None


def _value(data: Any, found: _Found) -> Any:
    value = data[found.place]
    return value[1] if found.in_pair else value


def _missing(data: Any, ways: tuple[Way, ...], depth: int, name: str) -> str:
    """What is not there, and its nearest relative, or some of what is there instead."""
    before, wanted = "".join(way.text for way in ways[:depth]), ways[depth]
    siblings = _siblings(data)
    names, texts = [str(value) for value in siblings], list(siblings.values())
    text = f"path: {name} has no {before}{wanted.text}"
    close = difflib.get_close_matches(str(wanted.value), names, n=1, cutoff=0.5)
    if close:
        nearest = texts[names.index(close[0])]
        return f"{text}; did you mean {(before + nearest).removeprefix('.')}?"
    where = before or "the data"
    if not siblings:
        what = "empty" if type(data) is dict or type(data) in LISTS else "a single value"
        return f"{text}: {where} is {what}"
    more = f" and {len(texts) - _SHOWN_MAX:,} more" if len(texts) > _SHOWN_MAX else ""
    return f"{text}; in {where} there are {', '.join(cut(one.removeprefix('.')) for one in texts[:_SHOWN_MAX])}{more}"


def _siblings(data: Any) -> dict[Any, str]:
    """What a value holds: key, identity or place of each, with the text of the step to it."""
    if type(data) is dict:
        return {key: f".{key}" if key.isidentifier() else path_text([key]) for key in data}
    if type(data) not in LISTS:
        return {}
    for field in IDENTITIES:
        known = places(data, field)
        if known:
            return {value: path_text([Item(field, value)]) for value in known}
    return {index: f"[{index}]" for index in range(len(data))}


def cut(path: str) -> str:
    """A path, or as much of it as a message bears."""
    return path if len(path) <= _SHOWN_CHARACTERS else f"{path[:_SHOWN_CHARACTERS]}…"
