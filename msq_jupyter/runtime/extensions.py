"""The stored form of values: what MessagePack's extension types mean here, and what the codec knows of its replica."""

from __future__ import annotations

from collections.abc import Collection
from types import FunctionType, MethodType
from typing import Annotated, Any, Protocol

import msgspec

from msq_jupyter.runtime.value_types import ValueTypes


class Extension:
    """What a MessagePack extension type means here."""

    MODEL = 1  # the id of a model
    METHOD = 2  # [id of a model, name of a method]
    SHARED = 3  # a number in the table of what is shared
    TUPLE = 4
    SET = 5  # in its order; a built-in set, in the order of the bytes of its elements
    FROZENSET = 6
    DICT = 7  # keys and values in turn; for dicts with keys that are not all text
    BYTEARRAY = 8
    BIG_INTEGER = 9
    TEXT = 10  # a string with half a surrogate pair
    DATETIME = 11  # [ISO format, fold]
    DATE = 12
    TIME = 13  # [ISO format, fold]
    TIMEDELTA = 14  # [days, seconds, microseconds]
    DECIMAL = 15
    HANDLE = 16  # [id of a future message, its time]
    LIST = 17  # only in the table
    MAP = 18  # only in the table: a dict whose keys are all text
    ENUM = 19  # [key of the class, name of the member or number of the flags]
    NAMED_TUPLE = 20  # [key of the class, items...]
    RECORD = 21  # [key of the class, names and values in turn...]: an instance of a dataclass
    ARRAY = 22  # see `array_parts`
    SCALAR = 23  # a NumPy scalar, as an array without dimensions


#: A number in the table; a negative one would count from its end.
Number = Annotated[int, msgspec.Meta(ge=0)]


class World(Protocol):
    """What the codec needs to know of the replica whose values it reads and writes.

    Attributes:
        model_kinds: the classes of its models, if it is those that are met and no facades.
    """

    value_types: ValueTypes
    model_kinds: Collection[type]

    @property
    def models(self) -> Any:
        """By id, those that can be referred to: `get` gives one or None."""

    def model_id(self, value: object) -> str | None:
        """The id of a model of this replica; None for anything else."""

    def model(self, model_id: str) -> Any:
        """The model with an id; raises KeyError."""

    def handle_parts(self, value: object) -> tuple[int, float] | None:
        """Id and time of a handle for a future message; None for anything else."""

    def remedy(self, value: object) -> str | None:
        """What to do instead of storing a value that only looks like one of this replica's."""

    def handle(self, handle_id: int, time_ms: float) -> Any:
        """A handle for a future message."""


def array_head(length: int) -> bytes:
    """How MessagePack begins an array."""
    if length < 16:
        return bytes([0x90 | length])
    return b"\xdc" + length.to_bytes(2, "big") if length < 1 << 16 else b"\xdd" + length.to_bytes(4, "big")


def public_method(model: Any, name: str) -> MethodType | None:
    """A method of a model by name, found without running a property or `__getattr__`; None when it has none."""
    if name.startswith("_"):
        return None
    for kind in type(model).__mro__:
        if name in vars(kind):
            function = vars(kind)[name]
            return MethodType(function, model) if isinstance(function, FunctionType) else None
    return None
