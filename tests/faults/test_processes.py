"""Real processes, `kill -9`, a real SQLite file: whatever dies at whatever step, what was acknowledged stays.

Ten saves are made while the kernel, the synchronizer or both die at a step that the seed chooses; then the synchronizer
is killed once more, and edited code comes. `make soak` plays as many seeds as you like.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import sys
from collections import Counter
from pathlib import Path

import pytest

from msq_jupyter.session.archive import Archive
from msq_jupyter.session.session import SessionCore
from msq_jupyter.stable import bytes_digest, content_bytes
from tests.faults.deadly import KERNEL_STEPS, SERVER_STEPS, Heir, is_whole
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
#: Seeds that one run of the tests plays at least: each step alone, and some with both.
SEEDS = len(SERVER_STEPS) + len(KERNEL_STEPS) + 8
#: No process takes so long, whatever else the machine does.
LIMIT_S = 90


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        first = metafunc.config.getoption("msq_seed")
        count = metafunc.config.getoption("msq_schedules") or SEEDS
        metafunc.parametrize("seed", range(first, first + count), ids=_name)


def steps_of(seed: int) -> tuple[str, str]:
    """At which step the synchronizer dies, and the kernel; "" for not at all."""
    place = seed % SEEDS
    if place < len(SERVER_STEPS):
        return SERVER_STEPS[place], ""
    if place < len(SERVER_STEPS) + len(KERNEL_STEPS):
        return "", KERNEL_STEPS[place - len(SERVER_STEPS)]
    draw = random.Random(f"both {seed}")
    return draw.choice(SERVER_STEPS), draw.choice(KERNEL_STEPS)


def _name(seed: int) -> str:
    server_step, kernel_step = steps_of(seed)
    names = (("synchronizer", server_step), ("kernel", kernel_step))
    return f"{seed}, " + ", ".join(f"{who} dies: {step}" for who, step in names if step)


class Process:
    """`python -m tests.faults.deadly …`; its lines are kept."""

    def __init__(self, *arguments: object) -> None:
        self._arguments = [str(argument) for argument in arguments]
        self.lines: list[str] = []

    async def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = (sys.executable, "-m", "tests.faults.deadly", *self._arguments)
        pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=environment, stdout=pipe, stderr=null
        )

    async def line(self) -> str:
        """The next line, "" when it is dead."""
        assert self._process.stdout is not None
        line = (await asyncio.wait_for(self._process.stdout.readline(), LIMIT_S)).decode().strip()
        self.lines.append(line)
        return line

    async def killed_itself(self) -> bool:
        """Whether it died at its step, and not in another way; waits for its end."""
        return await self._process.wait() == -signal.SIGKILL

    async def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


class Server:
    """A synchronizer that is started again, without a step to die at, whenever it is dead."""

    def __init__(self, directory: Path, step: str, nth: int) -> None:
        self._directory = directory
        self._step, self._nth, self._port = step, nth, free_port()
        self.deaths = 0
        self._is_up = asyncio.Event()

    async def __aenter__(self) -> Server:
        await self._start(self._step)
        self._keeper = asyncio.create_task(self._keep())
        return self

    async def _start(self, step: str) -> None:
        self._process = Process("server", self._directory, self._port, step, self._nth)
        await self._process.start()
        self.url = await self._process.line()
        assert self.url, "the synchronizer did not start"
        self._is_up.set()

    async def _keep(self) -> None:
        while True:
            assert await self._process.killed_itself()
            self._is_up.clear()
            self.deaths += 1
            await self._start("")

    async def kill(self) -> None:
        """Kill it; it is there again when this returns."""
        await self._is_up.wait()
        self._is_up.clear()
        with contextlib.suppress(ProcessLookupError):
            self._process._process.kill()
        await asyncio.wait_for(self._is_up.wait(), LIMIT_S)

    async def __aexit__(self, *_: object) -> None:
        self._keeper.cancel()
        await self._process.end()


async def play(seed: int, directory: Path) -> Counter[str]:
    """Play one seed; returns what died."""
    server_step, kernel_step = steps_of(seed)
    draw = random.Random(f"processes {seed}")
    async with Server(directory, server_step, draw.randint(1, 3)) as server:
        # Drafts are of those who save more often than versions are apart; and there are few of them.
        is_draft = kernel_step.startswith("draft")
        interval_ms = 60_000 if is_draft else 100 if kernel_step else draw.choice((100, 2_000))
        nth = 1 if is_draft else draw.randint(1, 2)
        kernel = Process("kernel", server.url, interval_ms, kernel_step, nth, 10)
        await kernel.start()
        try:
            while await kernel.line() not in ("", "end"):
                pass
        finally:
            await kernel.end()
        happened = Counter(kernel=kernel.lines[-1] == "", synchronizer=server.deaths)
        await server.kill()
        async with await SessionCore.join(
            app_id="faults", name="room", model=Heir, synchronizer=server.url, join_timeout_s=60
        ) as heir:
            loaded = heir.model.count
            await check(directory, server.url, kernel.lines, loaded)
    return happened


async def check(directory: Path, url: str, lines: list[str], loaded: int) -> None:
    """Compare what is stored, byte for byte, with what the kernel collected and was told."""
    words = [line.split() for line in lines]
    collected = {fields[1]: fields[2] for fields in words if fields[:1] == ["collected"]}
    acknowledged = {int(fields[1]) for fields in words if fields[:1] == ["stored"]}
    with contextlib.closing(sqlite3.connect(directory / "synchronizer.sqlite")) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        save_ids = dict(file.execute("SELECT number, save_id FROM versions"))
    async with Archive.open(app_id="faults", name="room", synchronizer=url) as archive:
        versions = await archive.versions()
        contents = {version.number: await archive.content(version.number) for version in versions}
    assert sorted(contents) == list(range(1, len(contents) + 1))
    assert acknowledged <= contents.keys()
    for number, data in contents.items():
        assert is_whole(data), f"version {number} is a mixture"
        assert bytes_digest(content_bytes(data)) == collected[save_ids[number]], (
            f"version {number} is not what was saved"
        )
    counts = [contents[number]["count"] for number in sorted(contents)]
    assert counts == sorted(counts)
    assert loaded == max(counts, default=0)
    if lines[-1] == "end":
        assert loaded == 10


async def test_5_6_whatever_dies_what_was_acknowledged_is_there(seed: int, tmp_path: Path):
    server_step, kernel_step = steps_of(seed)
    async with asyncio.timeout(LIMIT_S):
        happened = await play(seed, tmp_path)
    # Nobody died in vain: where there was a step, it was reached.
    assert bool(kernel_step and not server_step) <= bool(happened["kernel"]), happened
    assert bool(server_step and not kernel_step) <= bool(happened["synchronizer"]), happened
    assert happened["kernel"] or happened["synchronizer"]
