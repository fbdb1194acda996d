"""Values of models as bytes and back: for snapshots, and for what events carry.

The form is MessagePack. What it has no type for travels as an extension: see `Extension`. Lists, dicts, sets and byte
arrays are numbered in the order in which a walk meets them; meeting one again writes its number, so cycles and shared
identity survive. The reader counts in the same order. Nothing in the bytes can name code: models are named by id,
their classes by keys of the session's own table, methods by public names of those classes.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MethodType
from typing import Any, Protocol

import msgspec

from msq_jupyter.errors import SealBroken, StateError
from msq_jupyter.stable import DEPTH_MAX, path_text


class Extension:
    """What a MessagePack extension type means here."""

    MODEL = 1  # the id of a model
    METHOD = 2  # [id of a model, name of a method]
    SHARED = 3  # the number of a list, dict, set or byte array met before
    TUPLE = 4
    SET = 5
    FROZENSET = 6
    DICT = 7  # keys and values in turn; for dicts with keys that are not all strings
    BYTEARRAY = 8
    BIG_INTEGER = 9
    TEXT = 10  # a string with half a surrogate pair
    DATETIME = 11  # [ISO format, fold]
    DATE = 12
    TIME = 13  # [ISO format, fold]
    TIMEDELTA = 14  # [days, seconds, microseconds]
    DECIMAL = 15
    HANDLE = 16  # [id of a future message, its time]


class World(Protocol):
    """What the codec needs to know of the replica whose values it reads and writes."""

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


class _Unencodable(Exception):
    """Travels up through the walk and collects the path, innermost part first."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy
        self.parts: list[str | int] = []


_pack = msgspec.msgpack.Encoder().encode
_Ext = msgspec.msgpack.Ext

_MUTABLE = frozenset((list, dict, set, bytearray))


