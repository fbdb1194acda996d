"""Builtins of numbers whose results differ between versions of Python or kinds of processor: what model code gets."""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Iterable
from functools import reduce
from typing import Any

from msq_jupyter.errors import DeterminismError
from msq_jupyter.runtime.deterministic.exponential import power_of_floats

_NOT_SUMMED = {str: "''.join(seq)", bytes: "b''.join(seq)", bytearray: "b''.join(seq)"}
_REAL = frozenset((int, bool, float))
_POWER_MAX = 100


def left_fold_sum(iterable: Iterable[Any], /, start: Any = 0) -> Any:
    """The builtin `sum`, adding from left to right and nothing else.

    Python did so up to 3.11; from 3.12 on it carries the rounding errors of floats along, and six sums of twenty floats
    in ten come out differently. For the exact sum there is `math.fsum`.
    """
    for kind, instead in _NOT_SUMMED.items():
        if isinstance(start, kind):
            raise TypeError(f"sum() can't sum {_plural(kind)} [use {instead} instead]")
    return reduce(operator.add, iterable, start)


def _plural(kind: type) -> str:
    return "strings" if kind is str else kind.__name__


def absolute(x: Any, /) -> Any:
    """The builtin `abs`; of a complex number by `math.hypot`, which is the same everywhere, and not by the platform."""
    return math.hypot(x.real, x.imag) if type(x) is complex else builtins.abs(x)


def number_hash(thing: Any, /) -> int:
    """The builtin `hash`, of numbers and tuples of numbers only.

    Raises:
        DeterminismError: of anything else it differs between kernels.
    """
    kind = type(thing)
    if kind in _REAL:
        return _hash_of_number(thing)
    if kind is tuple:
        folded = 0x345678
        for item in thing:
            folded = (folded * 1000003 ^ number_hash(item)) & 0x1FFFFFFFFFFFFFFF
        return folded
    raise DeterminismError(
        f"hash of a {kind.__qualname__} is not available in model code: Python salts the hashes of strings, and those "
        "of most objects are their addresses; use the value itself as a key of a dict, zlib.crc32(text.encode()) for "
        "a number, and @dataclass(frozen=True) instead of a __hash__ of your own"
    )


def _hash_of_number(number: float) -> int:
    """What 64-bit Pythons say, on every machine ("Hashing of numeric types" in Python's reference)."""
    modulus = (1 << 61) - 1
    if number != number:
        return 0  # since Python 3.10 the address decides
    if number in (math.inf, -math.inf):
        return 314159 if number > 0 else -314159
    above, below = number.as_integer_ratio()
    # `below` is a power of two, and so never a multiple of the modulus.
    value = abs(above) % modulus * pow(below, -1, modulus) % modulus
    return -2 if above < 0 and value == 1 else (-value if above < 0 else value)


def power(x: Any, y: Any, mod: Any = None) -> Any:
    """`x ** y` and `pow` in model code.

    * Integers with an exponent of 0 or more, and a modulus: Python's own.
    * Floats: `x ** 1` to `x ** 4` are products from left to right, `x ** -1` is `1.0 / x`; all else is `math.pow`'s
      rule, of ours. Integers with a negative exponent are floats, as in Python.
    * Complex numbers: repeated products for whole exponents up to 100, all else is refused.
    * Other types: their own.

    Raises:
        ZeroDivisionError: 0 to a negative power.
        OverflowError: the result is too large for a float.
        DeterminismError: a complex power that only the platform could compute.
    """
    if mod is not None:
        return pow(x, y, mod)
    kind, other = type(x), type(y)
    if kind not in _REAL or other not in _REAL:
        if kind is complex or other is complex:
            return _complex_power(x, y)
        return x**y
    if kind is not float and other is not float:
        if y >= 0:
            return x**y
    elif kind is float and other is int and 1 <= y <= 4:
        return _small_power(x, y)
    return _real_power(float(x), float(y))


def _small_power(x: float, n: int) -> float:
    result = x
    for _ in range(n - 1):
        result *= x
    return _in_range(result, x)


def _in_range(result: float, x: float) -> float:
    if result in (math.inf, -math.inf) and math.isfinite(x):
        raise OverflowError(34, "Numerical result out of range")
    return result


def _real_power(x: float, y: float) -> Any:
    if y in (1.0, 2.0, 3.0, 4.0):
        return _small_power(x, int(y))
    if x == 0.0 and y < 0.0:
        raise ZeroDivisionError("0.0 cannot be raised to a negative power")
    if x < 0.0 and math.isfinite(x) and math.isfinite(y) and y != math.floor(y):
        _refuse_complex(f"{x!r} ** {y!r}")
    if y == -1.0:
        return _in_range(1.0 / x, x)
    return _in_range(power_of_floats(x, y), x if math.isfinite(y) else math.inf)


def _complex_power(x: Any, y: Any) -> Any:
    exponent = y.real if type(y) is complex and y.imag == 0 else y
    if type(exponent) not in _REAL or exponent != int(exponent) or abs(exponent) > _POWER_MAX:
        _refuse_complex(f"{x!r} ** {y!r}")
    result, factor, n = complex(1.0), complex(x), abs(int(exponent))
    for _ in range(n):
        result *= factor
    if exponent < 0:
        if x == 0:
            raise ZeroDivisionError("0.0 to a negative or complex power")
        result = 1.0 / result
    return result


def _refuse_complex(what: str) -> None:
    raise DeterminismError(
        f"{what} is not available in model code: complex powers differ between platforms; use whole exponents up to "
        f"{_POWER_MAX}, or compute with cmath.polar() and cmath.rect()"
    )
