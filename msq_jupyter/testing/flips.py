"""Corrupts one replica the way that hardware, or code that is not deterministic, would: one small value is another."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from msq_jupyter.runtime.replica import Replica
from msq_jupyter.stable import path_text


def flip(replica: Replica, draw: random.Random) -> str | None:
    """Change one bool, number or character somewhere in the models.

    Args:
        replica: whose models.
        draw: decides where.

    Returns:
        The path of what changed, as `first_difference` would name it; None when there is nothing to change.
    """
    kinds = [type(model).__qualname__ for model in replica.models.values()]
    places = []
    for kind, model in zip(kinds, replica.models.values(), strict=True):
        name = kind if kinds.count(kind) == 1 else f"{kind}#{model.id}"
        for key, value in model.__dict__.items():
            places += [(name, found) for found in _leaves(model.__dict__, key, value, [key], set())]
    if not places:
        return None
    name, (container, key, path) = draw.choice(places)
    container[key] = _another(container[key], draw)
    return path_text(name, path)


def _leaves(
    container: Any, key: Any, value: Any, path: list[str | int], met: set[int]
) -> Iterator[tuple[Any, Any, list[str | int]]]:
    if type(value) in (bool, int, float, str):
        yield container, key, path
    elif type(value) in (list, dict) and id(value) not in met:
        met.add(id(value))
        for inner, item in value.items() if type(value) is dict else enumerate(value):
            if type(inner) in (str, int):
                yield from _leaves(value, inner, item, [*path, inner], met)


def _another(value: Any, draw: random.Random) -> Any:
    if type(value) is bool:
        return not value
    if type(value) is str:
        if not value:
            return "?"
        place = draw.randrange(len(value))
        return value[:place] + ("?" if value[place] != "?" else "!") + value[place + 1 :]
    return value + 1 if type(value) is int else value * 1.0000000000000002 + 5e-324
