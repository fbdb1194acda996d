"""A copy of a data directory's file, made while a synchronizer goes on writing it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from msq_jupyter.errors import ArgumentError, StorageUnreadable
from msq_jupyter.synchronizer.storage import FILE_NAME

#: So many pages are copied at once; between, the synchronizer writes.
PAGES = 256


def back_up(directory: Path, target: Path) -> int:
    """Copy everything that was acknowledged when this began, and maybe some of what came later, as one whole.

    To go back, end the synchronizer, put the copy in an empty directory as `synchronizer.sqlite`, and name that with
    `--data`.

    Args:
        directory: of a synchronizer, which may run.
        target: a file that is not there yet; only its owner may read it.

    Returns:
        Its size in bytes.

    Raises:
        ArgumentError: there is no such data directory, or the file is there already, or cannot be made.
        StorageUnreadable: the data directory's file is damaged; there is no copy then.
    """
    source = directory / FILE_NAME
    if not source.is_file():
        raise ArgumentError(f"expected a data directory with a file {FILE_NAME}, got {directory}: name it with --data")
    try:
        os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        raise ArgumentError(f"expected a new file for the backup, got {target}, which is there: name another") from None
    except OSError as error:
        raise ArgumentError(f"expected a file that can be written, got {target}: {error.strerror}") from None
    try:
        with (
            contextlib.closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as original,
            contextlib.closing(sqlite3.connect(target)) as copy,
        ):
            # In one transaction, or each write of the synchronizer would make it begin again.
            original.execute("BEGIN")
            original.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            original.backup(copy, pages=PAGES, sleep=0)
            [(verdict,)] = copy.execute("PRAGMA integrity_check(1)").fetchall()
            if verdict != "ok":
                raise sqlite3.DatabaseError(verdict)
            # The copy is one file, with nothing beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        target.unlink()
        raise StorageUnreadable(
            f"expected {source} to be whole, got one that is not ({error}); nothing was copied: take an older backup"
        ) from error
    except BaseException:
        target.unlink()
        raise
    return target.stat().st_size
