"""The versions of one app and name, without joining a session: to look at them, to take them elsewhere, to check them.

A connection of its own, on the caller's loop: a question, its answer, the next question. It ends when something goes
wrong, and whoever wants goes on with another one; an import that is repeated stores nothing twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, WebSocketException

from msq_jupyter import protocol
from msq_jupyter.errors import (
    ArgumentError,
    MsqError,
    NoAnswer,
    SealBroken,
    SynchronizerRefused,
    SynchronizerUnreachable,
    VersionDamaged,
    VersionMissing,
)
from msq_jupyter.persistence.annotations import Annotation
from msq_jupyter.persistence.export import ExportedVersion, Manifest, write_export
from msq_jupyter.persistence.records import Version, VersionList
from msq_jupyter.session.arguments import check_rules, persistent_id_of, user_name
from msq_jupyter.session.client import refusal_of
from msq_jupyter.session.connection import explained, open_socket
from msq_jupyter.session.crypto import Keys, derive_root_key
from msq_jupyter.session.curating import Curator
from msq_jupyter.session.discovery import Place, find_place
from msq_jupyter.session.importing import ImportReport, copied, import_versions
from msq_jupyter.session.reading import Reader
from msq_jupyter.session.story import Story
from msq_jupyter.session.versions import Said, open_content, open_meta
from msq_jupyter.stable import check_options, content_bytes, content_value

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
    """What `Archive.export` wrote.

    Attributes:
        versions: how many.
        left_out: which are not in the file, by number, and why.
        without_source: which have no model source in the file, by number, and why.
    """

    versions: int
    left_out: Mapping[int, str]
    without_source: Mapping[int, str]


class Archive:
    """The versions of one app and name; made by `open`.

    Attributes:
        app_id: as given to `open`.
        name: as given to `open`.
        head: number of the version that new sessions start from, 0 for none, when it was asked for last.
        present: how many participants were connected to its sessions when it was opened.
    """

    def __init__(self, app_id: str, name: str, keys: Keys, socket: ClientConnection, place: Place) -> None:
        self.app_id = app_id
        self.name = name
        self.head = 0
        self.present = 0
        self._keys = keys
        self._socket = socket
        self._place = place
        self._lock = asyncio.Lock()
        self._requests = 0
        self._author = user_name()
        self._reader = Reader(keys, self._question)
        self._curator = Curator(keys, self._reader, self._author, Story())

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
            archive = cls(app_id, name, keys, socket, place)
            opened: protocol.Opened = await archive._ask(hello, protocol.Opened, lambda opened: True)
            archive.head, archive.present = opened.head, opened.present
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
        found = await self._reader.versions()
        self.head = found.head
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
            ProtocolError: the synchronizer sent another one.
            SynchronizerUnreachable: the connection was lost.
            NoAnswer: no answer in time.
        """
        stored, answer = await self._reader.fetched(number)
        version = Said(self._keys, answer, self.head).version(stored)
        return version, content_value(open_content(self._keys, stored, answer.base))

    async def source_of(self, version: Version) -> str:
        """The source of the models that saved a version.

        Raises:
            VersionMissing: it is not stored any more, or damaged.
            SealBroken: it is not what a participant sealed.
            SynchronizerUnreachable: the connection was lost.
            NoAnswer: no answer in time.
        """
        return await self._reader.source_of(version)

    async def verify(self) -> list[Checked]:
        """Read every version and its source, and check seals and digests; damage to one hides no other."""
        found = []
        for stored in (await self._listed()).versions:
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
            skip_damaged: leave out what cannot be read instead of raising: a version, or only its source.

        Raises:
            VersionDamaged: as `content`; the file has no end then, and no import takes it. SealBroken likewise.
            VersionMissing: likewise, a version's source.
            OSError: the stream does not take it.
        """
        numbers = [stored.number for stored in (await self._listed()).versions]
        loop = asyncio.get_running_loop()
        left_out: dict[int, str] = {}
        without_source: dict[int, str] = {}
        no_source = without_source if skip_damaged else None

        def whole() -> Iterator[ExportedVersion]:
            for number in numbers:
                try:
                    yield asyncio.run_coroutine_threadsafe(self._exported(number, no_source), loop).result()
                except (VersionDamaged, VersionMissing, SealBroken) as error:
                    if not skip_damaged:
                        raise
                    left_out[number] = str(error)

        def write() -> None:
            for line in write_export(Manifest(app_id=self.app_id, name=self.name, head=self.head), whole()):
                stream.write(line)
            stream.flush()

        await asyncio.to_thread(write)
        return ExportReport(len(numbers) - len(left_out), left_out, without_source)

    async def import_(self, stream: BinaryIO) -> ImportReport:
        """Append what a file of `export` holds, sealed anew under this name's password.

        Imported again, later, the file brings what is new in it: versions, and labels and pins of those that are here.

        The file is checked from its first to its last byte before anything is stored. Versions get new numbers, and
        their parents with them; what is here already (same time, author, session, code and content) is not stored
        again. If the version that was the head there is new here, it is the head here: what new sessions start from. A
        session that somebody is in goes on with its own data, and its next save takes the head back.

        Args:
            stream: the file; it is read on a thread.

        Raises:
            ExportDamaged: the file is not what was written; nothing was stored.
            ContentTooLarge: a version is larger than a synchronizer takes; nothing was stored.
            SynchronizerRefused: a version could not be stored; those before it are. Import again to go on.
        """
        listed = await self._listed()
        said = Said(self._keys, listed)
        save_ids: dict[int, str] = {}
        here = []
        for stored in listed.versions:
            with contextlib.suppress(SealBroken):  # whatever it was, it can be stored again beside it
                here.append((said.version(stored), open_meta(self._keys, stored)))
                save_ids[stored.number] = stored.save_id

        async def say(number: int, kind: str, annotation: Annotation) -> None:
            await self._curator.say(number, save_ids[number], kind, annotation)

        return await import_versions(stream, here, self._keys, self._store, say)

    # --- what stays ----------------------------------------------------------------------------------------------

    async def label(self, number: int, text: str) -> None:
        """Name a version; arguments and errors are those of `Session.label`."""
        await self._curator.label(number, text)

    async def pin(self, number: int, pinned: bool = True) -> None:
        """Keep a version, whatever is pruned; arguments and errors are those of `Session.pin`."""
        await self._curator.pin(number, pinned)

    async def prune(self, words: str, *, dry_run: bool = False) -> list[int]:
        """Drop versions for good; arguments, result and errors are those of `Session.prune`."""
        return await self._curator.prune(words, dry_run=dry_run)

    async def restore(self, number: int) -> int:
        """Append a copy of a version, which sessions start from next; the version before it is its parent.

        A session that somebody is in goes on with its own data, and takes the head back with what it saves next.

        Args:
            number: of the version, 1 or more.

        Returns:
            The number of the copy.

        Raises:
            ArgumentError: sessions start from that version already.
            VersionMissing: as `read`, and so VersionDamaged and SealBroken.
            SynchronizerRefused: the copy could not be stored.
        """
        version, content = await self.read(number)
        head = (await self._listed()).head
        if number == head:
            raise ArgumentError(f"expected an older version than {head}, which sessions start from already")
        source = await self.source_of(version)
        answer = await self._store(copied(self._keys, version, source, content_bytes(content), head, self._author))
        if isinstance(answer, protocol.SaveFailed):
            raise SynchronizerRefused(f"version {number} could not be stored again: {answer.reason}")
        return answer.number

    # --- parts ---------------------------------------------------------------------------------------------------

    async def _listed(self) -> protocol.Versions:
        listed = await self._reader.listed()
        self.head = listed.head
        return listed

    async def _exported(self, number: int, without_source: dict[int, str] | None) -> ExportedVersion:
        """A version as it is exported; if its source cannot be read, that is noted, or raised if there is no place."""
        version, content = await self.read(number)
        try:
            source = await self.source_of(version)
        except (VersionMissing, SealBroken) as error:
            if without_source is None:
                raise
            without_source[number], source = str(error), ""
        names = {field.name for field in dataclasses.fields(ExportedVersion)} - {"content", "source"}
        return ExportedVersion(content=content, source=source, **{name: getattr(version, name) for name in names})

    async def _store(self, save: protocol.Save) -> protocol.Stored | protocol.SaveFailed:
        kinds = (protocol.Stored, protocol.SaveFailed)
        answer: protocol.Stored | protocol.SaveFailed
        answer = await self._ask(save, kinds, lambda answer: answer.save_id == save.save_id)
        return answer

    async def _question(self, message: Callable[[int], protocol.Message]) -> Any:
        self._requests += 1
        request_id = self._requests
        kinds = (protocol.Versions, protocol.VersionContent, protocol.Source, protocol.Done)
        return await self._ask(message(request_id), kinds, lambda answer: answer.request_id == request_id)

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
