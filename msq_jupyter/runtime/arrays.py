"""NumPy arrays and scalars as bytes. NumPy is never imported here: whoever holds an array has imported it.

An array is its type, shape, order, flag of being writable, and elements. Elements travel in C order, or in Fortran's
for an array that lies that way, because the order in memory decides in which order a sum is taken. Other strides come
back in C order.
"""

from __future__ import annotations

import math
import re
import sys
from typing import Any

#: Types that are the same on every machine and hold no references: no objects, records, or long doubles.
_PORTABLE = re.compile(
    r"\|b1|[|<>][iu][1248]|[<>]f[248]|[<>]c(8|16)|[<>][mM]8(\[\d{0,6}[A-Za-zμ]{1,2}\])?|\|S[1-9]\d{0,8}|<U[1-9]\d{0,7}|>U[1-9]\d{0,7}"
)
_LAST_CODE_POINT = 0x10FFFF


class ArrayRefused(ValueError):
    """An array that cannot be stored, and what to do about it."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


def is_array(kind: type) -> bool:
    """Whether a class is NumPy's array itself; subclasses know more than we do."""
    return kind is getattr(sys.modules.get("numpy"), "ndarray", None)


def is_scalar(kind: type) -> bool:
    """Whether a class is that of a NumPy number or string."""
    generic = getattr(sys.modules.get("numpy"), "generic", None)
    return isinstance(generic, type) and issubclass(kind, generic)


def memory_of(array: Any) -> object:
    """What holds an array's elements: the array itself, or what it is a view of.

    Raises:
        ArrayRefused: they belong to something that may change them behind the array's back.
    """
    owner = array
    while is_array(type(owner)) and owner.base is not None:
        owner = owner.base
    if not is_array(type(owner)) and type(owner) is not bytes:
        raise ArrayRefused(f"an array in the memory of a {type(owner).__qualname__}", "store a .copy() of it")
    return owner


def array_parts(array: Any) -> list[Any]:
    """What an array, or a NumPy scalar, is made of.

    Raises:
        ArrayRefused: its type means something else on another machine, or holds references.
    """
    name = array.dtype.str
    if array.dtype.fields is not None or not _PORTABLE.fullmatch(name):
        raise ArrayRefused(
            f"an array of {array.dtype}", "use numbers of at most 64 bits, bool, str or bytes, or store lists"
        )
    order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    return [name, list(array.shape), order, bool(array.flags.writeable), _with_one_nan(name, array.tobytes(order))]


def _with_one_nan(name: str, data: bytes) -> bytes:
    """Elements where all that is not a number is one and the same: its sign and payload differ between processors."""
    if name[1] not in "fc" or not data:
        return data
    kind = {"c8": "f4", "c16": "f8"}.get(name[1:], name[1:])
    numbers = sys.modules["numpy"].frombuffer(data, name[0] + kind)
    is_nan = numbers != numbers
    if not is_nan.any():
        return data
    numbers = numbers.copy()
    numbers[is_nan] = math.nan
    tidy: bytes = numbers.tobytes()
    return tidy


def make_array(parts: list[Any]) -> Any:
    """The array with these parts, with memory of its own.

    Raises:
        ValueError: no array has these parts, or NumPy is not there.
    """
    name, shape, order, writable, data = parts
    numpy = sys.modules.get("numpy")
    if numpy is None:
        raise ValueError("an array came, and nothing here has imported numpy")
    if type(name) is not str or not _PORTABLE.fullmatch(name) or order not in ("C", "F"):
        raise ValueError(f"no array is of type {name!r} and order {order!r}")
    if type(writable) is not bool or type(data) is not bytes or type(shape) is not list:
        raise ValueError("the parts of an array have other types")
    if not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError(f"no array has the shape {shape}")
    dtype = numpy.dtype(name)
    # Before NumPy sees the shape: it would reserve memory for it.
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"an array of shape {shape} does not have {len(data)} bytes")
    if dtype.kind == "b" and data.strip(b"\0\1"):
        raise ValueError("a bool is neither true nor false")
    array = numpy.ndarray(shape, dtype, buffer=data, order=order).copy(order)
    if dtype.kind == "U" and data and (array.reshape(-1).view(f"{name[0]}u4") > _LAST_CODE_POINT).any():
        raise ValueError("a string in an array is no text")
    array.flags.writeable = writable
    return array


def make_scalar(parts: list[Any]) -> Any:
    """The NumPy scalar with these parts."""
    if parts[1]:
        raise ValueError("a scalar has no shape")
    return make_array(parts)[()]
