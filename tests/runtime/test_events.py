"""Rule 4 of the semantics on one replica: events between models, and to views."""

from __future__ import annotations

import pytest

from msq_jupyter.errors import (
    OutsideModelError,
)
from tests.runtime.board import Board, do


def test_4_1_wildcards_come_first_then_the_exact_topic_in_order(bench):
    Board.order = lambda self, data: self.note("order")
    try:
        do(
            bench,
            ["hear", "x", "y", "heard"],
            ["hear", "x", "*", "heard_too"],
            ["hear", "*", "y", "order"],
        )
        bench.publish("x", "y", 7)
    finally:
        del Board.order
    assert [entry[1] for entry in bench.root.log] == ["heard too", "order", "heard"]


def test_4_1_the_same_handler_twice_raises(bench):
    do(bench, ["hear", "x", "y", "heard"], ["hear", "x", "y", "heard"])
    assert "Board.heard is subscribed to x:y already" in bench.failures()[0]


@pytest.mark.parametrize(("scope", "event"), [("a:b", "c"), ("", "c"), ("a", ""), (1, "c")])
def test_4_1_a_topic_must_be_two_strings_without_a_colon_in_the_scope(bench, scope, event):
    do(bench, ["tell", scope, event, None])
    assert "SubscriptionError" in bench.failures()[0]


def test_4_1_a_function_that_is_no_method_of_the_model_is_refused(bench):
    Board.wrong = lambda self: self.subscribe("x", "y", print)
    try:
        do(bench, ["wrong"])
    finally:
        del Board.wrong
    assert "expected a method of this Board, such as self.do" in bench.failures()[0]


def test_4_2_handlers_removed_during_dispatch_are_skipped_and_added_ones_not_called(bench):
    Board.add = lambda self, data: self.subscribe("x", "y", "heard_too")
    try:
        do(bench, ["hear", "x", "y", "add"], ["hear", "x", "y", "stop_hearing"], ["hear", "x", "y", "heard"])
        bench.publish("x", "y", 1)
    finally:
        del Board.add
    assert [entry[1] for entry in bench.root.log] == ["stop"]


def test_4_2_views_get_copies(bench):
    got = []
    bench.replica.view_events.subscribe("view", "out", "list", got.append)
    do(bench, ["hold", [1, [2]]])
    Board.show = lambda self: self.publish("out", "list", self.held)
    try:
        do(bench, ["show"])
    finally:
        del Board.show
    bench.replica.view_events.run_frame()
    got[0][1].append("changed by a view")
    assert bench.root.held == [1, [2]]


def test_4_2_data_that_views_cannot_have_does_not_part_replicas(bench):
    Board.show = lambda self: (self.publish("out", "x", object()), self.note("went on"))
    try:
        bench.replica.view_events.subscribe("view", "out", "x", print)
        do(bench, ["show"])
    finally:
        del Board.show
    assert bench.root.log[-1][1] == "went on"
    assert "cannot store object" in bench.failures()[0]


def test_4_4_queued_then_once_per_frame_and_immediate_at_once(bench):
    got = []
    events = bench.replica.view_events
    events.subscribe("view", "x", "y", lambda data: got.append(("once", data)), "once_per_frame")
    events.subscribe("view", "x", "y", lambda data: got.append(("queued", data)), "queued")
    events.subscribe("view", "x", "y", lambda data: got.append(("immediate", data)), "immediate")
    do(bench, ["tell", "x", "y", 1], ["tell", "x", "y", 2])
    assert got == [("immediate", 1), ("immediate", 2)]
    events.run_frame()
    assert got[2:] == [("queued", 1), ("queued", 2), ("once", 2)]


def test_4_4_an_immediate_view_handler_is_not_model_code(bench):
    errors = []

    def handler(_):
        with pytest.raises(OutsideModelError) as caught:
            bench.root.publish("a", "b")
        errors.append(caught.value)

    bench.replica.view_events.subscribe("view", "x", "y", handler, "immediate")
    do(bench, ["tell", "x", "y", 1])
    assert len(errors) == 1


def test_4_5_exits_come_before_joins_and_the_count_is_right(bench):
    bench.members(joins={"ada": None, "ben": {"colour": "red"}})
    bench.members(exits=["ada"], joins={"eve": None})
    assert bench.root.log == [
        ["came", "ada", 1],
        ["came", {"view_id": "ben", "view_data": {"colour": "red"}}, 2],
        ["went", "ada", 1],
        ["came", "eve", 2],
    ]
