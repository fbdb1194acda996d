"""What changed between two JSON values: a tree of edits, which leads from the old to the new and back.

Dicts are compared by key. Lists are compared by identity when every element of both has one: objects by `"id"`, else
by `"key"`, else by `"name"`, if that is a unique string or integer in each list; pairs of a unique string and a value,
as a saved dict's `items()` are, by that string. Other lists are compared by position: the common beginning and end are
set aside, elements that occur exactly once on each side are matched in order (patience diff, Bram Cohen), and what is
between two matches is compared pair by pair. All of this is O(n log n).

Equal means the same saved bytes: `1`, `1.0` and `True` are three values. What is equal is left out by comparisons that
run in C; only what differs is walked in Python.
"""

from __future__ import annotations

import bisect
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import msgspec

from msq_jupyter.errors import ArgumentError
from msq_jupyter.json_path import IDENTITIES, LISTS, Item, places


@dataclass(frozen=True, slots=True)
class Replaced:
    """Another value."""

    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class DictEdit:
    """Keys that went, came, or whose values changed."""

    removed: dict[str, Any]
    added: dict[str, Any]
    changed: dict[str, Edit]


class Move(NamedTuple):
    """An element that has another place among those that stayed."""

    old_index: int
    new_index: int
    item: Item


class Inside(NamedTuple):
    """An element that stayed and changed; `item` is None in a list that is compared by position."""

    old_index: int
    new_index: int
    item: Item | None
    edit: Edit


@dataclass(frozen=True, slots=True)
class ListEdit:
    """Elements that went (by old index), came (by new index), moved, or changed; each sorted by its first index.

    `field` is what elements are known by, None for their position.
    """

    removed: list[tuple[int, Any]]
    added: list[tuple[int, Any]]
    moved: list[Move]
    changed: list[Inside]
    field: str | int | None


Edit: TypeAlias = "Replaced | DictEdit | ListEdit"

_encode = msgspec.msgpack.Encoder().encode
_encode_sorted = msgspec.msgpack.Encoder(order="sorted").encode


# --- comparing ---------------------------------------------------------------------------------------------------


def compare(old: Any, new: Any) -> Edit | None:
    """The edit that makes `old` into `new`, None when they are the same.

    Args:
        old: JSON data that `check_json` lets pass.
        new: likewise.
    """
    if _same(old, new):
        return None
    if type(old) is dict and type(new) is dict:
        edit = _compare_dicts(old, new)
        return edit if edit.removed or edit.added or edit.changed else None
    if type(old) in LISTS and type(new) in LISTS:
        # A tuple is saved as a list, so the two may be the same after all.
        items = _compare_lists(old, new)
        return items if items.removed or items.added or items.moved or items.changed else None
    return Replaced(old, new)


def _same(old: Any, new: Any) -> bool:
    if old is new:
        return True
    # Nearly all that differs differs here; what is equal to Python may still be 1 and True, or differ in deeper types.
    if old != new:
        return False
    if type(old) is str:
        return True
    return _encode(old) == _encode(new) or _encode_sorted(old) == _encode_sorted(new)


def _compare_dicts(old: dict[str, Any], new: dict[str, Any]) -> DictEdit:
    removed = {key: value for key, value in old.items() if key not in new}
    added = {key: value for key, value in new.items() if key not in old}
    changed = {}
    for key, value in old.items():
        if key in new:
            edit = compare(value, new[key])
            if edit is not None:
                changed[key] = edit
    return DictEdit(removed, added, changed)


def _compare_lists(old: Sequence[Any], new: Sequence[Any]) -> ListEdit:
    for field in IDENTITIES:
        old_places = places(old, field)
        if old_places is not None:
            new_places = places(new, field)
            if new_places is not None:
                return _compare_keyed(old, new, old_places, new_places, field)
    return _compare_by_position(old, new)


def _compare_keyed(
    old: Sequence[Any], new: Sequence[Any], old_places: dict[Any, int], new_places: dict[Any, int], field: str | int
) -> ListEdit:
    removed = [(index, old[index]) for identity, index in old_places.items() if identity not in new_places]
    added = [(index, new[index]) for identity, index in new_places.items() if identity not in old_places]
    stayed = [
        (identity, index, new_places[identity]) for identity, index in old_places.items() if identity in new_places
    ]
    changed = []
    for identity, old_index, new_index in stayed:
        edit = compare(old[old_index], new[new_index])
        if edit is not None:
            changed.append(Inside(old_index, new_index, Item(field, identity), edit))
    order = [new_index for _, _, new_index in stayed]
    kept = set(_longest_rising(order)) if any(a > b for a, b in itertools.pairwise(order)) else None
    moved = [
        Move(old_index, new_index, Item(field, identity))
        for identity, old_index, new_index in stayed
        if kept is not None and new_index not in kept
    ]
    return ListEdit(removed, added, moved, changed, field)


def _compare_by_position(old: Sequence[Any], new: Sequence[Any]) -> ListEdit:
    ours, theirs = _middles(old, new)
    between = _gaps(old, new, ours, theirs)
    if len(ours) == len(theirs):
        # The same number: matching must be worth it, or a point (1, 2) that became (2, 3) lost and won a number.
        differing = sum(not _same(old[index], new[index]) for index in ours)
        if differing <= sum(max(len(a), len(b)) for a, b in between):
            between = [(ours, theirs)]
    edit = ListEdit([], [], [], [], None)
    for gap in between:
        _compare_gap(edit, old, new, *gap)
    return edit


def gaps(old: Sequence[Any], new: Sequence[Any]) -> list[tuple[range, range]]:
    """Where two lists differ: the stretches of indices, in both, between elements that match."""
    return _gaps(old, new, *_middles(old, new))


