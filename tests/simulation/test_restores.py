"""Versions are restored (rule 5.10) in bad weather, by whoever is there, in one event or in several."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from msq_jupyter import Model
from msq_jupyter.testing import Limits, Simulation
from msq_jupyter.testing.simulation import explained

SCHEDULES = 60


class Page(Model):
    def init(self, options):
        self.size = options
        self.future(every=37).grow()

    def grow(self):
        self.size += 1


class Book(Model):
    def init(self, options, persisted=None):
        data = persisted or {"text": "", "count": 0}
        self.text, self.count = data["text"], data["count"]
        self.pages = [Page.create(n) for n in range(self.count % 4)]
        self.subscribe("book", "write", self.write)
        if self.count % 4 == 3 and persisted and self.view_count:
            raise ValueError("a chapter is missing")

    def write(self, length):
        self.count += 1
        self.text = str(self.count) * length
        if length % 2:
            self.save()

    def save(self):
        self.persist_session({"text": self.text, "count": self.count})


class EditedBook(Book):
    def save(self):
        self.persist_session({"text": self.text, "count": self.count, "version": 2})


def play(seed: int) -> Counter[str]:
    draw = random.Random(f"restores {seed}")
    limits = Limits(snapshot_entries=draw.choice((6, 20, 60)), tail_entries=draw.choice((4, 30, 200)))
    simulation = Simulation(seed, limits=limits)
    with explained(simulation):
        interval_ms = draw.choice((0, 300, 2_000))
        room = simulation.room(Book, draw.randint(1, 3), persist_interval_ms=interval_ms, raise_errors=False)
        rooms = [room]
        if draw.random() < 0.3:
            rooms.append(simulation.room(EditedBook, 1, persist_interval_ms=interval_ms, raise_errors=False))
        for _ in range(draw.randint(10, 25)):
            room = draw.choice(rooms)
            room.publish("book", "write", draw.choice((1, 2, 5, 150_001)))
            person = room.anybody()
            if draw.random() < 0.4 and room.versions and person.has_replica:
                person.restore(draw.choice(room.versions).number)
            if draw.random() < 0.1:
                person.be_busy(300)
            if draw.random() < 0.1 and len(room.participants) > 1:
                draw.choice((room.leave, room.kill))(person)
            elif draw.random() < 0.1:
                room.join()
            room.run(draw.choice((0, 10, 60, 250)))
        for room in rooms:
            room.assert_converged()
        contents = [version.data for version in room.versions]
        assert all(0 <= version.parent < version.number for version in room.versions)
        for data in contents:  # none is a mixture of two
            number = str(data["count"])
            assert data["text"] == number * (len(data["text"]) // len(number))
        assert room.head is not None
    return simulation.counters


@pytest.mark.parametrize("first", range(0, SCHEDULES, 20))
def test_5_10_replicas_stay_equal_whoever_restores_what(first: int, request: pytest.FixtureRequest):
    first += request.config.getoption("msq_seed")
    happened: Counter[str] = Counter()
    for seed in range(first, first + 20):
        happened += play(seed)
    required = ("restores", "kills", "starts from a snapshot", "comparisons", "errors in handlers", "versions", "cuts")
    required = (*required, "branches", "heads taken")  # restored in a branch
    missing = [what for what in required if not happened[what]]
    assert not missing, f"a vacuous run: no {missing} in {dict(happened)}"
