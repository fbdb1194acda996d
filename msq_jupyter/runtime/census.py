"""What values are made of, found out layer by layer, in few steps that are loops in C.

Most values are plain: no list is in two places, nothing has to be looked at twice. Those can be packed as they lie.
This finds the others, and that is all it does.

What only one thing refers to is in one place. So Python's own count of references settles nearly every container; only
what something else refers to as well, a second place or a variable somewhere, is remembered and looked up by its id.

That is CPython's business and might be another one in its next version. So it is tried out once, when this module is
loaded. Where it fails, and without a global lock, where each thread counts for itself, everything is looked up by its
id: the same is found, in more time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from sys import getrefcount
from sysconfig import get_config_var
from typing import Any, NamedTuple

from msq_jupyter.runtime.arrays import is_array
from msq_jupyter.runtime.deterministic.sets import OrderedFrozenSet, OrderedSet
from msq_jupyter.runtime.value_types import RecordShape
from msq_jupyter.stable import DEPTH_MAX

_OTHERS: frozenset[type] = frozenset((list, set, OrderedSet))
_COPIED: frozenset[type] = frozenset((tuple, frozenset, OrderedFrozenSet))
_SCALARS: frozenset[type] = frozenset((type(None), bool, int, float, str, bytes))
#: What the packer takes for bytes without asking.
_LIKE_BYTES = frozenset((bytearray, memoryview))
#: What of an id tells containers apart: all have more than 16 bytes. A set of ids as they are would use every 16th of
#: its places only, and takes twice the time.
_SIXTEENTH = (4).__rrshift__
#: A count that nothing has: by it everything is remembered and looked up, as if counts said nothing.
_NEVER = -1_000


class _Column(NamedTuple):
    """Values to look at.

    Attributes:
        values: a list or a tuple that nothing else refers to.
        are_places: each of the values is there for one place; not so what a tuple holds that is itself in two.
    """

    values: Sequence[Any]
    are_places: bool


class _Layer(NamedTuple):
    """What can be looked into: dicts, other containers, those that come back as copies, instances of dataclasses."""

    dicts: list[Any]
    others: list[Any]
    copied: list[Any]
    records: list[Any]


class Census:
    """What was found so far.

    Args:
        records: the dataclasses to look into; of other objects only the type counts.
        once: what `getrefcount` says of what is in one place; as `count_of_one_place` found it, if not given.

    Attributes:
        shared: ids of lists, dicts, sets, byte arrays, arrays and dataclass instances that are in several places.
        depth: how many containers are inside each other, at most.
    """

    def __init__(self, records: Mapping[type, RecordShape], once: int | None = None) -> None:
        self.shared: set[int] = set()
        self.depth = 0
        self._records = records
        self._once = _ONCE if once is None else once
        self._seen: set[int] = set()
        self._unseen_before: list[Sequence[Any]] | None = []
        self._unlike: set[int] = set()
        self._layers: list[_Layer] = []

    def take(self, values: Sequence[Any], *, are_attributes: bool = False) -> None:
        """Look through values, and through what they hold. They must not go away while the census is in use.

        Args:
            values: where to begin.
            are_attributes: they are dicts, or so, whose keys are nothing but names.
        """
        depth = unchanged = 0
        columns = [_Column(values, are_places=False)]
        # Nothing but tuples for so many layers: too deep to be stored, or a frozen instance that was made to hold
        # itself.
        while unchanged <= DEPTH_MAX + 1:
            layer = self._look_into(columns)
            if not any(layer):
                break
            self._layers.append(layer)
            depth += 1
            is_top = are_attributes and depth == 1
            if not is_top and _ends_here(layer):
                break
            columns = self._held(layer, are_attributes=is_top)
            unchanged = 0 if layer.dicts or layer.others else unchanged + 1
        self.depth = max(self.depth, depth)

    def special(self) -> set[int]:
        """Ids of what must not be packed as it lies, and of the containers that hold such things."""
        special = self.shared | self._unlike
        if not special:
            return special
        # Upwards; as a layer is of one call of `take`, and what it holds is in the next one or was met before.
        for layer in reversed(self._layers):
            for place, group in enumerate(layer):
                for one in group:
                    alone = _Layer(*([one] if place == other else [] for other in range(len(layer))))
                    held = chain.from_iterable(column.values for column in self._held(alone))
                    if not special.isdisjoint(map(id, held)):
                        special.add(id(one))
        return special

    def _look_into(self, columns: list[_Column]) -> _Layer:
        """What can be looked into among the values and was not yet."""
        layer = _Layer([], [], [], [])
        for column in columns:
            kinds = _kinds(column.values)
            for kind in kinds - _SCALARS:
                record = self._records.get(kind)
                if kind is dict:
                    layer.dicts.extend(self._first(column, kind, kinds))
                elif kind in _OTHERS:
                    layer.others.extend(self._first(column, kind, kinds))
                elif kind in _COPIED:
                    layer.copied.extend(_at_most_twice(_of_kind(column, kind)))
                elif record is not None:
                    mine = self._first(column, kind, kinds) if record.has_identity else _of_kind(column, kind)
                    layer.records.extend(_at_most_twice(mine))
                elif kind in _LIKE_BYTES or is_array(kind):
                    mine = self._first(column, kind, kinds)
                    if kind in _LIKE_BYTES:
                        self._unlike.update(map(id, mine))
        return layer

    def _held(self, layer: _Layer, *, are_attributes: bool = False) -> list[_Column]:
        """What the things in a layer hold."""
        # Not `gc.get_referents`: since Python 3.13 it says of an object's `__dict__` that it holds nothing.
        columns = []
        if layer.dicts:
            columns += _values(layer.dicts, are_alike=are_attributes)
            if not are_attributes:
                columns.append(_Column([*chain.from_iterable(layer.dicts)], are_places=True))
        if layer.others:
            columns.append(_Column([*chain.from_iterable(layer.others)], are_places=True))
        copied = [*chain.from_iterable(layer.copied)]
        for record in layer.records:
            copied += self._records[type(record)].parts(record).values()
        if copied:
            columns.append(_Column(copied, are_places=False))
        return columns

    def _first(self, column: _Column, kind: type, kinds: set[type]) -> Sequence[Any]:
        """Those of a kind that are met for the first time; the others are shared."""
        mine = column.values if len(kinds) == 1 else _of_kind(column, kind)
        if not column.are_places:
            return self._unseen(mine)
        # Its place refers to it, and the column, and the list of those of a kind if it is another one.
        once = self._once + (1 if mine is column.values else 2)
        counts = [*map(getrefcount, mine)]
        if max(counts) <= once:
            return mine
        alone = [value for value, count in zip(mine, counts, strict=True) if count <= once]
        return [*alone, *self._unseen([v for v, count in zip(mine, counts, strict=True) if count > once])]

    def _unseen(self, values: Sequence[Any]) -> Sequence[Any]:
        """Those that are not remembered; from now on they are."""
        seen = self._seen
        if self._unseen_before is not None:
            # As long as nothing is shared, counting tells.
            known = len(seen)
            seen.update(map(_SIXTEENTH, map(id, values)))
            if len(seen) == known + len(values):
                self._unseen_before.append(values)
                return values
            self._seen = seen = set(map(_SIXTEENTH, map(id, chain.from_iterable(self._unseen_before))))
            self._unseen_before = None
        unseen = []
        for value in values:
            key = _SIXTEENTH(id(value))
            if key in seen:
                self.shared.add(id(value))
            else:
                seen.add(key)
                unseen.append(value)
        return unseen


def _kinds(values: Sequence[Any]) -> set[type]:
    """The types of values. Mostly there is one, and to count is faster than to make a set."""
    kinds = [*map(type, values)]
    return {kinds[0]} if kinds and kinds.count(kinds[0]) == len(kinds) else set(kinds)


def _ends_here(layer: _Layer) -> bool:
    """Whether nothing but scalars is in a layer, as it mostly is in the last one."""
    if layer.copied or layer.records:
        return False
    containers = chain(layer.dicts, map(dict.values, layer.dicts), layer.others)
    return _SCALARS.issuperset(map(type, chain.from_iterable(containers)))


def _values(dicts: list[Any], *, are_alike: bool) -> list[_Column]:
    """What dicts hold. Of dicts that are alike, attribute by attribute: most of those are scalars throughout."""
    if not are_alike:
        return [_Column([*chain.from_iterable(map(dict.values, dicts))], are_places=True)]
    groups = [dicts]
    if len(set(map(len, dicts))) > 1:
        by_length: dict[int, list[Any]] = {}
        for one in dicts:
            by_length.setdefault(len(one), []).append(one)
        groups = [*by_length.values()]
    return [
        _Column(values, are_places=True) for group in groups for values in zip(*map(dict.values, group), strict=True)
    ]


def _of_kind(column: _Column, kind: type) -> list[Any]:
    return [value for value in column.values if type(value) is kind]


def _at_most_twice(values: Iterable[Any]) -> list[Any]:
    """What comes back as a copy for each place, but from two places only: then all it holds is in two places."""
    places: dict[int, int] = {}
    kept = []
    for value in values:
        place = places[id(value)] = places.get(id(value), 0) + 1
        if place <= 2:
            kept.append(value)
    return kept


def _finds_what_is_shared(once: int) -> bool:
    """Whether by this count a value of each kind is found that nothing but its two places refers to."""
    columns: list[Callable[[Any], list[Any]]] = [
        lambda held: [[held], [held]],
        lambda held: [{"a": held, "b": 1}, {"a": 2, "b": held}],
        lambda held: [[held, 1, held]],
    ]
    for make in (list, dict, set, bytearray, OrderedSet):
        for column in columns:
            census = Census({}, once)
            values = column(make())
            census.take(values)
            if len(census.shared) != 1:
                return False
    return True


def count_of_one_place() -> int:
    """What `getrefcount`, called as it is here, says of something that a single list refers to and nothing else."""
    once = max(map(getrefcount, [[]]))
    return once if not get_config_var("Py_GIL_DISABLED") and _finds_what_is_shared(once) else _NEVER


_ONCE = count_of_one_place()
