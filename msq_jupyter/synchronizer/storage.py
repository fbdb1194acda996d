"""What a synchronizer keeps: logs, snapshots and versions, in one SQLite file.

**What "saved" means.** When `commit` returns, everything in it is in the write-ahead log on the disk and `fsync` has
returned: it survives `kill -9` of this process and the loss of power, as far as the disk keeps what it acknowledged.
When `commit` raises, nothing of it is stored, and nothing of it may be told to anybody.

Versions are appended and never changed; how they are dropped, `pruning` says. Each carries a digest that is checked
whenever the version is read: damage to one is reported by its number, and the others still load. Of a version that is a
patch, the one it is a patch of is read and checked with it.

One thread at a time may use a `Storage`; the synchronizer's journal owns that thread. One process at a time may have a
directory open: the operating system drops its lock when the process dies.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import filelock
import msgspec

from msq_jupyter.errors import StorageInUse, StorageUnreadable, VersionDamaged
from msq_jupyter.local_registry import make_data_directory
from msq_jupyter.protocol import Save, Snapshot, StoredVersion, encode
from msq_jupyter.synchronizer import entry_log, forgetting, pruning
from msq_jupyter.synchronizer.payers import Payers
from msq_jupyter.synchronizer.records import (
    Append,
    Draft,
    RunRecord,
    StoredIndex,
    StoredRun,
    Writes,
    as_stored,
)
from msq_jupyter.synchronizer.schema import open_file, pair_digest, version_digest

#: The file in a data directory that has everything.
FILE_NAME = "synchronizer.sqlite"
#: Size at which a portion of a list of versions is full.
LIST_BYTES = 1024 * 1024
#: About what a version in a list has beside its `meta`.
_ROW_BYTES = 200
#: Snapshots kept for each run: the newest, and the one before it.
SNAPSHOTS_KEPT = 2
#: For so many runs it is known where they are, without asking the file.
PLACES_KEPT = 1_000

logger = logging.getLogger("msq_jupyter.synchronizer")


class Storage:
    """The open data directory of one synchronizer.

    Args:
        directory: made when it is not there, readable by this user alone.

    Raises:
        StorageInUse: another synchronizer has it open.
        StorageUnreadable: its file is no database, or was written by a newer program.

    Attributes:
        payers: for whom is counted what is stored.
    """

    def __init__(self, directory: Path) -> None:
        try:
            make_data_directory(directory)
            # Opened by one thread, used and closed by another: the lock must not be bound to a thread.
            self._lock = filelock.FileLock(directory / "synchronizer.lock", timeout=0, mode=0o600, thread_local=False)
            self._lock.acquire()
        except filelock.Timeout:
            raise StorageInUse(
                f"expected the data directory {directory} to be free, but another synchronizer has it open: "
                "use that one, end it, or name another directory with --data"
            ) from None
        except OSError as error:
            raise _unwritable(directory, error) from error
        try:
            self._database = open_file(directory / FILE_NAME)
        except OSError as error:
            self._lock.release()
            raise _unwritable(directory, error) from error
        except BaseException:
            self._lock.release()
            raise
        self.payers = Payers(self._database)
        self._places: dict[str, tuple[int, str]] = {}

    def close(self) -> None:
        """Close the file and free the directory; closing twice is harmless."""
        self._database.close()
        self._lock.release()

    # --- writing -------------------------------------------------------------------------------------------------

    def commit(self, batch: Sequence[Writes], appends: Sequence[Append] = ()) -> None:
        """Store everything in the batch, and versions that came without a session, or nothing.

        Raises:
            sqlite3.Error: nothing was stored; the message says why (disk full, damaged file).
            StorageUnreadable: nothing was stored; a run of the batch is not in the file.
        """
        try:
            self._commit(batch, appends)
        except BaseException:
            self._places.clear()  # a run it has opened may be none
            raise

    def _commit(self, batch: Sequence[Writes], appends: Sequence[Append]) -> None:
        if len(batch) == 1 and not appends and batch[0].is_only_entries:
            position, persistent_id = self._place(batch[0].run)
            if persistent_id not in self.payers:
                # A statement alone is a transaction, too; to begin and end one takes as long as this does.
                entry_log.append(self._database, position, batch[0].first_seq, batch[0].entries)
                return
        growth_bytes: Counter[str] = Counter()
        with _transaction(self._database):
            for writes in batch:
                persistent_id, size_bytes = self._write(writes)
                growth_bytes[persistent_id] += size_bytes
            for append in appends:
                self._open_name(append.persistent_id, append.password_check)
                growth_bytes[append.persistent_id] += _size(append.save)
                self._write_version(append.persistent_id, append.number, append.time_s, append.save)
                if append.is_head:
                    self._move_head(append.persistent_id, append.number, "")
            paid = {name: size_bytes for name, size_bytes in growth_bytes.items() if name in self.payers}
            self.payers.grow(paid)
        self.payers.count(paid)

    def set_payer(self, persistent_id: str, token: str, address: str) -> None:
        """Say for whom is counted what will be stored under a name that nobody used before.

        Args:
            persistent_id: the name.
            token: the name of a token, "" for none.
            address: of the network.

        Raises:
            sqlite3.Error: nothing was stored.
        """
        with _transaction(self._database):
            self.payers.set(persistent_id, token, address)
        self.payers.remember(persistent_id, token, address)

    def _write(self, writes: Writes) -> tuple[str, int]:
        """Store what a run has to write; returns its persistent id and how many bytes came."""
        execute, execute_many = self._database.execute, self._database.executemany
        if writes.opened:
            record, password_check = writes.opened
            self._open_name(record.persistent_id, password_check)
            execute(
                "INSERT INTO runs (run, persistent_id, session_id, origin, head, tick_rate, time_ms) "
                "VALUES (?, ?, ?, ?, ?, ?, 0)",
                (record.run, record.persistent_id, record.session_id, record.origin, record.head, record.tick_rate),
            )
        position, persistent_id = self._place(writes.run)
        size_bytes = sum(_size(save) for _, _, save in writes.versions)
        if writes.entries:
            size_bytes += entry_log.append(self._database, position, writes.first_seq, writes.entries)
        if writes.views:
            execute_many(
                "INSERT OR REPLACE INTO views VALUES (?, ?, ?, ?, ?)",
                [(position, view.view_id, view.counter, view.rejoin_limit_ms, view.present) for view in writes.views],
            )
        if writes.counted_seq is not None:
            execute("UPDATE runs SET counted_seq = ? WHERE position = ?", (writes.counted_seq, position))
        if writes.time_ms is not None:
            execute("UPDATE runs SET time_ms = ? WHERE position = ?", (writes.time_ms, position))
        if writes.snapshot:
            size_bytes += self._write_snapshot(position, writes.snapshot)
        for number, time_s, save in writes.versions:
            self._write_version(persistent_id, number, time_s, save)
        if writes.head:
            self._move_head(persistent_id, writes.head, writes.run)
        if writes.saves:
            execute_many("INSERT INTO saves VALUES (?, ?)", ((position, number) for number in writes.saves))
        if writes.draft is not msgspec.UNSET:
            size_bytes += self._write_draft(position, writes.draft)
        return persistent_id, size_bytes

    def _open_name(self, persistent_id: str, password_check: bytes) -> None:
        self._database.execute(
            "INSERT OR IGNORE INTO persistent_ids (persistent_id, password_check) VALUES (?, ?)",
            (persistent_id, password_check),
        )

    def _move_head(self, persistent_id: str, number: int, run: str) -> None:
        # It moves to larger numbers only, so the order of turns and appends in a batch does not matter.
        self._database.execute(
            "UPDATE persistent_ids SET head = ?, head_run = ? WHERE persistent_id = ? AND head < ?",
            (number, run, persistent_id, number),
        )

    def _write_snapshot(self, position: int, snapshot: Snapshot) -> int:
        measure = "SELECT sum(length(payload)) FROM snapshots WHERE position = ?"
        before_bytes = self._value(measure, position)
        self._database.execute(
            "INSERT INTO snapshots VALUES (?, ?, ?, ?)", (position, snapshot.seq, snapshot.time_ms, snapshot.payload)
        )
        self._database.execute(
            "DELETE FROM snapshots WHERE position = ? AND seq NOT IN "
            "(SELECT seq FROM snapshots WHERE position = ? ORDER BY seq DESC LIMIT ?)",
            (position, position, SNAPSHOTS_KEPT),
        )
        return self._value(measure, position) - before_bytes

    def _write_draft(self, position: int, draft: Draft | None) -> int:
        measure = "SELECT sum(length(save)) FROM drafts WHERE position = ?"
        before_bytes = self._value(measure, position)
        self._database.execute("DELETE FROM drafts WHERE position = ?", (position,))
        if draft:
            save = encode(draft.save)
            row = (position, draft.view_id, draft.time_s, pair_digest(b"", save), save, draft.save.base, draft.head)
            self._database.execute("INSERT INTO drafts VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return self._value(measure, position) - before_bytes

    def _write_version(self, persistent_id: str, number: int, time_s: float, save: Save) -> None:
        execute = self._database.execute
        version = as_stored(number, time_s, save)
        place = (persistent_id, number, version.parent, version.base, version.save_id, time_s)
        row = (*place, version.size_bytes, version.source_id, version_digest(persistent_id, version), version.meta)
        written = execute("INSERT INTO versions VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        execute("INSERT INTO contents VALUES (?, ?)", (written.lastrowid, version.content))
        if save.source:
            digest = pair_digest(save.source_id.encode(), save.source)
            source = (persistent_id, save.source_id, digest, save.source)
            execute("INSERT OR REPLACE INTO sources VALUES (?, ?, ?, ?)", source)
        if save.annotations:
            pruning.annotate(self._database, persistent_id, number, save.annotations)

    def annotate(self, persistent_id: str, number: int, kind: str, keeps: bool, sealed: bytes) -> bool:
        """Say something of a version, in place of what was said in this kind; whether there is that version.

        Raises:
            sqlite3.Error: nothing was stored.
        """
        with _transaction(self._database):
            return pruning.annotate(self._database, persistent_id, number, [(kind, keeps, sealed)])

    def prune(self, persistent_id: str, numbers: Sequence[int]) -> dict[int, str]:
        """Drop versions for good, see `pruning`; why some stay, by number.

        Raises:
            sqlite3.Error: nothing was dropped.
        """
        paid: dict[str, int] = {}
        with _transaction(self._database):
            refused = pruning.drop(self._database, persistent_id, numbers)
            if persistent_id in self.payers:
                paid[persistent_id] = self.payers.growth_since(persistent_id)
                self.payers.grow(paid)
        self.payers.count(paid)
        if len(refused) < len(set(numbers)):
            pruning.release(self._database)
        return refused

    def note_visits(self, runs: Sequence[str], elapsed_s: float | None = None) -> None:
        """Somebody is in these runs; see `forgetting`, also for the next ones.

        Args:
            runs: their names.
            elapsed_s: so much later than when this was said before, None for not saying.

        Raises:
            sqlite3.Error: nothing was stored.
        """
        with _transaction(self._database):
            if elapsed_s is not None:
                forgetting.let_time_pass(self._database, elapsed_s)
            forgetting.note_visits(self._database, runs)

    def forget_visits(self) -> None:
        """Nothing is counted any more: visits will be missing, so what was counted says nothing.

        Raises:
            sqlite3.Error: nothing was stored.
        """
        if self._value("SELECT count(*) FROM visits"):
            with _transaction(self._database):
                self._database.execute("DELETE FROM visits")

    def forget_sessions(
        self, idle_s: float, present: Collection[str], after: int = 0
    ) -> tuple[set[str], set[str], int | None]:
        """Forget some of the sessions nobody was in for so long; as `forgetting.forget` has it.

        Raises:
            sqlite3.Error: nothing was forgotten.
        """
        with _transaction(self._database):
            forgotten, waiting, looked_at = forgetting.forget(self._database, idle_s, present, after)
            paid = {name: self.payers.growth_since(name) for name in forgotten if name in self.payers}
            self.payers.grow(paid)
        self.payers.count(paid)
        return forgotten, waiting, looked_at

    def delete_forgotten(self) -> bool:
        """Delete a portion of what forgotten sessions left; whether there may be more.

        Raises:
            sqlite3.Error: nothing was deleted.
        """
        with _transaction(self._database):
            more = forgetting.delete_portion(self._database)
        free = self._value("PRAGMA freelist_count")
        self._database.executescript(f"PRAGMA incremental_vacuum({forgetting.PORTION_PAGES})")
        return more or self._value("PRAGMA freelist_count") < free

    # --- reading -------------------------------------------------------------------------------------------------

    def load_index(self, persistent_id: str) -> StoredIndex | None:
        """What is known of a persistent id, or None when it was never used."""
        row = self._database.execute(
            "SELECT password_check, head, head_run FROM persistent_ids WHERE persistent_id = ?", (persistent_id,)
        ).fetchone()
        if row is None:
            return None
        password_check, head, head_run = row
        versions = self._database.execute(
            "SELECT save_id, number, base, size_bytes FROM versions WHERE persistent_id = ?", (persistent_id,)
        ).fetchall()
        sources = self._database.execute("SELECT source_id FROM sources WHERE persistent_id = ?", (persistent_id,))
        waking = self._database.execute(
            "SELECT session_id FROM runs WHERE persistent_id = ? AND (position IN (SELECT position FROM drafts) "
            "OR (run = ? AND position IN (SELECT position FROM views WHERE present))) ORDER BY position",
            (persistent_id, head_run),
        )
        return StoredIndex(
            password_check,
            numbers={save_id: number for save_id, number, *_ in versions},
            head=head,
            head_run=head_run,
            waking=[session_id for (session_id,) in waking],
            keyframes={number: size_bytes for _, number, base, size_bytes in versions if base == 0},
            sources={source_id for (source_id,) in sources},
        )

    def load_run(self, persistent_id: str, session_id: str) -> StoredRun | None:
        """The newest run of a session, or None when it never ran."""
        row = self._database.execute(
            "SELECT position, time_ms, counted_seq, run, session_id, persistent_id, origin, head, tick_rate FROM runs "
            "WHERE persistent_id = ? AND session_id = ? ORDER BY position DESC LIMIT 1",
            (persistent_id, session_id),
        ).fetchone()
        if row is None:
            return None
        position, time_ms, counted_seq, *fields = row
        snapshot_seq = self._value("SELECT max(seq) FROM snapshots WHERE position = ?", position)
        saves = self._database.execute("SELECT number FROM saves WHERE position = ?", (position,))
        return StoredRun(
            record=RunRecord(*fields),
            time_ms=time_ms,
            last_seq=entry_log.last_seq(self._database, position),
            snapshot_seq=snapshot_seq,
            tail_bytes=entry_log.tail_bytes(self._database, position, snapshot_seq),
            counted_seq=counted_seq,
            views=entry_log.read_views(self._database, position, counted_seq),
            saves=[number for (number,) in saves],
            draft=self._read_draft(position),
        )

    def _read_draft(self, position: int) -> Draft | None:
        row = self._database.execute(
            "SELECT view_id, time_s, digest, save, head FROM drafts WHERE position = ?", (position,)
        ).fetchone()
        if row is None:
            return None
        view_id, time_s, digest, save, head = row
        if digest != pair_digest(b"", save):
            # It is not a version yet: without it there is the one before, with it one that nobody could read.
            logger.error("a draft of view %s is damaged in the data directory, and is left out", view_id)
            return None
        return Draft(view_id, time_s, msgspec.msgpack.decode(save, type=Save), head)

    def read_entries(self, run: str, after_seq: int, until_seq: int, size_bytes: int) -> list[bytes]:
        """Encoded entries from `after_seq` (without) on, in order.

        Args:
            run: whose log.
            after_seq: the newest entry that is not wanted, 0 for none.
            until_seq: the newest entry that is wanted.
            size_bytes: stop when the entries have at least this size together.

        Raises:
            StorageUnreadable: an entry is missing.
        """
        entries: list[bytes] = []
        taken_bytes = 0
        for entry in entry_log.read(self._database, self._place(run)[0], after_seq, until_seq):
            entries.append(entry)
            taken_bytes += len(entry)
            if taken_bytes >= size_bytes:
                break
        return entries

    def read_counter(self, run: str, view_id: str) -> int:
        """The newest event of a view in a run, 0 for none."""
        row = self._database.execute("SELECT position, counted_seq FROM runs WHERE run = ?", (run,)).fetchone()
        if row is None:
            return forgetting.former_counter(self._database, run, view_id)
        position, counted_seq = row
        views = entry_log.read_views(self._database, position, counted_seq)
        return next((view.counter for view in views if view.view_id == view_id), 0)

    def read_snapshot(self, run: str) -> Snapshot | None:
        """The newest snapshot of a run, or None when there is none."""
        position, _ = self._place(run)
        row = self._database.execute(
            "SELECT seq, time_ms, payload FROM snapshots WHERE position = ? ORDER BY seq DESC LIMIT 1", (position,)
        ).fetchone()
        return Snapshot(*row) if row else None

    def list_versions(
        self, persistent_id: str, after: int = 0, size_bytes: int = LIST_BYTES
    ) -> tuple[list[StoredVersion], bool]:
        """Versions with a number above `after`, oldest first, with empty `content`; and whether there are more.

        Args:
            persistent_id: whose.
            after: 0 for all.
            size_bytes: stop when the versions have at least this size together.
        """
        rows = self._database.execute(
            "SELECT number, parent, save_id, time_s, size_bytes, meta, x'', base, source_id FROM versions "
            "WHERE persistent_id = ? AND number > ? ORDER BY number",
            (persistent_id, after),
        )
        versions: list[StoredVersion] = []
        taken_bytes = 0
        for row in rows:
            if taken_bytes >= size_bytes:
                rows.close()
                return versions, True
            versions.append(StoredVersion(*row))
            taken_bytes += len(versions[-1].meta) + _ROW_BYTES
        return versions, False

    def read_annotations(self, persistent_id: str, first: int, last: int) -> list[tuple[int, str, bytes]]:
        """Number, kind and sealed text of the annotations of versions `first` to `last`."""
        return pruning.read_annotations(self._database, persistent_id, first, last)

    def list_tips(self, persistent_id: str, first: int, last: int) -> list[int]:
        """Numbers from `first` to `last` of the versions that nothing was ever saved on top of."""
        return pruning.list_tips(self._database, persistent_id, first, last)

    def read_version(self, persistent_id: str, number: int) -> StoredVersion | None:
        """One version with its content, or None when there is no such number.

        Raises:
            VersionDamaged: it is not what was saved.
        """
        return self._read_version("versions", persistent_id, number)

    def _read_version(self, table: str, persistent_id: str, number: int) -> StoredVersion | None:
        try:
            row = self._database.execute(
                "SELECT digest, number, parent, save_id, time_s, size_bytes, meta, content, base, source_id "
                f"FROM {table} LEFT JOIN contents USING (version) WHERE persistent_id = ? AND number = ?",
                (persistent_id, number),
            ).fetchone()
            if row is None:
                return None
            digest, *fields = row
            version = msgspec.convert(fields, StoredVersion)
        except sqlite3.DatabaseError as error:
            # This very class stands for a malformed page; its subclasses for a locked file, a failing disk and so on.
            if type(error) is sqlite3.DatabaseError:
                raise VersionDamaged(number) from error
            raise
        except msgspec.ValidationError as error:
            raise VersionDamaged(number) from error
        if digest != version_digest(persistent_id, version) or version.size_bytes != len(version.content):
            raise VersionDamaged(number)
        return version

    def read_with_base(self, persistent_id: str, number: int) -> tuple[StoredVersion | None, StoredVersion | None]:
        """One version with its content, None when there is no such number; and the one it is a patch of, None for none.

        Raises:
            VersionDamaged: one of the two is not what was saved, or the other one is missing; says which.
        """
        version = self.read_version(persistent_id, number)
        if version is None or version.base == 0:
            return version, None
        try:
            base = self.read_version(persistent_id, version.base)
            if base is None:
                base = self._read_version("bases", persistent_id, version.base)
        except VersionDamaged as error:
            raise VersionDamaged(number, version.base) from error
        if base is None or base.base != 0:
            raise VersionDamaged(number, version.base)
        return version, base

    def read_source(self, persistent_id: str, source_id: str) -> bytes | None:
        """A sealed source, or None when it is not there, or not what was saved."""
        row = self._database.execute(
            "SELECT digest, source FROM sources WHERE persistent_id = ? AND source_id = ?", (persistent_id, source_id)
        ).fetchone()
        if row is None:
            return None
        digest, source = row
        if digest != pair_digest(source_id.encode(), source):
            logger.error("a source of versions is damaged in the data directory: it cannot be shown any more")
            return None
        return bytes(source)

    def _place(self, run: str) -> tuple[int, str]:
        place = self._places.get(run)
        if place is None:
            place = self._database.execute("SELECT position, persistent_id FROM runs WHERE run = ?", (run,)).fetchone()
            if place is None:
                raise StorageUnreadable(f"expected run {run} in the data directory, got none: was its file replaced?")
            if len(self._places) >= PLACES_KEPT:
                self._places.clear()
            self._places[run] = place
        return place

    def _value(self, query: str, *arguments: object) -> int:
        return self._database.execute(query, arguments).fetchone()[0] or 0


def _size(save: Save) -> int:
    """What a version takes, in bytes."""
    return len(save.meta) + len(save.content) + len(save.source)


def _unwritable(directory: Path, error: OSError) -> StorageUnreadable:
    return StorageUnreadable(
        f"expected {directory} to be a directory that can be written, got {error.strerror or error}: "
        "make room, change its permissions, or name another directory with --data"
    )


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back already after some errors, a full disk for one.
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
