"""Operations: methods that a call from outside turns into an event."""

from __future__ import annotations

import pytest

from msq_jupyter import Model, operation
from msq_jupyter.errors import ArgumentError
from msq_jupyter.runtime.snapshot import pack
from msq_jupyter.testing import CALM, Simulation


class Poll(Model):
    def init(self, options, persisted=None):
        self.votes = []
        self.future(100).vote("timer")

    @operation
    def vote(self, choice, *, weight=1):
        """Count a vote."""
        self.votes.append((choice, weight, self.event_view_id))
        return len(self.votes)

    def count(self):
        return self.vote("inside")

    def hidden(self):
        self.votes.append("hidden")


def room():
    simulation = Simulation(1, CALM)
    room = simulation.room(Poll, participants=2, raise_errors=False)
    room.run(1000)
    return room


def test_a_call_from_outside_runs_on_every_replica_and_knows_its_author():
    one = room()
    ada, ben = one.participants
    assert ada.model.vote("yes", weight=2) is None
    assert len(ada.model.votes) == 1
    one.settle()
    one.assert_converged()
    assert ben.model.votes == [("timer", 1, ""), ("yes", 2, "ada")]


def test_inside_it_is_a_method_like_any_other():
    one = room()
    replica = one.participants[0].replica
    assert Poll.vote.__doc__ == "Count a vote."
    assert Poll.vote.__name__ == "vote"
    assert replica.models["M1"].votes[0][0] == "timer"


def test_nothing_but_operations_can_be_called():
    one = room()
    ada, ben = one.participants
    for name in ("hidden", "init", "votes", "gone", "__init_subclass__"):
        ada._send_operation(pack(["call", "M1", name, ada.replica.outside.write([[], {}], "x")]), name)
    one.settle()
    one.assert_converged()
    assert ben.model.votes == [("timer", 1, "")]
    assert [str(failed.error) for failed in one.errors][:2] == [
        "expected an operation of Poll, got 'hidden'",
        "expected an operation of Poll, got 'init'",
    ]


def test_a_call_of_a_model_that_is_gone_does_nothing():
    one = room()
    ada = one.participants[0]
    ada._send_operation(pack(["call", "M9", "vote", ada.replica.outside.write([["x"], {}], "x")]), "vote")
    one.settle()
    assert one.errors == []


def test_wrong_arguments_are_told_and_change_nothing():
    one = room()
    ada = one.participants[0]
    ada.model.vote()
    one.settle()
    one.assert_converged()
    assert "missing 1 required positional argument: 'choice'" in str(one.errors[0].error)


def test_something_else_than_a_method_is_refused():
    with pytest.raises(ArgumentError, match="@operation stands above def name"):
        operation(3)
