"""The error function and its complement, bit for bit the same on every machine.

The methods and coefficients are those of fdlibm 5.3 (s_erf.c), in Python:

    Copyright (C) 1993 by Sun Microsystems, Inc. All rights reserved.

    Developed at SunPro, a Sun Microsystems, Inc. business.
    Permission to use, copy, modify, and distribute this software is freely granted, provided that this notice is
    preserved.

The exponential inside is `exp_pair`, which is given the square of x as a pair; fdlibm multiplies two exponentials.
"""

from __future__ import annotations

import math

from msq_jupyter.runtime.deterministic.exponential import exp_pair, scaled, two_product, two_sum
from msq_jupyter.runtime.deterministic.fixed_point import BITS, ONE, PI, from_float, to_float

#: erf(1), to 24 bits.
_ERF_1 = 8.45062911510467529297e-01

# Polynomials, the coefficient of the highest power first.
_SMALL = (
    (
        -2.37630166566501626084e-05,
        -5.77027029648944159157e-03,
        -2.84817495755985104766e-02,
        -3.25042107247001499370e-01,
        1.28379167095512558561e-01,
    ),
    (
        -3.96022827877536812320e-06,
        1.32494738004321644526e-04,
        5.08130628187576562776e-03,
        6.50222499887672944485e-02,
        3.97917223959155352819e-01,
        1.0,
    ),
)
_NEAR_1 = (
    (
        -2.16637559486879084300e-03,
        3.54783043256182359371e-02,
        -1.10894694282396677476e-01,
        3.18346619901161753674e-01,
        -3.72207876035701323847e-01,
        4.14856118683748331666e-01,
        -2.36211856075265944077e-03,
    ),
    (
        1.19844998467991074170e-02,
        1.36370839120290507362e-02,
        1.26171219808761642112e-01,
        7.18286544141962662868e-02,
        5.40397917702171048937e-01,
        1.06420880400844228286e-01,
        1.0,
    ),
)
_MIDDLE = (
    (
        -9.81432934416914548592e00,
        -8.12874355063065934246e01,
        -1.84605092906711035994e02,
        -1.62396669462573470355e02,
        -6.23753324503260060396e01,
        -1.05586262253232909814e01,
        -6.93858572707181764372e-01,
        -9.86494403484714822705e-03,
    ),
    (
        -6.04244152148580987438e-02,
        6.57024977031928170135e00,
        1.08635005541779435134e02,
        4.29008140027567833386e02,
        6.45387271733267880336e02,
        4.34565877475229228821e02,
        1.37657754143519042600e02,
        1.96512716674392571292e01,
        1.0,
    ),
)
_LARGE = (
    (
        -4.83519191608651397019e02,
        -1.02509513161107724954e03,
        -6.37566443368389627722e02,
        -1.60636384855821916062e02,
        -1.77579549177547519889e01,
        -7.99283237680523006574e-01,
        -9.86494292470009928597e-03,
    ),
    (
        -2.24409524465858183362e01,
        4.74528541206955367215e02,
        2.55305040643316442583e03,
        3.19985821950859553908e03,
        1.53672958608443695994e03,
        3.25792512996573918826e02,
        3.03380607434824582924e01,
        1.0,
    ),
)


def _ratio(pair: tuple[tuple[float, ...], tuple[float, ...]], z: float) -> float:
    above = below = 0.0
    for coefficient in pair[0]:
        above = above * z + coefficient
    for coefficient in pair[1]:
        below = below * z + coefficient
    return above / below


def erf(x: float) -> float:
    """The error function."""
    size = abs(x)
    if size < 0.84375:
        return x + x * _ratio(_SMALL, x * x)
    if size < 1.25:
        return math.copysign(_ERF_1 + _ratio(_NEAR_1, size - 1.0), x)
    return math.copysign(1.0 - _tail(size), x) if size < 6.0 else math.copysign(1.0, x)


def erfc(x: float) -> float:
    """`1 - erf(x)`."""
    size = abs(x)
    if size < 0.84375:
        total, rest = two_sum(1.0, -x)
        return total + (rest - x * _ratio(_SMALL, x * x))
    if size < 1.25:
        return _complement_by_integers(x) if x > 0.0 else 1.0 + (_ERF_1 + _ratio(_NEAR_1, size - 1.0))
    if x < 0.0:
        return 2.0 - _tail(size) if size < 6.0 else 2.0
    return _tail(size) if size < 28.0 else 0.0


#: Two by the square root of pi.
_FACTOR = (2 * ONE << BITS) // math.isqrt(PI << BITS)


def _complement_by_integers(x: float) -> float:
    """`erfc(x)` of an x near 1, by the power series of erf: the difference of floats would lose two bits."""
    value = from_float(x)
    square = value * value >> BITS
    total = term = value
    n = 0
    while term not in (-1, 0):
        n += 1
        term = -(term * square >> BITS) // n
        total += term // (2 * n + 1)
    return to_float(ONE - (total * _FACTOR >> BITS))


def _tail(x: float) -> float:
    """`erfc(x)` of an x from 1.25 to 28."""
    part = _ratio(_MIDDLE if x < 1.0 / 0.35 else _LARGE, 1.0 / (x * x))
    square, square_low = two_product(x, x)
    exponent, rest = two_sum(-square, -0.5625 + part)
    high, low, twos = exp_pair(exponent, rest - square_low)
    total, rest = two_sum(high, low)
    ratio = total / x
    product, product_low = two_product(ratio, x)
    return scaled(ratio + ((total - product) - product_low + rest) / x, twos)
