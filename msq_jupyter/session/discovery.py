"""Which synchronizer to use when nobody says so.

In this order: the `synchronizer=` argument, the environment variable `MSQ_SYNCHRONIZER`, `c.Msq.synchronizer` in the
configuration of IPython, else the local one of this user, which is started when it does not run yet.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from msq_jupyter.errors import ArgumentError
from msq_jupyter.local_registry import default_data_directory
from msq_jupyter.session import jupyter_server
from msq_jupyter.session.local import find_or_start

ENVIRONMENT_VARIABLE = "MSQ_SYNCHRONIZER"


@dataclass(frozen=True)
class Address:
    """Where a synchronizer listens.

    Attributes:
        url: its WebSocket's.
        token: goes into the header `Authorization`, "" for none.
        scheme: the word before the token in there.
    """

    url: str
    token: str = field(default="", repr=False)
    scheme: str = "Bearer"


@dataclass(frozen=True)
class Place:
    """How to find a synchronizer, again and again.

    Attributes:
        locate: says where it is now, and starts a local one that has ended; it may block for seconds.
        is_local: whether only this machine can reach it.
        name: for messages.
        url: where others find it, too; "" for the local one of this user, which may be somewhere else each time.
        token: what an invitation may give along with the URL, "" for none.
        own_rooms: of the local one: where the Jupyter server of this kernel thinks others find it, "" for nowhere.
    """

    locate: Callable[[], Address]
    is_local: bool
    name: str
    url: str = ""
    token: str = field(default="", repr=False)
    own_rooms: str = ""

    @property
    def is_jupyter(self) -> bool:
        """Whether it is reached through a Jupyter server, with a token of that server."""
        return jupyter_server.is_jupyter(self.url)

    def check_password(self, password: str | None) -> None:
        """Refuse a name without password that others than this machine could reach; raises ArgumentError."""
        if password is None and not self.is_local:
            raise ArgumentError(
                f"password: {self.name} is not on this machine, and without a password everybody there could read "
                "and change the session: give one"
            )

    def url_for_others(self, page: str = "") -> str:
        """Where others reach it; "" when only this machine does.

        Args:
            page: what a browser shows as the address of the notebook's server, "" when nobody knows. Behind a proxy it
                knows better than the server itself.
        """
        if self.own_rooms:
            for url in (page, self.own_rooms):
                with contextlib.suppress(ValueError):
                    rooms, _ = jupyter_server.rooms_of(url)
                    if not jupyter_server.is_loopback(rooms):
                        return rooms
        return self.url


def find_place(synchronizer: str | None) -> Place:
    """The synchronizer to use.

    Args:
        synchronizer: its URL, `ws://host:port` or `wss://host:port`, with a token as `ws://TOKEN@host:port`; or that of
            a Jupyter server with our extension, `https://host/…?token=TOKEN`, as the browser shows it; None looks
            further. The token travels in a header, never in the URL.

    Raises:
        ArgumentError: a URL that is none.
    """
    for url, origin in (
        (synchronizer, "synchronizer="),
        (os.environ.get(ENVIRONMENT_VARIABLE), ENVIRONMENT_VARIABLE),
        (_configured(), "c.Msq.synchronizer"),
    ):
        if url:
            return _jupyter(url, origin) if url.startswith(("http:", "https:")) else _fixed(_address(url, origin))
    return _local_place()


def _local_place() -> Place:
    own_rooms = jupyter_server.own_rooms(str(default_data_directory()))
    return Place(_local, is_local=True, name="the local synchronizer", own_rooms=own_rooms)


def _fixed(address: Address) -> Place:
    is_local = jupyter_server.is_loopback(address.url)
    return Place(lambda: address, is_local, address.url, address.url, address.token)


def _jupyter(url: str, origin: str) -> Place:
    try:
        rooms, token = jupyter_server.rooms_of(url)
        if not (token.isascii() and token.isprintable()):
            raise ValueError("no token")
    except ValueError:
        raise _no_url(url, origin) from None
    local = _local_place()
    if rooms == local.own_rooms:
        return local  # the invitation came back to the server it is from
    address = Address(jupyter_server.socket_url(rooms), token, "token")
    # Its own loopback address may be a tunnel, and it lets in whoever has its token, wherever they are.
    return Place(lambda: address, is_local=False, name=rooms, url=rooms)


def _local() -> Address:
    local = find_or_start()
    return Address(local.url, local.token)


def _configured() -> str | None:
    # Only where IPython runs already: a script must not load it for this.
    if "IPython" not in sys.modules:
        return None
    shell = sys.modules["IPython"].get_ipython()
    if shell is None or "Msq" not in shell.config:
        return None
    url = shell.config.Msq.get("synchronizer")
    return url if isinstance(url, str) else None


def _address(url: str, origin: str) -> Address:
    token, at, host = url.partition("://")[2].rpartition("@")
    without_token = url.replace(f"{token}{at}", "", 1) if at else url
    try:
        parts = urlsplit(without_token)
        valid = parts.scheme in ("ws", "wss") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        # `urlsplit` looks past tabs and the like, which would be a part of the URL all the same.
        valid = valid and not parts.query and not parts.fragment and without_token.isprintable()
    except ValueError:  # a port that is none, or half a bracket
        valid = False
    if not valid or (at and not (token.isascii() and token.isprintable() and host)):
        raise _no_url(without_token, origin)
    return Address(parts.scheme + without_token[len(parts.scheme) :], token)


def _no_url(url: str, origin: str) -> ArgumentError:
    shown = url.partition("?")[0].partition("#")[0]  # what follows may be a secret
    scheme, separator, rest = shown.partition("://")
    shown = scheme + separator + rest.rpartition("@")[2]
    return ArgumentError(
        f'{origin}: expected a URL such as "ws://127.0.0.1:8765", or "ws://TOKEN@host:port" for a synchronizer that '
        f'wants a token, or "https://host/user/ada/msq?token=TOKEN" for a Jupyter server, got {shown!r}'
    )
