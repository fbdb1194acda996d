"""Replicas that come to differ are found, told and healed, against a real synchronizer, while the session goes on."""

from __future__ import annotations

import enum
import logging
from typing import Any

import pytest

from msq_jupyter import Model
from msq_jupyter.errors import ArgumentError, NoAnswer, SessionClosed
from msq_jupyter.session.neighbours import Other
from msq_jupyter.session.session import SessionCore
from msq_jupyter.synchronizer import audits
from tests.session.models import Counter, EditedCounter
from tests.waiting import until


class Leaf(Model):
    def init(self, options):
        self.size = 1.0


class Tree(Model):
    """Differs where a test wants it to, and saves."""

    def init(self, options, persisted=None):
        self.leaves = [Leaf.create() for _ in range(3)]
        self.pos = {"x": 3.0, "y": [0, True, "abc"]}
        self.grown = persisted["grown"] if persisted else 0
        self.subscribe("tree", "grow", self.grow)
        self.subscribe("tree", "save", self.save)

    def grow(self, amount):
        self.grown += amount

    def save(self, _):
        self.persist_session({"grown": self.grown, "x": self.pos["x"]})


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    compare_every(30.0, monkeypatch)


def compare_every(interval_ms: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audits, "AUDIT_INTERVAL_MS", interval_ms)
    monkeypatch.setattr(audits, "AUDIT_AFTER_SAVE_MS", interval_ms)


def own(person: SessionCore, path: str = "") -> dict[str, Any]:
    """What a replica holds, to change it behind everybody's back."""
    person._replica.moves += 1  # what cells have read of it counts no more
    held = person._replica.root.__dict__
    return held if not path else held[path]


async def grow_until(person: SessionCore, condition: Any, topic: tuple[str, str] = ("tree", "grow")) -> None:
    """Let something happen again and again, because an audit comes only where something happens."""

    def met() -> bool:
        if not condition():
            person.publish(*topic, 1)
            return False
        return True

    await until(met)


def _flip_bool(tree: dict[str, Any]) -> None:
    tree["pos"]["y"][1] = False


def _flip_character(tree: dict[str, Any]) -> None:
    tree["pos"]["y"][2] = "abd"


def _flip_last_bit(tree: dict[str, Any]) -> None:
    tree["pos"]["x"] = 3.0000000000000004


def _flip_leaf(tree: dict[str, Any]) -> None:
    tree["leaves"][1].__dict__["size"] = -1.0


@pytest.mark.parametrize(
    ("flip", "found"),
    [
        (_flip_bool, "Tree.pos.y[1]: False here, True at ada's"),
        (_flip_character, "Tree.pos.y[2]: 'abd' here, 'abc' at ada's"),
        (_flip_last_bit, "Tree.pos.x: 3.0000000000000004 here, 3.0 at ada's"),
        (_flip_leaf, "Leaf#M3.size: -1.0 here, 1.0 at ada's"),
    ],
    ids=["a bool", "one character", "the last bit", "another model"],
)
async def test_6_3_a_difference_is_found_told_with_path_and_values_and_healed(join, flip, found):
    ada, ben, eve = [await join(Tree, view_data={"name": name}) for name in ("ada", "ben", "eve")]
    wrong = ben.model
    flip(own(ben))
    await grow_until(eve, lambda: found in ben.notice)
    assert "model code is not deterministic: see msq lint" in ben.notice
    assert ben.model is not wrong
    elsewhere = found.replace("here", "at ben's")
    await until(lambda: elsewhere in eve.notice and elsewhere.replace("at ada's", "here") in ada.notice)
    ada.publish("tree", "grow", 1000)
    await until(lambda: min(person.model.grown for person in (ada, ben, eve)) >= 1000)
    await until(lambda: len({person._replica.snapshot() for person in (ada, ben, eve)}) == 1)
    assert [person.error for person in (ada, ben, eve)] == [None, None, None]


async def test_6_3_of_two_the_one_who_came_first_is_right(join):
    ada, ben = await join(Tree, view_data={"name": "ada"}), await join(Tree, view_data={"name": "ben"})
    own(ada)["grown"] = 1_000_000
    await grow_until(ben, lambda: ben.model.grown > 1_000_000)
    assert "at ada's" in ben.notice


async def test_6_3_what_the_wrong_one_published_meanwhile_is_executed_once(join):
    ada, ben, eve = await join(Tree), await join(Tree), await join(Tree)
    own(ben)["pos"]["x"] = 4.0
    amount = 0
    while ben.model.pos["x"] == 4.0:
        ben.publish("tree", "grow", 1)
        amount += 1
        # Always some on their way when he is restored, and never so many that nobody can keep up.
        await until(lambda: ben._sent_counter - ben.executed_counter < 20)
    for _ in range(20):
        ben.publish("tree", "grow", 1)
    await ben.synced()
    assert ben.model.grown == amount + 20
    await until(lambda: ada.model.grown == eve.model.grown == amount + 20)


