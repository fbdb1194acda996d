"""Types of an author, and models that hold values of them: what the tests of the codec store."""

from __future__ import annotations

import dataclasses
import enum
from collections import namedtuple
from typing import Any, NamedTuple

import msgspec
import pytest

from msq_jupyter.errors import SealBroken
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.runtime.snapshot import NoWorld, Writer, pack, read_value
from msq_jupyter.runtime.value_types import ValueTypes

RAN: list[str] = []


class Colour(enum.Enum):
    RED = 1
    CRIMSON = 1  # noqa: PIE796
    BLUE = "b"


class Size(enum.IntEnum):
    SMALL = 1


class Name(str, enum.Enum):
    ADA = "ada"


class Access(enum.Flag):
    READ = 1
    WRITE = 2
    BOTH = 3


class Odd(enum.Flag):
    ONE = 1
    TWO = 2

    @classmethod
    def _missing_(cls, value):
        RAN.append("_missing_")
        return super()._missing_(value)


Point = namedtuple("Point", "x y")


class Named(NamedTuple):
    label: str
    at: Any = None


class Wide(Named):
    """A subclass without `__slots__`: its instances can hold more than their fields."""


@dataclasses.dataclass
class Page:
    text: str
    parts: list[Any] = dataclasses.field(default_factory=list)
    next: Any = None

    def __post_init__(self):
        RAN.append("__post_init__")

    def __setattr__(self, name, value):
        RAN.append("__setattr__")
        object.__setattr__(self, name, value)

    def __getattribute__(self, name):
        if not name.startswith("__"):
            RAN.append(name)
        return object.__getattribute__(self, name)

    def __setstate__(self, state):
        RAN.append("__setstate__")

    def __reduce__(self):
        RAN.append("__reduce__")
        return object.__reduce__(self)


@dataclasses.dataclass(frozen=True)
class Place:
    x: float
    inside: Any = None


@dataclasses.dataclass(frozen=True, eq=False)
class Token:
    name: str


@dataclasses.dataclass
class Guarded:
    """A field that is a property: setting it runs code, filling the instance does not."""

    value: int = 0


def _set_value(self, value):
    RAN.append("setter")
    self.__dict__["value"] = value


Guarded.value = property(lambda self: self.__dict__["value"], _set_value)  # type: ignore[assignment]


@dataclasses.dataclass
class Slotted:
    __slots__ = ("a", "b")
    a: int
    b: int


@dataclasses.dataclass
class Trouble:
    """Not in any table."""


@dataclasses.dataclass(frozen=True)
class Hashed:
    """Its hash is the author's code, and fails on what it was not made for."""

    key: str

    def __hash__(self):
        return hash(self.key.upper())


@dataclasses.dataclass
class Final:
    """Something would run when it goes."""

    def __del__(self):
        RAN.append("__del__")


@dataclasses.dataclass
class Broken(Exception):
    """A dataclass that `object.__new__` cannot make."""

    code: int = 0


TYPES = [
    Colour,
    Size,
    Name,
    Access,
    Odd,
    Point,
    Named,
    Wide,
    Page,
    Place,
    Token,
    Guarded,
    Slotted,
    Hashed,
    Broken,
    Final,
]


class Table(NoWorld):
    value_types = ValueTypes({kind.__name__: kind for kind in TYPES})


def there_and_back(value: Any) -> Any:
    document = Writer(Table()).write(value, "doc")
    back = read_value(document, Table())
    assert Writer(Table()).write(back, "doc") == document
    return back


def refused(document: bytes) -> SealBroken:
    with pytest.raises(SealBroken) as caught:
        read_value(document, Table())
    return caught.value


def ext(code: int, *parts: Any) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(code, pack(list(parts)))


MEMBERS = [
    *(Colour.RED, Colour.CRIMSON, Colour.BLUE, Size.SMALL, Name.ADA),
    *(Access.READ, Access.BOTH, Access(0), Access.READ | Access.WRITE, Odd.ONE),
]


class Doc(Model):
    transient = ("cache",)

    def init(self, options):
        self.page = Page("a", [Colour.RED])
        self.same = self.page
        self.marks = {1: {Size.SMALL, Size.SMALL}, (2, "b"): bytearray(b"c")}
        self.cache = self.marks[1]
        self.parts = [Part.create(number) for number in range(3)]
        self.future(10).hear([self.page])
        self.subscribe("a", "b", self.hear)
        self.wait = self.future(20).hear(None)

    def hear(self, data):
        self.heard = data

    @property
    def expensive(self):
        RAN.append("property")

    def __getattr__(self, name):
        RAN.append(name)
        raise AttributeError(name)


class Part(Model):
    def init(self, number):
        self.number = number
        self.near = Place(number, None)


def new_replica() -> Replica:
    return Replica("session", "run", {"Doc": Doc, "Part": Part}, None, {kind.__name__: kind for kind in TYPES})


def lived() -> Replica:
    replica = new_replica()
    replica.start(Doc, None)
    replica.views["ada"] = {"data": [replica.root.page, "_msq_replica"], "_msq_replica": 1}
    return replica
