"""Some 10,000 arguments for each function, and a digest of the results: the same on every machine and Python.

Run as a program it prints the digests as JSON, in the order of `FUNCTIONS`. It needs nothing but the package.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Callable, Iterator
from typing import Any

from msq_jupyter.runtime.deterministic import averages, power
from msq_jupyter.runtime.deterministic.arithmetic import left_fold_sum
from msq_jupyter.runtime.deterministic.elementary import CMATH, MATH
from msq_jupyter.runtime.prng import RandomStream

COUNT = 10_000


def between(low: float, high: float) -> Callable[[RandomStream], float]:
    return lambda stream: low + (high - low) * stream.random()


def of_any_size(low: int, high: int, *, signed: bool = True) -> Callable[[RandomStream], float]:
    """Floats whose exponents are spread evenly."""

    def draw(stream: RandomStream) -> float:
        size = math.ldexp(1.0 + stream.random(), stream.random_int(low, high))
        return -size if signed and stream.next_word() & 1 else size

    return draw


Draw = Callable[[RandomStream], float]

_EXPONENTS = (between(-20, 20), between(-1, 1), of_any_size(-40, 8))
_ANGLES = (between(-10, 10), between(-1000, 1000), of_any_size(-40, 1000))
_LOGS = (between(0.5, 2), between(0.99, 1.01), of_any_size(-1070, 1020, signed=False))
_ARCS = (between(-1, 1), between(0.9, 1), of_any_size(-40, -2))

#: What is drawn for each argument of each function; which of the draws, takes turns.
DOMAINS: dict[str, tuple[Draw, ...]] = {
    **dict.fromkeys(("sin", "cos", "tan"), _ANGLES),
    **dict.fromkeys(("asin", "acos", "atanh"), _ARCS),
    "atan": (between(-5, 5), of_any_size(-40, 70)),
    **dict.fromkeys(("exp", "expm1", "sinh", "cosh", "tanh"), _EXPONENTS),
    "exp2": (between(-1080, 1024), between(-1, 1)),
    **dict.fromkeys(("log", "log2", "log10"), _LOGS),
    "log1p": (between(-0.9, 3), of_any_size(-60, -1), of_any_size(0, 100, signed=False)),
    "asinh": (between(-5, 5), of_any_size(-40, 100)),
    "acosh": (between(1, 1.1), between(1, 10), of_any_size(1, 100, signed=False)),
    "cbrt": (between(-10, 10), of_any_size(-1070, 1020)),
    "erf": (between(-3, 3), of_any_size(-40, 2)),
    "erfc": (between(-6, 6), between(6, 27), of_any_size(-40, 1)),
    **dict.fromkeys(("gamma", "lgamma"), (between(-20, 20), between(0, 170), of_any_size(-80, 5, signed=False))),
}
PAIRS: dict[str, tuple[Draw, Draw]] = {
    "atan2": (of_any_size(-20, 20), of_any_size(-20, 20)),
    "pow": (of_any_size(-30, 30, signed=False), between(-30, 30)),
    "hypot": (of_any_size(-20, 20), of_any_size(-20, 20)),
    "fmod": (of_any_size(-20, 20), of_any_size(-20, 20)),
}


def arguments(name: str) -> Iterator[tuple[float, ...]]:
    """The arguments of a function, the same on every machine."""
    stream = RandomStream(name)
    for place in range(COUNT):
        if name in PAIRS:
            first, second = PAIRS[name]
            yield first(stream), second(stream)
        else:
            draws = DOMAINS[name]
            yield (draws[place % len(draws)](stream),)


def _powers() -> Iterator[Any]:
    stream = RandomStream("**")
    for place in range(COUNT):
        yield power(of_any_size(-20, 20)(stream), place % 40 - 20)


def _sums() -> Iterator[float]:
    stream = RandomStream("sum")
    draw = of_any_size(-20, 20)
    for _ in range(COUNT // 20):
        yield left_fold_sum([draw(stream) for _ in range(20)])


def _statistics() -> Iterator[float]:
    stream = RandomStream("statistics")
    draw = of_any_size(-20, 20)
    for _ in range(COUNT // 100):
        data = [draw(stream) for _ in range(20)]
        for name in ("mean", "fmean", "median", "pvariance", "variance", "pstdev", "stdev"):
            yield averages.STATISTICS[name](data)


def _complex() -> Iterator[float]:
    stream = RandomStream("cmath")
    draw = between(-10, 10)
    for _ in range(COUNT // 10):
        z = complex(draw(stream), draw(stream))
        for name in ("exp", "log", "sqrt"):
            result = CMATH[name](z)
            yield result.real
            yield result.imag


FUNCTIONS = (*DOMAINS, *PAIRS, "**", "sum", "statistics", "cmath")
_OTHERS = {"**": _powers, "sum": _sums, "statistics": _statistics, "cmath": _complex}


def results(name: str) -> Iterator[Any]:
    if name in _OTHERS:
        yield from _OTHERS[name]()
        return
    function = MATH.get(name) or getattr(math, name)
    for given in arguments(name):
        yield function(*given)


def digest(name: str) -> str:
    """A digest of the bits of all results of a function."""
    total = hashlib.sha256()
    for result in results(name):
        total.update(struct.pack("<d", result))
    return total.hexdigest()[:16]


if __name__ == "__main__":
    print(json.dumps({name: digest(name) for name in FUNCTIONS}, indent=1))
