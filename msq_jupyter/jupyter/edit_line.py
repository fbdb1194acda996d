"""One quiet line under a cell that edits the code of a live session, and what comes of the edit."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from msq_jupyter.errors import CodeEditRefused, MsqError
from msq_jupyter.session.session import SessionCore

logger = logging.getLogger("msq_jupyter")

_numbers = itertools.count(1)


class EditLine:
    """Looks, after each cell, whether it edited the code of a session; then the session does what it was told to.

    Args:
        shell: the shell, with `user_ns` and `display_pub`.
    """

    def __init__(self, shell: Any) -> None:
        self._namespace: dict[str, Any] = shell.user_ns
        self._show = partial(show_line, shell.display_pub)
        self._said: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def after_cell(self, sessions: list[SessionCore]) -> None:
        """Look at sessions that are live.

        Args:
            sessions: those that the notebook's cells know.
        """
        for session in sessions:
            if session.given.on_code_edit == "stay" or not session.is_open:
                continue
            try:
                news = session.look_for_edit(self._namespace)
            except Exception as error:
                # Code of others is looked at: what that raises must not stand in the way of the other sessions.
                if not isinstance(error, MsqError):
                    logger.exception("looking for edited code failed")
                self._say_once(f"{session.name}: the edited code cannot be used: {error}")
                continue
            if news is not None:
                change = self._show(f"{session.name}: {news.title} …")
                # Its loop, because in a terminal none runs between cells.
                task = session.loop.create_task(self._handle(session, change))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _handle(self, session: SessionCore, change: Callable[[str], None]) -> None:
        edit = session.edit
        if edit is None:
            return
        try:
            if session.given.on_code_edit == "follow":
                report = await session.follow(edit.model, edit.view)
                name = edit.model.__qualname__
                change(f"{session.name}: goes on with the edited {name}, which loads {report.what_loads}")
                return
            await session.try_out()
            tried = session.edit
            if tried is None or tried.code_hash != edit.code_hash:
                change(f"{session.name}: {edit.model.__qualname__} was edited again")
            elif tried.state == "refused":
                change(f"{session.name}: {tried.title}")
            else:
                change(f"{session.name}: {tried.title}\nGo on with it by a click on the badge, or by %msq follow")
                self._settle_later(session, tried.code_hash, change)
        except CodeEditRefused as error:
            change(f"{session.name}: {error}")
        except Exception as error:
            # Nobody waits for this, and the line must not go on saying that it is being tried out.
            if not isinstance(error, MsqError):
                logger.exception("following edited code failed")
            change(f"{session.name}: the edited code was not tried out: {error}")

    def _settle_later(self, session: SessionCore, code_hash: str, change: Callable[[str], None]) -> None:
        """Say what became of the edit, when that is known: by then the cell may be far away."""

        def look() -> None:
            edit = session.edit
            if edit is not None and edit.code_hash == code_hash:
                return
            session.frame_hooks.remove(look)
            name = session.given.model.__qualname__
            if session.code_hash == code_hash:
                change(f"{session.name}: goes on with the edited {name}")
            elif edit is None:
                change(f"{session.name}: the edit of {name} was undone")
            else:
                change(f"{session.name}: {name} was edited again")

        session.frame_hooks.append(look)

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._show(text)


def show_line(publisher: Any, text: str) -> Callable[[str], None]:
    """Show a line of text under the cell that runs; returns what changes it.

    Args:
        publisher: the shell's `display_pub`.
        text: the line.
    """
    transient = {"display_id": f"msq-edit-{next(_numbers)}"}
    publisher.publish(data={"text/plain": text}, metadata={}, transient=transient)

    def change(text: str) -> None:
        publisher.publish(data={"text/plain": text}, metadata={}, transient=transient, update=True)

    return change
