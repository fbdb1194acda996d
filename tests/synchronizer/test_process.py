"""The process of a synchronizer: which event loop it runs on."""

from __future__ import annotations

import asyncio
import sys

import pytest

from msq_jupyter.synchronizer.process import run


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
