"""The test kit for authors of models: whole sessions in virtual time, in a hostile world that one seed decides.

With the pytest plugin, which comes with the package:

    def test_poll(simulation):
        room = simulation.room(Poll, participants=3)
        room.publish("poll", "vote", "yes")
        room.run(10_000)                # ms of virtual time: cuts, crashes, restarts, late joins
        room.assert_converged()         # byte for byte; names the first path that differs
        room.edit(PollV2)               # everybody returns with edited code: the migration check

Each such test runs with several seeds. A failure prints its seed;
`pytest --msq-seed SEED --msq-schedules 1` repeats it.
`check_determinism` needs no simulation: it looks for code that would behave differently in another kernel.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from msq_jupyter.runtime.differences import first_difference
    from msq_jupyter.testing.determinism import check_determinism
    from msq_jupyter.testing.faults import (
        HandlerRaised,
        InvariantBroken,
        MigrationFailed,
        NotConverged,
        NotSettled,
        SimulationFailure,
    )
    from msq_jupyter.testing.memory import Limits
    from msq_jupyter.testing.network import CALM, STORM, Weather
    from msq_jupyter.testing.participant import Participant
    from msq_jupyter.testing.simulation import Room, SavedVersion, Simulation, explained

__all__ = [
    "CALM",
    "STORM",
    "HandlerRaised",
    "InvariantBroken",
    "Limits",
    "MigrationFailed",
    "NotConverged",
    "NotSettled",
    "Participant",
    "Room",
    "SavedVersion",
    "Simulation",
    "SimulationFailure",
    "Weather",
    "check_determinism",
    "explained",
    "first_difference",
]

# The pytest plugin is loaded in every run of pytest: it must not load all of this.
_HOMES = {
    "CALM": "network",
    "STORM": "network",
    "Weather": "network",
    "HandlerRaised": "faults",
    "InvariantBroken": "faults",
    "MigrationFailed": "faults",
    "NotConverged": "faults",
    "NotSettled": "faults",
    "SimulationFailure": "faults",
    "Limits": "memory",
    "Participant": "participant",
    "Room": "simulation",
    "SavedVersion": "simulation",
    "Simulation": "simulation",
    "explained": "simulation",
    "check_determinism": "determinism",
    "first_difference": "msq_jupyter.runtime.differences",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    return getattr(importlib.import_module(home if "." in home else f"{__name__}.{home}"), name)
