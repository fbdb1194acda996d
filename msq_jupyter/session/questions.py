"""Questions to the synchronizer that wait for their answers, on the main loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from msq_jupyter import protocol
from msq_jupyter.errors import SessionClosed
from msq_jupyter.session.client import Answered, Client
from msq_jupyter.session.connection import Connection


class Questions:
    """What one participant has asked.

    Args:
        connection: what carries a question.
        client: what sends it, again after each reconnect, until it is answered.
        name: the session's, for messages.
    """

    def __init__(self, connection: Connection, client: Client, name: str) -> None:
        self._connection = connection
        self._client = client
        self._name = name
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._has_ended = False

    async def ask(self, message: Callable[[int], protocol.Message]) -> Any:
        """Ask what `message` makes of a request id; the answer.

        Raises:
            SessionClosed: the session ended before.
        """
        return await self._asked(message)

    def ask_for(self, message: Callable[[int], protocol.Message], then: Callable[[Any], None]) -> None:
        """Ask, and have `then` called with the answer, which never comes when the session ends before."""

        def answered(answer: asyncio.Future[Any]) -> None:
            if answer.exception() is None:
                then(answer.result())

        self._asked(message).add_done_callback(answered)

    def _asked(self, message: Callable[[int], protocol.Message]) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._has_ended:
            answer.set_exception(self._closed())
            return answer
        request_id = max(self._answers, default=0) + 1
        self._answers[request_id] = answer
        self._connection.call(self._client.request, request_id, message(request_id))
        return answer

    def on_answer(self, happening: Answered) -> None:
        """An answer came."""
        answer = self._answers.pop(happening.request_id, None)
        if answer is not None and not answer.done():
            answer.set_result(happening.answer)

    def give_up(self) -> None:
        """The session has ended: nobody answers any more."""
        self._has_ended = True
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(self._closed())
        self._answers.clear()

    def _closed(self) -> SessionClosed:
        return SessionClosed(f"the session {self._name!r} ended before the answer came")
