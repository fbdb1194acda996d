"""What `statistics` is in model code: the functions most used, defined once for all versions of Python.

Sums are exact (fractions of integers) and rounded once at the end. Results are floats when any value is one, else
integers or fractions where they are exact, as in Python's module. A nan or an infinity makes a result nan or infinite.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from statistics import StatisticsError
from typing import Any

_EXACT = (int, Fraction)


def _exactly(data: Iterable[Any], least: int, name: str) -> tuple[list[Any], bool]:
    """The values, fractions if they are finite; and whether the result is exact, too."""
    values = list(data)
    if len(values) < least:
        raise StatisticsError(f"{name} requires at least {least} data point{'s' if least > 1 else ''}")
    for value in values:
        if not isinstance(value, (*_EXACT, float)):
            raise TypeError(f"{name}: expected int, float or Fraction, got {type(value).__name__}: convert it first")
    is_exact = all(isinstance(value, _EXACT) for value in values)
    if all(map(math.isfinite, values)):
        values = [Fraction(value) for value in values]
    return values, is_exact


def _result(value: Any, is_exact: bool, values: list[Any]) -> Any:
    if not is_exact or not isinstance(value, Fraction):
        return float(value)
    if value.denominator == 1:
        return value.numerator
    return value if any(item.denominator != 1 for item in values) else float(value)


def mean(data: Iterable[Any]) -> Any:
    """The sum of the values divided by their number.

    Raises:
        StatisticsError: there are none.
    """
    values, is_exact = _exactly(data, 1, "mean")
    return _result(sum(values) / len(values), is_exact, values)


def fmean(data: Iterable[float], weights: Iterable[float] | None = None) -> float:
    """The mean as a float; with weights, the weighted mean.

    Raises:
        StatisticsError: there are no values, another number of weights, or their sum is 0.
    """
    values, _ = _exactly(data, 1, "fmean")
    if weights is None:
        return float(sum(values) / len(values))
    heavy, _ = _exactly(weights, 1, "fmean")
    if len(heavy) != len(values):
        raise StatisticsError("data and weights must be the same length")
    total = sum(heavy)
    if not total:
        raise StatisticsError("sum of weights must be non-zero")
    return float(sum(a * b for a, b in zip(values, heavy, strict=True)) / total)


def _sorted(data: Iterable[Any]) -> list[Any]:
    values = sorted(data)
    if not values:
        raise StatisticsError("no median for empty data")
    return values


def median(data: Iterable[Any]) -> Any:
    """The value in the middle, or the mean of the two there."""
    values = _sorted(data)
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


def median_low(data: Iterable[Any]) -> Any:
    """The value in the middle, or the lower of the two there."""
    values = _sorted(data)
    return values[(len(values) - 1) // 2]


def median_high(data: Iterable[Any]) -> Any:
    """The value in the middle, or the higher of the two there."""
    values = _sorted(data)
    return values[len(values) // 2]


def multimode(data: Iterable[Any]) -> list[Any]:
    """The values that are there most often, in the order in which they came first."""
    counts = Counter(data)
    most = max(counts.values(), default=0)
    return [value for value, count in counts.items() if count == most]


def mode(data: Iterable[Any]) -> Any:
    """The value that is there most often; of several, the one that came first.

    Raises:
        StatisticsError: there are none.
    """
    most = multimode(data)
    if not most:
        raise StatisticsError("no mode for empty data")
    return most[0]


def _spread(data: Iterable[Any], centre: Any, name: str, lost: int) -> tuple[Any, bool, list[Any]]:
    values, is_exact = _exactly(data, 1 + lost, name)
    if values and not isinstance(values[0], Fraction):
        return math.nan, False, values
    middle = sum(values) / len(values) if centre is None else Fraction(centre)
    return sum((value - middle) ** 2 for value in values) / (len(values) - lost), is_exact, values


def pvariance(data: Iterable[Any], mu: Any = None) -> Any:
    """The mean of the squared distances from the mean, or from `mu`."""
    return _result(*_spread(data, mu, "pvariance", 0))


def variance(data: Iterable[Any], xbar: Any = None) -> Any:
    """The variance of what the values are a sample of."""
    return _result(*_spread(data, xbar, "variance", 1))


def pstdev(data: Iterable[Any], mu: Any = None) -> float:
    """The square root of `pvariance`."""
    return _root(_spread(data, mu, "pstdev", 0)[0])


def stdev(data: Iterable[Any], xbar: Any = None) -> float:
    """The square root of `variance`."""
    return _root(_spread(data, xbar, "stdev", 1)[0])


def _root(value: Any) -> float:
    """The square root, rounded once."""
    if not isinstance(value, Fraction) or not value:
        return float(value)
    # 128 bits or more of the root; the last one stands for all that follow.
    shift = max(256 - (value.numerator.bit_length() - value.denominator.bit_length()), 0) // 2 + 1
    scaled = (value.numerator << (2 * shift)) // value.denominator
    root = math.isqrt(scaled)
    is_whole = root * root == scaled and scaled * value.denominator == value.numerator << (2 * shift)
    return (root if is_whole else root | 1) / (1 << shift)


STATISTICS: dict[str, Any] = {
    function.__name__: function
    for function in (
        *(mean, fmean, median, median_low, median_high, mode, multimode),
        *(pvariance, variance, pstdev, stdev),
    )
} | {"StatisticsError": StatisticsError}
"""What stands in for members of the module `statistics`; all others are refused."""
