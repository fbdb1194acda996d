"""Rule 3.3 of the semantics on one replica: what handlers, setters and views raise."""

from __future__ import annotations

import asyncio

import pytest

from msq_jupyter import protocol
from tests.runtime.board import Board, do


def test_3_3_an_exception_is_reported_and_everything_goes_on(bench):
    do(bench, ["note", "before"], ["fail", "oops"], ["note", "never"])
    do(bench, ["note", "next"])
    assert [entry[1] for entry in bench.root.log] == ["before", "next"]
    assert bench.failures() == ["Board.do: RuntimeError: oops"]


class Final(BaseException):
    pass


@pytest.mark.parametrize(
    "error", [SystemExit, GeneratorExit, asyncio.CancelledError, Final, MemoryError, RecursionError, StopIteration]
)
def test_3_3_whatever_a_handler_raises_the_others_and_the_rest_go_on(bench, teach, error):
    def burst(self, data):
        self.note("burst")
        raise error

    teach(Board, burst=burst, start=lambda self: (self.future(5).burst(1), self.future(5).note("later")))
    do(bench, ["hear", "x", "y", "burst"], ["hear", "x", "y", "heard"])
    twin = bench.twin()
    bench.publish("x", "y", 1)
    do(bench, ["start"])
    bench.advance(10)
    assert [entry[1] for entry in bench.root.log] == ["burst", "heard", "burst", "later"]
    assert bench.failures() == [f"Board.burst: {error.__name__}: "] * 2
    for entry in bench.log[1:]:
        twin.apply(entry)
    twin.advance(bench.time_ms)
    assert twin.snapshot() == bench.replica.snapshot()


def test_3_3_an_interrupt_is_the_users_and_goes_out(bench, teach):
    def hang(self):
        raise KeyboardInterrupt

    teach(Board, hang=hang)
    with pytest.raises(KeyboardInterrupt):
        do(bench, ["hang"])


def test_3_3_a_publisher_is_not_hurt_by_its_hearers(bench):
    do(bench, ["hear", "x", "y", "fail"], ["tell", "x", "y", "oops"], ["note", "unhurt"])
    assert bench.root.log == [[1, "unhurt"]]
    assert bench.failures() == ["Board.fail: RuntimeError: oops"]


def test_3_3_failing_handlers_of_view_join_and_exit_lose_nobody(bench, teach):
    def fails(self, who):
        raise RuntimeError(who)

    teach(Board, came=fails, went=fails)
    bench.members(joins={"ada": None, "ben": None})
    bench.members(exits=["ada"])
    whats = ("came: RuntimeError: ada", "came: RuntimeError: ben", "went: RuntimeError: ada")
    assert bench.failures() == [f"Board.{what}" for what in whats]
    assert list(bench.replica.views) == ["ben"]
    assert bench.root.view_count == 1


def test_3_3_a_setter_that_raises_is_told_by_its_name(bench, teach):
    def fails(self, value):
        raise SystemExit(value)

    teach(Board, level=property(lambda self: 1, fails))
    bench.assign("level", 5)
    do(bench, ["note", "on"])
    assert bench.failures() == ["Board.level: SystemExit: 5"]


def test_3_3_a_recursion_ends_at_the_same_depth_by_tick_and_by_entry(bench, teach):
    def dive(self, depth):
        self.depth = depth
        self.dive(depth + 1)

    teach(Board, dive=dive, start=lambda self: self.future(5).dive(0))
    do(bench, ["start"])
    by_tick, by_entry = bench.twin(), bench.twin()
    by_tick.advance(50)
    by_entry.apply(protocol.Membership(2, 50, [], []))
    assert by_tick.root.depth == by_entry.root.depth > 100
    assert isinstance(by_tick.happenings[0].error, RecursionError)
