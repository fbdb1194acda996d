"""What a test of a model can end with. All of them are assertions, so that a test runner shows them as failures."""

from __future__ import annotations


class SimulationFailure(AssertionError):
    """Root of what the test kit finds."""


class NotConverged(SimulationFailure):
    """Two replicas that must be equal are not; `path` names the first value that differs."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


class NotSettled(SimulationFailure):
    """Somebody did not catch up, or something was not saved, in a long time without any trouble."""


class HandlerRaised(SimulationFailure):
    """A method of a model raised; the cause is the author's own exception."""


class MigrationFailed(SimulationFailure):
    """The edited code did not get the data that the code before it saved."""


class InvariantBroken(SimulationFailure):
    """A promise of `msq_jupyter` itself was broken: please report it with the seed."""
