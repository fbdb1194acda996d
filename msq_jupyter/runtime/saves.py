"""What a replica remembers of saving; part of its state, so the same on every replica and in every snapshot."""

from __future__ import annotations

import msgspec


class PendingSave(msgspec.Struct, array_like=True, frozen=True):
    """Content that `persist_session` collected and that is not acknowledged yet.

    Attributes:
        save_id: the same on every replica, so that whoever uploads, it is stored once.
        view_id: whose event caused it, "" when no view's did.
        author: that participant's name for people, or "".
    """

    save_id: str
    content: bytes
    content_id: str
    view_id: str
    author: str


class LastSave(msgspec.Struct, array_like=True, frozen=True):
    """The newest stored version that a run has saved or started from; `author` is a name for people."""

    number: int
    author: str
    time_s: float
