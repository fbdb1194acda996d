"""Rule 2 of the semantics on one replica: the life of models."""

from __future__ import annotations

import pytest

from msq_jupyter.errors import (
    ModelCreationError,
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
