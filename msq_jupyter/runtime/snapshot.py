"""Values of models as bytes and back: for snapshots, and for what events carry.

The form is MessagePack. What it has no type for travels as an extension: see `Extension`. A document is an array: the
values, and then a table of what several places share, in the order in which a walk meets it. In each place stands the
number in the table; so cycles and shared identity survive, and reading needs no walk.

There are two ways to write. Most values can be packed as they lie, at the speed of C. What holds something shared, or
something that the packer would take for something else, is walked with care (`careful`). Both give the same bytes.

Nothing in the bytes can name code: models are named by id, classes by keys of the session's own tables, methods by
public names of those classes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from msq_jupyter.errors import SealBroken
from msq_jupyter.runtime.arrays import make_array, make_scalar
from msq_jupyter.runtime.careful import CarefulWriter
from msq_jupyter.runtime.census import Census
from msq_jupyter.runtime.deterministic.sets import OrderedFrozenSet, OrderedSet, set_display
from msq_jupyter.runtime.extensions import Extension, Number, World, array_head, public_method
from msq_jupyter.runtime.leaves import LEAF_READERS, has_odd_nan
from msq_jupyter.runtime.packer import PACK_OPTIONS, packb
from msq_jupyter.runtime.packer import Ext as _Ext
from msq_jupyter.runtime.value_types import EnumShape, NamedTupleShape, RecordShape, ValueTypes
from msq_jupyter.stable import DEPTH_MAX

T = TypeVar("T")

#: Of extensions, the one that most values with extensions have.
_MODEL = Extension.MODEL
_CHUNK = 512
#: Of extensions inside each other. The attributes of a model are a level of their own.
_LEVELS_MAX = DEPTH_MAX + 1


class Writer:
    """Turns values of one replica into bytes. Use a new one for each document.

    Args:
        world: the replica.
        depth: how many lists, dicts and so on may be inside each other.
    """

    def __init__(self, world: World, depth: int = DEPTH_MAX) -> None:
        self._world = world
        self._depth = depth
        self._careful = CarefulWriter(world, depth)
        self._stand_in = self._make_stand_in()

    def write(self, value: Any, root: str) -> bytes:
        """The document of one value, for `Reader.read`.

        Args:
            value: what to write.
            root: what the path in an error begins with.

        Raises:
            StateError: names the path of what cannot be stored, its type, and the remedy.
        """
        return self.write_all([value], lambda _: root)

    def write_all(
        self,
        values: Sequence[Any],
        root: Callable[[int], str],
        named: int = 0,
    ) -> bytes:
        """The document of several values that may share things, for `Reader.read_all`.

        Args:
            values: what to write.
            root: what the path in an error begins with, by place among the values.
            named: how many values, from the first, are dicts that have nothing but names as keys.

        Raises:
            StateError: names the path of what cannot be stored, its type, and the remedy.
        """
        census = Census(self._world.value_types.records)
        starts = [*range(0, named, _CHUNK), *range(named, len(values), _CHUNK)]
        chunks = [values[start:end] for start, end in itertools.pairwise([*starts, len(values)])]
        pieces: list[bytes | None] = []
        for start, chunk in zip(starts, chunks, strict=True):
            known = len(census.shared)
            census.take(chunk, are_attributes=start < named)
            # At once, while all of it is in the processor's cache; what turns out to be special is written again.
            is_plain = len(census.shared) == known and census.depth <= self._depth
            pieces.append(self._packed(chunk) if is_plain else None)
        special = census.special()
        self._careful.shared = frozenset(census.shared)
        whole: list[bytes] = []
        for start, chunk, piece in zip(starts, chunks, pieces, strict=True):
            if piece is not None and (not special or special.isdisjoint(map(id, chunk))):
                whole.append(piece)
                continue
            for place, value in enumerate(chunk):
                is_special = census.depth > self._depth or id(value) in special
                row = None if is_special else self._packed([value])
                whole.append(row or self._careful.write(value, root(start + place)))
        table = self._careful.table()
        return b"".join((array_head(len(values) + len(table)), *whole, *table))

    def _packed(self, values: Sequence[Any]) -> bytes | None:
        """The values, packed as they lie; None when they have to be written with care."""
        try:
            packed = packb(values, self._stand_in, PACK_OPTIONS)
        except Exception:
            # Whatever is wrong with them, the careful way either copes with it or says where it is.
            self._careful.forget_place()
            return None
        return None if has_odd_nan(packed) else packed[len(array_head(len(values))) :]

    def _make_stand_in(self) -> Callable[[Any], _Ext]:
        """What says what is packed instead of a value that MessagePack has no type for.

        A function made for this writer: models refer to each other so often that what it looks up would show.
        """
        careful, own_kinds, find = self._careful, frozenset(self._world.model_kinds), self._world.models.get

        def stand_in(value: Any) -> _Ext:
            kind = type(value)
            if kind in own_kinds:
                model_id = value._msq_id
                if find(model_id) is value:
                    return _Ext(_MODEL, model_id.encode())
            if kind is tuple:
                careful.count()
                return _Ext(Extension.TUPLE, packb(list(value), stand_in, PACK_OPTIONS))
            plain: _Ext = careful.plain(value)
            return plain

        return stand_in


class Reader:
    """Turns documents back into values of one replica."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._shared: list[Any] = []
        self._model = world.model
        self._depth = 0

    def read_all(self, document: bytes, count: int) -> list[Any]:
        """The values of a document that `Writer.write_all` made of `count` values.

        Raises:
            SealBroken: the bytes are not what `Writer` writes.
        """
        try:
            return self._read_all(document, count)
        except Exception as error:
            # Anything: `__hash__` and `__eq__` of the author's dataclasses meet values they were not made for.
            raise SealBroken(f"a stored value does not decode: {type(error).__name__}: {error}") from error

    def _read_all(self, document: bytes, count: int) -> list[Any]:
        parts = _split(document)
        if len(parts) < count:
            raise ValueError(f"expected {count} values, got {len(parts)}")
        contents = []
        for entry in parts[count:]:
            code, data = msgspec.msgpack.decode(entry, ext_hook=_code_and_data)
            contents.append((code, bytes(data)))
            self._shared.append(self._empty(code, contents[-1][1]))
        # Instances first: sets and dicts may need their hashes.
        order = sorted(range(len(contents)), key=lambda number: contents[number][0] != Extension.RECORD)
        for number in order:
            self._fill(self._shared[number], *contents[number])
        head = array_head(len(parts))
        if len(parts) == count and document.startswith(head):
            # One array in one piece, which is faster.
            values: list[Any] = self._decode(document)
            return values
        return [self._decode(part) for part in parts[:count]]

    # --- what is shared ------------------------------------------------------------------------------------------

    def _empty(self, code: int, data: bytes) -> Any:
        """The beginning of something shared, so that others can refer to it before it is filled."""
        if code == Extension.LIST:
            return []
        if code in (Extension.MAP, Extension.DICT):
            return {}
        if code == Extension.SET:
            return OrderedSet()
        if code == Extension.RECORD:
            return self._record(msgspec.msgpack.decode(_split(data)[0])).new()
        if code not in (Extension.BYTEARRAY, Extension.ARRAY):
            raise ValueError(f"nothing with identity has the extension {code}")
        return _READERS[code](self, data)

    def _fill(self, target: Any, code: int, data: bytes) -> None:
        if code == Extension.LIST:
            target.extend(_expect(list, self._decode(data)))
        elif code == Extension.MAP:
            target.update(_expect(dict, self._decode(data)))
        elif code == Extension.SET:
            target.update(_expect(list, self._decode(data)))
        elif code == Extension.DICT:
            target.update(_pairs(_expect(list, self._decode(data))))
        elif code == Extension.RECORD:
            key, *flat = _expect(list, self._decode(data))
            self._record(key).fill(target, dict(_pairs(flat)))

    # --- extensions ----------------------------------------------------------------------------------------------

    def _decode(self, data: Any) -> Any:
        return msgspec.msgpack.decode(data, ext_hook=self._extension)

    def _extension(self, code: int, data: memoryview) -> Any:
        if code == Extension.MODEL:
            return self._model(str(data, "ascii"))
        build = _BUILDERS.get(code)
        if build is None:
            return _READERS[code](self, data)
        if self._depth >= _LEVELS_MAX:
            raise ValueError(f"more than {_LEVELS_MAX} levels")
        self._depth += 1
        # Here, because what is nested costs a Python frame for each function it goes through.
        parts = msgspec.msgpack.decode(data, ext_hook=self._extension)
        self._depth -= 1
        return build(self, _expect(list, parts))

    def _record(self, key: Any) -> RecordShape:
        return _expect(RecordShape, self._world.value_types.by_key[key])

    def _build_record(self, parts: list[Any]) -> Any:
        shape = self._record(parts[0])
        value = shape.new()
        shape.fill(value, dict(_pairs(parts[1:])))
        return value

    def _build_named_tuple(self, parts: list[Any]) -> Any:
        return _expect(NamedTupleShape, self._world.value_types.by_key[parts[0]]).make(parts[1:])

    def _enum(self, data: memoryview) -> Any:
        key, parts = msgspec.msgpack.decode(data)
        return _expect(EnumShape, self._world.value_types.by_key[key]).make(parts)

    def _method(self, data: memoryview) -> Any:
        model_id, name = msgspec.msgpack.decode(data)
        method = public_method(self._model(model_id), _expect(str, name))
        if method is None:
            raise ValueError(f"{name!r} is not a public method")
        return method

    def _handle(self, data: memoryview) -> Any:
        handle_id, time_ms = msgspec.msgpack.decode(data, type=tuple[int, float])
        return self._world.handle(handle_id, time_ms)


