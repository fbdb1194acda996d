"""Entries of a log, many at once: as they go over the wire, and as they are stored. Pure.

All entries of a turn are one row of the file, because a row costs several times what an entry does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from msq_jupyter import protocol
from msq_jupyter.errors import ProtocolError
from msq_jupyter.protocol import Block, Event
from msq_jupyter.synchronizer.records import ViewRecord

#: Size at which a `Block` is full, and of a portion of the log read for a newcomer.
BLOCK_BYTES = 1024 * 1024

_stored = msgspec.msgpack.Decoder(list[bytes])


def blocks_of(entries: Iterable[bytes]) -> Iterator[Block]:
    """Encoded entries in order, in blocks for the wire that are not too long and not too large."""
    block: list[msgspec.Raw] = []
    size_bytes = 0
    for entry in entries:
        if len(block) == protocol.BLOCK_ENTRIES_MAX or (block and size_bytes + len(entry) > BLOCK_BYTES):
            yield Block(block)
            block, size_bytes = [], 0
        block.append(msgspec.Raw(entry))
        size_bytes += len(entry)
    if block:
        yield Block(block)


def as_row(entries: list[bytes]) -> bytes:
    """Encoded entries as they are stored."""
    return msgspec.msgpack.encode(entries)


def of_row(row: bytes) -> list[bytes]:
    """What `as_row` was given.

    Raises:
        msgspec.MsgspecError: the row is damaged. Damage inside of an entry is not seen here.
        TypeError: it is so much damaged that SQLite takes it for no bytes.
    """
    return _stored.decode(row)


def counted(views: Iterable[ViewRecord], tail: Iterable[bytes]) -> list[ViewRecord]:
    """Views with the counters they have when the events of the tail, which is newer, are counted as well.

    Args:
        views: as they were written.
        tail: encoded entries after `StoredRun.counted_seq`.
    """
    counters: dict[str, int] = {}
    for encoded in tail:
        try:
            entry = protocol.decode_entry(encoded)
        except ProtocolError:  # damaged: whoever comes to it in the log will say so
            continue
        if isinstance(entry, Event):
            counters[entry.view_id] = entry.counter
    return [msgspec.structs.replace(view, counter=max(view.counter, counters.get(view.view_id, 0))) for view in views]
