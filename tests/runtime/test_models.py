"""Rules 1.4 and 2 of the semantics on one replica: the life of models."""

from __future__ import annotations

import gc
import weakref

import pytest

from msq_jupyter.errors import (
    ModelCreationError,
    OutsideModelError,
    StateError,
)
from msq_jupyter.runtime.model import Model
from tests.runtime.bench import Bench
from tests.runtime.board import Board, Part, do


def test_2_1_calling_the_class_raises_and_shows_the_right_line():
    with pytest.raises(ModelCreationError, match=r"write Board\.create\(\), not Board\(\)"):
        Board()


def test_2_1_create_outside_of_a_model_says_how_to_join():
    with pytest.raises(ModelCreationError, match=r"Session\.join\(\.\.\., model=Board\)"):
        Board.create()


def test_2_1_a_model_with_dunder_init_is_refused_when_it_is_defined():
    with pytest.raises(ModelCreationError, match="def init"):
        type("Wrong", (Model,), {"__init__": lambda self: None})


def test_2_1_ids_count_up_and_the_first_model_is_the_root(bench):
    do(bench, ["part", "a"], ["part", "b"])
    assert [model.id for model in bench.replica.models.values()] == ["M1", "M2", "M3"]
    assert bench.root is bench.replica.models["M1"]
    assert bench.root.well_known_model("modelRoot") is bench.root


@pytest.mark.parametrize("parameters", [0, 1, 2])
def test_2_1_init_takes_up_to_two_parameters(parameters):
    seen = []
    functions = [
        lambda self: seen.append(()),
        lambda self, o: seen.append((o,)),
        lambda self, o, p: seen.append((o, p)),
    ]
    kind = type("Kind", (Model,), {"init": functions[parameters]})
    Bench(kind, options={"x": 1}, persisted={"y": 2})
    assert seen == [({"x": 1}, {"y": 2})[:parameters]]


def test_2_1_a_class_that_the_session_does_not_know_is_refused(bench):
    stranger = type("Stranger", (Model,), {})
    Board.stranger = lambda self: stranger.create()
    try:
        do(bench, ["stranger"])
    finally:
        del Board.stranger
    assert "Stranger is not part of this session's code" in bench.failures()[0]


class Fragile(Model):
    def init(self, options):
        self.begun = True
        self.subscribe("x", "y", self.heard)
        self.future(5).heard("later")
        raise ValueError("not in the mood")

    def heard(self, data):
        self.data = data


def test_2_1_init_may_be_a_static_method():
    seen = []
    kind = type("Kind", (Model,), {"init": staticmethod(lambda *given: seen.append(given))})
    Bench(kind, options="o", persisted="p")
    assert seen == [("o", "p")]


def test_the_code_of_a_session_goes_with_it():
    def run_a_session():
        class Kind(Model):
            def init(self, options):
                self.options = options

        Bench(Kind, options=1)
        return weakref.ref(Kind.init)

    init = run_a_session()
    gc.collect()
    assert init() is None


def test_2_1_the_root_has_its_id_and_its_name_before_init():
    seen = []
    kind = type("Kind", (Model,), {"init": lambda self, _: seen.append((self.id, self.well_known_model("modelRoot")))})
    bench = Bench(kind)
    assert seen == [("M1", bench.root)]


def test_2_1_a_child_gets_options_and_persisted_as_given(bench, teach):
    seen = []
    teach(Part, init=lambda self, options, persisted=None: seen.append((options, persisted)))
    teach(Board, children=lambda self: (Part.create(), Part.create(1), Part.create(1, {})))
    do(bench, ["children"])
    assert seen == [(None, None), (1, None), (1, {})]


def test_2_1_an_id_is_never_given_twice_and_the_counter_is_state(bench):
    do(bench, ["part", "a"], ["end_part", "a"])
    bench.replica = bench.twin()
    do(bench, ["part", "b"], ["part", "c"], ["end_part", "c"], ["part", "d"])
    assert [bench.root.well_known_model(name).id for name in "bd"] == ["M3", "M5"]
    assert list(bench.replica.models) == ["M1", "M3", "M5"]


def test_2_1_a_child_whose_init_fails_fails_its_maker_and_what_it_did_stays(teach):
    bench = Bench(Board, Part, Fragile)
    teach(Board, fragile=lambda self: (Fragile.create(), self.note("never")))
    do(bench, ["fragile"])
    assert bench.failures() == ["Board.do: ValueError: not in the mood"]
    assert bench.root.log == []
    twin = bench.twin()
    assert twin.models["M2"].begun
    bench.publish("x", "y", 1)
    bench.advance(10)
    assert bench.replica.models["M2"].data == "later"


