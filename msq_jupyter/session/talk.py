"""Talk between participants, outside the log: questions with answers, and news; between sessions of other code, too.

Best effort: it arrives once or never. Everything is sealed for its sender, its receiver and its number, and what cannot
be opened, comes again or makes no sense is dropped. What is told is plain data (numbers, text, lists, dicts), and
whoever hears it checks it; it never becomes code.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from msq_jupyter import protocol
from msq_jupyter.errors import EventTooLarge, NoAnswer, SealBroken
from msq_jupyter.session.crypto import Keys

logger = logging.getLogger("msq_jupyter")

#: How long an answer is waited for, in seconds. A cell that runs over there keeps it from answering.
ANSWER_S = 10.0
_ANSWER = "answer"


class Talk:
    """What one participant tells and hears.

    Args:
        keys: seal and open.
        view_id: who we are.
        send: sends a `Tell` if there is a connection.

    Attributes:
        hears: by kind, what to call with the sender's view id and the data.
        answers: by kind of question, what to call with the asker's view id and the data; it returns the answer.
    """

    def __init__(self, keys: Keys, view_id: str, send: Callable[[protocol.Tell], None]) -> None:
        self._keys = keys
        self._view_id = view_id
        self._send = send
        self._numbers = itertools.count(1)
        self._heard: dict[str, int] = {}
        self._waiting: dict[tuple[str, int], asyncio.Future[Any]] = {}
        self.hears: dict[str, Callable[[str, Any], None]] = {}
        self.answers: dict[str, Callable[[str, Any], Any]] = {}

    def tell(self, to_view_id: str, kind: str, data: Any, request: int = 0) -> int:
        """Tell a view something; returns the number of what was told.

        Args:
            to_view_id: whom.
            kind: a key of its `hears` or `answers`.
            data: plain data.
            request: for an answer, the number of the question.

        Raises:
            EventTooLarge: with its size and the limit.
        """
        number = next(self._numbers)
        plain = msgspec.msgpack.encode((kind, request, data))
        sealed = self._keys.seal_tell(self._view_id, to_view_id, number, plain)
        if len(sealed) > protocol.TELL_BYTES_MAX:
            raise EventTooLarge(len(sealed), protocol.TELL_BYTES_MAX, kind)
        self._send(protocol.Tell(to_view_id, number, sealed))
        return number

    async def ask(self, view_id: str, kind: str, data: Any = None, timeout_s: float | None = None) -> Any:
        """Ask a view something; what it answers is plain data that has to be checked.

        Raises:
            NoAnswer: none came in time.
        """
        number = self.tell(view_id, kind, data)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[view_id, number] = answer
        limit_s = ANSWER_S if timeout_s is None else timeout_s
        try:
            return await asyncio.wait_for(answer, limit_s)
        except asyncio.TimeoutError:
            raise NoAnswer(
                f"no answer in {limit_s:g} seconds: a cell may be running over there; try again when it is done"
            ) from None
        finally:
            del self._waiting[view_id, number]

    def on_told(self, told: protocol.Told) -> None:
        """Something came. Nothing that is wrong with it is anybody's problem but the sender's."""
        sender = told.from_view_id
        try:
            plain = self._keys.open_tell(sender, self._view_id, told.number, told.payload)
            if told.number <= self._heard.get(sender, 0):
                return
            self._heard[sender] = told.number
            kind, request, data = msgspec.msgpack.decode(plain, type=tuple[str, int, Any])
            self._hear(sender, told.number, kind, request, data)
        except (SealBroken, msgspec.MsgspecError, ValueError, TypeError, RecursionError, EventTooLarge) as error:
            # Not into the story, which strangers could fill with it.
            logger.debug("what %s told was dropped: %s", sender, error)

    def _hear(self, sender: str, number: int, kind: str, request: int, data: Any) -> None:
        if kind == _ANSWER:
            waiting = self._waiting.get((sender, request))
            if waiting is not None and not waiting.done():
                waiting.set_result(data)
        elif kind in self.answers:
            self.tell(sender, _ANSWER, self.answers[kind](sender, data), number)
        elif kind in self.hears:
            self.hears[kind](sender, data)
