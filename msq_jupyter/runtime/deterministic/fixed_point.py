"""Logarithms, exponentials and pi as integers: numbers times two to the power of `BITS`, exact to a few units.

Tables of the float functions are made of these, and the functions that need more digits than floats have.
"""

from __future__ import annotations

BITS = 192
ONE = 1 << BITS


def to_float(value: int) -> float:
    """The nearest float; division of integers rounds correctly."""
    return value / ONE


def from_float(x: float) -> int:
    """A finite float, exactly, unless it has digits below the last unit."""
    above, below = x.as_integer_ratio()
    return (above << BITS) // below


def as_pair(value: int) -> tuple[float, float]:
    """Two floats whose sum is the value, the second too small to change the first."""
    high = to_float(value)
    return high, to_float(value - from_float(high))


def log_of_ratio(above: int, below: int) -> int:
    """The natural logarithm of `above / below`, which must lie between 1/3 and 3, by the series of atanh."""
    ratio = ((above - below) << BITS) // (above + below)
    square = ratio * ratio >> BITS
    total = power = ratio
    divisor = 1
    while power:
        power = power * square >> BITS
        divisor += 2
        total += power // divisor
        if power in (-1, 0):
            break
    return 2 * total


def exponential(value: int) -> int:
    """`e` to the power of a value from -1 to 1."""
    total = term = ONE
    divisor = 0
    while term not in (-1, 0):
        divisor += 1
        term = (term * value >> BITS) // divisor
        total += term
    return total


def _arctangent_of_inverse(n: int) -> int:
    total = term = ONE // n
    sign, divisor = -1, 1
    while term:
        term //= n * n
        divisor += 2
        total += sign * (term // divisor)
        sign = -sign
    return total


LN2 = log_of_ratio(2, 1)
LN10 = 3 * LN2 + log_of_ratio(5, 4)
#: By Machin's formula.
PI = 4 * (4 * _arctangent_of_inverse(5) - _arctangent_of_inverse(239))
