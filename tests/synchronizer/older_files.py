"""Files of synchronizers as older programs left them."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from msq_jupyter.synchronizer.schema import SCHEMA_STEPS
from msq_jupyter.synchronizer.storage import FILE_NAME


@contextlib.contextmanager
def older_file(directory: Path, schema: int) -> Iterator[sqlite3.Connection]:
    """Make the file of a data directory with an older schema, and fill it."""
    directory.mkdir(mode=0o700, exist_ok=True)
    with contextlib.closing(sqlite3.connect(directory / FILE_NAME)) as file:
        file.create_function("renewed_digest", 8, lambda *_: b"")  # there are no versions before the caller's
        for step in SCHEMA_STEPS[:schema]:
            file.executescript(step)
        file.execute(f"PRAGMA user_version = {schema}")
        yield file
        file.commit()
