"""Rules 2 to 5 and 7 of the semantics, on one replica without clock, network or threads."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest

from msq_jupyter import protocol
from msq_jupyter.errors import (
    ModelCreationError,
    OutsideModelError,
    PersistenceTypeError,
    ProtocolError,
    ScheduleError,
    SealBroken,
    StateError,
    SubscriptionError,
)
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.replica import Replica, SaveStored
from tests.runtime.bench import Bench


class Part(Model):
    def init(self, options):
        self.name = options


class Board(Model):
    def init(self, options, persisted=None):
        self.options = options
        self.persisted = persisted
        self.log: list[Any] = []
        self.speed = 1
        self.handle = None
        self.subscribe("board", "do", self.do)
        self.subscribe(self.session_id, "view-join", self.came)
        self.subscribe(self.session_id, "view-exit", self.went)

    def do(self, steps):
        """Run statements that a test sends: the board is a programmable model."""
        for step in steps:
            name, *args = step
            getattr(self, name)(*args)

    def note(self, *what):
        self.log.append([self.now(), *what])

    def came(self, who):
        self.log.append(["came", who, self.view_count])

    def went(self, who):
        self.log.append(["went", who, self.view_count])

    def later(self, delay, what):
        self.handle = self.future(delay).note(what)

    def repeat(self, every, what):
        self.handle = self.future(every=every).note(what)

    def repeat_until_cancelled(self, every):
        self.handle = self.future(every=every).tick_once()

    def tick_once(self):
        self.note("tick")
        self.handle.cancel()

    def cancel(self):
        self.note("cancelled", self.handle.cancel())

    def cancel_by(self, what):
        self.note("cancelled", self.cancel_future(what))

    def fail(self, message):
        raise RuntimeError(message)

    def hear(self, scope, event, method):
        self.subscribe(scope, event, method)

    def tell(self, scope, event, data):
        self.publish(scope, event, data)

    def heard(self, data):
        self.note("heard", data)

    def heard_too(self, data):
        self.note("heard too", data)

    def stop_hearing(self, data):
        self.note("stop", data)
        self.unsubscribe_all()

    def part(self, name):
        Part.create(name).be_well_known_as(name)

    def end_part(self, name):
        self.well_known_model(name).destroy()

    def roll(self, count):
        self.log.append([self.random() for _ in range(count)])

    def hold(self, value):
        self.held = value

    def hold_bad(self):
        self.pages = [{"handle": object()}]

    def save(self, data):
        self.persist_session(lambda: data)


@pytest.fixture
def bench() -> Bench:
    return Bench(Board, Part)


def do(bench: Bench, *steps: list[Any], **kwargs: Any) -> None:
    bench.publish("board", "do", list(steps), **kwargs)


# --- 2 Model life cycle ------------------------------------------------------------------------------------------


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


# --- 3 Time and future messages ----------------------------------------------------------------------------------


def test_3_1_future_calls_at_its_time(bench):
    do(bench, ["later", 10, "a"], ["later", timedelta(milliseconds=5), "b"])
    bench.advance(100)
    assert bench.root.log == [[6, "b"], [11, "a"]]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (["later", -1, "a"], "expected delay of 0 or more milliseconds, or a timedelta, got -1"),
        (["later", "soon", "a"], "got 'soon'"),
        (["repeat", 0, "a"], "expected every= of more than 0 ms"),
    ],
)
def test_3_1_wrong_delays_raise_at_the_call(bench, step, message):
    do(bench, step)
    assert message in bench.failures()[0]
    assert len(bench.replica.schedule) == 0


def test_3_1_an_unknown_method_raises_at_the_call(bench):
    Board.wrong = lambda self: self.future(1).nott()
    try:
        do(bench, ["wrong"])
    finally:
        del Board.wrong
    assert "Board has no method 'nott'" in bench.failures()[0]


def test_3_1_a_handle_cancels_once_and_survives_a_snapshot(bench):
    do(bench, ["later", 10, "a"])
    assert bench.root.handle.time == 11
    twin = bench.twin()
    assert twin.root.handle.time == 11
    bench.replica = twin
    do(bench, ["cancel"], ["cancel"])
    bench.advance(100)
    assert bench.root.log == [[2, "cancelled", True], [2, "cancelled", False]]


def test_3_1_cancel_by_method_takes_the_earliest_on_lived_and_restored_replicas_alike(bench):
    do(bench, ["later", 30, "late"], ["later", 10, "early"], ["later", 20, "middle"])
    twin = bench.twin()
    lived = bench.replica
    for bench.replica in (lived, twin):
        bench.log.clear()
    payload = lived.encode_publication("board", "do", [["cancel_by", "note"]])
    for replica in (lived, twin):
        replica.apply(protocol.Event(2, 2, "ada", 2, payload))
        replica.advance(100)
    assert [entry[1] for entry in lived.root.log] == ["cancelled", "middle", "late"]
    assert lived.snapshot() == twin.snapshot()


def test_3_1_cancel_star_takes_everything(bench):
    do(bench, ["later", 30, "x"], ["repeat", 10, "y"], ["cancel_by", "*"])
    bench.advance(100)
    assert bench.root.log == [[1, "cancelled", True]]


def test_3_1_every_repeats_and_stops_from_inside(bench):
    do(bench, ["repeat", 10, "r"])
    bench.advance(30)
    assert [entry[0] for entry in bench.root.log] == [11, 21, 31]
    do(bench, ["cancel"], ["repeat_until_cancelled", 10])
    bench.advance(100)
    assert [entry[1] for entry in bench.root.log].count("tick") == 1


def test_3_1_an_exception_does_not_stop_a_repetition(bench):
    Board.start = lambda self: self.future(every=10).fail("again")
    try:
        do(bench, ["start"])
        bench.advance(35)
    finally:
        del Board.start
    assert len(bench.failures()) == 3


def test_3_2_internal_messages_come_before_external_ones_of_the_same_time(bench):
    do(bench, ["later", 10, "internal"])
    do(bench, ["note", "external"], after_ms=10)
    assert bench.root.log == [[11, "internal"], [11, "external"]]


def test_3_2_future_zero_runs_right_after_its_handler(bench):
    do(bench, ["later", 0, "after"], ["note", "first"])
    do(bench, ["note", "second"], after_ms=0)
    assert [entry[1] for entry in bench.root.log] == ["first", "after", "second"]


def test_3_2_a_portion_of_the_work_can_wait_and_nothing_changes(bench):
    do(bench, *[["later", delay, delay] for delay in range(1, 20)])
    twin = bench.twin()
    entry = protocol.Event(2, 30.0, "ada", 2, twin.encode_publication("board", "do", [["note", "end"]]))
    bench.feed(entry)
    calls = 0
    while not twin.apply(entry, pause=lambda: True):
        calls += 1
    assert calls == 19
    assert twin.snapshot() == bench.replica.snapshot()


def test_3_3_an_exception_is_reported_and_everything_goes_on(bench):
    do(bench, ["note", "before"], ["fail", "oops"], ["note", "never"])
    do(bench, ["note", "next"])
    assert [entry[1] for entry in bench.root.log] == ["before", "next"]
    assert bench.failures() == ["Board.do: RuntimeError: oops"]


def test_3_4_the_random_stream_is_one_and_goes_on_after_a_restore(bench):
    do(bench, ["roll", 3])
    twin = bench.twin()
    entry = protocol.Event(2, 9.0, "ada", 2, twin.encode_publication("board", "do", [["roll", 3]]))
    bench.feed(entry)
    twin.apply(entry)
    assert twin.root.log == bench.root.log
    assert bench.root.log[0] != bench.root.log[1]


def test_3_4_random_outside_model_code_raises(bench):
    for call in (bench.root.random, bench.root.generate_id):
        with pytest.raises(OutsideModelError, match=r"session\.publish"):
            call()


# --- 4 Events ----------------------------------------------------------------------------------------------------


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


def test_4_6_a_gap_in_the_log_is_refused(bench):
    with pytest.raises(ProtocolError, match="expected entry 1 at"):
        bench.replica.apply(protocol.Membership(2, 0, [], []))


@pytest.mark.parametrize("counter", [1, 3])
def test_8_3_a_repeated_or_missing_event_of_a_view_is_refused(bench, counter):
    do(bench, ["note", "one"])
    payload = bench.replica.encode_publication("board", "do", [["note", "two"]])
    with pytest.raises(SealBroken, match=f"expected event 2 of view ada, got {counter}"):
        bench.replica.apply(protocol.Event(2, 5, "ada", counter, payload))


def test_an_event_that_does_not_decode_is_skipped_alike_everywhere(bench):
    for seq, payload in enumerate([b"", b"\xc1", b"\x93\x01\x02\x03", b"\x91\xa7publish", b"\xa5hello"], start=1):
        bench.feed(protocol.Event(seq, 1, "eve", seq, payload))
    assert len(bench.failures()) == 5
    do(bench, ["note", "fine"])
    assert bench.root.log[-1][1] == "fine"


# --- assignments (links) -----------------------------------------------------------------------------------------


def test_an_assignment_sets_the_attribute(bench):
    bench.assign("speed", 5)
    assert bench.root.speed == 5


@pytest.mark.parametrize("attribute", ["_speed", "id", "do", "sped", "future"])
def test_an_assignment_to_anything_else_is_reported_and_skipped(bench, attribute):
    before = bench.replica.models[bench.root.id].__dict__.copy()
    bench.assign(attribute, 5)
    assert bench.failures()
    assert bench.root.__dict__ == before


# --- 5 Persistence -----------------------------------------------------------------------------------------------


def test_5_1_persisting_from_another_model_names_the_remedy(bench):
    Part.save = lambda self: self.persist_session({})
    Board.save_part = lambda self: self.well_known_model("a").save()
    try:
        do(bench, ["part", "a"], ["save_part"])
    finally:
        del Part.save, Board.save_part
    assert 'self.well_known_model("modelRoot").save()' in bench.failures()[0]


def test_5_1_persisting_from_a_cell_raises(bench):
    with pytest.raises(OutsideModelError, match="publish an event"):
        bench.root.persist_session({})


@pytest.mark.parametrize("data", [None, 1, "text", True])
def test_5_2_only_an_object_or_an_array_can_be_saved(bench, data):
    do(bench, ["save", data])
    assert "PersistenceTypeError: data: expected a dict or a list" in bench.failures()[0]
    assert bench.replica.pending_save is None


def test_5_2_a_set_is_refused_with_path_and_remedy_and_the_session_goes_on(bench):
    do(bench, ["save", {"documents": {"tags": {"a", "b"}}}])
    assert "set at data.documents.tags is not JSON: sort it into a list" in bench.failures()[0]
    do(bench, ["note", "on"])
    assert bench.root.log[-1][1] == "on"


def test_5_3_equal_content_is_skipped_and_saved_means_acknowledged(bench):
    bench.members(joins={"ada": None})
    do(bench, ["save", {"n": 1}])
    do(bench, ["save", {"n": 1}])
    pending = bench.replica.pending_save
    assert pending is not None
    assert pending.author == "ada"
    assert bench.replica.last_save is None
    bench.saved(pending.save_id, 1)
    assert bench.replica.pending_save is None
    assert bench.replica.last_save.number == 1
    assert SaveStored(1) in bench.replica.happenings
    do(bench, ["save", {"n": 1}])
    assert bench.replica.pending_save is None


def test_5_3_content_equal_to_what_was_loaded_is_skipped():
    from msq_jupyter.stable import bytes_digest, content_bytes

    bench = Bench(Board, Part, start=False)
    data = {"n": 1, "text": "ä"}
    bench.replica.content_id = bytes_digest(content_bytes(data))
    bench.replica.start(Board, None, data)
    do(bench, ["save", {"text": "ä", "n": 1}])
    assert bench.replica.pending_save is None


def test_5_4_pending_content_is_in_the_snapshot(bench):
    do(bench, ["save", {"n": 1}])
    assert bench.twin().pending_save == bench.replica.pending_save


def test_5_4_a_save_during_init_counts():
    kind = type("Saving", (Model,), {"init": lambda self, options, persisted=None: self.persist_session({"n": 1})})
    assert Bench(kind).replica.pending_save is not None


def test_5_5_an_older_acknowledgement_leaves_newer_content_pending(bench):
    do(bench, ["save", {"n": 1}])
    first = bench.replica.pending_save
    do(bench, ["save", {"n": 2}])
    second = bench.replica.pending_save
    bench.saved(first.save_id, 1)
    assert bench.replica.pending_save == second
    bench.saved(second.save_id, 2)
    assert bench.replica.pending_save is None


def test_5_5_persisted_tells_the_views(bench):
    got = []
    bench.replica.view_events.subscribe("view", "session", "persisted", got.append)
    bench.saved("other", 3)
    bench.replica.view_events.run_frame()
    assert got == [{"version": 3, "time_s": 1.5}]


# --- 7 Snapshots -------------------------------------------------------------------------------------------------


def test_7_1_replaying_the_log_gives_the_same_bytes(bench):
    bench.members(joins={"ada": None})
    do(bench, ["part", "a"], ["repeat", 7, "x"], ["hold", {"a": (1, 2)}], ["roll", 2])
    bench.advance(40)
    again = Bench(Board, Part)
    for entry in bench.log:
        assert again.replica.apply(entry)
    again.replica.advance(bench.time_ms)
    assert again.replica.snapshot() == bench.replica.snapshot()


@pytest.mark.parametrize("seed", range(20))
def test_7_3_snapshots_anywhere_in_a_random_log_change_nothing(seed):
    rng = random.Random(seed)
    print(f"seed {seed}")
    bench = Bench(Board, Part)
    restored = bench.twin()
    for number in range(60):
        step = rng.choice(
            [
                ["later", rng.randrange(30), number],
                ["repeat", rng.randrange(1, 30), number],
                ["cancel_by", rng.choice(["note", "*"])],
                ["roll", 1],
                ["hold", [number, {"k": number}]],
                ["tell", "x", "y", number],
                ["save", {"n": number // 3}],
                ["fail", "x"],
            ]
        )
        do(bench, step, after_ms=rng.randrange(10))
        assert restored.apply(bench.log[-1])
        if rng.random() < 0.3:
            snapshot = restored.snapshot()
            restored = bench.new_replica()
            restored.restore(snapshot)
    assert restored.snapshot() == bench.replica.snapshot()


def test_8_4_a_snapshot_names_no_classes_but_those_of_the_session(bench):
    do(bench, ["part", "a"])
    state = bench.replica.snapshot()
    other = Replica("session", "run", {"Board": Board})
    with pytest.raises(SealBroken, match="does not fit this session's code: KeyError: 'Part'"):
        other.restore(state)


@pytest.mark.parametrize("damage", [b"", b"\xc1", b"\x80", b"\x81\xa6format\x09"])
def test_8_4_a_damaged_snapshot_is_refused_by_name(bench, damage):
    with pytest.raises(SealBroken):
        bench.new_replica().restore(damage)


def test_errors_of_the_author_are_also_of_the_usual_kinds():
    assert issubclass(PersistenceTypeError, TypeError)
    assert issubclass(ScheduleError, ValueError)
    assert issubclass(SubscriptionError, ValueError)
