"""Which synchronizer to use when nobody says so.

In this order: the `synchronizer=` argument, the environment variable `MSQ_SYNCHRONIZER`, `c.Msq.synchronizer` in the
configuration of IPython, else the local one of this user, which is started when it does not run yet.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from msq_jupyter.errors import ArgumentError
from msq_jupyter.session.local import find_or_start

ENVIRONMENT_VARIABLE = "MSQ_SYNCHRONIZER"


@dataclass(frozen=True)
class Address:
    """Where a synchronizer listens; `token` goes into a header, "" for none."""

    url: str
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Place:
    """How to find a synchronizer, again and again.

    Attributes:
        locate: says where it is now, and starts a local one that has ended; it may block for seconds.
        is_local: whether only this machine can reach it.
        name: for messages.
        address: where it always is; None for the local one of this user, which may be somewhere else each time.
    """

    locate: Callable[[], Address]
    is_local: bool
    name: str
    address: Address | None = None

    def check_password(self, password: str | None) -> None:
        """Refuse a name without password that others than this machine could reach; raises ArgumentError."""
        if password is None and not self.is_local:
            raise ArgumentError(
                f"password: {self.name} is not on this machine, and without a password everybody there could read "
                "and change the session: give one"
            )


def find_place(synchronizer: str | None) -> Place:
    """The synchronizer to use.

    Args:
        synchronizer: its URL, `ws://host:port` or `wss://host:port`, with a token as `ws://TOKEN@host:port`; None looks
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
            return _fixed(_address(url, origin))
    return Place(_local, is_local=True, name="the local synchronizer")


def _fixed(address: Address) -> Place:
    return Place(lambda: address, _is_loopback(address.url), address.url, address)


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
        valid = valid and not parts.query and not parts.fragment
    except ValueError:  # a port that is none, or half a bracket
        valid = False
    if not valid or (at and not (token.isascii() and token.isprintable() and host)):
        shown = without_token.partition("?")[0].partition("#")[0]  # what follows may be a secret
        raise ArgumentError(
            f'{origin}: expected a URL such as "ws://127.0.0.1:8765", or "ws://TOKEN@host:port" for a synchronizer '
            f"that wants a token, got {shown!r}"
        )
    return Address(without_token, token)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
