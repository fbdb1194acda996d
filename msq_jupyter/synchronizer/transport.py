"""WebSocket connections on asyncio: the library's protocol without I/O, driven so that many small messages cost little.

What a connection is here is what it is in `websockets.asyncio.server`, as far as this package uses that, under the same
names. The differences: no task and no queue between the socket and whoever reads, who gets all messages that have come
at once; no task that pings, but a timer; and `write`, which sends bytes that were framed before, to any number of
connections. Nothing is ever compressed: sealed payloads do not shrink, and there is no bomb to unpack.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeAlias, cast

from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Origin

from msq_jupyter.synchronizer.frames import MessageReader

#: A connection that nobody reads from is not read from the socket either, beyond so much.
UNTAKEN_BYTES_MAX = 256 * 1024
#: What is written waits in memory up to here; beyond it `send` waits.
WRITE_BYTES_HIGH = 32 * 1024
#: Who asks for more answers (pongs) than this while it reads nothing is cut.
UNREAD_ANSWERS_BYTES_MAX = 256 * 1024
_logger = logging.getLogger("websockets.server")
_END_OF_REQUEST = b"\r\n\r\n"

ProcessRequest: TypeAlias = "Callable[[Connection, Request], Awaitable[Response | None] | Response | None]"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How connections are treated.

    Attributes:
        origins: pages that may connect, None for whoever names no page, as browsers always do.
        process_request: called before the handshake; a response instead of None ends the connection with it.
        max_size: largest message that may come, in bytes.
        open_timeout: how long the request may take, in seconds.
        ping_interval: a ping is sent each so many seconds.
        ping_timeout: how long the other side may say nothing at all after a ping, in seconds.
        close_timeout: how long the other side has for its part of the end, in seconds.
        logger: of everything here; at level DEBUG it would show headers, and with them the token.
    """

    origins: Sequence[Origin | None]
    process_request: ProcessRequest | None = None
    max_size: int = 2**20
    open_timeout: float = 10.0
    ping_interval: float = 20.0
    ping_timeout: float = 20.0
    close_timeout: float = 10.0
    logger: logging.Logger = _logger


