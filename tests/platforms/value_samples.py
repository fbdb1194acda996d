"""Values of every type, random streams and hostile bytes: what they come to must be the same everywhere."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import functools
import math
import struct
from collections import namedtuple
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from msq_jupyter import protocol
from msq_jupyter.errors import MsqError
from msq_jupyter.persistence.records import VersionMeta, decode_meta, encode_meta
from msq_jupyter.runtime.prng import RandomStream
from msq_jupyter.runtime.snapshot import NoWorld, Writer, pack, read_value, unpack
from msq_jupyter.runtime.value_types import ValueTypes
from msq_jupyter.stable import bytes_digest, check_json, content_bytes, content_value, stable_json, text_digest


class Colour(enum.Enum):
    RED = 1
    BLUE = "b"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


Point = namedtuple("Point", "x y")


@dataclasses.dataclass
class Page:
    text: str
    parts: list[Any] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Place:
    x: float
    inside: Any = None


@dataclasses.dataclass
class Slotted:
    __slots__ = ("a", "b")
    a: int
    b: int


class Table(NoWorld):
    value_types = ValueTypes({kind.__name__: kind for kind in (Colour, Access, Point, Page, Place, Slotted)})


def _circle() -> list[Any]:
    circle: list[Any] = [1]
    circle.append({"circle": circle, "again": [circle]})
    return circle


def _deep(levels: int) -> Any:
    value: Any = 0.5
    for level in range(levels):
        value = [value] if level % 3 else (value,) if level % 2 else {"a": value}
    return value


_shared = bytearray(b"shared")
_words = [f"word {number}" for number in range(40)]

VALUES: dict[str, Any] = {
    "constants": [None, True, False, 0, -1, 2**63, 2**64, -(2**63) - 1, 10**400, -(10**40)],
    "floats": [0.0, -0.0, 0.1, 1e300, 5e-324, 1 / 3, math.inf, -math.inf, math.nan, math.inf - math.inf, -math.nan],
    "strings": ["", "ä", "雪\N{BIRD}", "\ud800", "\0", "x" * 70_000],
    "bytes": [b"", b"\x00\xff" * 200, bytearray(b"x"), _shared, _shared],
    "sets": [set(_words), frozenset(_words), {1, "a", None, 2.5, b"c", (1, "z")}, {8, 0, 16}, {frozenset("abc")}],
    "dicts": [{}, {"b": 1, "a": 2}, {1: 2, (3, 4): 5, None: 6, 2.5: 7}, dict.fromkeys(_words), {"\ud800": 1}],
    "dates": [
        datetime.datetime(2026, 1, 2, 3, 4, 5, 6, fold=1),
        datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=-5, minutes=30))),
        *(datetime.date(1, 1, 1), datetime.time(1, 2, 3, 4), datetime.timedelta(days=-1, microseconds=5)),
    ],
    "decimals": [Decimal("1.10"), Decimal("-0"), Decimal("NaN"), Decimal("1E+30"), Decimal("Infinity")],
    "enums": [Colour.RED, Colour.BLUE, Access.READ | Access.WRITE, Access(0), {Colour.RED: {Colour.BLUE}}],
    "records": [Point(1, [2]), Page("a", [1]), Place(0.5, Place(math.nan)), Slotted(1, 2), {Place(1): Point(1, 2)}],
    "circles": [_circle(), [[_shared, _shared]]],
    "depth": _deep(190),
}

JSON = {
    "numbers": [0.1, 1e16, 1e-7, -0.0, 2**53 - 1, 5e-324, 1 / 3, 123456789.123456789],
    "text": ["ä", "雪", "\u2028", "\0", '"\\'],
    "order": {"b": 1, "a": {"ä": 1, "\N{BIRD}": 2, "￿": 3, "Z": 4}},
}


#: Makers of rows in which something is in two places, and to which nothing but the rows refers. What finds it may be
#: another way on another interpreter; what is found may not.
SHARED: dict[str, Callable[[Any], list[Any]]] = {
    "in two rows": lambda held: [{"a": held}, {"a": held}],
    "in two attributes": lambda held: [{"a": held, "b": held}, {"a": 1, "b": 2}],
    "in a tuple": lambda held: (lambda pair: [{"a": pair}, {"b": pair}])((held, 1)),
    "in an instance": lambda held: (lambda page: [{"a": page}, {"b": [page]}])(Page("p", held)),
    "far apart": lambda held: [{"a": held}, *({"x": number} for number in range(600)), {"a": held}],
}


def shared_samples() -> Iterator[tuple[str, str]]:
    """Names and digests of documents that keep what is shared, and how many parts they have beside their rows."""
    for name, make in SHARED.items():
        for kind in (list, dict, set, bytearray):
            rows = make(kind())
            document = Writer(Table()).write_all(rows, lambda _: "sample", named=len(rows))
            extra = len(unpack(document)) - len(rows)
            assert extra > 0, (name, kind)
            yield f"shared {kind.__name__} {name}", f"{extra} {bytes_digest(document)}"


def value_samples() -> Iterator[tuple[str, str]]:
    """Names and digests of documents, each of which has been read and written again."""
    for name, value in VALUES.items():
        document = Writer(Table()).write(value, "sample")
        back = read_value(document, Table())
        assert Writer(Table()).write(back, "sample") == document, name
        yield f"value {name}", bytes_digest(document)
    for name, data in JSON.items():
        check_json(data)
        assert content_value(content_bytes(data)) == data
        yield f"json {name}", f"{bytes_digest(content_bytes(data))} {text_digest(stable_json(data))}"
    meta = VersionMeta("ada", "", "s", "c", 3, "i", 17, "source")
    assert decode_meta(encode_meta(meta)) == meta
    yield "version", bytes_digest(encode_meta(meta))
    saved = protocol.Saved(3, 2.5, "save", 1, "ada", 1e9)
    assert protocol.decode_entry(protocol.encode(saved)) == saved
    yield "message", bytes_digest(protocol.encode(saved))


def random_samples() -> Iterator[tuple[str, str]]:
    """Names and numbers of random streams."""
    stream = RandomStream("every platform ä")
    yield "random words", " ".join(f"{stream.next_word():x}" for _ in range(4))
    yield "random numbers", " ".join(stream.random().hex() for _ in range(4))
    yield "random integers", repr([stream.random_int(-(10**n), 10**n) for n in range(0, 40, 5)])
    items = list(range(60))
    stream.shuffle(items)
    yield "random order", f"{items} {stream.choice(items)} {stream.generate_id()}"


def hostile_samples() -> Iterator[tuple[str, str]]:
    """Names and answers to bytes that nobody honest would send: a refusal of our own, or a value."""
    document = Writer(Table()).write([VALUES[name] for name in VALUES if name != "depth"], "sample")
    for place in range(0, len(document) - 70_100, 13):
        broken = bytearray(document)
        broken[place] ^= 0xC5
        yield f"hostile byte {place}", _answer(functools.partial(read_value, world=Table()), bytes(broken))
        yield f"hostile end {place}", _answer(functools.partial(read_value, world=Table()), document[:place])
    bombs = {
        "depth": b"\x91" * 100_000,
        "extensions": _nested_extensions(3_000),
        "length": b"\xdd\xff\xff\xff\xff",
        "map length": b"\xdf\xff\xff\xff\xff",
        "text length": b"\xdb\xff\xff\xff\xff",
        "text": b"\x91\xa1\xff",
        "timestamp": b"\x91\xd6\xff\0\0\0\0",
        "list as key": pack([{(1, 2): 3}]),
    }
    for name, data in bombs.items():
        for what, read in (
            ("value", functools.partial(read_value, world=Table())),
            ("plain", unpack),
            ("entry", protocol.decode_entry),
        ):
            yield f"hostile {name} as {what}", _answer(read, data)


def _nested_extensions(levels: int) -> bytes:
    data = b"\x90"
    for _ in range(levels):
        data = b"\xc9" + struct.pack(">IB", len(data), 4) + data
    return b"\x91" + data


def _answer(read: Any, data: bytes) -> str:
    try:
        value = read(data)
    except MsqError as error:
        return type(error).__name__
    try:
        return bytes_digest(Writer(Table()).write(value, "answer"))
    except MsqError as error:
        return f"a value that is refused: {type(error).__name__}"
