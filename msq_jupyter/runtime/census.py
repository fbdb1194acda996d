"""What values are made of, found out layer by layer, in few steps that are loops in C.

Most values are plain: no list is in two places, nothing has to be looked at twice. Those can be packed as they lie.
This finds the others, and that is all it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from msq_jupyter.runtime.arrays import is_array
from msq_jupyter.runtime.deterministic.sets import OrderedFrozenSet, OrderedSet
from msq_jupyter.runtime.value_types import RecordShape
from msq_jupyter.stable import DEPTH_MAX

_OTHERS: frozenset[type] = frozenset((list, set, OrderedSet))
_COPIED: frozenset[type] = frozenset((tuple, frozenset, OrderedFrozenSet))
_CONTAINERS = frozenset((dict, *_OTHERS, *_COPIED))
_SCALARS = frozenset((type(None), bool, int, float, str, bytes))
#: What the packer takes for bytes without asking.
_LIKE_BYTES = frozenset((bytearray, memoryview))
#: What of an id tells containers apart: all have more than 16 bytes. A set of ids as they are would use every 16th of
#: its places only, and takes twice the time.
_SIXTEENTH = (4).__rrshift__


class _Layer(NamedTuple):
    """What can be looked into: dicts, other containers, instances of dataclasses."""

    dicts: list[Any]
    others: list[Any]
    records: list[Any]


class Census:
    """What was found so far. The records are the dataclasses to look into; of other objects only the type counts.

    Attributes:
        shared: ids of lists, dicts, sets, byte arrays, arrays and dataclass instances that are in several places.
        depth: how many containers are inside each other, at most.
    """

    def __init__(self, records: Mapping[type, RecordShape]) -> None:
        self.shared: set[int] = set()
        self.depth = 0
        self._records = records
        self._seen: set[int] = set()
        self._unlike: set[int] = set()
        self._layers: list[_Layer] = []
        self._fresh: list[list[Any]] | None = []

    def take(self, values: Sequence[Any], *, are_attributes: bool = False) -> None:
        """Look through values, and through what they hold. They must not go away while the census is in use.

        Args:
            values: where to begin.
            are_attributes: they are dicts, or so, whose keys are nothing but names.
        """
        depth = unchanged = 0
        # Nothing but tuples for so many layers: too deep to be stored, or a frozen instance that was made to hold
        # itself.
        while unchanged <= DEPTH_MAX + 1:
            known = len(self._seen)
            layer = self._look_into(values)
            if not any(layer):
                break
            self._layers.append(layer)
            values = self._held(layer, with_keys=depth > 0 or not are_attributes)
            depth += 1
            unchanged = 0 if len(self._seen) > known else unchanged + 1
        self.depth = max(self.depth, depth)

    def special(self) -> set[int]:
        """Ids of what must not be packed as it lies, and of the containers that hold such things."""
        special = self.shared | self._unlike
        if not special:
            return special
        # Upwards; as a layer is of one call of `take`, and what it holds is in the next one or was met before.
        for dicts, others, records in reversed(self._layers):
            alone = [*(_Layer([one], [], []) for one in dicts), *(_Layer([], [one], []) for one in others)]
            alone += [_Layer([], [], [one]) for one in records]
            special.update(
                id(one)
                for one, layer in zip(chain(dicts, others, records), alone, strict=True)
                if not special.isdisjoint(map(id, self._held(layer)))
            )
        return special

    def _look_into(self, values: Sequence[Any]) -> _Layer:
        """What can be looked into among the values and was not yet."""
        parts = [value for value in values if type(value) not in _SCALARS]
        kinds = set(map(type, parts))
        dicts = self._first([part for part in parts if type(part) is dict])
        others = self._first([part for part in parts if type(part) in _OTHERS])
        if kinds & _COPIED:
            others = [*others, *_at_most_twice(part for part in parts if type(part) in _COPIED)]
        records: list[Any] = []
        for kind in kinds - _CONTAINERS:
            record = self._records.get(kind)
            if record is not None:
                mine = [part for part in parts if type(part) is kind]
                records += self._first(mine) if record.has_identity else _at_most_twice(mine)
            elif kind in _LIKE_BYTES or is_array(kind):
                mine = self._first([part for part in parts if type(part) is kind])
                if kind in _LIKE_BYTES:
                    self._unlike.update(map(id, mine))
        return _Layer(dicts, others, records)

    def _held(self, layer: _Layer, *, with_keys: bool = True) -> list[Any]:
        """What the things in a layer hold."""
        # Not `gc.get_referents`: since Python 3.13 it says of an object's `__dict__` that it holds nothing.
        held = [*chain.from_iterable(layer.others), *chain.from_iterable(map(dict.values, layer.dicts))]
        if with_keys and set(map(type, chain.from_iterable(layer.dicts))) - _SCALARS:
            held += chain.from_iterable(layer.dicts)
        for record in layer.records:
            held += self._records[type(record)].parts(record).values()
        return held

    def _first(self, values: list[Any]) -> list[Any]:
        """Those that are met for the first time; the others are shared."""
        seen = self._seen
        if self._fresh is not None:
            # As long as nothing is shared, counting tells.
            known = len(seen)
            seen.update(map(_SIXTEENTH, map(id, values)))
            if len(seen) == known + len(values):
                self._fresh.append(values)
                return values
            self._seen = seen = set(map(_SIXTEENTH, map(id, chain.from_iterable(self._fresh))))
            self._fresh = None
        fresh = []
        for value in values:
            key = _SIXTEENTH(id(value))
            if key in seen:
                self.shared.add(id(value))
            else:
                seen.add(key)
                fresh.append(value)
        return fresh


def _at_most_twice(values: Iterable[Any]) -> list[Any]:
    """What comes back as a copy for each place, but from two places only: then all it holds is in two places."""
    places: dict[int, int] = {}
    kept = []
    for value in values:
        place = places[id(value)] = places.get(id(value), 0) + 1
        if place <= 2:
            kept.append(value)
    return kept
