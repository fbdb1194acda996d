"""What model code gets in place of functions that no two platforms compute alike, over thousands of arguments."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from typing import Any

from msq_jupyter.runtime.deterministic.arithmetic import left_fold_sum, number_hash, power
from msq_jupyter.runtime.deterministic.averages import STATISTICS
from msq_jupyter.runtime.deterministic.elementary import CMATH, MATH

TWO_ARGUMENTS = {"atan2", "pow", "ldexp", "rect"}
SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-300, -5e-324, 1e300, float("inf"), float("-inf"), 709.5, -745.2)


def arguments(count: int) -> list[float]:
    """Numbers of all sizes, the same every time."""
    draw = random.Random("arguments for every platform")
    return [*SPECIAL, *(draw.uniform(-1, 1) * 10.0 ** draw.randrange(-8, 9) for _ in range(count))]


def math_samples(count: int = 1500) -> Iterator[tuple[str, str]]:
    """Names and digests of all that a function makes of many arguments."""
    numbers = arguments(count)
    pairs = list(zip(numbers, reversed(numbers), strict=True))
    for module, functions in (("math", MATH), ("cmath", CMATH)):
        for name, function in functions.items():
            if name == "ldexp":
                some: list[tuple[Any, ...]] = [(x, int(y) % 4000 - 2000) for x, y in pairs if abs(y) < 1e9]
            elif name in TWO_ARGUMENTS:
                some = list(pairs)
            else:
                some = [(complex(*pair),) for pair in pairs] if module == "cmath" else [(x,) for x in numbers]
            yield f"{module}.{name}", _digest(function, some)
    yield "**", _digest(power, [*pairs, *((x, n) for x in numbers[:200] for n in (-2, 0.5, 2, 3, 7, 2.5))])
    groups = [(numbers[start : start + 20],) for start in range(len(SPECIAL), count, 20)]
    yield "sum", _digest(left_fold_sum, groups)
    yield "hash", _digest(number_hash, [(x,) for x in numbers])
    for name, function in STATISTICS.items():
        if callable(function):
            yield f"statistics.{name}", _digest(function, groups)


def _digest(function: Callable[..., Any], some: list[tuple[Any, ...]]) -> str:
    digest = hashlib.sha256()
    for one in some:
        digest.update(f"{_outcome(function, one)}\n".encode())
    return digest.hexdigest()[:16]


def _outcome(function: Callable[..., Any], one: tuple[Any, ...]) -> str:
    try:
        value = function(*one)
    except Exception as error:
        return type(error).__name__
    return "nan" if value != value else repr(value)
