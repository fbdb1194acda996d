"""The part of the storage that has logs: the entries of a turn are one row, see `blocks`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import msgspec

from msq_jupyter.errors import StorageUnreadable
from msq_jupyter.synchronizer.blocks import as_row, counted, of_row
from msq_jupyter.synchronizer.records import ViewRecord
from msq_jupyter.synchronizer.schema import place_of


def append(database: sqlite3.Connection, position: int, first_seq: int, entries: list[bytes]) -> int:
    """Store entries that follow each other; returns the size of their row in bytes."""
    row = as_row(entries)
    database.execute("INSERT INTO blocks VALUES (?, ?)", (place_of(position, first_seq + len(entries) - 1), row))
    return len(row)


def last_seq(database: sqlite3.Connection, position: int) -> int:
    """Of the newest entry, 0 for none."""
    [[place]] = database.execute("SELECT max(place) FROM blocks WHERE place > ? AND place < ?", _range(position))
    return place - place_of(position, 0) if place else 0


def tail_bytes(database: sqlite3.Connection, position: int, after_seq: int) -> int:
    """Size of the rows that have entries after this one."""
    places = (place_of(position, after_seq), place_of(position + 1, 0))
    [[size_bytes]] = database.execute("SELECT sum(length(block)) FROM blocks WHERE place > ? AND place < ?", places)
    return size_bytes or 0


def read(database: sqlite3.Connection, position: int, after_seq: int, until_seq: int) -> Iterator[bytes]:
    """Encoded entries after `after_seq`, up to `until_seq`, in order.

    Raises:
        StorageUnreadable: an entry is missing.
    """
    rows = database.execute(
        "SELECT place, block FROM blocks WHERE place > ? AND place < ? ORDER BY place",
        (place_of(position, after_seq), place_of(position + 1, 0)),
    )
    is_first = True  # it may begin before what is wanted
    try:
        while after_seq < until_seq:
            row = rows.fetchone()
            if row is None:
                raise _missing(database, position, after_seq + 1, "none")
            try:
                entries = of_row(row[1])
            except (msgspec.MsgspecError, TypeError, ValueError) as error:
                raise _missing(database, position, after_seq + 1, f"what cannot be read ({error})") from error
            first_seq = row[0] - place_of(position, 0) - len(entries) + 1
            if first_seq > after_seq + 1 or (first_seq <= after_seq and not is_first):
                raise _missing(database, position, after_seq + 1, f"entry {first_seq}")
            yield from entries[after_seq + 1 - first_seq : until_seq + 1 - first_seq]
            after_seq = first_seq + len(entries) - 1
            is_first = False
    finally:
        rows.close()


def read_views(database: sqlite3.Connection, position: int, counted_seq: int) -> list[ViewRecord]:
    """The views of a run, with their counters.

    Args:
        database: the file.
        position: of the run.
        counted_seq: as in `StoredRun`.

    Raises:
        StorageUnreadable: an entry is missing.
    """
    rows = database.execute(
        "SELECT view_id, counter, rejoin_limit_ms, present FROM views WHERE position = ?", (position,)
    )
    views = [ViewRecord(view_id, counter, limit_ms, bool(inside)) for view_id, counter, limit_ms, inside in rows]
    return counted(views, read(database, position, counted_seq, last_seq(database, position)))


def _range(position: int) -> tuple[int, int]:
    return place_of(position, 0), place_of(position + 1, 0)


def _missing(database: sqlite3.Connection, position: int, seq: int, found: str) -> StorageUnreadable:
    row = database.execute("SELECT run FROM runs WHERE position = ?", (position,)).fetchone()
    return StorageUnreadable(
        f"expected entry {seq} in the log of run {row and row[0]}, got {found}: "
        "the file is damaged; restore the data directory from a backup"
    )
