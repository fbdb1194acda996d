"""What plays the members: bare connections that send events and count those that come, the same for every server.

An event is 100 bytes that begin with a mark and the time it was sent at, wherever in a frame a server puts them. The
bytes that come are searched for marks and not parsed, so counting costs nearly the same whatever the server sends.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections.abc import Callable

EVENT_BYTES = 100
_MARK = re.compile(rb"<ev>([0-9a-f]{16})")
_MARK_BYTES = 20


def event() -> bytes:
    """100 bytes of ASCII, with the time in them."""
    return b"<ev>%016x" % time.monotonic_ns() + b"." * (EVENT_BYTES - _MARK_BYTES)


def frame_of(message: bytes) -> bytes:
    """A masked WebSocket frame; a mask of zeros leaves the bytes as they are."""
    size = len(message)
    head = bytes([0x82, 0x80 | size]) if size < 126 else b"\x82\xfe" + size.to_bytes(2, "big")
    return head + bytes(4) + message


class Member(asyncio.Protocol):
    """One connection.

    Args:
        greeting: what is sent once the connection stands.
        path: what is asked for by HTTP; None for bare TCP.

    Attributes:
        count: how many events have come.
        latencies_ms: of each event, from its sending to here, if `times` was set.
        on_events: called when some have come.
    """

    def __init__(self, greeting: bytes, path: str | None) -> None:
        self._greeting, self._path = greeting, path
        self._rest = b""
        self._is_open = path is None
        self.ready = asyncio.get_running_loop().create_future()
        self.count = 0
        self.times = False
        self.is_done = False
        self.latencies_ms: list[float] = []
        self.on_events: Callable[[], None] = lambda: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self._path is None:
            self.ready.set_result(None)
            return
        lines = (
            f"GET {self._path} HTTP/1.1",
            "Host: 127.0.0.1",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
        )
        transport.write("\r\n".join([*lines, "", ""]).encode())

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        if not self._is_open:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._rest = data
                return
            if b" 101 " not in data[:20]:
                self.ready.set_exception(RuntimeError(f"expected a WebSocket, got {data[:end]!r}"))
                self.is_done = True
                self.transport.close()
                return
            self._is_open = True
            data = data[end + 4 :]
            if self._greeting:
                self.transport.write(self._greeting)
            self.ready.set_result(None)
        # One byte less than a mark is kept: no mark is seen twice, and none is missed.
        self._rest = data[-_MARK_BYTES + 1 :]
        stamps = _MARK.findall(data)
        if stamps:
            self.count += len(stamps)
            if self.times:
                now_ns = time.monotonic_ns()
                self.latencies_ms += [(now_ns - int(stamp, 16)) / 1e6 for stamp in stamps]
            self.on_events()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(RuntimeError(f"a server ended a connection before it stood: {error}"))
        elif not self.is_done:
            print(f"a server ended a connection: {error}, after {self.count} events", file=sys.stderr)


class Crowd:
    """Members of one session: one that only listens, and others that send in turn.

    Args:
        members: all of them, the listener first.
        wrap: makes of a sender's place, the number of its event (from 1) and an event what goes over the connection.
    """

    def __init__(self, members: list[Member], wrap: Callable[[int, int, bytes], bytes]) -> None:
        self.listener, *self._senders = members
        self._members, self._wrap = members, wrap
        self._sent = [0] * len(self._senders)
        self._next = 0

    @property
    def delivered(self) -> int:
        """Events that came to anybody."""
        return sum(member.count for member in self._members)

    def _send_one(self) -> None:
        place = self._next
        self._next = (place + 1) % len(self._senders)
        self._sent[place] += 1
        self._senders[place].transport.write(self._wrap(place, self._sent[place], event()))

    async def send_as_fast_as_they_come(self, count: int, window: int) -> None:
        """Send so many events, at most `window` of which the listener has not got yet."""
        done = asyncio.get_running_loop().create_future()
        start = self.listener.count
        sent = 0

        def top_up() -> None:
            nonlocal sent
            got = self.listener.count - start
            while sent < count and sent - got < window:
                self._send_one()
                sent += 1
            if got >= count and not done.done():
                done.set_result(None)

        self.listener.on_events = top_up
        top_up()
        await done
        self.listener.on_events = lambda: None
        await self._settled()

    async def send_evenly(self, count: int, per_second: float) -> list[float]:
        """Send so many events at an even pace; gives the latency of each at the listener, in milliseconds."""
        loop = asyncio.get_running_loop()
        self.listener.times, self.listener.latencies_ms = True, []
        begin_s = loop.time()
        for number in range(count):
            wait_s = begin_s + number / per_second - loop.time()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            self._send_one()
        await self._settled()
        self.listener.times = False
        if len(self.listener.latencies_ms) != count:
            raise RuntimeError(f"expected {count} events, {len(self.listener.latencies_ms)} came")
        return self.listener.latencies_ms

    async def _settled(self) -> None:
        before = -1
        while before != self.delivered:
            before = self.delivered
            await asyncio.sleep(0.5)

    def close(self) -> None:
        """End every connection."""
        for member in self._members:
            member.is_done = True
            member.transport.close()


async def gather(port: int, size: int, path: str | None, greeting: Callable[[int], bytes]) -> list[Member]:
    """Connect so many members; the greeting is made for each by its place."""
    loop = asyncio.get_running_loop()
    members = []
    for place in range(size):

        def make(place: int = place) -> Member:
            return Member(greeting(place), path)

        _, member = await loop.create_connection(make, "127.0.0.1", port)
        members.append(member)
        if place == 0:
            # pycrdt-websocket makes two rooms of one name for two that come at once.
            await member.ready
            await asyncio.sleep(0.3)
    await asyncio.gather(*(member.ready for member in members))
    await asyncio.sleep(0.3)  # until each has been greeted
    return members
