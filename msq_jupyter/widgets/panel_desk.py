"""Where the questions of badges and panels are answered: on the main loop, in portions, the newest question first.

Whatever takes long gives way to others, and what nobody waits for any more is not finished.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from msq_jupyter.errors import ArgumentError, MsqError
from msq_jupyter.persistence.harmless import shortened
from msq_jupyter.session.keeping import VERSIONS_CHANGED
from msq_jupyter.widgets import panel_requests as ask
from msq_jupyter.widgets.panel_check import CheckRun
from msq_jupyter.widgets.panel_history import PanelHistory
from msq_jupyter.widgets.panel_tree import mark_of, opened_of, root_of, search, tree_rows

if TYPE_CHECKING:
    from msq_jupyter.widgets.session import Session

logger = logging.getLogger("msq_jupyter")

#: So many questions of one browser may wait.
WAITING_MAX = 64

Send: TypeAlias = "Callable[[dict[str, Any]], None]"


class Desk:
    """Answers the questions of all browsers that show a session's badge or panel.

    Args:
        session: what is asked about.
        changed: called when the writer should look again.

    Attributes:
        asked: kinds of what was asked since it was cleared: the writer tells of changes of those only.
        check: the dry run.
        history: versions and what differs between them.
    """

    def __init__(self, session: Session, changed: Callable[[], None]) -> None:
        self._session = session
        self._changed = changed
        self._tasks: dict[tuple[str, int], tuple[ask.AnyRequest, asyncio.Task[None]]] = {}
        self.asked: set[type] = set()
        self.history = PanelHistory(session)
        self.check = CheckRun(session, changed)
        self.attach()

    def attach(self) -> None:
        """Hear of changes of versions from now on: edited code has a session of another id."""
        events = self._session.view_events
        events.unsubscribe_all("panel")
        events.subscribe("panel", self._session.id, VERSIONS_CHANGED, self._on_versions_changed)

    def _on_versions_changed(self, _: Any) -> None:
        self.history.forget()
        self._changed()

    def take(self, content: Any, send: Send) -> None:
        """A message came, see `OneWayWidget.listen`.

        Args:
            content: the message.
            send: sends a message to all browsers that show the widget it came from.
        """
        sender = ask.sender_of(content)
        if sender is None:
            logger.debug("a message without a sender")
            return
        try:
            request = ask.request_of(content)
            self._forget_older(request)
            if sum(client == request.client for client, _ in self._tasks) >= WAITING_MAX:
                raise ArgumentError(f"more than {WAITING_MAX} questions of one browser wait: ask again in a while")
        except ArgumentError as error:
            send(ask.failed(*sender, error))
            return
        self.asked.add(type(request))
        task = self._session.loop.create_task(self._answer(request, send))
        self._tasks[sender] = (request, task)
        task.add_done_callback(lambda _: self._tasks.pop(sender, None))

    def _forget_older(self, request: ask.AnyRequest) -> None:
        """A search that is typed on, a version that was passed by: nobody waits for those any more."""
        if not isinstance(request, (ask.Tree, ask.Changes, ask.Plan)):
            return
        for (client, number), (older, task) in list(self._tasks.items()):
            if client == request.client and type(older) is type(request) and _subject(older) != _subject(request):
                task.cancel()
                self._tasks.pop((client, number), None)

    async def _answer(self, request: ask.AnyRequest, send: Send) -> None:
        try:
            answer = await _ANSWERS[type(request)](self, request)
        except asyncio.CancelledError:
            send(ask.failed(request.client, request.id, None))
            raise
        except Exception as error:
            if not isinstance(error, MsqError):
                logger.debug("could not answer %s", request, exc_info=error)
            send(ask.failed(request.client, request.id, error))
            return
        send(ask.answered(request, answer))

    # --- one for each kind of question -----------------------------------------------------------------------------

    async def _tree(self, request: ask.Tree) -> dict[str, Any]:
        root, replica = root_of(self._session.model)
        if request.text:
            found = await self.history.kept(
                ("search", request.text, mark_of(self._session.model)), lambda: search(root, replica, request.text)
            )
            return {**found, "rows": found["rows"][request.start : request.start + request.count]}
        return tree_rows(root, replica, opened_of(request.opened), request.start, request.count)

    async def _versions(self, request: ask.Versions) -> dict[str, Any]:
        zone = ask.zone_of(request.zone, request.offset_min)
        window = (request.start, request.count)
        return await self.history.rows(request.filter, zone, request.opened, window)

    async def _changes(self, request: ask.Changes) -> dict[str, Any]:
        window = (request.start, request.count)
        return await self.history.changes(request.a, request.b, request.part, request.place, window)

    async def _plan(self, request: ask.Plan) -> dict[str, Any]:
        return await self.history.plan(request.number, request.place)

    async def _restore(self, request: ask.Restore) -> dict[str, Any]:
        place: dict[str, Any] = {"path": request.place} if request.place else {}
        await self._session.restore(request.number, **place)
        return {}

    async def _check(self, request: ask.Check) -> dict[str, Any]:
        self.check.begin(request.newest)
        return {}

    async def _stop_check(self, _: ask.StopCheck) -> dict[str, Any]:
        self.check.stop()
        return {}

    async def _checked(self, request: ask.Checked) -> dict[str, Any]:
        return self.check.rows(request.start, request.count)

    async def _explain(self, request: ask.Explain) -> dict[str, Any]:
        sentences = await self._session.explain_code(request.view_id)
        return {"sentences": [shortened(sentence, 400) for sentence in sentences]}

    async def _log(self, request: ask.Log) -> dict[str, Any]:
        text = request.text.casefold()
        lines = [line for line in reversed(list(self._session.log)) if text in line.text.casefold()]
        rows = [
            {
                "time_s": line.time.timestamp(),
                "level": str(line.level),
                "text": shortened(line.text.removeprefix("[Multisynq] "), 2_000),
            }
            for line in lines[request.start : request.start + request.count]
        ]
        return {"total": len(lines), "rows": rows}

    async def _save(self, request: ask.Save) -> dict[str, Any]:
        await self._session.save(request.label)
        return {}

    async def _label(self, request: ask.Label) -> dict[str, Any]:
        await self._session.label(request.number, request.text)
        return {}

    async def _pin(self, request: ask.Pin) -> dict[str, Any]:
        await self._session.pin(request.number, request.pinned)
        return {}

    async def _invite(self, request: ask.Invite) -> dict[str, Any]:
        invitation = self._session.invite(password=request.with_password, page=request.page)
        return {
            "line": invitation.line,
            "link": invitation.link,
            "qr": invitation.qr_svg,
            "remark": invitation.remark,
        }

    async def _difference(self, request: ask.Difference) -> dict[str, Any]:
        changes = await self._session.source_diff(request.view_id)
        return {"title": changes.title, "lines": list(changes.lines)}

    async def _follow(self, _: ask.Follow) -> dict[str, Any]:
        if self._session.edit is not None:
            await self._session.follow()  # what goes wrong is in `edit`, and so on the badge
        return {}


_ANSWERS: dict[type, Callable[[Desk, Any], Awaitable[dict[str, Any]]]] = {
    ask.Tree: Desk._tree,
    ask.Versions: Desk._versions,
    ask.Changes: Desk._changes,
    ask.Plan: Desk._plan,
    ask.Restore: Desk._restore,
    ask.Check: Desk._check,
    ask.StopCheck: Desk._stop_check,
    ask.Checked: Desk._checked,
    ask.Explain: Desk._explain,
    ask.Log: Desk._log,
    ask.Save: Desk._save,
    ask.Label: Desk._label,
    ask.Pin: Desk._pin,
    ask.Invite: Desk._invite,
    ask.Difference: Desk._difference,
    ask.Follow: Desk._follow,
}


def _subject(request: Any) -> Any:
    """What is asked about, apart from which rows of it."""
    return [getattr(request, name) for name in request.__struct_fields__ if name not in ("id", "start", "count")]
