"""The process of a synchronizer: which event loop it runs on."""

from __future__ import annotations

import asyncio
import sys
from types import SimpleNamespace

import pytest

from msq_jupyter.synchronizer.process import run
from msq_jupyter.synchronizer.room import Room


def loop_module() -> str:
    names: list[str] = []

    async def name_it() -> None:
        names.append(type(asyncio.get_running_loop()).__module__)

    run(name_it())
    return names[0]


def test_it_runs_on_uvloop_where_that_is_installed():
    pytest.importorskip("uvloop")
    assert loop_module() == "uvloop"


def test_it_runs_without_uvloop(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert loop_module().startswith("asyncio")


@pytest.mark.parametrize("deadline_ms", [0.0, 1e12], ids=["over", "to come"])
def test_a_deadline_that_is_over_is_a_timer_like_any_other(deadline_ms):
    """For a delay of 0, uvloop's timers are not timers."""
    pytest.importorskip("uvloop")
    room = Room(SimpleNamespace(last_seq=0, next_deadline_ms=lambda: deadline_ms), None, None, lambda _: None)

    async def start() -> None:
        room._start_timer()
        room._start_timer()
        room._stop_timer()

    run(start())
