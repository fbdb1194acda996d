"""Versions read and appended without being in a session; and what members of sessions ask about versions."""

from __future__ import annotations

import logging
import time

from websockets.frames import CloseCode

from msq_jupyter import protocol
from msq_jupyter.errors import ProtocolError, StorageUnreadable, VersionDamaged
from msq_jupyter.protocol import Annotate, Done, FetchSource, ListVersions, Prune, Query, Save, SaveFailed, Stored
from msq_jupyter.synchronizer.journal import Journal
from msq_jupyter.synchronizer.limits import Visit
from msq_jupyter.synchronizer.room import Shelf, end, forget_unreadable_base, slow_down
from msq_jupyter.synchronizer.rooms import Rooms
from msq_jupyter.synchronizer.storage import Storage
from msq_jupyter.synchronizer.transport import Connection

logger = logging.getLogger("msq_jupyter.synchronizer")


async def serve_archive(
    socket: Connection, shelf: Shelf, rooms: Rooms, journal: Journal, visit: Visit, *, read_only: bool = False
) -> None:
    """Answer an archive connection, one message after the other, until it ends.

    Args:
        socket: it has said `Open`, and may.
        shelf: what it opened.
        rooms: tell their members what changed.
        journal: reads and writes.
        visit: says how fast.
        read_only: refuse what changes anything.

    Raises:
        ProtocolError: something no correct archive says.
        sqlite3.Error: the data directory cannot be read.
    """
    await socket.send(protocol.encode(protocol.Opened(shelf.versions.head, len(shelf.talk))))
    async for frame in socket:
        if shelf.failed:
            await end(socket, CloseCode.TRY_AGAIN_LATER, "connect again")
            return
        message = protocol.decode_up(frame)
        if isinstance(message, Query):
            await socket.send(protocol.encode(await answer(message, shelf, journal)))
        elif read_only and isinstance(message, Save | Annotate | Prune):
            await socket.send(protocol.encode(declined(message)))
        elif isinstance(message, Save) and (reason := rooms.why_full(shelf, len(frame))):
            await socket.send(protocol.encode(SaveFailed(message.save_id, reason)))
        elif isinstance(message, Save):
            await socket.send(protocol.encode(await _append(message, shelf, journal)))
        elif isinstance(message, Annotate | Prune):
            await socket.send(protocol.encode(await rooms.change(shelf, message)))
        else:
            kind = type(message).__name__
            raise ProtocolError(f"expected a question, a Save, an Annotate or a Prune of an archive, got {kind}")
        journal.counts.received_bytes += len(frame)
        if wait_s := visit.wait_s(1, len(frame), time.monotonic()):
            journal.counts.slowed += 1
            await slow_down(socket, wait_s)


def declined(message: Save | Annotate | Prune) -> SaveFailed | Done:
    """The answer to what a read-only connection must not do."""
    if isinstance(message, Save):
        return SaveFailed(message.save_id, protocol.READ_ONLY)
    numbers = [message.number] if isinstance(message, Annotate) else message.numbers
    return Done(message.request_id, [(number, protocol.READ_ONLY) for number in numbers])


async def answer(
    query: Query, shelf: Shelf, journal: Journal
) -> protocol.Versions | protocol.VersionContent | protocol.Source:
    """What the storage has; a damaged version counts as none, and the log says so.

    Raises:
        sqlite3.Error: the data directory cannot be read.
    """
    # A version saved just before is among those listed.
    await journal.handed_over()
    if isinstance(query, ListVersions):
        versions, more = await journal.call(Storage.list_versions, shelf.persistent_id, query.after)
        place = (shelf.persistent_id, query.after + 1, versions[-1].number if versions else query.after)
        annotations = await journal.call(Storage.read_annotations, *place)
        tips = await journal.call(Storage.list_tips, *place)
        return protocol.Versions(query.request_id, shelf.versions.head, versions, more, annotations, tips)
    if isinstance(query, FetchSource):
        source = await journal.call(Storage.read_source, shelf.persistent_id, query.source_id)
        return protocol.Source(query.request_id, source)
    if not 1 <= query.number <= shelf.versions.newest:
        return protocol.VersionContent(query.request_id, None)
    try:
        version, base = await journal.call(Storage.read_with_base, shelf.persistent_id, query.number)
    except VersionDamaged as error:
        logger.error("%s", error)
        return protocol.VersionContent(query.request_id, None, damaged=error.damaged)
    annotations = await journal.call(Storage.read_annotations, shelf.persistent_id, query.number, query.number)
    return protocol.VersionContent(query.request_id, version, base, annotations=annotations)


async def _append(save: Save, shelf: Shelf, journal: Journal) -> Stored | SaveFailed:
    if save.save_id in shelf.versions.numbers:
        # It may be on its way to the disk.
        await journal.handed_over()
        stored = await journal.call(Storage.load_index, shelf.persistent_id)
        number = stored.numbers.get(save.save_id) if stored else None
        return Stored(save.save_id, number) if number else SaveFailed(save.save_id, "it could not be stored")
    await forget_unreadable_base(save, shelf, journal)
    reason = shelf.versions.why_unsaveable(save)
    if reason:
        return SaveFailed(save.save_id, reason, shelf.versions.missing(save))
    try:
        number = await journal.append(shelf, save)
    except StorageUnreadable as error:
        return SaveFailed(save.save_id, str(error))
    for room in shelf.rooms.values():
        room.tell_of_versions([number])
    return Stored(save.save_id, number)
