"""Rooms behind a Jupyter server: their address, made of whatever people copy, and why somebody is not let in.

The server extension serves them at `PATH` below the server's base URL, behind Jupyter's authentication. To kernels of
its own it says, in their environment, where that is; they themselves reach the same synchronizer without this detour.
"""

from __future__ import annotations

import ipaddress
import os
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

#: Where the rooms are, below a server's base URL.
PATH = "/msq"
#: In the environment of a server's kernels: the address of its rooms, and the data directory of their synchronizer.
URL_VARIABLE = "MSQ_JUPYTER_SERVER"
DATA_VARIABLE = "MSQ_JUPYTER_SERVER_DATA_DIR"

#: What follows the base URL in the addresses that a browser shows.
_PAGES = {"lab", "tree", "notebooks", "doc", "edit", "consoles", "terminals", "nbclassic", "retro", "voila"}
_SAME_SERVER = "In a notebook of that same server, leave the address out"
_SOCKET_SCHEMES = {"http": "ws", "https": "wss"}


def is_jupyter(url: str) -> bool:
    """Whether a URL is meant for a Jupyter server: `http` or `https`, where a synchronizer of its own has `ws`."""
    return urlsplit(url).scheme in _SOCKET_SCHEMES


def rooms_of(url: str) -> tuple[str, str]:
    """The address of the rooms of a Jupyter server, and the token in the URL, "" for none.

    Args:
        url: of the rooms, of the server, or of any page of it, as the browser shows it. What stands behind the "?",
            other than the token, and behind the "#" is left out.

    Raises:
        ValueError: no such URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in _SOCKET_SCHEMES or not parts.hostname or parts.username or parts.password or parts.port == 0:
        raise ValueError("no address of a Jupyter server")
    if not url.isprintable():
        raise ValueError("no address of a Jupyter server")
    names = [name for name in parts.path.split("/") if name]
    for index, name in enumerate(names):
        # Somebody may well be called "lab" by a JupyterHub, where servers are at /user/NAME/.
        if f"/{name}" == PATH or (name in _PAGES and names[index - 1 : index] != ["user"]):
            del names[index:]
            break
    path = "".join(f"/{name}" for name in names) + PATH
    token = dict(parse_qsl(parts.query)).get("token", "")
    return urlunsplit((parts.scheme, parts.netloc, path, "", "")), token


def socket_url(rooms: str) -> str:
    """The address of rooms as a WebSocket's: `wss://…` for `https://…`."""
    scheme, _, rest = rooms.partition("://")
    return f"{_SOCKET_SCHEMES[scheme]}://{rest}"


def with_token(rooms: str, token: str) -> str:
    """The address of rooms with a token behind it, as people write it; it is sent in a header."""
    return f"{rooms}?{urlencode({'token': token})}" if token else rooms


def own_rooms(data_directory: str) -> str:
    """The rooms of the Jupyter server that started this kernel, "" for none.

    Args:
        data_directory: of the synchronizer that this kernel uses; a server with another one has other rooms.
    """
    return os.environ.get(URL_VARIABLE, "") if os.environ.get(DATA_VARIABLE) == data_directory else ""


def is_loopback(url: str) -> bool:
    """Whether a URL leads nowhere but to the machine it is used on."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refusal(rooms: str, status: int) -> str:
    """Why a Jupyter server does not let somebody in, and what to do.

    Args:
        rooms: their address.
        status: of its answer, as HTTP numbers them.
    """
    text = f"the Jupyter server at {rooms} answered with HTTP status {status}: "
    if status == 404:
        return text + "install msq_jupyter where that server runs, and restart it; or check the URL"
    if status == 503:
        return text + "it is not running, or cannot reach its synchronizer; its log says which"
    if status == 401:  # which Jupyter never says, and ours does
        return text + 'if it is a synchronizer of its own, its address is "wss://TOKEN@host:port"'
    if status not in (302, 403):
        return text + "check the URL"
    text += (
        "it lets in those who show a token of their own, which no invitation contains. "
        f'Put yours behind the address, "{rooms}?token=TOKEN". '
    )
    before, user, owner = rooms.removesuffix(PATH).rpartition("/user/")
    if not user:
        return text + f"Whoever runs that server has the token. {_SAME_SERVER}"
    scope = f"access:servers!server={owner if '/' in owner else f'{owner}/'}"
    return text + (
        f"On JupyterHub you make one at {before}/hub/token, with the scope {scope} and no other, because "
        f"that server sees it; who runs the hub, or shares that server with you, has to allow it. {_SAME_SERVER}"
    )