class Connection(asyncio.Protocol):
    """One connection, from its first byte on; the handler gets it after its handshake.

    Attributes:
        request: what it asked for; there once `process_request` is called.
        transport: of asyncio.
        take: called with what has come while somebody waits in `receive`; returns the rest, which that one gets. It
            saves a turn of the loop for what needs no waiting. What it raises is raised there.
        lost: done when the connection is no more.
    """

    request: Request
    transport: asyncio.Transport

    def __init__(self, server: Server) -> None:
        self._server = server
        self._settings = settings = server.settings
        self._loop = asyncio.get_running_loop()
        self._protocol = ServerProtocol(
            origins=settings.origins, max_size=settings.max_size, logger=settings.logger, extensions=None
        )
        self._reader = MessageReader(self._protocol, settings.max_size)
        self._early = b""  # what came behind the request, before it was answered
        self._seen = b""  # the end of the part of the request that has come
        self._is_requested = False
        self._messages: list[bytes | str] = []
        self._untaken_bytes = 0
        self._reading_paused = False
        self._writing_paused = False
        self._unread_answers_bytes = 0
        self._heard_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._close_timer: asyncio.TimerHandle | None = None
        self._receiver: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self.take: Callable[[list[bytes | str]], list[bytes | str]] | None = None
        self.lost: asyncio.Future[None] = self._loop.create_future()

    # --- what it is ----------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """CONNECTING until the handshake is done, OPEN, CLOSING when either side has said goodbye, CLOSED."""
        return self._protocol.state

    @property
    def is_open(self) -> bool:
        """Whether something may be sent."""
        return self._protocol.state is State.OPEN

    @property
    def remote_address(self) -> tuple[Any, ...] | None:
        """Of the other side, as `socket.getpeername` has it."""
        address: tuple[Any, ...] | None = self.transport.get_extra_info("peername")
        return address

    def respond(self, status: HTTPStatus, text: str) -> Response:
        """A page of plain text for `process_request` to answer with; its headers may be changed."""
        return self._protocol.reject(status, text)

    # --- receiving -----------------------------------------------------------------------------------------------

    async def receive(self) -> list[bytes | str]:
        """All messages that have come, at least one; none once the connection has ended. For one reader at a time."""
        while not self._messages:
            if self.lost.done():
                return []
            self._receiver = self._loop.create_future()
            try:
                await self._receiver
            finally:
                self._receiver = None
        messages, self._messages, self._untaken_bytes = self._messages, [], 0
        if self._reading_paused:
            self._reading_paused = False
            self.transport.resume_reading()
        return messages

    async def recv(self) -> bytes | str:
        """The next message.

        Raises:
            ConnectionClosed: there is none, the connection has ended.
        """
        messages = await self.receive()
        if not messages:
            raise self._closed()
        first, *self._messages = messages
        return first

    async def __aiter__(self) -> AsyncIterator[bytes | str]:
        """Every message until the connection ends, in whatever way."""
        while messages := await self.receive():
            for message in messages:
                yield message

    # --- sending -------------------------------------------------------------------------------------------------

    def write(self, frames: bytes) -> int:
        """Send what is framed already; never waits.

        Returns:
            How many bytes wait because the other side does not read them.
        """
        if self._protocol.state is not State.OPEN:
            return 0
        self.transport.write(frames)
        return self.transport.get_write_buffer_size()

    async def send(self, message: bytes) -> None:
        """Send a message, once not too much is waiting before it.

        Raises:
            ConnectionClosed: the connection has ended.
        """
        if self._protocol.state is not State.OPEN:
            raise self._closed()
        self.transport.write(framed(message))
        await self._drain()

    async def _drain(self) -> None:
        while self._writing_paused and not self.lost.done():
            if self._drained is None:
                self._drained = self._loop.create_future()
            await asyncio.shield(self._drained)

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Say goodbye and wait for the end, at most `close_timeout`; on a connection that is ending, only wait."""
        self.say_goodbye(code, reason)
        await self.wait_closed()

    def say_goodbye(self, code: int, reason: str) -> None:
        """Begin the end; never waits. A connection whose request has not come yet is cut."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
            self._flush()
        elif not self._is_requested:
            self.transport.abort()

    async def wait_closed(self) -> None:
        """Wait for the end of the connection."""
        await asyncio.shield(self.lost)

    def _closed(self) -> ConnectionClosed:
        ended = self._protocol
        return ConnectionClosedError(ended.close_rcvd, ended.close_sent, ended.close_rcvd_then_sent)

    def _flush(self) -> None:
        """Send what the protocol has to send, and see to the end if one is due."""
        for data in self._protocol.data_to_send():
            if data:
                self.transport.write(data)
                if self._writing_paused:
                    self._unread_answers_bytes += len(data)
            elif self.transport.can_write_eof():
                try:
                    self.transport.write_eof()
                except (OSError, RuntimeError):  # the other side was faster
                    self.transport.abort()
            else:
                self.transport.close()  # TLS has no half-closed connections
        if self._close_timer is None and self._protocol.close_expected():
            self._close_timer = self._loop.call_later(self._settings.close_timeout, self.transport.abort)

    # --- called by the loop --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The other side has connected."""
        self.transport = cast(asyncio.Transport, transport)  # that of uvloop is no instance
        self.transport.set_write_buffer_limits(WRITE_BYTES_HIGH)
        self._server.connections.add(self)
        self._timer = self._loop.call_later(self._settings.open_timeout, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        """Some bytes have come."""
        if self._protocol.state is State.CONNECTING:
            self._receive_request(data)
            return
        self._heard_s = self._loop.time()
        messages = self._reader.read(data)
        if self._reader.has_passed_on:
            self._flush()
            if self._unread_answers_bytes > UNREAD_ANSWERS_BYTES_MAX:
                self.transport.abort()
        waiting = self._receiver if self._receiver and not self._receiver.done() else None
        if messages and waiting and self.take:
            try:
                messages = self.take(messages)
            except Exception as error:
                waiting.set_exception(error)
                return
        if not messages:
            return
        self._messages += messages
        self._untaken_bytes += len(data)
        if waiting:
            waiting.set_result(None)
        if self._untaken_bytes > UNTAKEN_BYTES_MAX and not self._reading_paused:
            self._reading_paused = True
            self.transport.pause_reading()

    def eof_received(self) -> None:
        """No more will come."""
        self._protocol.receive_eof()
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        """It is over, for whatever reason."""
        self._protocol.receive_eof()
        for timer in (self._timer, self._close_timer):
            if timer:
                timer.cancel()
        self._timer = self._close_timer = None
        self._server.connections.discard(self)
        self.lost.set_result(None)
        for waiting in (self._receiver, self._drained):
            if waiting and not waiting.done():
                waiting.set_result(None)

    def pause_writing(self) -> None:
        """The other side does not read."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """The other side reads again."""
        self._writing_paused = False
        self._unread_answers_bytes = 0
        drained, self._drained = self._drained, None
        if drained:
            drained.set_result(None)

    # --- the handshake -------------------------------------------------------------------------------------------

    def _receive_request(self, data: bytes) -> None:
        """Let the protocol have the request and no more: what comes behind is for the reader."""
        if self._protocol.close_expected():  # it was answered with a page
            self._protocol.receive_data(data)
            return
        if self._is_requested:
            self._early += data
            return
        seen = self._seen + data
        end = seen.find(_END_OF_REQUEST)
        rest = b""
        if end >= 0:
            rest = seen[end + len(_END_OF_REQUEST) :]
            data = data[: len(data) - len(rest)]
        self._seen = seen[-len(_END_OF_REQUEST) + 1 :]
        self._protocol.receive_data(data)
        events = self._protocol.events_received()
        self._flush()
        if events:
            self._is_requested, self._early = True, rest
            self.request = cast(Request, events[0])
            # Nothing is to be read before the answer.
            self.transport.pause_reading()
            self._server.serve(self)

    async def shake_hands(self) -> bool:
        """Answer the request; whether the connection is open then."""
        response = None
        if self._settings.process_request:
            try:
                answer = self._settings.process_request(self, self.request)
                response = await answer if inspect.isawaitable(answer) else answer
            except Exception:
                self._settings.logger.exception("a request could not be looked at")
                response = self.respond(HTTPStatus.INTERNAL_SERVER_ERROR, "the server made a mistake\n")
        response = response or self._protocol.accept(self.request)
        if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS and self._server.is_closing:
            response = self.respond(HTTPStatus.SERVICE_UNAVAILABLE, "the server stops\n")
        if self._protocol.state is not State.CONNECTING or self.lost.done():
            return False
        self._protocol.send_response(response)
        self._flush()
        self.transport.resume_reading()
        if not self.is_open:
            return False
        self._await_pong()
        if self._early:
            early, self._early = self._early, b""
            self.data_received(early)
        return True

    # --- keepalive -----------------------------------------------------------------------------------------------

    def _await_pong(self) -> None:
        """Replace the timer of the handshake by that of pings."""
        if self._timer:
            self._timer.cancel()
        self._heard_s = self._loop.time()
        self._timer = self._loop.call_later(self._settings.ping_interval, self._ping)

    def _ping(self) -> None:
        if self._protocol.state is not State.OPEN:
            return
        settings, now_s = self._settings, self._loop.time()
        if self._reading_paused:
            self._heard_s = now_s  # it is we who do not listen
        if now_s - self._heard_s >= settings.ping_interval + settings.ping_timeout:
            self._protocol.fail(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
        else:
            self._protocol.send_ping(b"")
        self._timer = self._loop.call_later(settings.ping_interval, self._ping)
        self._flush()


class Server:
    """Listens and has a handler talk to each connection, in a task of its own.

    Args:
        handler: called for each connection after its handshake; the connection ends when it returns.
        settings: of all connections.

    Attributes:
        connections: all that stand, from their first byte on.
        is_closing: no new ones get in.
    """

    def __init__(self, handler: Callable[[Connection], Awaitable[None]], settings: Settings) -> None:
        self.settings = settings
        self.connections: set[Connection] = set()
        self.is_closing = False
        self._handler = handler
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None

    async def listen(self, host: str, port: int, *, backlog: int = 100, tls: ssl.SSLContext | None = None) -> None:
        """Begin to listen.

        Raises:
            OSError: that is not possible there.
        """
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: Connection(self), host, port, backlog=backlog, ssl=tls)

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """Those it listens at."""
        return self._listener.sockets

    def serve(self, connection: Connection) -> None:
        """Called by a connection whose request has come."""
        task = asyncio.get_running_loop().create_task(self._serve(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: Connection) -> None:
        try:
            if await connection.shake_hands():
                await self._handler(connection)
                await connection.close()
        except Exception:
            self.settings.logger.exception("a connection could not be served")
            await connection.close(CloseCode.INTERNAL_ERROR)

    def close(self, code: int = CloseCode.GOING_AWAY, reason: str = "") -> None:
        """Listen no more, and end every connection; `wait_closed` waits for that. Twice is harmless."""
        if self._closing is None:
            self.is_closing = True
            self._closing = asyncio.get_running_loop().create_task(self._close(code, reason))

    async def wait_closed(self) -> None:
        """Wait until all connections have ended and all handlers have returned."""
        if self._closing:
            await asyncio.shield(self._closing)

    async def _close(self, code: int, reason: str) -> None:
        self._listener.close()
        for connection in self.connections:
            connection.say_goodbye(code, reason)
        while waiting := [*self._tasks, *(connection.lost for connection in self.connections)]:
            await asyncio.wait(waiting)


def framed(message: bytes) -> bytes:
    """The frame of a message, the same for every connection: servers do not mask, and nothing is compressed."""
    return Frame(Opcode.BINARY, message).serialize(mask=False)
