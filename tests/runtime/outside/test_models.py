"""What cells and views see of the models: all of it, and none of it to change (SEMANTICS 6.2, 4.2)."""

from __future__ import annotations

import copy
import pickle

import pytest

from msq_jupyter.errors import ModelWriteError, OutsideModelError, StateError
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.view import View, make_view
from tests.runtime.bench import Bench
from tests.runtime.outside.poll import (
    Base,
    Poll,
    message_of,
    state_of,
)

# --- writing -----------------------------------------------------------------------------------------------------


def _set(model):
    model.speed = 5


def _set_new(model):
    model.colour = "red"


def _add_to(model):
    model.speed += 1


def _delete(model):
    del model.speed


def _set_property(model):
    model.pace = 5


def _vars(model):
    vars(model)["speed"] = 5


def _extend_in_place(model):
    model.deep["pages"] += [1]


WRITES = {
    "an attribute": (_set, "Poll.speed"),
    "a new attribute": (_set_new, "Poll.colour"),
    "an augmented attribute": (_add_to, "Poll.speed"),
    "a deletion": (_delete, "Poll.speed"),
    "a property": (_set_property, "Poll.pace"),
    "setattr": (lambda model: setattr(model, "speed", 5), "Poll.speed"),
    "vars": (_vars, "Poll.speed"),
    "__dict__": (lambda model: model.__dict__.update(speed=5), "Poll"),
    "an item": (lambda model: model.votes.__setitem__("yes", 9), "Poll.votes.yes"),
    "pop": (lambda model: model.votes.pop("yes"), "Poll.votes.yes"),
    "a new item": (lambda model: model.votes.setdefault("maybe", 1), "Poll.votes.maybe"),
    "update": (lambda model: model.votes.update(yes=9), "Poll.votes"),
    "something deep": (lambda model: model.deep["pages"][0]["lines"].append("c"), "Poll.deep.pages[0].lines"),
    "+= of a list": (_extend_in_place, "Poll.deep.pages"),
    "sort": (lambda model: model.deep["pages"].sort(), "Poll.deep.pages"),
    "a list of the class": (lambda model: model.CHOICES.append("maybe"), "Poll.CHOICES"),
    "another model": (lambda model: model.part.values.append(2), "Part.values"),
    "another model's attribute": (lambda model: setattr(model.part, "values", []), "Part.values"),
    "a model by id": (lambda model: setattr(model.get_model("M2"), "values", []), "Part.values"),
    "a model by name": (lambda model: setattr(model.well_known_model("poll"), "speed", 0), "Poll.speed"),
}


@pytest.mark.parametrize(("write", "path"), WRITES.values(), ids=WRITES)
def test_6_2_a_cell_cannot_write_to_a_model(bench, model, write, path):
    before, choices = state_of(bench), list(Base.CHOICES)
    with pytest.raises(ModelWriteError) as caught:
        write(model)
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path} is the model's and cannot be changed from a cell: publish an event")
    assert state_of(bench) == before
    assert choices == Base.CHOICES


@pytest.mark.parametrize(
    ("call", "who", "path"),
    [
        (lambda model: model.vote("yes"), "Poll.vote", "Poll.votes.yes"),
        (lambda model: model._count("yes"), "Poll._count", "Poll.votes.yes"),
        (lambda model: model.bump(), "Poll.bump", "Poll.speed"),
        (lambda model: model.forget(), "Poll.forget", "Poll.speed"),
        (lambda model: model.reset(), "Poll.reset", "Poll.votes"),
        (lambda model: Poll.bump(model), "Poll.bump", "Poll.speed"),
        (lambda model: model.mine()[2].bump(), "Poll.bump", "Poll.speed"),
    ],
)
def test_6_2_a_method_that_writes_is_stopped_at_the_write(bench, model, call, who, path):
    before = state_of(bench)
    with pytest.raises(ModelWriteError) as caught:
        call(model)
    assert str(caught.value).startswith(f"{who} changes {path}, which a cell cannot do: ")
    assert state_of(bench) == before


def test_6_2_the_remedy_is_a_topic_the_model_subscribes_to(model):
    assert 'this method subscribes to: session.publish("poll", "vote", data)' in message_of(lambda: model.vote("yes"))
    # `vote` calls `_count` and `wait` calls `bump`; `set` has to do with `stuff`; `reset` is nobody's yet.
    assert 'for example session.publish("poll", "vote", data)' in message_of(lambda: model._count("yes"))
    assert 'for example session.publish("poll", "set", data)' in message_of(lambda: setattr(model, "stuff", 1))
    assert 'for example session.publish("poll", "wait", data)' in message_of(model.bump)
    hint = 'self.subscribe("poll", "reset", self.reset) in init, and here session.publish("poll", "reset", data)'
    assert hint in message_of(model.reset)
    assert message_of(lambda: setattr(model.part, "values", 1)).endswith("session.publish(scope, event, data)")


