"""Values without parts that MessagePack has no type for: how they are written as the data of an extension, and read."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from msq_jupyter.runtime.extensions import Extension
from msq_jupyter.runtime.packer import Ext as _Ext
from msq_jupyter.runtime.packer import packb as _pack


class LeafRefused(ValueError):
    """A value whose meaning differs between machines, and what to do about it."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


#: A "not a number" in MessagePack that is not `math.nan`, or bytes of something else that look like one.
_ODD_NAN = re.compile(rb"\xcb(?:\xff(?:[\xf1-\xff]|\xf0(?!\0{6}))|\x7f(?:[\xf1-\xf7\xf9-\xff]|[\xf0\xf8](?!\0{6})))")


def number(value: float) -> float:
    """A float. All that are not a number are one and the same: the sign of inf - inf differs between processors."""
    return value if value == value else math.nan


def has_odd_nan(packed: bytes) -> bool:
    """Whether packed data may hold floats that `number` would change."""
    return _ODD_NAN.search(packed) is not None


def integer(value: int) -> int | _Ext:
    """An integer; those of more than 64 bits by their bytes."""
    if -(1 << 63) <= value < 1 << 64:
        return value
    size = (value.bit_length() + 8) // 8
    return _Ext(Extension.BIG_INTEGER, value.to_bytes(size, "big", signed=True))


def text(value: str) -> str | _Ext:
    """A string; those that are no text by their bytes."""
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return _Ext(Extension.TEXT, value.encode("utf-8", "surrogatepass"))
    return value


def _moment(code: int) -> Callable[[Any], _Ext]:
    def write(value: datetime.datetime | datetime.time) -> _Ext:
        zone = value.tzinfo
        if zone is not None and not _is_plain_offset(zone):
            raise LeafRefused(
                f"a time in the zone {zone}",
                "the rules and names of zones differ between machines: use .astimezone(datetime.timezone.utc)",
            )
        return _Ext(code, _pack([value.isoformat(), value.fold]))

    return write


def _is_plain_offset(zone: datetime.tzinfo) -> bool:
    if type(zone) is not datetime.timezone:
        return False
    return zone.tzname(None) == datetime.timezone(zone.utcoffset(None)).tzname(None)  # no name of its own


def _read_moment(kind: type[datetime.datetime] | type[datetime.time], data: bytes) -> Any:
    iso, fold = msgspec.msgpack.decode(data)
    return kind.fromisoformat(iso).replace(fold=fold)


LEAF_WRITERS: dict[type, Callable[[Any], Any]] = {
    float: number,
    int: integer,
    str: text,
    bytearray: lambda value: _Ext(Extension.BYTEARRAY, bytes(value)),
    datetime.datetime: _moment(Extension.DATETIME),
    datetime.time: _moment(Extension.TIME),
    datetime.date: lambda value: _Ext(Extension.DATE, value.isoformat().encode()),
    datetime.timedelta: lambda value: _Ext(Extension.TIMEDELTA, _pack([value.days, value.seconds, value.microseconds])),
    Decimal: lambda value: _Ext(Extension.DECIMAL, str(value).encode()),
}

LEAF_READERS: dict[int, Callable[[bytes], Any]] = {
    Extension.BYTEARRAY: bytearray,
    Extension.BIG_INTEGER: lambda data: int.from_bytes(data, "big", signed=True),
    Extension.TEXT: lambda data: data.decode("utf-8", "surrogatepass"),
    Extension.DATETIME: lambda data: _read_moment(datetime.datetime, data),
    Extension.DATE: lambda data: datetime.date.fromisoformat(data.decode()),
    Extension.TIME: lambda data: _read_moment(datetime.time, data),
    Extension.TIMEDELTA: lambda data: datetime.timedelta(*msgspec.msgpack.decode(data)),
    Extension.DECIMAL: lambda data: Decimal(data.decode()),
}
