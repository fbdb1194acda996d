"""What `random` and `uuid` are in model code: the session's one stream of random numbers, the same on every replica.

The signatures are those of Python's modules, the numbers are not: they come from the stream of `self.random()`.
Everything here is defined by this file, with `elementary` functions, and keeps nothing between calls.
"""

from __future__ import annotations

import math
import operator
import uuid
from bisect import bisect
from collections.abc import Iterable, MutableSequence, Sequence
from itertools import accumulate, chain, repeat
from typing import Any

from msq_jupyter.errors import OutsideModelError
from msq_jupyter.runtime.deterministic.elementary import exp, log
from msq_jupyter.runtime.deterministic.elementary import pow as real_power
from msq_jupyter.runtime.model import running_replica
from msq_jupyter.runtime.prng import RandomStream


def _stream() -> RandomStream:
    replica = running_replica()
    if replica is None:
        raise OutsideModelError(
            "the session's random numbers are for a model's methods only, as every replica has to draw the same ones; "
            "in a cell or a view import random itself"
        )
    return replica.random


def random() -> float:
    """A float in [0, 1)."""
    return _stream().random()


def uniform(a: float, b: float) -> float:
    """A float from `a` to `b`."""
    return a + (b - a) * _stream().random()


def triangular(low: float = 0.0, high: float = 1.0, mode: float | None = None) -> float:
    """A float from `low` to `high`, most likely near `mode`, by default the middle."""
    u = _stream().random()
    if low == high:
        return low
    middle = 0.5 if mode is None else (mode - low) / (high - low)
    if u > middle:
        u, middle, low, high = 1.0 - u, 1.0 - middle, high, low
    return low + (high - low) * math.sqrt(u * middle)


def randrange(start: int, stop: int | None = None, step: int = 1) -> int:
    """One of `range(start, stop, step)`.

    Raises:
        ValueError: it is empty.
    """
    numbers = range(operator.index(start)) if stop is None else range(start, stop, step)
    if not numbers:
        raise ValueError(f"empty range for randrange(): {numbers}")
    # Not len(): it ends at 2**63 here, and at 2**31 on machines of 32 bits.
    count = (numbers[-1] - numbers[0]) // numbers.step + 1
    return numbers[_stream().random_int(0, count - 1)]


def randint(a: int, b: int) -> int:
    """An integer from `a` to `b`, both included.

    Raises:
        ValueError: `a` is greater than `b`.
    """
    return randrange(a, b + 1)


def getrandbits(k: int, /) -> int:
    """An integer of `k` random bits.

    Raises:
        ValueError: `k` is negative.
    """
    if k < 0:
        raise ValueError("number of bits must be non-negative")
    return _stream().random_int(0, (1 << k) - 1)


def randbytes(n: int) -> bytes:
    """`n` random bytes."""
    return getrandbits(n * 8).to_bytes(n, "little")


def choice(seq: Sequence[Any]) -> Any:
    """One of a sequence.

    Raises:
        IndexError: it is empty.
    """
    if not len(seq):
        raise IndexError("Cannot choose from an empty sequence")
    return seq[_stream().random_int(0, len(seq) - 1)]


def choices(
    population: Sequence[Any],
    weights: Iterable[float] | None = None,
    *,
    cum_weights: Sequence[float] | None = None,
    k: int = 1,
) -> list[Any]:
    """`k` of a sequence, the same more than once perhaps; with weights, more often the heavier ones.

    Raises:
        TypeError: both kinds of weights.
        ValueError: as many weights as elements are needed, and a finite sum of more than 0.
        IndexError: the sequence is empty.
    """
    if weights is not None and cum_weights is not None:
        raise TypeError("Cannot specify both weights and cumulative weights")
    if weights is None and cum_weights is None:
        return [choice(population) for _ in repeat(None, k)]
    sums = list(accumulate(weights)) if weights is not None else list(cum_weights or ())
    if len(sums) != len(population):
        raise ValueError("The number of weights does not match the population")
    total = sums[-1] + 0.0
    if total <= 0.0 or not math.isfinite(total):
        raise ValueError("Total of weights must be finite and greater than zero")
    last = len(sums) - 1
    return [population[bisect(sums, _stream().random() * total, 0, last)] for _ in repeat(None, k)]


