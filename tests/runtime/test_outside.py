"""What cells and views see of the models: all of it, and none of it to change (SEMANTICS 6.2, 4.2)."""

from __future__ import annotations

import copy
import dataclasses
import enum
import gc
import json
import pickle
import sys
import threading
import weakref
from collections import defaultdict, namedtuple
from types import MappingProxyType, MethodType

import numpy as np
import pytest

from msq_jupyter.errors import ModelWriteError, OutsideModelError, StateError
from msq_jupyter.runtime import copies, read_only
from msq_jupyter.runtime.deterministic import OrderedFrozenSet, OrderedSet
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.runtime.view import View, make_view
from msq_jupyter.stable import DEPTH_MAX
from tests.runtime.bench import Bench


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Box:
    name: str
    things: list

    def put(self, thing):
        self.things.append(thing)

    def rename(self, name):
        self.name = name


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    x: int
    y: int


Point = namedtuple("Point", "x y")

VALUE_TYPES = {kind.__name__: kind for kind in (Colour, Rights, Box, Cell, Point)}


class Part(Model):
    def init(self, options):
        self.values = [1]


class Base(Model):
    unit = "votes"
    CHOICES = ["yes", "no"]

    def total(self):
        return sum(self.votes.values())

    @property
    def most(self):
        return max(self.votes, key=self.votes.get)


class Poll(Base):
    speed = 1

    def init(self, options, persisted=None):
        self.votes = {"yes": 2, "no": 1}
        self.speed = 3
        self.deep = {"pages": [{"lines": ["a", "b"]}]}
        self.part = Part.create()
        self.be_well_known_as("poll")
        self.stuff = None
        self.subscribe("poll", "vote", self.vote)
        self.subscribe("poll", "set", self.set)
        self.subscribe("poll", "tell", self.tell)
        self.subscribe("poll", "wait", self.wait)
        self.subscribe("poll", "drop", self.drop)
        self.subscribe(self.session_id, "view-join", self.came)

    def vote(self, choice):
        self._count(choice)
        return self.votes

    def _count(self, choice):
        self.votes[choice] += 1

    def set(self, what):
        self.stuff = what

    def tell(self, what):
        self.stuff = [what]
        self.publish("out", "told", self.stuff)
        self.stuff.append("later")
        self.publish("out", "told again")
        self.stuff.append("last")

    def came(self, who):
        pass

    def wait(self, delay_ms):
        self.timer = self.future(delay_ms).bump()

    def drop(self, _):
        self.part.destroy()
        self.part = None

    def bump(self):
        self.speed += 1

    def forget(self):
        del self.speed

    def reset(self):
        self.votes = {}

    def total(self):
        return super().total() * 10

    def mine(self):
        return [self.votes, self.part, self.well_known_model("poll"), self.get_model("M2")]

    def grown(self):
        return [*sorted(self.votes), "maybe"]

    def everything(self):
        return list(self.__dict__)

    @property
    def yes(self):
        return self.votes["yes"]

    @yes.setter
    def yes(self, count):
        self.votes["yes"] = count

    @property
    def pace(self):
        return self.speed * 2

    @pace.setter
    def pace(self, value):
        self.speed = value / 2


@pytest.fixture
def bench():
    return BenchWithTypes(Poll, Part)


class BenchWithTypes(Bench):
    def new_replica(self):
        return Replica("session", "run", {model.__qualname__: model for model in self.models}, value_types=VALUE_TYPES)


@pytest.fixture
def model(bench):
    return bench.replica.outside.root


def stored(bench, value):
    """What a cell reads of a value that the model holds."""
    bench.root.stuff = value
    bench.replica.moves += 1
    return bench.replica.outside.root.stuff


def state_of(bench):
    return bench.replica.snapshot()


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


def _message(call):
    with pytest.raises(ModelWriteError) as caught:
        call()
    return str(caught.value)


