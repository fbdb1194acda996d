"""The sessions in memory: finds or starts the run that a `Join` belongs to, and forgets those nobody is in."""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Mapping

from websockets.frames import CloseCode

from msq_jupyter import protocol
from msq_jupyter.errors import ProtocolError, StorageUnreadable, VersionDamaged
from msq_jupyter.protocol import Annotate, Done, Join, Open, Prune, Refused
from msq_jupyter.synchronizer.arrivals import WRONG_PASSWORD, origin_of
from msq_jupyter.synchronizer.journal import Journal, now_ms
from msq_jupyter.synchronizer.limits import Accounts, Visit
from msq_jupyter.synchronizer.payers import accounts_of
from msq_jupyter.synchronizer.records import RunRecord
from msq_jupyter.synchronizer.room import Room, Shelf
from msq_jupyter.synchronizer.sequencer import Sequencer, VersionIndex, why_no_annotation
from msq_jupyter.synchronizer.storage import Storage
from msq_jupyter.synchronizer.tokens import ANYBODY, Token

TICK_RATE_MIN, TICK_RATE_MAX = 1 / 30, 60.0
#: Longest id of a session, a view, a persistent id, in characters.
ID_LENGTH_MAX = 256
PASSWORD_CHECK_BYTES_MAX = 1024

logger = logging.getLogger("msq_jupyter.synchronizer")

_NOT_CREATED = Refused(
    "forbidden",
    "nobody has used this name here, and the access token does not make new ones: ask for one with the scope create, "
    "or look whether app_id and name are spelt right",
)
_NOT_STARTED = Refused(
    "forbidden",
    "nobody has a session with this code under this name, and the access token is read-only: come when somebody "
    "has joined with the same code",
)


