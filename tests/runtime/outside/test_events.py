"""When what was read is read again, what events carry out and in, and linked classes (SEMANTICS 6.2, 4.2)."""

from __future__ import annotations

import copy
import dataclasses
import enum
import gc
import sys
import threading
import weakref
from collections import defaultdict, namedtuple

import pytest

from msq_jupyter.errors import ModelWriteError, StateError
from msq_jupyter.runtime import read_only
from msq_jupyter.runtime.deterministic import OrderedFrozenSet, OrderedSet
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.replica import Replica
from tests.runtime.bench import Bench
from tests.runtime.linked import method, notebook
from tests.runtime.outside.poll import (
    Box,
    Cell,
    Colour,
    Part,
    Poll,
    kinds_of,
    message_of,
)

# --- when --------------------------------------------------------------------------------------------------------


def test_6_2_a_copy_serves_until_the_replica_moves_and_stays_as_it_was(bench, model):
    votes = model.votes
    assert model.votes is votes
    assert model.deep["pages"] is model.deep["pages"]
    bench.publish("poll", "vote", "yes")
    assert model.votes is not votes
    assert (votes["yes"], model.votes["yes"]) == (2, 3)
    assert message_of(lambda: votes.clear()).startswith("Poll.votes is the model's")
    bench.assign("speed", 8)
    assert model.speed == 8
    bench.assign("deep", [1])
    assert model.deep == [1]
    votes = model.votes
    bench.assign("yes", 40)
    assert (votes["yes"], model.votes["yes"]) == (3, 40)
    bench.replica.restore(bench.replica.snapshot())
    assert bench.replica.outside.root.votes == {"yes": 40, "no": 1}


def test_6_2_facades_go_with_their_models():
    bench = Bench(Poll, Part)
    part = weakref.ref(bench.root.part)
    seen = bench.replica.outside.root.part
    assert seen.values == [1]
    bench.publish("poll", "drop")
    assert seen.values == [1]
    assert bench.failures() == []
    del seen
    _ = bench.replica.outside.root.votes
    gc.collect()
    assert part() is None


def test_6_2_a_kept_copy_does_not_keep_the_replica():
    bench = Bench(Poll, Part)
    votes, replica = bench.replica.outside.root.votes, weakref.ref(bench.replica)
    del bench
    gc.collect()
    assert replica() is None
    assert "cannot be changed from a cell" in message_of(lambda: votes.clear())


