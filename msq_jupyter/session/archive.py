"""The versions of one app and name, without joining a session: to look at them, to take them elsewhere, to check them.

A connection of its own, on the caller's loop: a question, its answer, the next question. It ends when something goes
wrong, and whoever wants goes on with another one; an import that is repeated stores nothing twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, WebSocketException

from msq_jupyter import protocol
from msq_jupyter.errors import (
    MsqError,
    NoAnswer,
    ProtocolError,
    SealBroken,
    SynchronizerUnreachable,
    VersionDamaged,
    VersionMissing,
)
from msq_jupyter.persistence.export import ExportedVersion, Manifest, write_export
from msq_jupyter.persistence.records import Version, VersionList, VersionMeta
from msq_jupyter.session.arguments import check_rules, persistent_id_of
from msq_jupyter.session.client import refusal_of
from msq_jupyter.session.connection import explained, open_socket
from msq_jupyter.session.crypto import Keys, derive_root_key
from msq_jupyter.session.discovery import Place, find_place
from msq_jupyter.session.importing import ImportReport, import_versions
from msq_jupyter.session.versions import open_content, open_meta, open_source, portions, version_of
from msq_jupyter.stable import check_options, content_value

#: How long finding and opening a connection may take: a local synchronizer may have to start.
OPEN_S = 30.0
#: How long one answer may take: up to 64 MB, over a slow line.
ANSWER_S = 120.0

T = TypeVar("T")


@dataclass(frozen=True)
class Checked:
    """What `Archive.verify` found about one version; `damage` is "" when all is well."""

    number: int
    damage: str


@dataclass(frozen=True)
class ExportReport:
    """What `Archive.export` wrote: how many versions, and which it left out and why, by number."""

    versions: int
    left_out: Mapping[int, str]


class Archive:
    """The versions of one app and name; made by `open`.

    Attributes:
        app_id: as given to `open`.
        name: as given to `open`.
        head: number of the version that new sessions start from, 0 for none, when it was asked for last.
    """

    def __init__(self, app_id: str, name: str, keys: Keys, socket: ClientConnection, place: Place, head: int) -> None:
        self.app_id = app_id
        self.name = name
        self.head = head
        self._keys = keys
        self._socket = socket
        self._place = place
        self._lock = asyncio.Lock()
        self._requests = 0
        self._sources: dict[str, str] = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls,
        *,
        app_id: str,
        name: str,
        password: str | None = None,
        persistent_options: Mapping[str, Any] | None = None,
        synchronizer: str | None = None,
        create: bool = False,
    ) -> AsyncIterator[Archive]:
        """Open it: `async with Archive.open(...) as archive`.

        Args:
            app_id: as for `Session.join`.
            name: as for `Session.join`.
            password: that of the name, None for one without.
            persistent_options: those options, with their values, that sessions name in `persistent_options`.
            synchronizer: as for `Session.join`.
            create: a name that nobody has used yet is not an error, but has no versions, to import into.

        Raises:
            ArgumentError: names the argument.
            NameMissing: nothing was ever saved under this name.
            WrongPassword: the name is in use with another password.
            SynchronizerUnreachable: nobody answers.
            NoAnswer: nobody answers in time.
        """
        check_rules({"app_id": app_id, "name": name, "password": password, "synchronizer": synchronizer})
        persistent_id = persistent_id_of(app_id, name, check_options(persistent_options))
        place = find_place(synchronizer)
        place.check_password(password)
        keys = Keys(await asyncio.to_thread(derive_root_key, password, persistent_id), persistent_id, "")
        hello = protocol.Open(protocol.PROTOCOL_VERSION, persistent_id, keys.password_check, create)
        socket = await _connected(place)
        try:
            archive = cls(app_id, name, keys, socket, place, head=0)
            archive.head = (await archive._ask(hello, protocol.Opened, lambda opened: True)).head
            yield archive
        finally:
            # Not left to chance when the caller was cancelled: the other side learns of it at once.
            await asyncio.shield(asyncio.ensure_future(socket.close()))

    # --- reading -------------------------------------------------------------------------------------------------

    async def versions(self) -> VersionList:
        """Every version, oldest first; `damaged` of the list says which cannot be read, and why.

        Raises:
            SynchronizerUnreachable: the connection was lost.
            NoAnswer: no answer in time.
        """
        stored_versions = await self._stored_versions()
        found = VersionList(head=self.head)
        for stored in stored_versions:
            try:
                found.append(self._described(stored)[0])
            except SealBroken as error:
                found.damaged[stored.number] = str(error)
        return found

    async def content(self, number: int) -> Any:
        """The data of one version, JSON; digest and seal were checked. Arguments and errors are those of `read`."""
        return (await self.read(number))[1]

    async def read(self, number: int) -> tuple[Version, Any]:
        """One version: what is known of it, and its data, JSON; `source_of` has its source.

        Args:
            number: the version's, 1 or more.

        Raises:
            VersionMissing: there is none of this number.
            VersionDamaged: the synchronizer's file is damaged there.
            SealBroken: it is not what a participant sealed.
            SynchronizerUnreachable: the connection was lost.
            NoAnswer: no answer in time.
        """
        self._requests += 1
        query = protocol.FetchVersion(self._requests, number)
        answer = await self._ask(query, protocol.VersionContent, lambda a: a.request_id == query.request_id)
        stored = answer.version
        if answer.damaged:
            raise VersionDamaged(number, answer.damaged)
        if stored is None:
            numbers = [stored.number for stored in await self._stored_versions()]
            newest = f"a version up to {numbers[-1]}" if numbers else "no version, because nothing was saved yet"
            raise VersionMissing(f"expected {newest} of {self.name!r}, got {number}")
        if stored.number != number:
            raise ProtocolError(f"expected version {number}, got {stored.number}")
        return self._described(stored)[0], content_value(open_content(self._keys, stored, answer.base))

    async def source_of(self, version: Version) -> str:
        """The source of the models that saved a version.

        Raises:
            VersionMissing: it is not stored any more, or damaged.
            SealBroken: it is not what a participant sealed.
            SynchronizerUnreachable: the connection was lost.
            NoAnswer: no answer in time.
        """
        if version.source or not version.source_id:
            return version.source
        source = self._sources.get(version.source_id)
        if source is None:
            self._requests += 1
            query = protocol.FetchSource(self._requests, version.source_id)
            answer = await self._ask(query, protocol.Source, lambda a: a.request_id == query.request_id)
            source = self._sources[version.source_id] = open_source(self._keys, version, answer.sealed)
        return source

    async def verify(self) -> list[Checked]:
        """Read every version and its source, and check seals and digests; damage to one hides no other."""
        found = []
        for stored in await self._stored_versions():
            damage = ""
            try:
                await self.source_of((await self.read(stored.number))[0])
            except (VersionDamaged, VersionMissing, SealBroken) as error:
                damage = str(error)
            found.append(Checked(stored.number, damage))
        return found

    # --- taking elsewhere ----------------------------------------------------------------------------------------

    async def export(self, stream: BinaryIO, *, skip_damaged: bool = False) -> ExportReport:
        """Write all versions as one file, in clear, see `msq_jupyter.persistence.export`.

        Args:
            stream: takes bytes; it is written to on a thread.
            skip_damaged: leave out what cannot be read, a version or its source, instead of raising.

        Raises:
            VersionDamaged: as `content`; the file has no end then, and no import takes it. SealBroken likewise.
            VersionMissing: likewise, a version's source.
            OSError: the stream does not take it.
        """
        numbers = [stored.number for stored in await self._stored_versions()]
        loop = asyncio.get_running_loop()
        left_out: dict[int, str] = {}

        def whole() -> Iterator[ExportedVersion]:
            for number in numbers:
                try:
                    yield asyncio.run_coroutine_threadsafe(self._exported(number), loop).result()
                except (VersionDamaged, VersionMissing, SealBroken) as error:
                    if not skip_damaged:
                        raise
                    left_out[number] = str(error)

        def write() -> None:
            for line in write_export(Manifest(app_id=self.app_id, name=self.name, head=self.head), whole()):
                stream.write(line)
            stream.flush()

        await asyncio.to_thread(write)
        return ExportReport(len(numbers) - len(left_out), left_out)

    async def import_(self, stream: BinaryIO) -> ImportReport:
        """Append what a file of `export` holds, sealed anew under this name's password.

        The file is checked from its first to its last byte before anything is stored. Versions get new numbers, and
        their parents with them; what is here already (same time, author, session, code and content) is not stored
        again. If the version that was the head there is new here, it is the head here: what new sessions start from. A
        session that is live meanwhile does not hear of it, and its next save takes the head back.

        Args:
            stream: the file; it is read on a thread.

        Raises:
            ExportDamaged: the file is not what was written; nothing was stored.
            ContentTooLarge: a version is larger than a synchronizer takes; nothing was stored.
            SynchronizerRefused: a version could not be stored; those before it are. Import again to go on.
        """
        here = []
        for stored in await self._stored_versions():
            with contextlib.suppress(SealBroken):  # whatever it was, it can be stored again beside it
                here.append(self._described(stored))
        return await import_versions(stream, here, self._keys, self._store)

    # --- parts ---------------------------------------------------------------------------------------------------

    async def _stored_versions(self) -> list[protocol.StoredVersion]:
        async def list_after(after: int) -> protocol.Versions:
            self._requests += 1
            query = protocol.ListVersions(self._requests, after)
            answer: protocol.Versions
            answer = await self._ask(query, protocol.Versions, lambda a: a.request_id == query.request_id)
            self.head = answer.head
            return answer

        return [stored async for portion in portions(list_after) for stored in portion.versions]

    def _described(self, stored: protocol.StoredVersion) -> tuple[Version, VersionMeta]:
        meta = open_meta(self._keys, stored)
        return version_of(stored, meta, self.head), meta

    async def _exported(self, number: int) -> ExportedVersion:
        version, content = await self.read(number)
        source = await self.source_of(version)
        names = ("number", "parent", "time", "author", "label", "session_id", "code_hash", "schema_version")
        fields = {name: getattr(version, name) for name in names}
        return ExportedVersion(content=content, source=source, pinned=False, **fields)

    async def _store(self, save: protocol.Save) -> protocol.Stored | protocol.SaveFailed:
        kinds = (protocol.Stored, protocol.SaveFailed)
        answer: protocol.Stored | protocol.SaveFailed
        answer = await self._ask(save, kinds, lambda answer: answer.save_id == save.save_id)
        return answer

    async def _ask(self, message: protocol.Message, kind: Any, is_mine: Callable[[Any], bool]) -> Any:
        """Say something; the first answer of its kind that is for us. Late answers to others are dropped."""
        async with self._lock:
            try:
                return await asyncio.wait_for(self._answer(message, kind, is_mine), ANSWER_S)
            except asyncio.TimeoutError:
                raise NoAnswer(f"{self._place.name} did not answer within {ANSWER_S:.0f} s: try again") from None
            except (OSError, ConnectionClosed) as error:
                reason = error.rcvd.reason if isinstance(error, ConnectionClosed) and error.rcvd else ""
                raise SynchronizerUnreachable(
                    f"the connection to {self._place.name} was lost ({reason or 'without a word'}): try again"
                ) from error

    async def _answer(self, message: protocol.Message, kind: Any, is_mine: Callable[[Any], bool]) -> Any:
        await self._socket.send(protocol.encode(message))
        while True:
            answer = protocol.decode_down(await self._socket.recv())
            if isinstance(answer, protocol.Refused):
                raise refusal_of(answer)
            if isinstance(answer, kind) and is_mine(answer):
                return answer


async def _connected(place: Place) -> ClientConnection:
    try:
        address = await asyncio.wait_for(asyncio.to_thread(place.locate), OPEN_S)
        return await open_socket(address)
    except asyncio.TimeoutError:
        raise NoAnswer(f"{place.name} did not answer in time: try again") from None
    except MsqError as error:
        raise explained(error, place) if isinstance(error, SynchronizerUnreachable) else error from None
    except (OSError, WebSocketException) as error:
        raise explained(error, place) from error
