"""The author's classes made again for one session: same names, same attributes, functions of the session's own.

Nothing of the author runs while a class is made: no decorator, no metaclass, no `__init_subclass__`. A class is made
empty, with its bases, and gets its attributes later; at the end it is sealed, so that model code cannot keep anything
in a class, where no snapshot would find it.

Enums, named tuples and dataclasses that hold nothing but data stay as they are.
"""

from __future__ import annotations

import abc
import contextlib
import copy
import enum
import types
from collections.abc import Callable
from functools import cache
from typing import Any, cast
from weakref import WeakSet

from msq_jupyter.errors import DeterminismError
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.sources import functions_of, library_of
from msq_jupyter.runtime.value_types import is_value_type

#: What Python makes by itself for each class.
_GENERATED = frozenset(("__dict__", "__weakref__"))
#: What has to be there when a class is made, and is no code.
_FIRST = frozenset(
    (
        *("__module__", "__qualname__", "__doc__", "__slots__", "__orig_bases__", "__hash__"),
        # From Python 3.14 on: a function that evaluates annotations, and has the whole original namespace in a cell.
        *("__annotate_func__", "__annotate__", "__annotations_cache__", "__conditional_annotations__"),
    )
)
_SLOTS = (types.MemberDescriptorType, types.GetSetDescriptorType)
#: What members of an enum can be besides enum members, and still be made again.
_MEMBER_TYPES = (object, int, float, str, bytes)

_sealed: WeakSet[type] = WeakSet()


class SealedType(type):
    """The type of linked classes."""

    def __setattr__(cls, name: str, value: object) -> None:
        _refuse_if_sealed(cls, name)
        super().__setattr__(name, value)

    def __delattr__(cls, name: str) -> None:
        _refuse_if_sealed(cls, name)
        super().__delattr__(name)


def _refuse_if_sealed(made: type, name: str) -> None:
    # The names of abstract methods, and what typing caches, belong to Python.
    if made in _sealed and not name.startswith("_"):
        raise DeterminismError(
            f"{made.__qualname__}.{name} cannot be set: a class is code, and no snapshot holds what code keeps in it: "
            f"set it on the model, self.{name} = ..."
        )


@cache
def _sealed_type(meta: type) -> type:
    return SealedType if meta is type else type(meta.__name__, (SealedType, meta), {})


class ClassMaker:
    """Makes classes for one linking.

    Args:
        value: what linked code has in place of a thing that the author calls by a name.
        is_written: whether the author wrote a function.
        later: calls something when more has been made.

    Attributes:
        originals: of each class that was made, the one it was made from.
    """

    def __init__(
        self,
        value: Callable[[Any, str], Any],
        is_written: Callable[[Any], bool],
        later: Callable[[Callable[[], None]], None],
    ) -> None:
        self._value = value
        self._is_written = is_written
        self._later = later
        self._members: dict[int, enum.Enum] = {}
        self.originals: dict[type, type] = {}

    def made(self, original: type, name: str) -> type:
        """The class that linked code has in place of `original`; itself for those of libraries and for mere data."""
        if library_of(original.__module__) or not self._is_made_again(original):
            return original
        if isinstance(original, enum.EnumMeta):
            return self._enum(cast(Any, original))
        bases = tuple(self._value(base, base.__qualname__) for base in original.__bases__)
        meta = _sealed_type(type(original))
        # `type` itself, or the one that abstract classes need: no metaclass of the author runs.
        make = abc.ABCMeta.__new__ if issubclass(meta, abc.ABCMeta) else type.__new__
        own = {key: value for key, value in vars(original).items() if key in _FIRST}
        made: type = make(meta, original.__name__, bases, own)
        self.originals[made] = original
        self._later(lambda: self._fill(made, original))
        return made

    def member(self, member: enum.Enum, name: str) -> enum.Enum:
        """The member that linked code has in place of `member`."""
        self._value(type(member), name)
        return self._members.get(id(member), member)

    def seal(self) -> None:
        """Let nothing be set in the classes any more."""
        for made in self.originals:
            if not isinstance(made, enum.EnumMeta):
                abc.update_abstractmethods(made)
                _sealed.add(made)

    def _is_made_again(self, original: type) -> bool:
        if issubclass(original, Model) or not is_value_type(original):
            return True
        if getattr(original, "_member_type_", object) not in _MEMBER_TYPES:
            return False
        family = [kind for kind in original.__mro__ if not library_of(kind.__module__)]
        fields = [f for kind in family for f in vars(kind).get("__dataclass_fields__", {}).values()]
        functions = [function for kind in family for function in functions_of(kind)]
        return any(map(self._is_written, [*functions, *(field.default_factory for field in fields)]))

    def _fill(self, made: type, original: type) -> None:
        for key, value in list(vars(original).items()):
            if key in _GENERATED or key in _FIRST or isinstance(value, _SLOTS):
                continue
            type.__setattr__(made, key, self._value(value, f"{original.__qualname__}.{key}"))

    # --- enums ---------------------------------------------------------------------------------------------------

    def _enum(self, original: Any) -> type:
        """An enum: its members made one by one, without the way from class statement to members, which is lost."""
        names = [key for key in vars(original) if key in _FIRST and key != "__slots__"]
        bases = tuple(self._value(base, base.__qualname__) for base in original.__bases__)
        made: Any = type.__new__(type(original), original.__name__, bases, {key: vars(original)[key] for key in names})
        self.originals[made] = original
        everybody = {*original._member_map_.values(), *original._value2member_map_.values()}
        for member in everybody:
            kind = original._member_type_
            own = object.__new__(made) if kind is object else kind.__new__(made, kind(member.value))
            own.__dict__.update({**member.__dict__, "__objclass__": made})
            own.__dict__.pop("_inverted_", None)  # of flags: found again when it is asked for
            self._members[id(member)] = own
        self._later(lambda: self._fill_enum(made, original))
        return cast(type, made)

    def _fill_enum(self, made: Any, original: Any) -> None:
        for key, value in list(vars(original).items()):
            if key in _GENERATED or key in _FIRST:
                continue
            if isinstance(value, dict) and key in ("_member_map_", "_value2member_map_"):
                held: Any = {name: self._members[id(member)] for name, member in value.items()}
            elif isinstance(value, types.DynamicClassAttribute):
                held = self._redirect(value)
            elif key.startswith("_") and not self._has_code(value):
                held = value  # what the enum module keeps there
            else:
                held = self._members.get(id(value)) or self._value(value, f"{original.__qualname__}.{key}")
            type.__setattr__(made, key, held)

    def _redirect(self, redirect: Any) -> Any:
        """From Python 3.11 on: what finds a member by its name."""
        own = copy.copy(redirect)
        with contextlib.suppress(AttributeError):
            own.member = self._members.get(id(redirect.member), redirect.member)
        for part in ("fget", "fset", "fdel"):
            setattr(own, part, self._value(getattr(redirect, part), part))
        return own

    def _has_code(self, value: Any) -> bool:
        inside = [value, getattr(value, "__func__", None), getattr(value, "fget", None)]
        return any(map(self._is_written, inside))
