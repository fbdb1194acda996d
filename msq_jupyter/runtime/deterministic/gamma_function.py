"""The gamma function and its logarithm, bit for bit the same on every machine: Stirling's series in integers.

Integers have as many digits as it takes, so the results are right to the last bit but one near the zeros as well, where
float methods lose all of theirs. That takes some 50 microseconds, and few models need more than one.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache

from msq_jupyter.runtime.deterministic.exponential import log_pair, scaled
from msq_jupyter.runtime.deterministic.fixed_point import (
    BITS,
    LN2,
    ONE,
    PI,
    exponential,
    from_float,
    log_of_ratio,
    to_float,
)

#: From here on the series gives all digits.
_LARGE = 40
_TERMS = 24
_TINY = 2.0**-70


@cache
def _stirling_coefficients() -> list[tuple[int, int]]:
    """Numerators and denominators of B(2k) / (2k (2k - 1))."""
    numbers = [Fraction(1)]
    for m in range(1, 2 * _TERMS + 1):
        numbers.append(-sum((math.comb(m + 1, k) * numbers[k] for k in range(m)), Fraction(0)) / (m + 1))
    terms = [numbers[2 * k] / (2 * k * (2 * k - 1)) for k in range(1, _TERMS + 1)]
    return [(term.numerator, term.denominator) for term in terms]


def _log(value: int) -> int:
    """The natural logarithm of a positive value."""
    twos = value.bit_length() - BITS
    unit = ONE << twos if twos >= 0 else ONE >> -twos
    return twos * LN2 + log_of_ratio(value, unit)


_HALF_LOG_TWO_PI = _log(2 * PI) // 2


def _log_gamma(z: int) -> int:
    """The logarithm of gamma of a positive value."""
    shift = ONE
    while z < _LARGE << BITS:
        shift = shift * z >> BITS
        z += ONE
    total = ((z - ONE // 2) * _log(z) >> BITS) - z + _HALF_LOG_TWO_PI - _log(shift)
    inverse = (ONE << BITS) // z
    square = inverse * inverse >> BITS
    for above, below in _stirling_coefficients():
        total += inverse * above // below
        inverse = inverse * square >> BITS
    return total


def _log_gamma_of(x: float) -> int:
    """The logarithm of the size of gamma of a float that is no pole."""
    value = from_float(x)
    if x > 0.0:
        return _log_gamma(value)
    # gamma(x) gamma(-x) = -pi / (x sin(pi x))
    return _log(PI) - _log(-value) - _log(_sine_of_turn(value)) - _log_gamma(-value)


def _sine_of_turn(value: int) -> int:
    """The size of the sine of pi times a value."""
    rest = value % ONE
    angle = min(rest, ONE - rest) * PI >> BITS
    total = term = angle
    square = angle * angle >> BITS
    n = 1
    while term not in (-1, 0):
        term = -(term * square >> BITS) // ((n + 1) * (n + 2))
        n += 2
        total += term
    return total


def _is_whole(x: float) -> bool:
    return x == math.floor(x)


def lgamma(x: float) -> float:
    """The natural logarithm of the size of gamma; x is finite.

    Raises:
        ValueError: a pole.
        OverflowError: the result is too large for a float.
    """
    if x <= 0.0 and _is_whole(x):
        raise ValueError("math domain error")
    if x in (1.0, 2.0):
        return 0.0
    if abs(x) < _TINY:
        return -log_pair(abs(x))[0]
    try:
        return to_float(_log_gamma_of(x))
    except OverflowError:
        raise OverflowError("math range error") from None


def gamma(x: float) -> float:
    """The gamma function; x is finite.

    Raises:
        ValueError: a pole.
        OverflowError: the result is too large for a float.
    """
    if _is_whole(x):
        if x <= 0.0:
            raise ValueError("math domain error")
        if x <= 171.0:
            return float(math.factorial(int(x) - 1))
    if x > 171.7:
        raise OverflowError("math range error")
    sign = -1.0 if x < 0.0 and math.floor(x) % 2 else 1.0
    if abs(x) < _TINY:
        if abs(x) < 2.0**-1024 * 1.0000000000000002:
            raise OverflowError("math range error")
        return 1.0 / x
    if x < -185.0:
        return sign * 0.0
    twos, rest = divmod(_log_gamma_of(x), LN2)
    return sign * scaled(to_float(exponential(rest)), twos)
