"""Copying what models hold: one walk for both directions.

Outwards every container becomes one that refuses to be changed; inwards (what was read outside is published again) it
becomes a plain one. Cycles and shared identity survive. The walk keeps its own stack, so that deep data is no
RecursionError, and looks at what is plain all through, most of it, in loops of C only.

What a walk copies it copies first, in one step that no other thread can come between, and only then looks into. So a
thread may read while the main loop runs an event: what it gets may be of the middle of that event, but it gets it.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Callable, Iterable
from decimal import Decimal
from itertools import chain
from typing import Any

from msq_jupyter.runtime import read_only
from msq_jupyter.runtime.arrays import is_array, is_scalar
from msq_jupyter.runtime.deterministic import OrderedFrozenSet, OrderedSet
from msq_jupyter.runtime.read_only import OrderedFrozen, Origin, ReadOnlyDict, ReadOnlyList, ReadOnlyRecord, ReadOnlySet
from msq_jupyter.runtime.value_types import EnumShape, NamedTupleShape, RecordShape

#: What cannot change, and holds nothing that can.
SCALARS: frozenset[type] = frozenset(
    (
        *(type(None), bool, int, float, complex, str, bytes, range, Decimal, type(Ellipsis)),
        *(datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone),
    )
)

#: Sets that have an order, and keep it outside: by class, whether its instances never change. A new one is a line here.
ORDERED_SETS: dict[type, bool] = {OrderedSet: False, OrderedFrozenSet: True}

_NOTHING: dict[int, Any] = {}
_DICTS = frozenset((dict, ReadOnlyDict))
_LISTS = frozenset((list, ReadOnlyList))
#: How to copy one kind: called with the walk and the value.
Start = Callable[["Walk", Any], Any]


class Rules:
    """How each type is copied; types that are met for the first time are learned.

    Args:
        read_only: whether the copies refuse to be changed.
        learn: how a type is copied that has nothing to do with containers of Python's own; None when as it is.
    """

    def __init__(self, *, read_only: bool, learn: Callable[[type], Start | None]) -> None:
        self.read_only = read_only
        self.scalars: set[type] = set(SCALARS)
        self.starts: dict[type, Start] = {
            dict: Walk.start_dict,
            list: Walk.start_list,
            tuple: Walk.start_fixed,
            set: Walk.start_set,
            frozenset: Walk.start_fixed,
            ReadOnlyDict: Walk.start_dict,
            ReadOnlyList: Walk.start_list,
            ReadOnlySet: Walk.start_set,
            OrderedFrozen: Walk.start_fixed,
            bytearray: lambda _, value: bytes(value) if read_only else bytearray(value),
            **{kind: Walk.start_fixed if is_fixed else Walk.start_set for kind, is_fixed in ORDERED_SETS.items()},
        }
        self._learn = learn

    def start_of(self, kind: type) -> Start | None:
        """How a type is copied; None for what is handed on as it is."""
        start = self.starts.get(kind)
        if start is None and kind not in self.scalars:
            start = self._learn(kind)
            if start is None and self.read_only:
                start = _start_like_its_base(kind)
            if start is None:
                self.scalars.add(kind)
            else:
                self.starts[kind] = start
        return start


class Walk:
    """One copying.

    Args:
        rules: how each type is copied.
        origin: what the copies say about where they are from.
        known: copies by id of what was copied before.

    Attributes:
        copies: the new ones, by id of what was copied.
        sources: what was copied, so that the ids stay theirs.
    """

    def __init__(self, rules: Rules, origin: Origin, known: dict[int, Any] = _NOTHING) -> None:
        self._rules = rules
        self._scalars = rules.scalars
        self._starts = rules.starts
        self.origin = origin
        self.copies: dict[int, Any] = {}
        self._known = known
        self.sources: list[Any] = []
        self._unfilled: list[tuple[Callable[[Any, Any], None], Any, Any]] = []
        self._unhashed: list[tuple[Any, Any]] = []
        self._holders: list[Any] = []

    def copy(self, value: Any) -> Any:
        """The copy of a value."""
        copy = self.begin(value)
        while self._holders or self._unfilled or self._unhashed:
            self._fill()
            if self._unhashed:
                self._fill_hashed(*self._unhashed.pop())
        return copy

    def begin(self, value: Any) -> Any:
        """The copy of a value; what it holds may be filled in later."""
        kind = type(value)
        if kind in self._scalars:
            return value
        copy = self.copies.get(id(value))
        if copy is None:
            copy = self._known.get(id(value))
        if copy is None:
            start = self._starts.get(kind) or self._rules.start_of(kind)
            copy = value if start is None else start(self, value)
        return copy

    def holds_scalars(self, value: Iterable[Any]) -> bool:
        """Whether there is nothing else in it."""
        return self._scalars.issuperset(map(type, value))

    def note(self, value: Any, copy: Any) -> Any:
        """Remember that `copy` stands for `value`."""
        self.copies[id(value)] = copy
        self.sources.append(value)
        return copy

    def fill_later(self, fill: Callable[[Any, Any], None], copy: Any, parts: Any) -> None:
        """Have `fill(copy, parts)` called when it is its turn."""
        self._unfilled.append((fill, copy, parts))

    def _fill(self) -> None:
        while self._holders or self._unfilled:
            if self._holders:
                holders, self._holders = self._holders, []
                self._fill_layer(holders)
            else:
                fill, copy, parts = self._unfilled.pop()
                fill(copy, parts)

    # --- dicts and lists: layer by layer, in as few steps as there are loops in C ---------------------------------

    def start_dict(self, value: dict[Any, Any]) -> Any:
        """A dict; what else it holds than scalars is replaced later."""
        self._copy_dicts({id(value): value})
        return self.copies[id(value)]

    def start_list(self, value: list[Any]) -> Any:
        """A list; what else it holds than scalars is replaced later."""
        self._copy_lists({id(value): value})
        return self.copies[id(value)]

    def _fill_layer(self, holders: list[Any]) -> None:
        """Replace what dicts and lists hold by copies of it."""
        scalars, copies, begin = self._scalars, self.copies, self.begin
        held = [*chain.from_iterable(dict.values(one) if isinstance(one, dict) else one for one in holders)]
        parts = [part for part in held if type(part) not in scalars]
        self._copy_dicts({id(part): part for part in parts if type(part) in _DICTS})
        self._copy_lists({id(part): part for part in parts if type(part) in _LISTS})
        set_key, set_place = dict.__setitem__, list.__setitem__
        for holder in holders:
            if isinstance(holder, dict):
                for key, part in holder.items():  # the keys stay, so the loop may go on
                    if type(part) not in scalars:
                        copy = copies.get(id(part))
                        set_key(holder, key, begin(part) if copy is None else copy)
            else:
                for place, part in enumerate(holder):
                    if type(part) not in scalars:
                        copy = copies.get(id(part))
                        set_place(holder, place, begin(part) if copy is None else copy)

    def _copy_dicts(self, dicts: dict[int, Any]) -> None:
        new = self._new(dicts, read_only.new_dicts, dict)
        scalars = self._scalars
        if not scalars.issuperset(map(type, chain.from_iterable(new))):
            for copy in new:
                if not scalars.issuperset(map(type, copy)):
                    self._unhashed.append((copy, list(copy.items())))
                    dict.clear(copy)
        if not scalars.issuperset(map(type, chain.from_iterable(map(dict.values, new)))):
            self._holders += new

    def _copy_lists(self, lists: dict[int, Any]) -> None:
        new = self._new(lists, read_only.new_lists, list)
        if not self._scalars.issuperset(map(type, chain.from_iterable(new))):
            self._holders += new

    def _new(self, sources: dict[int, Any], read_only_copies: Callable[..., list[Any]], plain: Any) -> list[Any]:
        """Copies of those that have none yet."""
        for known in (self.copies, self._known):
            if known and not known.keys().isdisjoint(sources):
                self.copies.update((key, known[key]) for key in known.keys() & sources)
                sources = {key: source for key, source in sources.items() if key not in known}
        values = sources.values()
        new = read_only_copies(values, self.origin) if self._rules.read_only else list(map(plain, values))
        self.copies.update(zip(sources, new, strict=True))
        self.sources += values
        return new

    # --- sets ----------------------------------------------------------------------------------------------------

    def start_set(self, value: Any) -> Any:
        """A set; elements get in when they are complete enough to be hashed."""
        elements = list(value)
        copy = self.note(value, read_only.new_set(self.origin) if self._rules.read_only else set())
        ordered = _has_order(value)
        if self.holds_scalars(elements):
            read_only.fill_set(copy, elements, ordered=ordered)
        else:
            self._unhashed.append((copy, (elements, ordered)))
        return copy

    def _fill_hashed(self, copy: Any, parts: Any) -> None:
        if isinstance(copy, dict):
            items = [(self.begin(key), self.begin(item)) for key, item in parts]
            self._fill()
            dict.update(copy, items)
        else:
            elements, ordered = parts
            elements = [self.begin(element) for element in elements]
            self._fill()
            read_only.fill_set(copy, elements, ordered=ordered)

    # --- what never changes itself, but may hold what does -------------------------------------------------------

    def start_fixed(self, value: Any) -> Any:
        """A tuple or a frozen set: the same one if it holds nothing but scalars."""
        if type(value) is tuple:
            return value if self.holds_scalars(value) else self.build(value, tuple)
        if self._rules.read_only and _has_order(value):
            return self.build(value, read_only.new_ordered_frozen)
        if type(value) is frozenset and self.holds_scalars(value):
            return value
        return self.build(value, frozenset)

    def build(self, value: Iterable[Any], make: Callable[[list[Any]], Any]) -> Any:
        """Something that is made whole, of the copies of its items.

        Tuples in tuples are made from the inside out, with a stack of our own.
        """
        stack = [value]
        while stack:
            top = stack[-1]
            inner = [item for item in top if type(item) is tuple and id(item) not in self.copies]
            inner = [item for item in inner if not self.holds_scalars(item)]
            if inner:
                stack += inner
                continue
            stack.pop()
            items = [self.begin(item) for item in top]
            made = make if top is value else tuple
            if made is not tuple:
                self._fill()  # a hash may need what the items hold
            self.note(top, made(items))
        return self.copies[id(value)]


def _has_order(value: Any) -> bool:
    return type(value) in ORDERED_SETS or getattr(value, "_msq_order", None) is not None


def _start_like_its_base(kind: type) -> Start | None:
    """What to do with a type nobody said anything about: containers are copied as what they are based on."""
    if issubclass(kind, enum.Enum) or is_scalar(kind):
        return None
    if is_array(kind):
        return _start_array
    if issubclass(kind, dict):
        return Walk.start_dict
    if issubclass(kind, list):
        return Walk.start_list
    if issubclass(kind, set):
        return Walk.start_set
    if issubclass(kind, tuple):
        return lambda walk, value: walk.build(value, lambda items: tuple.__new__(kind, items))
    return Walk.start_fixed if issubclass(kind, frozenset) else None


def _start_array(walk: Walk, value: Any) -> Any:
    """A copy, and no view of the same memory: what was read before an event stays as it was."""
    copy = value.copy("K")
    copy.flags.writeable = False
    return walk.note(value, copy)


# --- the author's classes ----------------------------------------------------------------------------------------


def member_start(source: EnumShape, target: Any) -> Start:
    """How members of an enum are copied into those of another one, by name."""

    def start(_: Walk, value: Any) -> Any:
        parts = source.parts(value)
        return value if parts is None else target.make(parts)

    return start


def named_tuple_start(target: NamedTupleShape) -> Start:
    """How named tuples are copied into those of another class, item by item."""

    def start(walk: Walk, value: Any) -> Any:
        if type(value) is target.kind and walk.holds_scalars(value):
            return value
        return walk.build(value, target.make)

    return start


def record_start(source: RecordShape, target: RecordShape) -> Start:
    """How instances of a dataclass are copied into those of another one, by the names of fields."""

    def start(walk: Walk, value: Any) -> Any:
        copy = walk.note(value, target.new())
        if issubclass(target.kind, ReadOnlyRecord):
            read_only.set_origin(copy, walk.origin)
        walk.fill_later(lambda copy, parts: fill(walk, copy, parts), copy, source.parts(value))
        return copy

    def fill(walk: Walk, copy: Any, parts: dict[str, Any]) -> None:
        target.fill(copy, {name: walk.begin(part) for name, part in parts.items() if name in target.names})

    return start
