"""What a session looks back at: what happened, and the versions saved under its name: list, difference, dry run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from typing import Any, Literal

from msq_jupyter.errors import ArgumentError, PeerError, VersionMissing
from msq_jupyter.persistence.check_report import CheckReport
from msq_jupyter.persistence.diff import Difference, difference, source_difference
from msq_jupyter.persistence.records import Version, VersionList
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.session import dry_run
from msq_jupyter.session.part import Part
from msq_jupyter.session.story import SessionLog
from msq_jupyter.session.versions import Said, missing, open_content
from msq_jupyter.stable import content_value


class History(Part):
    """The part of `SessionCore` that looks back."""

    @property
    def log(self) -> SessionLog:
        """What happened here, oldest first, the newest 500 lines; `debug="session"` prints most of them."""
        return self._story.lines

    async def versions(self) -> VersionList:
        """Every version ever saved under this app and name, oldest first: when, by whom, with which code.

        Its `damaged` says which cannot be read, and why.

        Raises:
            SessionClosed: the session has been left.
        """
        self.require_open()
        return await self._reader.versions()

    async def source_of(self, version: Version | int) -> str:
        """The source of the models that saved a version.

        Args:
            version: one of `versions()`, or its number.

        Raises:
            VersionMissing: there is no such version, or its source is not stored any more.
            VersionDamaged: a version is not what was saved.
            SealBroken: it, or the source, is not what was saved.
            SessionClosed: the session has been left.
        """
        self.require_open()
        if not isinstance(version, Version):
            version = Said(self._keys).version((await self._reader.fetched(version))[0])
        return await self._reader.source_of(version)

    async def diff(self, a: int | Literal["now"], b: int | Literal["now"] = "now") -> Difference:
        """How the data of one version became another's, and the code that saved it.

        Args:
            a: a version's number, or "now".
            b: likewise. "now" is what the root model would save now: what its `save` method collects in a scratch
                copy of the model; without such a method what it collected last.

        Returns:
            The difference of the data; its `source_difference` is that of the models' sources.

        Raises:
            VersionMissing: there is no such version; says which there are.
            VersionDamaged: a version is not what was saved.
            SealBroken: likewise, after the synchronizer sent it.
            ArgumentError: neither a number nor "now".
            SessionClosed: the session has been left.
            DryRunEnded: `save` did not end, or was interrupted.
            Exception: whatever `save` raises.
        """
        for name, value in (("a", a), ("b", b)):
            if value != "now" and type(value) is not int:
                raise ArgumentError(f'{name}: expected the number of a version, or "now", got {value!r}')
        (old, old_source), (new, new_source) = await self._side(a), await self._side(b)
        names = {"old_name": _name(a), "new_name": _name(b)}
        sources = source_difference(old_source, new_source, **names)
        changes = difference(content_value(old), content_value(new), **names)
        return Difference(changes.edit, changes.old_name, changes.new_name, sources)

    async def check(
        self,
        model: type[Model] | None = None,
        versions: int | Iterable[int] | None = None,
        *,
        limit_s: float = dry_run.LIMIT_S,
    ) -> CheckReport:
        """Say which versions a model can load, by loading each in a scratch replica: nothing else changes.

        Args:
            model: the root model's class, for example edited code; None for this session's.
            versions: a version's number or several; None for all.
            limit_s: how long a version may take to load, in seconds, above 0.

        Raises:
            VersionMissing: there is no such version; says which there are.
            CodeIdentityError: the model's code cannot be identified.
            DeterminismError: the model's code keeps something where no other replica sees it.
            ArgumentError: names the argument.
            SessionClosed: the session has been left.
        """
        chosen = self._arguments.model if model is None else model
        if not (isinstance(chosen, type) and issubclass(chosen, Model)):
            raise ArgumentError(f"model: expected a subclass of Model, got {chosen!r}")
        if not 0 < limit_s <= threading.TIMEOUT_MAX:
            raise ArgumentError(f"limit_s: expected seconds above 0, got {limit_s!r}")
        plan = dry_run.plan_for(chosen, dict(self._arguments.options))
        self.require_open()
        existing = [stored.number for stored in (await self._reader.listed()).versions]
        numbers = existing if versions is None else [versions] if isinstance(versions, int) else list(versions)
        for number in numbers:
            if number not in existing:
                raise missing(number, existing)
        report = CheckReport(chosen.__name__)
        for number in numbers:
            try:
                content = await self._reader.content(number)
            except PeerError as error:
                self.require_open()
                report.append(dry_run.unreadable(number, error))
                continue
            report.append(dry_run.load(plan, number, content, limit_s))
            await asyncio.sleep(0)  # others have their turn, and an interrupt ends all of it here
        return report

    async def _side(self, which: int | Literal["now"]) -> tuple[bytes, str]:
        """The data and the model source of one side of a difference."""
        self.require_open()
        if which != "now":
            stored, answer = await self._reader.fetched(which)
            content = open_content(self._keys, stored, answer.base)
            return content, await self._reader.source_of(Said(self._keys).version(stored))
        replica = await self._running_replica()
        now = dry_run.content_now(self._blueprint, replica)
        if now is None and replica.last_save is not None:
            now = await self._reader.content(replica.last_save.number)
        if now is None:
            raise VersionMissing("now: the root model has saved nothing yet, so there is nothing to compare")
        return now, self._sealer.source

    async def _running_replica(self) -> Replica:
        """The replica of the code that runs now: there is none while edited code is being joined."""
        while (replica := self._replica_or_none) is None:
            await self._next_step()
            self.require_open()
        return replica


def _name(which: Any) -> str:
    return "now" if which == "now" else f"version {which}"
