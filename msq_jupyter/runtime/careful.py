"""The careful way to write values: a walk that knows at every moment where it is.

It copes with everything that can be stored, puts what is shared into the table, and says where something is that
cannot be stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from types import MethodType
from typing import Any

from msq_jupyter.errors import StateError
from msq_jupyter.runtime.arrays import ArrayRefused, array_parts, is_array, is_scalar, memory_of
from msq_jupyter.runtime.deterministic.sets import OrderedFrozenSet, OrderedSet
from msq_jupyter.runtime.extensions import Extension, World, public_method
from msq_jupyter.runtime.leaves import LEAF_WRITERS, LeafRefused, text
from msq_jupyter.runtime.packer import PACK_OPTIONS, packb
from msq_jupyter.runtime.packer import Ext as _Ext
from msq_jupyter.runtime.value_types import EnumShape, NamedTupleShape, RecordShape
from msq_jupyter.stable import VALUES_MAX, path_text

_AS_IT_IS = frozenset((type(None), bool, bytes))
_BUILT_IN_SETS: frozenset[type] = frozenset((set, frozenset))
_CONTAINERS: frozenset[type] = frozenset((list, dict, tuple, *_BUILT_IN_SETS, OrderedSet, OrderedFrozenSet))
_WITH_IDENTITY: frozenset[type] = frozenset((list, dict, set, OrderedSet, bytearray))
_FLATTEN = "flatten the data or use models"
_ORDERLESS = "a built-in set has no order: keep it in a list or a dict"


class _Refused(Exception):
    """Ends the walk; where it was, the walk knows."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


