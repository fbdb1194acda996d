"""The processes of a soak: a synchronizer, which is killed and started again on its port, and those of members."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.ports import free_port

ROOT = Path(__file__).parents[2]
LINE_BYTES_MAX = 2**24
#: Told who said a line, its level, and its text.
Log = Callable[[str, str, str], None]


class Ended(Exception):
    """A process has ended before it answered."""


async def python(module: str, *arguments: object) -> asyncio.subprocess.Process:
    """Start a module of this folder in a process of its own, with all warnings shown."""
    # With an arena of `malloc` for each of a hundred threads, what is kept for later hides what is in use.
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MALLOC_ARENA_MAX": "1"}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "default", "-m", f"tests.soak.{module}", *map(str, arguments)),
        cwd=ROOT,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LINE_BYTES_MAX,
    )


async def frozen(process: asyncio.subprocess.Process, time_s: float) -> None:
    """Let a process stand still for a while, as a laptop that sleeps does."""
    process.send_signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(time_s)
    finally:
        process.send_signal(signal.SIGCONT)


class Server:
    """A synchronizer. `start` may be called whenever it is dead, and opens the same data at the same port."""

    def __init__(self, directory: Path, log: Log) -> None:
        self._directory, self._log = directory, log
        self.port = free_port()

    async def start(self) -> None:
        self.process = await python("server", "--port", self.port, "--data", self._directory, "--log-format", "json")
        self._holds: asyncio.Future[dict[str, int]] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read())
        assert self.process.stdout is not None
        line = (await self.process.stdout.readline()).decode().strip()
        if line != f"ws://127.0.0.1:{self.port}":
            await self.end(signal.SIGKILL)
            raise AssertionError(f"the synchronizer did not start: {line!r}, and the log says why")

    async def end(self, number: signal.Signals) -> int:
        """Send it a signal that ends it; its exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        await self._reading
        return await self.process.wait()

    async def holds(self) -> dict[str, int]:
        """What it has in memory, and open."""
        self._holds = asyncio.get_running_loop().create_future()
        self.process.send_signal(signal.SIGUSR1)
        return await self._holds

    async def members(self) -> int:
        """How many are connected, as it says itself."""
        url = f"http://127.0.0.1:{self.port}/metrics"
        text = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read().decode())
        return next(int(float(line.split()[1])) for line in text.splitlines() if line.startswith("msq_members "))

    async def _read(self) -> None:
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            try:
                said = json.loads(line)
            except ValueError:
                self._log("server", "stderr", line.decode(errors="replace").rstrip())
                continue
            if "holds" in said:
                self._holds.set_result(said["holds"])
            else:
                self._log("server", said["level"], said["message"] + said.get("exception", ""))


class Members:
    """A process with members; `ask` calls a method of `tests.soak.members.Crowd`."""

    def __init__(self, *arguments: object, log: Log) -> None:
        self._arguments, self._log = arguments, log
        self._asked = 0
        self._answers: dict[int, asyncio.Future[Any]] = {}

    async def start(self) -> None:
        self.process = await python("members", *self._arguments)
        self._reading = asyncio.gather(self._read_answers(), self._read_errors())

    async def ask(self, command: str, *arguments: object) -> Any:
        """Have it do something; what that returns.

        Raises:
            Ended: it has ended, or ends before.
            AssertionError: with the traceback, if it fails there.
        """
        assert self.process.stdin is not None
        if self.process.stdin.is_closing() or self.process.returncode is not None:
            raise Ended
        self._asked += 1
        answer = self._answers[self._asked] = asyncio.get_running_loop().create_future()
        self.process.stdin.write(json.dumps([self._asked, command, *arguments]).encode() + b"\n")
        return await answer

    async def end(self) -> None:
        """Kill it."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self._reading
        await self.process.wait()

    async def _read_answers(self) -> None:
        assert self.process.stdout is not None
        while (line := await self.process.stdout.readline()).endswith(b"\n"):
            kind, *words = json.loads(line)
            if kind == "log":
                self._log("member", *words)
                continue
            number, content = words
            answer = self._answers.pop(number)
            if not answer.cancelled():
                answer.set_result(content) if kind == "answer" else answer.set_exception(AssertionError(content))
        for answer in self._answers.values():
            if not answer.cancelled():
                answer.set_exception(Ended())
        self._answers.clear()

    async def _read_errors(self) -> None:
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            self._log("member", "stderr", line.decode(errors="replace").rstrip())
