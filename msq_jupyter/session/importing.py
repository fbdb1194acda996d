"""From a file of versions into a name: each sealed anew, numbered anew, and stored once however often it is tried."""

from __future__ import annotations

import asyncio
import datetime
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO

from msq_jupyter import protocol
from msq_jupyter.errors import ArgumentError, ContentTooLarge, SynchronizerRefused
from msq_jupyter.persistence.annotations import LABEL, LABEL_CHARACTERS_MAX, PIN, Annotation
from msq_jupyter.persistence.export import ExportedVersion, ExportReader, Manifest
from msq_jupyter.persistence.patches import Packer, pack
from msq_jupyter.persistence.records import Version, VersionMeta, encode_meta
from msq_jupyter.session.crypto import Keys
from msq_jupyter.session.versions import sealed_save
from msq_jupyter.stable import bytes_digest, content_bytes, stable_json

#: A file up to this size is held in memory while it is checked; a larger one in a nameless file of this user.
HELD_BYTES_MAX = 64 * 2**20

#: What makes a version the same one in two places.
Identity = tuple[int, str, str, str, str]
#: A version that is there.
Here = tuple[Version, VersionMeta]
Store = Callable[[protocol.Save], Awaitable["protocol.Stored | protocol.SaveFailed"]]
#: Says something of a version that is there: its number, the kind, the annotation.
Say = Callable[[int, str, Annotation], Awaitable[None]]


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Attributes:
        manifest: where the file came from.
        numbers: for each version of the file, by its number there, the number here.
        stored: how many of them were new here.
        said: of how many that were here the label or pin of the file was new.
        without_parent: numbers in the file whose parent was not in it; they have none here.
    """

    manifest: Manifest
    numbers: dict[int, int]
    stored: int
    said: int
    without_parent: tuple[int, ...]


async def import_versions(stream: BinaryIO, here: Iterable[Here], keys: Keys, store: Store, say: Say) -> ImportReport:
    """Check a file, then store what is new in it.

    A label or a pin that a version got there, since it was imported before, it gets here; but what somebody said of it
    here holds, and nothing is taken away.

    Args:
        stream: the file; read once, on a thread.
        here: the versions that are there.
        keys: seal for the name that gets them.
        store: has one stored.
        say: has an annotation stored.

    Raises:
        ExportDamaged: the file is not what was written; nothing was stored.
        ContentTooLarge: a version is larger than a synchronizer takes; nothing was stored.
        ArgumentError: a label is too long; nothing was stored.
        SynchronizerRefused: a version could not be stored; those before it are.
    """
    there = {_identity(version.time, meta): version for version, meta in here}
    known = {identity: version.number for identity, version in there.items()}
    numbers: dict[int, int] = {0: 0}
    stored = said = 0
    without_parent: list[int] = []
    writer = _Writer(keys, store)
    with tempfile.SpooledTemporaryFile(HELD_BYTES_MAX) as checked:
        head = await asyncio.to_thread(_check, keys, stream, checked)
        checked.seek(0)
        reader = ExportReader(checked)  # type: ignore[arg-type]
        versions = iter(reader)
        while (version := await asyncio.to_thread(next, versions, None)) is not None:
            if version.parent not in numbers:
                without_parent.append(version.number)
            meta, content = _parts(keys, version)
            identity = _identity(version.time, meta)
            if identity in there:
                news = _news(there[identity], version)
                for kind, annotation in news.items():
                    await say(known[identity], kind, annotation)
                said += bool(news)
            if identity not in known:
                parent, takes_head = numbers.get(version.parent, 0), version.number == head
                answer = await writer.write(identity, parent, meta, content, version, takes_head=takes_head)
                if isinstance(answer, protocol.SaveFailed):
                    raise SynchronizerRefused(
                        f"version {version.number} of the file could not be stored: {answer.reason}; the versions "
                        "before it are stored, and importing again goes on from there"
                    )
                known[identity] = answer.number
                stored += 1
            numbers[version.number] = known[identity]
    del numbers[0]
    return ImportReport(reader.manifest, numbers, stored, said, tuple(without_parent))


def copied(keys: Keys, version: Version, source: str, content: bytes, parent: int, author: str) -> protocol.Save:
    """A version once more, on top of another one.

    Args:
        keys: seal it.
        version: what is known of it.
        source: of the code that saved it.
        content: its data.
        parent: number of the version it is to follow.
        author: who wants it.
    """
    packed = pack(content)
    meta = VersionMeta(
        author=author,
        label="",
        session_id=version.session_id,
        code_hash=version.code_hash,
        schema_version=version.schema_version,
        content_id=packed.content_id,
        content_bytes=packed.content_bytes,
        source_id=keys.source_id(version.code_hash, source),
    )
    said = {LABEL: Annotation(f"restored from version {version.number}", author)}
    return sealed_save(keys, os.urandom(16).hex(), parent, 0, meta, packed, source, said=said, takes_head=True)


class _Copying:
    """A stream that keeps a copy of what was read from it."""

    def __init__(self, stream: BinaryIO, copy: Any) -> None:
        self._stream = stream
        self._copy = copy

    def readline(self, size: int) -> bytes:
        return self._kept(self._stream.readline(size))

    def read(self, size: int) -> bytes:
        return self._kept(self._stream.read(size))

    def _kept(self, data: bytes) -> bytes:
        self._copy.write(data)
        return data


def _check(keys: Keys, stream: BinaryIO, copy: Any) -> int:
    """Read all of it; the number of the version that was the head where the file comes from, or else the newest."""
    reader = ExportReader(_Copying(stream, copy))  # type: ignore[arg-type]
    head = number = 0
    for version in reader:
        number = version.number
        head = number if number == reader.manifest.head else head
        meta, content = _parts(keys, version)
        if len(version.label) > LABEL_CHARACTERS_MAX:
            raise ArgumentError(
                f"version {version.number} of the file: expected a label of at most {LABEL_CHARACTERS_MAX} characters, "
                f"got {len(version.label):,}"
            )
        size_bytes = len(content) + len(encode_meta(meta)) + len(version.source.encode())
        if size_bytes > protocol.CONTENT_BYTES_MAX:
            raise ContentTooLarge(f"version {version.number} of the file", size_bytes, protocol.CONTENT_BYTES_MAX)
    return head or number


def _parts(keys: Keys, version: ExportedVersion) -> tuple[VersionMeta, bytes]:
    content = content_bytes(version.content)
    meta = VersionMeta(
        author=version.author,
        label="",
        session_id=version.session_id,
        code_hash=version.code_hash,
        schema_version=version.schema_version,
        content_id=bytes_digest(content),
        content_bytes=len(content),
        source_id=keys.source_id(version.code_hash, version.source),
        first_saved_s=version.time.timestamp(),
    )
    return meta, content


def _said(version: ExportedVersion) -> dict[str, Annotation]:
    """What the file says of a version, for the place it comes to."""
    said: dict[str, str | bool] = {LABEL: version.label, PIN: version.pinned}
    return {kind: Annotation(value, version.author) for kind, value in said.items() if value}


def _news(here: Version, version: ExportedVersion) -> dict[str, Annotation]:
    """What the file says of a version that is here, and nobody here does; what is said here has a time."""
    old = here.annotations
    return {
        kind: annotation
        for kind, annotation in _said(version).items()
        if kind not in old or (old[kind].time is None and old[kind].value != annotation.value)
    }


class _Writer:
    """Has versions stored, each with its source the first time, most as patches of one before."""

    def __init__(self, keys: Keys, store: Store) -> None:
        self._keys = keys
        self._store = store
        self._packer = Packer()
        self._sources: set[str] = set()
        self._newest = 0

    async def write(
        self,
        identity: Identity,
        parent: int,
        meta: VersionMeta,
        content: bytes,
        version: ExportedVersion,
        *,
        takes_head: bool,
    ) -> protocol.Stored | protocol.SaveFailed:
        answer = await self._attempt(identity, parent, meta, content, version, takes_head)
        if isinstance(answer, protocol.SaveFailed) and answer.missing:
            # An earlier import may have stored otherwise what we take for a keyframe.
            self._packer.forget()
            self._sources.clear()
            answer = await self._attempt(identity, parent, meta, content, version, takes_head)
        return answer

    async def _attempt(
        self,
        identity: Identity,
        parent: int,
        meta: VersionMeta,
        content: bytes,
        version: ExportedVersion,
        takes_head: bool,
    ) -> protocol.Stored | protocol.SaveFailed:
        # From the identity, so that repeating an import whose answer was lost is harmless; keyed, so it tells nothing.
        save_id = bytes_digest(self._keys.save_digest("import", stable_json(list(identity))))
        base, packed = self._packer.pack(content, self._newest)
        sent = None if meta.source_id in self._sources else version.source
        kind: dict[str, Any] = {"said": _said(version), "takes_head": takes_head}
        save = sealed_save(self._keys, save_id, parent, base, meta, packed, sent, **kind)
        answer = await self._store(save)
        if isinstance(answer, protocol.Stored):
            self._newest = answer.number
            self._sources.add(meta.source_id)
            if base == 0:
                self._packer.use(answer.number, content)
        return answer


def _identity(time: datetime.datetime, meta: VersionMeta) -> Identity:
    return _microseconds(time), meta.author, meta.session_id, meta.code_hash, meta.content_id


def _microseconds(time: datetime.datetime) -> int:
    since = time - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return since // datetime.timedelta(microseconds=1)
