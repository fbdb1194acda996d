"""A name's versions in one portable file, written and read piece by piece.

The file is text: one canonical JSON object to a line (keys sorted, no white space, UTF-8), in this order.

* `{"app_id", "format": "msq-versions", "format_version": 1, "head", "name"}`: the manifest; "head" is the number of the
  version that new sessions start from, 0 when that is not said.
* For each version, the oldest first: `{"source", "source_id"}` if no line before had that source, then the version:
  `{"author", "code_hash", "content", "content_id", "label", "number", "parent", "parent_dropped", "pinned",
  "schema_version", "session_id", "source_id", "time"}`. `content` is the data itself, `content_id` and `source_id` are
  digests; "parent_dropped" says that the parent was not kept, so that it is not missed.
* `{"digest", "versions"}`: how many there were, and the SHA-256 of all lines before. A file without it was cut.

Equal versions give equal bytes. A file holds contents in clear: it is as secret as what was saved.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, BinaryIO, TypeVar

import msgspec

from msq_jupyter.errors import ArgumentError, ExportDamaged, PersistenceTypeError
from msq_jupyter.persistence.harmless import shortened
from msq_jupyter.stable import (
    INTEGER_LIMIT,
    bytes_digest,
    check_json,
    content_bytes,
    is_utf8,
    stable_json,
    text_digest,
)

FORMAT = "msq-versions"
FORMAT_VERSION = 1
#: A longer line is refused before it is read: a version's content, as text, with what belongs to it.
LINE_BYTES_MAX = 512 * 2**20
#: All sources of a file together; they are held while it is read.
SOURCES_BYTES_MAX = 256 * 2**20

T = TypeVar("T")


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a file is about: the versions of one application's `name`, and which of them is the head, 0 for unknown."""

    app_id: str
    name: str
    head: Annotated[int, msgspec.Meta(ge=0, lt=INTEGER_LIMIT)] = 0
    format: str = FORMAT
    format_version: int = FORMAT_VERSION


@dataclass(frozen=True)
class ExportedVersion:
    """A version with everything that is known of it.

    Attributes:
        number: 1 or more.
        parent: number of the version it grew from, 0 for none. It need not be in the file, if it was dropped.
        time: when it was stored, with time zone.
        author: who caused the save.
        label: a name given on purpose, or "".
        pinned: whether it must stay.
        session_id: the session it was saved in.
        code_hash: the code that saved it.
        schema_version: the data's own "version", None when it has none.
        source: the model's source that saved it.
        content: the data: JSON that `check_json` lets pass.
    """

    number: int
    parent: int
    time: datetime.datetime
    author: str
    label: str
    pinned: bool
    session_id: str
    code_hash: str
    schema_version: int | str | None
    source: str
    content: Any


_Number = Annotated[int, msgspec.Meta(ge=1, lt=INTEGER_LIMIT)]
_Parent = Annotated[int, msgspec.Meta(ge=0, lt=INTEGER_LIMIT)]


class _SourceLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: str
    source_id: str


class _VersionLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    author: str
    code_hash: str
    content: Any
    content_id: str
    label: str
    number: _Number
    parent: _Parent
    parent_dropped: bool
    pinned: bool
    schema_version: int | str | None
    session_id: str
    source_id: str
    time: str


class _EndLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    digest: str
    versions: int


# --- writing -----------------------------------------------------------------------------------------------------


def write_export(manifest: Manifest, versions: Iterable[ExportedVersion]) -> Iterator[bytes]:
    """The lines of a file, each with its line end; nothing is held but the digests of sources.

    Args:
        manifest: what the file is about.
        versions: the versions, by rising number.

    Raises:
        ArgumentError: a number that does not rise, or a time without time zone.
        PersistenceTypeError: a content is not JSON; names the path.
    """
    digest = hashlib.sha256()
    number = 0
    numbers: set[int] = set()
    sources: set[str] = set()

    def line(fields: Any) -> bytes:
        text = stable_json(fields).encode() + b"\n"
        digest.update(text)
        return text

    yield line(msgspec.to_builtins(manifest))
    for version in versions:
        if version.number <= number:
            raise ArgumentError(f"versions: expected a number above {number}, got {version.number}: sort them")
        number = version.number
        numbers.add(number)
        _check_version(version)
        source_id = text_digest(version.source)
        if source_id not in sources:
            sources.add(source_id)
            yield line({"source": version.source, "source_id": source_id})
        parent_dropped = version.parent != 0 and version.parent not in numbers
        yield line({**_version_fields(version), "parent_dropped": parent_dropped, "source_id": source_id})
    yield line({"digest": _text(digest), "versions": len(numbers)})


def _check_version(version: ExportedVersion) -> None:
    what = f"version {version.number}"
    if not 0 <= version.parent < version.number:
        raise ArgumentError(f"{what}: expected an older version as its parent, got {version.parent}")
    if version.time.utcoffset() is None:
        raise ArgumentError(f"{what}: expected a time with time zone, got {version.time!r}")
    for name in ("author", "code_hash", "label", "session_id", "source"):
        if not is_utf8(getattr(version, name)):
            raise ArgumentError(f"{what}: expected text as its {name}, got half a surrogate pair in it")
    check_json(version.content, "content")


def _version_fields(version: ExportedVersion) -> dict[str, Any]:
    names = ("author", "code_hash", "content", "label", "number", "parent", "pinned", "schema_version", "session_id")
    return {
        **{name: getattr(version, name) for name in names},
        "content_id": bytes_digest(content_bytes(version.content)),
        "time": version.time.astimezone(datetime.timezone.utc).isoformat(timespec="microseconds"),
    }


