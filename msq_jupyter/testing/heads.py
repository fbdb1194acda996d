"""The ledger's page about heads: each one became it by the rule of 5.6, and no version should have that did not.

It knows only what is written. Who was in a run when a version was stored, it knows up to what is written with that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from msq_jupyter import protocol
from msq_jupyter.protocol import Save
from msq_jupyter.synchronizer.records import Draft, RunRecord, Writes
from msq_jupyter.testing.faults import InvariantBroken


@dataclass
class _Run:
    """What is known of a run; `was_empty` and `was_occupied` of any moment since the last batch."""

    record: RunRecord
    present: set[str] = field(default_factory=set)
    was_empty: bool = True
    was_occupied: bool = False
    draft: Draft | None = None

    def begin_batch(self) -> None:
        self.was_empty, self.was_occupied = not self.present, bool(self.present)

    def see(self, writes: Writes) -> None:
        for view in writes.views:
            (self.present.add if view.present else self.present.discard)(view.view_id)
            self.was_occupied = True  # whatever became of it, it came or went
        self.was_empty = self.was_empty or not self.present


class HeadBook:
    """Checks heads, and counts.

    Args:
        counters: counts there.
    """

    def __init__(self, counters: Counter[str]) -> None:
        self._counters = counters
        self._runs: dict[str, _Run] = {}
        self._heads: dict[str, tuple[int, str]] = {}

    def written(self, batch: Sequence[Writes], stored_head: Callable[[str], int]) -> None:
        """Turns were stored together.

        Args:
            batch: what was stored.
            stored_head: the head of a persistent id in the storage.

        Raises:
            InvariantBroken: a head is none by the rule, or is not stored.
        """
        for known in self._runs.values():
            known.begin_batch()
        for writes in batch:
            if writes.opened:
                self._runs[writes.run] = _Run(writes.opened[0])
            self._runs[writes.run].see(writes)
        heads = {writes.run: {self._head(self._runs[writes.run].record)} for writes in batch}
        stored = [(number, writes, save) for writes in batch for number, _, save in writes.versions]
        for number, writes, save in sorted(stored, key=lambda version: version[0]):
            record = self._runs[writes.run].record
            self._check(record, number, save, is_head=number in _moved(writes))
            for run in heads:
                if self._runs[run].record.persistent_id == record.persistent_id:
                    heads[run].add(self._head(record))
        for writes in batch:
            self._end(writes, heads[writes.run], stored_head)

    def _end(self, writes: Writes, heads: set[int], stored_head: Callable[[str], int]) -> None:
        run = self._runs[writes.run]
        record = run.record
        if isinstance(writes.draft, Draft | None):
            run.draft = writes.draft
        if writes.opened and record.head not in heads:
            raise InvariantBroken(f"{record.run} began when version {record.head} was the head, expected {heads}")
        if stored_head(record.persistent_id) != self._head(record):
            raise InvariantBroken(
                f"expected version {self._head(record)} as the stored head, got {stored_head(record.persistent_id)}"
            )

    def _head(self, record: RunRecord) -> int:
        return self._heads.get(record.persistent_id, (0, ""))[0]

    def _check(self, record: RunRecord, number: int, save: Save, *, is_head: bool) -> None:
        head, head_run = self._heads.get(record.persistent_id, (0, ""))
        defenders = self._runs.get(head_run)
        drafted = self._runs[record.run].draft
        # A draft that came in this very batch is not in the books.
        seen = drafted.head if save.draft and drafted and drafted.save.save_id == save.save_id else head
        by_rule = {
            "heads by compare-and-set": save.parent == head,
            "heads within a run": record.run == head_run,
            "heads taken": save.takes_head and seen == head,
            "heads that yielded": (defenders is None or defenders.was_empty) and seen == head,
        }
        reason = next((name for name, holds in by_rule.items() if holds), "")
        what = f"version {number}, which grew from {save.parent} in {record.run},"
        if is_head and not reason:
            raise InvariantBroken(f"{what} became the head instead of version {head} of {head_run}, where people are")
        must = save.parent == head or record.run == head_run or (save.takes_head and not save.draft)
        defended = defenders is not None and defenders.was_occupied
        if not is_head and (must or not (save.draft or defended)):
            raise InvariantBroken(f"{what} did not become the head instead of version {head} of {head_run}")
        self._counters[reason if is_head else "branches"] += 1
        if is_head:
            self._heads[record.persistent_id] = (number, record.run)


def _moved(writes: Writes) -> set[int]:
    """The versions of which the log says that the head moved to them."""
    entries = map(protocol.decode_entry, writes.entries)
    moved = {entry.number for entry in entries if isinstance(entry, protocol.Saved) and entry.is_head}
    if writes.head != max(moved & {number for number, _, _ in writes.versions}, default=0):
        raise InvariantBroken(f"the log of {writes.run} says that the head moved to {moved}, expected {writes.head}")
    return moved
