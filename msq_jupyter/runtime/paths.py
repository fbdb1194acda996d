"""Paths such as "settings.speed": from a model into what it holds, for models and for what stands for them outside.

A step is an attribute of a model, a key of a dict, a field of a dataclass or named tuple, or a place in a list. A key
that is an integer is written in digits.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from msq_jupyter.errors import ArgumentError
from msq_jupyter.runtime.arrays import is_array
from msq_jupyter.runtime.model import Model


class Missing:
    """The value of what is not there; equal to nothing else."""

    def __repr__(self) -> str:
        return "nothing"


MISSING = Missing()


def split(path: str) -> list[str]:
    """The steps of a path.

    Raises:
        ArgumentError: not a path.
    """
    steps = path.split(".") if isinstance(path, str) else []
    if not steps or "" in steps:
        raise ArgumentError(f'expected a path such as "speed" or "settings.speed", got {path!r}')
    return steps


def look_up(root: Any, steps: list[str]) -> Any:
    """What is at the end of a path, or `MISSING`."""
    value = root
    for step in steps:
        value = step_into(value, step)
        if value is MISSING:
            break
    return value


def step_into(holder: Any, step: str) -> Any:
    """What a model or container holds under one step, or `MISSING`."""
    if isinstance(holder, Model):
        return MISSING if step.startswith("_") else getattr(holder, step, MISSING)
    if isinstance(holder, dict):
        return holder.get(key_of(holder, step), MISSING)
    if isinstance(holder, (list, tuple)) and step.isdecimal():
        return holder[int(step)] if int(step) < len(holder) else MISSING
    return getattr(holder, step) if step in field_names(holder) else MISSING


def key_of(holder: dict[Any, Any], step: str) -> Any:
    """The key that a step means: itself, or the integer it is the digits of when only that is there."""
    if step not in holder and step.removeprefix("-").isdecimal() and int(step) in holder:
        return int(step)
    return step


def field_names(holder: Any) -> tuple[str, ...]:
    """The fields of an instance of a dataclass or named tuple; none of anything else."""
    if dataclasses.is_dataclass(holder) and not isinstance(holder, type):
        return tuple(field.name for field in dataclasses.fields(holder))
    return tuple(getattr(holder, "_fields", ())) if isinstance(holder, tuple) else ()


def same(one: Any, other: Any) -> bool:
    """Whether two values read at different times are the same, `1`, `1.0` and `True` being different ones.

    What cannot be compared is not the same, so that whoever shows it shows the newer one.
    """
    try:
        return _same(one, other)
    except RecursionError:
        return False  # both hold themselves


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if is_array(type(one)):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    if isinstance(one, dict):
        # The order of keys is state, too.
        return len(one) == len(other) and all(
            _same(key, other_key) and _same(item, other_item)
            for (key, item), (other_key, other_item) in zip(one.items(), other.items(), strict=True)
        )
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    if dataclasses.is_dataclass(one):
        return all(_same(getattr(one, name, MISSING), getattr(other, name, MISSING)) for name in field_names(one))
    try:
        return bool(one == other) or (one != one and other != other)  # nan
    except Exception:
        return False  # the author's classes compare themselves, and may raise anything
