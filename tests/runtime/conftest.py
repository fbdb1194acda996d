"""What the tests of the replica share."""

from __future__ import annotations

import pytest

from tests.runtime.bench import Bench
from tests.runtime.board import Board, Part


@pytest.fixture
def bench() -> Bench:
    """A replica with a board as its root, at time 0."""
    return Bench(Board, Part)