def _text(digest: Any) -> str:
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()


# --- reading -----------------------------------------------------------------------------------------------------


class ExportReader:
    """Reads a file, and checks all of it: form, order, sizes, digests, and that it is complete.

    Iterate over it for the versions. Only when the iteration has ended is the file known to be whole, so nothing
    should be stored for good before; to look first, iterate once over another reader.

    Args:
        stream: the file, open for reading bytes.
        line_bytes_max: longer lines are refused.

    Attributes:
        manifest: what the file is about.

    Raises:
        ExportDamaged: names line and version, and what is wrong.
    """

    def __init__(self, stream: BinaryIO, *, line_bytes_max: int = LINE_BYTES_MAX) -> None:
        self._stream = stream
        self._line_bytes_max = line_bytes_max
        self._line = 0
        self._digest = hashlib.sha256()
        self._number = 0
        self._numbers: set[int] = set()
        self._sources_bytes = 0
        self._sources: dict[str, str] = {}
        self.manifest = self._read_manifest()

    def __iter__(self) -> Iterator[ExportedVersion]:
        """The versions, by rising number."""
        count = 0
        while True:
            before = _text(self._digest)
            line = self._next_line()
            if line.startswith(b'{"source":'):
                self._read_source(line)
            elif line.startswith(b'{"digest":'):
                self._read_end(line, before, count)
                return
            else:
                count += 1
                yield self._read_version(line)

    # --- lines ---------------------------------------------------------------------------------------------------

    def _next_line(self) -> bytes:
        self._line += 1
        line = self._stream.readline(self._line_bytes_max + 1)
        if len(line) > self._line_bytes_max:
            raise self._damage(f"expected a line of at most {self._line_bytes_max:,} bytes, got a longer one")
        if not line.endswith(b"\n"):
            raise self._damage(f"expected {'more lines' if not line else 'a line end'}, got the end: the file was cut")
        self._digest.update(line)
        return line

    def _decoded(self, line: bytes, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(line, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise self._damage(shortened(str(error), 300)) from None

    def _read_manifest(self) -> Manifest:
        line = self._next_line()
        try:
            fields = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            fields = {}
        if fields.get("format") != FORMAT:
            raise self._damage(f'expected a file of versions, which begins with "format":"{FORMAT}", got another one')
        version = fields.get("format_version")
        if version != FORMAT_VERSION or type(version) is not int:
            got = shortened(repr(version), 40)
            raise self._damage(f"expected format version {FORMAT_VERSION}, got {got}: read it with a newer msq_jupyter")
        return self._decoded(line, Manifest)

    def _read_source(self, line: bytes) -> None:
        read = self._decoded(line, _SourceLine)
        if text_digest(read.source) != read.source_id:
            raise self._damage("expected the source that its digest says, got another one")
        self._sources[read.source_id] = read.source
        self._sources_bytes += len(line)
        if self._sources_bytes > SOURCES_BYTES_MAX:
            raise self._damage(f"expected at most {SOURCES_BYTES_MAX:,} bytes of sources, got more")

    def _read_end(self, line: bytes, digest: str, count: int) -> None:
        read = self._decoded(line, _EndLine)
        if read.versions != count:
            raise self._damage(f"expected {read.versions:,} versions, got {count:,}")
        if read.digest != digest:
            raise self._damage("expected the lines that the digest at the end says, got others: the file was changed")
        if self._stream.read(1):
            self._line += 1
            raise self._damage("expected the end, got more")

    def _read_version(self, line: bytes) -> ExportedVersion:
        read = self._decoded(line, _VersionLine)
        number = read.number
        if number <= self._number:
            raise self._damage(f"expected a version above {self._number}, got {number}")
        if read.parent >= number:
            raise self._damage(f"expected an older version as its parent, got {read.parent}", number)
        if read.parent and read.parent not in self._numbers and not read.parent_dropped:
            raise self._damage(f"expected its parent, version {read.parent}, on an earlier line, got none", number)
        if read.source_id not in self._sources:
            source_id = shortened(read.source_id, 50)
            raise self._damage(f"expected its source {source_id} on an earlier line, got none", number)
        try:
            check_json(read.content, "content")
        except PersistenceTypeError as error:
            raise self._damage(str(error), number) from None
        if bytes_digest(content_bytes(read.content)) != read.content_id:
            raise self._damage("expected the content that its digest says, got another one", number)
        time = self._time(read.time, number)
        self._number = number
        self._numbers.add(number)
        return ExportedVersion(
            number=number,
            parent=read.parent,
            time=time,
            author=read.author,
            label=read.label,
            pinned=read.pinned,
            session_id=read.session_id,
            code_hash=read.code_hash,
            schema_version=read.schema_version,
            source=self._sources[read.source_id],
            content=read.content,
        )

    def _time(self, text: str, number: int) -> datetime.datetime:
        try:
            time = datetime.datetime.fromisoformat(text)
            if time.utcoffset() == datetime.timedelta(0):
                return time.astimezone(datetime.timezone.utc)
        except (ValueError, OverflowError):
            pass
        got = shortened(text, 60)
        raise self._damage(f"expected a time such as 2026-11-24T12:00:00.000000+00:00, got {got}", number)

    def _damage(self, what: str, version: int = 0) -> ExportDamaged:
        return ExportDamaged(self._line, version, self._number, what)
