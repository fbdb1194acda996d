"""The ready-made models: alone and inside of others, in a world that cuts, delays and kills."""

from __future__ import annotations

import importlib
import inspect
import random

import pytest

from msq_jupyter import Model, PersistentModel, lint_model, ready
from msq_jupyter.errors import OutsideModelError
from msq_jupyter.ready import Chat, PerUser, SharedCounter, SharedDict, SharedList, SharedText
from msq_jupyter.runtime.codehash import identify
from msq_jupyter.testing import CALM, Simulation

MODELS = [getattr(ready, name) for name in ready.__all__]


class Board(PersistentModel):
    """Has one of each."""

    def defaults(self, options):
        self._make({})

    def _make(self, data):
        self.votes = SharedCounter.create({"start": 10}, data.get("votes"))
        self.settings = SharedDict.create({"speed": 1}, data.get("settings"))
        self.todo = SharedList.create(None, data.get("todo"))
        self.notes = SharedText.create(None, data.get("notes"))
        self.chat = Chat.create({"limit": 3}, data.get("chat"))
        self.cursor = PerUser.create({"keep": False})

    def to_save_data(self):
        names = ("votes", "settings", "todo", "notes", "chat")
        return {name: getattr(self, name)._versioned() for name in names}

    def from_save_data(self, data):
        self._make(data)


def present(room):
    return [person for person in room.participants if not person.is_gone and person.has_replica]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_their_code_is_part_of_the_identity_and_clean(model):
    identity = identify(model, model_base=Model)
    assert f"class {model.__name__}" in identity.source
    assert lint_model(model) == []


def test_all_of_them_are_named_and_documented():
    for name in ("collections", "people", "text"):
        for model in vars(importlib.import_module(f"msq_jupyter.ready.{name}")).values():
            if inspect.isclass(model) and issubclass(model, Model) and model.__module__.endswith(name):
                assert model in MODELS
                assert model.__doc__


def test_6_1_additions_and_items_at_the_same_moment_are_all_there(simulation: Simulation):
    room = simulation.room(Board, participants=3)
    room.run(500)
    for turn in range(20):
        for person in present(room):
            board = person.model
            board.votes.add(1)
            board.settings.add("total", 2)
            board.todo.append(f"{person.name} {turn}")
        room.run(100)
    room.settle()
    room.assert_converged()
    board = present(room)[0].model
    assert board.votes.value == 10 + len(board.todo.items)
    assert board.settings.data["total"] == 2 * len(board.todo.items)
    for name in {item.split()[0] for item in board.todo.values()}:
        turns = [int(item.split()[1]) for item in board.todo.values() if item.split()[0] == name]
        assert turns == sorted(turns)


def test_6_1_what_several_type_into_a_text_at_the_same_moment_is_all_there(simulation: Simulation):
    room = simulation.room(SharedText, participants=3)
    room.run(500)
    typed: dict[str, list[str]] = {}
    dice = random.Random(simulation.seed)
    character = 0x4E00
    for _ in range(25):
        for person in present(room):
            word = "".join(map(chr, range(character, character + 3)))
            character += 3
            person.model.insert(dice.randint(0, len(person.model.text)), word)
            typed.setdefault(person.name, []).append(word)
        room.run(dice.choice((10, 200)))
    room.settle()
    room.assert_converged()
    text = present(room)[0].model.text
    assert len(set(text)) == len(text) == 3 * present(room)[0].model.revision
    for person in present(room):
        for word in typed.get(person.name, []):
            places = [text.index(one) for one in word]
            assert places == sorted(places), (person.name, word)


def test_two_who_type_at_the_same_place_keep_what_they_typed():
    simulation = Simulation(1, CALM)
    room = simulation.room(SharedText, options={"text": "ab"}, participants=2)
    room.run(1000)
    ada, ben = room.participants
    ada.model.insert(1, "ADA")
    ben.model.insert(1, "BEN")
    ben.model.delete(0, 2)
    room.settle()
    room.assert_converged()
    assert ada.model.text in ("ADABEN", "BENADA")