def shuffle(x: MutableSequence[Any]) -> None:
    """Put a list into random order, in place."""
    _stream().shuffle(x)


def sample(population: Sequence[Any], k: int, *, counts: Iterable[int] | None = None) -> list[Any]:
    """`k` different places of a sequence, in random order.

    Raises:
        TypeError: not a sequence, such as a set: its order has to be given by a list.
        ValueError: `k` is negative or more than there are.
    """
    if not isinstance(population, Sequence):
        raise TypeError("Population must be a sequence.  For dicts or sets, use sorted(d).")
    if counts is not None:
        pairs = zip(population, counts, strict=True)
        population = list(chain.from_iterable(repeat(item, count) for item, count in pairs))
    size = len(population)
    if not 0 <= k <= size:
        raise ValueError("Sample larger than population or is negative")
    stream = _stream()
    # Fisher and Yates, as far as needed; `moved` holds what lies elsewhere than at first.
    moved: dict[int, int] = {}
    chosen = []
    for first in range(k):
        other = stream.random_int(first, size - 1)
        chosen.append(population[moved.get(other, other)])
        moved[other] = moved.get(first, first)
    return chosen


def gauss(mu: float = 0.0, sigma: float = 1.0) -> float:
    """A normally distributed float, by Marsaglia's polar method; the second number it gives is thrown away."""
    draw = _stream().random
    while True:
        u = 2.0 * draw() - 1.0
        v = 2.0 * draw() - 1.0
        s = u * u + v * v
        if 0.0 < s < 1.0:
            return mu + sigma * (u * math.sqrt(-2.0 * log(s) / s))


def normalvariate(mu: float = 0.0, sigma: float = 1.0) -> float:
    """The same as `gauss`."""
    return gauss(mu, sigma)


def lognormvariate(mu: float = 0.0, sigma: float = 1.0) -> float:
    """A float whose logarithm is normally distributed."""
    return float(exp(gauss(mu, sigma)))


def expovariate(lambd: float = 1.0) -> float:
    """An exponentially distributed float with the mean `1 / lambd`."""
    return -float(log(1.0 - _stream().random())) / lambd


def gammavariate(alpha: float, beta: float) -> float:
    """A float with the gamma distribution, by the method of Marsaglia and Tsang (2000).

    Raises:
        ValueError: `alpha` or `beta` is not more than 0.
    """
    if alpha <= 0.0 or beta <= 0.0:
        raise ValueError("gammavariate: alpha and beta must be > 0.0")
    draw = _stream().random
    if alpha < 1.0:
        scale = real_power(1.0 - draw(), 1.0 / alpha)
        return float(gammavariate(alpha + 1.0, beta) * scale)
    d = alpha - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        x = gauss()
        v = 1.0 + c * x
        if v <= 0.0:
            continue
        v = v * v * v
        if log(1.0 - draw()) < 0.5 * x * x + d - d * v + d * log(v):
            return d * v * beta


def betavariate(alpha: float, beta: float) -> float:
    """A float in [0, 1] with the beta distribution."""
    y = gammavariate(alpha, 1.0)
    return y / (y + gammavariate(beta, 1.0)) if y else 0.0


def paretovariate(alpha: float) -> float:
    """A float with the Pareto distribution."""
    return float(real_power(1.0 - _stream().random(), -1.0 / alpha))


def weibullvariate(alpha: float, beta: float) -> float:
    """A float with the Weibull distribution."""
    return alpha * float(real_power(-log(1.0 - _stream().random()), 1.0 / beta))


def uuid4() -> uuid.UUID:
    """A random UUID, the same on every replica."""
    return uuid.UUID(int=getrandbits(128), version=4)


RANDOM: dict[str, Any] = {
    function.__name__: function
    for function in (
        *(random, uniform, triangular, randrange, randint, getrandbits, randbytes, choice, choices, shuffle, sample),
        *(gauss, normalvariate, lognormvariate, expovariate, gammavariate, betavariate, paretovariate, weibullvariate),
    )
}
"""What stands in for members of the module `random`."""

UUID: dict[str, Any] = {"uuid4": uuid4}
"""What stands in for members of the module `uuid`."""
