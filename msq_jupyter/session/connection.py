"""The socket, on a thread and a loop of its own, so that a cell that computes for a minute never loses the session.

The driver of `Client`: it connects, feeds frames, sends what the client wants sent, connects again. The session on the
main loop is only woken; it takes what happened from `Client.happenings`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from msq_jupyter import protocol
from msq_jupyter.errors import InternalError, MsqError, SynchronizerRefused, SynchronizerUnreachable
from msq_jupyter.session.client import Client
from msq_jupyter.session.discovery import Address, Place
from msq_jupyter.session.jupyter_server import refusal

logger = logging.getLogger("msq_jupyter")
# At level DEBUG the library would log request headers, and with them the token.
_websockets_logger = logging.getLogger("msq_jupyter.session.websockets")
_websockets_logger.setLevel(logging.WARNING)

#: First and longest wait before connecting again, in seconds; it doubles, with jitter.
RETRY_FIRST_S = 0.05
RETRY_LONGEST_S = 2.0
#: A synchronizer that stops may ask us to stay away for longer, but not for longer than this, in seconds.
RETRY_ASKED_S = 30.0
#: How often the session is asked whether its main loop keeps up.
WATCH_S = 0.25
#: The link is given up after so long without a sign of life; C code that holds the GIL may well keep us silent.
PING_S = 10.0
PING_TIMEOUT_S = 60.0

_NOBODY = 'start one with "msq serve" and use the URL it prints, or leave out synchronizer= to use the local one'


class Connection:
    """Runs a `Client` against a synchronizer until it ends.

    Args:
        client: touched only on this connection's thread from now on, except for `happenings`.
        place: where the synchronizer is.
        wake: called on this connection's thread when there are happenings.
        watch: called on this connection's thread every 250 ms.

    Attributes:
        last_words: what the synchronizer said when it ended the last connection, "" for nothing.
    """

    def __init__(self, client: Client, place: Place, wake: Callable[[], None], watch: Callable[[], None]) -> None:
        self._client = client
        self._place = place
        self._wake = wake
        self._watch = watch
        self.last_words = ""
        self._loop = asyncio.new_event_loop()
        self._flush_due = False
        self._socket: ClientConnection | None = None
        self._to_send = asyncio.Event()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="msq-socket", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def call(self, function: Callable[..., Any], *args: Any) -> None:
        """Do something with the client, on its thread, in the order of calls; from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended, and the client with it
            self._loop.call_soon_threadsafe(self._do, function, args)

    def reconnect(self) -> None:
        """Begin again with a new connection; from any thread."""
        self.call(self._reconnect)

    def _reconnect(self) -> None:
        if self._socket is not None:
            self._socket.transport.abort()

    def call_later(self, delay_s: float, function: Callable[[], None]) -> None:
        """Call something on this connection's thread, later; from any thread."""
        self.call(self._loop.call_later, delay_s, function)

    def wait_closed(self, timeout_s: float) -> None:
        """Wait until the thread has sent what it had and ended, at most `timeout_s` seconds."""
        self._thread.join(timeout_s)

    @property
    def latency_ms(self) -> float:
        """Round trip to the synchronizer, from the last ping; nan while there is none."""
        socket = self._socket
        return socket.latency * 1000 if socket is not None and socket.latency else float("nan")

    # --- on the thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._main())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())

    def _do(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        function(*args)
        if self._client.ended:
            self._over.set()
        self._to_send.set()
        self._notify()

    async def _main(self) -> None:
        watcher = asyncio.ensure_future(self._keep_watching())
        try:
            await self._stay_connected()
        except Exception as error:
            logger.exception("the connection of a session failed")
            self._client.fail(InternalError(f"the connection failed in a way nobody thought of: {error!r}"))
        finally:
            self._notify()
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher

    async def _stay_connected(self) -> None:
        retry_s = RETRY_FIRST_S
        welcomed = False
        while not self._client.ended:
            try:
                try:
                    address = await asyncio.to_thread(self._place.locate)
                except RuntimeError:
                    self._client.leave()  # the interpreter ends, and makes no threads any more
                    break
                await self._attempt(address)
            except (OSError, WebSocketException, asyncio.TimeoutError, SynchronizerUnreachable) as error:
                if not welcomed and self._client.state == "joining":
                    self._client.fail(explained(error, self._place))
            except MsqError as error:
                self._client.fail(error)
            self._socket = None
            if self._client.state in ("live", "catching up"):
                welcomed, retry_s = True, RETRY_FIRST_S
            self._client.disconnected()
            self._notify()
            if not self._client.ended:
                asked_s = min(self._client.retry_after_ms / 1000, RETRY_ASKED_S)
                self._client.retry_after_ms = 0.0
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._over.wait(), max(retry_s * (0.5 + random.random()), asked_s))
                retry_s = min(retry_s * 2, RETRY_LONGEST_S)

    async def _attempt(self, address: Address) -> None:
        """One connection, from its opening to its end; given up when the client ends while it opens."""
        opening = asyncio.ensure_future(open_socket(address))
        over = asyncio.ensure_future(self._over.wait())
        await asyncio.wait({opening, over}, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        if not opening.done():
            opening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await opening
            return
        async with await opening as socket:
            self._socket = socket
            await self._converse(socket)

    async def _converse(self, socket: ClientConnection) -> None:
        self._client.connected()
        tasks = {asyncio.ensure_future(self._read_all(socket)), asyncio.ensure_future(self._send_all(socket))}
        try:
            # The sender ends by closing the socket once the client has ended, which ends the reader, too.
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, ConnectionClosed):
                self.last_words = result.rcvd.reason if result.rcvd else ""
                if result.rcvd:
                    self._client.closed(result.rcvd.code, result.rcvd.reason)
            elif isinstance(result, Exception):
                raise result

    async def _read_all(self, socket: ClientConnection) -> None:
        while True:
            self._client.received(await socket.recv())
            self._to_send.set()
            self._notify()

    async def _send_all(self, socket: ClientConnection) -> None:
        while True:
            # Everything asked for within one turn of the loop goes out together.
            self._to_send.clear()
            self._client.flush()
            while self._client.outgoing:
                await socket.send(self._client.outgoing.popleft())
            if self._client.ended:
                await socket.close()
                return
            await self._to_send.wait()

    async def _keep_watching(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            self._watch()

    def _notify(self) -> None:
        if self._client.happenings:
            self._wake()


class _Connect(connect):
    """Follows no redirect: no synchronizer sends one, and the token must not go where somebody else says."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """What to do about a failed handshake: always raise it."""
        return exc


async def open_socket(address: Address, *, max_queue: int = 16) -> ClientConnection:
    """A WebSocket to a synchronizer; fails within ten seconds as `explained` knows.

    Args:
        address: where it is.
        max_queue: frames that may wait to be received, at least 1; beyond, reading stops.
    """
    headers = {"Authorization": f"{address.scheme} {address.token}"} if address.token else None
    return await _Connect(
        address.url,
        additional_headers=headers,
        compression=None,  # sealed bytes do not shrink
        max_size=protocol.FRAME_BYTES_MAX,
        max_queue=max_queue,
        ping_interval=PING_S,
        ping_timeout=PING_TIMEOUT_S,
        open_timeout=10,
        close_timeout=1,
        proxy=None,
        logger=_websockets_logger,
    )


def explained(error: Exception, place: Place) -> MsqError:
    """What to tell people when a connection could not be opened."""
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        if place.is_jupyter:
            return SynchronizerRefused(refusal(place.name, status))
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return SynchronizerRefused(
                f"{place.name} takes no connections from this network for a minute, because too many wrong access "
                "tokens came from there: check the token, and join again then"
            )
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            return SynchronizerUnreachable(
                f"{place.name} answered with HTTP status {status}: the synchronizer stops just now, or what stands "
                "before it cannot reach it; try again in a moment"
            )
        return SynchronizerRefused(
            f"{place.name} answered with HTTP status {status}: check the URL and the access token, "
            'which goes before the host: "ws://TOKEN@host:port"'
        )
    if isinstance(error, SynchronizerUnreachable):
        return error
    return SynchronizerUnreachable(
        f"no synchronizer answers at {place.name} ({error or type(error).__name__}): "
        + ("check the URL, and whether that Jupyter server runs" if place.is_jupyter else _NOBODY)
    )
