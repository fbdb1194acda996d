"""What views tell each other through the synchronizer: who hears whom, how much, and what the hostile get."""

from __future__ import annotations

import pytest

from msq_jupyter import protocol
from msq_jupyter.errors import ProtocolError
from msq_jupyter.protocol import Neighbours, Send, Tell, Told
from msq_jupyter.synchronizer.server import Synchronizer
from msq_jupyter.synchronizer.talk import BUDGET_BYTES, CARD_BYTES_MAX, REFILL_MS, TELL_COST_BYTES, Talk
from tests.synchronizer.conftest import Participant, a_join


class Ear:
    """Hears everything."""

    def __init__(self, talk: Talk, view_id: str, session_id: str, card: bytes = b"card") -> None:
        self.view_id = view_id
        self.messages: list[protocol.Down] = []
        self.send = self.messages.append
        talk.come(a_join(view_id, session_id=session_id, view_data=card), self.send)

    def told(self) -> list[Told]:
        return [message for message in self.messages if isinstance(message, Told)]

    def neighbours(self) -> list[str]:
        names: list[str] = []
        for message in self.messages:
            if isinstance(message, Neighbours):
                names = [name for name in names if name not in message.gone] + [come[0] for come in message.come]
        return names


@pytest.fixture
def talk() -> Talk:
    return Talk()


def test_a_view_tells_another_one_of_its_own_session_or_of_another(talk: Talk) -> None:
    ada, bob, eve = Ear(talk, "ada", "one"), Ear(talk, "bob", "one"), Ear(talk, "eve", "two")
    talk.tell("ada", Tell("bob", 1, b"to bob"), 0.0)
    talk.tell("ada", Tell("eve", 2, b"to eve"), 0.0)
    assert (bob.told(), eve.told(), ada.told()) == ([Told("ada", 1, b"to bob")], [Told("ada", 2, b"to eve")], [])


def test_who_is_not_there_neither_hears_nor_speaks(talk: Talk) -> None:
    ada, bob = Ear(talk, "ada", "one"), Ear(talk, "bob", "one")
    talk.go("bob", bob.send)
    talk.tell("ada", Tell("bob", 1, b"x"), 0.0)
    talk.tell("ada", Tell("nobody", 2, b"x"), 0.0)
    talk.tell("bob", Tell("ada", 1, b"x"), 0.0)
    talk.tell("nobody", Tell("ada", 1, b"x"), 0.0)
    assert bob.told() == ada.told() == []


def test_views_of_other_sessions_are_known_as_they_come_and_go(talk: Talk) -> None:
    ada, bob = Ear(talk, "ada", "one"), Ear(talk, "bob", "one")
    eve = Ear(talk, "eve", "two", b"card of eve")
    assert (ada.neighbours(), bob.neighbours(), eve.neighbours()) == (["eve"], ["eve"], ["ada", "bob"])
    assert ada.messages == [Neighbours([("eve", "two", b"card of eve")], [])]
    talk.go("eve", eve.send)
    assert (ada.neighbours(), bob.neighbours()) == ([], [])


def test_a_newer_connection_of_a_view_is_the_one_that_counts(talk: Talk) -> None:
    ada, old = Ear(talk, "ada", "one"), Ear(talk, "eve", "two")
    new = Ear(talk, "eve", "two")
    talk.go("eve", old.send)  # noticed late
    talk.tell("ada", Tell("eve", 1, b"x"), 0.0)
    assert (len(old.told()), len(new.told())) == (0, 1)
    assert ada.neighbours() == ["eve"]


def test_a_large_card_is_not_shown_to_other_sessions(talk: Talk) -> None:
    ada = Ear(talk, "ada", "one")
    Ear(talk, "eve", "two", bytes(CARD_BYTES_MAX + 1))
    assert ada.messages == [Neighbours([("eve", "two", b"")], [])]


@pytest.mark.parametrize("size_bytes", [0, protocol.TELL_BYTES_MAX])
def test_a_flood_is_cut_to_what_one_view_may_tell(talk: Talk, size_bytes: int) -> None:
    Ear(talk, "mallory", "one")
    bob = Ear(talk, "bob", "one")
    for number in range(1_000):
        talk.tell("mallory", Tell("bob", number, bytes(size_bytes)), 0.0)
    allowed = BUDGET_BYTES // (size_bytes + TELL_COST_BYTES)
    assert len(bob.told()) == allowed
    talk.tell("bob", Tell("mallory", 1, b"others may still speak"), 0.0)
    for number in range(1_000):
        talk.tell("mallory", Tell("bob", number, bytes(size_bytes)), REFILL_MS)
    assert len(bob.told()) == 2 * allowed


def test_what_is_too_large_is_refused(talk: Talk) -> None:
    Ear(talk, "ada", "one")
    with pytest.raises(ProtocolError, match=r"expected at most 262,144 bytes of payload in a Tell, got 262,145"):
        talk.tell("ada", Tell("bob", 1, bytes(protocol.TELL_BYTES_MAX + 1)), 0.0)


# --- on real sockets ---------------------------------------------------------------------------------------------


async def test_views_of_two_sessions_hear_each_other(synchronizer: Synchronizer) -> None:
    async with (
        Participant(synchronizer.url, "ada", view_data=b"card") as ada,
        Participant(synchronizer.url, "eve", session_id="other") as eve,
    ):
        assert await eve.next_of(Neighbours) == Neighbours([("ada", "session", b"card")], [])
        assert await ada.next_of(Neighbours) == Neighbours([("eve", "other", b"")], [])
        await eve.say(Tell("ada", 1, b"hello"))
        assert await ada.next_of(Told) == Told("eve", 1, b"hello")
        await ada.say(Tell("eve", 1, b"hello yourself"))
        assert await eve.next_of(Told) == Told("ada", 1, b"hello yourself")
        await eve.socket.close()
        assert await ada.next_of(Neighbours) == Neighbours([], ["eve"])


async def test_who_has_another_password_is_no_neighbour(synchronizer: Synchronizer) -> None:
    async with Participant(synchronizer.url, "ada") as ada:
        with pytest.raises(Exception, match="wrong_password"):
            await Participant(synchronizer.url, "eve", session_id="other", password_check=b"guess").connect()
        await ada.say(Tell("eve", 1, b"hello"))
        await ada.send(b"still here")
        await ada.read_until_event(b"still here")


async def test_a_member_that_floods_and_votes_nonsense_harms_nobody(synchronizer: Synchronizer) -> None:
    async with Participant(synchronizer.url, "ada") as ada, Participant(synchronizer.url, "mallory") as mallory:
        for number in range(1, 500):
            await mallory.say(Tell("ada", number, bytes(100_000)))
            await mallory.say(protocol.Report(number, b"nonsense"))
            await mallory.say(Tell("nobody", number, b""))
        await ada.say(Send([(1, b"still here")]))
        await ada.read_until_event(b"still here")


@pytest.mark.parametrize(
    "message",
    [Tell("ada", 1, bytes(protocol.TELL_BYTES_MAX + 1)), protocol.Report(1, bytes(65))],
    ids=["tell", "report"],
)
async def test_what_no_correct_member_says_ends_its_connection_only(synchronizer: Synchronizer, message) -> None:
    async with Participant(synchronizer.url, "ada") as ada, Participant(synchronizer.url, "mallory") as mallory:
        await mallory.say(message)
        assert await mallory.read_until_closed() == "malformed"
        await ada.send(b"still here")
        await ada.read_until_event(b"still here")
