"""Talk between participants: questions with answers, and nothing of what a hostile synchronizer makes of them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import msgspec
import pytest

from msq_jupyter import protocol
from msq_jupyter.errors import EventTooLarge, NoAnswer, SealBroken
from msq_jupyter.session.crypto import Keys, derive_root_key
from msq_jupyter.session.talk import Talk

ROOT_KEY = derive_root_key(None, "persistent")


class Wire:
    """Participants of one persistent id, each in a session of its own; what they tell waits for `carry`."""

    def __init__(self, *names: str) -> None:
        self.waiting: deque[tuple[str, protocol.Tell]] = deque()
        self.talks = {name: self._talk(name) for name in names}

    def _talk(self, name: str) -> Talk:
        keys = Keys(ROOT_KEY, "persistent", f"session of {name}")
        return Talk(keys, name, lambda tell: self.waiting.append((name, tell)))

    def carry(self) -> None:
        while self.waiting:
            sender, tell = self.waiting.popleft()
            self.hand_over(sender, tell)

    def hand_over(self, sender: str, tell: protocol.Tell, **changes: Any) -> None:
        told = protocol.Told(sender, tell.number, tell.payload)
        self.talks[tell.to_view_id].on_told(msgspec.structs.replace(told, **changes))


@pytest.fixture
def wire() -> Wire:
    return Wire("ada", "ben", "eve")


async def test_a_question_is_answered_across_sessions(wire: Wire):
    wire.talks["ben"].answers["double"] = lambda view_id, data: [view_id, data * 2]
    asking = asyncio.ensure_future(wire.talks["ada"].ask("ben", "double", 21))
    await asyncio.sleep(0)
    wire.carry()
    assert await asking == ["ada", 42]


async def test_an_answer_of_somebody_else_is_none(wire: Wire):
    asking = asyncio.ensure_future(wire.talks["ada"].ask("ben", "double", 21, timeout_s=0.01))
    await asyncio.sleep(0)
    ((_, question),) = wire.waiting
    wire.talks["eve"].tell("ada", "answer", 13, question.number)
    wire.carry()
    with pytest.raises(NoAnswer, match=r"no answer in 0\.01 seconds"):
        await asking


def test_news_is_heard_once_and_in_its_order(wire: Wire):
    heard: list[Any] = []
    wire.talks["ben"].hears["news"] = lambda _, data: heard.append(data)
    for number in range(3):
        wire.talks["ada"].tell("ben", "news", number)
    first, second, third = wire.waiting
    for sender, tell in (first, first, third, second, third):
        wire.hand_over(sender, tell)
    assert heard == [0, 2]  # once, and nothing old after something new


@pytest.mark.parametrize(
    "changes",
    [
        {"from_view_id": "eve"},
        {"number": 2},
        {"payload": b""},
        {"payload": bytes(100)},
    ],
    ids=["another sender", "another number", "nothing", "noise"],
)
def test_8_3_what_was_changed_on_its_way_is_dropped(wire: Wire, changes):
    heard: list[Any] = []
    wire.talks["ben"].hears["news"] = lambda _, data: heard.append(data)
    wire.talks["ada"].tell("ben", "news", "x")
    ((sender, tell),) = wire.waiting
    wire.hand_over(sender, tell, **changes)
    assert heard == []


def test_8_3_what_was_for_somebody_else_is_dropped(wire: Wire):
    heard: list[Any] = []
    for talk in wire.talks.values():
        talk.hears["news"] = lambda _, data: heard.append(data)
    wire.talks["ada"].tell("ben", "news", "x")
    ((sender, tell),) = wire.waiting
    wire.hand_over(sender, protocol.Tell("eve", tell.number, tell.payload))
    wire.hand_over("ben", protocol.Tell("ada", tell.number, tell.payload))
    assert heard == []


def test_8_3_what_is_told_under_another_name_or_password_does_not_open():
    keys = Keys(ROOT_KEY, "persistent", "session")
    sealed = keys.seal_tell("ada", "ben", 1, b"plain")
    for other in (
        Keys(derive_root_key(None, "other"), "other", "session"),
        Keys(derive_root_key(None, "other"), "persistent", "session"),
        Keys(ROOT_KEY, "other", "session"),
    ):
        with pytest.raises(SealBroken):
            other.open_tell("ada", "ben", 1, sealed)


@pytest.mark.parametrize(
    "plain",
    [b"", b"\xc1", b"\x90", msgspec.msgpack.encode([1, 2, 3]), msgspec.msgpack.encode("news"), b"\x91" * 100_000],
    ids=["nothing", "no message", "empty", "other types", "text", "deep"],
)
def test_what_makes_no_sense_is_dropped(wire: Wire, plain: bytes):
    keys = Keys(ROOT_KEY, "persistent", "any")
    wire.talks["ben"].on_told(protocol.Told("ada", 1, keys.seal_tell("ada", "ben", 1, plain)))
    assert not wire.waiting


def test_more_than_fits_is_refused_where_it_is_told(wire: Wire):
    with pytest.raises(EventTooLarge, match=r"the event news has 300,\d+ bytes"):
        wire.talks["ada"].tell("ben", "news", bytes(300_000))


def test_8_1_digests_tell_equality_at_one_place_and_nothing_else():
    keys = Keys(ROOT_KEY, "persistent", "session")
    digests = {
        keys.audit_digest("run", 1, b"findings"),
        keys.audit_digest("run", 2, b"findings"),
        keys.audit_digest("run 2", 1, b"findings"),
        keys.audit_digest("run", 1, b"other findings"),
        Keys(ROOT_KEY, "persistent", "session 2").audit_digest("run", 1, b"findings"),
        Keys(derive_root_key(None, "other"), "persistent", "session").audit_digest("run", 1, b"findings"),
        keys.save_digest("run|1", "findings"),
    }
    assert len(digests) == 7
    assert keys.audit_digest("run", 1, b"findings") in digests
