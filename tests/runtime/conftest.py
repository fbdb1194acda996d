"""What the tests of the replica share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.runtime.bench import Bench
from tests.runtime.board import Board, Part


@pytest.fixture
def bench() -> Bench:
    """A replica with a board as its root, at time 0."""
    return Bench(Board, Part)


@pytest.fixture
def teach(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give a class more methods for the time of a test."""

    def teach(kind: type, **methods: Callable[..., Any]) -> None:
        for name, method in methods.items():
            monkeypatch.setattr(kind, name, method, raising=False)

    return teach
