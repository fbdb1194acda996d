"""Interrupting the kernel while a model runs: no event stays half executed, and none can hold everybody for ever."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import time
from typing import Any

import pytest

from msq_jupyter.errors import EventNeverEnds, ModelInitError, SessionClosed
from msq_jupyter.runtime.link import link
from msq_jupyter.runtime.link_classes import ClassMaker
from msq_jupyter.runtime.model import Model
from msq_jupyter.session.interrupts import ModelRun
from msq_jupyter.session.mistakes import ENDLESS_S, Mistakes
from msq_jupyter.session.story import Story
from tests.waiting import until


@pytest.fixture(autouse=True)
def unsealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tests put methods that are interrupted into linked classes."""
    monkeypatch.setattr(ClassMaker, "seal", lambda self: None)


@contextlib.contextmanager
def interrupts_go_to(handler: Any):
    """As in a kernel that runs a cell (`default_int_handler`), or none (`SIG_IGN`)."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _step_for(session, duration_s: float) -> None:
    deadline_s = time.monotonic() + duration_s
    while time.monotonic() < deadline_s:
        session.step()


async def test_6_1_an_interrupt_in_the_middle_of_an_event_restores_the_replica(join, monkeypatch):
    ada, ben = await join(rejoin_limit_ms=60_000), await join()
    ben.publish("counter", "add", 1)
    await until(lambda: ada.model.count == 1)
    save = type(ada._replica.root).save

    def interrupted(self):
        if self == ada.model:
            monkeypatch.setattr(type(ada._replica.root), "save", save)
            raise KeyboardInterrupt
        save(self)

    monkeypatch.setattr(type(ada._replica.root), "save", interrupted)
    half_done = ada.model
    ben.publish("counter", "add", 1)
    with interrupts_go_to(signal.default_int_handler), pytest.raises(KeyboardInterrupt):
        _step_for(ada, 20)
    assert half_done.count == 2
    ben.publish("counter", "add", 1)
    ada.publish("counter", "add", 1)
    await until(lambda: ada.model is not half_done and ada.model.count == ben.model.count == 4)
    await ada.synced()
    assert ada.is_live
    assert len(ben.participants) == 2


def hang_in_save(session: Any, monkeypatch: pytest.MonkeyPatch, *, times: int = 1_000) -> list[str]:
    """Have the user press the button in the middle of `save`, as often as it is called in this kernel."""
    kind = type(session._replica.root)
    whole, pressed = kind.save, []

    def save(self):
        if self._replica().view_events is session.view_events and len(pressed) < times:
            pressed.append(self.id)
            signal.raise_signal(signal.SIGINT)
        whole(self)

    monkeypatch.setattr(kind, "save", save)
    return pressed


async def test_6_1_a_kernel_that_runs_no_cell_can_be_interrupted_in_a_model(join, monkeypatch, caplog):
    ada, ben = await join(rejoin_limit_ms=60_000), await join()
    pressed = hang_in_save(ada, monkeypatch, times=1)
    half_done = ada.model
    with interrupts_go_to(signal.SIG_IGN):
        ben.publish("counter", "add", 1)
        await until(lambda: ada.model is not half_done and ada.model.count == 1)
    assert pressed == ["M1"]
    assert "Counter.save was interrupted in the middle of an event: the model is being restored" in caplog.text
    ada.publish("counter", "add", 1)
    await ada.synced()
    assert ada.model.count == 2


async def test_6_1_the_interrupt_goes_on_to_who_would_have_had_it(join, monkeypatch):
    ada = await join(rejoin_limit_ms=60_000)
    hang_in_save(ada, monkeypatch, times=1)
    half_done, got = ada.model, []
    with interrupts_go_to(lambda number, _: got.append(number)):
        ada.publish("counter", "add", 1)
        await until(lambda: ada.model is not half_done and ada.model.count == 1)
    assert got == [signal.SIGINT]


async def test_6_1_an_event_that_never_ends_ends_the_session_of_who_interrupts_it_twice(
    join, monkeypatch, synchronizer
):
    ada, ben = await join(rejoin_limit_ms=60_000), await join()
    pressed = hang_in_save(ada, monkeypatch)
    with interrupts_go_to(signal.SIG_IGN):
        ben.publish("counter", "add", 1)
        await until(lambda: ada.error is not None)
    assert pressed == ["M1"] * 2
    assert isinstance(ada.error, EventNeverEnds)
    assert str(ada.error).startswith("Counter.save was interrupted twice in the same event, which may never end.")
    with pytest.raises(SessionClosed, match="mend the method, run its cell, and join again"):
        ada.publish("counter", "add", 1)
    await until(lambda: ben.model.count == 1)

    def save(self):
        signal.raise_signal(signal.SIGINT)

    def stuck(identity):
        code = link(identity)
        code.root.save = save
        return code

    monkeypatch.setattr("msq_jupyter.session.session.link", stuck)  # a newcomer is stuck there, too, and is told
    with interrupts_go_to(signal.SIG_IGN), pytest.raises(EventNeverEnds, match="interrupted twice"):
        await join(code_hash=ben.code_hash)
    assert ben.is_live


class NeverThere(Model):
    def init(self, options):
        raise SystemExit(3)


async def test_2_6_an_init_that_exits_fails_the_join_and_not_the_kernel(join):
    with pytest.raises(ModelInitError, match=r"NeverThere\.init failed with SystemExit: 3"):
        await join(NeverThere)


def test_6_1_a_model_that_runs_long_is_told_of_once_with_its_method(caplog):
    mistakes = Mistakes(Story(), always_check=False)
    for running_s in (0.1, ENDLESS_S + 1, ENDLESS_S + 2, 0.0, ENDLESS_S + 1):
        mistakes.tell_if_endless(running_s, lambda: "Board.spin")
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    line = "Board.spin has been running for 6 s, and nothing else can: interrupt the kernel if it should not"
    assert told == [line, line]


async def test_6_1_the_method_that_runs_can_be_named(join, monkeypatch):
    ada = await join()
    kind, seen = type(ada._replica.root), []
    monkeypatch.setattr(kind, "save", lambda self: seen.append(ada._stepper.running_method))
    ada.publish("counter", "add", 1)
    await ada.synced()
    assert seen == ["Counter.<lambda>"]
    assert ada._stepper.running_method == ""
    assert ada._stepper.running_s == 0


def test_3_3_a_recursion_ends_at_the_same_depth_whatever_the_notebook_does():
    def dive() -> int:
        try:
            return 1 + dive()
        except RecursionError:
            return 0

    def from_depth(levels: int) -> int:
        if levels:
            return from_depth(levels - 1)
        with ModelRun():
            return dive()

    depths = {from_depth(levels) for levels in (0, 1, 100, 300)}
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(5_000)
        depths.add(from_depth(0))
        assert sys.getrecursionlimit() == 5_000
    finally:
        sys.setrecursionlimit(limit)
    assert len(depths) == 1


@pytest.mark.parametrize(("error", "why"), [(RecursionError, "how deep it got"), (MemoryError, "with more memory")])
def test_3_3_an_error_that_depends_on_the_kernel_says_so(error, why):
    mistakes = Mistakes(Story(), always_check=False)
    mistakes.report("Board", "dive", error("too much"))
    assert mistakes.notice.startswith(f"Board.dive: {error.__name__}: too much; ")
    assert why in mistakes.notice
