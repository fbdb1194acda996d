"""A connection of bytes to a real synchronizer, and a witness that must notice nothing of what is done with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

from msq_jupyter.synchronizer.server import Synchronizer
from tests.synchronizer.conftest import Participant

REQUEST = (
    "GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
)
CLOSE, PING, PONG = 8, 9, 10


class Raw:
    """A connection of bytes; `witnessed` leaves none behind."""

    all: ClassVar[list[Raw]] = []

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.answer = b""
        Raw.all.append(self)

    @classmethod
    async def connect(cls, url: str) -> Raw:
        """A TCP connection, and nothing said."""
        host, port = url.removeprefix("ws://").split(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    @classmethod
    async def opened(cls, url: str, more: str = "") -> Raw:
        """After the handshake; `more` are lines of the request."""
        raw = await cls.connect(url)
        raw.writer.write(REQUEST.format(more=more).encode())
        raw.answer = await raw.reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in raw.answer
        return raw

    def say(self, *frames: bytes) -> None:
        """Send bytes."""
        self.writer.write(b"".join(frames))

    async def frame(self) -> tuple[int, bytes]:
        """The next frame: its opcode and what it says."""
        first, length = await self.reader.readexactly(2)
        if length >= 126:
            length = int.from_bytes(await self.reader.readexactly(2 if length == 126 else 8), "big")
        return first & 0x0F, await self.reader.readexactly(length)

    async def message(self) -> bytes:
        """The next message that is no control frame."""
        while (frame := await self.frame())[0] >= CLOSE:
            assert frame[0] != CLOSE, frame
        return frame[1]

    async def close_code(self) -> int:
        """Read to the end: the code that the other side closes with, 0 when it cuts the connection."""
        try:
            while (frame := await self.frame())[0] != CLOSE:
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0
        return int.from_bytes(frame[1][:2], "big") if frame[1] else 1005

    def drop(self) -> None:
        """End it without a word."""
        self.writer.transport.abort()


@asynccontextmanager
async def witnessed(directory: Path) -> AsyncIterator[tuple[Synchronizer, Participant]]:
    """A synchronizer, and a member that is there before and can send and hear afterwards, on the same connection."""
    async with Synchronizer(data_directory=directory / "data") as synchronizer:
        try:
            async with Participant(synchronizer.url, "witness") as witness:
                yield synchronizer, witness
                await witness.send(b"still here")
                await witness.read_until_event(b"still here")
        finally:
            for raw in Raw.all:
                raw.drop()
            await asyncio.gather(*(raw.writer.wait_closed() for raw in Raw.all), return_exceptions=True)
            Raw.all.clear()
