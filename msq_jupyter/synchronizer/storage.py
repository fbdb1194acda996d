"""What a synchronizer keeps: logs, snapshots and versions, in one SQLite file.

**What "saved" means.** When `commit` returns, everything in it is in the write-ahead log on the disk and `fsync` has
returned: it survives `kill -9` of this process and the loss of power, as far as the disk keeps what it acknowledged.
When `commit` raises, nothing of it is stored, and nothing of it may be told to anybody.

Versions are appended and never changed. Each carries a digest that is checked whenever the version is read: damage to
one is reported by its number, and the others still load.

One thread at a time may use a `Storage`; the synchronizer's journal owns that thread. One process at a time may have a
directory open: the operating system drops its lock when the process dies.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import filelock
import msgspec

from msq_jupyter.errors import StorageInUse, StorageUnreadable, VersionDamaged
from msq_jupyter.local_registry import make_data_directory
from msq_jupyter.protocol import Save, Snapshot, StoredVersion, encode
from msq_jupyter.synchronizer.records import Append, Draft, RunRecord, StoredIndex, StoredRun, ViewRecord, Writes

# `position` is the order in which runs were started. Contents come last, so that a list of versions reads no content.
_FIRST_SCHEMA = """
CREATE TABLE persistent_ids (persistent_id TEXT PRIMARY KEY, password_check BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE runs (
    position INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, persistent_id TEXT NOT NULL, session_id TEXT NOT NULL,
    origin INTEGER NOT NULL, head INTEGER NOT NULL, tick_rate REAL NOT NULL, time_ms REAL NOT NULL);
CREATE INDEX runs_by_session ON runs (persistent_id, session_id, position);
CREATE TABLE entries (
    position INTEGER NOT NULL, seq INTEGER NOT NULL, entry BLOB NOT NULL, PRIMARY KEY (position, seq)) WITHOUT ROWID;
CREATE TABLE views (
    position INTEGER NOT NULL, view_id TEXT NOT NULL, counter INTEGER NOT NULL, rejoin_limit_ms REAL NOT NULL,
    present INTEGER NOT NULL, PRIMARY KEY (position, view_id)) WITHOUT ROWID;
CREATE TABLE saves (position INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (position, number)) WITHOUT ROWID;
CREATE TABLE snapshots (
    position INTEGER NOT NULL, seq INTEGER NOT NULL, time_ms REAL NOT NULL, payload BLOB NOT NULL,
    UNIQUE (position, seq));
CREATE TABLE versions (
    persistent_id TEXT NOT NULL, number INTEGER NOT NULL, parent INTEGER NOT NULL, save_id TEXT NOT NULL,
    time_s REAL NOT NULL, digest BLOB NOT NULL, meta BLOB NOT NULL, content BLOB NOT NULL,
    UNIQUE (persistent_id, number), UNIQUE (persistent_id, save_id));
"""
# A draft is kept as it came over the wire, so that a message with more in it needs no other table.
_DRAFTS = """
CREATE TABLE drafts (
    position INTEGER PRIMARY KEY, view_id TEXT NOT NULL, time_s REAL NOT NULL, digest BLOB NOT NULL,
    save BLOB NOT NULL);
"""

#: The step at place n makes of a file with schema n one with schema n + 1; an empty file has schema 0.
SCHEMA_STEPS = (_FIRST_SCHEMA, _DRAFTS)
SCHEMA_VERSION = len(SCHEMA_STEPS)

_SETTINGS = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA wal_autocheckpoint = 4000;
"""

#: Snapshots kept for each run: the newest, and the one before it.
SNAPSHOTS_KEPT = 2

logger = logging.getLogger("msq_jupyter.synchronizer")


class Storage:
    """The open data directory of one synchronizer.

    Args:
        directory: made when it is not there, readable by this user alone.

    Raises:
        StorageInUse: another synchronizer has it open.
        StorageUnreadable: its file is no database, or was written by a newer program.
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
            self._database = _open(directory / "synchronizer.sqlite")
        except OSError as error:
            self._lock.release()
            raise _unwritable(directory, error) from error
        except BaseException:
            self._lock.release()
            raise

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
        with _transaction(self._database):
            for writes in batch:
                self._write(writes)
            for append in appends:
                self._open_name(append.persistent_id, append.password_check)
                self._write_version(append.persistent_id, append.number, append.time_s, append.save)

    def _write(self, writes: Writes) -> None:
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
        execute_many(
            "INSERT INTO entries VALUES (?, ?, ?)",
            ((position, seq, entry) for seq, entry in enumerate(writes.entries, writes.first_seq)),
        )
        execute_many(
            "INSERT OR REPLACE INTO views VALUES (?, ?, ?, ?, ?)",
            ((position, view.view_id, view.counter, view.rejoin_limit_ms, view.present) for view in writes.views),
        )
        if writes.time_ms is not None:
            execute("UPDATE runs SET time_ms = ? WHERE position = ?", (writes.time_ms, position))
        if writes.snapshot:
            self._write_snapshot(position, writes.snapshot)
        for number, time_s, save in writes.versions:
            self._write_version(persistent_id, number, time_s, save)
        execute_many("INSERT INTO saves VALUES (?, ?)", ((position, number) for number in writes.saves))
        if writes.draft is not msgspec.UNSET:
            self._write_draft(position, writes.draft)

    def _open_name(self, persistent_id: str, password_check: bytes) -> None:
        self._database.execute("INSERT OR IGNORE INTO persistent_ids VALUES (?, ?)", (persistent_id, password_check))

    def _write_snapshot(self, position: int, snapshot: Snapshot) -> None:
        self._database.execute(
            "INSERT INTO snapshots VALUES (?, ?, ?, ?)", (position, snapshot.seq, snapshot.time_ms, snapshot.payload)
        )
        self._database.execute(
            "DELETE FROM snapshots WHERE position = ? AND seq NOT IN "
            "(SELECT seq FROM snapshots WHERE position = ? ORDER BY seq DESC LIMIT ?)",
            (position, position, SNAPSHOTS_KEPT),
        )

    def _write_draft(self, position: int, draft: Draft | None) -> None:
        self._database.execute("DELETE FROM drafts WHERE position = ?", (position,))
        if draft:
            save = encode(draft.save)
            row = (position, draft.view_id, draft.time_s, _digest(b"", save), save)
            self._database.execute("INSERT INTO drafts VALUES (?, ?, ?, ?, ?)", row)

    def _write_version(self, persistent_id: str, number: int, time_s: float, save: Save) -> None:
        digest = _digest(save.meta, save.content)
        self._database.execute(
            "INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (persistent_id, number, save.parent, save.save_id, time_s, digest, save.meta, save.content),
        )

    # --- reading -------------------------------------------------------------------------------------------------

    def load_index(self, persistent_id: str) -> StoredIndex | None:
        """What is known of a persistent id, or None when it was never used."""
        row = self._database.execute(
            "SELECT password_check FROM persistent_ids WHERE persistent_id = ?", (persistent_id,)
        ).fetchone()
        if row is None:
            return None
        numbers = self._database.execute(
            "SELECT save_id, number FROM versions WHERE persistent_id = ?", (persistent_id,)
        ).fetchall()
        drafting = self._database.execute(
            "SELECT session_id FROM drafts JOIN runs USING (position) WHERE persistent_id = ? ORDER BY position",
            (persistent_id,),
        )
        return StoredIndex(row[0], dict(numbers), [session_id for (session_id,) in drafting])

    def load_run(self, persistent_id: str, session_id: str) -> StoredRun | None:
        """The newest run of a session, or None when it never ran."""
        row = self._database.execute(
            "SELECT position, time_ms, run, session_id, persistent_id, origin, head, tick_rate FROM runs "
            "WHERE persistent_id = ? AND session_id = ? ORDER BY position DESC LIMIT 1",
            (persistent_id, session_id),
        ).fetchone()
        if row is None:
            return None
        position, time_ms, *fields = row
        last_seq = self._value("SELECT max(seq) FROM entries WHERE position = ?", position)
        snapshot_seq = self._value("SELECT max(seq) FROM snapshots WHERE position = ?", position)
        tail_bytes = self._value(
            "SELECT sum(length(entry)) FROM entries WHERE position = ? AND seq > ?", position, snapshot_seq
        )
        views = self._database.execute(
            "SELECT view_id, counter, rejoin_limit_ms, present FROM views WHERE position = ?", (position,)
        )
        saves = self._database.execute("SELECT number FROM saves WHERE position = ?", (position,))
        return StoredRun(
            record=RunRecord(*fields),
            time_ms=time_ms,
            last_seq=last_seq,
            snapshot_seq=snapshot_seq,
            tail_bytes=tail_bytes,
            views=[
                ViewRecord(view_id, counter, limit_ms, bool(inside)) for view_id, counter, limit_ms, inside in views
            ],
            saves=[number for (number,) in saves],
            draft=self._read_draft(position),
        )

    def _read_draft(self, position: int) -> Draft | None:
        row = self._database.execute(
            "SELECT view_id, time_s, digest, save FROM drafts WHERE position = ?", (position,)
        ).fetchone()
        if row is None:
            return None
        view_id, time_s, digest, save = row
        if digest != _digest(b"", save):
            # It is not a version yet: without it there is the one before, with it one that nobody could read.
            logger.error("a draft of view %s is damaged in the data directory, and is left out", view_id)
            return None
        return Draft(view_id, time_s, msgspec.msgpack.decode(save, type=Save))

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
        position, _ = self._place(run)
        rows = self._database.execute(
            "SELECT seq, entry FROM entries WHERE position = ? AND seq > ? AND seq <= ? ORDER BY seq",
            (position, after_seq, until_seq),
        )
        entries: list[bytes] = []
        taken_bytes = 0
        while taken_bytes < size_bytes and after_seq + len(entries) < until_seq:
            expected_seq = after_seq + len(entries) + 1
            row = rows.fetchone()
            if row is None or row[0] != expected_seq:
                raise StorageUnreadable(
                    f"expected entry {expected_seq} in the log of run {run}, got {row and row[0]}: "
                    "the file is damaged; restore the data directory from a backup"
                )
            entries.append(row[1])
            taken_bytes += len(row[1])
        rows.close()
        return entries

    def read_counter(self, run: str, view_id: str) -> int:
        """The newest event of a view in a run, 0 for none."""
        row = self._database.execute(
            "SELECT counter FROM views JOIN runs USING (position) WHERE run = ? AND view_id = ?", (run, view_id)
        ).fetchone()
        return int(row[0]) if row else 0

    def read_snapshot(self, run: str) -> Snapshot | None:
        """The newest snapshot of a run, or None when there is none."""
        position, _ = self._place(run)
        row = self._database.execute(
            "SELECT seq, time_ms, payload FROM snapshots WHERE position = ? ORDER BY seq DESC LIMIT 1", (position,)
        ).fetchone()
        return Snapshot(*row) if row else None

    def list_versions(self, persistent_id: str) -> list[StoredVersion]:
        """Every version, oldest first, with empty `content`."""
        rows = self._database.execute(
            "SELECT number, parent, save_id, time_s, length(content), meta, x'' FROM versions "
            "WHERE persistent_id = ? ORDER BY number",
            (persistent_id,),
        )
        return [StoredVersion(*row) for row in rows]

    def read_version(self, persistent_id: str, number: int) -> StoredVersion | None:
        """One version whole, or None when there is no such number.

        Raises:
            VersionDamaged: it is not what was saved.
        """
        try:
            row = self._database.execute(
                "SELECT digest, number, parent, save_id, time_s, length(content), meta, content FROM versions "
                "WHERE persistent_id = ? AND number = ?",
                (persistent_id, number),
            ).fetchone()
        except sqlite3.DatabaseError as error:
            # This very class stands for a malformed page; its subclasses for a locked file, a failing disk and so on.
            if type(error) is sqlite3.DatabaseError:
                raise VersionDamaged(number) from error
            raise
        if row is None:
            return None
        digest, *fields = row
        version = StoredVersion(*fields)
        if digest != _digest(version.meta, version.content):
            raise VersionDamaged(number)
        return version

    def _place(self, run: str) -> tuple[int, str]:
        row = self._database.execute("SELECT position, persistent_id FROM runs WHERE run = ?", (run,)).fetchone()
        if row is None:
            raise StorageUnreadable(f"expected run {run} in the data directory, got none: was its file replaced?")
        return row[0], row[1]

    def _value(self, query: str, *arguments: object) -> int:
        return self._database.execute(query, arguments).fetchone()[0] or 0


def _unwritable(directory: Path, error: OSError) -> StorageUnreadable:
    return StorageUnreadable(
        f"expected {directory} to be a directory that can be written, got {error.strerror or error}: "
        "make room, change its permissions, or name another directory with --data"
    )


def _open(path: Path) -> sqlite3.Connection:
    # Made here, not by SQLite, so that it is at no moment readable by others; SQLite gives its WAL the same mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        database.executescript(_SETTINGS)
        found = database.execute("PRAGMA user_version").fetchone()[0]
        if found > SCHEMA_VERSION:
            raise StorageUnreadable(
                f"expected {path} with schema {SCHEMA_VERSION} or older, got {found}: "
                "a newer msq_jupyter wrote it; update this one"
            )
        for version, step in enumerate(SCHEMA_STEPS[found:], found + 1):
            database.executescript(f"BEGIN; {step} PRAGMA user_version = {version}; COMMIT;")
    except sqlite3.DatabaseError as error:
        database.close()
        raise StorageUnreadable(
            f"expected {path} to be a database of msq_jupyter, got one that cannot be read ({error}): "
            "restore it from a backup, or name another directory with --data"
        ) from error
    except BaseException:
        database.close()
        raise
    return database


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


def _digest(meta: bytes, content: bytes) -> bytes:
    # The size of the first part keeps apart two pairs that are the same bytes when joined.
    digest = hashlib.sha256(len(meta).to_bytes(8, "big"))
    digest.update(meta)
    digest.update(content)
    return digest.digest()