def test_6_2_the_remedy_is_a_topic_the_model_subscribes_to(model):
    assert 'this method subscribes to: session.publish("poll", "vote", data)' in _message(lambda: model.vote("yes"))
    # `vote` calls `_count` and `wait` calls `bump`; `set` has to do with `stuff`; `reset` is nobody's yet.
    assert 'for example session.publish("poll", "vote", data)' in _message(lambda: model._count("yes"))
    assert 'for example session.publish("poll", "set", data)' in _message(lambda: setattr(model, "stuff", 1))
    assert 'for example session.publish("poll", "wait", data)' in _message(model.bump)
    hint = 'self.subscribe("poll", "reset", self.reset) in init, and here session.publish("poll", "reset", data)'
    assert hint in _message(model.reset)
    assert _message(lambda: setattr(model.part, "values", 1)).endswith("session.publish(scope, event, data)")


def test_6_2_a_view_is_told_so(bench):
    class Board(View):
        def act(self):
            self.model.votes["yes"] = 9

    view = make_view(Board, bench.replica.outside.root, None)
    text = _message(view.act)
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


# --- containers --------------------------------------------------------------------------------------------------

VALUES = {
    "dict": {"a": [1, {"b": 2}]},
    "list": [3, 1, 2],
    "set": {1, 2},
    "frozenset": frozenset({1, 2}),
    "tuple": (1, 2),
    "tuple of lists": ([1], (2, [3])),
    "dict of tuples": {(1, 2): [3], 4: "x"},
    "set of tuples": {(1, (2, 3)), "x"},
    "frozen set of frozen sets": frozenset({frozenset({(1, 2)})}),
    "bytearray": bytearray(b"x"),
    "named tuple": Point(1, [2]),
    "record": Box("b", [1, [2]]),
    "frozen records in a set": {Cell(1, 2), Cell(3, 4)},
    "records as keys": {Cell(1, 2): [Colour.RED], Colour.BLUE: Rights.READ | Rights.WRITE},
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_6_2_a_copy_is_equal_and_of_its_kind(bench, value):
    seen = stored(bench, value)
    assert seen == value
    assert value == seen
    assert isinstance(seen, bytes if isinstance(value, bytearray) else type(value))
    assert repr(seen) == (repr(bytes(value)) if isinstance(value, bytearray) else repr(value))
    assert seen is bench.replica.outside.root.stuff or seen == bench.replica.outside.root.stuff


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_6_2_copies_of_a_copy_are_plain_all_the_way_down(bench, value):
    seen = stored(bench, value)
    for plain in (copy.deepcopy(seen), pickle.loads(pickle.dumps(seen))):
        assert plain == value
        assert _kinds(plain) == _kinds(bytes(value) if isinstance(value, bytearray) else value)


def _kinds(value):
    """The types in a value, from the outside in."""
    if isinstance(value, dict):
        return [type(value), *sorted(str(_kinds(part)) for item in value.items() for part in item)]
    if isinstance(value, list | tuple | set | frozenset):
        return [type(value), *sorted(str(_kinds(part)) for part in value)]
    if dataclasses.is_dataclass(value):
        return [type(value), *(_kinds(getattr(value, field.name)) for field in dataclasses.fields(value))]
    return [type(value)]


MUTATORS = {
    dict: {*dir(dict)} - {*dir(MappingProxyType)} - {"fromkeys"} | {"__ior__"},
    list: {*dir(list)} - {*dir(tuple)} - {"copy", "__reversed__"},
    set: {*dir(set)} - {*dir(frozenset)},
}


@pytest.mark.parametrize("kind", MUTATORS)
def test_6_2_nothing_that_changes_a_container_is_forgotten(bench, kind):
    plain = {dict: {"a": 1}, list: [1], set: {1}}[kind]
    names = MUTATORS[kind]
    assert len(names) >= 8
    for name in names:
        seen = stored(bench, copy.copy(plain))
        with pytest.raises(ModelWriteError):
            getattr(seen, name)("a" if kind is dict else 0, 0)
        assert seen == plain


def test_6_2_what_is_made_of_a_copy_is_plain(bench):
    numbers, names, both = stored(bench, [[3, 1, 2], {"a": 1}, {1, 2}])
    made = [
        *(list(numbers), numbers.copy(), numbers[:2], [*numbers, 4], numbers * 2, type(numbers)(numbers)),
        *(copy.copy(numbers), [*numbers], sorted(numbers)),
        *(dict(names), names.copy(), names | {}, {} | names, {**names}, type(names)(names), copy.copy(names)),
        *(set(both), both.copy(), both | {3}, both & {1}, both - {1}, both ^ {1}, {1} | both, both.union([4])),
        *(type(both)(both), copy.copy(both)),
    ]
    assert {type(one) for one in made} == {list, dict, set}
    made[0].append(1)


def test_6_2_code_in_c_takes_copies_for_what_they_are(bench):
    seen = stored(bench, {"rows": [{"x": 1, "y": [2, 3]}, {"x": 4, "y": [5, 6]}], "numbers": [3, 1, 2]})
    assert json.loads(json.dumps(seen)) == seen
    assert json.loads(json.dumps(seen, indent=1)) == seen
    assert np.array(seen["numbers"]).tolist() == [3, 1, 2]
    assert np.array([row["y"] for row in seen["rows"]]).shape == (2, 2)
    assert max(seen["numbers"]) == 3
    assert sorted(seen["rows"], key=lambda row: -row["x"])[0]["x"] == 4
    match seen:
        case {"rows": [{"x": first}, *_], **rest}:
            assert (first, list(rest)) == (1, ["numbers"])


def test_6_2_cycles_and_what_is_shared_survive(bench):
    shared = [1]
    ring = {"one": shared, "two": (shared, shared)}
    ring["self"] = ring
    box = Box("b", [ring])
    box.things.append(box)
    ring["box"] = box
    seen = stored(bench, ring)
    assert seen["self"] is seen
    assert seen["one"] is seen["two"][0] is seen["two"][1]
    assert seen["box"].things[0] is seen
    assert seen["box"].things[1] is seen["box"]
    plain = copy.deepcopy(seen)
    assert plain["self"] is plain
    assert plain["one"] is plain["two"][1]
    bench.root.deep = shared
    bench.replica.moves += 1
    model = bench.replica.outside.root
    assert model.stuff["one"] is model.deep


@pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: {"a": x}, lambda x: (x, []), lambda x: Box("b", x)])
def test_6_2_deep_data_is_no_recursion_error(bench, wrap):
    value = []
    for _ in range(20_000):
        value = wrap(value)
    seen = stored(bench, value)
    for _ in range(20_000):
        seen = seen["a"] if isinstance(seen, dict) else seen.things if isinstance(seen, Box) else seen[0]
    with pytest.raises(ModelWriteError):
        seen.append(1)
    bench.root.stuff = None


