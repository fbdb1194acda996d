"""Cells of marimo, told by its own registry of what cells have made; `tests/browser/test_hosts.py` runs real ones."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from marimo._ast.app import AppKernelRunnerRegistry
from marimo._runtime.cell_lifecycle_registry import CellLifecycleRegistry
from marimo._runtime.context import types

from msq_jupyter.session import cells
from msq_jupyter.session.session import SessionCore
from tests.conftest import SynchronizerThread
from tests.session.models import Counter, EditedCounter
from tests.waiting import until


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A kernel of marimo that runs cell "c1" on this thread."""
    kernel = SimpleNamespace(cell_lifecycle_registry=CellLifecycleRegistry(), cell_id="c1")
    kernel.app_kernel_runner_registry = AppKernelRunnerRegistry()  # which apps ask that are collected meanwhile
    monkeypatch.setattr(types._THREAD_LOCAL_CONTEXT, "runtime_context", kernel)
    return kernel


def test_what_a_cell_made_ends_before_it_runs_again(kernel: Any) -> None:
    ended: list[str] = []
    running_in = cells.current()
    assert running_in is not None
    running_in.note(lambda: ended.append("c1"))
    kernel.cell_id = "c2"
    running_in.note(lambda: ended.append("c2"))
    kernel.cell_lifecycle_registry.dispose("c1", deletion=False)
    kernel.cell_lifecycle_registry.dispose("c1", deletion=False)
    assert ended == ["c1"]
    assert cells.current() is running_in


def test_what_no_cell_made_stays(kernel: Any) -> None:
    running_in = cells.current()
    assert running_in is not None
    other_thread = threading.Thread(target=lambda: running_in.note(pytest.fail))
    other_thread.start()
    other_thread.join()
    kernel.cell_id = None
    running_in.note(pytest.fail)
    assert kernel.cell_lifecycle_registry.registry == {}


async def test_5_4_joining_again_goes_on_with_the_edited_code(kernel: Any, synchronizer: SynchronizerThread) -> None:
    given: Any = {"app_id": "test", "name": "room", "password": "pw", "synchronizer": synchronizer.url}
    session = await SessionCore.join(model=Counter, **given)
    session.publish("counter", "add", 3)
    await session.saved()
    assert await SessionCore.join(model=EditedCounter, **given) is session
    assert session.model.count == 3
    assert len(session.participants) == 1
    await session.leave()


async def test_a_session_whose_kernel_was_a_thread_leaves_with_it(synchronizer: SynchronizerThread) -> None:
    given: Any = {"app_id": "test", "name": "room", "password": "pw", "synchronizer": synchronizer.url}

    async def join_and_go() -> None:
        await SessionCore.join(model=Counter, **given)

    async with await SessionCore.join(model=Counter, **given) as session:
        seen: list[int] = []
        session.frame_hooks.append(lambda: seen.append(len(session.participants)))
        kernel = threading.Thread(target=lambda: asyncio.run(join_and_go()))
        kernel.start()
        await asyncio.to_thread(kernel.join)
        await until(lambda: 2 in seen)
        await until(lambda: len(session.participants) == 1)
