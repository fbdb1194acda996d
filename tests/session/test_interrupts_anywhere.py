"""Rule 6.1: wherever an interrupt comes, no event stays half executed, and nothing of the notebook stays changed."""

from __future__ import annotations

import signal
import sys
from collections import deque
from collections.abc import Callable
from decimal import getcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import msq_jupyter
from msq_jupyter.runtime.model import running_replica
from msq_jupyter.session.client import Received
from msq_jupyter.session.follower import Follower
from msq_jupyter.session.stepping import Stepper
from msq_jupyter.session.story import Story
from tests.runtime import board
from tests.runtime.bench import Bench
from tests.runtime.board import Board, Part, do
from tests.runtime.conftest import teach  # noqa: F401  # a fixture
from tests.session.test_interrupts import interrupts_go_to

OURS = (str(Path(msq_jupyter.__file__).parent), str(board.__file__))
#: An interrupt is tried at one of so many lines.
STRIDE = 5


class Kernel:
    """A stepper that has entries of a log before it, without a synchronizer."""

    def __init__(self, bench: Bench, lived: Bench) -> None:
        client: Any = SimpleNamespace(happenings=deque([Received(lived.log)]))
        self.follower = Follower(client, Any, Any, bench.replica.view_events, Story())  # type: ignore[arg-type]
        self.follower.replica = bench.replica
        self.follower.run = "run"
        self.failed: list[Exception] = []
        happenings: list[Any] = []
        self.stepper = Stepper(
            self.follower, happenings.append, lambda: None, self.failed.append, self.follower.discard
        )

    @property
    def is_given_up(self) -> bool:
        """Whether the replica takes nothing any more, until it has been made anew."""
        return self.follower._discarded

    def steps_soundly(self, lived: Bench) -> bool:
        """Whether the rest of the log leads to the state of the one that was not interrupted."""
        self.stepper.step()
        assert self.follower.replica is not None
        return not self.follower.behind and self.follower.replica.snapshot() == lived.replica.snapshot()


@pytest.fixture
def lived(teach: Callable[..., None]) -> Bench:
    """A replica that has executed a log in which everything happens that may be cut in two."""
    teach(Board, both=lambda self, what: (self.note("one", what), self.note("other", what)))
    bench = Bench(Board, Part)
    do(bench, ["hear", "x", "*", "heard"], ["hear", "x", "y", "both"], ["part", "a"], ["later", 0, "at once"])
    do(bench, ["tell", "x", "y", 1], ["roll", 2], ["save", {"n": 1}], ["fail", "on purpose"])
    do(bench, ["repeat", 2, "again"], ["end_part", "a"], after_ms=3)
    bench.publish("x", "y", 2, after_ms=5)
    return bench


def newcomer() -> Bench:
    bench = Bench(Board, Part)
    bench.replica.view_events.subscribe("view", "x", "*", lambda data: None, "immediate")
    return bench


def step_pressing_at(stepper: Stepper, wanted: range) -> int:
    """Step, and press the button at lines of ours with these numbers; returns how many lines there were."""
    lines = 0

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal lines
        if event == "call":
            return trace if frame.f_code.co_filename.startswith(OURS) else None
        if event == "line":
            lines += 1
            if lines in wanted:
                signal.raise_signal(signal.SIGINT)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        stepper.step()
    except KeyboardInterrupt:
        pass  # the cell's
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.parametrize("presses", [1, 2, 50])
async def test_6_1_wherever_an_interrupt_comes_no_event_stays_half_executed(lived, presses):
    kernel = Kernel(newcomer(), lived)
    total = step_pressing_at(kernel.stepper, range(0))
    assert kernel.steps_soundly(lived)
    assert total > 300
    given_up = 0
    with interrupts_go_to(signal.default_int_handler):
        for first in range(1, total + 1, STRIDE):
            kernel = Kernel(newcomer(), lived)
            around = what_is_around()
            step_pressing_at(kernel.stepper, range(first, first + presses))
            assert what_is_around() == around, first
            assert not kernel.failed, first
            assert kernel.is_given_up or kernel.steps_soundly(lived), first
            given_up += kernel.is_given_up
    assert 0 < given_up < total / STRIDE, "some come in the middle, some do not"


def what_is_around() -> tuple[Any, ...]:
    """What a run of a model changes meanwhile."""
    return signal.getsignal(signal.SIGINT), sys.getrecursionlimit(), getcontext(), running_replica()


async def test_6_1_an_interrupt_that_the_model_catches_restores_the_replica_all_the_same(lived, teach, caplog):
    def heard(self, data):
        try:
            signal.raise_signal(signal.SIGINT)
            self.note("heard", data)
        except BaseException:
            self.note("something went wrong")

    kernel = Kernel(newcomer(), lived)
    teach(Board, heard=heard)
    with interrupts_go_to(signal.default_int_handler), pytest.raises(KeyboardInterrupt):
        kernel.stepper.step()
    assert kernel.is_given_up
    assert "Board.heard was interrupted in the middle of an event: the model is being restored" in caplog.text