class Rooms:
    """All rooms of one synchronizer.

    Args:
        journal: reads and writes.
        restarted_ms: the driver's clock when the synchronizer started.
        accounts: say how much may be stored.
        keep_sessions_s: sessions nobody was in for so long are forgotten, 0 for never.
    """

    def __init__(
        self,
        journal: Journal,
        restarted_ms: float,
        accounts: Accounts | None = None,
        keep_sessions_s: float = 0.0,
    ) -> None:
        self._journal = journal
        self._accounts = Accounts() if accounts is None else accounts
        self._restarted_ms = restarted_ms
        self._keep_sessions_s = keep_sessions_s
        self._left: set[str] = set()  # runs that were in memory since the last look for idle ones
        self._shelves: dict[str, Shelf] = {}
        # One storage thread serves all, so loading two at once would not be faster, only harder to think about.
        self._finding = asyncio.Lock()

    def __iter__(self) -> Iterator[Room]:
        for shelf in self._shelves.values():
            yield from shelf.rooms.values()

    async def find(self, join: Join, token: Token = ANYBODY, visit: Visit | None = None) -> Room | Refused:
        """The room for a `Join`, or why there is none.

        The caller has to enter before it awaits anything: nobody keeps an empty room for it.

        Args:
            join: what a connection said.
            token: what it showed.
            visit: who pays for a new name.

        Raises:
            sqlite3.Error: the data directory cannot be read.
        """
        async with self._finding:
            shelf = await self._shelf(join.persistent_id)
            if shelf is None:
                made = await self._new_shelf(join, token, visit)
                if isinstance(made, Refused):
                    return made
                shelf = made
            try:
                if not hmac.compare_digest(shelf.password_check, join.password_check):
                    return WRONG_PASSWORD
                await self._promote_drafts(shelf, join.session_id)
                room = await self._newest_run(shelf, join.session_id)
                if room:
                    room.advance()
                    # Edited back: others moved the head since, with other code, and nobody is here to be hurt.
                    if not (room.sequencer.is_outdated and room.sequencer.is_empty):
                        return room
                return _NOT_STARTED if token.is_read_only else await self._start(shelf, join)
            finally:
                self._drop_if_unused(shelf)

    async def open(self, message: Open, token: Token = ANYBODY, visit: Visit | None = None) -> Shelf | Refused:
        """The shelf for an archive, or why there is none; `close` it in the end.

        Args:
            message: what a connection said.
            token: what it showed.
            visit: who pays for a new name.

        Raises:
            sqlite3.Error: the data directory cannot be read.
        """
        async with self._finding:
            shelf = await self._shelf(message.persistent_id)
            if shelf is None:
                if not message.create:
                    return Refused("no_such_name", "nothing was ever saved here under this name")
                made = await self._new_shelf(message, token, visit)
                if isinstance(made, Refused):
                    return made
                shelf = made
            if not hmac.compare_digest(shelf.password_check, message.password_check):
                self._drop_if_unused(shelf)
                return WRONG_PASSWORD
            shelf.archives += 1
            try:
                await self._promote_drafts(shelf)
            except BaseException:
                self.close(shelf)
                raise
        return shelf

    async def change(self, shelf: Shelf, message: Annotate | Prune) -> Done:
        """Annotate or drop versions, and tell everybody; what could not be done is in the answer.

        Raises:
            ProtocolError: an annotation that no correct participant makes.
        """
        numbers = [message.number] if isinstance(message, Annotate) else message.numbers
        # No session starts from a version that is being dropped; what has started is with the storage.
        async with self._finding:
            try:
                if isinstance(message, Annotate):
                    refused = await self._annotate(shelf, message)
                else:
                    refused = await self._prune(shelf, message)
            except sqlite3.Error as error:
                logger.exception("versions could not be changed")
                refused = dict.fromkeys(numbers, f"it could not be written down ({error}): try again")
        changed = sorted(set(numbers) - refused.keys())
        if changed:
            for room in shelf.rooms.values():
                room.tell_of_versions(changed)
        return Done(message.request_id, sorted(refused.items()))

    async def _prune(self, shelf: Shelf, message: Prune) -> dict[int, str]:
        versions = shelf.versions
        # From now on nothing comes that needs what may go; what has come is with the storage, which looks for itself.
        versions.close_for_reference(message.numbers)
        await self._journal.handed_over()
        try:
            refused = await self._journal.call(Storage.prune, shelf.persistent_id, message.numbers)
            versions.drop(set(message.numbers) - refused.keys())
        finally:
            stored = await self._journal.call(Storage.load_index, shelf.persistent_id)
            versions.open_for_reference(stored)
        return refused

    async def _annotate(self, shelf: Shelf, message: Annotate) -> dict[int, str]:
        reason = why_no_annotation(message.kind, message.sealed)
        if reason:
            raise ProtocolError(reason)
        details = (message.number, message.kind, message.keeps, message.sealed)
        await self._journal.handed_over()
        is_there = await self._journal.call(Storage.annotate, shelf.persistent_id, *details)
        return {} if is_there else {message.number: protocol.NO_SUCH_VERSION}

    def close(self, shelf: Shelf) -> None:
        """An archive that was opened is done."""
        shelf.archives -= 1
        self._drop_if_unused(shelf)

    def fail(self, shelves: Iterable[Shelf]) -> None:
        """What is known of these may not be stored: everybody out, and whoever returns finds what is stored."""
        for shelf in {id(shelf): shelf for shelf in shelves}.values():
            shelf.failed = True
            if self._shelves.get(shelf.persistent_id) is shelf:
                del self._shelves[shelf.persistent_id]
            for room in shelf.rooms.values():
                room.close(CloseCode.INTERNAL_ERROR, "could not be stored; connect again")

    async def forget_idle(self, elapsed_s: float) -> None:
        """Forget sessions that nobody was in for `keep_sessions_s`; `elapsed_s` after this was called before.

        Raises:
            sqlite3.Error: what was not deleted is deleted the next time.
        """
        if not self._keep_sessions_s:
            return
        async with self._finding:
            await self._journal.handed_over()
            left, self._left = self._left, set()
            await self._journal.call(Storage.note_visits, [*left, *self._runs()], elapsed_s)
        names: set[str] = set()
        looked_at: int | None = 0
        while looked_at is not None:
            async with self._finding:  # no session is read that is being forgotten
                await self._journal.handed_over()
                looked_at = await self._forget_some(looked_at, names)
        if names:
            logger.info("sessions under %d names were forgotten: nobody was in them for long", len(names))
        # What others write comes between.
        while await self._journal.call(Storage.delete_forgotten):
            pass

    async def _forget_some(self, after: int, names: set[str]) -> int | None:
        forgotten, waiting, looked_at = await self._journal.call(
            Storage.forget_sessions, self._keep_sessions_s, self._runs(), after
        )
        for persistent_id in waiting:
            await self._wake(persistent_id)
        names |= forgotten
        return looked_at

    def _runs(self) -> set[str]:
        return {room.sequencer.record.run for room in self}

    async def _wake(self, persistent_id: str) -> None:
        """Have what waits to be saved under a name become versions; then sessions may be forgotten."""
        shelf = await self._shelf(persistent_id)
        if shelf is not None:
            try:
                await self._promote_drafts(shelf)
            finally:
                self._drop_if_unused(shelf)

    async def _shelf(self, persistent_id: str) -> Shelf | None:
        shelf = self._shelves.get(persistent_id)
        if shelf is None:
            # What was forgotten a moment ago may still wait to be written.
            await self._journal.handed_over()
            stored = await self._journal.call(Storage.load_index, persistent_id)
            if stored is not None:
                shelf = Shelf(persistent_id, stored.password_check, VersionIndex(stored), stored.waking)
                self._shelves[persistent_id] = shelf
        return shelf

    @property
    def limits_storage(self) -> bool:
        """Whether `why_full` ever says something."""
        return self._accounts.limits_storage

    def why_full(self, shelf: Shelf, size_bytes: int) -> str:
        """Why so much more may not be stored under a name, "" when it may."""
        if not self._accounts.limits_storage:
            return ""
        return self._why_full(self._journal.payers.accounts_of(shelf.persistent_id), size_bytes)

    def _why_full(self, accounts: Iterable[tuple[str, str]], size_bytes: int) -> str:
        stored_bytes = {account: self._journal.payers.stored_bytes(account) for account in accounts}
        return self._accounts.why_full(stored_bytes, size_bytes)

    async def _new_shelf(self, first: Join | Open, token: Token, visit: Visit | None) -> Shelf | Refused:
        if not token.may_create:
            return _NOT_CREATED
        if visit is not None and self._accounts.limits_storage:
            if reason := self._why_full(accounts_of(visit.token, visit.address), 1):
                return Refused("limit", reason)
            await self._journal.call(Storage.set_payer, first.persistent_id, visit.token, visit.address)
        # The first who uses a name sets its password.
        shelf = Shelf(first.persistent_id, first.password_check, VersionIndex())
        self._shelves[first.persistent_id] = shelf
        return shelf

    async def _promote_drafts(self, shelf: Shelf, session_id: str = "") -> None:
        """Before a session starts from the head, or an archive lists versions: what waits elsewhere becomes one.

        Nobody is waited for, neither those who are away nor those who are there: whoever joins with edited code finds
        what the kernel that was killed a moment ago had collected, though its connection may not have broken yet.
        """
        while shelf.waking:
            try:
                await self._newest_run(shelf, shelf.waking[-1])
            except (StorageUnreadable, sqlite3.DatabaseError) as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise  # it may be better the next time
                # Its draft is lost with it, and nothing else of this name.
                logger.exception("a session is damaged, and what waited in it to be saved is left out")
            shelf.waking.pop()
        own = shelf.rooms.get(session_id)
        if own is not None:
            own.advance()
            if not own.sequencer.is_empty:
                return  # it goes on where it is
        if sum(room.promote_draft() for room in shelf.rooms.values()):
            # The storage is asked for the head next.
            await self._journal.handed_over()

    async def _newest_run(self, shelf: Shelf, session_id: str) -> Room | None:
        room = shelf.rooms.get(session_id)
        if room is None:
            await self._journal.handed_over()
            stored = await self._journal.call(Storage.load_run, shelf.persistent_id, session_id)
            if stored is None:
                return None
            if self._keep_sessions_s:
                # On the disk before anybody is in: a synchronizer that starts again must not think it idle.
                await self._journal.call(Storage.note_visits, [stored.record.run])
            room = self._add(shelf, Sequencer(stored, shelf.versions, now_ms(), self._restarted_ms))
        return room

    async def _start(self, shelf: Shelf, join: Join) -> Room | Refused:
        head, origin = shelf.versions.head, origin_of(join, shelf.versions)
        if isinstance(origin, Refused):
            return origin
        if origin:
            await self._journal.handed_over()  # it may be on its way to the disk
            try:
                version, _ = await self._journal.call(Storage.read_with_base, shelf.persistent_id, origin)
                # When it could not be stored, the shelf has failed, and so has the room: everybody connects again.
                if version is None and not shelf.failed:
                    return Refused("no_such_version", f"expected persisted to be a version that is kept, got {origin}")
            except VersionDamaged as error:
                return Refused("no_such_version", f'{error}: join with persisted="ignore" or an older number')
        tick_rate = min(max(join.tick_rate, TICK_RATE_MIN), TICK_RATE_MAX)
        record = RunRecord(uuid.uuid4().hex, join.session_id, join.persistent_id, origin, head, tick_rate)
        return self._add(shelf, Sequencer.new(record, shelf.password_check, shelf.versions, now_ms()))

    def _add(self, shelf: Shelf, sequencer: Sequencer) -> Room:
        room = Room(sequencer, shelf, self._journal, self._forget)
        if not shelf.failed:
            # Its last room may have been forgotten while the storage was asked.
            self._shelves[shelf.persistent_id] = shelf
        shelf.rooms[sequencer.record.session_id] = room
        # A first turn, so that it is forgotten like any other even if nobody enters.
        self._journal.touch(room)
        return room

    def _forget(self, room: Room) -> None:
        if self._keep_sessions_s:
            self._left.add(room.sequencer.record.run)
        session_id = room.sequencer.record.session_id
        if room.shelf.rooms.get(session_id) is room:
            del room.shelf.rooms[session_id]
            self._drop_if_unused(room.shelf)

    def _drop_if_unused(self, shelf: Shelf) -> None:
        if not shelf.rooms and not shelf.archives and self._shelves.get(shelf.persistent_id) is shelf:
            del self._shelves[shelf.persistent_id]