def test_2_1_creating_without_end_is_stopped_at_the_same_depth_everywhere(bench, teach):
    teach(Part, init=lambda self, options: Part.create())
    do(bench, ["part", "a"], ["note", "on"])
    do(bench, ["note", "on"])
    assert bench.failures() == [
        "Board.do: NestingTooDeep: create Part: this is 100 levels deep inside of others, so it leads back to itself: "
        "end it, or go on after this event with self.future(0)"
    ]
    assert len(bench.replica.models) == 1 + 100
    assert bench.replica.nesting == 0
    assert bench.twin().snapshot() == bench.replica.snapshot()


def test_2_2_destroy_removes_wildcards_future_messages_and_names(bench):
    Part.listen = lambda self: self.subscribe("*", "*", "wake")
    Part.wake = lambda self, data: self.future(5).wake(data)
    try:
        do(bench, ["part", "a"])
        part = bench.root.well_known_model("a")
        Board.start_part = lambda self: self.well_known_model("a").listen()
        do(bench, ["start_part"])
        do(bench, ["note", 1])
        assert len(bench.replica.schedule) == 1
        do(bench, ["end_part", "a"])
        assert bench.root.well_known_model("a") is None
        assert bench.root.get_model(part.id) is None
        do(bench, ["note", 2])
        bench.advance(100)
        assert len(bench.replica.schedule) == 0
        assert bench.failures() == []
    finally:
        del Part.listen, Part.wake, Board.start_part


class Mortal(Model):
    def init(self, name):
        self.be_well_known_as(name)
        self.subscribe("x", "y", self.heard)

    def heard(self, data):
        self.well_known_model("modelRoot").note("heard", self.id, data)

    def end(self, data):
        self.destroy()
        self.well_known_model("modelRoot").note("ended")
        self.publish("x", "y", "from the dead")


@pytest.fixture
def mortals(teach):
    bench = Bench(Board, Part, Mortal)
    teach(Board, bear=lambda self, name: Mortal.create(name))
    teach(Board, ask=lambda self, name, what: getattr(self.well_known_model(name), what)(None))
    do(bench, ["bear", "a"], ["bear", "b"])
    return bench


def test_2_2_a_model_destroyed_during_dispatch_is_not_called_any_more(mortals, teach):
    teach(Board, kill=lambda self, _: self.well_known_model("b").destroy())
    do(mortals, ["hear", "*", "y", "kill"])
    mortals.publish("x", "y", 1)
    assert [entry[1:] for entry in mortals.root.log] == [["heard", "M2", 1]]
    assert mortals.failures() == []


def test_2_2_a_destroyed_model_finishes_its_method_and_can_do_nothing_more(mortals):
    do(mortals, ["ask", "a", "end"])
    assert [entry[1:] for entry in mortals.root.log] == [["ended"]]
    assert mortals.failures() == [
        "Board.do: OutsideModelError: Mortal.publish() came too late: the model M2 was destroyed"
    ]


def test_2_2_what_a_destroyed_model_had_begun_to_schedule_is_refused(mortals, teach):
    def end(self, data):
        later = self.future(5)
        self.destroy()
        later.heard(1)

    teach(Mortal, end=end)
    do(mortals, ["ask", "a", "end"])
    assert "Mortal.future() came too late: the model M2 was destroyed" in mortals.failures()[0]
    assert len(mortals.replica.schedule) == 0
    mortals.twin()


def test_2_2_a_handle_of_a_destroyed_model_cancels_nothing(mortals, teach):
    teach(Mortal, end=lambda self, data: setattr(self.well_known_model("modelRoot"), "handle", self.future(5).heard(1)))
    teach(Board, kill=lambda self: self.well_known_model("a").destroy())
    do(mortals, ["ask", "a", "end"], ["kill"], ["cancel"])
    assert mortals.root.log[-1][1:] == ["cancelled", False]
    assert mortals.twin().root.handle.time == 7


def test_2_2_destroying_twice_raises_and_the_root_cannot_be(mortals, teach):
    teach(Mortal, end=lambda self, data: (self.destroy(), self.destroy()))
    do(mortals, ["ask", "a", "end"])
    do(mortals, ["destroy"])
    assert "Mortal.destroy() came too late" in mortals.failures()[0]
    assert "the root model cannot be destroyed" in mortals.failures()[1]


def test_2_2_several_names_of_a_destroyed_model_are_free_again(mortals, teach):
    teach(Mortal, end=lambda self, data: (self.be_well_known_as("z"), self.destroy()))
    do(mortals, ["ask", "a", "end"])
    assert mortals.root.well_known_model("a") is mortals.root.well_known_model("z") is None
    do(mortals, ["bear", "z"])
    assert mortals.root.well_known_model("z").id == "M4"


def test_2_3_names_and_ids_find_models_and_the_last_one_of_a_name_has_it(mortals):
    root = mortals.root
    first = root.well_known_model("a")
    assert root.get_model("M2") is first
    assert root.get_model("M77") is None
    assert root.well_known_model("nobody") is None
    do(mortals, ["bear", "a"])
    assert root.well_known_model("a").id == "M4"
    assert root.get_model("M2") is first
    assert mortals.twin().root.well_known_model("a").id == "M4"


