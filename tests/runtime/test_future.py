"""Rule 3 of the semantics on one replica: time, future messages, errors, random numbers."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal

import pytest

from msq_jupyter import protocol
from msq_jupyter.errors import OutsideModelError
from msq_jupyter.runtime import schedule
from msq_jupyter.runtime.replica import Replica
from tests.runtime.bench import Bench
from tests.runtime.board import Board, Part, do


def test_3_1_future_calls_at_its_time(bench):
    do(bench, ["later", 10, "a"], ["later", timedelta(milliseconds=5), "b"])
    bench.advance(100)
    assert bench.root.log == [[6, "b"], [11, "a"]]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (["later", -1, "a"], "expected delay of 0 or more milliseconds, or a timedelta, got -1"),
        (["later", "soon", "a"], "got 'soon'"),
        (["repeat", 0, "a"], "expected every= of 1 ms or more, got 0"),
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


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (["later", math.nan, "a"], "got nan"),
        (["later", math.inf, "a"], "got inf"),
        (["later", 10**400, "a"], "got 1000"),
        (["later", 2.0**53, "a"], "got 9007"),
        (["later", True, "a"], "got True"),
        (["later", Decimal(5), "a"], "got Decimal('5')"),
        (["later", timedelta(days=-1), "a"], "got datetime.timedelta(days=-1)"),
        (["repeat", 1e-300, "a"], "expected every= of 1 ms or more, got 1e-300"),
        (["repeat", 0.999, "a"], "expected every= of 1 ms or more, got 0.999"),
        (["repeat", math.nan, "a"], "expected every of 0 or more milliseconds, or a timedelta, got nan"),
    ],
)
def test_3_1_delays_that_are_no_time_raise_at_the_call(bench, step, message):
    do(bench, step)
    assert message in bench.failures()[0]
    assert len(bench.replica.schedule) == 0


def test_3_1_all_ways_to_schedule_do_the_same(bench, teach):
    def ways(self):
        self.future(5).note("attribute")
        self.future(5, self.note, "method")
        self.future(5, "note", "name")
        self.future(timedelta(milliseconds=5)).note("timedelta")
        self.future(5.0, method=self.note)
        self.future().note("at once")

    teach(Board, ways=ways)
    do(bench, ["ways"])
    bench.advance(10)
    expected = [[1, "at once"], *([6, what] for what in ("attribute", "method", "name", "timedelta")), [6]]
    assert bench.root.log == expected


@pytest.mark.parametrize(
    "wrong",
    [
        lambda self: self.future(1, print),
        lambda self: self.future(1, lambda: None),
        lambda self: self.future(1, self.other.note),
        lambda self: self.future(1, "__init_subclass__"),
        lambda self: self.future(1, "log"),
        lambda self: self.future(1).id(),
        lambda self: self.future(5, every=5).note(),
        lambda self: self.cancel_future("nott"),
        lambda self: self.cancel_future(5),
        lambda self: self.cancel_future(None),
    ],
)
def test_3_1_what_is_no_method_of_this_model_raises_at_the_call(bench, teach, wrong):
    do(bench, ["part", "a"])
    teach(Part, note=lambda self: None)
    teach(Board, wrong=wrong, other=property(lambda self: self.well_known_model("a")))
    do(bench, ["wrong"])
    assert "ScheduleError" in bench.failures()[0]
    assert len(bench.replica.schedule) == 0


def test_3_1_an_attribute_that_holds_a_method_is_no_method_of_the_class(bench, teach):
    """It would be gone when the message runs, or when a snapshot is restored."""
    teach(Board, trick=lambda self: (setattr(self, "held", self.note), self.future(5, "held")))
    do(bench, ["trick"])
    assert "Board has no method 'held'" in bench.failures()[0]
    bench.twin()


def test_3_1_scheduling_and_cancelling_outside_of_model_code_raise(bench, teach):
    kept = []
    teach(Board, keep=lambda self: kept.append(self.future(5)))
    do(bench, ["later", 5, "x"], ["keep"])
    for call in (
        lambda: bench.root.future(5).note(),
        lambda: bench.root.cancel_future("*"),
        lambda: bench.root.handle.cancel(),
        lambda: kept[0].note("too late"),
    ):
        with pytest.raises(OutsideModelError):
            call()
    assert len(bench.replica.schedule) == 1


def test_3_1_a_handle_of_a_repetition_cancels_from_inside_after_a_restore(bench):
    do(bench, ["repeat_until_cancelled", 10])
    bench.replica = bench.twin()
    bench.advance(100)
    assert [entry[1] for entry in bench.root.log] == ["tick"]
    assert len(bench.replica.schedule) == 0


def test_3_1_a_handle_is_the_same_one_after_a_restore(bench, teach):
    teach(Board, keep=lambda self: setattr(self, "held", {self.handle: [self.handle]}))
    do(bench, ["later", 10, "a"], ["keep"])
    root = bench.twin().root
    assert root.held[root.handle] == [root.handle]
    assert root.handle != bench.root.handle


def test_3_1_cancelling_what_runs_just_now_cancels_nothing(bench, teach):
    def arm(self):
        self.handle = self.future(1).late()

    teach(Board, arm=arm, late=lambda self: self.note(self.handle.cancel()))
    do(bench, ["arm"])
    bench.advance(10)
    assert bench.root.log == [[2, False]]


def test_3_1_arguments_keep_their_identity(bench, teach):
    def arm(self):
        self.shared = [1]
        self.future(5).grow(self.shared)
        self.future(every=5).grow(self.shared)

    teach(Board, arm=arm, grow=lambda self, what: what.append(what is self.shared))
    do(bench, ["arm"])
    twin = bench.twin()
    twin.advance(16)
    bench.advance(15)
    assert twin.root.shared == bench.root.shared == [1, True, True, True, True]
    assert twin.snapshot() == bench.replica.snapshot()


def test_3_1_timers_put_off_again_and_again_leave_nothing_behind(bench, teach):
    teach(Board, put_off=lambda self: (self.handle and self.handle.cancel(), self.later(1e9, "x")))
    for _ in range(300):
        do(bench, ["put_off"])
    assert len(bench.replica.schedule) == 1
    assert len(bench.replica.schedule._heap) < 100
    assert bench.twin().snapshot() == bench.replica.snapshot()


@pytest.mark.parametrize("delay", [0, 1e-9, 0.5])
def test_3_1_a_chain_without_end_is_stopped_and_told(bench, teach, monkeypatch, delay):
    """Its time would never come to an end: it must neither hang the kernel nor go unnoticed."""
    monkeypatch.setattr(schedule, "RUSH_MAX", 1000)
    teach(Board, spin=lambda self: self.future(delay).spin())
    do(bench, ["spin"], ["note", "went on"])
    bench.advance(5)
    if delay < 0.5:
        assert bench.failures() == [
            "Board.spin: ScheduleError: future: 1,000 calls were scheduled at 1 ms for the same moment, so this never "
            "ends: give Board.spin a delay of 1 ms or more"
        ]
        assert len(bench.replica.schedule) == 0
    assert bench.root.log == [[1, "went on"]]
    do(bench, ["later", 0, "again"])
    assert bench.root.log[-1][1] == "again"


@pytest.mark.parametrize("after", [0, 10, 999, 1000])
def test_3_1_where_a_chain_is_stopped_does_not_depend_on_snapshots(bench, teach, monkeypatch, after):
    monkeypatch.setattr(schedule, "RUSH_MAX", 1000)
    teach(Board, spin=lambda self: (self.roll(1), self.log.clear(), self.future(0).spin()))
    entry = protocol.Event(1, 1.0, "ada", 1, bench.replica.encode_publication("board", "do", [["spin"]]))
    restored = bench.twin()
    pauses = iter(range(1_000_000))
    assert restored.apply(entry, pause=lambda: next(pauses) >= after) == (after == 1000)
    twin = bench.new_replica()
    twin.restore(restored.snapshot())
    bench.feed(entry)
    twin.advance(1.0)
    assert twin.snapshot() == bench.replica.snapshot()


def test_3_4_the_stream_depends_on_the_session_alone(bench):
    other = Bench(Board, Part, options={"another": "option"})
    for one in (bench, other):
        do(one, ["roll", 3])
    assert bench.root.log == other.root.log
    stranger = Replica("another session", "run", {"Board": Board, "Part": Part})
    stranger.start(Board, None)
    stranger.apply(bench.log[0])
    assert stranger.root.log != bench.root.log


@pytest.mark.parametrize("call", ["random", "random_int", "choice", "shuffle", "generate_id"])
def test_3_4_no_random_number_is_given_outside_of_model_code(bench, call):
    arguments = {"random_int": (1, 2), "choice": ([1],), "shuffle": ([1, 2],)}
    before = bench.replica.snapshot()
    with pytest.raises(OutsideModelError, match=rf"Board\.{call}\(\) works inside a model's methods only"):
        getattr(bench.root, call)(*arguments.get(call, ()))
    assert bench.replica.snapshot() == before
