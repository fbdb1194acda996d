"""The directory where a synchronizer keeps its data, and the note there that says where the local one listens.

Both the synchronizer, which writes the note, and participants, who look for it, import this module.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec
import platformdirs

#: Names another directory than the usual one of this user.
ENVIRONMENT_VARIABLE = "MSQ_DATA_DIR"


class ListeningNote(msgspec.Struct, frozen=True):
    """Where the local synchronizer listens.

    Attributes:
        url: for example `ws://127.0.0.1:41234`.
        token: what it wants as `Authorization: Bearer TOKEN`.
        pid: of its process.
        protocol_version: what it speaks.
    """

    url: str
    token: str
    pid: int
    protocol_version: int


def default_data_directory() -> Path:
    """What `MSQ_DATA_DIR` says, else the usual place for data of this user."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(named) if named else Path(platformdirs.user_data_dir("msq_jupyter", appauthor=False))


def make_data_directory(directory: Path) -> None:
    """Make it if it is not there, for this user alone. One that is there keeps its mode: others may need it."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    directory.mkdir(mode=0o700, exist_ok=True)


def log_path(directory: Path) -> Path:
    """Where the local synchronizer's output goes."""
    return directory / "synchronizer.log"


def write_note(directory: Path, note: ListeningNote) -> None:
    """Say where we listen; a reader sees the whole note or none."""
    unfinished = directory / f"synchronizer.json.{note.pid}"
    with contextlib.suppress(FileNotFoundError):
        unfinished.unlink()
    # O_EXCL and the mode at creation: the token is at no moment readable by others.
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(note))
    unfinished.replace(_note_path(directory))


def read_note(directory: Path) -> ListeningNote | None:
    """The note, or None when there is none that makes sense. Whoever wrote it may have been killed since."""
    try:
        return msgspec.json.decode(_note_path(directory).read_bytes(), type=ListeningNote)
    except (OSError, msgspec.MsgspecError):
        return None


def remove_note(directory: Path) -> None:
    """We listen no more."""
    with contextlib.suppress(FileNotFoundError):
        _note_path(directory).unlink()


def _note_path(directory: Path) -> Path:
    return directory / "synchronizer.json"
