"""Versions between a participant and the wire: packed and sealed on the way up, opened and unpacked on the way down.

What is sealed is bound to its place: the persistent id, the save's id, its parent, and the version it is a patch of. So
whoever stores it can neither change it nor put it elsewhere. A content is what its own description names, whatever it
was patched from.

Not sealed are what the synchronizer decides by: times, which version is the head, whether a save takes it, and which
annotation is the newest of its kind. A hostile one can put the head on another version, or show a label or a pin as it
once was; both are of this name, and were made by somebody with the password. It can invent neither.
"""

from __future__ import annotations

import datetime
import functools
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Concatenate, ParamSpec, TypeVar

from msq_jupyter import protocol
from msq_jupyter.errors import ContentDamaged, ProtocolError, SealBroken, VersionMissing
from msq_jupyter.persistence.annotations import LABEL, PIN, Annotation, decode_annotation, encode_annotation
from msq_jupyter.persistence.patches import Packed, Packer, decode_packed, encode_packed, unpack
from msq_jupyter.persistence.records import Version, VersionMeta, decode_meta, encode_meta, schema_version_in
from msq_jupyter.runtime.saves import PendingSave
from msq_jupyter.session.crypto import Keys
from msq_jupyter.stable import bytes_digest

#: How long a save waits for the content that it can be a patch of.
KEYFRAME_WAIT_S = 1.0

P = ParamSpec("P")
T = TypeVar("T")


