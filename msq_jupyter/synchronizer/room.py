"""One run of a session in memory: its sequencer, the connections that are in it, and what they are sent.

A member that comes reads the log from the storage, at its own pace, until it has everything that was sent to the
others; in that very moment it becomes a listener. So whatever interleaves, it sees no gap and no entry twice, and the
others never wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
import sqlite3
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import msgspec
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from msq_jupyter import protocol
from msq_jupyter.errors import StorageUnreadable, VersionDamaged
from msq_jupyter.protocol import Join, Refused, Welcome
from msq_jupyter.synchronizer.arrivals import from_snapshot
from msq_jupyter.synchronizer.blocks import BLOCK_BYTES, blocks_of
from msq_jupyter.synchronizer.journal import Journal, now_ms
from msq_jupyter.synchronizer.laggards import Laggards
from msq_jupyter.synchronizer.sequencer import Sequencer, Turn, VersionIndex
from msq_jupyter.synchronizer.storage import Storage
from msq_jupyter.synchronizer.talk import Talk
from msq_jupyter.synchronizer.transport import Connection, framed

#: A member that leaves more than this unread is disconnected; it connects again and reads the log at its own pace.
UNREAD_BYTES_MAX = 4 * 1024 * 1024
#: How long the other side has for its part of the end of a connection.
CLOSE_TIMEOUT_S = 2
#: How long a run stays in memory when nobody is in it.
FORGET_AFTER_MS = 60_000.0
#: A timer may go off so much too early.
TIMER_MS = 2.0

logger = logging.getLogger("msq_jupyter.synchronizer")


@dataclass(eq=False)
class Shelf:
    """Everything in memory about one persistent id.

    Attributes:
        versions: shared by the sequencers of its sessions.
        rooms: by session id, the newest run of each.
        talk: what everybody in them tells each other.
        archives: how many connections read and append versions without being in a session.
        waking: ids of the sessions that need a room before anybody asks for the head, see `StoredIndex`.
        failed: memory is ahead of the storage: forget it and read it again.
    """

    persistent_id: str
    password_check: bytes
    versions: VersionIndex
    waking: list[str] = field(default_factory=list)
    rooms: dict[str, Room] = field(default_factory=dict)
    talk: Talk = field(default_factory=Talk)
    archives: int = 0
    failed: bool = False


class Member:
    """One connection that is in a room; `welcomed` is set when its `Welcome` is out, or never will be."""

    def __init__(self, number: int, socket: Connection, join: Join, laggards: Laggards, *, read_only: bool) -> None:
        self.number = number
        self.socket = socket
        self.join = join
        self.read_only = read_only
        self._laggards = laggards
        self.welcomed = asyncio.Event()
        self._held: list[bytes] | None = []
        self._held_bytes = 0
        # Kept here, because asyncio itself does not keep a task alive.
        self._catching_up: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    def catch_up(self, work: Coroutine[Any, Any, None]) -> None:
        """Let it have the past, in a task of its own."""
        self._catching_up = asyncio.get_running_loop().create_task(work)

    async def finish(self) -> None:
        """The connection is gone: nothing works for it any more when this returns."""
        if self._catching_up:
            self._catching_up.cancel()
            await asyncio.wait([self._catching_up])

    def listen(self) -> None:
        """It has the past: what was held back until now, and all that comes, may go out."""
        held, self._held = self._held or [], None
        for frames in held:
            self.write(frames)

    def send(self, message: protocol.Down) -> None:
        """Write one message."""
        self.write(frame_of(message))

    def write(self, frames: bytes) -> None:
        """Send frames; never waits. Until it listens they are held back, behind `Welcome` and the log."""
        if self._held is None:
            unread_bytes = self.socket.write(frames)
        else:
            self._held.append(frames)
            unread_bytes = self._held_bytes = self._held_bytes + len(frames)
        if unread_bytes > UNREAD_BYTES_MAX:
            logger.info("a member left %d bytes unread and was disconnected", unread_bytes)
            self._laggards.note(self.join.view_id, unread_bytes)
            self.socket.transport.abort()
            if self._held is not None:
                self._held, self._held_bytes = [], 0

    def close(self, code: CloseCode, reason: str) -> None:
        """Say goodbye; never waits."""
        self.welcomed.set()  # if it was not by now, it never will be, and its handler may wait for it
        self._closing = asyncio.get_running_loop().create_task(end(self.socket, code, reason))


class Room:
    """One run of a session in memory.

    Args:
        sequencer: of this run.
        shelf: of its persistent id.
        journal: writes what the sequencer says, then calls `perform`.
        on_forgotten: called when nobody has been here for `FORGET_AFTER_MS`.

    Attributes:
        laggards: who was cut and has not been told why.
    """

    def __init__(
        self, sequencer: Sequencer, shelf: Shelf, journal: Journal, on_forgotten: Callable[[Room], None]
    ) -> None:
        self.sequencer = sequencer
        self.shelf = shelf
        self.laggards = Laggards()
        self._journal = journal
        self._on_forgotten = on_forgotten
        self._members: dict[int, Member] = {}
        self._listeners: dict[int, Member] = {}
        self._numbers = itertools.count(1)
        self._sent_seq = sequencer.last_seq
        self._forget_due_ms: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due_s = 0.0  # uvloop does not tell it of every timer
        self._closed = False

    @property
    def member_count(self) -> int:
        """How many are connected."""
        return len(self._members)

    @property
    def failed(self) -> bool:
        """Whether what this room knows may not be stored; it is of no use any more."""
        return self.shelf.failed

    # --- steps ---------------------------------------------------------------------------------------------------

    def enter(self, socket: Connection, join: Join, *, read_only: bool = False) -> Member:
        """A connection comes in; an older one of the same view goes."""
        member = Member(next(self._numbers), socket, join, self.laggards, read_only=read_only)
        self._members[member.number] = member
        replaced = self.sequencer.join(member.number, join, now_ms(), read_only=read_only)
        if replaced is not None:
            self._remove(replaced).close(CloseCode.NORMAL_CLOSURE, "a newer connection of the same view took over")
        self.shelf.talk.come(join, member.send)
        self._journal.touch(self)
        return member

    def tell(self, member: Member, tell: protocol.Tell) -> None:
        """A member tells another one something; raises ProtocolError."""
        if self._members.get(member.number) is member:
            self.shelf.talk.tell(member.join.view_id, tell, now_ms())

    def receive(
        self,
        member: Member,
        message: protocol.Send | protocol.Snapshot | protocol.Report | protocol.Save | protocol.Leave,
    ) -> None:
        """A member says something.

        Raises:
            ProtocolError: something no correct member says.
        """
        if self._closed:
            return
        try:
            self.sequencer.receive(member.number, message, now_ms(), time.time())
        finally:
            self._journal.touch(self)

    @property
    def is_behind(self) -> bool:
        """Whether too much is waiting: a disk slower than the senders slows them down, and fills no memory."""
        return self.sequencer.waiting_bytes > UNREAD_BYTES_MAX

    async def keep_up(self) -> None:
        """Wait while it is behind."""
        if self.is_behind:
            await self._journal.handed_over()

    def leave(self, member: Member) -> None:
        """A connection is gone."""
        self.shelf.talk.go(member.join.view_id, member.send)
        if self._members.get(member.number) is member:
            self._remove(member.number)
        self.sequencer.disconnect(member.number, now_ms())
        self._journal.touch(self)

    def advance(self) -> None:
        """Time went by."""
        self.sequencer.advance(now_ms())
        self._journal.touch(self)

    def promote_draft(self) -> bool:
        """What waits to be saved becomes a version; whether anything did."""
        promoted = self.sequencer.promote_draft(now_ms())
        if promoted:
            self._journal.touch(self)
        return promoted

    def tell_of_versions(self, numbers: list[int]) -> None:
        """Tell everybody who is here that versions changed, and whether another session holds the head."""
        self._broadcast([frame_of(self._versions_changed(numbers))])

    def _versions_changed(self, numbers: list[int]) -> protocol.VersionsChanged:
        head = self.shelf.versions.branching.held_from(self.sequencer.record.run)
        return protocol.VersionsChanged(numbers, head)

    def stop(self, retry_after_ms: float) -> None:
        """An orderly end: write the exact time, tell everybody when to connect again, send them away.

        Args:
            retry_after_ms: when the last ones shall; the others by lot in the second half of it, so that a thousand do
                not come back in the same moment.
        """
        self.sequencer.stop(now_ms())
        self._journal.touch(self)
        for member in self._listeners.values():
            member.send(protocol.Closing(retry_after_ms * random.uniform(0.5, 1.0)))
        self.close(CloseCode.SERVICE_RESTART, "the synchronizer stops")

    def close(self, code: CloseCode, reason: str) -> None:
        """Send everybody away. From now on nobody is heard, and no time passes: nobody exits because of us."""
        self._closed = True
        self._stop_timer()
        for member in self._members.values():
            member.close(code, reason)
        self._members.clear()
        self._listeners.clear()

    # --- sending -------------------------------------------------------------------------------------------------

    def perform(self, turn: Turn) -> None:
        """Send what a turn has to send; what it had to write is written."""
        frames = [frame_of(block) for block in blocks_of(turn.writes.entries)]
        if turn.tick:
            frames.append(frame_of(turn.tick))
        self._broadcast(frames)
        self._sent_seq += len(turn.writes.entries)
        for number, welcome in turn.arrivals:
            member = self._members.get(number)
            if member:
                member.catch_up(self._catch_up(member, welcome))
        for number, reply in turn.replies:
            member = self._members.get(number)
            if member:
                member.send(reply)
        if turn.writes.versions:
            numbers = [number for number, _, _ in turn.writes.versions]
            for room in self.shelf.rooms.values():
                if room is not self:  # those who are here hear it in the log
                    room.tell_of_versions(numbers)
        self._start_timer()

    def refuse_saves(self, turn: Turn, reason: str) -> None:
        """A turn was not stored: everybody learns what that means for what is to be saved."""
        for save in turn.writes.saves_to_store:
            self._broadcast([frame_of(protocol.SaveFailed(save.save_id, reason))])

    def _broadcast(self, frames: list[bytes]) -> None:
        # Framed once for all, and one write for each: a fifth of the cost of a `send` per entry and member.
        if frames:
            joined = b"".join(frames)
            for member in self._listeners.values():
                member.write(joined)
            self._journal.counts.sent_bytes += len(joined) * len(self._listeners)

    async def _catch_up(self, member: Member, welcome: Welcome) -> None:
        try:
            welcome = await self._complete(welcome, member.join)
            await member.socket.send(protocol.encode(welcome))
            member.welcomed.set()
            seq = welcome.after_seq
            while seq < self._sent_seq:
                entries = await self._journal.call(
                    Storage.read_entries, welcome.run, seq, self._sent_seq, size_bytes=BLOCK_BYTES
                )
                for block in blocks_of(entries):
                    await member.socket.send(protocol.encode(block))
                seq += len(entries)
            # Nothing is awaited between the comparison above and this: what is sent from now on is what follows.
            if self._members.get(member.number) is member:
                self._listeners[member.number] = member
                member.listen()
                changed = self._versions_changed([])
                if changed.head:
                    member.send(changed)
        except ConnectionClosed:
            pass
        except VersionDamaged as error:
            await refuse(member.socket, Refused("no_such_version", str(error)))
        except (sqlite3.Error, StorageUnreadable):
            logger.exception("a log could not be read")
            await end(member.socket, CloseCode.INTERNAL_ERROR, "the log could not be read")
        finally:
            member.welcomed.set()

    async def _complete(self, welcome: Welcome, join: Join) -> Welcome:
        """Add what the sequencer does not have: earlier runs, the payload of the newest snapshot, or the origin."""
        if welcome.resumed:
            return welcome
        if join.have_run not in ("", welcome.run):
            counter = await self._journal.call(Storage.read_counter, join.have_run, join.view_id)
            welcome = msgspec.structs.replace(welcome, earlier_counter=counter)
        snapshot = await self._journal.call(Storage.read_snapshot, welcome.run)
        if snapshot:
            return from_snapshot(welcome, snapshot)
        origin = self.sequencer.record.origin
        if not origin:
            return welcome
        version, base = await self._journal.call(Storage.read_with_base, self.shelf.persistent_id, origin)
        return msgspec.structs.replace(welcome, origin=version, origin_base=base)

    # --- time ----------------------------------------------------------------------------------------------------

    def _remove(self, number: int) -> Member:
        self._listeners.pop(number, None)
        return self._members.pop(number)

    def _start_timer(self) -> None:
        """Have one timer, that goes off at the next deadline or before: moving it with each turn costs more."""
        if self._closed:
            return
        due_ms = self.sequencer.next_deadline_ms()
        if due_ms is not None:
            self._forget_due_ms = None
        else:
            if self._forget_due_ms is None:
                self._forget_due_ms = now_ms() + FORGET_AFTER_MS
            due_ms = self._forget_due_ms
        loop = asyncio.get_running_loop()
        due_s = loop.time() + max(0.0, due_ms - now_ms()) / 1_000
        if self._timer is None or due_s < self._timer_due_s:
            self._stop_timer()
            self._timer, self._timer_due_s = loop.call_at(due_s, self._on_timer), due_s

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        self._timer = None
        now = now_ms()
        if self._forget_due_ms is not None and now >= self._forget_due_ms and self.sequencer.is_empty:
            self._on_forgotten(self)
        elif (due_ms := self.sequencer.next_deadline_ms()) is not None and due_ms <= now + TIMER_MS:
            self.advance()
        else:
            self._start_timer()  # what it was for has moved on, and a turn would be empty


async def forget_unreadable_base(save: protocol.Save, shelf: Shelf, journal: Journal) -> None:
    """See that what a save is a patch of can be read; else it counts as missing, and the saver sends a whole version.

    Without this, whoever has the base in memory would go on making patches that nobody can ever read.

    Raises:
        sqlite3.Error: the data directory cannot be read.
    """
    if save.base not in shelf.versions.keyframes:
        return
    await journal.handed_over()  # it may be on its way to the disk
    try:
        readable = await journal.call(Storage.read_version, shelf.persistent_id, save.base)
    except VersionDamaged as error:
        logger.error("%s", error)
        readable = None
    if readable is None:
        shelf.versions.keyframes.pop(save.base, None)


def frame_of(message: protocol.Message) -> bytes:
    """The WebSocket frame of a message, ready for every connection."""
    return framed(protocol.encode(message))


async def end(socket: Connection, code: int, reason: str, refused: Refused | None = None) -> None:
    """End a connection, if need be with a last message, whether the other side reads it or not."""
    try:
        if refused:
            await asyncio.wait_for(socket.send(protocol.encode(refused)), CLOSE_TIMEOUT_S)
        # By itself it waits without limit while the other side does not read.
        await asyncio.wait_for(socket.close(code, reason), CLOSE_TIMEOUT_S)
    except (asyncio.TimeoutError, ConnectionClosed):
        pass
    finally:
        socket.transport.abort()


async def slow_down(socket: Connection, wait_s: float) -> None:
    """Read on only after so many seconds, or when the connection is gone; the network holds back what else comes."""
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(socket.wait_closed(), wait_s)


async def refuse(socket: Connection, refused: Refused) -> None:
    """Say why, and end the connection."""
    await end(socket, CloseCode.PROTOCOL_ERROR, refused.code, refused)