class Writer:
    """Turns values of one replica into bytes. Use a new one for each document; it numbers what it meets."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._numbers: dict[int, int] = {}
        self._depth = 0

    def write(self, value: Any, root: str) -> Any:
        """The value as plain MessagePack types and extensions, for `pack`.

        Args:
            value: what to write.
            root: what the path in an error begins with.

        Raises:
            StateError: names the path of what cannot be stored, its type, and the remedy.
        """
        try:
            return self._plain(value)
        except _Unencodable as error:
            self._depth = 0
            place = path_text(root, error.parts[::-1])
            raise StateError(f"{place}: cannot store {error.what}: {error.remedy}", path=place) from None

    def _plain(self, value: Any) -> Any:
        kind = type(value)
        if value is None or kind is bool or kind is float or kind is bytes:
            return value
        if kind is str:
            return value if value.isascii() else _text(value)
        if kind is int:
            if -(1 << 63) <= value < 1 << 64:
                return value
            size = (value.bit_length() + 8) // 8
            return _Ext(Extension.BIG_INTEGER, value.to_bytes(size, "big", signed=True))
        if kind in _MUTABLE:
            number = self._numbers.get(id(value))
            if number is not None:
                return _Ext(Extension.SHARED, _pack(number))
            self._numbers[id(value)] = len(self._numbers)
        writer = _WRITERS.get(kind)
        if writer is not None:
            self._depth += 1
            if self._depth > DEPTH_MAX:
                raise _Unencodable(f"more than {DEPTH_MAX} levels of nesting", "flatten the data or use models")
            plain = writer(self, value)
            self._depth -= 1
            return plain
        return self._reference(value)

    def _reference(self, value: Any) -> Any:
        model_id = self._world.model_id(value)
        if model_id is not None:
            return _Ext(Extension.MODEL, model_id.encode())
        if isinstance(value, MethodType):
            owner, name = value.__self__, value.__name__
            owner_id = self._world.model_id(owner)
            # A decorated method may go by another name, and a name is all that can be stored.
            if owner_id is not None and not name.startswith("_") and getattr(owner, name, None) == value:
                return _Ext(Extension.METHOD, _pack([owner_id, name]))
        parts = self._world.handle_parts(value)
        if parts is not None:
            return _Ext(Extension.HANDLE, _pack(parts))
        raise _Unencodable(_name_of(value), self._world.remedy(value) or _remedy_for(value))

    def _items(self, items: Any) -> list[Any]:
        plain = []
        for index, item in enumerate(items):
            try:
                plain.append(self._plain(item))
            except _Unencodable as error:
                error.parts.append(index)
                raise
        return plain

    def _list(self, value: list[Any]) -> Any:
        return self._items(value)

    def _dict(self, value: dict[Any, Any]) -> Any:
        if all(type(key) is str and key.isascii() for key in value):
            plain = {}
            for key, item in value.items():
                try:
                    plain[key] = self._plain(item)
                except _Unencodable as error:
                    error.parts.append(key)
                    raise
            return plain
        flat = []
        for key, item in value.items():
            try:
                flat.append(self._plain(key))
                flat.append(self._plain(item))
            except _Unencodable as error:
                error.parts.append(key if isinstance(key, (str, int)) else repr(key))
                raise
        return _Ext(Extension.DICT, _pack(flat))

    def _tuple(self, value: tuple[Any, ...]) -> Any:
        return _Ext(Extension.TUPLE, _pack(self._items(value)))

    def _set(self, value: set[Any] | frozenset[Any]) -> Any:
        # The order of a set is an accident of hashing: its elements are written in the order of their bytes.
        code = Extension.SET if type(value) is set else Extension.FROZENSET
        return _Ext(code, _pack(sorted(self._items(value), key=_pack)))


def _text(value: str) -> Any:
    try:
        value.encode()
    except UnicodeEncodeError:
        return _Ext(Extension.TEXT, value.encode("utf-8", "surrogatepass"))
    return value


def _is_plain_offset(zone: datetime.tzinfo) -> bool:
    if type(zone) is not datetime.timezone:
        return False
    return zone.tzname(None) == datetime.timezone(zone.utcoffset(None)).tzname(None)  # no name of its own


def _moment(code: int) -> Callable[[Writer, Any], Any]:
    def write(_: Writer, value: datetime.datetime | datetime.time) -> Any:
        zone = value.tzinfo
        if zone is not None and (
            type(zone) is not datetime.timezone
            or zone.tzname(None) != datetime.timezone(zone.utcoffset(None)).tzname(None)
        ):
            raise _Unencodable(
                f"a time in the zone {zone}",
                "the rules and names of zones differ between machines: use .astimezone(datetime.timezone.utc)",
            )
        return _Ext(code, _pack([value.isoformat(), value.fold]))

    return write


_WRITERS: dict[type, Callable[[Writer, Any], Any]] = {
    list: Writer._list,
    dict: Writer._dict,
    tuple: Writer._tuple,
    set: Writer._set,
    frozenset: Writer._set,
    bytearray: lambda _, value: _Ext(Extension.BYTEARRAY, bytes(value)),
    datetime.datetime: _moment(Extension.DATETIME),
    datetime.time: _moment(Extension.TIME),
    datetime.date: lambda _, value: _Ext(Extension.DATE, value.isoformat().encode()),
    datetime.timedelta: lambda _, value: _Ext(
        Extension.TIMEDELTA, _pack([value.days, value.seconds, value.microseconds])
    ),
    Decimal: lambda _, value: _Ext(Extension.DECIMAL, str(value).encode()),
}


def pack(plain: Any) -> bytes:
    """Bytes of what `Writer.write` returned, or of a structure made of such parts."""
    return _pack(plain)


class Reader:
    """Turns bytes back into values of one replica. Reads one document, in the order in which it was written."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._shared: list[Any] = []

    def read(self, plain: Any) -> Any:
        """The value of what `unpack` gave.

        Raises:
            SealBroken: the bytes are not what `Writer` writes.
        """
        try:
            return self._value(plain)
        except (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            raise SealBroken(f"a stored value does not decode: {type(error).__name__}: {error}") from error
        except msgspec.MsgspecError as error:
            raise SealBroken(f"a stored value does not decode: {error}") from error

    def read_into(self, target: dict[Any, Any], plain: Mapping[str, Any]) -> None:
        """Fill `target` with values read in the order of `plain`'s keys; `target` itself has no number."""
        for key, item in plain.items():
            target[key] = self.read(item)

    def _value(self, plain: Any) -> Any:
        kind = type(plain)
        if kind is list:
            items: list[Any] = []
            self._shared.append(items)
            items.extend(map(self._value, plain))
            return items
        if kind is dict:
            mapping: dict[Any, Any] = {}
            self._shared.append(mapping)
            for key, item in plain.items():
                mapping[key] = self._value(item)
            return mapping
        if kind is _Ext:
            return _READERS[plain.code](self, plain.data)
        return plain

    def _tuple(self, data: bytes) -> Any:
        return tuple(map(self._value, _unpack(data)))

    def _set(self, data: bytes) -> Any:
        items: set[Any] = set()
        self._shared.append(items)
        items.update(map(self._value, _unpack(data)))
        return items

    def _dict(self, data: bytes) -> Any:
        mapping: dict[Any, Any] = {}
        self._shared.append(mapping)
        flat = _unpack(data)
        for index in range(0, len(flat), 2):
            key = self._value(flat[index])
            mapping[key] = self._value(flat[index + 1])
        return mapping

    def _bytearray(self, data: bytes) -> Any:
        self._shared.append(bytearray(data))
        return self._shared[-1]

    def _method(self, data: bytes) -> Any:
        model_id, name = _unpack(data)
        model = self._world.model(model_id)
        method = getattr(model, name)
        if name.startswith("_") or not isinstance(method, MethodType) or method.__self__ is not model:
            raise ValueError(f"{name!r} is not a public method of {type(model).__qualname__}")
        return method


def _unpack(data: bytes) -> Any:
    return msgspec.msgpack.decode(data)


def _read_moment(kind: type[datetime.datetime] | type[datetime.time], data: bytes) -> Any:
    text, fold = _unpack(data)
    return kind.fromisoformat(text).replace(fold=fold)


_READERS: dict[int, Callable[[Reader, Any], Any]] = {
    Extension.MODEL: lambda reader, data: reader._world.model(bytes(data).decode()),
    Extension.METHOD: Reader._method,
    Extension.SHARED: lambda reader, data: reader._shared[_unpack(data)],
    Extension.TUPLE: Reader._tuple,
    Extension.SET: Reader._set,
    Extension.FROZENSET: lambda reader, data: frozenset(map(reader._value, _unpack(data))),
    Extension.DICT: Reader._dict,
    Extension.BYTEARRAY: Reader._bytearray,
    Extension.BIG_INTEGER: lambda _, data: int.from_bytes(data, "big", signed=True),
    Extension.TEXT: lambda _, data: bytes(data).decode("utf-8", "surrogatepass"),
    Extension.DATETIME: lambda _, data: _read_moment(datetime.datetime, data),
    Extension.DATE: lambda _, data: datetime.date.fromisoformat(bytes(data).decode()),
    Extension.TIME: lambda _, data: _read_moment(datetime.time, data),
    Extension.TIMEDELTA: lambda _, data: datetime.timedelta(*_unpack(data)),
    Extension.DECIMAL: lambda _, data: Decimal(bytes(data).decode()),
    Extension.HANDLE: lambda reader, data: reader._world.handle(*_unpack(data)),
}


class NoWorld:
    """A world without models, for values that have nothing to do with a replica."""

    def model_id(self, value: object) -> str | None:
        """None: there are no models."""
        return None

    def model(self, model_id: str) -> Any:
        """Nothing: there are no models."""
        raise KeyError(model_id)

    def handle_parts(self, value: object) -> tuple[int, float] | None:
        """None: there is no schedule."""
        return None

    def remedy(self, value: object) -> str | None:
        """None: nothing is known."""
        return None

    def handle(self, handle_id: int, time_ms: float) -> Any:
        """Nothing: there is no schedule."""
        raise KeyError(handle_id)


def pack_value(value: Any, root: str) -> bytes:
    """Bytes of a value that refers to no model.

    Raises:
        StateError: names the path of what cannot be stored.
    """
    return pack(Writer(NoWorld()).write(value, root))


def unpack(data: bytes) -> Any:
    """Plain MessagePack types and extensions, for `Reader.read`.

    Raises:
        SealBroken: the bytes are no MessagePack.
    """
    try:
        return _unpack(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise SealBroken(f"stored bytes do not decode: {error}") from error


def _name_of(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _remedy_for(value: Any) -> str:
    if isinstance(value, type):
        return "store its name"
    if callable(value):
        return "a model may hold its own methods and those of other models, no other functions"
    for kind in (bool, int, float, str, dict, list, tuple, set, bytes):
        if isinstance(value, kind):
            return f"convert it with {kind.__name__}()"
    return "store the data it stands for, make it a Model, or name the attribute in the class attribute `transient`"
