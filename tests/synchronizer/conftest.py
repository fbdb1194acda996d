"""Raw participants on real sockets, and real synchronizers for them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from msq_jupyter import protocol
from msq_jupyter.protocol import Block, Event, Join, Membership, Send, Tick, Welcome
from msq_jupyter.synchronizer.server import Synchronizer

T = TypeVar("T")

ROOT = Path(__file__).parents[2]


def a_join(view_id: str = "ada", **changes: Any) -> Join:
    join = Join(1, "session", "persistent", view_id, b"check", b"", 20.0, 1_000.0, "latest", "", 0)
    return msgspec.structs.replace(join, **changes)


class Participant:
    """A participant made of raw frames: it checks that the log it receives has no gap."""

    def __init__(self, url: str, view_id: str = "ada", **changes: object) -> None:
        self.url = url
        self.first = a_join(view_id, **changes)
        self.entries: list[protocol.Entry] = []
        self.counter = 0
        self.headers: dict[str, str] = {}
        self.told: list[str] = []  # why connections before were cut
        self.time_ms = 0.0

    async def __aenter__(self) -> Participant:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.socket.close()

    async def connect(self) -> Welcome:
        """Join, for the first time or again with what we have."""
        self.socket: ClientConnection = await connect(
            self.url,
            additional_headers=self.headers,
            compression=None,
            max_size=protocol.FRAME_BYTES_MAX,
            proxy=None,
        )
        await self.say(self.first)
        try:
            self.welcome = await self.next_of(Welcome)
        except ConnectionClosed as closed:
            if closed.rcvd is None or closed.rcvd.code != protocol.UNREAD_CLOSE_CODE:
                raise
            self.told.append(closed.rcvd.reason)
            return await self.connect()
        if not self.welcome.resumed:
            self.entries = []
            self.start_seq = self.welcome.after_seq
        self.first = msgspec.structs.replace(
            self.first, have_run=self.welcome.run, have_seq=self.start_seq + len(self.entries)
        )
        return self.welcome

    async def say(self, message: protocol.Message) -> None:
        await self.socket.send(protocol.encode(message))

    async def send(self, *payloads: bytes) -> None:
        events = list(enumerate(payloads, self.counter + 1))
        self.counter += len(payloads)
        await self.say(Send(events))

    async def next(self) -> protocol.Down:
        """The next message; entries and times in it are checked and kept."""
        message = protocol.decode_down(await self.socket.recv())
        if isinstance(message, Block):
            assert len(message.entries) <= protocol.BLOCK_ENTRIES_MAX
            for raw in message.entries:
                entry = protocol.decode_entry(raw)
                assert entry.seq == self.start_seq + len(self.entries) + 1
                self._check_time(entry.time_ms)
                self.entries.append(entry)
            self.first = msgspec.structs.replace(self.first, have_seq=self.start_seq + len(self.entries))
        elif isinstance(message, Tick):
            self._check_time(message.time_ms)
        return message

    async def next_of(self, kind: type[T]) -> T:
        while True:
            message = await self.next()
            if isinstance(message, kind):
                return message

    async def read_until_closed(self) -> str:
        """Read what still comes; the reason the other side gives."""
        try:
            while True:
                await self.next()
        except ConnectionClosed as closed:
            return closed.rcvd.reason if closed.rcvd else ""

    async def read_until_event(self, payload: bytes) -> None:
        while payload not in self.payloads():
            await self.next()

    async def read_until_exit(self, view_id: str) -> None:
        while view_id not in self.exits():
            await self.next()

    async def read_until_joined(self) -> None:
        while not any(self.first.view_id == view_id for view_id, _ in self.joins()):
            await self.next()

    def payloads(self) -> list[bytes]:
        return [entry.payload for entry in self.entries if isinstance(entry, Event)]

    def joins(self) -> list[tuple[str, bytes]]:
        return [join for entry in self.entries if isinstance(entry, Membership) for join in entry.joins]

    def exits(self) -> list[str]:
        return [view_id for entry in self.entries if isinstance(entry, Membership) for view_id in entry.exits]

    def _check_time(self, time_ms: float) -> None:
        assert time_ms >= self.time_ms
        self.time_ms = time_ms


class Process:
    """A real `msq serve`."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "msq_jupyter.cli", "serve", *arguments],
            stdin=subprocess.DEVNULL,  # else it is a terminal where these tests are run in one
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self.process.stdout
        self.url = self.process.stdout.readline().strip()

    @property
    def port(self) -> str:
        return self.url.rpartition(":")[2]

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Send a signal, wait; exit code, the rest of stdout, stderr."""
        self.process.send_signal(number)
        stdout, stderr = self.process.communicate()
        return self.process.returncode, stdout, stderr


class Processes:
    """Starts processes and leaves none behind."""

    def __init__(self) -> None:
        self.all: list[Process] = []

    def start(self, *arguments: str) -> Process:
        process = Process(*arguments)
        self.all.append(process)
        return process

    def end_all(self) -> None:
        for process in self.all:
            if process.process.poll() is None:
                process.end(signal.SIGKILL)
            for stream in (process.process.stdout, process.process.stderr):
                assert stream
                stream.close()


@pytest.fixture
def processes() -> Iterator[Processes]:
    processes = Processes()
    yield processes
    processes.end_all()


@pytest.fixture
async def synchronizer(tmp_path: Path) -> AsyncIterator[Synchronizer]:
    async with Synchronizer(data_directory=tmp_path / "data") as synchronizer:
        yield synchronizer
