"""The handlers in a web application of this process, in front of a synchronizer that the test plays itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from jinja2 import DictLoader, Environment
from jupyter_server.auth import AllowAllAuthorizer, IdentityProvider
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from msq_jupyter import protocol
from msq_jupyter.server_extension import handlers
from msq_jupyter.session.jupyter_server import PATH
from msq_jupyter.session.local import LocalSynchronizer
from tests.waiting import until

BASE_URL = "/user/ada"
TOKEN = "let-me-in"
HEADER = {"Authorization": f"token {TOKEN}"}


class Played:
    """A synchronizer that does what the test says.

    Attributes:
        play: what happens with a connection; unless replaced, it says everything back.
        connections: all there were.
    """

    def __init__(self) -> None:
        self.play: Callable[[ServerConnection], Awaitable[None]] = self._echo
        self.connections: list[ServerConnection] = []

    async def __call__(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        await self.play(connection)

    async def _echo(self, connection: ServerConnection) -> None:
        async for frame in connection:
            await connection.send(frame)


class Web:
    """The web application, at `url`, with `settings` as Jupyter makes them."""

    def __init__(self) -> None:
        self.provider = IdentityProvider(token=TOKEN)
        self.settings = {
            "base_url": BASE_URL + "/",
            "cookie_secret": "secret",
            "xsrf_cookies": True,
            "identity_provider": self.provider,
            "authorizer": AllowAllAuthorizer(identity_provider=self.provider),
            "login_url": BASE_URL + "/login",
            "serverapp": None,
            "jinja2_env": Environment(loader=DictLoader({"error.html": "{{message}}"}), autoescape=True),
            handlers.SOCKETS: set(),
        }
        routes = [(BASE_URL + PATH + path, handler) for path, handler in handlers.ROUTES.items()]
        self.server = HTTPServer(Application(routes, **self.settings))
        socket, self.port = bind_unused_port(address="127.0.0.1")
        self.server.add_sockets([socket])
        self.url = f"http://127.0.0.1:{self.port}{BASE_URL}"
        self.rooms = f"ws://127.0.0.1:{self.port}{BASE_URL}{PATH}"

    @property
    def sockets(self) -> set[handlers.RoomSocket]:
        found: set[handlers.RoomSocket] = self.settings[handlers.SOCKETS]
        return found

    def join(self, headers: dict[str, str] | None = None, **options) -> connect:
        """A member's connection; with the token unless other headers are given."""
        options = {"compression": None, "max_size": protocol.FRAME_BYTES_MAX, "proxy": None, **options}
        return connect(self.rooms, additional_headers=HEADER if headers is None else headers, **options)


@pytest.fixture
async def played() -> AsyncIterator[Played]:
    played = Played()
    async with serve(
        played, "127.0.0.1", 0, max_size=protocol.FRAME_BYTES_MAX, compression=None, write_limit=2**16
    ) as server:
        played.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield played


@pytest.fixture
async def web(played: Played, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Web]:
    monkeypatch.setattr(handlers, "find_or_start", lambda: LocalSynchronizer(played.url, "of the synchronizer"))
    web = Web()
    yield web
    web.server.stop()
    await handlers.dismiss(web.sockets)
    await web.server.close_all_connections()
    await until(lambda: not web.sockets)
