"""Random programs: whatever models do, replicas that live, were restored, or were fed otherwise are equal."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from msq_jupyter import protocol
from msq_jupyter.runtime.codehash import identify
from msq_jupyter.runtime.link import link
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.replica import Replica
from tests.runtime.bench import Bench
from tests.simulation.program import DEEDS, Program

CODE = link(identify(Program, model_base=Model))
SEEDS = range(60)
STEPS = 80
NAMES = ("ada", "ben", "eve")


class Trial:
    """One program, and three replicas that run it."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(f"program {seed}")
        # Linked, because a built-in set has no order that a snapshot could keep.
        self.bench = Bench(*CODE.models.values(), value_types=tuple(CODE.value_types.values()))
        self.restored = self.bench.twin()
        self.late = self.bench.twin()
        self.numbers: Counter[str] = Counter()
        self.happened: Counter[str] = Counter()

    def play(self) -> None:
        for _ in range(STEPS):
            self.move()
            self.feed_restored()
            if self.draw.random() < 0.2:
                self.catch_up()
        self.catch_up()

    def move(self) -> None:
        draw, bench = self.draw, self.bench
        people = bench.root.people
        kind = draw.choices(("step", "members", "assign", "saved", "tick"), (20, 2, 1, 2, 4))[0]
        if kind == "members" or not people:
            exits = [name for name in people if draw.random() < 0.3]
            joins = {name: None for name in NAMES if name not in people and draw.random() < 0.5}
            bench.members(exits, joins)
            self.happened["membership"] += 1
        elif kind == "step":
            who = draw.choice(people)
            self.numbers[who] += 1
            step = {"do": draw.choice(DEEDS), "by": who, "number": self.numbers[who], "amount": draw.randint(1, 30)}
            bench.publish("program", "step", step, view=who, after_ms=draw.choice((0, 0, 1, 17.5, 100)))
            self.happened[step["do"]] += 1
        elif kind == "assign":
            bench.assign("note", [draw.random(), bench.root], view=draw.choice(people))
        elif kind == "saved" and bench.replica.pending_save:
            bench.saved(bench.replica.pending_save.save_id, self.happened["saved"] + 1)
            self.happened["saved"] += 1
        else:
            bench.advance(draw.choice((0.25, 3, 50)))

    def feed_restored(self) -> None:
        """Entry by entry, and now and then another replica goes on from a snapshot, also in the middle of one."""
        for entry in self.bench.log[self.restored.seq :]:
            while not self.restored.apply(entry, pause=lambda: self.draw.random() < 0.3):
                self.restore()
                if self.restored.seq == entry.seq:
                    break  # what is left of it comes before the next one
            if self.draw.random() < 0.1:
                self.restore()

    def restore(self) -> None:
        snapshot = self.restored.snapshot()
        self.restored = self.bench.new_replica()
        self.restored.restore(snapshot)
        assert self.restored.snapshot() == snapshot
        self.happened["restore"] += 1

    def catch_up(self) -> None:
        """The late one gets everything at once; then all three are there."""
        for entry in self.bench.log[self.late.seq :]:
            if self.draw.random() < 0.5:
                self.late.advance(self.draw.uniform(self.late.time_ms, float(entry.time_ms)))
            assert self.late.apply(entry)
        states = {name: self.state(replica) for name, replica in self.replicas().items()}
        assert len(set(states.values())) == 1, {name: replica.root.trace for name, replica in self.replicas().items()}
        assert self.bench.root.wrong == []

    def replicas(self) -> dict[str, Replica]:
        return {"lived": self.bench.replica, "restored": self.restored, "late": self.late}

    def state(self, replica: Replica) -> bytes:
        replica.advance(self.bench.time_ms)
        return replica.snapshot()


@pytest.mark.parametrize("seeds", [SEEDS[first : first + 20] for first in SEEDS[::20]], ids=lambda s: f"from-{s[0]}")
def test_7_3_random_programs_give_equal_states_lived_restored_and_fed_in_other_portions(seeds):
    happened: Counter[str] = Counter()
    for seed in seeds:
        trial = Trial(seed)
        try:
            trial.play()
        except BaseException:
            print(f"seed {seed}, after {len(trial.bench.log)} entries")
            raise
        happened += trial.happened
    missing = [what for what in (*DEEDS, "membership", "saved", "restore") if not happened[what]]
    assert not missing, f"a vacuous run: no {missing}"


def test_7_3_a_difference_would_be_found():
    """The trial fails when one replica misses something."""
    trial = Trial(0)
    trial.play()
    trial.late.root.total += 1
    with pytest.raises(AssertionError):
        trial.catch_up()
    trial.late.root.total -= 1
    trial.catch_up()
    trial.late.apply(protocol.Membership(trial.late.seq + 1, trial.bench.time_ms, [], []))
    with pytest.raises(AssertionError):
        trial.catch_up()
