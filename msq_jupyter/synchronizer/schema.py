"""The tables of a synchronizer's file, and how an older file becomes a newer one."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from pathlib import Path

import msgspec

from msq_jupyter.errors import StorageUnreadable
from msq_jupyter.protocol import Save, StoredVersion
from msq_jupyter.synchronizer.blocks import as_row
from msq_jupyter.synchronizer.records import as_stored

# `position` is the order in which runs were started.
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
# Contents have a table of their own, so that a list of versions reads no page of them. `base` of a draft is that of its
# save, to be seen without decoding it: what a draft is a patch of must not go.
_PATCHES = """
ALTER TABLE versions RENAME TO whole_versions;
CREATE TABLE versions (
    version INTEGER PRIMARY KEY, persistent_id TEXT NOT NULL, number INTEGER NOT NULL, parent INTEGER NOT NULL,
    base INTEGER NOT NULL, save_id TEXT NOT NULL, time_s REAL NOT NULL, size_bytes INTEGER NOT NULL,
    source_id TEXT NOT NULL, digest BLOB NOT NULL, meta BLOB NOT NULL,
    UNIQUE (persistent_id, number), UNIQUE (persistent_id, save_id));
CREATE TABLE contents (version INTEGER PRIMARY KEY, content BLOB NOT NULL);
INSERT INTO versions SELECT
    rowid, persistent_id, number, parent, 0, save_id, time_s, length(content), '',
    renewed_digest(digest, meta, content, persistent_id, number, parent, save_id, time_s), meta FROM whole_versions;
INSERT INTO contents SELECT rowid, content FROM whole_versions;
DROP TABLE whole_versions;
CREATE TABLE sources (
    persistent_id TEXT NOT NULL, source_id TEXT NOT NULL, digest BLOB NOT NULL, source BLOB NOT NULL,
    PRIMARY KEY (persistent_id, source_id)) WITHOUT ROWID;
ALTER TABLE drafts ADD COLUMN base INTEGER NOT NULL DEFAULT 0;
"""
# The newest version was the head until then, and drafts waited to take its place.
_HEADS = """
ALTER TABLE persistent_ids ADD COLUMN head INTEGER NOT NULL DEFAULT 0;
ALTER TABLE persistent_ids ADD COLUMN head_run TEXT NOT NULL DEFAULT '';
UPDATE persistent_ids SET head =
    (SELECT coalesce(max(number), 0) FROM versions WHERE versions.persistent_id = persistent_ids.persistent_id);
UPDATE persistent_ids SET head_run = coalesce(
    (SELECT run FROM saves JOIN runs USING (position)
     WHERE runs.persistent_id = persistent_ids.persistent_id AND number = persistent_ids.head
     ORDER BY position DESC LIMIT 1), '');
ALTER TABLE drafts ADD COLUMN head INTEGER NOT NULL DEFAULT 0;
UPDATE drafts SET head =
    (SELECT persistent_ids.head FROM runs JOIN persistent_ids USING (persistent_id)
     WHERE runs.position = drafts.position);
"""

# `dropped` remembers versions that are gone; `bases` has those of them that others are patches of, as in `versions`.
_PRUNING = """
CREATE TABLE annotations (
    persistent_id TEXT NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL, keeps INTEGER NOT NULL,
    sealed BLOB NOT NULL, PRIMARY KEY (persistent_id, number, kind)) WITHOUT ROWID;
CREATE TABLE dropped (
    persistent_id TEXT NOT NULL, number INTEGER NOT NULL, parent INTEGER NOT NULL,
    PRIMARY KEY (persistent_id, number)) WITHOUT ROWID;
CREATE TABLE bases (
    version INTEGER PRIMARY KEY, persistent_id TEXT NOT NULL, number INTEGER NOT NULL, parent INTEGER NOT NULL,
    base INTEGER NOT NULL, save_id TEXT NOT NULL, time_s REAL NOT NULL, size_bytes INTEGER NOT NULL,
    source_id TEXT NOT NULL, digest BLOB NOT NULL, meta BLOB NOT NULL, UNIQUE (persistent_id, number));
"""

# `token` is the name of one, "" for none.
_PAYERS = """
CREATE TABLE payers (
    persistent_id TEXT PRIMARY KEY, token TEXT NOT NULL, address TEXT NOT NULL, stored_bytes INTEGER NOT NULL
) WITHOUT ROWID;
"""

# All entries of a turn are one row. `place` is that of the newest of them, see `place_of`: so the rows of a run are
# together and in order, and there is one tree of them, not two. `views` is not written for each event any more:
# `counted_seq` is the newest entry that its counters know of.
_BLOCKS = """
CREATE TABLE blocks (place INTEGER PRIMARY KEY, block BLOB NOT NULL);
INSERT INTO blocks SELECT place_of(position, newest), (
        SELECT row_of(seq, entry) FROM entries
        WHERE entries.position = part.position AND seq BETWEEN oldest AND newest)
    FROM (
        SELECT position, min(seq) AS oldest, max(seq) AS newest FROM (
            SELECT position, seq, seq - row_number() OVER (PARTITION BY position ORDER BY seq) AS missing FROM entries)
        GROUP BY position, missing, (seq - 1) / 100) AS part;
