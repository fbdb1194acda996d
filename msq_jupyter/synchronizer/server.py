"""The synchronizer's driver: it listens, lets connections in, and carries messages between them and their rooms.

Nothing is decided here: who belongs where is the matter of `rooms`, order and time of `sequencer`, what is on the disk
and when of `journal`, what goes out of `room`. Whatever a connection does wrong ends that connection and nothing else.
"""

from __future__ import annotations

import asyncio
import errno
import hmac
import ipaddress
import logging
import sqlite3
from http import HTTPStatus
from pathlib import Path
from types import TracebackType

import msgspec
from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as serve_websockets
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response

from msq_jupyter import protocol
from msq_jupyter.errors import AddressInUse, ArgumentError, ProtocolError, StorageUnreadable
from msq_jupyter.protocol import Annotate, Join, Leave, Open, Prune, Query, Refused, Tell
from msq_jupyter.synchronizer.archives import answer, serve_archive
from msq_jupyter.synchronizer.journal import Journal, now_ms
from msq_jupyter.synchronizer.room import CLOSE_TIMEOUT_S, Member, Room, end, refuse
from msq_jupyter.synchronizer.rooms import Rooms, check_join, check_open

#: How long a connection has for its `Join`.
JOIN_WITHIN_S = 10
#: When those who are sent away at an orderly end shall connect again.
RETRY_AFTER_MS = 1_000.0
PING_INTERVAL_S, PING_TIMEOUT_S = 20, 60
#: Waiting connection attempts; with the usual 100, hundreds that reconnect at once after a restart are turned away.
BACKLOG = 4_096

logger = logging.getLogger("msq_jupyter.synchronizer")
# At level DEBUG the library would log request headers, and with them the token.
_websockets_logger = logging.getLogger("msq_jupyter.synchronizer.websockets")
_websockets_logger.setLevel(logging.WARNING)


