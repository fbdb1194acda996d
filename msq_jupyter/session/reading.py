"""Stored versions, asked for and opened, over any connection that is there: a session's, or an archive's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec

from msq_jupyter import protocol
from msq_jupyter.errors import ProtocolError, SealBroken, VersionDamaged
from msq_jupyter.persistence.records import Version, VersionList
from msq_jupyter.session.crypto import Keys
from msq_jupyter.session.versions import Said, missing, open_content, open_source, portions

Ask = Callable[[Callable[[int], protocol.Message]], Awaitable[Any]]


class Reader:
    """Reads the versions of one app and name.

    Args:
        keys: open them.
        ask: asks the synchronizer what is made of a request id, and waits for the answer.

    Attributes:
        ask: as given.
    """

    def __init__(self, keys: Keys, ask: Ask) -> None:
        self._keys = keys
        self.ask = ask
        self._sources: dict[str, str] = {}

    async def listed(self) -> protocol.Versions:
        """The list of all versions in one piece, sealed as they are.

        Raises:
            ProtocolError: the numbers do not rise.
        """
        whole = protocol.Versions(0, 0, [], annotations=[], tips=[])
        head = 0
        async for portion in portions(lambda after: self.ask(partial(protocol.ListVersions, after=after))):
            whole.versions.extend(portion.versions)
            whole.annotations.extend(portion.annotations)
            whole.tips.extend(portion.tips)
            head = portion.head  # as the last portion has it
        return msgspec.structs.replace(whole, head=head)

    async def versions(self) -> VersionList:
        """Every version, oldest first; `damaged` of the list says which cannot be read, and why."""
        listed = await self.listed()
        found = VersionList(head=listed.head)
        said = Said(self._keys, listed)
        for stored in listed.versions:
            try:
                found.append(said.version(stored))
            except SealBroken as error:
                found.damaged[stored.number] = str(error)
        return found

    async def fetched(self, number: int) -> tuple[protocol.StoredVersion, protocol.VersionContent]:
        """One version with its content, sealed as it is, and the answer that brought it.

        Raises:
            VersionMissing: there is none of this number; says which there are.
            VersionDamaged: the synchronizer's file is damaged there.
            ProtocolError: it sent another one.
        """
        answer: protocol.VersionContent = await self.ask(partial(protocol.FetchVersion, number=number))
        stored = answer.version
        if answer.damaged:
            raise VersionDamaged(number, answer.damaged)
        if stored is None:
            raise missing(number, [stored.number for stored in (await self.listed()).versions])
        if stored.number != number:
            raise ProtocolError(f"expected version {number}, got {stored.number}")
        return stored, answer

    async def content(self, number: int) -> bytes:
        """The data of one version, canonical JSON; errors are those of `fetched`, and SealBroken."""
        stored, answer = await self.fetched(number)
        return open_content(self._keys, stored, answer.base)

    async def source_of(self, version: Version) -> str:
        """The source of the models that saved a version; asked for once.

        Raises:
            VersionMissing: it is not stored any more, or damaged.
            SealBroken: it is not what a participant sealed.
        """
        if version.source or not version.source_id:
            return version.source
        source = self._sources.get(version.source_id)
        if source is None:
            answer: protocol.Source = await self.ask(partial(protocol.FetchSource, source_id=version.source_id))
            source = self._sources[version.source_id] = open_source(self._keys, version, answer.sealed)
        return source
