"""Telling people that what is saved here is not what new sessions start from, and what they can do about it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from msq_jupyter.errors import MsqError
from msq_jupyter.persistence.harmless import shortened
from msq_jupyter.persistence.records import VersionList
from msq_jupyter.runtime.saves import LastSave


class BranchNotice:
    """Says it once each time that the versions of a session leave the head behind, and when that is so from the start.

    Args:
        code_hash: our code.
        saves_itself: whether our code saves anything.
        persisted: what `join` was asked to begin with: to be behind the head because of that is meant.
        versions: asks for all versions.
        tell: gets the notice, one line, and whether it is meant.
        withdraw: gets a notice that was told and is true no more.
    """

    def __init__(
        self,
        code_hash: str,
        saves_itself: bool,
        persisted: str | int,
        versions: Callable[[], Awaitable[VersionList]],
        tell: Callable[[str, bool], None],
        withdraw: Callable[[str], None],
    ) -> None:
        self._code_hash = code_hash
        self._saves_itself = saves_itself
        self._persisted = persisted
        self._versions = versions
        self._tell = tell
        self._withdraw = withdraw
        self._told = ""
        self._is_behind = self._is_branch = False
        self._number = 0
        self._head = 0
        self._held_head = 0
        # Kept here, because asyncio itself does not keep a task alive.
        self._asking: asyncio.Task[None] | None = None

    def welcomed(self, head: int) -> None:
        """A connection begins while version `head` is the head, 0 for none."""
        self._head = head

    def head_held(self, number: int) -> None:
        """Another session, that somebody is in, saved the head, version `number`; 0 when none did."""
        self._held_head = number

    def is_left_behind(self, last: LastSave | None) -> bool:
        """Whether what grows from `last` is a branch, as far as is known here."""
        return (last is not None and not last.is_head) or self._is_older(last, self._held_head)

    def look(self, last: LastSave | None) -> None:
        """The replica is up to date; `last` is the newest version of its line. On the main loop."""
        was_branch = self._is_branch
        self._number, self._is_branch = _number(last), self.is_left_behind(last)
        is_behind = self._is_branch or self._is_older(last, self._head)
        if is_behind and (not self._is_behind or self._is_branch != was_branch):
            self._take_back()
            self._asking = asyncio.get_running_loop().create_task(self._ask())
        elif not is_behind:
            self._take_back()
        self._is_behind = is_behind

    def _is_older(self, last: LastSave | None, head: int) -> bool:
        return head > _number(last) and (last is not None or self._saves_itself)

    async def _ask(self) -> None:
        try:
            versions = await self._versions()
        except MsqError:
            return  # the status says it, too
        if self._is_behind:
            fork = _fork(versions, self._number)
            is_meant = self._persisted == (fork or "ignore")
            notice = notice_of(versions, self._number, self._code_hash, is_branch=self._is_branch)
            if notice != self._told:
                self._told = notice
                self._tell(notice, is_meant)

    def _take_back(self) -> None:
        if self._told:
            self._withdraw(self._told)
            self._told = ""


def _number(last: LastSave | None) -> int:
    return last.number if last else 0


def notice_of(versions: VersionList, number: int, code_hash: str, *, is_branch: bool = True) -> str:
    """What people should know whose newest version is not the head any more.

    Args:
        versions: all of them.
        number: of that newest version, 0 for none.
        code_hash: the code of their session.
        is_branch: whether what they save is kept beside the head; if not, it takes the head.
    """
    head = next((version for version in versions if version.number == versions.head), None)
    who, has_other_code = "somebody", False
    if head is not None:
        who, has_other_code = shortened(head.author) or "somebody", head.code_hash != code_hash
    if not is_branch:
        with_code = " with other code" if has_other_code else ""
        return (
            f"{who} saved v{versions.head}{with_code}, and it is not in this session: await "
            f"session.restore({versions.head}) brings it here; else the next save here becomes the newest version"
        )
    fork = _fork(versions, number)
    since = f" since v{fork}" if fork else ""
    whose = f"{who}'s code" if has_other_code else who
    moved = f"{whose} has moved the head{since}, to v{versions.head}: what is saved here"
    if fork == number:
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