def test_6_2_a_view_is_told_so(bench):
    class Board(View):
        def act(self):
            self.model.votes["yes"] = 9

    view = make_view(Board, bench.replica.outside.root, None)
    text = message_of(view.act)
    assert "Poll.votes.yes is the model's and cannot be changed from a view" in text
    assert 'self.publish("poll", "set", data)' in text or 'self.publish("poll", "vote", data)' in text


@pytest.mark.parametrize(
    "call",
    [
        *(lambda m: m.publish("a", "b"), lambda m: m.subscribe("a", "b", m.vote), lambda m: m.unsubscribe_all()),
        *(lambda m: m.future(1), lambda m: m.future(1, m.vote), lambda m: m.cancel_future("*"), lambda m: m.random()),
        *(lambda m: m.choice([1]), lambda m: m.shuffle([1]), lambda m: m.generate_id(), lambda m: m.destroy()),
        *(lambda m: m.be_well_known_as("x"), lambda m: m.persist_session({}), lambda m: m.random_int(1, 2)),
        lambda m: m.unsubscribe("poll", "vote"),
    ],
)
def test_6_2_what_only_model_code_may_do_says_so(model, call):
    with pytest.raises(OutsideModelError, match="works inside a model's methods only"):
        call(model)


def test_6_2_a_bypass_of_python_reaches_the_facade_only(bench, model):
    before = state_of(bench)
    object.__setattr__(model, "speed", 99)
    assert model.speed == 3
    assert state_of(bench) == before


# --- reading -----------------------------------------------------------------------------------------------------


def test_6_2_a_facade_reads_like_the_model(bench, model):
    assert model is bench.replica.outside.root
    assert isinstance(model, Poll)
    assert isinstance(model, Base)
    assert model.__class__ is Poll
    assert repr(model) == repr(bench.root) == "<Poll M1>"
    assert model == bench.root
    assert bench.root == model
    assert hash(model) == hash(bench.root)
    assert model != model.part
    assert (model.id, model.speed, model.unit, model.now(), model.view_count) == ("M1", 3, "votes", 0.0, 0)
    assert model.session_id == "session"
    assert (model.total(), model.most, model.pace) == (30, "yes", 6)
    assert model.well_known_model("poll") is model.well_known_model("modelRoot") is model
    assert model.get_model("M2") is model.part
    assert model.get_model("M9") is model.well_known_model("nobody") is None
    assert {"votes", "vote", "part", "total", "now"} <= set(dir(model))
    assert "_msq_replica" not in {*dir(model), *vars(model), *model.everything()}
    assert vars(model)["votes"] == {"yes": 2, "no": 1}


def test_6_2_a_method_that_reads_returns_what_cannot_be_changed(model):
    votes, part, poll, second = model.mine()
    assert poll is model
    assert part is second
    with pytest.raises(ModelWriteError):
        votes["yes"] = 1
    assert model.grown() == ["no", "yes", "maybe"]
    model.grown().append("what a method has just made is yours")


def test_6_2_what_is_missing_is_missing(model):
    for name in ("_repr_html_", "_ipython_display_", "_repr_mimebundle_", "nothing", "_msq_replica"):
        assert not hasattr(model, name)
    with pytest.raises(AttributeError, match="'Poll' object has no attribute 'nothing'"):
        _ = model.nothing


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps])
def test_6_2_a_facade_is_not_copied(model, how):
    with pytest.raises(StateError, match="a Poll lives in its session and can be neither copied nor pickled"):
        how(model)


def test_6_2_the_authors_own_special_methods_work():
    class Shelf(Model):
        def init(self, options):
            self.books = {"a": [1]}

        def __len__(self):
            return len(self.books)

        def __getitem__(self, name):
            return self.books[name]

        def __setitem__(self, name, value):
            self.books[name] = value

        def __contains__(self, name):
            return name in self.books

        def __getattr__(self, name):
            if name.startswith("_"):
                raise AttributeError(name)
            return f"no {name}"

        def __repr__(self):
            return f"Shelf({list(self.books)})"

        def __eq__(self, other):
            return isinstance(other, Shelf) and self.books == other.books

        __hash__ = None

    shelf = Bench(Shelf).replica.outside.root
    assert (len(shelf), "a" in shelf, repr(shelf), shelf.colour) == (1, True, "Shelf(['a'])", "no colour")
    assert shelf == shelf.well_known_model("modelRoot")
    with pytest.raises(ModelWriteError, match=r"Shelf\.books\.a"):
        shelf["a"].append(2)
    with pytest.raises(
        ModelWriteError, match=r"Shelf\.__setitem__ changes .*Shelf\.books\.b, .*session\.publish\(scope"
    ):
        shelf["b"] = 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(shelf)


def test_6_2_making_a_facade_runs_none_of_the_authors_class_hooks():
    made = []

    class Watched(Model):
        def __init_subclass__(cls, **kwargs):
            made.append(cls.__name__)
            super().__init_subclass__(**kwargs)

        def init(self, options):
            self.x = 1

    assert Bench(Watched).replica.outside.root.x == 1
    assert made == []
