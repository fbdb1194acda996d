"""What is not a number is one value and one sequence of bytes, whatever the processor made of inf - inf."""

from __future__ import annotations

import math
import struct

import numpy
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from msq_jupyter.runtime.leaves import has_odd_nan
from msq_jupyter.runtime.snapshot import Writer
from tests.runtime.samples import Place, Table, there_and_back


def nans() -> list[float]:
    """Each of the bits that some processor gives for inf - inf, and more."""
    words = (0x7FF8 << 48, 0xFFF8 << 48, (0x7FF8 << 48) + 1, (0x7FF0 << 48) + 1, 0xFFF0000000000001, 0xFFFF << 48)
    return [struct.unpack(">d", word.to_bytes(8, "big"))[0] for word in words]


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: (x,), lambda x: {"a": x}, lambda x: {x: 1}, Place])
def test_6_1_whatever_is_not_a_number_is_one_and_the_same(wrap):
    assert len({Writer(Table()).write([wrap(nan), -math.inf], "doc") for nan in nans()}) == 1


def test_6_1_whatever_is_not_a_number_in_an_array_is_one_and_the_same():
    words = numpy.array([0x7FF8 << 48, 0xFFF8 << 48, 0x7FF0000000000001], dtype="u8")
    odd = words.view("f8")
    tidy = numpy.array([math.nan] * 3)
    assert Writer(Table()).write(odd, "doc") == Writer(Table()).write(tidy, "doc")
    assert Writer(Table()).write(odd[1], "doc") == Writer(Table()).write(tidy[1], "doc")
    pair = numpy.array([complex(0.5, odd[1])])
    assert there_and_back(pair)[0].real == 0.5
    assert Writer(Table()).write(pair, "doc") == Writer(Table()).write(numpy.array([complex(0.5, math.nan)]), "doc")


@given(st.integers(0, 2**64 - 1))
@example(0x7FF0 << 48)
@example(0xFFF0 << 48)
@example(0x7FF0000000000001)
@example(0xFFF0000000000001)
def test_only_what_is_not_a_number_looks_so(word):
    value = struct.unpack(">d", word.to_bytes(8, "big"))[0]
    odd = math.isnan(value) and word != 0x7FF8 << 48
    assert has_odd_nan(b"\xcb" + word.to_bytes(8, "big")) == odd
