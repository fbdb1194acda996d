"""`sum`, `abs`, `hash`, powers and averages of model code."""

from __future__ import annotations

import math
import statistics
import sys
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msq_jupyter.errors import DeterminismError
from msq_jupyter.runtime.deterministic import BUILTINS, OrderedSet, power
from msq_jupyter.runtime.deterministic.averages import STATISTICS

total = BUILTINS["sum"]
_reals = st.one_of(st.integers(-(10**6), 10**6), st.floats(-1e6, 1e6))


def test_6_1_sums_add_from_left_to_right():
    assert total([0.1] * 10) == 0.9999999999999999  # Python 3.12 says 1.0
    assert total([1e100, 1.0, -1e100]) == 0.0
    assert total([]) == 0
    assert total(range(5), 10) == 20
    assert total([[1], [2]], []) == [1, 2]
    assert total([1, 2.5, Fraction(1, 2)], start=True) == 5.0


@pytest.mark.parametrize(("start", "what"), [("", "strings"), (b"", "bytes"), (bytearray(), "bytearray")])
def test_6_1_sums_of_text_are_refused_as_by_python(start, what):
    with pytest.raises(TypeError, match=rf"sum\(\) can't sum {what} \[use b?''.join\(seq\) instead\]"):
        total(["a"], start)


def test_6_1_sizes_of_complex_numbers_are_those_of_hypot():
    assert BUILTINS["abs"](3 + 4j) == 5.0
    assert BUILTINS["abs"](-2) == 2
    assert repr(BUILTINS["abs"](-0.0)) == "0.0"


@given(st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans()))
@pytest.mark.skipif(sys.hash_info.width != 64, reason="what 64-bit Pythons say")
def test_6_1_hashes_of_numbers_are_those_of_64_bit_pythons(number):
    assert BUILTINS["hash"](number) == hash(number)


def test_6_1_hashes_of_tuples_of_numbers_are_fixed():
    assert BUILTINS["hash"]((1, (2.0, True))) == BUILTINS["hash"]((1.0, (2, 1)))
    assert BUILTINS["hash"]((1, 2)) == 1124185570866176121  # for ever
    assert BUILTINS["hash"](math.nan) == 0


@pytest.mark.parametrize("thing", ["a", b"a", None, (1, "a"), object(), len])
def test_6_1_other_hashes_are_refused(thing):
    with pytest.raises(DeterminismError, match=r"hash of a .* is not available in model code: Python salts"):
        BUILTINS["hash"](thing)


@pytest.mark.parametrize("x", [0.1, -1.7, 3.3e-5, 1e100])
def test_6_1_small_powers_are_products(x):
    assert power(x, 1) == x
    assert power(x, 2) == power(x, 2.0) == x * x
    if abs(x) < 1e100:
        assert power(x, 3) == x * x * x
        assert power(x, 4) == x * x * x * x
    assert power(x, -1) == 1.0 / x
    assert power(x, 0) == 1.0


@given(st.floats(-1e3, 1e3), st.one_of(st.integers(-40, 40), st.floats(-5, 5)))
def test_6_1_powers_are_those_of_python_but_for_rounding(x, y):
    if x < 0 and y != int(y):
        with pytest.raises(DeterminismError, match="complex powers differ between platforms"):
            power(x, y)
        return
    try:
        native = x**y
    except (ZeroDivisionError, OverflowError) as error:
        with pytest.raises(type(error)):
            power(x, y)
        return
    ours = power(x, y)
    assert type(ours) is float
    assert math.isclose(ours, native, rel_tol=1e-14, abs_tol=5e-324)
    assert math.copysign(1, ours) == math.copysign(1, native)


def test_6_1_powers_of_other_types():
    assert power(2, 100) == 2**100
    assert power(2, 5, 7) == BUILTINS["pow"](2, 5, 7) == 4
    assert power(2, -1) == 0.5
    assert type(power(True, 2)) is int
    assert power(Fraction(1, 2), 2) == Fraction(1, 4)
    assert power(1j, 2) == -1
    assert power(1 + 1j, -1) == 0.5 - 0.5j
    assert power(2.0, math.inf) == math.inf
    assert power(math.inf, 2) == math.inf
    assert power(10, -400) == 0.0
    with pytest.raises(OverflowError, match="Numerical result out of range"):
        power(1e200, 2)
    with pytest.raises(OverflowError, match="Numerical result out of range"):
        power(10.0, 400)
    with pytest.raises(ZeroDivisionError):
        power(0, -1)
    with pytest.raises(DeterminismError, match=r"1j \*\* 0.5 is not available in model code"):
        power(1j, 0.5)
    with pytest.raises(TypeError, match="unsupported operand"):
        power("a", 2)


@given(st.lists(_reals, min_size=2, max_size=9))
def test_6_1_averages_are_those_of_python_but_for_rounding(data):
    for name in ("mean", "fmean", "median", "median_low", "median_high", "mode", "multimode", "pvariance", "variance"):
        ours, native = STATISTICS[name](data), getattr(statistics, name)(data)
        assert ours == pytest.approx(native, rel=1e-12), name
    for name in ("pstdev", "stdev"):
        assert STATISTICS[name](data) == pytest.approx(getattr(statistics, name)(data), rel=1e-12)


def test_6_1_averages_keep_what_is_exact():
    assert repr(STATISTICS["mean"]([1, 2, 3])) == "2"
    assert repr(STATISTICS["mean"]([1, 2])) == "1.5"
    assert STATISTICS["mean"]([Fraction(1, 3), Fraction(1, 6)]) == Fraction(1, 4)
    assert STATISTICS["fmean"]([1, 3], weights=[3, 1]) == 1.5
    assert math.isnan(STATISTICS["mean"]([math.nan, 1.0]))
    assert STATISTICS["mean"]([math.inf, 1.0]) == math.inf
    assert math.isnan(STATISTICS["stdev"]([math.inf, 1.0]))
    assert STATISTICS["stdev"]([1, 2, 3, 4]) == 1.2909944487358056
    assert STATISTICS["variance"]([1.0, 3.0], xbar=2.0) == 2.0
    assert STATISTICS["multimode"](OrderedSet("ab")) == ["a", "b"]


@pytest.mark.parametrize("name", ["mean", "fmean", "median", "mode", "pvariance"])
def test_6_1_averages_of_nothing_are_refused(name):
    with pytest.raises(statistics.StatisticsError):
        STATISTICS[name]([])


def test_6_1_averages_of_one_have_no_spread():
    with pytest.raises(statistics.StatisticsError, match="stdev requires at least 2 data points"):
        STATISTICS["stdev"]([1])
    with pytest.raises(TypeError, match="mean: expected int, float or Fraction, got str: convert it first"):
        STATISTICS["mean"](["a"])
