"""The steps of a save at which something may die: each is reported when it is reached, and a test says who dies there.

| step              | what is done, and what is not                                                    |
|-------------------|----------------------------------------------------------------------------------|
| `collected`       | a replica wants to save something; nothing of it has left the kernel             |
| `uploaded`        | a save has left the kernel                                                       |
| `draft uploaded`  | likewise a draft                                                                 |
| `arrived`         | the synchronizer has a save, and has done nothing with it                        |
| `draft arrived`   | likewise a draft                                                                 |
| `save to write`   | a turn with a version is about to be written                                     |
| `draft to write`  | likewise one with a draft, and no version                                        |
| `promotion to write` | likewise one with a version that was a draft                                  |
| `save written`    | a turn with a version is stored, and nobody was told                             |
| `draft written`   | likewise one with a draft                                                        |
| `promotion written` | likewise one with a version that was a draft                                   |
| `told`            | a turn with a version was sent to those who are there; nothing has arrived       |
| `acknowledged`    | a replica knows that its save is stored                                          |
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from msq_jupyter.synchronizer.records import Writes
from msq_jupyter.testing.network import Range

#: Every step, in the order in which one save comes to them.
STEPS = (
    *("collected", "uploaded", "arrived", "save to write", "save written", "told", "acknowledged"),
    *("draft uploaded", "draft arrived", "draft to write", "draft written"),
    *("promotion to write", "promotion written"),
)
#: Those at which the synchronizer is at work.
ITS_STEPS = tuple(step for step in STEPS if step.endswith(("arrived", "write", "written", "told")))


class CrashPoints:
    """What a simulation reports of its saves.

    Attributes:
        reached: how often each step was reached.
        strike: called with each step and the name of who is at it, "" for the synchronizer. It lets kernels die by
            itself, and returns whether the synchronizer dies right there, before it does anything more.
        down_ms: how long the synchronizer is down after that.
    """

    def __init__(self) -> None:
        self.reached: Counter[str] = Counter()
        self.down_ms: Range = (0.0, 500.0)
        self.strike: Callable[[str, str], bool] = lambda step, who: False

    def reach(self, step: str, who: str = "") -> bool:
        """A step is reached; whether the synchronizer dies at it."""
        self.reached[step] += 1
        return self.strike(step, who)


def kind_of(batch: Iterable[Writes]) -> str:
    """What a turn has of saves: "save", "draft", "promotion", or "" for nothing."""
    kinds = {""}
    for writes in batch:
        kinds |= {"promotion" if save.draft else "save" for _, _, save in writes.versions}
        if writes.draft is not msgspec.UNSET and writes.draft is not None:
            kinds.add("draft")
    return next(kind for kind in ("promotion", "save", "draft", "") if kind in kinds)