def test_an_edit_too_old_to_be_moved_is_dropped_and_told():
    simulation = Simulation(1, CALM)
    room = simulation.room(SharedText, participants=1, raise_errors=False)
    room.run(1000)
    (ada,) = room.participants
    ada.model.edit(7, [1])
    room.settle()
    assert ada.model.revision == 0
    assert "expected an edit for one of the revisions up to 0, got 7" in str(room.errors[0].error)


def test_an_item_is_meant_and_not_its_place():
    simulation = Simulation(1, CALM)
    room = simulation.room(SharedList, participants=2)
    room.run(1000)
    ada, ben = room.participants
    for item in ("milk", "bread", "salt"):
        ada.model.append(item)
    room.settle()
    ada.model.remove("i1")
    ben.model.replace("i2", "rolls")
    ben.model.move("i3", "i2")
    ben.model.remove("i9")
    room.settle()
    room.assert_converged()
    assert ada.model.values() == ["salt", "rolls"]


def test_own_values_come_and_go_with_their_people():
    simulation = Simulation(1, CALM)
    room = simulation.room(Hall, participants=2)
    room.run(1000)
    ada, ben = room.participants
    for place, person in enumerate(room.participants):
        person.model.speed.set(place + 5)
        person.model.cursor.set([place, 0])
    room.settle()
    assert ada.model.speed.values == {ada.name: 5, ben.name: 6}
    room.leave(ben)
    room.run(5000)
    room.settle()
    assert ada.model.speed.values == {ada.name: 5}
    assert ada.model.cursor.values == {ada.name: [0, 0]}
    assert ada.model.speed.value_of(ben.name) == 1
    assert list(ada.model.speed.away.values()) == [6]
    assert ada.model.cursor.away == {}
    room.assert_converged()


class Hall(Model):
    def init(self, options, persisted=None):
        self.speed = PerUser.create({"default": 1})
        self.cursor = PerUser.create({"keep": False})


def test_a_chat_names_the_author_and_keeps_what_it_may():
    simulation = Simulation(1, CALM)
    room = simulation.room(Board, participants=2)
    room.run(1000)
    ada, ben = room.participants
    for text in ("one", "two"):
        ada.model.chat.post(text)
        ben.model.chat.post(text.upper())
        room.settle()
    messages = ben.model.chat.messages
    assert [message["text"] for message in messages] == ["ONE", "two", "TWO"]
    assert [message["view_id"] for message in messages] == [ben.name, ada.name, ben.name]
    assert messages[-1]["number"] == 4


def test_a_chat_that_may_keep_nothing_keeps_nothing():
    simulation = Simulation(1, CALM)
    room = simulation.room(Chat, options={"limit": 0}, participants=1)
    room.run(1000)
    room.participants[0].model.post("gone")
    room.settle()
    chat = room.participants[0].model
    assert (chat.messages, chat.next_number) == ([], 2)


@pytest.mark.parametrize(
    ("model", "act", "read"),
    [
        (SharedCounter, lambda m: m.add(3), lambda m: m.value),
        (SharedDict, lambda m: m.update({"a": 1, "b": [2]}), lambda m: m.data),
        (SharedList, lambda m: m.append({"x": 1}), lambda m: m.items),
        (SharedText, lambda m: m.rewrite("hello"), lambda m: m.text),
        (Chat, lambda m: m.post("hello"), lambda m: m.messages[0]["text"]),
        (Board, lambda m: m.notes.insert(0, "hello"), lambda m: m.notes.text),
    ],
    ids=["counter", "dict", "list", "text", "chat", "parts"],
)
def test_5_7_what_they_hold_outlives_an_edit_of_the_code(model, act, read):
    simulation = Simulation(1, CALM)
    room = simulation.room(model, participants=1)
    room.run(1000)
    act(room.participants[0].model)
    room.settle()
    before = read(room.participants[0].model)
    edited = type(model.__name__, (model,), {"__module__": model.__module__, "edited": 1})
    room.edit(edited)
    room.settle()
    assert read(present(room)[0].model) == before


def test_operations_need_somebody_to_send_them():
    simulation = Simulation(1, CALM)
    room = simulation.room(SharedCounter, participants=1)
    room.run(1000)
    replica = room.participants[0].replica
    replica.outside.send = None
    with pytest.raises(OutsideModelError, match=r"SharedCounter\.add: this replica only looks"):
        replica.outside.root.add(1)
