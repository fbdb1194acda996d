"""What a click on the badge asks of the kernel. Answers are messages: what is secret is not stored in the notebook."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from msq_jupyter.errors import ArgumentError, MsqError
from msq_jupyter.widgets.panel_requests import Request, Text, answered, failed, request_of, sender_of
from msq_jupyter.widgets.presence import NO_DETAILS, Badge

if TYPE_CHECKING:
    from msq_jupyter.widgets.session import Session

logger = logging.getLogger("msq_jupyter")


class Invite(Request, frozen=True, tag="invite"):
    """What others need to join."""

    with_password: bool = False
    page: Text = ""


class Difference(Request, frozen=True, tag="difference"):
    """How our source becomes somebody's."""

    view_id: Text


class Follow(Request, frozen=True, tag="follow"):
    """Go on with edited code."""


AnyRequest: TypeAlias = Invite | Difference | Follow


class BadgeRequests:
    """Answers what the browser asks.

    Args:
        session: whose badge it is.
        badge: the badge.
    """

    def __init__(self, session: Session, badge: Badge) -> None:
        self._session = session
        self._badge = badge
        self._tasks: set[asyncio.Task[None]] = set()
        badge.listen(session.loop, self._take)

    def _take(self, content: Any) -> None:
        sender = sender_of(content)
        if sender is None:
            return
        try:
            request: AnyRequest = request_of(content, AnyRequest)
        except ArgumentError as error:
            self._badge.send(failed(*sender, error))
            return
        task = self._session.loop.create_task(self._answer(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, request: AnyRequest) -> None:
        try:
            answer = await _ANSWERS[type(request)](self._session, request)
        except Exception as error:
            if not isinstance(error, MsqError):
                logger.exception("a click on the badge failed")
            self._badge.send(failed(request.client, request.id, error))
            return
        self._badge.send(answered(request, answer))


async def _invite(session: Session, request: Invite) -> dict[str, Any]:
    invitation = session.invite(password=request.with_password, page=request.page)
    return {
        "line": invitation.line,
        "link": invitation.link,
        "qr": invitation.qr_svg,
        "remark": invitation.remark,
    }


async def _difference(session: Session, request: Difference) -> dict[str, Any]:
    changes = await session.source_diff(request.view_id)
    return {"title": changes.title, "lines": list(changes.lines)}


async def _follow(session: Session, _: Follow) -> dict[str, Any]:
    if session.edit is not None:
        await session.follow()  # what goes wrong is in `edit`, and so on the badge
    return {}


_ANSWERS: dict[type, Callable[[Session, Any], Awaitable[dict[str, Any]]]] = {
    Invite: _invite,
    Difference: _difference,
    Follow: _follow,
}


def details_of(session: Session) -> dict[str, Any]:
    """What the badge shows when it is open, and of edited code."""
    latency_ms = session.latency_ms
    edit = session.edit
    return {
        **NO_DETAILS,
        "synchronizer": session.synchronizer,
        "latency_ms": round(latency_ms) if latency_ms >= 0 else -1,
        "others": [
            {"view_id": other.view_id, "label": other.label, "is_newer": other.is_newer} for other in session.others
        ],
        "edit_state": "" if edit is None else edit.state,
        "edit_title": "" if edit is None else edit.title,
    }
