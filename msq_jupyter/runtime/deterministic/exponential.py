"""Exponentials, logarithms, powers and hyperbolic functions of floats, bit for bit the same on every machine.

Nothing is used but + - * / and the square root, which IEEE 754 defines to the last bit, and exact moves of the
exponent. The method is that of P. T. P. Tang, "Table-driven implementation of the exponential function" (1989) and
"of the logarithm function in IEEE floating-point arithmetic" (1990), ACM Transactions on Mathematical Software: a
table brings the argument close to 0, a short series does the rest. Both cores give a pair of floats, the second one
being what the first one leaves out, so that what is made of them is rounded once. Errors are below 0.51 units in the
last place for exp, log and powers, and below 1 for all others.

Functions here take floats within their domains; `elementary` checks.
"""

from __future__ import annotations

import math
from math import frexp, ldexp, sqrt

from msq_jupyter.runtime.deterministic.fixed_point import BITS, LN2, LN10, ONE, as_pair, exponential, log_of_ratio

_SQRT_HALF = sqrt(0.5)
#: Multiplied by this, a float splits into two halves of 26 bits (Veltkamp).
_SPLITTER = 134217729.0
#: Added and taken away again, it rounds to a whole number.
_ROUNDER = 6755399441055744.0
_INVERSE_LN2 = as_pair((ONE << BITS) // LN2)
_INVERSE_LN10 = as_pair((ONE << BITS) // LN10)


def _cut(value: int, bits: int) -> tuple[float, float]:
    """A pair whose first float is a multiple of 2 ** -bits, so that sums and small multiples of it are exact."""
    high = (value >> (BITS - bits)) << (BITS - bits)
    return high / ONE, (value - high) / ONE


_LN2_HIGH, _LN2_LOW = _cut(LN2, 42)
_STEP_HIGH, _STEP_LOW = _cut(LN2 // 128, 41)


def _log_row(place: int) -> tuple[float, float, float]:
    """For numbers around place / 128: a short factor that brings them close to 1, and minus its logarithm."""
    factor = round(256 * 128 / place)
    return factor / 256, *_cut(-log_of_ratio(factor, 256), 42)


_LOG_FIRST = 90
_LOG_TABLE = [_log_row(place) for place in range(_LOG_FIRST, 183)]
#: 2 ** (j / 128).
_EXP_TABLE = [as_pair(exponential(LN2 * j // 128)) for j in range(128)]


def two_sum(a: float, b: float) -> tuple[float, float]:
    """`a + b` and what rounding leaves out of it (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def two_product(a: float, b: float) -> tuple[float, float]:
    """`a * b` and what rounding leaves out of it (Dekker)."""
    product = a * b
    split = _SPLITTER * a
    a_high = split - (split - a)
    a_low = a - a_high
    split = _SPLITTER * b
    b_high = split - (split - b)
    b_low = b - b_high
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def two_root(a: float, a_low: float) -> tuple[float, float]:
    """The square root of `a + a_low` as a pair."""
    root = sqrt(a)
    if not root:
        return 0.0, 0.0
    square, square_low = two_product(root, root)
    return root, (((a - square) - square_low) + a_low) / (2.0 * root)


def log_pair(x: float, x_low: float = 0.0, twos: int = 0) -> tuple[float, float]:
    """The natural logarithm of `(x + x_low) * 2 ** twos` as a pair, good to 65 bits; x is positive and finite."""
    m, e = frexp(x)
    if m < _SQRT_HALF:
        m += m
        e -= 1
    factor, high, low = _LOG_TABLE[int(m * 128.0 + 0.5) - _LOG_FIRST]
    split = _SPLITTER * m
    m_high = split - (split - m)
    r = m_high * factor - 1.0
    rest = (m - m_high) * factor
    if x_low:
        rest += ldexp(x_low, -e) * factor
    total = r + rest
    rest -= total - r
    r = total
    # log(1 + r) = r - r * r / 2 + ...: the first two terms to the last bit, the others as they come.
    split = _SPLITTER * r
    r_high = split - (split - r)
    r_low = r - r_high
    square = r * r
    half = -0.5 * square
    half_low = -0.5 * (((r_high * r_high - square) + 2.0 * r_high * r_low) + r_low * r_low) - r * rest
    tail = (
        r
        * square
        * (
            1.0 / 3.0
            + r * (-0.25 + r * (0.2 + r * (-1.0 / 6.0 + r * (1.0 / 7.0 + r * (-0.125 + r * (1.0 / 9.0 - r * 0.1))))))
        )
    )
    e += twos
    high += e * _LN2_HIGH
    low += e * _LN2_LOW
    first = high + r
    # `high` is 0 or much more than `r`.
    low += (high - first) + r if high else 0.0
    total = first + half
    low += ((first - total) + half) + (rest + (half_low + tail))
    first = total + low
    return first, low - (first - total)


def exp_pair(x: float, x_low: float = 0.0) -> tuple[float, float, int]:
    """`e ** (x + x_low)` as the sum of two floats and the power of two to multiply it with; -750 < x < 710.

    It is good to 60 bits. The second float is not yet as small as it could be.
    """
    steps = (x * _INVERSE_STEP + _ROUNDER) - _ROUNDER
    n = int(steps)
    high, low = _EXP_TABLE[n & 127]
    r = (x - steps * _STEP_HIGH) + (x_low - steps * _STEP_LOW)
    p = r + r * r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0)))))
    return high, low + high * p, n >> 7


_INVERSE_STEP = 128.0 * _INVERSE_LN2[0]


def scaled(x: float, twos: int) -> float:
    """`x * 2 ** twos`; `ldexp` itself does not round on every platform what becomes subnormal.

    Raises:
        OverflowError: it is too large for a float.
    """
    return ldexp(x, twos) if twos > -1021 else ldexp(x, twos + 1000) * _TINY


_TINY = ldexp(1.0, -1000)


def exp(x: float) -> float:
    """`e ** x`."""
    if x > 709.782712893384:
        raise OverflowError("math range error")
    if x < -745.2:
        return 0.0
    high, low, twos = exp_pair(x)
    return scaled(high + low, twos)


def exp2(x: float) -> float:
    """`2 ** x`."""
    if x >= 1024.0:
        raise OverflowError("math range error")
    if x < -1076.0:
        return 0.0
    steps = (x * 128.0 + _ROUNDER) - _ROUNDER
    n = int(steps)
    high, low = _EXP_TABLE[n & 127]
    r = (x - steps * 0.0078125) * 0.6931471805599453
    p = r + r * r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0)))))
    return scaled(high + (low + high * p), n >> 7)


def _inverse_factorials(first: int, last: int, step: int = 1) -> list[float]:
    return [1 / math.factorial(n) for n in range(last, first - 1, -step)]


def _series(coefficients: list[float], z: float) -> float:
    """A polynomial; the coefficient of the highest power comes first."""
    total = 0.0
    for coefficient in coefficients:
        total = total * z + coefficient
    return total


_EXPM1 = _inverse_factorials(3, 15)
_SINH = _inverse_factorials(3, 21, 2)
_ATANH = [1 / n for n in range(31, 2, -2)]
_ASINH = [(-1) ** n * math.comb(2 * n, n) / (4**n * (2 * n + 1)) for n in range(15, 0, -1)]


def expm1(x: float) -> float:
    """`e ** x - 1`."""
    if -0.25 < x < 0.25:
        return x + (0.5 * x * x + x * x * x * _series(_EXPM1, x)) if x else x
    if x > 709.782712893384:
        raise OverflowError("math range error")
    if x < -50.0:
        return -1.0
    high, low, twos = exp_pair(x)
    high = ldexp(high, twos)
    total, rest = two_sum(high, -1.0)
    return total + (rest + ldexp(low, twos))


def log(x: float) -> float:
    """The natural logarithm."""
    return log_pair(x)[0]


def log1p(x: float) -> float:
    """The natural logarithm of `1 + x`."""
    return log_pair(*two_sum(1.0, x))[0] if x else x


def log2(x: float, twos: int = 0) -> float:
    """The logarithm of `x * 2 ** twos` to the base 2."""
    m, e = frexp(x)
    if m < _SQRT_HALF:
        m += m
        e -= 1
    high, low = _times(log_pair(m), _INVERSE_LN2)
    total, rest = two_sum(e + twos, high)
    return total + (rest + low)


def log10(x: float, twos: int = 0) -> float:
    """The logarithm of `x * 2 ** twos` to the base 10."""
    high, low = _times(log_pair(x, 0.0, twos), _INVERSE_LN10)
    return high + low


def _times(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    product, rest = two_product(a[0], b[0])
    return product, rest + (a[0] * b[1] + a[1] * b[0])


def power_of_floats(x: float, y: float) -> float:
    """`x ** y` of C, with infinities where C has them, and nan for a negative number to a broken power."""
    if x == 1.0 or y == 0.0:
        return 1.0
    if x != x or y != y:
        return math.nan
    is_odd = math.isfinite(y) and y % 2.0 == 1.0
    sign = -1.0 if is_odd and math.copysign(1.0, x) < 0.0 else 1.0
    size = abs(x)
    if size == 1.0 and (math.isinf(y) or y == math.floor(y)):
        return sign
    if math.isinf(y):
        return math.inf if (size > 1.0) == (y > 0.0) else 0.0
    if size == 0.0 or size == math.inf:
        return sign * (math.inf if (size > 1.0) == (y > 0.0) else 0.0)
    if x < 0.0 and y != math.floor(y):
        return math.nan
    high, low = log_pair(size)
    estimate = high * y
    if estimate > 710.0:
        return sign * math.inf
    if estimate < -746.0:
        return sign * 0.0
    product, rest = two_product(high, y)
    first, second, twos = exp_pair(product, rest + low * y)
    try:
        return sign * scaled(first + second, twos)
    except OverflowError:
        return sign * math.inf


def sinh(x: float) -> float:
    """The hyperbolic sine."""
    if -1.0 < x < 1.0:
        z = x * x
        return x + x * z * _series(_SINH, z)
    return math.copysign(_half_of_exponentials(abs(x), -1.0), x)


def cosh(x: float) -> float:
    """The hyperbolic cosine."""
    return _half_of_exponentials(abs(x), 1.0)


def _half_of_exponentials(x: float, sign: float) -> float:
    """Half of `e ** x + sign * e ** -x`, of an x that is not negative."""
    if x > 710.5:
        raise OverflowError("math range error")
    high, low, twos = exp_pair(x)
    if x > 22.0:
        return ldexp(high + low, twos - 1)
    large, large_low = two_sum(ldexp(high, twos), ldexp(low, twos))
    total, rest = two_sum(large, sign / large)
    return 0.5 * (total + (rest + large_low))


def tanh(x: float) -> float:
    """The hyperbolic tangent."""
    if -0.55 < x < 0.55:
        # Lambert's continued fraction.
        z = x * x
        g = z / (3.0 + z / (5.0 + z / (7.0 + z / (9.0 + z / (11.0 + z / (13.0 + z / 15.0))))))
        return x - x * (g / (1.0 + g)) if x else x
    if abs(x) > 22.0:
        return math.copysign(1.0, x)
    high, low, twos = exp_pair(2.0 * abs(x))
    large, large_low = two_sum(ldexp(high, twos), ldexp(low, twos))
    total, rest = two_sum(1.0, large)
    rest += large_low
    share = 2.0 / total
    return math.copysign(1.0 - (share - share * (rest / total)), x)


def asinh(x: float) -> float:
    """The inverse of the hyperbolic sine."""
    size = abs(x)
    if size < 0.25:
        z = x * x
        return x + x * z * _series(_ASINH, z) if x else x
    if size > 268435456.0:
        return math.copysign(log_pair(size, 0.0, 1)[0], x)
    square, square_low = two_product(size, size)
    total, rest = two_sum(square, 1.0)
    root, root_low = two_root(total, rest + square_low)
    total, rest = two_sum(size, root)
    return math.copysign(log_pair(total, rest + root_low)[0], x)


def acosh(x: float) -> float:
    """The inverse of the hyperbolic cosine."""
    if x > 268435456.0:
        return log_pair(x, 0.0, 1)[0]
    t = x - 1.0
    if not t:
        return 0.0
    more, more_low = two_sum(t, 2.0)
    square, square_low = two_product(t, more)
    root, root_low = two_root(square, square_low + t * more_low)
    above, above_low = two_sum(t, root)
    total, rest = two_sum(1.0, above)
    return log_pair(total, rest + (above_low + root_low))[0]


def atanh(x: float) -> float:
    """The inverse of the hyperbolic tangent."""
    if -0.25 < x < 0.25:
        z = x * x
        return x + x * z * _series(_ATANH, z)
    size = abs(x)
    above, above_low = two_sum(1.0, size)
    below, below_low = two_sum(1.0, -size)
    ratio = above / below
    product, product_low = two_product(ratio, below)
    rest = ((above - product) - product_low + above_low - ratio * below_low) / below
    return math.copysign(0.5 * log_pair(ratio, rest)[0], x)


def cbrt(x: float) -> float:
    """The cube root."""
    if not x:
        return x
    m, e = frexp(abs(x))
    thirds, left = divmod(e, 3)
    m = ldexp(m, left - 3)  # 1/16 to 1/2
    root = 0.45 + 0.75 * m
    for _ in range(5):
        root = (2.0 * root + m / (root * root)) / 3.0
    square, square_low = two_product(root, root)
    cube, cube_low = two_product(square, root)
    root += ((m - cube) - cube_low - square_low * root) / (3.0 * square)
    return math.copysign(scaled(root, thirds + 1), x)