ALTER TABLE runs ADD COLUMN counted_seq INTEGER NOT NULL DEFAULT 0;
UPDATE runs SET counted_seq =
    (SELECT coalesce(max(seq), 0) FROM entries WHERE entries.position = runs.position);
DROP TABLE entries;
"""

# `running_time` has one row: for how long synchronizers ran with this file, in seconds; `visits` is when somebody was
# in a run, in that time. `forgotten` are positions whose entries and snapshots are still to be deleted.
_FORGETTING = """
CREATE TABLE running_time (seconds REAL NOT NULL);
INSERT INTO running_time VALUES (0);
CREATE TABLE visits (position INTEGER PRIMARY KEY, running_s REAL NOT NULL);
CREATE TABLE forgotten (position INTEGER PRIMARY KEY);
CREATE TABLE former_views (
    run TEXT NOT NULL, view_id TEXT NOT NULL, counter INTEGER NOT NULL, PRIMARY KEY (run, view_id)) WITHOUT ROWID;
"""

#: The step at place n makes of a file with schema n one with schema n + 1; an empty file has schema 0.
SCHEMA_STEPS = (_FIRST_SCHEMA, _DRAFTS, _PATCHES, _HEADS, _PRUNING, _PAYERS, _BLOCKS, _FORGETTING)
SCHEMA_VERSION = len(SCHEMA_STEPS)
#: Of a place in a log, those that say which entry it is.
SEQ_BITS = 36

# The first one holds for new files only, and has to come before there is anything in them.
_SETTINGS = """
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA wal_autocheckpoint = 4000;
"""


def open_file(path: Path) -> sqlite3.Connection:
    """Open a synchronizer's file; one that is not there is made, an older one becomes a newer one.

    Raises:
        StorageUnreadable: it is no database, or was written by a newer program.
    """
    # Made here, not by SQLite, so that it is at no moment readable by others; SQLite gives its WAL the same mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    # A damaged text is not one that raises, but one with another digest.
    database.text_factory = lambda data: data.decode(errors="replace")
    try:
        database.executescript(_SETTINGS)
        found = database.execute("PRAGMA user_version").fetchone()[0]
        if found > SCHEMA_VERSION:
            raise StorageUnreadable(
                f"expected {path} with schema {SCHEMA_VERSION} or older, got {found}: "
                "a newer msq_jupyter wrote it; update this one"
            )
        database.create_function("renewed_digest", 8, _renewed_digest, deterministic=True)
        database.create_function("place_of", 2, place_of, deterministic=True)
        database.create_aggregate("row_of", 2, _RowOf)  # type: ignore[arg-type]  # any result of `finalize` will do
        for version, step in enumerate(SCHEMA_STEPS[found:], found + 1):
            database.executescript(f"BEGIN; {step} PRAGMA user_version = {version}; COMMIT;")
    except sqlite3.OperationalError as error:
        database.close()
        raise StorageUnreadable(
            f"expected {path} to be there for this program to write, got {error}: make room on its disk and in the "
            "directory for temporary files, or end the program that uses it"
        ) from error
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


def place_of(position: int, seq: int) -> int:
    """Key of a row of `blocks` whose newest entry has this number; with 0, what is before all rows of a run.

    Args:
        position: of the run, below 2 ** 27.
        seq: below 2 ** 36.
    """
    return position << SEQ_BITS | seq


class _RowOf:
    """Makes a row of `blocks` of rows that had an entry each."""

    def __init__(self) -> None:
        self._entries: list[tuple[int, bytes]] = []

    def step(self, seq: int, entry: bytes) -> None:
        self._entries.append((seq, entry))

    def finalize(self) -> bytes:
        return as_row([entry for _, entry in sorted(self._entries)])


def version_digest(persistent_id: str, version: StoredVersion) -> bytes:
    """What is checked whenever a version is read: all that is stored of it, and whose it is."""
    place = (version.number, version.parent, version.base, version.save_id, version.time_s, version.source_id)
    return pair_digest(msgspec.msgpack.encode((persistent_id, *place, version.meta)), version.content)


def pair_digest(first: bytes, second: bytes) -> bytes:
    """SHA-256 of two parts; the size of the first keeps apart two pairs that are the same bytes when joined."""
    digest = hashlib.sha256(len(first).to_bytes(8, "big"))
    digest.update(first)
    digest.update(second)
    return digest.digest()


def _renewed_digest(
    digest: bytes,
    meta: bytes,
    content: bytes,
    persistent_id: str,
    number: int,
    parent: int,
    save_id: str,
    time_s: float,
) -> bytes:
    """The digest of a version that schema 2 had; what is damaged stays damaged."""
    if digest != pair_digest(meta, content):
        return b""
    return version_digest(persistent_id, as_stored(number, time_s, Save(save_id, parent, meta, content)))
