"""What a synchronizer has done since it started, in numbers. Pure: whoever reads them decides how they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from msq_jupyter.synchronizer.records import Append
from msq_jupyter.synchronizer.sequencer import Turn

#: Upper bounds of the classes in which times of the journal are counted, in milliseconds.
JOURNAL_MS_BOUNDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000)


@dataclass(slots=True)
class Counts:
    """All of them grow.

    Attributes:
        connections: that were let in.
        refusals: connections that were not, for their token, a limit, their version or what they said first.
        entries: of logs that were written, events and others.
        saves: versions that were stored.
        received_bytes: of frames.
        sent_bytes: of frames to all members of a session; catching up and answers are not in it.
        failures: transactions that could not be stored.
        slowed: frames after which somebody had to wait for its limits.
        journal_ms: of all transactions together, from asking to the disk.
        journal: how many transactions took up to each of `JOURNAL_MS_BOUNDS`, and how many longer.
    """

    connections: int = 0
    refusals: int = 0
    entries: int = 0
    saves: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    failures: int = 0
    slowed: int = 0
    journal_ms: float = 0.0
    journal: list[int] = field(default_factory=lambda: [0] * (len(JOURNAL_MS_BOUNDS) + 1))

    def wrote(self, time_ms: float, turns: Sequence[Turn], appends: Sequence[Append]) -> None:
        """A transaction is on the disk."""
        self.entries += sum(len(turn.writes.entries) for turn in turns)
        self.saves += sum(len(turn.writes.versions) for turn in turns) + len(appends)
        self.journal_ms += time_ms
        place = next((at for at, bound in enumerate(JOURNAL_MS_BOUNDS) if time_ms <= bound), len(JOURNAL_MS_BOUNDS))
        self.journal[place] += 1
