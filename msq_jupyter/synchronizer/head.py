"""The head of one persistent id: the version that a session never seen before starts from. Pure.

How it moves. A version moves the head when it is stored, or never:

| the version                                                     | the head                                       |
|-----------------------------------------------------------------|------------------------------------------------|
| grew from the head                                              | moves: nobody has saved in between             |
| is of the run that saved the head                               | moves: within a run, order is that of its log  |
| takes the head: somebody restored or imported it                | moves                                          |
| is of another run, and nobody is in the one that saved the head | moves: a branch whose sessions ended yields    |
| else                                                            | stays: the version is the tip of a branch      |

What waited as a draft is older than it looks: the last two rows before "else" hold for it only while the head is the
one that was there when it came. A run that ended long ago does not take the head from those who went on.

An imported version is of no run, so nobody is in the run that saved it.
"""

from __future__ import annotations

from msq_jupyter.protocol import Save


class Head:
    """Where the head is, and in which runs somebody is; shared by everything that saves under one persistent id.

    Args:
        number: of the version, 0 for none.
        run: which saved it, "" for none.

    Attributes:
        number: as given, until it moves; it only ever grows.
        run: likewise.
    """

    def __init__(self, number: int = 0, run: str = "") -> None:
        self.number = number
        self.run = run
        self._occupied: set[str] = set()

    def occupy(self, run: str) -> None:
        """Somebody is in a run, connected or away."""
        self._occupied.add(run)

    def vacate(self, run: str) -> None:
        """The last one has left a run."""
        self._occupied.discard(run)

    def held_from(self, run: str) -> int:
        """Number of the head, if another run saved it and somebody is in that one; else 0: a save of `run` takes it."""
        return self.number if self.run != run and self.run in self._occupied else 0

    def offer(self, number: int, save: Save, run: str, seen: int | None = None) -> bool:
        """A version is being stored; whether the head moves to it.

        Args:
            number: the version's, larger than that of any before.
            save: what is stored.
            run: which saves it, "" for none.
            seen: where the head was when a draft came that becomes a version now; None for anything else.
        """
        moves = save.parent == self.number or (run != "" and run == self.run)
        if not moves and seen in (None, self.number):
            moves = save.takes_head or (run != "" and self.run not in self._occupied)
        if moves:
            self.number, self.run = number, run
        return moves
