"""The draft of one run: content that waits for its time to be saved, and must not die with its kernel. Pure.

The participants keep versions some seconds apart. What waits meanwhile is held here:

| comes                          | the draft that is held                                   |
|--------------------------------|----------------------------------------------------------|
| a draft as late, or later      | is replaced                                              |
| an earlier draft               | stays: a participant that lags sent the other one        |
| a save as late, or later       | falls: its content, or what came after it, is a version  |
| an earlier save                | stays                                                    |

A save that comes after a later one of its run is dropped: two participants uploaded at once, and everybody wants the
later content by now. As the newest version it would be what the next session begins with.

The order is that in which the run wanted to save: the number at the end of `save_id`, which every replica gives alike.
"""

from __future__ import annotations

from collections.abc import Iterable

from msq_jupyter.synchronizer.records import Draft

#: Digits of the largest number looked for in an id; nobody saves that often.
_DIGITS_MAX = 15


class Drafts:
    """Which draft of a run is the newest, and whether a version has overtaken it.

    Args:
        run: whose drafts.
        held: the draft that the storage has.
        save_ids: of all versions under the run's persistent id.

    Attributes:
        held: the newest draft, None for none.
    """

    def __init__(self, run: str, held: Draft | None, save_ids: Iterable[str]) -> None:
        self._prefix = f"{run}."
        self.held = held
        self._newest_stored = max(map(self._order, save_ids), default=0)

    def why_not(self, save_id: str) -> str:
        """Why this cannot be the id of a draft of this run, or ""."""
        if self._order(save_id):
            return ""
        return f"expected a draft of this run, {self._prefix}1 or a later number, got {save_id[:80]!r}"

    def is_overtaken(self, save_id: str) -> bool:
        """Whether a later save of this run is a version already, so that this one must not become the newest."""
        return 0 < self._order(save_id) <= self._newest_stored

    def offer(self, draft: Draft) -> bool:
        """A draft comes in; whether it is held from now on."""
        save_id = draft.save.save_id
        if self.is_overtaken(save_id) or (self.held and self._order(save_id) < self._order(self.held.save.save_id)):
            return False
        self.held = draft
        return True

    def stored(self, save_id: str) -> bool:
        """A version is stored; whether the draft falls with it."""
        order = self._order(save_id)
        self._newest_stored = max(self._newest_stored, order)
        if self.held is None or order < self._order(self.held.save.save_id):
            return False
        self.held = None
        return True

    def _order(self, save_id: str) -> int:
        """Which of the run's saves this is, counted from 1; 0 for none of them."""
        if not save_id.startswith(self._prefix):
            return 0
        number = save_id[len(self._prefix) :]
        return int(number) if number.isascii() and number.isdigit() and len(number) <= _DIGITS_MAX else 0
