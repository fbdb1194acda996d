"""What the tests of what cells and views see share."""

from __future__ import annotations

from typing import Any

import pytest

from tests.runtime.bench import Bench
from tests.runtime.outside.poll import poll_bench


@pytest.fixture
def bench() -> Bench:
    """A replica with a poll as its root, at time 0."""
    return poll_bench()


@pytest.fixture
def model(bench: Bench) -> Any:
    """The poll as a cell sees it."""
    return bench.replica.outside.root
