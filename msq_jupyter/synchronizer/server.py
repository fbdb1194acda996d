"""The synchronizer's driver: it listens, lets connections in, and carries messages between them and their rooms.

Nothing is decided here: who belongs where is the matter of `rooms`, order and time of `sequencer`, what is on the disk
and when of `journal`, what goes out of `room`. Whatever a connection does wrong ends that connection and nothing else.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import ipaddress
import logging
import sqlite3
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import msgspec
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.typing import Origin

from msq_jupyter import protocol
from msq_jupyter.errors import AddressInUse, ArgumentError, ProtocolError, StorageUnreadable
from msq_jupyter.protocol import Annotate, Join, Leave, Open, Prune, Query, Refused, Save, SaveFailed, Send, Tell
from msq_jupyter.synchronizer.archives import answer, declined, serve_archive
from msq_jupyter.synchronizer.guard import Guard
from msq_jupyter.synchronizer.journal import Journal, now_ms
from msq_jupyter.synchronizer.limits import Accounts, Visit, address_of
from msq_jupyter.synchronizer.pages import Pages
from msq_jupyter.synchronizer.room import CLOSE_TIMEOUT_S, Member, Room, end, forget_unreadable_base, refuse, slow_down
from msq_jupyter.synchronizer.rooms import Rooms, check_join, check_open
from msq_jupyter.synchronizer.storage import Storage
from msq_jupyter.synchronizer.sweeping import keep_sweeping
from msq_jupyter.synchronizer.tokens import Gate, Token
from msq_jupyter.synchronizer.transport import Connection, Server, Settings

#: How long a connection has for its `Join`.
JOIN_WITHIN_S = 10
#: When the last of those who are sent away at an orderly end shall connect again.
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
        gate: knows the tokens of which connections have to show one as `Authorization: Bearer TOKEN`.
        accounts: how much each token and each address may.
        wrong_tokens_max: so many wrong tokens an address may show within a minute; 0 for any number.
        origins: of web pages that may connect, such as `https://lab.example.org`; kernels name none.
        tls: its certificate, for `wss://`; None for `ws://`.
        keep_sessions_s: logs of sessions that nobody was in for so long are deleted, 0 for never.
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
        gate: Gate | None = None,
        accounts: Accounts | None = None,
        wrong_tokens_max: int = 0,
        origins: Sequence[str] = (),
        tls: ssl.SSLContext | None = None,
        keep_sessions_s: float = 0.0,
        idle_exit_s: float | None = None,
    ) -> None:
        self._guard = Guard(gate or Gate(), wrong_tokens_max)
        if self._guard.gate.is_open and not _is_loopback(host):
            raise ArgumentError(
                f"expected a token, because other machines can reach host {host!r}, got none: "
                "give one with --token-file, or listen at 127.0.0.1"
            )
        self._host, self._port = host, port
        self._accounts = Accounts() if accounts is None else accounts
        self._origins, self._tls = origins, tls
        self._data_directory = data_directory
        self._keep_sessions_s = keep_sessions_s
        self._sweeping: asyncio.Task[None] | None = None
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
        scheme = "wss" if self._tls else "ws"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

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
        self._rooms = Rooms(self._journal, now_ms(), self._accounts, self._keep_sessions_s)
        self._pages = Pages(self._guard, self._rooms, self._journal.counts, self._stop_requested.is_set)
        await self._journal.open(self._data_directory)
        try:
            if not self._keep_sessions_s:
                await self._journal.call(Storage.forget_visits)  # when they are counted again, it is from then on
            self._server = await self._listen()
        except BaseException:
            await self._journal.close()
            raise
        self._sweeping = asyncio.ensure_future(keep_sweeping(self._rooms)) if self._keep_sessions_s else None
        self._count_connection(0)

    async def close(self) -> None:
        """An orderly end: say `Closing`, write the exact session times, close the data directory. Twice is harmless."""
        server, self._server = self._server, None
        if server is None:
            return
        self._stop_requested.set()
        self._cancel_idle_timer()
        if self._sweeping:
            self._sweeping.cancel()
            await asyncio.wait([self._sweeping])
        for room in self._rooms:
            room.stop(RETRY_AFTER_MS)
        server.close(code=CloseCode.SERVICE_RESTART, reason="the synchronizer stops")
        await server.wait_closed()
        await self._journal.close()

    def use_gate(self, gate: Gate) -> None:
        """Ask those who connect from now on for one of these tokens; who is there stays.

        Args:
            gate: knows at least one token.
        """
        self._guard.gate = gate

    def request_stop(self) -> None:
        """Let `stop_requested` return."""
        self._stop_requested.set()

    async def stop_requested(self) -> None:
        """Wait until somebody, a signal or idleness asks for the end; then leave the context."""
        await self._stop_requested.wait()

    async def _listen(self) -> Server:
        settings = Settings(
            # A browser names the page's origin; participants are kernels and name none.
            origins=[None, *map(Origin, self._origins)],
            process_request=self._look_at_request,
            open_timeout=JOIN_WITHIN_S,
            max_size=protocol.FRAME_BYTES_MAX,
            ping_interval=PING_INTERVAL_S,
            ping_timeout=PING_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            logger=_websockets_logger,
        )
        server = Server(self._handle, settings)
        try:
            await server.listen(self._host, self._port, backlog=BACKLOG, tls=self._tls)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise AddressInUse(
                f"expected port {self._port} of {self._host} to be free, but another program listens there: "
                "end it, or let the system choose with --port 0"
            ) from error
        return server

    def _look_at_request(self, socket: Connection, request: Request) -> Response | None:
        headers = request.headers
        page = self._pages.answer(
            request.path,
            headers.get_all("Authorization"),
            wants_socket="Upgrade" in headers,
            address=_address(socket),
            now_s=time.monotonic(),
        )
        if page is None:
            return None
        response = socket.respond(page.status, page.text)
        del response.headers["Content-Type"]  # the page's own comes, which would be a second one
        response.headers.update(page.headers)
        return response

    # --- one connection ------------------------------------------------------------------------------------------

    async def _handle(self, socket: Connection) -> None:
        self._count_connection(1)
        assert socket.request is not None, "the handshake is over"
        # No turn of the loop is between the handshake and this: it is the same gate.
        token = self._guard.gate.admit(socket.request.headers.get_all("Authorization"))
        assert token is not None, "the handshake asked for it"
        address = _address(socket)
        try:
            with self._accounts.visit(token.name, address, time.monotonic()) as visit:
                refused = await self._converse(socket, token, visit)
            if refused:
                await self._refuse(socket, refused)
        except ProtocolError as error:
            await self._refuse(socket, Refused("malformed", str(error)))
        except (sqlite3.Error, StorageUnreadable):
            logger.exception("the data directory could not be read; the connection was ended")
            await end(socket, CloseCode.INTERNAL_ERROR, "the data directory could not be read")
        except ConnectionClosed:
            pass
        finally:
            self._count_connection(-1)

    async def _refuse(self, socket: Connection, refused: Refused) -> None:
        self._journal.counts.refusals += 1
        logger.info("a connection was ended: %s", refused.reason)
        await refuse(socket, refused)

    async def _converse(self, socket: Connection, token: Token, visit: Visit) -> Refused | None:
        """One connection to its end; returned is why it must go, or does not even begin."""
        try:
            frame = await asyncio.wait_for(socket.recv(), JOIN_WITHIN_S)
        except asyncio.TimeoutError:
            # Nothing that was said is wrong: a member whose machine slept on the way back must not take it for the end.
            self._journal.counts.refusals += 1
            reason = f"expected a Join within {JOIN_WITHIN_S} s, got nothing: connect again"
            logger.info("a connection was ended: %s", reason)
            await end(socket, CloseCode.TRY_AGAIN_LATER, reason)
            return None
        if (theirs := _announced_version(frame)) != protocol.PROTOCOL_VERSION:
            return Refused("protocol_version", _other_version(theirs))
        join = protocol.decode_up(frame)
        if not token.may_enter:
            return Refused(
                "forbidden", "the access token opens no session: ask for one with the scope join or read-only"
            )
        if isinstance(join, Open):
            return await self._open_archive(socket, join, token, visit)
        if not isinstance(join, Join):
            raise ProtocolError(f"expected a Join or an Open as the first message, got {type(join).__name__}")
        check_join(join)
        if reason := visit.begin(join.session_id):
            if join.have_run:
                # A member that comes back counts twice until the synchronizer sees that its old connection is dead.
                await end(socket, CloseCode.TRY_AGAIN_LATER, "there is a limit; connect again")
                return None
            return Refused("limit", reason)
        room = await self._rooms.find(join, token, visit)
        if isinstance(room, Refused):
            return room
        if room.failed or self._stop_requested.is_set():
            await end(socket, CloseCode.TRY_AGAIN_LATER, "connect again")
        elif words := room.laggards.words_for(join):
            await end(socket, protocol.UNREAD_CLOSE_CODE, words)
        else:
            member = room.enter(socket, join, read_only=token.is_read_only)
            self._journal.counts.connections += 1
            try:
                return await self._listen_to(room, member, visit)
            finally:
                socket.take = None
                room.leave(member)
                await member.finish()
        return None

    async def _open_archive(self, socket: Connection, message: Open, token: Token, visit: Visit) -> Refused | None:
        check_open(message)
        if reason := visit.begin():
            return Refused("limit", reason)
        shelf = await self._rooms.open(message, token, visit)
        if isinstance(shelf, Refused):
            return shelf
        self._journal.counts.connections += 1
        try:
            await serve_archive(socket, shelf, self._rooms, self._journal, visit, read_only=token.is_read_only)
        finally:
            self._rooms.close(shelf)
        return None

    async def _listen_to(self, room: Room, member: Member, visit: Visit) -> Refused | None:
        """What a member says, to its end; returned is why it must go."""
        if not (visit.is_limited or self._rooms.limits_storage):
            member.socket.take = functools.partial(self._take_events, room, member)
        while frames := await member.socket.receive():
            while frames:
                events, size_bytes, taken = _events_first(frames)
                if refused := await self._order(room, member, visit, events, size_bytes):
                    return refused
                frames = frames[taken:]
                if frames:
                    frame, *frames = frames
                    message = protocol.decode_up(frame)
                    await self._count(member.socket, visit, 1, len(frame))
                    await self._hear(room, member, message, len(frame))
                    if isinstance(message, Leave):
                        return None
            await room.keep_up()
        return None

    def _take_events(self, room: Room, member: Member, frames: list[bytes | str]) -> list[bytes | str]:
        """Order the events a member sends, as far as nothing has to be waited for; returned is the rest."""
        if room.is_behind:
            return frames
        events, size_bytes, taken = _events_first(frames)
        if taken:
            self._journal.counts.received_bytes += size_bytes
            room.receive(member, Send(events))
        return frames[taken:]

    async def _order(
        self, room: Room, member: Member, visit: Visit, events: list[tuple[int, bytes]], size_bytes: int
    ) -> Refused | None:
        if size_bytes:
            await self._count(member.socket, visit, len(events), size_bytes)
            if reason := self._rooms.why_full(room.shelf, size_bytes):
                return Refused("limit", reason)
            room.receive(member, Send(events))
        return None

    async def _hear(self, room: Room, member: Member, message: protocol.Up, size_bytes: int) -> None:
        """What a member says but events."""
        if isinstance(message, Join | Open):
            raise ProtocolError(f"expected one Join, as the first message, got another {type(message).__name__}")
        if isinstance(message, Query):
            # `Welcome` comes first.
            await member.welcomed.wait()
            await member.socket.send(protocol.encode(await answer(message, room.shelf, self._journal)))
        elif isinstance(message, Annotate | Prune):
            await member.welcomed.wait()
            done = declined(message) if member.read_only else await self._rooms.change(room.shelf, message)
            await member.socket.send(protocol.encode(done))
        elif isinstance(message, Tell):
            room.tell(member, message)
        elif isinstance(message, Save) and (reason := self._rooms.why_full(room.shelf, size_bytes)):
            member.send(SaveFailed(message.save_id, reason))
        else:
            if isinstance(message, Save):
                await forget_unreadable_base(message, room.shelf, self._journal)
            room.receive(member, message)
            # What is large waits for the disk one by one.
            await room.keep_up()

    async def _count(self, socket: Connection, visit: Visit, events: int, size_bytes: int) -> None:
        """Go on when the limits allow it."""
        self._journal.counts.received_bytes += size_bytes
        wait_s = visit.wait_s(events, size_bytes, time.monotonic())
        if wait_s:
            self._journal.counts.slowed += 1
            await slow_down(socket, wait_s)

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


def _events_first(frames: list[bytes | str]) -> tuple[list[tuple[int, bytes]], int, int]:
    """The events that frames begin with, to be ordered in one go; of how many bytes, and of how many frames they are.

    Nearly everything is events. A frame that is no message ends them: whoever reads it again is told what is wrong.
    """
    events: list[tuple[int, bytes]] = []
    size_bytes = taken = 0
    for frame in frames:
        try:
            message = protocol.decode_up(frame)
        except ProtocolError:
            break
        if type(message) is not Send:
            break
        events += message.events
        size_bytes += len(frame)
        taken += 1
    return events, size_bytes, taken


def _address(socket: Connection) -> str:
    return address_of(str(socket.remote_address[0])) if socket.remote_address else ""


def _announced_version(frame: bytes | str) -> int:
    """The version a first message names, even one that looks different in that version; else our own version."""
    try:
        head = msgspec.msgpack.decode(frame) if isinstance(frame, bytes) else None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        head = None
    if isinstance(head, list) and len(head) > 1 and head[0] in ("Join", "Open") and isinstance(head[1], int):
        return head[1]
    return protocol.PROTOCOL_VERSION


def _other_version(theirs: int) -> str:
    """What to do about it, for whoever reads it in a notebook."""
    ours = protocol.PROTOCOL_VERSION
    remedy = (
        "update msq_jupyter where the notebook runs (pip install --upgrade msq_jupyter) and restart its kernel"
        if theirs < ours
        else "have msq_jupyter updated where the synchronizer runs, and the synchronizer restarted"
    )
    return f"expected protocol version {ours}, got {theirs}: {remedy}"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
