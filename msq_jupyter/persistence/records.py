"""What is known of a saved version, and the list of them that people read."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

import msgspec

from msq_jupyter.errors import SealBroken
from msq_jupyter.persistence.annotations import Annotation
from msq_jupyter.persistence.harmless import harmless, shortened
from msq_jupyter.persistence.tables import table_html, table_text

#: A longer text under "version" is none.
SCHEMA_VERSION_LENGTH_MAX = 200


class VersionMeta(msgspec.Struct, frozen=True, array_like=True):
    """What a participant seals with a version.

    Attributes:
        author: name of the participant whose event saved.
        label: "" since labels are annotations; before, the version's name.
        session_id: the session it was saved in.
        code_hash: the code that saved it.
        schema_version: the data's own "version", None when it has none.
        content_id: digest of the content.
        content_bytes: size of the content before sealing.
        source_id: names the model's source that saved it, which is stored apart.
        first_saved_s: of a version that came from a file, when it was saved first, in seconds since 1970; else 0,
            and the synchronizer's clock says when.
    """

    author: str
    label: str
    session_id: str
    code_hash: str
    schema_version: int | str | None
    content_id: str
    content_bytes: int
    source_id: str
    first_saved_s: float = 0.0


@dataclass(frozen=True)
class Version:
    """A saved version of a session's data.

    Attributes:
        number: 1 for the first; numbers grow over all sessions of one name.
        parent: number of the version it grew from, 0 for none.
        time: when it was stored, by the synchronizer's clock, with time zone.
        author: who caused the save.
        label: a name given on purpose, or "".
        session_id: the session it was saved in.
        code_hash: the code that saved it.
        schema_version: the data's own "version", None when it has none.
        size_bytes: size of the data.
        stored_bytes: what it takes on the synchronizer's disk: compressed, or even a patch of another version.
        source_id: names the model's source that saved it.
        source: that source, where it was asked for; "" in lists.
        is_head: whether a session never seen before starts from it.
        pinned: it is kept, whatever is pruned; so is one with a label.
        is_tip: nothing was ever saved on top of it.
        annotations: who said so and when, by `"label"` and `"pin"`.
    """

    number: int
    parent: int
    time: datetime.datetime
    author: str
    label: str
    session_id: str
    code_hash: str
    schema_version: int | str | None
    size_bytes: int
    stored_bytes: int = field(compare=False)
    source_id: str = field(repr=False, compare=False)
    source: str = field(default="", repr=False)
    is_head: bool = False
    pinned: bool = False
    is_tip: bool = False
    annotations: Mapping[str, Annotation] = field(default_factory=dict, repr=False)


class VersionList(list[Version]):
    """Versions, oldest first; shows as a table in notebooks and terminals.

    Attributes:
        damaged: versions of which nothing can be told: by number, why.
        head: number of the version that a session never seen before starts from, 0 for none.
    """

    def __init__(
        self, versions: Iterable[Version] = (), damaged: Mapping[int, str] | None = None, head: int = 0
    ) -> None:
        super().__init__(versions)
        self.damaged: dict[int, str] = dict(damaged or {})
        self.head = head

    _COLUMNS = ("version", "line", "saved", "by", "label", "pin", "schema", "size", "code")

    def lines(self) -> dict[int, str]:
        """Where each version stands, in words: "head", "branch" for the end of another line, "from v3" for a fork.

        Nothing is said of a version that grew from the one before it in the list, and that others grew from.
        """
        places = {}
        before = 0
        for v in self:
            end = "head" if v.is_head else "branch" if v.is_tip else ""
            fork = "" if v.parent == before else f"from v{v.parent}" if v.parent else "from nothing"
            places[v.number] = ", ".join(filter(None, (end, fork)))
            before = v.number
        return places

    def _rows(self) -> list[tuple[str, ...]]:
        lines = self.lines()
        return [
            (
                f"v{v.number}",
                lines[v.number],
                v.time.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
                shortened(v.author),
                shortened(v.label),
                "pinned" if v.pinned else "",
                "" if v.schema_version is None else shortened(str(v.schema_version)),
                size_text(v.size_bytes),
                harmless(v.code_hash[:8]),
            )
            for v in reversed(self)
        ]

    def __repr__(self) -> str:
        if not self and not self.damaged:
            return "no versions yet: a model saves with self.persist_session(...)"
        table = [table_text(self._COLUMNS, self._rows())] if self else []
        return "\n".join([*table, *self._damage()])

    def _damage(self) -> list[str]:
        return [f"v{number}: damaged: {shortened(why, 300)}" for number, why in self.damaged.items()]

    def _repr_html_(self) -> str:
        if not self:
            return f"<p>{escape(repr(self))}</p>"
        damage = "".join(f"<p>{escape(line)}</p>" for line in self._damage())
        return table_html(self._COLUMNS, self._rows()) + damage


def encode_meta(meta: VersionMeta) -> bytes:
    """Bytes of a `VersionMeta`."""
    return msgspec.msgpack.encode(meta)


def decode_meta(data: bytes) -> VersionMeta:
    """The inverse of `encode_meta`.

    Raises:
        SealBroken: the bytes are no `VersionMeta`.
    """
    try:
        return msgspec.msgpack.decode(data, type=VersionMeta)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise SealBroken(f"the description of a version does not decode: {error}") from error


def schema_version_of(data: Any) -> int | str | None:
    """The "version" that saved data names, if it does."""
    version = data.get("version") if isinstance(data, dict) else None
    if type(version) is str:
        return version if len(version) <= SCHEMA_VERSION_LENGTH_MAX else None
    return version if type(version) is int else None


class _Versioned(msgspec.Struct):
    version: Any = None


_versioned_decoder = msgspec.msgpack.Decoder(_Versioned)


def schema_version_in(content: bytes) -> int | str | None:
    """As `schema_version_of`, of canonical bytes: a tenth of the work, because nothing else is decoded."""
    try:
        return schema_version_of({"version": _versioned_decoder.decode(content).version})
    except msgspec.ValidationError:  # no object with keys
        return None


def size_text(size_bytes: int) -> str:
    """A size for people: `980 B`, `1.2 KB`, `3.4 MB`."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    size = size_bytes / 1024
    return f"{size:.1f} KB" if size < 1000 else f"{size / 1024:.1f} MB"