def _gaps(old: Sequence[Any], new: Sequence[Any], ours: range, theirs: range) -> list[tuple[range, range]]:
    found = []
    old_start, new_start = ours.start, theirs.start
    for old_match, new_match in [*_anchors(old, new, ours, theirs), (ours.stop, theirs.stop)]:
        if old_match > old_start or new_match > new_start:
            found.append((range(old_start, old_match), range(new_start, new_match)))
        old_start, new_start = old_match + 1, new_match + 1
    return found


def _middles(old: Sequence[Any], new: Sequence[Any]) -> tuple[range, range]:
    """What is left of both lists without their common beginning and end."""
    first = 0
    shorter = min(len(old), len(new))
    while first < shorter and _same(old[first], new[first]):
        first += 1
    last = 0
    while last < shorter - first and _same(old[-1 - last], new[-1 - last]):
        last += 1
    return range(first, len(old) - last), range(first, len(new) - last)


def _compare_gap(edit: ListEdit, old: Sequence[Any], new: Sequence[Any], ours: range, theirs: range) -> None:
    """Between two matches, elements are paired from the start; what one side has more of went or came."""
    for old_index, new_index in zip(ours, theirs, strict=False):
        inner = compare(old[old_index], new[new_index])
        if inner is not None:
            edit.changed.append(Inside(old_index, new_index, None, inner))
    edit.removed.extend((index, old[index]) for index in ours[len(theirs) :])
    edit.added.extend((index, new[index]) for index in theirs[len(ours) :])


def _anchors(old: Sequence[Any], new: Sequence[Any], ours: range, theirs: range) -> list[tuple[int, int]]:
    """Pairs of indices of equal elements, rising in both, among those that occur once on each side."""
    old_keys = [_encode_sorted(old[index]) for index in ours]
    new_keys = [_encode_sorted(new[index]) for index in theirs]
    old_counts, new_counts = Counter(old_keys), Counter(new_keys)
    places = {key: index for key, index in zip(new_keys, theirs, strict=True) if new_counts[key] == 1}
    pairs = [
        (index, places[key])
        for key, index in zip(old_keys, ours, strict=True)
        if old_counts[key] == 1 and key in places
    ]
    kept = set(_longest_rising([new_index for _, new_index in pairs]))
    return [pair for pair in pairs if pair[1] in kept]


def _longest_rising(numbers: Sequence[int]) -> list[int]:
    """A longest rising subsequence of distinct numbers (patience sorting)."""
    tails: list[int] = []
    before: dict[int, int | None] = {}
    for number in numbers:
        place = bisect.bisect_left(tails, number)
        before[number] = tails[place - 1] if place else None
        tails[place : place + 1] = [number]
    rising = []
    current = tails[-1] if tails else None
    while current is not None:
        rising.append(current)
        current = before[current]
    return rising[::-1]


# --- using -------------------------------------------------------------------------------------------------------


def patched(old: Any, edit: Edit | None) -> Any:
    """What `edit` makes of `old`, which stays as it is; the two share what did not change.

    Raises:
        ArgumentError: `old` is not what the edit was made from.
    """
    if edit is None:
        return old
    try:
        return _PATCHES[type(edit)](old, edit)
    except (LookupError, TypeError, ValueError):
        raise _wrong_base() from None


def _wrong_base() -> ArgumentError:
    return ArgumentError("old: expected the value that the difference was made from, got another one")


def _patch_value(old: Any, edit: Replaced) -> Any:
    if not _same(old, edit.old):
        raise _wrong_base()
    return edit.new


def _patch_dict(old: Any, edit: DictEdit) -> dict[str, Any]:
    new = {key: value for key, value in dict(old).items() if key not in edit.removed}
    if len(new) + len(edit.removed) != len(old) or new.keys() & edit.added.keys():
        raise _wrong_base()
    for key, inner in edit.changed.items():
        new[key] = patched(new[key], inner)
    new.update(edit.added)
    return new


def _patch_list(old: Any, edit: ListEdit) -> list[Any]:
    items = list(old)
    arrivals = list(edit.added)
    for inside in edit.changed:
        items[inside.old_index] = patched(items[inside.old_index], inside.edit)
    arrivals += [(move.new_index, items[move.old_index]) for move in edit.moved]
    leaving = [index for index, _ in edit.removed] + [move.old_index for move in edit.moved]
    for index in sorted(leaving, reverse=True):
        del items[index]
    for index, item in sorted(arrivals, key=lambda arrival: arrival[0]):
        if index > len(items):
            raise _wrong_base()
        items.insert(index, item)
    return items


_PATCHES: dict[type, Callable[[Any, Any], Any]] = {
    Replaced: _patch_value,
    DictEdit: _patch_dict,
    ListEdit: _patch_list,
}


def inverted(edit: Edit | None) -> Edit | None:
    """The edit that leads back."""
    return None if edit is None else _inverted(edit)


def _inverted(edit: Edit) -> Edit:
    if isinstance(edit, Replaced):
        return Replaced(edit.new, edit.old)
    if isinstance(edit, DictEdit):
        return DictEdit(edit.added, edit.removed, {key: _inverted(inner) for key, inner in edit.changed.items()})
    return ListEdit(
        edit.added,
        edit.removed,
        sorted(Move(new, old, item) for old, new, item in edit.moved),
        sorted((Inside(new, old, item, _inverted(inner)) for old, new, item, inner in edit.changed), key=_by_index),
        edit.field,
    )


def _by_index(inside: Inside) -> int:
    return inside.old_index