def test_6_2_hashable_data_as_deep_as_a_model_may_hold(bench):
    value = frozenset({Cell(1, 2)})
    for number in range(DEPTH_MAX - 5):
        value = frozenset({value}) if number % 2 else Point(value, 1)
    assert stored(bench, {value: 1}) == {value: 1}


def test_6_2_models_handles_and_methods_in_containers(bench, model):
    bench.root.stuff = {bench.root.part: [bench.root, bench.root.vote]}
    bench.replica.moves += 1
    ((part, (root, method)),) = model.stuff.items()
    assert part is model.part
    assert root is model
    assert isinstance(method, MethodType)
    assert method.__self__ is model
    with pytest.raises(ModelWriteError, match=r"Poll\.vote changes"):
        method("yes")
    bench.publish("poll", "wait", 50)
    assert model.timer.time == 51
    bench.publish("poll", "set", model.timer)
    assert bench.root.stuff == bench.root.timer
    assert model.stuff == model.timer
    with pytest.raises(OutsideModelError):
        model.timer.cancel()


def test_6_2_arrays_are_read_only_and_stay_as_they_were_read(bench):
    grid = np.arange(4.0).reshape(2, 2)
    seen = stored(bench, {"grid": grid, "one": np.float32(1.5)})
    assert type(seen["grid"]) is np.ndarray
    assert seen["one"] == np.float32(1.5)
    with pytest.raises(ValueError, match="read-only"):
        seen["grid"][0, 0] = 9
    grid[0, 0] = 7
    assert seen["grid"][0, 0] == 0
    seen["grid"].flags.writeable = True
    seen["grid"][0, 0] = 9
    assert grid[0, 0] == 7


