"""The author's enums, named tuples and dataclasses: how their instances are taken apart and made again.

Only classes of the session's own table take part. Nothing here runs code of the author: no `__init__`, no
`__post_init__`, no property, no `__setattr__`, so what comes from the network cannot either.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MemberDescriptorType
from typing import Any, TypeAlias

#: Flag of classes made by a class statement. Only those have instances that `object.__new__` can make whole.
_HEAP_TYPE = 1 << 9


class EnumShape:
    """An enum. A member is its name; a combination of flags without a name is its number."""

    def __init__(self, key: str, kind: type[enum.Enum]) -> None:
        self.key = key
        self.kind = kind
        # Only the standard library's own way of combining flags is known to run no code of the author.
        combines = issubclass(kind, enum.Flag) and "_missing_" not in _own_names(kind)
        self._mask = sum({m._value_ for m in kind.__members__.values() if _is_bit(m._value_)}) if combines else 0

    def parts(self, value: Any) -> str | int | None:
        """What stands for a member, or None when nothing does."""
        name = value._name_
        if name is not None and self.kind.__members__.get(name) is value:
            return str(name)
        number = value._value_
        return number if type(number) is int and self._combines(number) else None

    def make(self, parts: object) -> Any:
        """The member that `parts` stands for."""
        if type(parts) is int and self._combines(parts):
            return enum.EnumMeta.__call__(self.kind, parts)
        if type(parts) is not str:
            raise ValueError(f"{parts!r} is no member of {self.key}")
        return self.kind.__members__[parts]

    def _combines(self, number: int) -> bool:
        return number >= 0 and not number & ~self._mask and issubclass(self.kind, enum.Flag)


class NamedTupleShape:
    """A named tuple."""

    def __init__(self, key: str, kind: type[tuple[Any, ...]]) -> None:
        self.key = key
        self.kind = kind
        self._size = len(kind._fields)  # type: ignore[attr-defined]

    def is_whole(self, value: Any) -> bool:
        """Whether an instance is nothing but its fields."""
        return tuple.__len__(value) == self._size and not _dict_of(value)

    def make(self, items: list[Any]) -> Any:
        """The instance with these items."""
        if len(items) != self._size:
            raise ValueError(f"{self.key} has {self._size} fields, not {len(items)}")
        return tuple.__new__(self.kind, items)


class RecordShape:
    """A dataclass.

    Attributes:
        key: its name in the session's table.
        has_identity: whether two equal instances are two things. Frozen ones that compare by value are not: like
            tuples, they come back as equal copies.
    """

    def __init__(self, key: str, kind: type) -> None:
        self.key = key
        self.kind = kind
        parameters = kind.__dataclass_params__  # type: ignore[attr-defined]
        self.has_identity = not (parameters.frozen and parameters.eq)
        names = kind.__dataclass_fields__  # type: ignore[attr-defined]
        self.names = frozenset(names)
        self._slots = {name: slot for name in names if (slot := _slot(kind, name)) is not None}

    def parts(self, value: Any) -> dict[str, Any]:
        """The attributes of an instance: those in its `__dict__` in their order, then those in slots."""
        parts = dict(_dict_of(value))
        for name, slot in self._slots.items():
            try:
                parts[name] = slot.__get__(value, self.kind)
            except AttributeError:
                continue  # a field without a value is a field without a value on every replica
        return parts

    def new(self) -> Any:
        """An instance without any attribute, for `fill`."""
        return object.__new__(self.kind)

    def fill(self, value: Any, parts: Mapping[str, Any]) -> None:
        """Give a new instance its attributes."""
        if type(parts) is not dict or not self.names.issuperset(parts):
            raise ValueError(f"{self.key} has no such fields")
        own = _dict_of(value)
        for name, part in parts.items():
            if name in self._slots:
                self._slots[name].__set__(value, part)
            else:
                own[name] = part


Shape: TypeAlias = EnumShape | NamedTupleShape | RecordShape


class ValueTypes:
    """A session's enums, named tuples and dataclasses, by key and by class."""

    def __init__(self, types: Mapping[str, type]) -> None:
        shapes = [shape for key, kind in types.items() if (shape := _shape(key, kind)) is not None]
        self.by_key: Mapping[str, Shape] = {shape.key: shape for shape in shapes}
        self.by_type: Mapping[type, Shape] = {shape.kind: shape for shape in shapes}
        self.records: Mapping[type, RecordShape] = {s.kind: s for s in shapes if isinstance(s, RecordShape)}

    def translated(self, originals: Mapping[type, type]) -> ValueTypes:
        """The same keys, read as instances of other classes; instances of both can be written.

        Args:
            originals: which class takes the place of which; the others stay.
        """
        types = ValueTypes({key: originals.get(shape.kind, shape.kind) for key, shape in self.by_key.items()})
        types.by_type = {**self.by_type, **types.by_type}
        types.records = {**self.records, **types.records}
        return types

    def kinds(self) -> dict[str, type]:
        """What these were made of."""
        return {key: shape.kind for key, shape in self.by_key.items()}


def is_value_type(kind: type) -> bool:
    """Whether a class is an enum, a named tuple or a dataclass."""
    return (
        enum.Enum in kind.__mro__
        or (tuple in kind.__mro__ and hasattr(kind, "_fields"))
        or hasattr(kind, "__dataclass_fields__")
    )


def shape_like(kind: type) -> Shape | None:
    """The shape of a class that is in no table; None when it has none."""
    return _shape(kind.__qualname__, kind) if is_value_type(kind) else None


def _shape(key: str, kind: type) -> Shape | None:
    if issubclass(kind, enum.Enum):
        return EnumShape(key, kind)
    if issubclass(kind, tuple):
        return NamedTupleShape(key, kind)
    # A `__del__` would run whenever one that came from the network goes.
    is_plain = not hasattr(kind, "__del__") and all(parent.__flags__ & _HEAP_TYPE for parent in kind.__mro__[:-1])
    return RecordShape(key, kind) if is_plain else None


def _own_names(kind: type) -> set[str]:
    """What a class and its bases define, up to those of the enum module."""
    return {name for parent in kind.__mro__ if parent.__module__ not in ("enum", "builtins") for name in vars(parent)}


def _is_bit(number: object) -> bool:
    return type(number) is int and number > 0 and not number & (number - 1)


def _slot(kind: type, name: str) -> MemberDescriptorType | None:
    found = next((vars(parent)[name] for parent in kind.__mro__ if name in vars(parent)), None)
    return found if isinstance(found, MemberDescriptorType) else None


def _dict_of(value: Any) -> dict[str, Any]:
    """The instance's `__dict__`; an empty one for instances that have slots only."""
    if not type(value).__dictoffset__:
        return {}
    own: dict[str, Any] = object.__getattribute__(value, "__dict__")
    return own
