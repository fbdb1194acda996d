"""Telling people that what is saved here is not what new sessions start from, and what they can do about it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from msq_jupyter.errors import MsqError
from msq_jupyter.persistence.harmless import shortened
from msq_jupyter.persistence.records import VersionList
from msq_jupyter.runtime.saves import LastSave


class BranchNotice:
    """Says it once each time that the versions of a session leave the head behind.

    Args:
        code_hash: our code.
        persisted: what `join` was asked to begin with: a branch from the version of this number is meant.
        versions: asks for all versions.
        tell: gets the notice, one line, and whether the branch is meant.
    """

    def __init__(
        self,
        code_hash: str,
        persisted: str | int,
        versions: Callable[[], Awaitable[VersionList]],
        tell: Callable[[str, bool], None],
    ) -> None:
        self._code_hash = code_hash
        self._persisted = persisted
        self._versions = versions
        self._tell = tell
        self._on_branch = False
        self._number = 0
        self._held_head = 0
        # Kept here, because asyncio itself does not keep a task alive.
        self._asking: asyncio.Task[None] | None = None

    def head_held(self, number: int) -> None:
        """Another session, that somebody is in, saved the head, version `number`; 0 when none did."""
        self._held_head = number

    def is_left_behind(self, last: LastSave | None) -> bool:
        """Whether what grows from `last` is a branch, as far as is known here."""
        return last is not None and (not last.is_head or self._held_head > last.number)

    def look(self, last: LastSave | None) -> None:
        """The replica has moved; `last` is the newest version of its line. On the main loop."""
        on_branch = self.is_left_behind(last)
        if on_branch and not self._on_branch:
            self._asking = asyncio.get_running_loop().create_task(self._ask())
        self._on_branch = on_branch
        self._number = last.number if last else 0

    async def _ask(self) -> None:
        try:
            versions = await self._versions()
        except MsqError:
            return  # the status says it, too
        if self._on_branch:
            is_meant = _fork(versions, self._number) == self._persisted
            self._tell(notice_of(versions, self._number, self._code_hash), is_meant)


def notice_of(versions: VersionList, number: int, code_hash: str) -> str:
    """What people should know whose newest version is not the head any more.

    Args:
        versions: all of them.
        number: of that newest version.
        code_hash: the code of their session.
    """
    head = next((version for version in versions if version.number == versions.head), None)
    who = "somebody"
    if head is not None:
        author = shortened(head.author) or "somebody"
        who = f"{author}'s code" if head.code_hash != code_hash else author
    fork = _fork(versions, number)
    since = f" since v{fork}" if fork else ""
    moved = f"{who} has moved the head{since}, to v{versions.head}: what is saved here"
    if fork and fork == number:
        return f"{moved} from now on is kept as a branch. await session.restore({versions.head}) brings it here"
    return (
        f"{moved} is kept as a branch, now at v{number}. await session.restore({number}) makes it the head, "
        f"await session.restore({versions.head}) brings the other one here"
    )


def _fork(versions: VersionList, number: int) -> int:
    """The newest version that both a version and the head grew from, 0 for none."""
    known = {version.number: version for version in versions}
    a, b = number, versions.head
    while a != b and (a or b):
        if a > b:
            a = known[a].parent if a in known else 0
        else:
            b = known[b].parent if b in known else 0
    return a
