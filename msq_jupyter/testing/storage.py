"""The storage's twin in memory: what is in it survives a crash of the simulated synchronizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from msq_jupyter.protocol import Save, Snapshot, StoredVersion
from msq_jupyter.synchronizer.blocks import counted
from msq_jupyter.synchronizer.records import Draft, RunRecord, StoredIndex, StoredRun, ViewRecord, Writes, as_stored
from msq_jupyter.testing.faults import InvariantBroken


@dataclass
class RunRows:
    """Everything stored of one run."""

    record: RunRecord
    time_ms: float = 0.0
    entries: list[bytes] = field(default_factory=list)
    views: dict[str, ViewRecord] = field(default_factory=dict)
    counted_seq: int = 0
    saves: list[int] = field(default_factory=list)
    snapshot: Snapshot | None = None
    draft: Draft | None = None

    def counted_views(self) -> list[ViewRecord]:
        """With their counters, of which only some are written."""
        return counted(self.views.values(), self.entries[self.counted_seq :])


class MemoryStorage:
    """Does what `msq_jupyter.synchronizer.storage.Storage` does, without a disk, and refuses what must never happen."""

    def __init__(self) -> None:
        self._password_checks: dict[str, bytes] = {}
        self._runs: dict[str, RunRows] = {}
        self._versions: dict[str, list[StoredVersion]] = {}
        self._heads: dict[str, tuple[int, str]] = {}
        self._sources: dict[tuple[str, str], bytes] = {}

    def commit(self, batch: Sequence[Writes]) -> None:
        """Store everything in the batch.

        Raises:
            InvariantBroken: an entry or a version would leave a gap, or take the place of another one.
        """
        for writes in batch:
            self._write(writes)
        # Runs share the numbers, and which of them is written first says nothing about that.
        versions = [(number, writes, time_s, save) for writes in batch for number, time_s, save in writes.versions]
        for number, writes, time_s, save in sorted(versions, key=lambda version: version[0]):
            self._append(self._runs[writes.run].record.persistent_id, number, time_s, save)

    def _write(self, writes: Writes) -> None:
        if writes.opened:
            record, password_check = writes.opened
            self._password_checks.setdefault(record.persistent_id, password_check)
            if record.run in self._runs:
                raise InvariantBroken(f"run {record.run} was opened twice")
            self._runs[record.run] = RunRows(record)
        rows = self._runs[writes.run]
        if writes.entries and writes.first_seq != len(rows.entries) + 1:
            raise InvariantBroken(
                f"expected entry {len(rows.entries) + 1} of run {writes.run} to be written next, got {writes.first_seq}"
            )
        rows.entries += writes.entries
        rows.views.update((view.view_id, view) for view in writes.views)
        rows.counted_seq = rows.counted_seq if writes.counted_seq is None else writes.counted_seq
        if writes.time_ms is not None:
            rows.time_ms = writes.time_ms
        rows.snapshot = writes.snapshot or rows.snapshot
        if writes.head > self.head(rows.record.persistent_id):
            self._heads[rows.record.persistent_id] = (writes.head, writes.run)
        rows.saves += writes.saves
        if writes.draft is not msgspec.UNSET:
            rows.draft = writes.draft

    def _append(self, persistent_id: str, number: int, time_s: float, save: Save) -> None:
        versions = self._versions.setdefault(persistent_id, [])
        if number != len(versions) + 1 or any(version.save_id == save.save_id for version in versions):
            raise InvariantBroken(
                f"expected version {len(versions) + 1} to be appended, got version {number} as {save.save_id}"
            )
        versions.append(as_stored(number, time_s, save))
        if save.source:
            self._sources[persistent_id, save.source_id] = save.source

    def load_index(self, persistent_id: str) -> StoredIndex | None:
        """What is known of a persistent id, or None when it was never used."""
        password_check = self._password_checks.get(persistent_id)
        if password_check is None:
            return None
        versions = self._versions.get(persistent_id, [])
        numbers = {version.save_id: version.number for version in versions}
        head, head_run = self._heads.get(persistent_id, (0, ""))
        waking = [
            rows.record.session_id
            for rows in self._runs.values()
            if rows.record.persistent_id == persistent_id
            and (rows.draft or (rows.record.run == head_run and any(view.present for view in rows.views.values())))
        ]
        keyframes = {version.number: version.size_bytes for version in versions if version.base == 0}
        sources = {source_id for owner, source_id in self._sources if owner == persistent_id}
        return StoredIndex(password_check, numbers, head, head_run, waking, keyframes, sources)

    def head(self, persistent_id: str) -> int:
        """Number of the version that is the head, 0 for none."""
        return self._heads.get(persistent_id, (0, ""))[0]

    def load_run(self, persistent_id: str, session_id: str) -> StoredRun | None:
        """The newest run of a session, or None when it never ran."""
        for rows in reversed(self._runs.values()):
            if (rows.record.persistent_id, rows.record.session_id) == (persistent_id, session_id):
                snapshot_seq = rows.snapshot.seq if rows.snapshot else 0
                return StoredRun(
                    record=rows.record,
                    time_ms=rows.time_ms,
                    last_seq=len(rows.entries),
                    snapshot_seq=snapshot_seq,
                    tail_bytes=sum(map(len, rows.entries[snapshot_seq:])),
                    counted_seq=rows.counted_seq,
                    views=rows.counted_views(),
                    saves=list(rows.saves),
                    draft=rows.draft,
                )
        return None

    def read_entries(self, run: str, after_seq: int, until_seq: int) -> list[bytes]:
        """Encoded entries from `after_seq` (without) to `until_seq`."""
        return self._runs[run].entries[after_seq:until_seq]

    def read_counter(self, run: str, view_id: str) -> int:
        """The newest event of a view in a run, 0 for none."""
        rows = self._runs.get(run)
        views = rows.counted_views() if rows else []
        return next((view.counter for view in views if view.view_id == view_id), 0)

    def read_snapshot(self, run: str) -> Snapshot | None:
        """The newest snapshot of a run, or None when there is none."""
        return self._runs[run].snapshot

    def list_versions(self, persistent_id: str) -> list[StoredVersion]:
        """Every version with its content, oldest first."""
        return list(self._versions.get(persistent_id, ()))

    def read_with_base(self, persistent_id: str, number: int) -> tuple[StoredVersion | None, StoredVersion | None]:
        """One version with its content, None when there is no such number; and the one it is a patch of."""
        versions = self._versions.get(persistent_id, [])
        version = versions[number - 1] if 1 <= number <= len(versions) else None
        return version, versions[version.base - 1] if version and version.base else None

    def read_source(self, persistent_id: str, source_id: str) -> bytes | None:
        """A sealed source, or None when it is not there."""
        return self._sources.get((persistent_id, source_id))
