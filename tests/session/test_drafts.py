"""Rule 5.4 with real processes: what is killed a second after it saved has lost nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from msq_jupyter.session.session import SessionCore
from tests.session.models import Counter, EditedCounter
from tests.session.test_reconnect import Server

ROOT = Path(__file__).parents[2]

#: Saves twice, then waits to be killed; the second save would have its turn in ten minutes.
KERNEL = """
import asyncio, sys
from msq_jupyter.session.session import SessionCore
from tests.session.models import Counter
async def main():
    session = await SessionCore.join(app_id="test", name="room", password="pw", model=Counter,
        synchronizer=sys.argv[1], rejoin_limit_ms=float(sys.argv[2]), persist_interval_ms=600_000)
    session.publish("counter", "add", 1)
    await session.saved()
    session.publish("counter", "add", 2)
    await session.synced()
    await asyncio.Event().wait()
asyncio.run(main())
"""

#: Saves twice, and from then on a cell keeps the main loop: the first save is on its way when the second one is made.
BUSY_KERNEL = """
import asyncio, sys, time
from msq_jupyter.session.session import SessionCore
from tests.session.models import Counter
async def main():
    session = await SessionCore.join(app_id="test", name="room", password="pw", model=Counter,
        synchronizer=sys.argv[1], rejoin_limit_ms=float(sys.argv[2]), persist_interval_ms=600_000)
    session.publish("counter", "add", 1)
    await session.synced()
    session.publish("counter", "add", 2)
    while session.model.count < 3:
        time.sleep(0.001)
        session.step()
    time.sleep(600)
asyncio.run(main())
"""


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    server = Server(tmp_path)
    yield server
    server.end(signal.SIGTERM)


def stored(directory: Path, table: str) -> int:
    """How many rows there are, seen by another process than the synchronizer."""
    with contextlib.closing(sqlite3.connect(directory / "synchronizer.sqlite")) as file:
        (count,) = file.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(count)


async def run_a_kernel_and_kill_it(
    server: Server, directory: Path, rejoin_limit_ms: float, kernel_code: str = KERNEL
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    arguments = ("-c", kernel_code, server.url, str(rejoin_limit_ms))
    kernel = await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=ROOT, env=environment)
    try:
        while not stored(directory, "drafts"):  # what is waited for happens in other processes
            assert kernel.returncode is None
            await asyncio.sleep(0.02)
        assert stored(directory, "versions") == 1
    finally:
        kernel.kill()
        await kernel.wait()


async def join(server: Server, model: type) -> SessionCore:
    return await SessionCore.join(app_id="test", name="room", password="pw", synchronizer=server.url, model=model)


@pytest.mark.parametrize("rejoin_limit_ms", [0, 60_000], ids=["it has exited", "it is away"])
@pytest.mark.parametrize("synchronizer_dies", [False, True], ids=["kernel killed", "synchronizer killed too"])
async def test_5_4_edited_code_finds_what_the_only_kernel_had_saved_when_it_was_killed(
    server: Server, tmp_path: Path, synchronizer_dies: bool, rejoin_limit_ms: float
):
    await run_a_kernel_and_kill_it(server, tmp_path, rejoin_limit_ms)
    if synchronizer_dies:
        server.end(signal.SIGKILL)
        server.start()
    async with await join(server, EditedCounter) as edited:
        assert edited.model.count == 3
        versions = await edited.versions()
        assert [(version.number, version.parent) for version in versions] == [(1, 0), (2, 1)]
        assert versions[0].author == versions[1].author != ""
        async with await join(server, Counter) as resumed:  # the old code goes on, and has nothing to save
            assert (resumed.model.count, resumed.status.saved_state) == (3, "saved")
            assert resumed.status.saved_number == 2
        assert len(await edited.versions()) == 2


async def test_5_4_what_a_cell_keeps_the_main_loop_from_saving_is_uploaded_all_the_same(server: Server, tmp_path: Path):
    await run_a_kernel_and_kill_it(server, tmp_path, 0, BUSY_KERNEL)
    async with await join(server, EditedCounter) as edited:
        assert edited.model.count == 3
        assert [(version.number, version.parent) for version in await edited.versions()] == [(1, 0), (2, 1)]


async def test_5_4_the_same_code_finds_it_in_the_log_and_saves_it_once(server: Server, tmp_path: Path):
    await run_a_kernel_and_kill_it(server, tmp_path, 60_000)
    async with await join(server, Counter) as again:
        assert again.model.count == 3
        await again.saved()
        assert [version.number for version in await again.versions()] == [1, 2]
    assert (stored(tmp_path, "drafts"), stored(tmp_path, "versions")) == (0, 2)
