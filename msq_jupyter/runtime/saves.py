"""What a replica remembers of saving and restoring; part of its state, so the same on every replica."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

#: Of so many saves that others took the place of, the size is remembered.
REPLACED_MAX = 1_000


class PendingSave(msgspec.Struct, array_like=True, frozen=True):
    """Content that `persist_session` collected, or a restore brought, and that is not acknowledged yet.

    Attributes:
        save_id: the same on every replica, so that whoever uploads, it is stored once.
        view_id: whose event caused it, "" when no view's did.
        author: that participant's name for people, or "".
        label: what the version is called, or "".
        kept: it becomes a version of its own, and no later content takes its place.
        takes_head: new sessions start from it, whatever others have saved meanwhile.
    """

    save_id: str
    content: bytes
    content_id: str
    view_id: str
    author: str
    label: str = ""
    kept: bool = False
    takes_head: bool = False


class SaveQueue(list[PendingSave]):
    """What waits to be stored, in the order in which it becomes versions.

    Only the last one may be replaced: what is not kept has always the newest content.
    """

    def __init__(self, saves: Iterable[PendingSave] = ()) -> None:
        super().__init__(saves)
        # Not state: for people only, and missing after a restore of the replica.
        self._replaced_bytes: dict[str, int] = {}

    def want(self, save: PendingSave) -> None:
        """Add content; it takes the place of the last one, unless that is kept."""
        if self and not self[-1].kept:
            # It may be on its way, and become a version all the same.
            replaced = self.pop()
            self._replaced_bytes[replaced.save_id] = len(replaced.content)
            while len(self._replaced_bytes) > REPLACED_MAX:
                del self._replaced_bytes[next(iter(self._replaced_bytes))]
        self.append(save)

    def size_of(self, save_id: str) -> int:
        """Size of the content of a save in bytes; 0 when it is not known."""
        place = self.place_of(save_id)
        return self._replaced_bytes.get(save_id, 0) if place is None else len(self[place].content)

    def keep(self) -> None:
        """Let the last one become a version of its own."""
        if self:
            self[-1] = msgspec.structs.replace(self[-1], kept=True)

    def place_of(self, save_id: str) -> int | None:
        """Where a save stands, None when it is not there."""
        return next((place for place, save in enumerate(self) if save.save_id == save_id), None)


class LastSave(msgspec.Struct, array_like=True, frozen=True):
    """The newest stored version that a run has saved or started from.

    Attributes:
        author: a name for people.
        time_s: seconds since 1970, by the synchronizer's clock.
        is_head: whether the head moved to it when it was saved; if not, this run saves on a branch.
    """

    number: int
    author: str
    time_s: float
    is_head: bool = True


class PartialRestore(msgspec.Struct, array_like=True):
    """What has come of a restore.

    Attributes:
        restore_id: chosen by who restores; tells one restore of a view from its next.
        parts: how many there are.
        number: the version that is restored.
        content_id: digest of the whole content.
        content: the parts that have come.
        path: of what is restored, "" for all of it.
    """

    restore_id: str
    parts: int
    number: int
    content_id: str
    content: list[bytes]
    path: str