class Synchronizer:
    """A synchronizer on the running event loop, as an asynchronous context manager.

    Args:
        host: address to listen at.
        port: 0 lets the system choose a free one.
        data_directory: where logs, snapshots and versions are kept; one synchronizer at a time.
        token: what connections have to show as `Authorization: Bearer TOKEN`, None for nothing.
        idle_exit_s: request a stop when nobody has been connected for that many seconds, None for never.

    Raises:
        ArgumentError: other machines could reach the host, and there is no token.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        data_directory: Path,
        token: str | None = None,
        idle_exit_s: float | None = None,
    ) -> None:
        if not token and not _is_loopback(host):
            raise ArgumentError(
                f"expected a token, because other machines can reach host {host!r}, got none: "
                "give one with --token-file, or listen at 127.0.0.1"
            )
        self._host, self._port, self._token = host, port, token
        self._data_directory = data_directory
        self._idle_exit_s = idle_exit_s
        self._connections = 0
        self._idle_timer: asyncio.TimerHandle | None = None
        self._server: Server | None = None
        self._stop_requested = asyncio.Event()

    @property
    def url(self) -> str:
        """Where it listens, for example `ws://127.0.0.1:41234`."""
        assert self._server is not None, "the synchronizer does not listen yet"
        host, port = next(iter(self._server.sockets)).getsockname()[:2]
        return f"ws://[{host}]:{port}" if ":" in host else f"ws://{host}:{port}"

    async def __aenter__(self) -> Synchronizer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Open the data directory and listen.

        Raises:
            StorageInUse: another synchronizer has the data directory open.
            StorageUnreadable: its file cannot be read.
            AddressInUse: another program listens there.
        """
        self._journal = Journal(lambda shelves: self._rooms.fail(shelves))
        self._rooms = Rooms(self._journal, now_ms())
        await self._journal.open(self._data_directory)
        try:
            self._server = await self._listen()
        except BaseException:
            await self._journal.close()
            raise
        self._count_connection(0)

    async def close(self) -> None:
        """An orderly end: say `Closing`, write the exact session times, close the data directory. Twice is harmless."""
        server, self._server = self._server, None
        if server is None:
            return
        self._stop_requested.set()
        self._cancel_idle_timer()
        for room in self._rooms:
            room.stop(RETRY_AFTER_MS)
        server.close(code=CloseCode.SERVICE_RESTART, reason="the synchronizer stops")
        await server.wait_closed()
        await self._journal.close()

    def request_stop(self) -> None:
        """Let `stop_requested` return."""
        self._stop_requested.set()

    async def stop_requested(self) -> None:
        """Wait until somebody, a signal or idleness asks for the end; then leave the context."""
        await self._stop_requested.wait()

    async def _listen(self) -> Server:
        try:
            return await serve_websockets(
                self._handle,
                self._host,
                self._port,
                # A browser names the page's origin; participants are kernels and name none.
                origins=[None],
                process_request=self._check_token,
                # Sealed payloads do not shrink; trying doubles the cost.
                compression=None,
                max_size=protocol.FRAME_BYTES_MAX,
                ping_interval=PING_INTERVAL_S,
                ping_timeout=PING_TIMEOUT_S,
                close_timeout=CLOSE_TIMEOUT_S,
                logger=_websockets_logger,
                backlog=BACKLOG,
            )
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise AddressInUse(
                f"expected port {self._port} of {self._host} to be free, but another program listens there: "
                "end it, or let the system choose with --port 0"
            ) from error

    def _check_token(self, socket: ServerConnection, request: Request) -> Response | None:
        if self._token:
            expected = f"Bearer {self._token}".encode()
            shown = request.headers.get_all("Authorization")
            if len(shown) != 1 or not hmac.compare_digest(shown[0].encode(errors="replace"), expected):
                return socket.respond(
                    HTTPStatus.UNAUTHORIZED, "expected the header Authorization with the token of this synchronizer\n"
                )
        return None

    # --- one connection ------------------------------------------------------------------------------------------

    async def _handle(self, socket: ServerConnection) -> None:
        self._count_connection(1)
        try:
            await self._converse(socket)
        except ProtocolError as error:
            logger.info("a connection was ended: %s", error)
            await refuse(socket, Refused("malformed", str(error)))
        except (sqlite3.Error, StorageUnreadable):
            logger.exception("the data directory could not be read; the connection was ended")
            await end(socket, CloseCode.INTERNAL_ERROR, "the data directory could not be read")
        except ConnectionClosed:
            pass
        finally:
            self._count_connection(-1)

    async def _converse(self, socket: ServerConnection) -> None:
        try:
            frame = await asyncio.wait_for(socket.recv(), JOIN_WITHIN_S)
        except asyncio.TimeoutError:
            raise ProtocolError(f"expected a Join within {JOIN_WITHIN_S} s, got nothing") from None
        if _announced_version(frame) != protocol.PROTOCOL_VERSION:
            reason = f"expected protocol version {protocol.PROTOCOL_VERSION}, got {_announced_version(frame)}: "
            await refuse(socket, Refused("protocol_version", reason + "use the same msq_jupyter on both sides"))
            return
        join = protocol.decode_up(frame)
        if isinstance(join, Open):
            await self._open_archive(socket, join)
            return
        if not isinstance(join, Join):
            raise ProtocolError(f"expected a Join or an Open as the first message, got {type(join).__name__}")
        check_join(join)
        room = await self._rooms.find(join)
        if isinstance(room, Refused):
            await refuse(socket, room)
        elif room.failed or self._stop_requested.is_set():
            await end(socket, CloseCode.TRY_AGAIN_LATER, "connect again")
        else:
            member = room.enter(socket, join)
            try:
                await self._listen_to(room, member)
            finally:
                room.leave(member)
                await member.finish()

    async def _open_archive(self, socket: ServerConnection, message: Open) -> None:
        check_open(message)
        shelf = await self._rooms.open(message)
        if isinstance(shelf, Refused):
            await refuse(socket, shelf)
            return
        try:
            await serve_archive(socket, shelf, self._rooms, self._journal)
        finally:
            self._rooms.close(shelf)

    async def _listen_to(self, room: Room, member: Member) -> None:
        async for frame in member.socket:
            message = protocol.decode_up(frame)
            if isinstance(message, Join | Open):
                raise ProtocolError(f"expected one Join, as the first message, got another {type(message).__name__}")
            if isinstance(message, Query):
                # `Welcome` comes first.
                await member.welcomed.wait()
                await member.socket.send(protocol.encode(await answer(message, room.shelf, self._journal)))
                continue
            if isinstance(message, Annotate | Prune):
                await member.welcomed.wait()
                await member.socket.send(protocol.encode(await self._rooms.change(room.shelf, message)))
                continue
            if isinstance(message, Tell):
                room.tell(member, message)
                continue
            await room.receive(member, message)
            if isinstance(message, Leave):
                return

    # --- idleness ------------------------------------------------------------------------------------------------

    def _count_connection(self, difference: int) -> None:
        self._connections += difference
        self._cancel_idle_timer()
        if self._idle_exit_s is not None and not self._connections and not self._stop_requested.is_set():
            self._idle_timer = asyncio.get_running_loop().call_later(self._idle_exit_s, self.request_stop)

    def _cancel_idle_timer(self) -> None:
        if self._idle_timer:
            self._idle_timer.cancel()
            self._idle_timer = None


def _announced_version(frame: bytes | str) -> object:
    """The version a first message names, even one that looks different in that version; else our own version."""
    try:
        head = msgspec.msgpack.decode(frame) if isinstance(frame, bytes) else None
    except (msgspec.MsgspecError, RecursionError):
        head = None
    if isinstance(head, list) and len(head) > 1 and head[0] in ("Join", "Open") and isinstance(head[1], int):
        return head[1]
    return protocol.PROTOCOL_VERSION


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