def _one_at_a_time(
    method: Callable[Concatenate[VersionSealer, P], T],
) -> Callable[Concatenate[VersionSealer, P], T]:
    """Let only one such method of a sealer run: drafts are sealed on the socket thread, saves on the main loop."""

    @functools.wraps(method)
    def alone(sealer: VersionSealer, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with sealer._turn:
            return method(sealer, *args, **kwargs)

    return alone


# --- up ----------------------------------------------------------------------------------------------------------


class VersionSealer:
    """Packs, seals and opens versions for one participant.

    It learns which version the next patches are made of (the keyframe) from the `Saved` of the run: everybody in it
    knows the contents of most, whoever uploaded them, so all work on one star. A participant that came later, and does
    not know it, has it fetched before its first save: see `is_ready`.

    Args:
        keys: the session's keys.
        session_id: the session versions are saved in.
        code_hash: the code that saves them.
        source: that code, for people.
        author: our own name, for saves that no participant's event caused.

    Attributes:
        source: as given.
    """

    def __init__(self, keys: Keys, session_id: str, code_hash: str, source: str, author: str) -> None:
        self._keys = keys
        self._session_id = session_id
        self._code_hash = code_hash
        self.source = source
        self._source_id = keys.source_id(code_hash, source)
        self._author = author
        self._packer = Packer()
        self._turn = threading.Lock()
        # What we uploaded last, as a whole and with the source; and until when a keyframe is waited for.
        self._whole: tuple[str, bytes] | None = None
        self._source_sent_with = ""
        self._has_stored_source = False
        self._wait_until_s: float | None = None

    @_one_at_a_time
    def seal(self, pending: PendingSave, parent: int, *, draft: bool = False) -> protocol.Save:
        """What to upload for pending content that grew from version `parent`, 0 for none."""
        base, packed = self._packer.pack(pending.content, parent)
        if base == 0:
            self._whole = (pending.save_id, pending.content)
        if not self._has_stored_source:
            self._source_sent_with = pending.save_id
        meta = VersionMeta(
            author=pending.author or self._author,
            label="",
            session_id=self._session_id,
            code_hash=self._code_hash,
            schema_version=schema_version_in(pending.content),
            content_id=packed.content_id,
            content_bytes=packed.content_bytes,
            source_id=self._source_id,
        )
        source = None if self._has_stored_source else self.source
        said = {LABEL: Annotation(pending.label, meta.author)} if pending.label else {}
        kind: dict[str, Any] = {"said": said, "draft": draft, "takes_head": pending.takes_head}
        return sealed_save(self._keys, pending.save_id, parent, base, meta, packed, source, **kind)

    @_one_at_a_time
    def stored(self, entry: protocol.Saved, content: bytes | None, *, is_ours: bool) -> None:
        """A version of this run is stored.

        Args:
            entry: says so.
            content: the version's, None when our replica does not have it.
            is_ours: whether it is our upload.
        """
        if is_ours and entry.save_id == self._source_sent_with:
            self._has_stored_source = True
        if not entry.is_whole:
            return
        if is_ours and content is None and self._whole and self._whole[0] == entry.save_id:
            content = self._whole[1]
        if content is None:
            self._forget_keyframe()
        else:
            self._packer.use(entry.number, content)

    @_one_at_a_time
    def refused(self, missing: str) -> bool:
        """A save was not stored; whether it is worth to send it again at once, as a whole or with its source.

        Args:
            missing: see `SaveFailed`.
        """
        mended = False
        if missing == "base":
            mended = self._packer.keyframe != 0
            self._packer.forget()
            self.wait_no_longer()
        elif missing == "source":
            mended, self._has_stored_source = self._has_stored_source, False
        return mended

    @_one_at_a_time
    def welcomed(self, welcome: protocol.Welcome) -> None:
        """We are in; a run that begins with a version goes on with patches of it."""
        if welcome.resumed:
            return
        self._forget_keyframe()
        if welcome.snapshot is None and welcome.origin is not None:
            self._use(welcome.origin_base or welcome.origin)

    def is_ready(self, parent: int, now_s: float, fetch: Callable[[int], None]) -> bool:
        """Whether to seal now; else soon, when it is known what to make a patch of.

        Args:
            parent: number of the version the save grew from, 0 for none.
            now_s: the time, in seconds of any steady clock.
            fetch: has a version of a number fetched, and its `VersionContent` given to `fetched`.
        """
        if self._packer.keyframe or parent == 0:
            return True
        if self._wait_until_s is None:
            self._wait_until_s = now_s + KEYFRAME_WAIT_S
            fetch(parent)
        return now_s >= self._wait_until_s

    @_one_at_a_time
    def fetched(self, answer: protocol.VersionContent) -> None:
        """A version came that `is_ready` had fetched; with one that cannot be opened we do without."""
        if self._packer.keyframe == 0 and answer.version is not None:
            self._use(answer.base or answer.version)
        self.wait_no_longer()

    def wait_no_longer(self) -> None:
        """There is no time: without a keyframe, save whole."""
        self._wait_until_s = float("-inf")

    def _use(self, keyframe: protocol.StoredVersion) -> None:
        try:
            self._packer.use(keyframe.number, open_content(self._keys, keyframe))
        except SealBroken:
            self._packer.forget()

    def _forget_keyframe(self) -> None:
        self._packer.forget()
        self._wait_until_s = None


def sealed_save(
    keys: Keys,
    save_id: str,
    parent: int,
    base: int,
    meta: VersionMeta,
    packed: Packed,
    source: str | None,
    *,
    said: Mapping[str, Annotation] = MappingProxyType({}),
    draft: bool = False,
    takes_head: bool = False,
) -> protocol.Save:
    """A version, sealed.

    Args:
        keys: seal it.
        save_id: its id.
        parent: number of the version it grew from, 0 for none.
        base: number of the version that `packed` is a patch of, 0 for none.
        meta: describes it.
        packed: its content.
        source: that of the code that saves, None when the synchronizer has it.
        said: its label, and whether it is pinned.
        draft: see `Save`.
        takes_head: see `Save`.
    """
    place = (save_id, parent, base)
    return protocol.Save(
        save_id,
        parent,
        keys.seal_version("meta", *place, encode_meta(meta)),
        keys.seal_version("content", *place, encode_packed(packed)),
        keys.save_digest(save_id, meta.content_id),
        draft,
        base=base,
        source_id=meta.source_id,
        source=keys.seal_source(meta.source_id, source.encode()) if source is not None else b"",
        takes_head=takes_head,
        annotations=seal_annotations(keys, save_id, said),
    )


# --- down --------------------------------------------------------------------------------------------------------


def open_meta(keys: Keys, stored: protocol.StoredVersion) -> VersionMeta:
    """What a participant sealed with a version; raises SealBroken."""
    meta = decode_meta(keys.open_version("meta", stored.save_id, stored.parent, stored.base, stored.meta))
    if stored.source_id and stored.source_id != meta.source_id:
        raise SealBroken(f"the source of version {stored.number} is not the one that its description names: refused")
    return meta


def open_content(keys: Keys, stored: protocol.StoredVersion, base: protocol.StoredVersion | None = None) -> bytes:
    """The content of a version, which is what its description says: the only way to read one.

    Args:
        keys: open it.
        stored: the version.
        base: the version that it is a patch of, None when it is none.

    Raises:
        SealBroken: one of the two was changed, or is not the right one.
    """
    meta = open_meta(keys, stored)
    plain = keys.open_version("content", stored.save_id, stored.parent, stored.base, stored.content)
    what = f"the content of version {stored.number}"
    base_content = None
    if stored.base:
        if base is None or base.number != stored.base or base.base != 0:
            raise SealBroken(f"{what} is a patch of version {stored.base}, and that did not come with it: refused")
        try:
            base_content = open_content(keys, base)
        except SealBroken as error:
            raise SealBroken(f"{what} is a patch of version {base.number}, and {error}") from error
    try:
        packed = decode_packed(plain)
        content = unpack(packed, base_content)
    except ContentDamaged as error:
        if stored.base == 0 and bytes_digest(plain) == meta.content_id:
            return plain  # from before contents were packed: JSON, which is never taken for something packed
        raise SealBroken(f"{what} is not what was saved: {error}") from error
    if packed.content_id != meta.content_id:
        raise SealBroken(f"{what} is not the one that its description names: refused")
    return content


def open_source(keys: Keys, version: Version, sealed: bytes | None) -> str:
    """The source of the code that saved a version.

    Args:
        keys: open it.
        version: names it.
        sealed: what the synchronizer has under `version.source_id`, None for nothing.

    Raises:
        VersionMissing: it has nothing.
        SealBroken: it is not that source.
    """
    if sealed is None:
        raise VersionMissing(f"the source of version {version.number} is not stored any more, or damaged there")
    source = keys.open_source(version.source_id, sealed).decode()
    if keys.source_id(version.code_hash, source) != version.source_id:
        raise SealBroken(f"the source of version {version.number} is not that of its code: refused")
    return source


def seal_annotations(keys: Keys, save_id: str, annotations: Mapping[str, Annotation]) -> list[tuple[str, bool, bytes]]:
    """What is said of a version, by kind, for the wire."""
    return [
        (kind, annotation.keeps, keys.seal_annotation(kind, save_id, encode_annotation(annotation)))
        for kind, annotation in annotations.items()
    ]


class Said:
    """What a synchronizer's answer says of versions beside what was sealed with them.

    Args:
        keys: open it.
        answer: the answer; None when nothing is known but the versions.
        head: number of the head, if it is known and the answer does not say it.
    """

    def __init__(
        self, keys: Keys, answer: protocol.Versions | protocol.VersionContent | None = None, head: int = 0
    ) -> None:
        self._keys = keys
        self._sealed: dict[int, dict[str, bytes]] = {}
        for number, kind, sealed in answer.annotations if answer else ():
            self._sealed.setdefault(number, {})[kind] = sealed
        self._tips, self._head = frozenset[int](), head
        if isinstance(answer, protocol.Versions):
            self._tips, self._head = frozenset(answer.tips), answer.head

    def version(self, stored: protocol.StoredVersion) -> Version:
        """What people read about a version.

        Raises:
            SealBroken: something of it was changed.
        """
        annotations = {
            kind: decode_annotation(kind, self._keys.open_annotation(kind, stored.save_id, sealed))
            for kind, sealed in self._sealed.get(stored.number, {}).items()
        }
        place = {"is_head": stored.number == self._head, "is_tip": stored.number in self._tips}
        return version_of(stored, open_meta(self._keys, stored), annotations, **place)


def version_of(
    stored: protocol.StoredVersion,
    meta: VersionMeta,
    annotations: Mapping[str, Annotation] = MappingProxyType({}),
    *,
    is_head: bool = False,
    is_tip: bool = False,
) -> Version:
    """What people read about a version; raises SealBroken when its time is none."""
    try:
        time = datetime.datetime.fromtimestamp(meta.first_saved_s or stored.time_s, datetime.timezone.utc)
    except (ValueError, OverflowError, OSError) as error:
        raise SealBroken(f"the time of version {stored.number} is none: {error}") from error
    return Version(
        number=stored.number,
        parent=stored.parent,
        time=time,
        author=meta.author,
        label=str(annotations[LABEL].value) if LABEL in annotations else meta.label,
        session_id=meta.session_id,
        code_hash=meta.code_hash,
        schema_version=meta.schema_version,
        size_bytes=meta.content_bytes,
        stored_bytes=stored.size_bytes + len(stored.meta),
        source_id=stored.source_id,
        # From before sources were stored apart: there it was in the place of its id.
        source="" if stored.source_id else meta.source_id,
        is_head=is_head,
        pinned=PIN in annotations and bool(annotations[PIN].value),
        is_tip=is_tip,
        annotations=annotations,
    )


async def portions(list_after: Callable[[int], Awaitable[protocol.Versions]]) -> AsyncIterator[protocol.Versions]:
    """The list of all versions, portion by portion, the oldest first.

    Args:
        list_after: asks for those above a number.

    Raises:
        ProtocolError: the numbers do not rise.
    """
    after, more = 0, True
    while more:
        portion = await list_after(after)
        for version in portion.versions:
            if version.number <= after:
                raise ProtocolError(f"expected a version above {after} in the list, got {version.number}")
            after = version.number
        yield portion
        more = portion.more and bool(portion.versions)


def missing(number: object, existing: list[int]) -> VersionMissing:
    """The error for a number that is none of the versions there are."""
    there = f"one of the versions {_ranges_text(existing)}" if existing else "a saved version, and there is none yet"
    return VersionMissing(f"expected {there}, got {number!r}")


def _ranges_text(numbers: list[int]) -> str:
    """`1 to 4, 6, 9 to 12`."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in ranges)