async def test_6_3_a_replica_that_is_not_in_the_right_is_never_what_a_newcomer_gets(join, monkeypatch):
    monkeypatch.setattr("msq_jupyter.synchronizer.sequencer.SNAPSHOT_ENTRIES", 5)
    ada, ben, eve = await join(Tree), await join(Tree), await join(Tree)
    own(ada)["pos"]["x"] = 4.0  # the one longest there is asked for snapshots first
    await grow_until(eve, lambda: ada.model.pos["x"] == 3.0)
    newcomer = await join(Tree)
    assert (newcomer.model.pos, ben.model.pos) == (eve.model.pos, eve.model.pos)


async def test_6_3_everybody_hears_it_in_one_line_of_the_log(join, caplog):
    caplog.set_level(logging.WARNING, "msq_jupyter")
    people = [await join(Tree, view_data={"name": name}) for name in ("ada", "ben", "eve")]
    own(people[1])["pos"]["x"] = 4.0
    await grow_until(people[0], lambda: caplog.text.count("ReplicaDiverged: ") == 3)
    lines = [record.getMessage() for record in caplog.records if "ReplicaDiverged" in record.getMessage()]
    assert {line.partition(";")[0] for line in lines} == {
        "ReplicaDiverged: Tree.pos.x: 4.0 here, 3.0 at ada's",
        "ReplicaDiverged: Tree.pos.x: 4.0 at ben's, 3.0 here",
        "ReplicaDiverged: Tree.pos.x: 4.0 at ben's, 3.0 at ada's",
    }


async def test_5_5_what_a_wrong_replica_saved_is_followed_by_what_the_others_have(join, caplog, monkeypatch):
    compare_every(1e9, monkeypatch)  # or it is found wrong, and does not save
    ada, ben, eve = [await join(Tree, persist_interval_ms=0) for _ in range(3)]
    own(ben)["pos"]["x"] = 4.0
    ben.publish("tree", "save")  # the author's own replica uploads first
    await until(lambda: ada.status.saved_number >= 1)
    compare_every(30.0, monkeypatch)
    await grow_until(eve, lambda: ben.model.pos["x"] == 3.0)
    await until(lambda: ada.status.saved_number == ben.status.saved_number == 2)
    assert "version 1 is not what this replica wanted to save, which is saved again" in caplog.text
    assert [version.parent for version in await eve.versions()] == [0, 1]
    other_options = await join(Tree, options={"of": "another session"})
    content = other_options._follower  # what a new session starts from is the newest version
    assert content.replica.last_save.number == 2
    assert (ada.status.saved_state, ben.status.saved_state) == ("saved", "saved")


async def test_8_3_a_synchronizer_that_lies_about_a_difference_achieves_nothing(join, monkeypatch, caplog):
    ada, ben = await join(Tree), await join(Tree)

    def accuse(_: object, audit: Any) -> list[list[str]]:
        return [[view for view in audit.reports if view != ben.view_id], [ben.view_id]]

    wrong = ben.model
    monkeypatch.setattr(audits.Audits, "_groups", accuse)
    lie = "the synchronizer said that this replica differed from the others, and it did not"
    await grow_until(ada, lambda: lie in caplog.text)
    monkeypatch.undo()
    assert ben.model is not wrong
    ada.publish("tree", "grow", 1000)
    await until(lambda: min(ada.model.grown, ben.model.grown) >= 1000)
    await until(lambda: ada._replica.snapshot() == ben._replica.snapshot())  # at the same entry and tick
    assert "ReplicaDiverged" not in caplog.text


class Mood(enum.Enum):
    GOOD = 1
    BAD = 2

    def __repr__(self) -> str:
        raise ValueError("nobody may see me")


class Silent(Model):
    def init(self, options):
        self.mood = Mood.GOOD
        self.grown = 0
        self.subscribe("tree", "grow", self.grow)

    def grow(self, amount):
        self.grown += amount


async def test_6_3_what_cannot_be_shown_is_healed_all_the_same(join):
    ada, ben = await join(Silent), await join(Silent)
    own(ben)["mood"] = Mood.BAD
    await grow_until(ada, lambda: ben.model.mood is Mood.GOOD)
    assert "this replica came to differ from the others, nobody knows where, and was restored" in ben.notice
    assert ben.error is None


class Pair(Silent):
    def init(self, options):
        self.grown = 0
        self.pair = ([], [])
        self.subscribe("tree", "grow", self.grow)


async def test_6_3_equal_values_that_are_one_thing_here_and_two_there_differ(join):
    ada, ben = await join(Pair, view_data={"name": "ada"}), await join(Pair)
    own(ben)["pair"] = (own(ben)["pair"][0],) * 2
    await grow_until(ada, lambda: ben.model.pair[0] is not ben.model.pair[1])
    assert "Pair: the same values here, the same values, with other things in common at ada's" in ben.notice


async def test_6_3_who_returns_does_not_vote_on_what_it_missed(join):
    ada, ben = await join(Tree), await join(Tree)
    await grow_until(ben, lambda: ben.model.grown > 3)
    before = ada._replica
    assert before.history_seq < before.seq
    ada._connection.reconnect()
    await until(lambda: before.history_seq >= 4 and ada.is_live)
    assert ada._replica is before


# --- other code --------------------------------------------------------------------------------------------------


