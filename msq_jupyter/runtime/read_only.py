"""What stands outside of a model for the containers it holds: real dicts, lists and sets that refuse to be changed.

They are subclasses, and hold what they show, so that everything written in C (json, pickle, NumPy, pandas, sorting,
`==`) takes them for what they are. Whatever makes another one of them makes a plain one: `dict(x)`, `x.copy()`,
`x | {}`, `x[1:]`, `type(x)(...)`; `copy.deepcopy(x)` is plain all the way down.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import repeat
from types import new_class
from typing import Any, NoReturn, Protocol, TypeVar

from msq_jupyter.runtime import mutators

K = TypeVar("K")

#: The slot in which a copy keeps where it came from.
ORIGIN = "_msq_origin"


class Origin(Protocol):
    """Where a copy came from."""

    def refusal(self, copy: Any, key: Any) -> Exception:
        """The error for a change of `copy`, at `key` if that is not `NO_KEY`."""

    def changeable(self, copy: Any) -> Any:
        """A copy of a copy that is plain all the way down."""


#: Says that a change is not of one item.
NO_KEY = object()


def _forbid(kind: type, *names: str, keyed: tuple[str, ...] = ()) -> None:
    """Let methods refuse; those in `keyed` get the key or place of an item first."""
    for name in names:
        setattr(kind, name, _refusal(name, has_key=name in keyed))


def _refusal(name: str, *, has_key: bool) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **_kwargs: Any) -> NoReturn:
        raise getattr(self, ORIGIN).refusal(self, args[0] if has_key and args else NO_KEY)

    method.__name__ = name
    method.__doc__ = "Raise ModelWriteError: it belongs to a model."
    return method


class _Changeable:
    """What all of them have in common."""

    __slots__ = ()

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        copy = memo[id(self)] = getattr(self, ORIGIN).changeable(self)
        return copy


class ReadOnlyDict(_Changeable, dict[Any, Any]):
    """A dict of a model, as it was when it was read."""

    __slots__ = (ORIGIN,)

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """A plain dict: what is made of ours is nobody's."""
        return dict(*args, **kwargs)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return dict, (), None, None, iter(self.items())


class ReadOnlyList(_Changeable, list[Any]):
    """A list of a model, as it was when it was read."""

    __slots__ = (ORIGIN,)

    def __new__(cls, *args: Any) -> Any:
        """A plain list: what is made of ours is nobody's."""
        return list(*args)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return list, (), None, iter(self)


class ReadOnlySet(_Changeable, set[Any]):
    """A set of a model, as it was when it was read. One that has an order there has it here, in `_msq_order`."""

    __slots__ = ("_msq_order", ORIGIN)

    def __new__(cls, *args: Any) -> Any:
        """A plain set: what is made of ours is nobody's."""
        return set(*args)

    def __iter__(self) -> Iterator[Any]:
        order = self._msq_order  # type: ignore[attr-defined]  # a slot
        return set.__iter__(self) if order is None else iter(order)

    def __repr__(self) -> str:
        return f"{{{', '.join(map(repr, self))}}}" if self else "set()"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return set, (list(self),)


_forbid(ReadOnlyDict, *mutators.DICT, keyed=("__setitem__", "__delitem__", "pop", "setdefault"))
_forbid(ReadOnlyList, *mutators.LIST, keyed=("__setitem__", "__delitem__"))
_forbid(ReadOnlySet, *mutators.SET)


class OrderedFrozen(frozenset[Any]):
    """A frozen set of a model that has an order there, and has it here."""

    __slots__ = ("_msq_order",)
    _msq_order: tuple[Any, ...]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._msq_order)

    def __repr__(self) -> str:
        return f"frozenset({{{', '.join(map(repr, self))}}})" if self else "frozenset()"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return frozenset, (list(self),)


def new_dicts(sources: Collection[dict[Any, Any]], origin: Origin) -> list[ReadOnlyDict]:
    """Read-only dicts of the same items, in loops of C."""
    return _made(ReadOnlyDict, dict.__new__, dict.update, sources, origin)


def new_lists(sources: Collection[list[Any]], origin: Origin) -> list[ReadOnlyList]:
    """Read-only lists of the same items, in loops of C."""
    return _made(ReadOnlyList, list.__new__, list.extend, sources, origin)


def _made(kind: type[K], new: Any, fill: Any, sources: Collection[Any], origin: Origin) -> list[K]:
    copies = list(map(new, repeat(kind, len(sources))))
    _exhaust(map(fill, copies, sources))
    _exhaust(map(vars(kind)[ORIGIN].__set__, copies, repeat(origin)))
    return copies


_exhaust = deque[Any](maxlen=0).extend


def new_set(origin: Origin) -> ReadOnlySet:
    """A read-only set that is still empty, for `fill_set`."""
    copy: ReadOnlySet = set.__new__(ReadOnlySet)
    copy._msq_origin, copy._msq_order = origin, None  # type: ignore[attr-defined]  # slots
    return copy


def fill_set(copy: set[Any], elements: Iterable[Any], *, ordered: bool = False) -> None:
    """Give a new set its elements."""
    if ordered and type(copy) is ReadOnlySet:
        copy._msq_order = elements = tuple(elements)  # type: ignore[attr-defined]  # a slot
    set.update(copy, elements)


def new_ordered_frozen(elements: Iterable[Any]) -> OrderedFrozen:
    """A frozen set with an order."""
    order = tuple(elements)
    copy = OrderedFrozen(order)
    copy._msq_order = order
    return copy


# --- instances of dataclasses ------------------------------------------------------------------------------------


class ReadOnlyRecord:
    """Base of what stands for instances of one dataclass; see `read_only_kind`."""

    __slots__ = ()

    def __init_subclass__(cls, **_kwargs: Any) -> None:
        """Nothing: the author's own, next in line, is for classes of the author."""

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise object.__getattribute__(self, ORIGIN).refusal(self, name)

    def __delattr__(self, name: str) -> NoReturn:
        raise object.__getattribute__(self, ORIGIN).refusal(self, name)

    def __copy__(self) -> Any:
        return _new_record(self.__class__, _parts(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        copy = memo[id(self)] = object.__getattribute__(self, ORIGIN).changeable(self)
        return copy

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _new_record, (self.__class__,), _parts(self), None, None, _set_parts


def read_only_kind(kind: type) -> type:
    """A subclass of a dataclass whose instances cannot be changed, and give themselves out as those of `kind`."""
    body = {
        "__slots__": (ORIGIN,),
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__class__": property(lambda _: kind),
    }
    return new_class(kind.__name__, (ReadOnlyRecord, kind), exec_body=lambda namespace: namespace.update(body))


def plain_kind(kind: type) -> type:
    """The dataclass that a class of `read_only_kind` was made of; another class itself."""
    return kind.__mro__[2] if issubclass(kind, ReadOnlyRecord) else kind


def set_origin(record: Any, origin: Origin) -> None:
    """Note where a record came from."""
    object.__setattr__(record, ORIGIN, origin)


def _new_record(kind: type, parts: dict[str, Any] | None = None) -> Any:
    record: Any = object.__new__(kind)
    _set_parts(record, parts or {})
    return record


def _set_parts(record: Any, parts: dict[str, Any]) -> None:
    for name, part in parts.items():
        object.__setattr__(record, name, part)


def _parts(record: Any) -> dict[str, Any]:
    names = [*record.__dataclass_fields__, *getattr(record, "__dict__", ())]
    return {name: object.__getattribute__(record, name) for name in dict.fromkeys(names) if hasattr(record, name)}
