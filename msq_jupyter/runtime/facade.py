"""What stands for a model outside of model code: it reads like the model, and refuses to be changed.

The class of a facade is a subclass of the model's class, made on demand. So a method called on a facade is the class's
own function with the facade as `self`; `super()` and `isinstance` work, and whatever the method reads or writes goes
through the facade again. Model code never meets one, and pays nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType, new_class
from typing import Any, NoReturn, Protocol

from msq_jupyter.errors import StateError
from msq_jupyter.runtime.model import ID_SLOT, REPLICA_SLOT, Model

_MISSING = object()
#: Slots of a facade: the model, and the model's `__dict__`.
_MODEL, _OWN = "_msq_model", "_msq_own"
#: What a class of facades keeps: how it reads when nobody notes it.
_READER = "_msq_reader"
_HIDDEN = frozenset((REPLICA_SLOT, ID_SLOT))


class Keeper(Protocol):
    """Who makes facades, and what they ask it for."""

    scalars: set[type]

    def seen(self, model: Model, attribute: str, value: Any) -> Any:
        """The value of an attribute as it stands outside."""

    def attributes(self, model: Model) -> Any:
        """All attributes as they stand outside."""

    def refusal(self, model: Model, attribute: str) -> Exception:
        """The error for a change of an attribute."""


class Facade:
    """Base of all facades; comes first in their classes' order, before the model's class."""

    __slots__ = ()

    def __init_subclass__(cls, **_kwargs: Any) -> None:
        """Nothing: the model's own, next in line, is for classes of the author."""

    def __copy__(self) -> NoReturn:
        _refuse_copy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> NoReturn:
        _refuse_copy(self)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        _refuse_copy(self)

    def __dir__(self) -> list[str]:
        return sorted({*dir(type(model_of(self))), *list(_own_of(self))} - _HIDDEN)


def is_facade(value: object) -> bool:
    """Whether a value is a facade; not fooled by what it says about its class."""
    return issubclass(type(value), Facade)


def model_of(facade: Any) -> Model:
    """The model that a facade stands for."""
    model: Model = object.__getattribute__(facade, _MODEL)
    return model


def make_facade(kind: type, model: Model) -> Any:
    """A facade of a class that `facade_kind` made."""
    facade: Any = object.__new__(kind)
    object.__setattr__(facade, _MODEL, model)
    object.__setattr__(facade, _OWN, object.__getattribute__(model, "__dict__"))
    object.__setattr__(facade, ID_SLOT, object.__getattribute__(model, ID_SLOT))
    return facade


def facade_kind(kind: type[Model], claimed: type, keeper: Keeper) -> type:
    """The class of facades for models of one class.

    Args:
        kind: the models' class, whose functions run.
        claimed: what the facades say is their class.
        keeper: whom they ask.
    """

    def refuse(self: Any, name: str, *_: Any) -> NoReturn:
        raise keeper.refusal(model_of(self), name)

    body: dict[str, Any] = {
        "__slots__": (_MODEL, _OWN),
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
        "__class__": property(lambda _: claimed),
        "__setattr__": refuse,
        "__delattr__": refuse,
        "_replica": lambda _: keeper,
    }
    if kind.__eq__ is object.__eq__:
        body["__eq__"] = lambda self, other: (
            model_of(self) is (model_of(other) if is_facade(other) else other) or NotImplemented
        )
        body["__hash__"] = lambda self: object.__hash__(model_of(self))
    if kind.__repr__ is Model.__repr__:
        body["__repr__"] = lambda self: Model.__repr__(model_of(self))
    made = new_class(kind.__name__, (Facade, kind), exec_body=lambda namespace: namespace.update(body))
    type.__setattr__(made, _READER, _reader(made, keeper))
    note_reads(made, None)
    return made


def _reader(kind: type, keeper: Keeper) -> Callable[[Any, str], Any]:
    """The `__getattribute__` of a class of facades: Python's own order of looking, with other eyes."""
    own_of = vars(kind)[_OWN].__get__
    scalars = keeper.scalars
    # Properties, slots and the like come before what is in the model's `__dict__`.
    first = {name for base in kind.__mro__ for name, value in vars(base).items() if hasattr(type(value), "__set__")}
    first |= {"__dict__", "__class__"}

    def read(self: Any, name: str) -> Any:
        if name not in first:
            value = own_of(self).get(name, _MISSING)
            if type(value) in scalars:
                return value
            if value is not _MISSING:
                return keeper.seen(model_of(self), name, value)
        elif name == "__dict__":
            return keeper.attributes(model_of(self))
        found = object.__getattribute__(self, name)
        kind_of_found = type(found)
        if kind_of_found is MethodType or kind_of_found in scalars or isinstance(found, type):
            return found
        return keeper.seen(model_of(self), name, found) if _is_of_the_class(type(self), name, found) else found

    return read


def note_reads(kind: type, note: Callable[[Model, str], None] | None) -> None:
    """Have a class of facades tell which data attributes are read, before they are; None ends it.

    Args:
        kind: a class that `facade_kind` made.
        note: called with the model and the attribute's name, "__dict__" when all of them are read.
    """
    plain = vars(kind)[_READER]
    if note is None:
        type.__setattr__(kind, "__getattribute__", plain)
        return

    def read(self: Any, name: str) -> Any:
        # Methods stay what they are, and what a property reads is noted then. Data may have a default in the class.
        if name == "__dict__" or not (name == "id" or hasattr(getattr(kind, name, None), "__get__")):
            note(model_of(self), name)
        return plain(self, name)

    type.__setattr__(kind, "__getattribute__", read)


def _is_of_the_class(kind: type, name: str, found: Any) -> bool:
    """Whether a value is a class's own, and not what a property or a method has just made."""
    return any(vars(base)[name] is found for base in kind.__mro__ if name in vars(base))


def _own_of(facade: Any) -> dict[str, Any]:
    own: dict[str, Any] = object.__getattribute__(facade, _OWN)
    return own


def _refuse_copy(facade: Any) -> NoReturn:
    kind = type(facade).__qualname__
    raise StateError(
        f"a {kind} lives in its session and can be neither copied nor pickled: take what you need of it, such as a "
        "copy of an attribute, or vars(model)"
    )
