"""Rule 4 of the semantics on one replica: events between models, and to views."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest

from msq_jupyter import protocol
from msq_jupyter.errors import OutsideModelError, StateError, SubscriptionError
from msq_jupyter.runtime.snapshot import pack_value
from msq_jupyter.runtime.view import View, make_view
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


@pytest.mark.parametrize("topic", [("x", "y"), ("x", "*"), ("*", "*")])
def test_4_2_who_subscribes_during_a_dispatch_hears_the_next_one_only(bench, teach, topic):
    def first(self, data):
        self.note("first", data)
        if data == 1:
            self.subscribe(*topic, "heard_too")

    teach(Board, first=first)
    do(bench, ["hear", "x", "y", "first"], ["hear", "x", "y", "heard"])
    bench.publish("x", "y", 1)
    assert [entry[1] for entry in bench.root.log] == ["first", "heard"]
    bench.root.log.clear()
    bench.publish("x", "y", 2)
    expected = ["first", "heard", "heard too"] if topic == ("x", "y") else ["heard too", "first", "heard"]
    assert [entry[1] for entry in bench.root.log] == expected


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


# --- 4.1, further ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scope", "event"), [("\ud800", "x"), ("x", "\udfff"), (None, "x"), ("x", b"y"), (["x"], "y")])
def test_4_1_a_topic_that_no_snapshot_could_carry_is_refused(bench, scope, event):
    do(bench, ["hear", scope, event, "heard"])
    assert "expected a non-empty string without half characters" in bench.failures()[0]
    bench.twin()


@pytest.mark.parametrize("name", ["ä", "日本", "🙂", "a:b", " ", "x" * 10_000])
def test_4_1_any_text_may_be_an_event(bench, name):
    do(bench, ["hear", "scope " + name.replace(":", ""), name, "heard"])
    bench.replica = bench.twin()
    bench.publish("scope " + name.replace(":", ""), name, 1)
    assert bench.root.log[0][1:] == ["heard", 1]


def test_4_1_unsubscribing_takes_one_handler_or_all_of_a_topic_and_nothing_else(bench, teach):
    teach(Board, forget=lambda self, *topic: self.unsubscribe(*topic), forget_all=lambda self: self.unsubscribe_all())
    topics = [(scope, event) for scope in ("x", "*") for event in ("y", "*")]
    for topic in topics:
        do(bench, ["hear", *topic, "heard"], ["hear", *topic, "heard_too"])

    def hearers(scope: str, event: str) -> list[str]:
        return [entry.handler for entry in bench.replica.topics.find(scope, event, "M1")]

    do(bench, ["forget", "x", "y", "heard"], ["forget", "*", "*"], ["forget", "no", "topic"])
    assert [hearers(*topic) for topic in topics] == [["heard_too"], *[["heard", "heard_too"]] * 2, []]
    bench.root.log.clear()
    bench.publish("x", "y", 1)
    assert [entry[1] for entry in bench.root.log] == ["heard", "heard too", "heard", "heard too", "heard too"]
    do(bench, ["forget_all"], ["tell", "x", "y", 2])
    assert len(bench.root.log) == 5
    assert list(bench.replica.topics) == []


def test_4_1_a_star_in_a_publication_is_no_wildcard(bench):
    do(bench, ["hear", "x", "y", "heard"], ["tell", "*", "*", 1], ["tell", "x", "*", 1])
    assert bench.root.log == []


def test_4_1_an_attribute_that_holds_a_method_is_no_handler(bench, teach):
    teach(Board, trick=lambda self: (setattr(self, "held", self.note), self.subscribe("x", "y", "held")))
    do(bench, ["trick"])
    assert "subscribe: Board has no method 'held'" in bench.failures()[0]
    bench.twin()


def test_4_1_a_method_that_an_attribute_hides_fails_alike_everywhere(bench):
    do(bench, ["hear", "x", "y", "heard"])
    bench.root.__dict__["heard"] = 5
    twin = bench.twin()
    bench.publish("x", "y", 1)
    twin.apply(bench.log[-1])
    assert bench.failures() == ["Board.heard: TypeError: 'int' object is not callable"]
    assert twin.snapshot() == bench.replica.snapshot()


class Shown(View):
    def __init__(self, model):
        super().__init__(model)
        self.got = []

    def heard(self, data):
        self.got.append(("heard", data))

    def heard_too(self, data):
        self.got.append(("heard too", data))


@pytest.fixture
def shown(bench):
    return make_view(Shown, bench.root, SimpleNamespace(view_events=bench.replica.view_events))


def test_4_1_a_view_subscribes_with_wildcards_and_ends_what_it_names(bench, shown):
    other = make_view(Shown, bench.root, SimpleNamespace(view_events=bench.replica.view_events))
    for topic in (("x", "y"), ("x", "*"), ("*", "y"), ("*", "*")):
        for view in (shown, other):
            view.subscribe(*topic, view.heard)
            view.subscribe(*topic, view.heard_too)
    hear = partial(after_frame, bench, shown)
    assert len(hear("x", "y")) == 8
    assert len(hear("x", "z")) == len(hear("z", "y")) == 4
    assert len(hear("z", "z")) == 2
    shown.unsubscribe("x", "y", shown.heard)
    assert [name for name, _ in hear("x", "y")].count("heard too") == 4
    shown.unsubscribe("*", "*")
    assert hear("z", "z") == []
    shown.unsubscribe_all()
    other.got.clear()
    assert hear("x", "y") == []
    assert len(other.got) == 8


def after_frame(bench, view, scope, event):
    """What a view hears of a publication."""
    view.got.clear()
    do(bench, ["tell", scope, event, 1])
    bench.replica.view_events.run_frame()
    return view.got


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (("a:b", "c", print), "a:b"),
        (("", "c", print), "non-empty"),
        (("a", 1, print), "expected"),
        (("a", "b", "heard"), "expected something to call for a:b, got 'heard'"),
        (("a", "b", print, "sometimes"), "expected handling to be one of .*, got 'sometimes'"),
    ],
)
def test_4_1_what_no_view_can_subscribe_to_raises_at_the_call(shown, wrong, message):
    with pytest.raises(SubscriptionError, match=message):
        shown.subscribe(*wrong)


# --- 4.2, further ------------------------------------------------------------------------------------------------


def test_4_2_models_hear_at_once_and_in_the_order_of_subscribing(bench):
    do(bench, ["hear", "x", "y", "heard_too"], ["hear", "x", "y", "heard"])
    do(bench, ["note", "before"], ["tell", "x", "y", 1], ["note", "after"])
    assert [entry[1] for entry in bench.root.log] == ["before", "heard too", "heard", "after"]
    again = bench.twin()
    bench.publish("x", "y", 2)
    again.apply(bench.log[-1])
    assert again.root.log == bench.root.log


def test_4_2_what_changes_deep_inside_a_dispatch_holds_for_the_one_outside(bench, teach):
    """A handler publishes the topic it hears; inside of that another handler goes and comes again."""

    def first(self, depth):
        self.note("first", depth)
        if depth < 2:
            self.publish("x", "y", depth + 1)

    def leave_and_return(self, depth):
        self.note("second", depth)
        self.unsubscribe("x", "y", self.heard)
        self.subscribe("x", "y", self.heard)

    teach(Board, first=first, leave_and_return=leave_and_return)
    do(bench, ["hear", "x", "y", "first"], ["hear", "x", "y", "leave_and_return"], ["hear", "x", "y", "heard"])
    bench.publish("x", "y", 0)
    names = [(entry[1], entry[2]) for entry in bench.root.log]
    # Each time `heard` returns it is another subscription, which the dispatches that have begun do not know.
    assert names == [("first", 0), ("first", 1), ("first", 2), ("second", 2), ("second", 1), ("second", 0)]
    bench.publish("x", "y", 9)
    assert bench.twin().snapshot() == bench.replica.snapshot()


def test_4_2_publishing_without_end_is_stopped_at_the_same_depth_everywhere(bench, teach):
    def echo(self, depth):
        self.deepest = depth
        self.publish("x", "y", depth + 1)
        self.note("never")

    teach(Board, echo=echo)
    do(bench, ["hear", "x", "y", "echo"])
    twin = bench.twin()
    bench.publish("x", "y", 0)
    assert bench.failures() == [
        "Board.echo: NestingTooDeep: publish x:y: this is 100 levels deep inside of others, so it leads back to "
        "itself: end it, or go on after this event with self.future(0)"
    ]
    assert bench.root.deepest == 100
    assert len(bench.root.log) == 100  # those who published in vain are not hurt

    def deep_down(levels: int) -> bool:
        return deep_down(levels - 1) if levels else twin.apply(bench.log[-1])

    assert deep_down(150)
    assert twin.snapshot() == bench.replica.snapshot()
    do(bench, ["tell", "p", "q", 1], ["note", "on"])
    assert bench.root.log[-1][1] == "on"


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit, ValueError])
def test_4_2_an_immediate_view_handler_that_raises_does_not_part_its_replica_from_others(bench, caplog, error):
    def handler(_):
        raise error("mine")

    twin = bench.twin()
    bench.replica.view_events.subscribe("view", "x", "y", handler, "immediate")
    do(bench, ["tell", "x", "y", 1], ["note", "went on"])
    twin.apply(bench.log[-1])
    assert bench.root.log == [[1, "went on"]]
    assert twin.snapshot() == bench.replica.snapshot()
    assert "a view's handler of x:y failed" in caplog.text


# --- 4.3: what an event carries ------------------------------------------------------------------------------------


def test_4_3_models_and_methods_travel_as_references(bench):
    do(bench, ["part", "a"])
    part = bench.root.well_known_model("a")
    do(bench, ["hold", [part, bench.root, bench.root.note, {part.id: part}]])
    held = bench.root.held
    assert held[0] is held[3]["M2"] is part
    assert held[1] is bench.root
    assert held[2] == bench.root.note


def test_4_3_data_is_a_copy_of_what_was_published(bench):
    data = [1, [2]]
    bench.publish("board", "do", [["hold", data]])
    data[1].append("later")
    assert bench.root.held == [1, [2]]


def test_4_3_an_event_about_a_model_that_was_destroyed_meanwhile_is_dropped_and_told(bench):
    do(bench, ["part", "a"])
    part = bench.root.well_known_model("a")
    payload = bench.replica.encode_publication("board", "do", [["hold", part]])
    do(bench, ["end_part", "a"])
    bench.feed(protocol.Event(bench.replica.seq + 1, bench.time_ms, "ada", 3, payload))
    assert "the model M2 is gone, it was destroyed meanwhile" in bench.failures()[0]
    assert bench.failures()[0].startswith("session.event board:do, dropped: ")
    assert not hasattr(bench.root, "held")
    with pytest.raises(StateError, match=r"data of board:do\[0\]: cannot store .*Part: it was destroyed"):
        bench.replica.encode_publication("board", "do", [part])
    with pytest.raises(StateError, match=r"data of board:do\[0\]: cannot store method"):
        bench.replica.encode_publication("board", "do", [part.destroy])


def test_4_4_a_handler_that_ends_before_its_frame_is_not_called(bench):
    got = []
    events = bench.replica.view_events
    events.subscribe("view", "x", "y", got.append)
    events.subscribe("view", "x", "y", got.append, "once_per_frame")
    do(bench, ["tell", "x", "y", 1])
    events.unsubscribe("view", "x", "y")
    events.run_frame()
    assert got == []


def test_4_4_once_per_frame_is_once_in_each_frame_with_its_last_data(bench):
    got = []
    events = bench.replica.view_events
    events.subscribe("view", "x", "*", got.append, "once_per_frame")
    events.subscribe("view", "x", "z", lambda data: got.append(("z", data)), "once_per_frame")
    for frame in (1, 2):
        do(bench, ["tell", "x", "y", 1], ["tell", "x", "z", 2], ["tell", "x", "y", 3 * frame])
        events.run_frame()
        events.run_frame()
    assert got == [3, ("z", 2), 6, ("z", 2)]


@pytest.mark.parametrize("view_data", [0, "", [], {}, False])
def test_4_5_view_data_that_is_false_is_view_data(bench, view_data):
    bench.members(joins={"ada": view_data})
    bench.members(exits=["ada"])
    who = {"view_id": "ada", "view_data": view_data}
    assert bench.root.log == [["came", who, 1], ["went", who, 0]]


def test_4_5_who_comes_or_goes_is_whose_event_it_is(bench, teach):
    def who(self, told):
        self.note(self.event_view_id)

    teach(Board, came=who, went=who)
    bench.members(joins={"ada": None, "ben": {"colour": "red"}})
    bench.members(exits=["ada"], joins={"eve": None})
    assert [view_id for _, view_id in bench.root.log] == ["ada", "ben", "ada", "eve"]
    assert bench.replica.event_view_id == ""


def test_4_5_an_exit_of_somebody_who_never_came_is_nothing(bench):
    bench.members(exits=["nobody"])
    assert bench.root.log == []


@pytest.mark.parametrize(
    "card", [b"", b"\xc1", b"\x93\x01", pack_value(["no", "card"], ""), pack_value({"label": 5}, "")]
)
def test_4_5_whoever_comes_with_data_that_makes_no_sense_keeps_nobody_from_coming(bench, card):
    sound = pack_value({"label": "Ada", "view_data": 1}, "")
    bench.feed(protocol.Membership(1, 0, [], [("eve", card), ("ada", sound)]))
    assert bench.root.log == [["came", "eve", 1], ["came", {"view_id": "ada", "view_data": 1}, 2]]
    assert bench.root.view_count == 2
    bench.twin()
    bench.members(exits=["eve", "ada"])
    assert bench.root.view_count == 0


def test_4_5_views_do_not_hear_who_comes(bench):
    got = []
    bench.replica.view_events.subscribe("view", "session", "*", got.append, "immediate")
    bench.members(joins={"ada": None})
    bench.members(exits=["ada"])
    assert got == []
