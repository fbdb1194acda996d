"""What a click on the badge asks of the kernel. Answers are messages: what is secret is not stored in the notebook."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from msq_jupyter.errors import MsqError
from msq_jupyter.widgets.presence import NO_DETAILS, Badge

if TYPE_CHECKING:
    from msq_jupyter.widgets.session import Session

logger = logging.getLogger("msq_jupyter")


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
        badge.on_msg(self._on_message)

    def _on_message(self, _: Any, content: Any, __: Any) -> None:
        # It comes on any thread, and may come from any browser that shows the notebook.
        if isinstance(content, dict) and isinstance(content.get("kind"), str):
            self._session.loop.call_soon_threadsafe(self._begin, content)

    def _begin(self, content: dict[str, Any]) -> None:
        handler = _HANDLERS.get(content["kind"])
        if handler is not None:
            task = self._session.loop.create_task(self._answer(handler, content))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, handler: Handler, content: dict[str, Any]) -> None:
        try:
            answer = await handler(self._session, content)
        except MsqError as error:
            answer = {"kind": "difference", "title": str(error), "lines": []} if handler is _difference else None
        except Exception:
            logger.exception("a click on the badge failed")
            return
        if answer is not None:
            self._badge.send(answer)


Handler = Callable[["Session", dict[str, Any]], Awaitable[dict[str, Any] | None]]


async def _invite(session: Session, content: dict[str, Any]) -> dict[str, Any]:
    invitation = session.invite(password=content.get("with_password") is True)
    return {
        "kind": "invitation",
        "line": invitation.line,
        "link": invitation.link,
        "qr": invitation.qr_svg,
        "remark": invitation.remark,
    }


async def _difference(session: Session, content: dict[str, Any]) -> dict[str, Any]:
    changes = await session.source_diff(str(content.get("view_id")))
    return {"kind": "difference", "title": changes.title, "lines": list(changes.lines)}


async def _follow(session: Session, _: dict[str, Any]) -> None:
    if session.edit is not None:
        await session.follow()  # what goes wrong is in `edit`, and so on the badge


_HANDLERS: dict[str, Handler] = {"invite": _invite, "difference": _difference, "follow": _follow}


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
