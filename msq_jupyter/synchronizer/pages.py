"""What the synchronizer answers to plain HTTP on its port, and who may open a WebSocket there.

One table says which pages there are and which token each asks for. What carries requests and answers is the matter of
the driver, which turns a `Page` into its own kind of response.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from msq_jupyter.synchronizer import invitation_page
from msq_jupyter.synchronizer.counts import Counts
from msq_jupyter.synchronizer.guard import Guard, NotAdmitted
from msq_jupyter.synchronizer.rooms import Rooms

logger = logging.getLogger("msq_jupyter.synchronizer")

_TEXT = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True)
class Page:
    """An answer to a request.

    Attributes:
        text: the body.
        status: of HTTP.
        headers: all that are not about the connection.
    """

    text: str
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=lambda: _TEXT)


class Pages:
    """Answers requests.

    Args:
        guard: knows the tokens.
        rooms: are counted.
        counts: are shown.
        is_stopping: whether the end has begun.
    """

    def __init__(self, guard: Guard, rooms: Rooms, counts: Counts, is_stopping: Callable[[], bool]) -> None:
        self._guard = guard
        self._rooms = rooms
        self._counts = counts
        self._is_stopping = is_stopping
        # Path, the scope that a token needs for it ("" for a page that needs none), and what makes the page.
        self._table: dict[str, tuple[str, Callable[[], Page]]] = {
            "/healthz": ("", self._health),
            invitation_page.PATH: ("", _invitation),
            "/metrics": ("administer", self._metrics),
        }

    def answer(
        self, target: str, authorization: Sequence[str], *, wants_socket: bool, address: str = "", now_s: float = 0.0
    ) -> Page | None:
        """The answer to a request, None to go on and open a WebSocket.

        Args:
            target: the path, with what follows a "?".
            authorization: the values of all headers `Authorization`.
            wants_socket: whether it asks for a WebSocket, which it may at any path.
            address: where it comes from.
            now_s: of a monotonic clock.
        """
        scope, make = "", None
        if not wants_socket:
            scope, make = self._table.get(target.partition("?")[0], ("", None))
            if make is not None and not scope:
                return make()
        token = self._guard.admit(authorization, address, now_s)
        if isinstance(token, NotAdmitted):
            self._counts.refusals += 1
            return _too_many(token, address) if token.wait_s else _UNAUTHORIZED
        if make is None:
            return None
        return make() if scope in token.scopes else _forbidden(scope)

    def _health(self) -> Page:
        return Page("stopping\n", HTTPStatus.SERVICE_UNAVAILABLE) if self._is_stopping() else Page("ok\n")

    def _metrics(self) -> Page:
        try:
            from msq_jupyter.synchronizer.metrics import CONTENT_TYPE, exposition
        except ImportError:
            return Page(
                "expected the package prometheus-client beside the synchronizer, got none: "
                "pip install 'msq_jupyter[server]'\n",
                HTTPStatus.NOT_IMPLEMENTED,
            )
        return Page(exposition(self._counts, self._rooms), headers=_TEXT | {"Content-Type": CONTENT_TYPE})


_UNAUTHORIZED = Page(
    "expected the header Authorization with a token of this synchronizer\n",
    HTTPStatus.UNAUTHORIZED,
    _TEXT | {"WWW-Authenticate": "Bearer"},
)


def _too_many(refused: NotAdmitted, address: str) -> Page:
    wait_s = math.ceil(refused.wait_s)
    if refused.is_first:
        logger.warning("too many wrong tokens came from address %s: it is refused for %d s", address, wait_s)
    return Page(
        f"too many wrong tokens came from this address: wait {wait_s} seconds, and check the token\n",
        HTTPStatus.TOO_MANY_REQUESTS,
        _TEXT | {"Retry-After": str(wait_s)},
    )


def _forbidden(scope: str) -> Page:
    return Page(
        f"expected a token with the scope {scope}: make one with msq token create\n",
        HTTPStatus.FORBIDDEN,
    )


def _invitation() -> Page:
    return Page(invitation_page.PAGE, headers=invitation_page.HEADERS)
