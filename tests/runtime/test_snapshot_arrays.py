"""NumPy's arrays and scalars in the codec."""

from __future__ import annotations

import math
from typing import Any

import numpy
import pytest

from msq_jupyter.errors import StateError
from msq_jupyter.runtime.extensions import Extension
from msq_jupyter.runtime.snapshot import pack
from tests.runtime.samples import (
    ext,
    refused,
    there_and_back,
)


def arrays():
    grid = numpy.arange(24, dtype="int32").reshape(2, 3, 4)
    return [
        *(grid, grid[:, ::2], grid.T, numpy.asfortranarray(grid[0]), grid[::-1], grid.astype(">i4")),
        *(numpy.array(1.5), numpy.zeros((0, 3)), numpy.zeros((2, 0)), numpy.array([], dtype="S1")),
        *(numpy.array([True, False]), numpy.array([-0.0, math.nan, math.inf]), numpy.array([1 + 2j], "complex64")),
        *(numpy.array(["ä", "xyz"]), numpy.array([b"a", b"bc"]), numpy.array([1, 2], dtype="float16")),
        *(numpy.array(["2026-01-02"], dtype="M8[ns]"), numpy.array([5], dtype="m8[D]")),
        *(numpy.array([2**64 - 1], "uint64"), numpy.arange(5, dtype=">f8")[::2]),
    ]


def test_2_5_arrays_come_back():
    for array in arrays():
        back = there_and_back({"a": array})["a"]
        assert type(back) is numpy.ndarray
        assert (back.dtype, back.shape) == (array.dtype, array.shape)
        assert back.tobytes() == array.tobytes()
        assert back.flags.owndata
        assert back.flags.writeable == array.flags.writeable
        assert back.flags.f_contiguous == array.flags.f_contiguous or not array.flags.forc


def test_2_5_arrays_keep_identity_and_being_read_only():
    array = numpy.arange(3)
    array.flags.writeable = False
    back = there_and_back([array, {"again": array}, numpy.arange(3)])
    assert back[0] is back[1]["again"]
    assert back[0] is not back[2]
    assert not back[0].flags.writeable
    assert back[2].flags.writeable


def test_2_5_numpy_scalars_keep_their_type():
    for scalar in (numpy.float64(0.1), numpy.int8(-3), numpy.bool_(True), numpy.str_("ä"), numpy.datetime64("2026")):
        back = there_and_back([scalar, {scalar: 1}])
        assert type(back[0]) is type(scalar)
        assert back == [scalar, {scalar: 1}]


def test_2_5_arrays_that_mean_something_else_elsewhere_are_refused():
    base = numpy.arange(4)
    for value, message in [
        (numpy.array([object()]), r"doc\[0\]: cannot store an array of object: use numbers"),
        (numpy.zeros(1, dtype=[("a", "i4")]), "cannot store an array of "),
        (numpy.zeros(1, dtype="longdouble"), "cannot store an array of "),
        (numpy.ma.array([1]), "cannot store numpy"),
        (numpy.frombuffer(bytearray(8)), "in the memory of a .*: store a .copy"),
    ]:
        with pytest.raises(StateError, match=message):
            there_and_back([value])
    with pytest.raises(StateError, match=r"doc\[1\]: cannot store an array that shares its memory with another one"):
        there_and_back([base[:2], base[2:]])


def array_ext(*parts: Any) -> bytes:
    return pack([ext(Extension.ARRAY, *parts)])


@pytest.mark.parametrize(
    "parts",
    [
        ("|O", [1], "C", True, b"12345678"),
        ("O", [1], "C", True, b"12345678"),
        ("<i4,<i4", [1], "C", True, b"12345678"),
        ("[('a', '<i8')]", [1], "C", True, b"12345678"),
        ([["a", "<i8"]], [1], "C", True, b"12345678"),
        ("|V8", [1], "C", True, b"12345678"),
        ("<i8", [-1], "C", True, b"12345678"),
        ("<i8", [-1, -1], "C", True, b"12345678"),
        ("<i8", [True], "C", True, b"12345678"),
        ("<i8", [1.0], "C", True, b"12345678"),
        ("<i8", [2**62], "C", True, b"12345678"),
        ("<i8", [2**40, 2**40], "C", True, b""),
        ("<i8", [0, 2**63], "C", True, b""),
        ("<i8", [1] * 100, "C", True, b"12345678"),
        ("<i8", [2], "C", True, b"12345678"),
        ("<i8", [1], "K", True, b"12345678"),
        ("<i8", [1], "C", 1, b"12345678"),
        ("<i8", [1], "C", True, "12345678"),
        ("<i8", 1, "C", True, b"12345678"),
        ("<i8", [1], "C", True),
        ("|b1", [1], "C", True, b"\x02"),
        ("<U1", [1], "C", True, b"\xff\xff\xff\xff"),
        ("<U0", [10**9], "C", True, b""),
        ("|S999999999", [10**9], "C", True, b""),
        ("<f16", [1], "C", True, b"1234567812345678"),
        ("<M8[parsec]", [1], "C", True, b"12345678"),
    ],
    ids=str,
)
def test_8_4_hostile_arrays_are_refused(parts):
    refused(array_ext(*parts))
    refused(pack([ext(Extension.SCALAR, *parts)]))


def test_8_4_a_scalar_with_a_shape_is_refused():
    refused(pack([ext(Extension.SCALAR, "<i8", [1], "C", True, b"12345678")]))
