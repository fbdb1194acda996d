"""What `math` and `cmath` are in model code: the same functions, bit for bit the same on every machine.

Platforms compute `sin` and its like differently, in up to one of two arguments, and the same platform does on
different processors. What IEEE 754 defines (+ - * / sqrt fmod), what works on integers, and what Python itself computes
from those (`fsum`, `hypot`, `dist`, `degrees`) is the same everywhere already and stays as it is.

Arguments, special values and errors are those of `math`; so is the accuracy, of one unit in the last place or better.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from math import inf, isfinite, ldexp
from typing import Any

from msq_jupyter.runtime.deterministic import error_function, exponential, gamma_function, trigonometry
from msq_jupyter.runtime.deterministic.exponential import power_of_floats

Function = Callable[[Any], float]


def _of_floats(
    compute: Callable[[float], float],
    low: float = -inf,
    high: float = inf,
    at_low: float | None = None,
    at_high: float | None = None,
) -> Function:
    """A function as in `math`, of one that takes finite floats in its domain only.

    Args:
        compute: what computes it.
        low: where the domain begins; -inf for all numbers.
        high: where it ends.
        at_low: the value there, when it belongs to the domain but `compute` has none.
        at_high: likewise.
    """

    @wraps(compute)
    def function(x: Any, /) -> float:
        if type(x) is not float:
            x = ldexp(x, 0)  # a float of it, or the error that all functions of `math` give
        if low < x < high:
            return compute(x)
        if x != x:
            return x  # type: ignore[no-any-return]
        value = at_low if x == low else at_high if x == high else None
        if value is None:
            raise ValueError("math domain error")
        return value

    return function


sin = _of_floats(trigonometry.sin)
cos = _of_floats(trigonometry.cos)
tan = _of_floats(trigonometry.tan)
asin = _of_floats(trigonometry.asin, -1.0, 1.0, -trigonometry.HALF_PI, trigonometry.HALF_PI)
acos = _of_floats(trigonometry.acos, -1.0, 1.0, math.pi, 0.0)
atan = _of_floats(trigonometry.atan, at_low=-trigonometry.HALF_PI, at_high=trigonometry.HALF_PI)
exp = _of_floats(exponential.exp, at_low=0.0, at_high=inf)
exp2 = _of_floats(exponential.exp2, at_low=0.0, at_high=inf)
expm1 = _of_floats(exponential.expm1, at_low=-1.0, at_high=inf)
log1p = _of_floats(exponential.log1p, -1.0, at_high=inf)
sinh = _of_floats(exponential.sinh, at_low=-inf, at_high=inf)
cosh = _of_floats(exponential.cosh, at_low=inf, at_high=inf)
tanh = _of_floats(exponential.tanh, at_low=-1.0, at_high=1.0)
asinh = _of_floats(exponential.asinh, at_low=-inf, at_high=inf)
acosh = _of_floats(exponential.acosh, 1.0, inf, 0.0, inf)
atanh = _of_floats(exponential.atanh, -1.0, 1.0)
cbrt = _of_floats(exponential.cbrt, at_low=-inf, at_high=inf)
erf = _of_floats(error_function.erf, at_low=-1.0, at_high=1.0)
erfc = _of_floats(error_function.erfc, at_low=2.0, at_high=0.0)
gamma = _of_floats(gamma_function.gamma, at_high=inf)
lgamma = _of_floats(gamma_function.lgamma, at_low=inf, at_high=inf)


def _logarithm(compute: Callable[[float, int], float]) -> Function:
    """A logarithm as in `math`, which takes integers of any size."""

    def function(x: Any, /) -> float:
        if type(x) is not float:
            if isinstance(x, int):
                if x <= 0:
                    raise ValueError("math domain error")
                twos = max(x.bit_length() - 1000, 0)
                # The lowest of 1,000 bits stands for all below: it decides how the others are rounded.
                top = x >> twos
                return compute(float(top if top << twos == x else top | 1), twos)
            x = ldexp(x, 0)
        if 0.0 < x < inf:
            return compute(x, 0)
        if x == inf or x != x:
            return x  # type: ignore[no-any-return]
        raise ValueError("math domain error")

    return function


_natural = _logarithm(lambda x, twos: exponential.log_pair(x, 0.0, twos)[0])
log2 = _logarithm(exponential.log2)
log10 = _logarithm(exponential.log10)


def log(x: Any, base: Any = math.e, /) -> float:
    """The logarithm of a number, to the base e or another one."""
    return _natural(x) if base is math.e else _natural(x) / _natural(base)


def atan2(y: Any, x: Any, /) -> float:
    """The angle of the point (x, y)."""
    return trigonometry.atan2(ldexp(y, 0), ldexp(x, 0))


def pow(x: Any, y: Any, /) -> float:  # noqa: A001 (the name is the standard library's)
    """`x` to the power of `y`, as floats."""
    x, y = ldexp(x, 0), ldexp(y, 0)
    result = power_of_floats(x, y)
    if isfinite(x) and isfinite(y) and not isfinite(result):
        if result == result and x:
            raise OverflowError("math range error")
        raise ValueError("math domain error")
    return result


def moved(x: Any, i: Any, /) -> float:
    """`x * 2 ** i`, rounded also where it becomes subnormal, which Windows' own `ldexp` does not do."""
    if type(i) is not int or i >= 0:
        return ldexp(x, i)
    m, e = math.frexp(x)
    return exponential.scaled(m, max(e + i, -1200)) if isfinite(m) else m


# --- complex numbers -----------------------------------------------------------------------------------------------


def phase(z: Any, /) -> float:
    """The angle of a complex number."""
    z = complex(z)
    return trigonometry.atan2(z.imag, z.real)


def polar(z: Any, /) -> tuple[float, float]:
    """Distance from 0 and angle of a complex number."""
    z = complex(z)
    return math.hypot(z.real, z.imag), trigonometry.atan2(z.imag, z.real)


def rect(r: Any, phi: Any, /) -> complex:
    """The complex number at a distance from 0 and an angle."""
    r, phi = ldexp(r, 0), ldexp(phi, 0)
    return complex(r * cos(phi), r * sin(phi)) if phi else complex(r, r * phi)


def complex_exp(z: Any, /) -> complex:
    """`e` to the power of a complex number."""
    z = complex(z)
    return rect(exp(z.real), z.imag)


def complex_log(z: Any, base: Any = None, /) -> complex:
    """The logarithm of a complex number, to the base e or another one."""
    r, phi = polar(z)
    if r == 0.0:
        raise ValueError("math domain error")
    result = complex(_natural(r), phi)
    return result if base is None else result / complex_log(base)


def complex_sqrt(z: Any, /) -> complex:
    """The square root of a complex number whose real part is not negative."""
    z = complex(z)
    if z == 0:
        return complex(0.0, z.imag)
    size = math.sqrt(0.5 * (math.hypot(z.real, z.imag) + abs(z.real)))
    other = abs(z.imag) / (2.0 * size)
    if z.real >= 0.0:
        return complex(size, math.copysign(other, z.imag))
    return complex(other, math.copysign(size, z.imag))


_NAMES = (
    *("sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
    *("exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "pow", "cbrt", "erf", "erfc", "gamma", "lgamma"),
)

MATH: dict[str, Any] = {name: globals()[name] for name in _NAMES} | {"ldexp": moved}
"""What stands in for members of the module `math`."""

CMATH: dict[str, Any] = {
    "phase": phase,
    "polar": polar,
    "rect": rect,
    "exp": complex_exp,
    "log": complex_log,
    "sqrt": complex_sqrt,
}
"""What stands in for members of the module `cmath`."""
