"""What a replica tells the outside: values, in the order in which they happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from msq_jupyter import protocol
from msq_jupyter.runtime.audit import Audited


@dataclass(frozen=True)
class HandlerFailed:
    """A method of a model raised. The changes made until then stay, on every replica.

    `view_id` is whose event it was, "" when it was nobody's.
    """

    model: str
    method: str
    error: BaseException
    view_id: str = ""


@dataclass(frozen=True)
class RestoreFailed(HandlerFailed):
    """A version was not restored, and everything is as it was. `restore_id` is what who restores calls it."""

    restore_id: str = ""


@dataclass(frozen=True)
class RootReplaced:
    """Version `number` was restored: there are other models. `view_id` restored it and calls it `restore_id`."""

    number: int
    view_id: str
    restore_id: str


@dataclass(frozen=True)
class SaveCollected:
    """The root saved because `view_id` asked for it, which calls it `request_id`.

    Attributes:
        content_id: of what the root collected, "" when it failed.
        save_id: of what waits to be stored, "" when it is stored already.
        number: of the version that holds the content already, or 0.
        error: why it failed, or None.
    """

    view_id: str
    request_id: str
    content_id: str = ""
    save_id: str = ""
    number: int = 0
    error: BaseException | None = None


@dataclass(frozen=True)
class SaveStored:
    """A version is stored and acknowledged.

    Attributes:
        number: the version's.
        entry: says so.
        content: the version's, None when this replica does not have it.
        author: who caused the save, or "".
        size_bytes: of the data; 0 when this replica never had it.
        is_history: it was stored before this participant came, or while it was away.
    """

    number: int
    entry: protocol.Saved
    content: bytes | None
    author: str = ""
    size_bytes: int = 0
    is_history: bool = False


@dataclass(frozen=True)
class SaveSkipped:
    """The model saved what is saved already, or, if `is_pending`, what waits to be."""

    is_pending: bool


@dataclass(frozen=True)
class Migrated:
    """A `PersistentModel` brought saved data from one schema version to the next, with one of its methods."""

    model: str
    method: str
    from_version: int


@dataclass(frozen=True)
class SaveDiffers:
    """What was stored as version `number` is not what this replica wanted to save; that is pending again."""

    number: int


Happening: TypeAlias = (
    HandlerFailed
    | RestoreFailed
    | RootReplaced
    | SaveCollected
    | SaveStored
    | SaveSkipped
    | SaveDiffers
    | Migrated
    | Audited
)