def read_value(document: bytes, world: World) -> Any:
    """The value of a document that `Writer.write` made.

    Raises:
        SealBroken: the bytes are not what `Writer` writes.
    """
    if len(document) <= DEPTH_MAX:
        try:
            (value,) = _decode_plain(document)
            return value
        except Exception:
            pass  # it has extensions, or is damaged: the reader knows
    (value,) = Reader(world).read_all(document, 1)
    # Here and not while reading, where the limit would be Python's own, which is not the same everywhere.
    if len(document) > DEPTH_MAX:
        census = Census(world.value_types.records)
        census.take([value])
        if census.depth > DEPTH_MAX:
            raise SealBroken(f"a stored value has more than {DEPTH_MAX} levels")
    return value


def _refuse_extension(code: int, data: memoryview) -> Any:
    raise ValueError(code)


_decode_plain = msgspec.msgpack.Decoder(tuple[Any], ext_hook=_refuse_extension).decode
_decode_anything = msgspec.msgpack.Decoder().decode


def _split(document: Any) -> list[msgspec.Raw]:
    return msgspec.msgpack.decode(document, type=list[msgspec.Raw])


def _code_and_data(code: int, data: memoryview) -> tuple[int, memoryview]:
    return code, data


def _expect(kind: type[T], value: Any) -> T:
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")
    return value