def test_6_2_threads_read_while_an_event_runs(bench, model):
    """What they read may be of the middle of an event, but they read it; 60 rounds with a switch at every chance."""
    failures, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            try:
                _ = (dict(model.deep), model.total(), vars(model), dir(model), list(model.stuff or ()))
            except Exception as error:
                failures.append(error)

    bench.root.deep = {number: [number] for number in range(100)}
    threads = [threading.Thread(target=read) for _ in range(2)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    for thread in threads:
        thread.start()
    try:
        for number in range(60):
            for key in range(100):
                bench.root.deep[f"{number} {key}"] = [key]
                bench.root.deep.pop(f"{number - 1} {key}", None)
            bench.publish("poll", "set", {number, "x"})
            setattr(bench.root, f"new_{number}", number)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
    assert failures == []
    assert model.deep == bench.root.deep


# --- events ------------------------------------------------------------------------------------------------------


def test_4_2_views_get_data_they_cannot_change_the_model_with(bench, model):
    heard, tried, seen = [], [], []

    def immediately(data):
        heard.append((data, list(model.stuff)))
        data.append("mine")
        for write in (lambda: model.stuff.append(1), lambda: model.vote("yes"), model.bump):
            with pytest.raises(ModelWriteError):
                write()
            tried.append(write)

    bench.replica.view_events.subscribe("v", "out", "told", immediately, "immediate")
    bench.replica.view_events.subscribe("v", "out", "told again", lambda _: seen.append(list(model.stuff)), "immediate")
    bench.publish("poll", "tell", "x")
    bench.publish("poll", "tell", model)
    assert len(tried) == 6
    assert [data for data, _ in heard] == [["x", "mine"], [model, "mine"]]
    assert heard[1][0][0] is model
    # In the middle of the event, and after it.
    assert heard[0][1] == ["x"]
    assert seen == [["x", "later"], [model, "later"]]
    assert bench.root.stuff == [bench.root, "later", "last"]
    assert model.stuff == [model, "later", "last"]


def test_4_2_what_was_read_can_be_published_again(bench, model):
    bench.root.stuff = {
        "a": [OrderedSet([1, 2]), (3, [4])],
        "box": Box("b", [Cell(1, 2)]),
        "part": bench.root.part,
        "frozen": OrderedFrozenSet([Colour.RED]),
    }
    bench.replica.moves += 1
    before = copy.copy(bench.root.stuff)
    kinds = kinds_of(before["a"]), type(before["box"]), type(before["box"].things)
    bench.publish("poll", "set", model.stuff)
    after = bench.root.stuff
    assert after is not before
    assert after == before
    assert after["part"] is bench.root.part
    assert (kinds_of(after["a"]), type(after["box"]), type(after["box"].things)) == kinds
    bench.publish("poll", "set", [model, model.votes])
    assert bench.root.stuff[0] is bench.root
    assert type(bench.root.stuff[1]) is dict
    bench.assign("stuff", model.deep)
    assert type(bench.root.stuff["pages"]) is list
    assert bench.failures() == []


def test_4_2_what_cannot_be_sent_still_cannot(bench):
    with pytest.raises(StateError, match=r"data of poll:set\.a: cannot store .*convert it with dict"):
        bench.replica.encode_publication("poll", "set", {"a": defaultdict(int)})
    other = Bench(Poll, Part).replica.outside.root
    with pytest.raises(StateError, match="a model of another session"):
        bench.replica.encode_publication("poll", "set", other)


# --- linked classes ----------------------------------------------------------------------------------------------


def _twins():
    """The classes as a notebook knows them, and again as linking would make them."""

    def made():
        class Suit(enum.Enum):
            HEARTS = 1
            SPADES = 2

        @dataclasses.dataclass
        class Hand:
            cards: list

            def first(self):
                return self.cards[0]

        Card = namedtuple("Card", "suit rank")

        class Game(Model):
            def init(self, options):
                self.hands = {Suit.HEARTS: Hand([Card(Suit.SPADES, 7)])}
                self.given = None
                self.subscribe("game", "give", self.give)

            def give(self, what):
                self.given = what
                self.same = type(what[0]) is Hand and what[1] is Suit.SPADES and type(what[2]) is Card
                self.publish("game", "given", what)

            def best(self):
                return super().__getattribute__("hands")[Suit.HEARTS]

        return Game, Suit, Hand, Card

    return made(), made()


def test_6_2_model_code_pays_nothing_for_it():
    """What refuses writes is in the facades: the models themselves are plain objects of Python."""
    with notebook(method("[1]")) as cells:
        replica = cells.replica()
        kind = type(replica.root)
        for name in ("__setattr__", "__delattr__", "__getattribute__"):
            assert getattr(kind, name) is getattr(object, name)
        assert not hasattr(kind, "__getattr__")
        assert type(vars(replica.root)) is dict
        assert type(replica.root.result) is list
        with pytest.raises(ModelWriteError):
            replica.outside.root.result = []


def test_6_2_linked_classes_are_those_of_the_notebook_outside():
    originals, linked = _twins()
    game, suit, hand, card = originals
    keys = ("Game", "Suit", "Hand", "Card")
    replica = Replica(
        "session",
        "run",
        {"Game": linked[0]},
        value_types=dict(zip(keys[1:], linked[1:], strict=True)),
        originals=dict(zip(linked, originals, strict=True)),
    )
    replica.start(linked[0], None)
    model = replica.outside.root
    assert isinstance(model, game)
    assert model.__class__ is game
    ((key, value),) = model.hands.items()
    assert key is suit.HEARTS
    assert isinstance(value, hand)
    assert not isinstance(value, linked[2])
    assert value == hand([card(suit.SPADES, 7)])
    assert type(value.cards[0]) is card
    assert value.first().suit is suit.SPADES
    with pytest.raises(ModelWriteError, match=r"Game\.hands.*\.cards"):
        value.cards.append(1)
    # And the other way: from the notebook into the model, and to the views again.
    heard = []
    replica.view_events.subscribe("v", "game", "given", heard.append, "immediate")
    bench = Bench(linked[0], start=False)
    bench.replica = replica
    bench.publish("game", "give", [hand([value.cards[0]]), suit.SPADES, card(suit.HEARTS, 1), value, model])
    assert bench.failures() == []
    assert replica.root.same is True
    assert type(replica.root.given[3]) is linked[2]
    assert replica.root.given[4] is replica.root
    ((told, member, tupled, again, root),) = heard
    assert (type(told), member, type(tupled), type(again)) == (hand, suit.SPADES, card, hand)
    assert root is model


def test_every_kind_of_container_has_a_slot_for_where_it_is_from():
    for kind in (read_only.ReadOnlyDict, read_only.ReadOnlyList, read_only.ReadOnlySet):
        assert not hasattr(kind.__new__(kind), "__dict__")
