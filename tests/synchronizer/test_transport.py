"""Connections on real sockets, on both event loops: what the library's own server would do, and what ours adds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from msq_jupyter.synchronizer.transport import (
    UNREAD_ANSWERS_BYTES_MAX,
    UNTAKEN_BYTES_MAX,
    WRITE_BYTES_HIGH,
    Connection,
    Server,
    Settings,
    framed,
)
from tests.waiting import until

Test = Callable[[], Awaitable[None]]
#: What the raw connections of these tests ask.
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Test], None]:
    """Runs a test on an event loop."""
    if request.param == "asyncio":
        return lambda test: asyncio.run(test())  # type: ignore[arg-type]
    uvloop = pytest.importorskip("uvloop")
    return lambda test: uvloop.run(test())


async def echo(connection: Connection) -> None:
    async for message in connection:
        assert isinstance(message, bytes)
        await connection.send(message)


@asynccontextmanager
async def serving(handler: Callable[[Connection], Awaitable[None]] = echo, **settings: Any) -> Any:
    """A server that listens, and where."""
    server = Server(handler, Settings(**{"origins": [None], "close_timeout": 1.0, **settings}))
    await server.listen("127.0.0.1", 0)
    try:
        yield server, f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()
        assert not server.connections


async def raw(url: str, first: bytes = REQUEST) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(first)
    return reader, writer


async def raw_open(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await raw(url)
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, length = await reader.readexactly(2)
    return first & 0x0F, await reader.readexactly(length)


def masked(opcode: Opcode, data: bytes = b"") -> bytes:
    return Frame(opcode, data).serialize(mask=True)


# --- messages ----------------------------------------------------------------------------------------------------


def test_messages_of_any_size_come_back_in_order(run: Callable[[Test], None]) -> None:
    async def test() -> None:
        async with serving(max_size=3_000_000) as (_, url), connect(url, proxy=None, max_size=None) as client:
            sent = [bytes(size) for size in (0, 1, 125, 126, 65_535, 65_536, 2_500_000, 3)]
            sending = asyncio.gather(*(client.send(message) for message in sent))
            assert [await client.recv() for _ in sent] == sent
            await sending
            await client.send(iter([b"in ", b"three ", b"pieces"]))
            assert await client.recv() == b"in three pieces"

    run(test)


def test_all_that_has_come_is_had_at_once(run: Callable[[Test], None]) -> None:
    async def test() -> None:
        together: list[list[bytes | str]] = []
        go = asyncio.Event()

        async def handler(connection: Connection) -> None:
            await go.wait()
            together.append(await connection.receive())

        async with serving(handler) as (_, url):
            _, writer = await raw_open(url)
            writer.write(masked(Opcode.BINARY, b"1") + masked(Opcode.BINARY, b"2") + masked(Opcode.TEXT, b"3"))
            await writer.drain()
            await asyncio.sleep(0)
            go.set()
            await until(lambda: bool(together))
            writer.close()
        assert together == [[b"1", b"2", "3"]]

    run(test)


def test_frames_right_behind_the_request_are_read(run: Callable[[Test], None]) -> None:
    async def test() -> None:
        async with serving() as (_, url):
            early = masked(Opcode.BINARY, b"\r\n\r\n") + masked(Opcode.BINARY, b"early")
            for cut in (len(REQUEST) - 2, len(REQUEST) + 3, len(REQUEST + early)):
                reader, writer = await raw(url, (REQUEST + early)[:cut])
                await asyncio.sleep(0)
                writer.write((REQUEST + early)[cut:])
                await reader.readuntil(b"\r\n\r\n")
                assert await read_frame(reader) == (Opcode.BINARY, b"\r\n\r\n")
                assert await read_frame(reader) == (Opcode.BINARY, b"early")
                writer.close()

    run(test)


@pytest.mark.parametrize("size", [1_001, 70_000])
def test_a_message_that_is_too_large_ends_its_connection(run: Callable[[Test], None], size: int) -> None:
    async def test() -> None:
        async with serving(max_size=1_000) as (_, url), connect(url, proxy=None) as client:
            await client.send(bytes(size))
            with pytest.raises(ConnectionClosedError, match="1009"):
                await client.recv()

    run(test)


def test_nobody_gets_compression(run: Callable[[Test], None]) -> None:
    async def test() -> None:
        async with serving() as (_, url), connect(url, proxy=None, compression="deflate") as client:
            assert client.response is not None
            assert "Sec-WebSocket-Extensions" not in client.response.headers

    run(test)


# --- too much ----------------------------------------------------------------------------------------------------


def test_who_does_not_take_messages_is_not_read_from(run: Callable[[Test], None]) -> None:
    async def test() -> None:
        held: list[Connection] = []
        go = asyncio.Event()
        taken = 0

        async def handler(connection: Connection) -> None:
            nonlocal taken
            held.append(connection)
            await go.wait()
            while messages := await connection.receive():
                taken += len(messages)

        async with serving(handler) as (_, url):
            _, writer = await raw_open(url)
            frame = masked(Opcode.BINARY, bytes(1_000))
            # More than all buffers between hold.
            writer.write(frame * 30_000)
            await until(lambda: bool(held and held[0]._reading_paused))
            for _ in range(100):
                await asyncio.sleep(0)
            assert held[0]._untaken_bytes < UNTAKEN_BYTES_MAX + 1024 * 1024
            go.set()
            await writer.drain()
            await until(lambda: taken == 30_000)
            writer.close()

    run(test)


def test_sending_waits_for_who_does_not_read(run: Callable[[Test], None]) -> None:
    async def test() -> None:
        sent, largest = 0, 0

        async def handler(connection: Connection) -> None:
            nonlocal sent, largest
            while connection.is_open:
                largest = max(largest, connection.transport.get_write_buffer_size())
                try:
                    await connection.send(bytes(50_000))
                except ConnectionClosed:
                    return
                sent += 1

        async with serving(handler) as (server, url):
            _, writer = await raw_open(url)
            before = -1
            while before != sent:
                before = sent
                for _ in range(200):
                    await asyncio.sleep(0)
            assert largest <= WRITE_BYTES_HIGH + 50_100
            # It waits in `send`, and the end of the connection ends that.
            for connection in server.connections:
                connection.transport.abort()
            writer.close()

    run(test)


def test_who_asks_for_answers_and_reads_none_is_cut(run: Callable[[Test], None]) -> None:
    async def test() -> None:
        async with serving() as (server, url):
            reader, writer = await raw_open(url)
            reader._transport.pause_reading()  # type: ignore[attr-defined]
            (connection,) = server.connections
            largest = 0
            with suppress(ConnectionError):
                while not connection.lost.done():
                    writer.write(masked(Opcode.PING, bytes(125)) * 1_000)
                    await writer.drain()
                    largest = max(largest, connection.transport.get_write_buffer_size())
            await until(lambda: not server.connections)
            assert largest < UNREAD_ANSWERS_BYTES_MAX + 1024 * 1024
            writer.close()

    run(test)


def test_write_says_what_is_unread_and_is_silent_after_the_end(run: Callable[[Test], None]) -> None:
    async def test() -> None:
        unread: list[int] = []

        async def handler(connection: Connection) -> None:
            while not unread or unread[-1] < 1_000_000:
                unread.append(connection.write(framed(bytes(100_000))))
            connection.transport.abort()
            await connection.wait_closed()
            unread.append(connection.write(framed(b"more")))
            assert connection.state is State.CLOSED
            with pytest.raises(ConnectionClosed):
                await connection.send(b"more")
            with pytest.raises(ConnectionClosed):
                await connection.recv()

        async with serving(handler) as (server, url):
            _, writer = await raw_open(url)
            await until(lambda: not server._tasks)
            writer.close()
        assert unread[-1] == 0

    run(test)


# --- before the handshake ----------------------------------------------------------------------------------------


def answer_of_the_library(request_bytes: bytes) -> bytes:
    """The status line; it differs between versions of the library."""
    protocol = ServerProtocol(origins=[None])
    protocol.receive_data(request_bytes)
    for event in protocol.events_received():
        assert isinstance(event, Request)
        protocol.send_response(protocol.accept(event))
    return b"".join(protocol.data_to_send()).partition(b"\r\n")[0]


@pytest.mark.parametrize(
    "request_bytes",
    [
        REQUEST.replace(b"Host", b"Origin: https://example.org\r\nHost"),
        REQUEST.replace(b"Upgrade: websocket\r\n", b""),
        REQUEST.replace(b"GET", b"POST"),
        REQUEST.replace(b"Version: 13", b"Version: 12"),
        REQUEST.replace(b"Host: here", b"Host: " + b"x" * 10_000),
        REQUEST.replace(b"GET /", b"GET /" + b"x" * 10_000),
        b"\x16\x03\x01\x00\xa5\x01\r\n\r\n",
        b"GET / HTTP/1.1\n\n\r\n\r\n",
    ],
    ids=["origin", "no upgrade", "method", "version", "long header", "long path", "TLS", "lines"],
)
def test_what_is_no_request_of_ours_gets_the_librarys_answer_and_an_end(
    run: Callable[[Test], None], request_bytes: bytes
) -> None:
    async def test() -> None:
        async with serving() as (_, url):
            reader, writer = await raw(url, request_bytes)
            writer.write(b"and more of it" * 100)
            answer = b""
            with suppress(ConnectionResetError):
                answer = await reader.read()
            assert answer.partition(b"\r\n")[0] == answer_of_the_library(request_bytes)
            writer.close()

    assert answer_of_the_library(REQUEST) == b"HTTP/1.1 101 Switching Protocols"
    assert not answer_of_the_library(request_bytes).startswith(b"HTTP/1.1 101")
    run(test)


@pytest.mark.parametrize("is_awaited", [False, True])
def test_a_page_instead_of_a_handshake(run: Callable[[Test], None], is_awaited: bool) -> None:
    async def later(response: Response | None) -> Response | None:
        await asyncio.sleep(0)
        return response

    asked: list[Connection] = []

    def process_request(connection: Connection, request: Request) -> Any:
        asked.append(connection)
        assert connection.remote_address[0] == "127.0.0.1"  # type: ignore[index]
        response = connection.respond(HTTPStatus.OK, "a page\n") if request.path == "/page" else None
        return later(response) if is_awaited else response

    async def test() -> None:
        async with serving(process_request=process_request) as (_, url):
            reader, writer = await raw(url, b"GET /page HTTP/1.1\r\nHost: here\r\n\r\n")
            page = await reader.read()
            writer.write(bytes(100_000))
            await until(lambda: not asked[0].transport.is_closing())
            for _ in range(100):
                await asyncio.sleep(0)
            assert asked[0]._early == b"", "what comes behind a page is kept"
            assert page.startswith(b"HTTP/1.1 200 OK\r\n")
            assert page.endswith(b"\r\n\r\na page\n")
            writer.close()
            async with connect(url, proxy=None) as client:
                await client.send(b"1")
                assert await client.recv() == b"1"

    run(test)


def test_a_mistake_before_the_handshake_is_a_500(run: Callable[[Test], None], caplog: pytest.LogCaptureFixture) -> None:
    def process_request(connection: Connection, request: Request) -> None:
        raise ZeroDivisionError("secret")

    async def test() -> None:
        async with serving(process_request=process_request) as (_, url):
            reader, writer = await raw(url)
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 500 ")
            assert b"secret" not in answer
            writer.close()

    run(test)
    assert "a request could not be looked at" in caplog.text


def test_who_does_not_finish_a_request_is_cut(run: Callable[[Test], None]) -> None:
    async def test() -> None:
        async with serving(open_timeout=0.01) as (_, url):
            reader, writer = await raw(url, REQUEST[:40])
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
            writer.close()

    run(test)


# --- pings and ends ----------------------------------------------------------------------------------------------


def test_who_answers_pings_stays(run: Callable[[Test], None]) -> None:
    async def test() -> None:
        async with serving(ping_interval=0.01, ping_timeout=5.0) as (_, url):
            reader, writer = await raw_open(url)
            for _ in range(10):
                assert await read_frame(reader) == (Opcode.PING, b"")
                writer.write(masked(Opcode.PONG))
            writer.write(masked(Opcode.BINARY, b"here"))
            while (frame := await read_frame(reader))[0] == Opcode.PING:
                pass
            assert frame == (Opcode.BINARY, b"here")
            writer.write(masked(Opcode.PING, b"you?"))
            while (frame := await read_frame(reader))[0] == Opcode.PING:
                pass
            assert frame == (Opcode.PONG, b"you?")
            writer.close()

    run(test)


def test_who_says_nothing_at_all_is_given_up(run: Callable[[Test], None]) -> None:
    async def test() -> None:
        async with serving(ping_interval=0.01, ping_timeout=0.02, close_timeout=0.01) as (server, url):
            reader, writer = await raw_open(url)
            while (frame := await read_frame(reader))[0] == Opcode.PING:
                pass
            assert frame == (Opcode.CLOSE, b"\x03\xf3keepalive ping timeout")
            # Half-open: it does not end its side either.
            await until(lambda: not server.connections)
            writer.close()

    run(test)


def test_goodbye_from_the_other_side_ends_the_handler(run: Callable[[Test], None]) -> None:
    async def test() -> None:
        ended = asyncio.Event()

        async def handler(connection: Connection) -> None:
            assert await connection.receive() == [b"last"]
            assert await connection.receive() == []
            ended.set()

        async with serving(handler) as (_, url), connect(url, proxy=None) as client:
            await client.send(b"last")
            await client.close(1001, "bye")
            await ended.wait()
            assert client.close_code == 1001

    run(test)


@pytest.mark.parametrize("is_polite", [False, True])
def test_goodbye_from_here_waits_for_an_answer_but_not_for_long(run: Callable[[Test], None], is_polite: bool) -> None:
    async def test() -> None:
        async def handler(connection: Connection) -> None:
            await connection.close(4000, "enough")
            assert connection.state is State.CLOSED

        async with serving(handler, close_timeout=60.0 if is_polite else 0.01) as (server, url):
            reader, writer = await raw_open(url)
            assert await read_frame(reader) == (Opcode.CLOSE, b"\x0f\xa0enough")
            if is_polite:
                writer.write(masked(Opcode.CLOSE, b"\x0f\xa0"))
                assert await reader.read() == b""
                writer.close()
            await until(lambda: not server.connections and not server._tasks)
            writer.close()

    run(test)


def test_a_handler_that_fails_ends_its_connection_only(
    run: Callable[[Test], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(connection: Connection) -> None:
        if await connection.recv() == b"fail":
            raise ZeroDivisionError
        await echo(connection)

    async def test() -> None:
        async with serving(handler) as (_, url), connect(url, proxy=None) as one, connect(url, proxy=None) as other:
            await one.send(b"fail")
            with pytest.raises(ConnectionClosedError, match="1011"):
                await one.recv()
            await other.send(b"ok")
            await other.send(b"still here")
            assert await other.recv() == b"still here"

    run(test)
    assert "a connection could not be served" in caplog.text


def test_the_end_of_the_server_ends_every_connection(run: Callable[[Test], None]) -> None:
    async def test() -> None:
        asked, answer = asyncio.Event(), asyncio.Event()

        async def process_request(connection: Connection, request: Request) -> None:
            if request.path == "/slow":
                asked.set()
                await answer.wait()

        async with serving(process_request=process_request) as (server, url), connect(url, proxy=None) as client:
            silent_reader, silent_writer = await raw(url, b"GET")
            slow = asyncio.ensure_future(connect(url + "/slow", proxy=None).__aenter__())
            await asked.wait()
            await until(lambda: len(server.connections) == 3)
            server.close(1012, "the server stops")
            with pytest.raises(ConnectionClosedError, match=r"1012 .*the server stops"):
                await client.recv()
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await silent_reader.readexactly(1)
            answer.set()
            with pytest.raises(InvalidStatus, match="503"):
                await slow
            await server.wait_closed()
            silent_writer.close()

    run(test)
