"""Sines, tangents and their inverses, bit for bit the same on every machine: + - * / and the square root only.

The methods and coefficients are those of fdlibm 5.3, in Python:

    Copyright (C) 1993 by Sun Microsystems, Inc. All rights reserved.

    Developed at SunSoft, a Sun Microsystems, Inc. business.
    Permission to use, copy, modify, and distribute this software is freely granted, provided that this notice is
    preserved.

The reduction of large angles is ours: integers are exact, so no table of digits of 2 / pi is needed. Functions here
take floats within their domains; `elementary` checks.
"""

from __future__ import annotations

import math
from math import sqrt

from msq_jupyter.runtime.deterministic.exponential import two_product, two_sum
from msq_jupyter.runtime.deterministic.fixed_point import BITS, PI, as_pair

HALF_PI, _HALF_PI_LOW = as_pair(PI // 2)
_QUARTER_PI = HALF_PI / 2
_QUARTER_PI_LOW = _HALF_PI_LOW / 2
_PI, _PI_LOW = as_pair(PI)
_ROUNDER = 6755399441055744.0

#: pi / 2 in parts of 33 bits, and what is left after each.
_PART_1, _REST_1 = 1.57079632673412561417e00, 6.07710050650619224932e-11
_PART_2, _REST_2 = 6.07710050630396597660e-11, 2.02226624879595063154e-21
_PART_3, _REST_3 = 2.02226624871116645580e-21, 8.47842766036889956997e-32
_TWO_BY_PI = 6.36619772367581382433e-01

_SIN = (
    -1.66666666666666324348e-01,
    8.33333333332248946124e-03,
    -1.98412698298579493134e-04,
    2.75573137070700676789e-06,
    -2.50507602534068634195e-08,
    1.58969099521155010221e-10,
)
_COS = (
    4.16666666666666019037e-02,
    -1.38888888888741095749e-03,
    2.48015872894767294178e-05,
    -2.75573143513906633035e-07,
    2.08757232129817482790e-09,
    -1.13596475577881948265e-11,
)
_TAN = (
    3.33333333333334091986e-01,
    1.33333333333201242699e-01,
    5.39682539762260521377e-02,
    2.18694882948595424599e-02,
    8.86323982359930005737e-03,
    3.59207910759131235356e-03,
    1.45620945432529025516e-03,
    5.88041240820264096874e-04,
    2.46463134818469906812e-04,
    7.81794442939557092300e-05,
    7.14072491382608190305e-05,
    -1.85586374855275456654e-05,
    2.59073051863633712884e-05,
)
_ATAN = (
    3.33333333333329318027e-01,
    -1.99999999998764832476e-01,
    1.42857142725034663711e-01,
    -1.11111104054623557880e-01,
    9.09088713343650656196e-02,
    -7.69187620504482999495e-02,
    6.66107313738753120669e-02,
    -5.83357013379057348645e-02,
    4.97687799461593236017e-02,
    -3.65315727442169155270e-02,
    1.62858201153657823623e-02,
)
_ASIN_ABOVE = (
    1.66666666666666657415e-01,
    -3.25565818622400915405e-01,
    2.01212532134862925881e-01,
    -4.00555345006794114027e-02,
    7.91534994289814532176e-04,
    3.47933107596021167570e-05,
)
_ASIN_BELOW = (
    -2.40339491173441421878e00,
    2.02094576023350569471e00,
    -6.88283971605453293030e-01,
    7.70381505559019352791e-02,
)


def _sin_near_0(x: float, low: float) -> float:
    """The sine of `x + low`, between -pi/4 and pi/4."""
    z = x * x
    w = z * z
    r = _SIN[1] + z * (_SIN[2] + z * _SIN[3]) + z * w * (_SIN[4] + z * _SIN[5])
    v = z * x
    return x - ((z * (0.5 * low - v * r) - low) - v * _SIN[0])


def _cos_near_0(x: float, low: float) -> float:
    """The cosine of `x + low`, between -pi/4 and pi/4."""
    z = x * x
    w = z * z
    r = z * (_COS[0] + z * (_COS[1] + z * _COS[2])) + w * w * (_COS[3] + z * (_COS[4] + z * _COS[5]))
    half = 0.5 * z
    w = 1.0 - half
    return w + (((1.0 - w) - half) + (z * r - x * low))


def _tan_near_0(x: float, low: float) -> tuple[float, float]:
    """The tangent of `x + low` as a pair, between -pi/4 and pi/4."""
    is_large = not -0.67434 < x < 0.67434
    sign = 1.0
    if is_large:
        if x < 0.0:
            sign, x, low = -1.0, -x, -low
        x = (_QUARTER_PI - x) + (_QUARTER_PI_LOW - low)
        low = 0.0
    t = _TAN
    z = x * x
    w = z * z
    r = t[1] + w * (t[3] + w * (t[5] + w * (t[7] + w * (t[9] + w * t[11]))))
    v = z * (t[2] + w * (t[4] + w * (t[6] + w * (t[8] + w * (t[10] + w * t[12])))))
    s = z * x
    r = low + z * (s * (r + v) + low) + t[0] * s
    if is_large:
        w = x + r
        high, rest = two_sum(1.0, -2.0 * (x - (w * w / (w + 1.0) - r)))
        return sign * high, sign * rest
    return two_sum(x, r)


def _reduced(x: float) -> tuple[int, float, float]:
    """How many quarters of a turn an angle has, and what is left, as a pair."""
    if not -1.6e6 < x < 1.6e6:
        return _reduced_by_integers(x)
    turns = (x * _TWO_BY_PI + _ROUNDER) - _ROUNDER
    # Always all three steps: they cost less than finding out how many are needed.
    r = x - turns * _PART_1
    w = turns * _PART_2
    t = r - w
    w_low = (r - t) - w
    w = turns * _PART_3
    u = t - w
    rest = ((t - u) - w) + w_low - turns * _REST_3
    high = u + rest
    return int(turns), high, (u - high) + rest


def _reduced_by_integers(x: float) -> tuple[int, float, float]:
    above, below = x.as_integer_ratio()
    # As many digits of pi as make the remainder of the largest float good to 100 bits and more.
    digits = (above.bit_length() + BITS) // 64 * 64 + 64
    half_pi = _half_pi(digits)
    numerator = (above << digits) // below
    quarters = (2 * numerator + half_pi) // (2 * half_pi)
    rest = numerator - quarters * half_pi
    high = rest / (1 << digits)
    top, bottom = high.as_integer_ratio()
    return quarters, high, (rest - (top << digits) // bottom) / (1 << digits)


def _half_pi(bits: int) -> int:
    """Half of pi, times two to the power of `bits`, by Machin's formula; what was computed once is kept."""
    found = _half_pis.get(bits)
    if found is None:
        one = 1 << (bits + 32)
        found = (2 * (4 * _inverse_cotangent(5, one) - _inverse_cotangent(239, one))) >> 32
        if len(_half_pis) > 64:
            _half_pis.clear()
        _half_pis[bits] = found
    return found


_half_pis: dict[int, int] = {}


def _inverse_cotangent(n: int, one: int) -> int:
    total = term = one // n
    divisor, sign = 1, -1
    while term:
        term //= n * n
        divisor += 2
        total += sign * (term // divisor)
        sign = -sign
    return total


def sin(x: float) -> float:
    """The sine."""
    if -0.7853981633974483 <= x <= 0.7853981633974483:
        return x if -7.4e-9 < x < 7.4e-9 else _sin_near_0(x, 0.0)
    quarters, high, low = _reduced(x)
    near = _cos_near_0(high, low) if quarters & 1 else _sin_near_0(high, low)
    return -near if quarters & 2 else near


def cos(x: float) -> float:
    """The cosine."""
    if -0.7853981633974483 <= x <= 0.7853981633974483:
        return _cos_near_0(x, 0.0)
    quarters, high, low = _reduced(x)
    near = _sin_near_0(high, low) if quarters & 1 else _cos_near_0(high, low)
    return -near if (quarters + 1) & 2 else near


def tan(x: float) -> float:
    """The tangent."""
    if -7.4e-9 < x < 7.4e-9:
        return x
    quarters, high, low = _reduced(x)
    tangent, rest = _tan_near_0(high, low)
    if not quarters & 1:
        return tangent + rest
    # -1 / (tangent + rest), corrected once.
    inverse = -1.0 / tangent
    product, product_low = two_product(inverse, tangent)
    return inverse + inverse * (((1.0 + product) + product_low) + inverse * rest)


def _arcsine_tail(t: float) -> float:
    """`(asin(x) - x) / x` of the square `t` of an x up to 1/2."""
    p, q = _ASIN_ABOVE, _ASIN_BELOW
    above = t * (p[0] + t * (p[1] + t * (p[2] + t * (p[3] + t * (p[4] + t * p[5])))))
    return above / (1.0 + t * (q[0] + t * (q[1] + t * (q[2] + t * q[3]))))


def _small_arcsine(t: float) -> tuple[float, float]:
    """Twice the arcsine of the square root of `t`, which is at most 1/4, as a pair."""
    root = sqrt(t)
    if not root:
        return 0.0, 0.0
    square, square_low = two_product(root, root)
    rest = ((t - square) - square_low) / (2.0 * root)
    return 2.0 * root, 2.0 * (rest + root * _arcsine_tail(t))


def asin(x: float) -> float:
    """The inverse of the sine."""
    if -0.5 < x < 0.5:
        return x + x * _arcsine_tail(x * x)
    high, low = _small_arcsine(0.5 * (1.0 - abs(x)))
    total, rest = two_sum(HALF_PI, -high)
    return math.copysign(total + (rest + (_HALF_PI_LOW - low)), x)


def acos(x: float) -> float:
    """The inverse of the cosine."""
    if -0.5 < x < 0.5:
        total, rest = two_sum(HALF_PI, -x)
        return total + (rest + (_HALF_PI_LOW - x * _arcsine_tail(x * x)))
    high, low = _small_arcsine(0.5 * (1.0 - abs(x)))
    if x > 0.0:
        return high + low
    total, rest = two_sum(_PI, -high)
    return total + (rest + (_PI_LOW - low))


#: Up to which number, and the number whose arctangent is taken away, as a ratio, and that arctangent as a pair.
_ATAN_STEPS = (
    (0.6875, 1.0, 2.0, 4.63647609000806093515e-01, 2.26987774529616870924e-17),
    (1.1875, 1.0, 1.0, 7.85398163397448278999e-01, 3.06161699786838301793e-17),
    (2.4375, 3.0, 2.0, 9.82793723247329054082e-01, 1.39033110312309984516e-17),
)


def atan(x: float, low: float = 0.0) -> float:
    """The inverse of the tangent, of `x + low`."""
    high, rest = _atan_pair(abs(x), math.copysign(low, low * x) if low else 0.0)
    return math.copysign(high + rest, x)


def _atan_pair(x: float, low: float) -> tuple[float, float]:
    """The arctangent of `x + low`, x not negative, as a pair."""
    if x < 0.4375:
        return x, low - x * _arctangent_tail(x)
    if x > 7e18:
        return HALF_PI, _HALF_PI_LOW
    step = next((step for step in _ATAN_STEPS if x < step[0]), None)
    if step is None:
        t, angle, angle_low = -1.0 / x, HALF_PI, _HALF_PI_LOW
    else:
        _, above, below, angle, angle_low = step
        t = (below * x - above) / (below + above * x)
    rest = angle_low + low / (1.0 + x * x) - t * _arctangent_tail(t)
    total, left = two_sum(angle, t)
    return total, left + rest


def _arctangent_tail(x: float) -> float:
    """`1 - atan(x) / x` of an x up to 7/16."""
    a = _ATAN
    z = x * x
    w = z * z
    odd = z * (a[0] + w * (a[2] + w * (a[4] + w * (a[6] + w * (a[8] + w * a[10])))))
    return odd + w * (a[1] + w * (a[3] + w * (a[5] + w * (a[7] + w * a[9]))))


def atan2(y: float, x: float) -> float:
    """The angle of the point (x, y)."""
    if x != x or y != y:
        return math.nan
    height, width = abs(y), abs(x)
    is_left = math.copysign(1.0, x) < 0.0
    if height == 0.0:
        angle = _PI if is_left else 0.0
    elif width == 0.0 or height == math.inf:
        angle = HALF_PI
        if width == math.inf:
            angle = 3.0 * _QUARTER_PI if is_left else _QUARTER_PI
    elif width == math.inf:
        angle = _PI if is_left else 0.0
    else:
        angle = _finite_angle(height, width, is_left=is_left)
    return math.copysign(angle, y)


def _finite_angle(height: float, width: float, *, is_left: bool) -> float:
    # Both near 1, so that the quotient and what rounding leaves out of it are exact enough.
    height, up = math.frexp(height)
    width, along = math.frexp(width)
    twos = up - along
    if twos > 64:
        return HALF_PI
    if twos < -64 and is_left:
        return _PI
    ratio = height / width
    product, product_low = two_product(ratio, width)
    low = ((height - product) - product_low) / width
    if twos < -64:
        return math.ldexp(ratio, twos) if twos > -1021 else math.ldexp(ratio, twos + 1000) * math.ldexp(1.0, -1000)
    high, rest = _atan_pair(math.ldexp(ratio, twos), math.ldexp(low, twos))
    if not is_left:
        return high + rest
    total, left = two_sum(_PI, -high)
    return total + (left + (_PI_LOW - rest))
