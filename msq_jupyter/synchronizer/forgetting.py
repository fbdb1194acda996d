"""The part of the storage that forgets sessions nobody was in for long: their logs and snapshots, never a version.

**How long is counted.** By time in which a synchronizer ran, as its monotonic clock tells it, added up in the file: a
wall clock that jumps by years makes nothing old. A run is as young as its last visit; one that was never seen counts
from the moment when it is looked for.

**How one goes.** Its row goes in one transaction, together with those of the same session before it, so that no older
one is taken for the newest; from then on whoever joins starts anew. What events of each view it had executed stays, so
that none of them is executed again for who comes back even then. Entries and snapshots follow in portions; after a kill
between two, the next synchronizer goes on with the rest. The run that was started last always stays, as its position
must not be given to another one while entries have it.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Collection, Iterable

from msq_jupyter.errors import StorageUnreadable
from msq_jupyter.synchronizer import entry_log
from msq_jupyter.synchronizer.records import ViewRecord
from msq_jupyter.synchronizer.schema import place_of

#: So many runs are forgotten in one transaction.
PORTION_RUNS = 100
#: So many rows are deleted in one transaction, or rows of so many bytes; a row of a log has the entries of a turn.
PORTION_ROWS = 64
PORTION_BYTES = 4 * 1024 * 1024
#: So many free pages are cut off the file after each.
PORTION_PAGES = 256

_DUE = """
SELECT position, run, persistent_id, session_id FROM runs JOIN visits USING (position)
WHERE running_s <= (SELECT seconds FROM running_time) - ? AND position < (SELECT max(position) FROM runs)
AND position > ? ORDER BY position LIMIT ?
"""
_OF_SESSION = "SELECT position FROM runs WHERE persistent_id = ? AND session_id = ? AND position <= ?"

logger = logging.getLogger("msq_jupyter.synchronizer")


def let_time_pass(database: sqlite3.Connection, elapsed_s: float) -> None:
    """So much time went by, and runs that were never seen count from now on; in a transaction of the caller's."""
    database.execute("UPDATE running_time SET seconds = seconds + ?", (elapsed_s,))
    database.execute("INSERT OR IGNORE INTO visits SELECT position, seconds FROM runs, running_time")


def note_visits(database: sqlite3.Connection, runs: Iterable[str]) -> None:
    """Somebody is in these runs; in a transaction of the caller's."""
    database.executemany(
        "INSERT OR REPLACE INTO visits SELECT position, seconds FROM runs, running_time WHERE run = ?",
        ((run,) for run in runs),
    )


def forget(
    database: sqlite3.Connection, idle_s: float, present: Collection[str], after: int = 0
) -> tuple[set[str], set[str], int | None]:
    """Let whoever joins sessions that nobody was in for long start anew; in a transaction of the caller's.

    Args:
        database: the file.
        idle_s: for how long.
        present: runs that stay, because they are in memory.
        after: the position that was looked at last, 0 to begin.

    Returns:
        The persistent ids of which runs were forgotten, those of which one was not because a draft waits in it, and the
        position to go on after: at most `PORTION_RUNS` are looked at; None when these were the last ones.
    """
    forgotten: set[str] = set()
    waiting: set[str] = set()
    due = database.execute(_DUE, (idle_s, after, PORTION_RUNS)).fetchall()
    for position, run, persistent_id, session_id in due:
        session = (persistent_id, session_id, position)
        if run in present:
            continue
        if database.execute(f"SELECT 1 FROM drafts WHERE position IN ({_OF_SESSION})", session).fetchone():
            waiting.add(persistent_id)
            continue
        runs = f"SELECT position, run, counted_seq FROM runs WHERE position IN ({_OF_SESSION})"
        for place, name, counted_seq in database.execute(runs, session).fetchall():
            database.executemany(
                "INSERT OR REPLACE INTO former_views VALUES (?, ?, ?)",
                [(name, view.view_id, view.counter) for view in _views(database, place, counted_seq) if view.counter],
            )
        database.execute(f"INSERT OR IGNORE INTO forgotten {_OF_SESSION}", session)
        for table in ("views", "saves", "visits", "runs"):
            database.execute(f"DELETE FROM {table} WHERE position IN ({_OF_SESSION})", session)
        forgotten.add(persistent_id)
    return forgotten, waiting, due[-1][0] if len(due) == PORTION_RUNS else None


def _views(database: sqlite3.Connection, position: int, counted_seq: int) -> list[ViewRecord]:
    try:
        return entry_log.read_views(database, position, counted_seq)
    except StorageUnreadable as error:
        # Nobody could go on with such a log; its newest events may be executed again for who comes back after all.
        logger.error("a log that is forgotten was damaged: %s", error)
        return []


def delete_portion(database: sqlite3.Connection) -> bool:
    """Delete some of what forgotten runs left, in a transaction of the caller's; whether there may be more."""
    row = database.execute("SELECT position FROM forgotten LIMIT 1").fetchone()
    if row is None:
        return False
    [position] = row
    places = place_of(position, 0), place_of(position + 1, 0)
    for table, key, content, of_run, which in (
        ("snapshots", "rowid", "payload", "position = ?", (position,)),
        ("blocks", "place", "block", "place > ? AND place < ?", places),
    ):
        keys, size_bytes = [], 0
        for place, row_bytes in database.execute(
            f"SELECT {key}, length({content}) FROM {table} WHERE {of_run} LIMIT {PORTION_ROWS}", which
        ):
            keys.append((place,))
            size_bytes += row_bytes
            if size_bytes >= PORTION_BYTES:
                break
        database.executemany(f"DELETE FROM {table} WHERE {key} = ?", keys)
        if keys:
            return True
    database.execute("DELETE FROM forgotten WHERE position = ?", (position,))
    return True


def former_counter(database: sqlite3.Connection, run: str, view_id: str) -> int:
    """The newest event of a view in a run that was forgotten, 0 for none."""
    row = database.execute("SELECT counter FROM former_views WHERE run = ? AND view_id = ?", (run, view_id)).fetchone()
    return int(row[0]) if row else 0