class CarefulWriter:
    """Writes values one after the other, and then the table of what they share.

    Attributes:
        shared: ids of what is in several places.
    """

    def __init__(self, world: World, depth: int) -> None:
        self._world = world
        self._depth = depth
        self.shared: frozenset[int] = frozenset()
        self._numbers: dict[int, int] = {}
        self._met: list[tuple[Any, str, list[Any]]] = []
        self._memories: dict[int, int] = {}
        self._root = ""
        self._path: list[Any] = []
        self._levels = 0
        self._sets = 0
        self._count = 0

    def write(self, value: Any, root: str) -> bytes:
        """The bytes of a value.

        Raises:
            StateError: names the path of what cannot be stored, its type, and the remedy.
        """
        self.forget_place()
        self._root = root
        return _pack(self._or_explain(partial(self.plain, value)))

    def table(self) -> list[bytes]:
        """What was shared, by number."""
        entries = []
        for value, root, path in self._met:  # grows meanwhile
            self.forget_place()
            self._root, self._path = root, path
            plain = self._or_explain(partial(self.plain, value, is_entry=True))
            if type(value) is list:
                plain = _Ext(Extension.LIST, _pack(plain))
            elif type(plain) is dict:
                plain = _Ext(Extension.MAP, _pack(plain))
            entries.append(_pack(plain))
        return entries

    def forget_place(self) -> None:
        """Begin at the root: the walk before was given up."""
        self._path = []
        self._levels = self._sets = 0

    def plain(self, value: Any, *, is_entry: bool = False) -> Any:
        """A value as what MessagePack has types for, and extensions.

        Args:
            value: what to write.
            is_entry: write what is shared, and not its number.
        """
        # One function for all kinds, because what is nested costs a Python frame for each function it goes through.
        kind = type(value)
        if kind in _AS_IT_IS:
            return value
        if self._sets:
            self._check_order(value, kind)
        if id(value) in self.shared and not is_entry:
            return self._number(value)
        leaf = LEAF_WRITERS.get(kind)
        if leaf is not None:
            return leaf(value)
        shape = self._world.value_types.by_type.get(kind)
        if kind not in _CONTAINERS and (shape is None or isinstance(shape, EnumShape)):
            return self._other(value, kind)
        if self._levels >= self._depth:
            raise _Refused(f"more than {self._depth} levels of nesting", _FLATTEN)
        self._levels += 1
        self.count()
        if kind is list:
            plain: Any = self._items(value)
        elif kind is dict:
            plain = self._dict(value)
        elif kind is tuple:
            plain = _Ext(Extension.TUPLE, _pack(self._items(value)))
        elif isinstance(shape, NamedTupleShape):
            plain = _Ext(Extension.NAMED_TUPLE, _pack([shape.key, *self._items(_whole(value, shape))]))
        elif isinstance(shape, RecordShape):
            parts = self._values(self._fields(value, shape))
            plain = _Ext(Extension.RECORD, _pack([shape.key, *chain.from_iterable(parts.items())]))
        else:
            plain = self._set(value, kind)
        self._levels -= 1
        return plain

    def count(self) -> None:
        """Count a container: tuples that hold others twice double at every level, and nothing else ends that."""
        self._count += 1
        if self._count > VALUES_MAX:
            raise _Refused(f"more than {VALUES_MAX:,} containers", _FLATTEN)

    def _number(self, value: Any) -> _Ext:
        """What stands for something shared: its number in the table."""
        number = self._numbers.setdefault(id(value), len(self._numbers))
        if number == len(self._met):
            self._met.append((value, self._root, list(self._path)))
        return _Ext(Extension.SHARED, _pack(number))

    def _or_explain(self, write: Callable[[], Any]) -> Any:
        try:
            return write()
        except (_Refused, LeafRefused, ArrayRefused) as error:
            what, remedy = error.what, error.remedy
        except RecursionError:
            what, remedy = "something nested this deep", _FLATTEN
        keys = [key if isinstance(key, (str, int)) else repr(key) for key in self._path]
        place = path_text(self._root, keys)
        raise StateError(f"{place}: cannot store {what}: {remedy}", path=place)

    def _check_order(self, value: Any, kind: type) -> None:
        """Refuse what has an identity inside of a built-in set: which number it would get is an accident."""
        record = self._world.value_types.records.get(kind)
        if kind in _WITH_IDENTITY or is_array(kind) or (record is not None and record.has_identity):
            raise _Refused(f"{_name_of(value)} inside of a set", _ORDERLESS)

    # --- containers ----------------------------------------------------------------------------------------------

    def _items(self, items: Iterable[Any]) -> list[Any]:
        path = self._path
        path.append(0)
        plain = []
        for place, item in enumerate(items):
            path[-1] = place
            plain.append(self.plain(item))
        path.pop()
        return plain

    def _values(self, mapping: dict[str, Any]) -> dict[str, Any]:
        path = self._path
        path.append("")
        plain = {}
        for key, item in mapping.items():
            path[-1] = key
            plain[key] = self.plain(item)
        path.pop()
        return plain

    def _dict(self, value: dict[Any, Any]) -> Any:
        if all(type(key) is str and type(text(key)) is str for key in value):
            return self._values(value)
        path = self._path
        path.append("")
        flat = []
        for key, item in value.items():
            path[-1] = key
            flat.append(self.plain(key))
            flat.append(self.plain(item))
        path.pop()
        return _Ext(Extension.DICT, _pack(flat))

    def _set(self, value: Any, kind: type) -> Any:
        code = Extension.SET if kind in _WITH_IDENTITY else Extension.FROZENSET
        if kind not in _BUILT_IN_SETS:
            return _Ext(code, _pack(self._items(value)))
        # The order of a built-in set is an accident of hashing: its elements are written in the order of their bytes.
        self._sets += 1
        elements = sorted(self._items(value), key=_pack)
        self._sets -= 1
        return _Ext(code, _pack(elements))

    # --- the author's classes, and references --------------------------------------------------------------------

    def _other(self, value: Any, kind: type) -> Any:
        world = self._world
        model_id = world.model_id(value)
        if model_id is not None:
            return _Ext(Extension.MODEL, model_id.encode())
        shape = world.value_types.by_type.get(kind)
        if isinstance(shape, EnumShape) and (parts := shape.parts(value)) is not None:
            return _Ext(Extension.ENUM, _pack([shape.key, parts]))
        if kind is MethodType:
            owner_id = world.model_id(value.__self__)
            name = value.__func__.__name__
            # A decorated method may go by another name, and a name is all that can be stored.
            if owner_id is not None and public_method(value.__self__, name) == value:
                return _Ext(Extension.METHOD, _pack([owner_id, name]))
        if is_array(kind):
            return self._array(value)
        if is_scalar(kind):
            return _Ext(Extension.SCALAR, _pack(array_parts(value)))
        handle = world.handle_parts(value)
        if handle is not None:
            return _Ext(Extension.HANDLE, _pack(list(handle)))
        raise _Refused(_name_of(value), world.remedy(value) or _remedy_for(value))

    def _fields(self, value: Any, shape: RecordShape) -> dict[str, Any]:
        parts = shape.parts(value)
        for name in parts:
            if name not in shape.names:
                self._path.append(name)
                raise _Refused("an attribute that is no field", f"declare it in the class {_name_of(value)}")
        return parts

    def _array(self, value: Any) -> Any:
        if self._memories.setdefault(id(memory_of(value)), id(value)) != id(value):
            raise _Refused("an array that shares its memory with another one", "store a .copy() of it")
        return _Ext(Extension.ARRAY, _pack(array_parts(value)))


def _whole(value: Any, shape: NamedTupleShape) -> Any:
    if not shape.is_whole(value):
        raise _Refused(f"{_name_of(value)} with more than its fields", "make it a dataclass")
    return value


def _pack(plain: Any) -> bytes:
    return packb(plain, None, PACK_OPTIONS)


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