def test_6_2_dataclass_instances_refuse_too(bench):
    bench.root.deep = Box("b", [1])
    seen = stored(bench, [bench.root.deep, Cell(1, 2)])
    box, cell = seen
    assert box.__class__ is Box
    assert "name='b'" in repr(box)
    assert dataclasses.asdict(box) == {"name": "b", "things": [1]}
    assert dataclasses.replace(box, name="c") == Box("c", [1])
    assert hash(cell) == hash(Cell(1, 2))
    for write in (
        lambda: setattr(box, "name", "c"),
        lambda: box.rename("c"),
        lambda: box.put(2),
        lambda: delattr(box, "name"),
        lambda: setattr(cell, "x", 2),
    ):
        with pytest.raises(ModelWriteError):
            write()
    with pytest.raises(ModelWriteError) as caught:
        box.name = "c"
    assert caught.value.path == "Poll.stuff[0].name"
    plain = copy.copy(box)
    plain.name = "c"
    assert type(plain) is Box


def test_6_2_containers_of_other_classes_do_not_leak_models(bench):
    bench.root.transient_thing = defaultdict(list, {"a": [bench.root]})
    bench.replica.moves += 1
    seen = bench.replica.outside.root.transient_thing
    with pytest.raises(ModelWriteError):
        seen["a"].append(1)
    assert seen["a"][0] is bench.replica.outside.root


def test_6_2_sets_with_an_order_keep_it(bench, monkeypatch):
    class Ordered(dict):
        """Stands for an ordered set; what is iterated is in the order of insertion."""

    class OrderedFixed(tuple):
        """Stands for an ordered frozen set."""

    monkeypatch.setitem(copies.ORDERED_SETS, Ordered, False)
    monkeypatch.setitem(copies.ORDERED_SETS, OrderedFixed, True)
    bench = BenchWithTypes(Poll, Part)
    order = [f"n{number}" for number in range(40, 0, -1)]
    seen, fixed = stored(bench, [Ordered.fromkeys(order), OrderedFixed(order)])
    assert list(seen) == list(fixed) == order
    assert isinstance(seen, set)
    assert isinstance(fixed, frozenset)
    assert seen == fixed == set(order)
    assert hash(fixed) == hash(frozenset(order))
    assert repr(seen).startswith("{'n40', 'n39'")
    with pytest.raises(ModelWriteError):
        seen.add(1)
    assert type(copy.deepcopy(seen)) is set
    assert type(pickle.loads(pickle.dumps(fixed))) is frozenset


# --- when --------------------------------------------------------------------------------------------------------


def test_6_2_a_copy_serves_until_the_replica_moves_and_stays_as_it_was(bench, model):
    votes = model.votes
    assert model.votes is votes
    assert model.deep["pages"] is model.deep["pages"]
    bench.publish("poll", "vote", "yes")
    assert model.votes is not votes
    assert (votes["yes"], model.votes["yes"]) == (2, 3)
    assert _message(lambda: votes.clear()).startswith("Poll.votes is the model's")
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
    assert "cannot be changed from a cell" in _message(lambda: votes.clear())


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
    kinds = _kinds(before["a"]), type(before["box"]), type(before["box"].things)
    bench.publish("poll", "set", model.stuff)
    after = bench.root.stuff
    assert after is not before
    assert after == before
    assert after["part"] is bench.root.part
    assert (_kinds(after["a"]), type(after["box"]), type(after["box"].things)) == kinds
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
