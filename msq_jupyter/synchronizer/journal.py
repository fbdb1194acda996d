"""Group commit: everything that happens while one transaction is on its way goes into the next one.

A room that has something new says so with `touch`. As soon as the event loop has run what is ready, the turns of all
touched rooms are written in one transaction on the storage's own thread, so that no write stalls the loop; only when
it is on the disk the rooms send. One turn follows the other, so a room sends in the order in which it wrote. While much
happens, a turn waits a moment for more: writing and sending cost as much for one entry as for twenty.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import sqlite3
import time
from asyncio import Future
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from msq_jupyter.errors import StorageUnreadable
from msq_jupyter.protocol import Save
from msq_jupyter.synchronizer.counts import Counts
from msq_jupyter.synchronizer.payers import Payers
from msq_jupyter.synchronizer.records import Append
from msq_jupyter.synchronizer.sequencer import Turn
from msq_jupyter.synchronizer.storage import Storage
from msq_jupyter.synchronizer.storage_thread import StorageThread

if TYPE_CHECKING:
    from msq_jupyter.synchronizer.room import Room, Shelf

#: After a turn of at least so many entries the next one waits for more.
GATHER_ENTRIES = 16
#: How long it does.
GATHER_S = 0.001

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger("msq_jupyter.synchronizer")


def now_ms() -> float:
    """The driver's clock: monotonic, of no particular origin."""
    return time.monotonic() * 1_000


def reason_of(error: Exception) -> str:
    """What those whose save was not stored are told: what the disk says, and nothing of our inside."""
    what = str(error) if isinstance(error, (sqlite3.Error, OSError)) else "an error that its log shows"
    return f"the synchronizer could not store it: {what}"


class Journal:
    """The storage of one synchronizer, its thread, and the turns that are waiting for it.

    Args:
        on_failure: called with the shelves of a turn that was not stored; nothing of that turn is sent.

    Attributes:
        counts: what it did since it was made, for whoever watches.
    """

    def __init__(self, on_failure: Callable[[Iterable[Shelf]], None]) -> None:
        self._on_failure = on_failure
        self._thread = StorageThread()
        self._storage: Storage | None = None
        # A dict for its order: rooms are served as they come.
        self._touched: dict[Room, None] = {}
        self._appended: list[tuple[Shelf, Append, Future[None]]] = []
        self._handed_over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_busy = False
        self.counts = Counts()

    async def open(self, directory: Path) -> None:
        """Open the data directory.

        Raises:
            StorageInUse: another synchronizer has it open.
            StorageUnreadable: its file cannot be read.
        """
        try:
            self._storage = await self._thread.call(lambda: Storage(directory))
        except BaseException:
            self._thread.stop()
            raise

    async def close(self) -> None:
        """Write what is waiting, and close the data directory."""
        await self.settle()
        await self.call(Storage.close)
        self._thread.stop()

    @property
    def payers(self) -> Payers:
        """For whom is counted what is stored; to read only."""
        assert self._storage is not None, "the journal is not open"
        return self._storage.payers

    def touch(self, room: Room) -> None:
        """The room has something to write or to send."""
        self._touched[room] = None
        self._begin()

    async def append(self, shelf: Shelf, save: Save) -> int:
        """Store a version that comes without a session; its number, once it is on the disk.

        Raises:
            StorageUnreadable: it was not stored; the shelf is of no use any more.
        """
        number, is_head = shelf.versions.append(save)
        append = Append(shelf.persistent_id, shelf.password_check, number, time.time(), save, is_head)
        # In one transaction with whatever sessions have numbered until then, so that numbers stay without gap.
        stored = asyncio.get_running_loop().create_future()
        self._appended.append((shelf, append, stored))
        self._begin()
        await stored
        return number

    def _begin(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._write_turns())

    async def handed_over(self) -> None:
        """Wait until all that was touched before is with the storage: a `call` after this sees it."""
        if self._touched or self._appended:
            await self._handed_over.wait()

    async def settle(self) -> None:
        """Wait until nothing is waiting."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    def call(self, function: Callable[Concatenate[Storage, P], T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a method of the storage run on its thread, after everything that was handed over before."""
        assert self._storage is not None, "the journal is not open"
        return self._thread.call(functools.partial(function, self._storage, *args, **kwargs))

    async def _write_turns(self) -> None:
        while self._touched or self._appended:
            if self._is_busy:
                await asyncio.sleep(GATHER_S)
            rooms = [room for room in self._touched if not room.failed]
            self._touched.clear()
            appended, self._appended = self._appended, []
            turns: list[Turn] = []
            reason = ""
            try:
                await self._write_turn(rooms, turns, [append for shelf, append, _ in appended if not shelf.failed])
            except Exception as error:
                logger.exception("a turn of %d sessions could not be stored and sent; they start again", len(rooms))
                reason = reason_of(error)
                self.counts.failures += 1
                for room, turn in zip(rooms, turns, strict=False):
                    room.refuse_saves(turn, reason)
                self._on_failure([*(room.shelf for room in rooms), *(shelf for shelf, _, _ in appended)])
            for shelf, _, stored in appended:
                if stored.done():  # whoever waited is gone
                    continue
                if shelf.failed:
                    stored.set_exception(StorageUnreadable(reason or "the version could not be stored"))
                else:
                    stored.set_result(None)

    async def _write_turn(self, rooms: list[Room], turns: list[Turn], appends: list[Append]) -> None:
        now = now_ms()
        try:
            turns.extend(room.sequencer.end_turn(now) for room in rooms)
            batch = [turn.writes for turn in turns if turn.writes]
            self._is_busy = sum(len(writes.entries) for writes in batch) >= GATHER_ENTRIES
            written = self.call(Storage.commit, batch, appends) if batch or appends else None
        finally:
            # Whoever waits for this turn to be with the storage has nothing more to wait for, whatever happened.
            handed_over, self._handed_over = self._handed_over, asyncio.Event()
            handed_over.set()
        if written:
            await written
            self.counts.wrote(now_ms() - now, turns, appends)
        for room, turn in zip(rooms, turns, strict=True):
            # It may have failed meanwhile, together with another room of its persistent id.
            if not room.failed:
                room.perform(turn)
