"""One value of one replica changes behind everybody's back: it is found, located, told and healed."""

from __future__ import annotations

import functools
import random
from collections import Counter

import pytest

from msq_jupyter import Model
from msq_jupyter.stable import bytes_digest, content_bytes
from msq_jupyter.testing import CALM, Limits, NotConverged, Simulation, Weather, explained
from tests.simulation.program import DEEDS, Program

#: Bad weather in which always two others are there who know better.
FLIPS = Weather(
    delay_ms=(1, 80),
    notice_ms=(0, 100),
    away_ms=(0, 200),
    write_ms=(0, 20),
    busy_ms=(50, 900),
    pause_share=0.1,
    busy_every_ms=2_500,
    interrupt_every_ms=9_000,
    flip_every_ms=1_200,
)
#: What has to happen in every batch, or it proves nothing.
REQUIRED = (
    *("flips", "healed", "located", "located where it was flipped", "told of a difference", "disputed audits"),
    *("reports", "snapshots", "saves that differ", "interrupts", "long cells"),
)
BATCH, BATCHES = 80, 2


class Flips:
    """A session in which values change by themselves."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(f"flips {seed}")
        limits = Limits(snapshot_entries=self.draw.choice((20, 60)))
        self.simulation = Simulation(seed, weather=FLIPS, limits=limits)
        interval_ms = self.draw.choice((0, 300, 2_000))
        self.room = self.simulation.room(Program, 4, tick_rate=10, persist_interval_ms=interval_ms, raise_errors=False)
        self.numbers: Counter[str] = Counter()

    def play(self) -> Counter[str]:
        with explained(self.simulation):
            for _ in range(20):
                self.step(self.draw.choice(DEEDS))
                self.room.run(self.draw.choice((10, 100, 600)))
            self.step("save")  # while somebody may still want to save something else
            for _ in range(200):  # an audit comes only where something happens
                if self.agree():
                    break
                self.step("add")
                self.simulation.run_calmly(300)
            self.step("save")
            self.room.assert_converged()  # byte for byte
            saved_id = bytes_digest(content_bytes(self.room.versions[-1].data))
            for person in self.room.participants:
                assert person.replica.content_id == saved_id
                assert person.executed_events == person.published_events
        return self.simulation.counters

    def agree(self) -> bool:
        """Whether all are equal: a flipped value was healed, or nothing depends on it any more."""
        try:
            self.room.assert_converged()
        except NotConverged:
            return False
        return True

    def step(self, deed: str) -> None:
        person = self.room.anybody()
        self.numbers[person.name] += 1
        step = {"do": deed, "by": person.name, "number": self.numbers[person.name]}
        person.publish("program", "step", {**step, "amount": self.draw.randint(1, 30)})


@pytest.mark.parametrize("first", range(0, BATCH * BATCHES, BATCH))
def test_6_3_a_flipped_value_is_found_located_told_and_healed(first: int, request: pytest.FixtureRequest):
    happened: Counter[str] = Counter()
    for seed in range(first, first + BATCH):
        happened += Flips(seed + request.config.getoption("msq_seed")).play()
    assert happened["healed"] == happened["located"]
    missing = [what for what in REQUIRED if not happened[what]]
    assert not missing, f"a vacuous run: no {missing} in {dict(happened)}"


class Board(Model):
    def init(self, options, persisted=None):
        self.open = True
        self.texts = {"title": "hello", "lines": ["one", "two"]}
        self.share = 0.1
        self.beats = 0
        self.subscribe("board", "beat", self.beat)

    def beat(self, _):
        self.beats += 1


@pytest.mark.parametrize("seed", range(12))
def test_6_3_the_path_is_that_of_the_flipped_value(seed: int):
    simulation = Simulation(seed, weather=CALM)
    room = simulation.room(Board, 3)
    with explained(simulation):
        assert room.participants[seed % 3].flip()
        room.publish("board", "beat")
        room.run(3_000)
        room.assert_converged()
    assert simulation.counters["healed"] == simulation.counters["located where it was flipped"] == 1
    assert simulation.counters["told of a difference"] == 2


@functools.cache
def kernels():
    """How many kernels have come here: what a cache holds is in no snapshot, and linking cannot see it."""
    return []


class Drifting(Model):
    """What its methods do depends on the kernel."""

    def init(self, options, persisted=None):
        self.values = []
        self.subscribe("drift", "on", self.drift)

    def drift(self, _):
        kernels().append(1)
        self.values.append(len(kernels()))


def test_6_3_a_model_that_is_not_deterministic_fails_its_test_at_the_next_audit():
    room = Simulation(weather=CALM).room(Drifting, 3)
    room.publish("drift", "on")
    with pytest.raises(NotConverged, match=r"Drifting\.values\[0\] differs: \d for \w+, \d for \w+"):
        room.run(3_000)
