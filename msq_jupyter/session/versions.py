"""Versions between a session and the wire: sealed on the way up, opened on the way down."""

from __future__ import annotations

import datetime

from msq_jupyter import protocol
from msq_jupyter.errors import SealBroken
from msq_jupyter.persistence.records import Version, VersionMeta, decode_meta, encode_meta, schema_version_of
from msq_jupyter.runtime.saves import PendingSave
from msq_jupyter.session.crypto import Keys
from msq_jupyter.stable import bytes_digest, content_value


class VersionSealer:
    """Seals and opens versions for one participant.

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
        self._author = author

    def seal(self, pending: PendingSave, parent: int, *, draft: bool = False) -> protocol.Save:
        """What to upload for pending content that grew from version `parent`, 0 for none."""
        meta = VersionMeta(
            author=pending.author or self._author,
            label=pending.label,
            session_id=self._session_id,
            code_hash=self._code_hash,
            schema_version=schema_version_of(content_value(pending.content)),
            content_id=pending.content_id,
            content_bytes=len(pending.content),
            source=self.source,
        )
        seal = self._keys.seal_version
        return protocol.Save(
            pending.save_id,
            parent,
            seal("meta", pending.save_id, parent, encode_meta(meta)),
            seal("content", pending.save_id, parent, pending.content),
            self._keys.save_digest(pending.save_id, pending.content_id),
            draft,
            takes_head=pending.takes_head,
        )

    def open_content(self, stored: protocol.StoredVersion) -> bytes:
        """The data of a version.

        Raises:
            SealBroken: it was changed.
        """
        return self._keys.open_version("content", stored.save_id, stored.parent, stored.content)

    def open(self, stored: protocol.StoredVersion, head: int = 0) -> Version:
        """What people read about a version; `head` is the number of the one that is the head.

        Raises:
            SealBroken: its description was changed.
        """
        return version_of(stored, open_meta(self._keys, stored), head)


def open_meta(keys: Keys, stored: protocol.StoredVersion) -> VersionMeta:
    """What a participant sealed with a version; raises SealBroken."""
    return decode_meta(keys.open_version("meta", stored.save_id, stored.parent, stored.meta))


def open_content(keys: Keys, stored: protocol.StoredVersion) -> bytes:
    """The content of a version, which is what its description says.

    Raises:
        SealBroken: it was changed.
    """
    content = keys.open_version("content", stored.save_id, stored.parent, stored.content)
    if bytes_digest(content) != open_meta(keys, stored).content_id:
        raise SealBroken(f"the content of version {stored.number} is not the one that its description names: refused")
    return content


def version_of(stored: protocol.StoredVersion, meta: VersionMeta, head: int = 0) -> Version:
    """What people read about a version; `head` is the head's number. Raises SealBroken when its time is none."""
    try:
        time = datetime.datetime.fromtimestamp(meta.first_saved_s or stored.time_s, datetime.timezone.utc)
    except (ValueError, OverflowError, OSError) as error:
        raise SealBroken(f"the time of version {stored.number} is none: {error}") from error
    return Version(
        number=stored.number,
        parent=stored.parent,
        time=time,
        author=meta.author,
        label=meta.label,
        session_id=meta.session_id,
        code_hash=meta.code_hash,
        schema_version=meta.schema_version,
        size_bytes=meta.content_bytes,
        source=meta.source,
        is_head=stored.number == head,
    )
