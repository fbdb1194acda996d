"""What is served: a WebSocket that is a pipe to the local synchronizer, and the page that explains invitations.

Nothing of the protocol is known here. Frames are carried as they come, one after the other in each direction: the next
one is read when the last one was taken, so a side that does not read stops the other side instead of filling memory.
Who is let in is decided by the Jupyter server's identity provider and authorizer, before anything is opened.
"""

from __future__ import annotations

import asyncio
from typing import Any

from jupyter_server.auth.decorator import authorized, ws_authenticated
from jupyter_server.base.handlers import JupyterHandler
from tornado.web import HTTPError, RequestHandler, authenticated
from tornado.websocket import WebSocketClosedError, WebSocketHandler
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.frames import CloseCode

from msq_jupyter import protocol
from msq_jupyter.errors import SynchronizerUnreachable
from msq_jupyter.session.connection import open_socket
from msq_jupyter.session.discovery import Address
from msq_jupyter.session.local import find_or_start
from msq_jupyter.synchronizer import invitation_page

#: What an authorizer is asked about; who may "execute" it may be in the rooms.
RESOURCE = "msq"
#: Members are looked after by pings, so that those who vanished are noticed. C code that holds the GIL of a kernel may
#: well keep it from answering for so long, and kernels ping by themselves, more often than proxies give up.
PING_S = 60.0
#: Frames from the synchronizer that may wait for a member; the rest waits in the sockets, and then at its source.
WAITING_FRAMES = 2
#: How long members have to read that the server stops, in seconds.
FAREWELL_S = 1.0
#: Among the settings of the web application: the set of members' sockets that are open.
SOCKETS = "msq_sockets"
#: Codes that a close frame cannot carry, because they say that none came.
_UNSENDABLE = {CloseCode.NO_STATUS_RCVD, CloseCode.ABNORMAL_CLOSURE, CloseCode.TLS_HANDSHAKE}


class RoomSocket(WebSocketHandler, JupyterHandler):
    """One member of a room, who comes through the Jupyter server."""

    auth_resource = RESOURCE

    def initialize(self) -> None:
        """Begin."""
        self._sockets: set[RoomSocket] = self.settings[SOCKETS]
        self._upstream: ClientConnection | None = None
        self._carrying: asyncio.Task[None] | None = None
        #: Set when nothing is left of the connection.
        self.gone = asyncio.Event()

    # --- what Tornado and Jupyter ask ----------------------------------------------------------------------------

    @property
    def ping_interval(self) -> float:
        """How often a member is asked whether it is there, in seconds."""
        return PING_S

    @property
    def ping_timeout(self) -> float:
        """After which time without an answer it is not, in seconds."""
        return PING_S

    @property
    def max_message_size(self) -> int:
        """The largest frame, in bytes: a snapshot may well be larger than the 10 MiB that Tornado allows."""
        return protocol.FRAME_BYTES_MAX

    def set_default_headers(self) -> None:
        """None: they are for pages."""

    async def prepare(self) -> None:  # type: ignore[override]  # Jupyter's returns something awaitable once more
        """Find out who asks; a WebSocket cannot follow to the login page."""
        await super().prepare(_redirect_to_login=False)

    def check_origin(self, origin: str = "") -> bool:
        """Whether pages of another origin may connect: as all over Jupyter, with a token or where it is allowed."""
        return JupyterHandler.check_origin(self, origin)

    @ws_authenticated
    @authorized("execute", RESOURCE)  # type: ignore[untyped-decorator]
    async def get(self, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]  # Jupyter's decorators
        """Open the connection and stay until it ends."""
        try:
            if self.request.headers.get("Upgrade", "").lower() == "websocket":
                self._upstream = await self._reach_synchronizer()
            await super().get(*args, **kwargs)
        finally:
            await self._part()

    # --- the pipe ------------------------------------------------------------------------------------------------

    async def _reach_synchronizer(self) -> ClientConnection:
        try:
            local = await asyncio.to_thread(find_or_start)
            return await open_socket(Address(local.url, local.token), max_queue=WAITING_FRAMES)
        except (SynchronizerUnreachable, OSError, WebSocketException, asyncio.TimeoutError) as error:
            self.log.error("msq_jupyter: the local synchronizer cannot be reached: %s", error)
            raise HTTPError(503, "the local synchronizer cannot be reached; the server's log says why") from error

    def open(self, *args: str, **kwargs: str) -> None:
        """The handshake is done: begin to carry."""
        self.set_nodelay(True)
        self._sockets.add(self)
        self._carrying = asyncio.ensure_future(self._carry_to_member())

    async def on_message(self, message: str | bytes) -> None:
        """Carry a frame to the synchronizer; Tornado reads no further until that is done."""
        assert self._upstream is not None
        try:
            await self._upstream.send(message)
        except ConnectionClosed:
            return  # the other direction ends the connection, with the code

    async def _carry_to_member(self) -> None:
        assert self._upstream is not None
        try:
            while True:
                frame = await self._upstream.recv()
                await self.write_message(frame, binary=isinstance(frame, bytes))
        except WebSocketClosedError:
            return
        except ConnectionClosed:
            code = self._upstream.close_code
            if code is None or code in _UNSENDABLE:
                self.close(CloseCode.BAD_GATEWAY, "the synchronizer is gone")
            else:
                self.close(code, self._upstream.close_reason)
        except Exception:
            self.log.exception("msq_jupyter: the connection of a member failed in a way nobody thought of")
            self.close(CloseCode.INTERNAL_ERROR)

    async def _part(self) -> None:
        """The member is gone, or never came: so is its connection to the synchronizer."""
        if self._carrying is not None:
            self._carrying.cancel()
            await asyncio.wait({self._carrying})
        if self._upstream is not None:
            code = self.close_code
            if code is None or code in _UNSENDABLE:
                code = CloseCode.GOING_AWAY
            await self._upstream.close(code, self.close_reason or "")
        self._sockets.discard(self)
        self.gone.set()


async def dismiss(sockets: set[RoomSocket]) -> None:
    """Tell members that the server stops, and wait a little until they know; they connect again when it is back."""
    for member in list(sockets):
        member.close(CloseCode.SERVICE_RESTART, "the Jupyter server stops")
    gone = [asyncio.ensure_future(member.gone.wait()) for member in sockets]
    if gone:
        _, waiting = await asyncio.wait(gone, timeout=FAREWELL_S)
        for task in waiting:
            task.cancel()


class InvitationPage(JupyterHandler):
    """The page behind the link of an invitation, for those who are let in here."""

    auth_resource = RESOURCE

    @authenticated
    @authorized("execute", RESOURCE)  # type: ignore[untyped-decorator]
    async def get(self) -> None:
        """The page; it knows nothing of the session, which stands behind the "#" of the link."""
        for header, value in invitation_page.HEADERS.items():
            self.set_header(header, value)
        await self.finish(invitation_page.PAGE)


#: Everything that is served, below `PATH` of the server's base URL.
ROUTES: dict[str, type[RequestHandler]] = {"": RoomSocket, invitation_page.PATH: InvitationPage}
