"""What the simulation has found: each bug as a short scenario, and the seed that found it."""

from __future__ import annotations

import pytest

from msq_jupyter import Model
from msq_jupyter.testing import Simulation, Weather
from tests.simulation.schedules import play

#: Seeds that failed once, by what was wrong.
SEEDS = {
    "an event is executed again in the next run, whose origin has its effect already": 93,
    "a replica says that an entry is done, and has future(0) calls of it still to run": 19,
}


@pytest.mark.parametrize("seed", SEEDS.values(), ids=SEEDS)
def test_a_seed_that_failed_once(seed: int):
    play(seed)


class Tally(Model):
    def init(self, options, persisted=None):
        self.votes = persisted["votes"] if persisted else 0
        self.subscribe("tally", "vote", self.vote)

    def vote(self, _):
        self.votes += 1
        self.persist_session({"votes": self.votes})


class EditedTally(Tally):
    """The same class after an edit."""

    edited = True


def test_4_6_a_vote_counts_once_though_its_answer_was_lost_and_the_session_began_anew():
    simulation = Simulation(weather=Weather(delay_ms=(1, 1), away_ms=(5_000, 5_000)))
    room = simulation.room(Tally, 2, persist_interval_ms=0)
    ada, ben = room.participants
    room.publish("tally", "vote", by=ada)
    room.run(1.5)  # the vote is in the log, and the news of it on its way
    ada.cut()
    room.run(100)
    assert (ben.model.votes, ada.model.votes) == (1, 0)
    room.leave(ben)
    room.run(2_000)  # ada is away for longer than her place is kept: nobody is in the session any more
    edited = simulation.room(EditedTally, 1, persist_interval_ms=0)
    assert edited.model.votes == 1
    edited.publish("tally", "vote")
    edited.settle()
    assert edited.versions[-1].data == {"votes": 2}
    room.settle()  # ada returns; her session begins anew from the two votes there are
    assert room.model.votes == 2
