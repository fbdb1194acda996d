"""Whatever is said to a sequencer, in any order: what it promises holds."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from msq_jupyter import protocol
from msq_jupyter.protocol import Audit, Event, Leave, Membership, Welcome
from tests.synchronizer.test_sequencer import Play


@dataclass
class Viewer:
    """One view with its pretend wire: what it sent and has not seen again, what it has seen."""

    view_id: str
    connection: int | None = None
    counter: int = 0
    unacknowledged: list[int] = field(default_factory=list)
    seen: list[bytes] = field(default_factory=list)
    time_ms: float = 0.0


class Simulation:
    """Viewers join, send, send twice, vanish, return; the sequencer crashes. One seed decides everything."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.play = Play()
        self.viewers = [Viewer(name) for name in ("ada", "bob", "cyd", "dan")]
        self.sent: dict[str, int] = {}

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.step()
            if self.random.random() < 0.4:
                self.end_turn()
        for viewer in self.viewers:
            if viewer.connection is None:
                self.connect(viewer)
        self.end_turn()
        self.check()

    def step(self) -> None:
        viewer = self.random.choice(self.viewers)
        action = self.random.choices(
            [self.send, self.resend, self.connect, self.vanish, self.leave, self.wait, self.crash],
            [10, 3, 5, 2, 1, 5, 0.5],
        )[0]
        action(viewer)

    def connect(self, viewer: Viewer) -> None:
        # A connection may be replaced while it is still there.
        run = "run-1" if viewer.seen else ""
        viewer.connection = self.play.join(viewer.view_id, have_run=run, have_seq=len(viewer.seen))

    def send(self, viewer: Viewer) -> None:
        viewer.counter += 1
        viewer.unacknowledged.append(viewer.counter)
        if viewer.connection is not None:
            self.play.send(viewer.connection, *viewer.unacknowledged)

    def resend(self, viewer: Viewer) -> None:
        if viewer.connection is not None:
            self.play.send(viewer.connection, *viewer.unacknowledged)

    def vanish(self, viewer: Viewer) -> None:
        if viewer.connection is not None:
            self.play.sequencer.disconnect(viewer.connection, self.play.now_ms)
            viewer.connection = None

    def leave(self, viewer: Viewer) -> None:
        if viewer.connection is not None:
            self.play.say(viewer.connection, Leave())
            viewer.connection = None

    def wait(self, _: Viewer) -> None:
        self.play.pass_time(self.random.choice([0.1, 10.0, 60.0, 700.0, 2_500.0]))

    def crash(self, _: Viewer) -> None:
        self.play.crash(self.random.choice([0.0, 100.0]))
        for viewer in self.viewers:
            viewer.connection = None

    def end_turn(self) -> None:
        before = {id(viewer): viewer.connection for viewer in self.viewers}
        turn = self.play.turn()
        arrivals = dict(turn.arrivals)
        for viewer in self.viewers:
            connection = before[id(viewer)]
            if connection is None:
                continue
            if connection in arrivals:
                self.receive_welcome(viewer, arrivals[connection])
            else:
                assert len(viewer.seen) == turn.writes.first_seq - 1
                viewer.seen += turn.writes.entries
            self.learn(viewer, turn.tick)

    def receive_welcome(self, viewer: Viewer, welcome: Welcome) -> None:
        assert welcome.resumed == bool(viewer.seen)
        assert welcome.after_seq == len(viewer.seen)
        assert welcome.live_time_ms >= viewer.time_ms
        viewer.seen += self.play.disk.entries[welcome.after_seq :]
        viewer.unacknowledged = [counter for counter in viewer.unacknowledged if counter > welcome.last_counter]

    def learn(self, viewer: Viewer, tick: protocol.Tick | None) -> None:
        last = [entry for entry in map(protocol.decode_entry, viewer.seen[-8:]) if isinstance(entry, Event)]
        for event in last:
            if event.view_id == viewer.view_id:
                viewer.unacknowledged = [counter for counter in viewer.unacknowledged if counter > event.counter]
        if tick:
            assert tick.time_ms >= viewer.time_ms
            viewer.time_ms = tick.time_ms

    def check(self) -> None:
        log = self.play.disk.entries
        entries = [protocol.decode_entry(entry) for entry in log]
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        times = [entry.time_ms for entry in entries]
        assert times == sorted(times)
        inside: set[str] = set()
        for entry in entries:
            if isinstance(entry, Membership):
                for view_id in entry.exits:
                    inside.remove(view_id)
                for view_id, _ in entry.joins:
                    assert view_id not in inside
                    inside.add(view_id)
            elif not isinstance(entry, Audit):
                assert entry.view_id in inside
        for viewer in self.viewers:
            assert viewer.seen == log
            counters = [
                event.counter for event in entries if isinstance(event, Event) and event.view_id == viewer.view_id
            ]
            assert counters == list(range(1, len(counters) + 1))
            assert set(counters) | set(viewer.unacknowledged) == set(range(1, viewer.counter + 1))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32))
def test_4_6_whatever_happens_all_see_one_dense_log_with_every_accepted_event_once(seed: int) -> None:
    Simulation(seed).run(120)
