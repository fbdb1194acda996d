"""A TCP proxy between members and synchronizer, in which connections fall silent, lag, trickle or break."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]

CHUNK_BYTES = 64 * 1024
#: What the proxy takes at once from a connection whose reader is slow, and how often.
TRICKLE_BYTES, TRICKLE_S = 4 * 1024, 0.1
#: Small, so that what a slow reader leaves unread soon waits in the synchronizer, not in the system.
RECEIVE_BUFFER_BYTES = 64 * 1024


class Pipe:
    """One direction of a connection.

    Attributes:
        is_open: while it is not set, nothing passes, and nobody is told.
        delay_s: what passes comes so much later.
        is_slow: it is read by `TRICKLE_BYTES` each `TRICKLE_S`.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.is_open = asyncio.Event()
        self.clear()

    def clear(self) -> None:
        """Pass everything on at once."""
        self.is_open.set()
        self.delay_s = 0.0
        self.is_slow = False

    async def run(self) -> None:
        """Pass bytes on until either side ends."""
        while data := await self._reader.read(TRICKLE_BYTES if self.is_slow else CHUNK_BYTES):
            if self.is_slow:
                await asyncio.sleep(TRICKLE_S)
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            await self.is_open.wait()
            self._writer.write(data)
            await self._writer.drain()


class Link:
    """A connection of one member: `up` to the synchronizer, `down` from it."""

    def __init__(self, member: Stream, there: Stream) -> None:
        self._writers = member[1], there[1]
        self.up, self.down = Pipe(member[0], there[1]), Pipe(there[0], member[1])

    async def run(self) -> None:
        """Pass bytes on both ways; when one way ends, both do."""
        ways = {asyncio.create_task(self.up.run()), asyncio.create_task(self.down.run())}
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for writer in self._writers:
                writer.close()

    def clear(self) -> None:
        """Let it be a good connection again."""
        self.up.clear()
        self.down.clear()

    def cut(self, *, is_reset: bool) -> None:
        """End it on both sides, in good order or by a reset."""
        for writer in self._writers:
            if writer.transport.is_closing():
                continue
            if is_reset:
                ended = writer.get_extra_info("socket")
                ended.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


class Proxy:
    """Passes connections on to a port of this machine, which may change hands meanwhile.

    Attributes:
        links: the open ones.
    """

    def __init__(self, port_there: Callable[[], int]) -> None:
        self._port_there = port_there
        self.links: set[Link] = set()
        self._passing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0, backlog=1_000)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for link in self.links:
            link.cut(is_reset=True)
        await asyncio.gather(*self._passing, return_exceptions=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = socket.socket()
        there.setblocking(False)
        there.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        try:
            await asyncio.get_running_loop().sock_connect(there, ("127.0.0.1", self._port_there()))
        except OSError:  # nobody listens there just now
            there.close()
            writer.close()
            return
        link = Link((reader, writer), await asyncio.open_connection(sock=there))
        passing = asyncio.current_task()
        assert passing is not None
        self._passing.add(passing)
        self.links.add(link)
        try:
            with contextlib.suppress(OSError):
                await link.run()
        finally:
            self.links.discard(link)
            self._passing.discard(passing)
