"""What a panel shows of the versions: the list, what differs, what a restore would change. Asked once, kept while true.

The list is asked for again when a version was stored, a difference when it is not among the last few.
"""

from __future__ import annotations

import asyncio
import datetime
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import TYPE_CHECKING, Any, Literal

from msq_jupyter.errors import VersionMissing
from msq_jupyter.persistence.diff import Difference
from msq_jupyter.persistence.harmless import shortened
from msq_jupyter.persistence.records import Version, VersionList
from msq_jupyter.widgets.panel_changes import data_rows, places_of, source_rows, within
from msq_jupyter.widgets.panel_tree import mark_of
from msq_jupyter.widgets.panel_versions import Filter, matching, rows_of, told, told_version

if TYPE_CHECKING:
    from msq_jupyter.widgets.session import Session

#: So many answers are kept.
KEPT_MAX = 16


class PanelHistory:
    """Versions for one panel.

    Args:
        session: whose.

    Attributes:
        stamp: grows with everything that may have changed the list.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._kept: OrderedDict[Hashable, asyncio.Future[Any]] = OrderedDict()
        self._forgotten = 0

    @property
    def stamp(self) -> tuple[int, int]:
        """Another one when the list may be another one."""
        return (self._session.status.saved_number, self._forgotten)

    def forget(self) -> None:
        """Something changed that no new version tells of."""
        self._forgotten += 1

    async def kept(self, key: Hashable, find: Callable[[], Awaitable[Any]]) -> Any:
        """What `find` gives, once for each key: those who ask meanwhile wait for the same answer."""
        future = self._kept.get(key)
        if future is None:
            future = self._kept[key] = asyncio.ensure_future(find())
            future.add_done_callback(lambda done: self._drop_failed(key, done))
            while len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return await asyncio.shield(future)

    def _drop_failed(self, key: Hashable, done: asyncio.Future[Any]) -> None:
        if (done.cancelled() or done.exception() is not None) and self._kept.get(key) is done:
            del self._kept[key]

    async def versions(self) -> VersionList:
        """All versions, oldest first."""
        stamp = self.stamp
        found: VersionList = await self.kept(("versions", stamp), self._session.versions)
        return found

    async def rows(
        self, wanted: Filter, zone: datetime.tzinfo, opened: list[int], window: tuple[int, int]
    ) -> dict[str, Any]:
        """Rows of the list.

        Returns:
            {"total", "rows": as `panel_versions.told`, "versions": how many there are,
            "matching": how many the filter lets pass, "codes": [hash, newest first], "damaged": how many cannot be
            read, "newest": number}
        """
        versions = await self.versions()
        earlier = {version.number: version for version in versions}
        label = next((person.label for person in self._session.participants if person.is_me), "")
        found = matching(versions, wanted, label)
        lines = versions.lines()
        rows = rows_of(found, zone, opened, lines)
        start, count = window
        codes = dict.fromkeys(version.code_hash for version in reversed(versions))
        return {
            "total": len(rows),
            "rows": [told(row, earlier, lines) for row in rows[start : start + count]],
            "versions": len(versions),
            "matching": len(found),
            "codes": list(codes)[:50],
            "damaged": len(versions.damaged),
            "newest": versions[-1].number if versions else 0,
        }

    async def changes(
        self,
        a: int | Literal["now"],
        b: int | Literal["now"],
        part: Literal["data", "code"],
        place: str,
        window: tuple[int, int],
    ) -> dict[str, Any]:
        """Rows of what differs between two versions; `a` 0 is the one that `b` grew from.

        Returns:
            {"total", "rows": as `panel_changes.data_rows`, "counts": {"added", "removed", "changed", "moved"},
            "code_lines": how many lines of the code's difference, "a", "b": as compared, "stamp": of the model}
        """
        if a == 0:
            a = await self._parent_of(b)
        if a == 0:
            return {"total": 0, "rows": [], "counts": {}, "code_lines": 0, "a": 0, "b": b}
        difference = await self._difference(a, b)
        chosen = within(difference.operations, place)
        sources = difference.source_difference
        code_lines = 0 if sources is None else len(sources.lines)
        rows = data_rows(chosen, *window) if part == "data" else source_rows(difference, *window)
        return {
            "total": len(chosen) if part == "data" else code_lines,
            "rows": rows,
            "counts": difference.counts,
            "code_lines": code_lines,
            "a": a,
            "b": b,
        }

    async def plan(self, number: int, place: str) -> dict[str, Any]:
        """What restoring a version would change for everybody here.

        Returns:
            {"changes": int or -1 when that cannot be told, "reason": why it cannot, "counts": of all, "places": as
            `panel_changes.places_of`, "people": how many are here, "version": as `told_version`}
        """
        versions = await self.versions()
        earlier = {version.number: version for version in versions}
        if number not in earlier:
            raise VersionMissing(f"there is no version {number}: the list of versions shows which there are")
        plan = {
            "people": len(self._session.participants),
            "version": told_version(earlier[number], earlier, versions.lines()),
        }
        try:
            difference = await self._difference("now", number)
        except Exception as error:  # whatever the model's `save` raises: going back must work then above all
            reason = shortened(f"{type(error).__name__}: {error}", 400)
            return {**plan, "changes": -1, "reason": reason, "counts": {}, "places": []}
        changes = len(within(difference.operations, place))
        places = places_of(difference.operations)
        return {**plan, "changes": changes, "reason": "", "counts": difference.counts, "places": places}

    async def _parent_of(self, number: int | Literal["now"]) -> int:
        versions: list[Version] = await self.versions()
        numbers = [version.number for version in versions]
        if number == "now":
            return numbers[-1] if numbers else 0
        parent = next((version.parent for version in versions if version.number == number), 0)
        return parent if parent in numbers else max((one for one in numbers if one < number), default=0)

    async def _difference(self, a: int | Literal["now"], b: int | Literal["now"]) -> Difference:
        mark = mark_of(self._session.model) if "now" in (a, b) else None
        found: Difference = await self.kept(("difference", a, b, mark), lambda: self._session.diff(a, b))
        return found