def test_2_3_a_view_may_look_for_models_but_not_name_them(bench):
    assert bench.root.well_known_model("modelRoot") is bench.root
    assert bench.root.get_model("M1") is bench.root
    with pytest.raises(OutsideModelError, match=r"Board\.be_well_known_as\(\) works inside a model's methods only"):
        bench.root.be_well_known_as("mine")


@pytest.mark.parametrize("name", [5, "", None, "\ud800"])
def test_2_3_a_name_that_no_snapshot_could_carry_is_refused(bench, name):
    do(bench, ["be_well_known_as", name])
    assert "be_well_known_as: expected a non-empty string without half characters" in bench.failures()[0]
    bench.twin()


def test_2_4_what_is_transient_is_so_for_subclasses_too_and_binds_nothing_to_it():
    class Cached(Model):
        transient = ("cache",)

    class Both(Cached):
        transient = (*Cached.transient, "window")

        def init(self, options):
            self.items = [1]
            self.cache = {"items": self.items, "file": object()}
            self.window = object()

    class Inherits(Both):
        pass

    for kind in (Both, Inherits):
        bench = Bench(kind)
        twin = bench.twin()
        assert list(vars(twin.root)) == ["items"]
        del bench.root.cache
        assert bench.replica.snapshot() == twin.snapshot()


def test_2_4_the_order_of_attributes_and_subscriptions_is_state(bench):
    other = Bench(Board, Part)
    do(bench, ["hear", "a", "b", "heard"], ["hear", "a", "b", "heard_too"], ["hold", 1], ["later", 5, 1])
    do(other, ["hear", "a", "b", "heard_too"], ["hear", "a", "b", "heard"], ["hold", 1], ["later", 5, 1])
    assert bench.replica.snapshot() != other.replica.snapshot()
    twin = bench.twin()
    assert list(vars(twin.root)) == list(vars(bench.root))
    assert [entry.handler for entry in twin.topics] == ["do", "came", "went", "heard", "heard_too"]


def test_2_4_everything_counts_in_the_state(bench, teach):
    """Whatever differs in one place only gives other bytes: nothing is left out of the comparison."""
    seen = {bench.replica.snapshot()}
    for count, step in enumerate(
        [
            ["hold", True],
            ["hold", 1],
            ["hold", 1.0],
            ["hold", "1"],
            ["hold", b"1"],
            ["hold", [1]],
            ["hold", (1,)],
            ["hold", 0.0],
            ["hold", -0.0],
            ["hold", {"a": 1, "b": 2}],
            ["hold", {"b": 2, "a": 1}],
            ["roll", 1],
            ["later", 5, 1],
            ["repeat", 5, 1],
            ["hear", "q", "r", "heard"],
            ["part", "p"],
            ["save", {}],
        ],
        start=2,
    ):
        other = Bench(Board, Part)
        do(other, step)
        seen.add(other.replica.snapshot())
        assert len(seen) == count, step


def test_1_4_handles_and_models_of_one_session_are_nothing_in_another(bench):
    other = Bench(Board, Part)
    do(other, ["later", 5, "x"])
    with pytest.raises(StateError, match="it belongs to another session: drop the reference"):
        bench.replica.encode_publication("board", "do", [["hold", other.root.handle]])
    vars(bench.root)["loot"] = other.root.handle
    with pytest.raises(StateError, match=r"Board\.loot: cannot store .*FutureHandle: it belongs to another session"):
        bench.replica.snapshot()
    vars(bench.root)["loot"] = other.root
    with pytest.raises(StateError, match=r"Board\.loot: cannot store .*Board: it .* is a model of another session"):
        bench.replica.snapshot()


def test_1_4_events_of_one_session_are_not_heard_in_another(bench):
    other = Bench(Board, Part)
    do(bench, ["tell", "board", "do", [["note", "here"]]])
    assert len(bench.root.log) == 1
    assert other.root.log == []


def test_2_4_transient_attributes_are_absent_after_a_restore():
    class Forgetful(Model):
        transient = ("cache",)

        def init(self, options):
            self.kept = 1
            self.cache = object()

    twin = Bench(Forgetful).twin()
    assert twin.root.kept == 1
    assert not hasattr(twin.root, "cache")


def test_2_5_an_unencodable_attribute_is_named_by_its_path(bench):
    do(bench, ["hold_bad"])
    with pytest.raises(StateError, match=r"Board\.pages\[0\]\.handle: cannot store object: .*transient") as caught:
        bench.replica.snapshot()
    assert caught.value.path == "Board.pages[0].handle"


def test_2_5_init_that_stores_something_unencodable_fails_at_once():
    kind = type("Kind", (Model,), {"init": lambda self, options: setattr(self, "file", open)})
    with pytest.raises(StateError, match=r"Kind\.file: cannot store"):
        Bench(kind)
