"""Questions to the synchronizer: none waits for an answer that cannot come any more."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, cast

import pytest

from msq_jupyter import protocol
from msq_jupyter.errors import SessionClosed
from msq_jupyter.session.client import Answered, Client
from msq_jupyter.session.connection import Connection
from msq_jupyter.session.questions import Questions


class _Wire:
    """Both a client and what carries its questions: keeps them."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def call(self, function: Any, *args: Any) -> None:
        function(*args)

    def request(self, request_id: int, _: protocol.Message) -> None:
        self.asked.append(request_id)


@pytest.fixture
def wire():
    return _Wire()


@pytest.fixture
def questions(wire):
    return Questions(cast(Connection, wire), cast(Client, wire), "demo")


async def test_each_question_gets_its_own_answer(wire, questions):
    asking = [asyncio.ensure_future(questions.ask(partial(protocol.ListVersions, after=0))) for _ in range(2)]
    await asyncio.sleep(0)
    answers = [protocol.Versions(request_id, 7, []) for request_id in wire.asked]
    for answer in reversed(answers):
        questions.on_answer(Answered(answer.request_id, answer))
    assert await asyncio.gather(*asking) == answers


async def test_the_end_of_a_session_ends_what_waits_and_refuses_what_is_asked_later(wire, questions):
    before = asyncio.ensure_future(questions.ask(partial(protocol.ListVersions, after=0)))
    await asyncio.sleep(0)
    questions.give_up()
    later = questions.ask(partial(protocol.ListVersions, after=0))
    for asking in (before, later):
        with pytest.raises(SessionClosed, match="the session 'demo' ended before the answer came"):
            await asyncio.wait_for(asking, 1)
    questions.ask_for(partial(protocol.FetchVersion, number=1), pytest.fail)
    await asyncio.sleep(0)
    assert wire.asked == [1]
