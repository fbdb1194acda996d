"""What a synchronizer sends as a version is the one that was asked for, or an error that says what it is instead."""

from __future__ import annotations

import pytest

from msq_jupyter import protocol
from msq_jupyter.errors import ProtocolError, VersionDamaged, VersionMissing
from msq_jupyter.session.crypto import Keys
from msq_jupyter.session.reading import Reader

KEYS = Keys(bytes(32), "demo", "session")


def stored(number: int) -> protocol.StoredVersion:
    return protocol.StoredVersion(number, 0, f"save {number}", 1.0, 0, b"", b"")


def reader_of(content: protocol.VersionContent) -> Reader:
    """Whatever version is asked for, it is this; there are versions 1, 2 and 4."""

    async def ask(message):
        if isinstance(message(1), protocol.ListVersions):
            return protocol.Versions(1, 4, [stored(number) for number in (1, 2, 4)])
        return content

    return Reader(KEYS, ask)


async def test_another_version_than_was_asked_for_is_refused():
    """Each is sealed as it should be, so nothing else would show it."""
    with pytest.raises(ProtocolError, match="expected version 2, got 1"):
        await reader_of(protocol.VersionContent(1, stored(1))).content(2)


async def test_a_damaged_version_is_told_as_such_and_not_as_missing():
    with pytest.raises(
        VersionDamaged, match="expected version 1, of which version 2 is stored as a patch, as it was saved"
    ):
        await reader_of(protocol.VersionContent(1, None, damaged=1)).content(2)


async def test_a_missing_version_is_told_with_those_there_are():
    with pytest.raises(VersionMissing, match="expected one of the versions 1 to 2, 4, got 3"):
        await reader_of(protocol.VersionContent(1, None)).content(3)