def check_join(join: Join) -> None:
    """Refuse impossible values.

    Raises:
        ProtocolError: names the field, what was expected and what came.
    """
    _check_lengths(join, ("session_id", "persistent_id", "view_id"))
    _check_sizes(join, {"password_check": PASSWORD_CHECK_BYTES_MAX, "view_data": protocol.EVENT_BYTES_MAX})
    for name in ("tick_rate", "rejoin_limit_ms"):
        value = getattr(join, name)
        if not math.isfinite(value) or value < 0:
            raise ProtocolError(f"expected Join.{name} to be a finite number from 0, got {value}")
    if join.have_seq < -1:
        raise ProtocolError(f"expected Join.have_seq from -1, got {join.have_seq}")
    if isinstance(join.persisted, str) and join.persisted not in ("latest", "ignore"):
        raise ProtocolError(f'expected Join.persisted "latest", "ignore" or a number, got {join.persisted!r}')


def check_open(message: Open) -> None:
    """Refuse impossible values.

    Raises:
        ProtocolError: names the field, what was expected and what came.
    """
    _check_lengths(message, ("persistent_id",))
    _check_sizes(message, {"password_check": PASSWORD_CHECK_BYTES_MAX})


def _check_lengths(message: Join | Open, names: Iterable[str]) -> None:
    for name in names:
        length = len(getattr(message, name))
        if not 0 < length <= ID_LENGTH_MAX:
            field = f"{type(message).__name__}.{name}"
            raise ProtocolError(f"expected {field} of 1 to {ID_LENGTH_MAX} characters, got {length:,}")


def _check_sizes(message: Join | Open, limits_bytes: Mapping[str, int]) -> None:
    for name, limit_bytes in limits_bytes.items():
        size_bytes = len(getattr(message, name))
        if size_bytes > limit_bytes:
            field = f"{type(message).__name__}.{name}"
            raise ProtocolError(f"expected {field} of at most {limit_bytes:,} bytes, got {size_bytes:,}")