async def test_1_3_why_a_session_is_another_one_than_ours_has_an_answer(join, caplog):
    caplog.set_level(logging.INFO, "msq_jupyter")
    ada, ben = await join(view_data={"name": "Ada"}), await join(EditedCounter, view_data={"name": "Ben"})
    await until(lambda: ada.others and ben.others)
    assert [(other.label, other.session_id, other.view_id) for other in ben.others] == [("Ada", ada.id, ada.view_id)]
    line = 'Ada runs other code of this model: session.explain_code("Ada") says what differs'
    await until(lambda: line in (ben.notice, *caplog.messages))
    sentences = await ben.explain_code("Ada")
    assert "only theirs uses the class tests.session.models.Counter." in sentences
    assert "only ours uses the class tests.session.models.EditedCounter." in sentences
    assert await ben.explain_code(ben.others[0]) == sentences == await ben.explain_code(ada.view_id)


async def test_1_3_other_options_are_told_from_other_code(join):
    ada, _ben = await join(), await join(options={"doc": "d1"}, view_data={"name": "Ben"})
    await until(lambda: ada.others)
    assert [(other.differs_in, other.is_newer) for other in ada.others] == [("other options", False)]
    assert ada.notice == 'Ben runs this model with other options: session.explain_code("Ben") says what differs'
    assert await ada.explain_code("Ben") == ["the code is the same: the options given to join differ."]


async def test_others_come_and_go(join):
    ada, ben = await join(view_data={"name": "Ada"}), await join(EditedCounter, view_data={"name": "Ben"})
    second = await join(EditedCounter, view_data={"name": "Ben"})
    await until(lambda: [other.label for other in ada.others] == ["Ben", "Ben 2"])
    await until(lambda: [other.label for other in second.others] == ["Ada"])
    await ben.leave()
    await until(lambda: [other.label for other in ada.others] == ["Ben"])


async def test_who_went_while_we_were_away_is_not_there_any_more(join):
    ada, _ben = await join(), await join(EditedCounter, view_data={"name": "Ben"})
    await until(lambda: ada.others)
    ada._peers.neighbours._others["ghost"] = Other("ghost", "Zoe", "session")
    ada._connection.reconnect()
    await until(lambda: [other.label for other in ada.others] == ["Ben"])


async def test_nobody_of_another_name_or_password_is_a_neighbour(join):
    ada, _ = await join(), await join(EditedCounter, name="elsewhere")
    await join(EditedCounter, name="locked", password="another")
    ada.publish("counter", "add", 1)
    await ada.synced()
    assert ada.others == []


async def test_asking_for_somebody_who_is_not_there_names_those_who_are(join):
    ada, _ben = await join(), await join(EditedCounter, view_data={"name": "Ben"})
    await until(lambda: ada.others)
    with pytest.raises(ArgumentError, match="'Zoe': expected somebody who is here with other code; there is 'Ben'"):
        await ada.explain_code("Zoe")
    await ada.leave()
    with pytest.raises(SessionClosed):
        await ada.explain_code("Ben")


@pytest.mark.parametrize(
    "answer", [None, 3, ["hash"], ["hash", [["a"]]], ["hash", "records"], {"hash": 1}], ids=lambda answer: repr(answer)
)
async def test_an_answer_that_makes_no_sense_is_refused(join, answer):
    ada, ben = await join(), await join(EditedCounter, view_data={"name": "Ben"})
    await until(lambda: ada.others)
    ben._peers.talk.answers["code"] = lambda *_: answer
    with pytest.raises(NoAnswer, match="Ben: the answer made no sense"):
        await ada.explain_code("Ben")


async def test_an_answer_that_does_not_come_is_not_waited_for_for_ever(join, monkeypatch):
    monkeypatch.setattr("msq_jupyter.session.talk.ANSWER_S", 0.05)
    ada, ben = await join(), await join(EditedCounter, view_data={"name": "Ben"})
    await until(lambda: ada.others)
    del ben._peers.talk.answers["code"]
    with pytest.raises(NoAnswer, match=r"Ben: no answer in 0\.05 seconds: a cell may be running over there"):
        await ada.explain_code("Ben")


@pytest.mark.parametrize("data", [None, 1, ["a", "b"], ["path", 1, 2, 3], [["x"] * 4], "text"])
async def test_what_makes_no_sense_is_dropped_and_the_session_goes_on(join, data):
    ada, ben = await join(), await join()
    notice = ben.notice
    for kind in ("diverged", "answer", "no such kind", "code"):
        ada._peers.talk.tell(ben.view_id, kind, data)
    ada.publish("counter", "add", 1)
    await until(lambda: ben.model.count == 1)
    assert (ben.notice, ben.error) == (notice, None)


async def test_6_3_counters_agree_through_everything_else(join):
    """Not one false alarm."""
    people = [await join(Counter) for _ in range(3)]
    for number in range(100):
        people[number % 3].publish("counter", "add", number)
        await people[number % 3].synced()
    for person in people:
        await person.synced()
    await until(lambda: len({person._replica.seq for person in people}) == 1)
    assert {person.notice for person in people} == {""}