def _pairs(flat: list[Any]) -> Iterable[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)


def _leaf(read: Callable[[bytes], Any]) -> Callable[[Reader, Any], Any]:
    return lambda _, data: read(bytes(data))


#: What is made of the parts of an extension that has parts.
_BUILDERS: dict[int, Callable[[Reader, list[Any]], Any]] = {
    Extension.TUPLE: lambda _, parts: tuple(parts),
    Extension.SET: lambda _, parts: set_display(parts),
    Extension.FROZENSET: lambda _, parts: OrderedFrozenSet(parts),
    Extension.DICT: lambda _, parts: dict(_pairs(parts)),
    Extension.NAMED_TUPLE: Reader._build_named_tuple,
    Extension.RECORD: Reader._build_record,
}

_READERS: dict[int, Callable[[Reader, Any], Any]] = {
    Extension.METHOD: Reader._method,
    Extension.SHARED: lambda reader, data: reader._shared[msgspec.msgpack.decode(data, type=Number)],
    Extension.HANDLE: Reader._handle,
    Extension.ENUM: Reader._enum,
    Extension.ARRAY: lambda _, data: make_array(msgspec.msgpack.decode(data)),
    Extension.SCALAR: lambda _, data: make_scalar(msgspec.msgpack.decode(data)),
    **{code: _leaf(read) for code, read in LEAF_READERS.items()},
}


class NoWorld:
    """A world without models, for values that have nothing to do with a replica."""

    value_types = ValueTypes({})
    model_kinds: Collection[type] = ()
    models: Mapping[str, Any] = {}

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
    """Bytes of a value that refers to no model, for `Reader.read`.

    Raises:
        StateError: names the path of what cannot be stored.
    """
    return Writer(NoWorld()).write(value, root)


def pack(plain: Any) -> bytes:
    """MessagePack of plain data, such as the frame of an event around a document."""
    return msgspec.msgpack.encode(plain)


def unpack(data: bytes) -> Any:
    """The plain data of `pack`.

    Raises:
        SealBroken: the bytes are no MessagePack.
    """
    try:
        return _decode_anything(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise SealBroken(f"stored bytes do not decode: {error}") from error
