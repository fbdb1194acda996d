"""Rule 3.2: the one order of everything, against a reference so small that it can be seen to be right."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from msq_jupyter import protocol
from msq_jupyter.errors import ProtocolError
from tests.runtime.bench import Bench
from tests.runtime.board import Board, Part, do

_delays = st.sampled_from([0, 0, 0.25, 1, 2, 5, 5, 10])
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("note"), st.integers(0, 9)),
        st.tuples(st.just("later"), _delays, st.integers(0, 9)),
        st.tuples(st.just("repeat"), st.sampled_from([1, 3, 5]), st.integers(0, 9)),
        st.tuples(st.just("chain"), _delays, st.integers(0, 3)),
        st.tuples(st.just("cancel_by"), st.just("note")),
        st.tuples(st.just("cancel_by"), st.just("chain")),
        st.tuples(st.just("cancel_by"), st.just("*")),
        st.tuples(st.just("fail"), st.just("oops")),
    ),
    max_size=4,
)


def chain(self, delay, links):
    self.note("chain", links)
    if links:
        self.future(delay).chain(delay, links - 1)


class Reference:
    """A list of what will be done. The next one is the one with the least (time, number of scheduling)."""

    def __init__(self) -> None:
        self.now = 0.0
        self.number = 0
        self.waiting: list[list] = []
        self.log: list[list] = []

    def schedule(self, delay, every, method, *args) -> None:
        self.number += 1
        self.waiting.append([self.now + delay, self.number, every, method, args])

    def run_until(self, time_ms) -> None:
        while due := [message for message in self.waiting if message[0] <= time_ms]:
            message = min(due)
            self.now, _, every, method, args = message
            self.waiting.remove(message)
            if every:
                self.number += 1
                self.waiting.append([self.now + every, self.number, every, method, args])
            getattr(self, method)(*args)
        self.now = time_ms

    def run_event(self, time_ms, steps) -> None:
        self.run_until(time_ms)
        for name, *args in steps:
            if name == "fail":
                break
            getattr(self, name)(*args)
        self.run_until(time_ms)

    def note(self, *what) -> None:
        self.log.append([self.now, *what])

    def later(self, delay, what) -> None:
        self.schedule(delay, 0, "note", what)

    def repeat(self, every, what) -> None:
        self.schedule(every, every, "note", what)

    def chain(self, delay, links) -> None:
        self.note("chain", links)
        if links:
            self.schedule(delay, 0, "chain", delay, links - 1)

    def cancel_by(self, method) -> None:
        found = [message for message in self.waiting if method in ("*", message[3])]
        if method != "*" and found:
            found = [min(found)]
        self.waiting = [message for message in self.waiting if message not in found]
        self.note("cancelled", bool(found))


class Order(RuleBasedStateMachine):
    """One replica that lives, one that is fed in other portions and restored now and then, and the reference."""

    @initialize()
    def begin(self):
        self.bench = Bench(Board, Part)
        self.other = self.bench.twin()
        self.reference = Reference()

    @rule(steps=_steps, after_ms=st.sampled_from([0, 0, 1, 2, 5, 7, 30]), pause=st.booleans())
    def event(self, steps, after_ms, pause):
        do(self.bench, *map(list, steps), after_ms=after_ms)
        while not self.other.apply(self.bench.log[-1], pause=lambda: pause):
            pass
        self.reference.run_event(self.bench.time_ms, steps)
        while not self.other.advance(self.bench.time_ms, pause=lambda: pause):
            pass

    @rule(by_ms=st.sampled_from([0, 0.25, 1, 4, 20]))
    def tick(self, by_ms):
        """Ticks fall where they will: the other replica gets none of them."""
        self.bench.advance(by_ms)
        self.reference.run_until(self.bench.time_ms)

    @rule()
    def restore(self):
        snapshot = self.other.snapshot()
        self.other = self.bench.new_replica()
        self.other.restore(snapshot)

    @rule()
    def membership(self):
        self.bench.members()
        self.other.apply(self.bench.log[-1])

    @invariant()
    def all_agree(self):
        assert self.bench.root.log == self.reference.log
        assert len(self.bench.replica.schedule) == len(self.reference.waiting)
        other = self.bench.new_replica()
        other.restore(self.other.snapshot())
        other.advance(self.bench.time_ms)
        assert other.snapshot() == self.bench.replica.snapshot()


@pytest.fixture(autouse=True)
def chains(teach):
    teach(Board, chain=chain)


def test_3_2_everything_runs_in_one_order():
    run_state_machine_as_test(Order, settings=settings(max_examples=80, stateful_step_count=25))


def test_3_2_an_entry_is_done_when_what_it_wants_at_once_is_done(bench):
    """Whoever compares states after an entry must not find one that still waits for its `future(0)`."""
    do(bench, ["note", "begin"])
    twin = bench.twin()
    do(bench, ["chain", 0, 3], ["later", 0, "end"])
    calls = 1
    while not twin.apply(bench.log[-1], pause=lambda: True):
        calls += 1
    assert calls == 5
    assert twin.snapshot() == bench.replica.snapshot()
    with pytest.raises(ProtocolError):
        twin.apply(bench.log[-1])


def test_3_2_a_repetition_keeps_its_place_among_equals(bench):
    """Two of one period: each time the one that was armed first comes first."""
    do(bench, ["repeat", 5, "a"], ["repeat", 5, "b"], ["later", 10, "c"])
    bench.advance(10)
    assert [entry[1] for entry in bench.root.log] == ["a", "b", "c", "a", "b"]


def test_3_2_an_entry_without_effect_moves_the_time(bench):
    do(bench, ["later", 5, "x"])
    bench.feed(protocol.Membership(2, 6.0, [], []))
    assert bench.root.log == [[6, "x"]]
    assert bench.root.now() == 6
