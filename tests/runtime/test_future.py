"""Rule 3 of the semantics on one replica: time, future messages, errors, random numbers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from msq_jupyter import protocol
from msq_jupyter.errors import (
    OutsideModelError,
)
from tests.runtime.board import Board, do


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
