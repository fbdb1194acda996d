"""The part of the storage that changes what is there already: what is said of versions, and versions that go for good.

**What "dropped" means.** A dropped version loses its row, in the transaction that says so. What remains of it is its
number and its parent, so that numbers are never given twice and a version whose successors are all gone does not look
like the end of a branch; and, while versions that stay are patches of it, what it takes to read those.

`release` then takes the bytes out of the file: freed pages are filled by pages from its end, the file is cut there, and
the write-ahead log is emptied; deleted rows within pages that stay are overwritten with zeros. What the operating
system, a copy of the file or a flash disk keeps of them is beyond us, and so are logs and snapshots of sessions that
held the same data; all of it is sealed.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Mapping

from msq_jupyter.protocol import NO_SUCH_VERSION

logger = logging.getLogger("msq_jupyter.synchronizer")

# A run without a snapshot begins with `init` and its origin whenever somebody comes to it. Nobody does any more when it
# is empty and the head has moved on: then the session starts anew. The head is the stored one: one that is on its way
# to the disk may never be there.
_ORIGINS = """
SELECT DISTINCT origin FROM runs AS run JOIN persistent_ids AS name USING (persistent_id)
WHERE persistent_id = ? AND origin > 0
AND position = (SELECT max(position) FROM runs WHERE persistent_id = run.persistent_id AND session_id = run.session_id)
AND NOT EXISTS (SELECT 1 FROM snapshots WHERE position = run.position)
AND (EXISTS (SELECT 1 FROM views WHERE position = run.position AND present)
    OR run.head = name.head OR EXISTS (SELECT 1 FROM saves WHERE position = run.position AND number = name.head))
"""


def annotate(
    database: sqlite3.Connection, persistent_id: str, number: int, annotations: Iterable[tuple[str, bool, bytes]]
) -> bool:
    """Note kind, keeps and sealed text of each annotation of a version; whether there is that version."""
    there = database.execute("SELECT 1 FROM versions WHERE persistent_id = ? AND number = ?", (persistent_id, number))
    if there.fetchone() is None:
        return False
    database.executemany(
        "INSERT OR REPLACE INTO annotations VALUES (?, ?, ?, ?, ?)",
        ((persistent_id, number, kind, keeps, sealed) for kind, keeps, sealed in annotations),
    )
    return True


def read_annotations(
    database: sqlite3.Connection, persistent_id: str, first: int, last: int
) -> list[tuple[int, str, bytes]]:
    """Number, kind and sealed text of the annotations of versions `first` to `last`."""
    return database.execute(
        "SELECT number, kind, sealed FROM annotations WHERE persistent_id = ? AND number BETWEEN ? AND ? "
        "ORDER BY number, kind",
        (persistent_id, first, last),
    ).fetchall()


def list_tips(database: sqlite3.Connection, persistent_id: str, first: int, last: int) -> list[int]:
    """Numbers from `first` to `last` of the versions that nothing was ever saved on top of."""
    rows = database.execute(
        "SELECT number FROM versions WHERE persistent_id = :id AND number BETWEEN :first AND :last AND number NOT IN "
        "(SELECT parent FROM versions WHERE persistent_id = :id AND parent >= :first "
        "UNION SELECT parent FROM dropped WHERE persistent_id = :id AND parent >= :first) ORDER BY number",
        {"id": persistent_id, "first": first, "last": last},
    )
    return [number for (number,) in rows]


def drop(database: sqlite3.Connection, persistent_id: str, numbers: Iterable[int]) -> dict[int, str]:
    """Drop versions, in a transaction of the caller's.

    Args:
        database: the file.
        persistent_id: whose versions.
        numbers: which.

    Returns:
        Why some stay, by number. What was dropped before is not among them.
    """
    wanted = set(numbers)
    refused = _kept(database, persistent_id, wanted)
    going = sorted(wanted - refused.keys())
    # `secure_delete` costs a write for each page that is freed, and so is on for this only.
    database.execute("PRAGMA secure_delete = ON").fetchall()
    try:
        for number in going:
            _drop_one(database, persistent_id, number)
        _drop_needless(database, persistent_id)
    finally:
        database.execute("PRAGMA secure_delete = OFF").fetchall()
    return refused


def _drop_one(database: sqlite3.Connection, persistent_id: str, number: int) -> None:
    place = (persistent_id, number)
    of_it = "FROM versions WHERE persistent_id = ? AND number = ?"
    database.execute(f"INSERT OR IGNORE INTO dropped SELECT persistent_id, number, parent {of_it}", place)
    database.execute(f"INSERT INTO bases SELECT * {of_it} AND base = 0", place)
    database.execute(f"DELETE FROM contents WHERE version IN (SELECT version {of_it} AND base <> 0)", place)
    database.execute(f"DELETE {of_it}", place)
    database.execute("DELETE FROM annotations WHERE persistent_id = ? AND number = ?", place)


def _drop_needless(database: sqlite3.Connection, persistent_id: str) -> None:
    """Drop the bases that nothing is a patch of any more, and the sources that no version names."""
    of_ours = {"id": persistent_id}
    drafts = "FROM drafts JOIN runs USING (position) WHERE persistent_id = :id"
    needless = (
        "FROM bases WHERE persistent_id = :id AND number NOT IN "
        f"(SELECT base FROM versions WHERE persistent_id = :id UNION SELECT drafts.base {drafts})"
    )
    database.execute(f"DELETE FROM contents WHERE version IN (SELECT version {needless})", of_ours)
    database.execute(f"DELETE {needless}", of_ours)
    # A draft may name one, and says so only in what is sealed with it.
    database.execute(
        "DELETE FROM sources WHERE persistent_id = :id AND source_id NOT IN "
        f"(SELECT source_id FROM versions WHERE persistent_id = :id) AND NOT EXISTS (SELECT 1 {drafts})",
        of_ours,
    )


def release(database: sqlite3.Connection) -> None:
    """Take freed bytes out of the file; outside of a transaction. A failure is logged: the versions are dropped."""
    try:
        # As a script, because `execute` takes the first page for the end of it.
        database.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE);")
    except sqlite3.Error:
        logger.exception("versions were dropped, and the file could not be made smaller; the next time may do it")


def _kept(database: sqlite3.Connection, persistent_id: str, wanted: set[int]) -> dict[int, str]:
    def numbers_of(query: str) -> set[int]:
        return {number for (number,) in database.execute(query, (persistent_id,))}

    there = numbers_of("SELECT number FROM versions WHERE persistent_id = ?")
    gone = numbers_of("SELECT number FROM dropped WHERE persistent_id = ?")
    # The first reason that holds is told.
    tips = list_tips(database, persistent_id, min(wanted, default=0), max(wanted, default=0))
    reasons: Mapping[str, set[int]] = {
        NO_SUCH_VERSION: wanted - there - gone,
        "it is what sessions start from": numbers_of("SELECT head FROM persistent_ids WHERE persistent_id = ?"),
        "it is the newest version of a branch": set(tips),
        "a session began with it, and may need it again": numbers_of(_ORIGINS),
        "it has a label or a pin": numbers_of("SELECT number FROM annotations WHERE persistent_id = ? AND keeps"),
    }
    refused: dict[int, str] = {}
    for reason, numbers in reasons.items():
        for number in sorted(numbers & wanted):
            refused.setdefault(number, reason)
    return refused
