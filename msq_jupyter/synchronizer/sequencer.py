"""The order and the time of one run of a session, without I/O: no await, clock, socket, file or thread.

How to think about it. Connections come, speak and go; each such step takes `now_ms`, the driver's monotonic clock, and
changes only this object. Then `end_turn` hands over what the steps since the last one amount to: what to write, and
what to send once that is written. Nothing may be sent before, because a member must never see an entry that a crash
could take back. If the write fails, the object is ahead of the storage: throw it away and restore a new one.

A view is in the session while it is connected or away, that is disconnected for less than its `rejoin_limit_ms`:

| the view is | `join`                        | `disconnect` | limit over | `Leave`    |
|-------------|-------------------------------|--------------|------------|------------|
| out         | connected, joins              |              |            |            |
| connected   | connected, older one replaced | away         |            | out, exits |
| away        | connected                     |              | out, exits |            |

Exits and joins of a turn become one `Membership`, exits first. It is written before any event of a view that is in it.

A draft (see `drafts`) becomes a version with the exit of the last view, and before another session reads the head. That
does not wait for views that are away: a version more harms nobody, and if they return they find it in the log.

The versions of a run are a line: each grows from the one before. Whether one moves the head is for `head` to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from msq_jupyter import protocol
from msq_jupyter.errors import ProtocolError
from msq_jupyter.protocol import (
    Event,
    Join,
    Leave,
    Membership,
    Report,
    Save,
    Saved,
    SaveFailed,
    Send,
    Snapshot,
    Tick,
    Welcome,
)
from msq_jupyter.synchronizer.audits import Audits
from msq_jupyter.synchronizer.clock import SessionClock
from msq_jupyter.synchronizer.drafts import Drafts
from msq_jupyter.synchronizer.head import Head
from msq_jupyter.synchronizer.records import Draft, RunRecord, StoredIndex, StoredRun, ViewRecord, Writes

#: How long after a restart the views that were in are waited for, at least: they find out, wait, connect again.
RESTART_GRACE_MS = 5_000.0
#: Longest tail of the log sent to a replica that may go on; beyond it, starting from a snapshot is cheaper.
TAIL_ENTRIES_MAX = 20_000
#: A snapshot is requested when more entries, or more bytes of payload, came since the last one.
SNAPSHOT_ENTRIES = 1_000
SNAPSHOT_BYTES = 1024 * 1024
#: After so many entries, or `SNAPSHOT_BYTES`, counters of views are written: so reading the log for them stays short.
COUNT_ENTRIES = 1_000
#: Largest snapshot, and largest version, so that the frame that carries it down is within `FRAME_BYTES_MAX`.
PAYLOAD_BYTES_MAX = protocol.FRAME_BYTES_MAX - 64 * 1024


class VersionIndex:
    """Which versions a persistent id has; one object, shared by the sequencers of its sessions.

    Args:
        numbers: version number of each `save_id`.
        head: which of them is the head.

    Attributes:
        numbers: version number of each `save_id`; numbers start at 1, and those of dropped versions are missing.
        newest: the largest of them, 0 for none.
        branching: knows where the head is.
        keyframes: the versions that others may be patches of: by number, the size of the sealed content in bytes.
        sources: ids of the sources that are stored.
    """

    def __init__(self, stored: StoredIndex | None = None) -> None:
        self.numbers = dict(stored.numbers if stored else {})
        self.newest = max(self.numbers.values(), default=0)
        self.branching = Head(stored.head, stored.head_run) if stored else Head()
        self.keyframes = dict(stored.keyframes if stored else {})
        self.sources = set(stored.sources if stored else ())

    @property
    def head(self) -> int:
        """Number of the version that a session never seen before starts from, 0 for none."""
        return self.branching.number

    def append(self, save: Save, run: str = "", seen: int | None = None) -> tuple[int, bool]:
        """Number the next version; its number, and whether the head moved to it. Arguments as in `Head.offer`."""
        self.newest += 1
        self.numbers[save.save_id] = self.newest
        if save.base == 0:
            self.keyframes[self.newest] = len(save.content)
        if save.source:
            self.sources.add(save.source_id)
        return self.newest, self.branching.offer(self.newest, save, run, seen)

    def close_for_reference(self, numbers: Iterable[int]) -> None:
        """Let no save refer to these versions, nor to any source: they may be about to go."""
        for number in numbers:
            self.keyframes.pop(number, None)
        self.sources.clear()

    def open_for_reference(self, stored: StoredIndex | None) -> None:
        """Let saves refer to what is stored, again."""
        if stored:
            self.keyframes.update(stored.keyframes)
            self.sources.update(stored.sources)

    def drop(self, numbers: Iterable[int]) -> None:
        """Forget versions that were dropped."""
        gone = set(numbers)
        self.numbers = {save_id: number for save_id, number in self.numbers.items() if number not in gone}

    def why_unsaveable(self, save: Save) -> str:
        """What is wrong with a version that somebody wants to append, "" for nothing."""
        if len(save.digest) > protocol.DIGEST_BYTES_MAX:
            return f"expected a digest of at most {protocol.DIGEST_BYTES_MAX} bytes, got {len(save.digest):,}"
        if len(save.meta) > protocol.META_BYTES_MAX:
            return f"expected a description of at most {protocol.META_BYTES_MAX:,} bytes, got {len(save.meta):,}"
        for kind, _, sealed in save.annotations:
            if reason := why_no_annotation(kind, sealed):
                return reason
        if len(save.annotations) > len(protocol.ANNOTATION_KINDS):
            return f"expected each kind of annotation once, got {len(save.annotations)} annotations"
        size_bytes = len(save.save_id.encode()) + len(save.meta) + len(save.content) + len(save.source)
        if size_bytes > PAYLOAD_BYTES_MAX:
            return f"expected a version of at most {PAYLOAD_BYTES_MAX:,} bytes, got {size_bytes:,}"
        if not 0 <= save.parent <= self.newest:
            return f"expected a parent from 0 to {self.newest}, the newest version, got {save.parent}"
        if len(save.source_id) > protocol.SOURCE_ID_LENGTH_MAX or (save.source and not save.source_id):
            length = len(save.source_id)
            return f"expected a source's id of 1 to {protocol.SOURCE_ID_LENGTH_MAX} characters, got {length:,}"
        missing = self.missing(save)
        if missing == "base":
            return f"expected a patch of a version that is stored whole and fits beside it, got one of v{save.base}"
        return "expected the source of the code that saves, which is not here, got its id" if missing else ""

    def missing(self, save: Save) -> str:
        """Whether a save refers to a "base" or a "source" that is not here, "" for none; see `SaveFailed`."""
        if save.base:
            base_bytes = self.keyframes.get(save.base)
            # The two go down in one frame.
            if base_bytes is None or len(save.content) + base_bytes > protocol.CONTENT_BYTES_MAX:
                return "base"
        if save.source_id and not save.source and save.source_id not in self.sources:
            return "source"
        return ""


def why_no_annotation(kind: str, sealed: bytes) -> str:
    """What is wrong with an annotation that somebody wants to add, "" for nothing."""
    if kind not in protocol.ANNOTATION_KINDS:
        return f"expected an annotation of a kind of {list(protocol.ANNOTATION_KINDS)}, got {kind[:80]!r}"
    if len(sealed) > protocol.ANNOTATION_BYTES_MAX:
        return f"expected an annotation of at most {protocol.ANNOTATION_BYTES_MAX:,} bytes, got {len(sealed):,}"
    return ""


class Turn(msgspec.Struct, frozen=True):
    """What the steps since the last turn amount to. Write `writes`, then send the rest, in this order.

    Attributes:
        writes: in one transaction; its entries go to every member that was there before this turn.
        tick: to every member, only ever in a turn without entries.
        arrivals: for each connection that joined its `Welcome`, still without the payload of the snapshot and without
            the origin; then the log from `after_seq` on.
        replies: to one connection each.
    """

    writes: Writes
    tick: Tick | None
    arrivals: list[tuple[int, Welcome]]
    replies: list[tuple[int, protocol.Down]]


@dataclass(slots=True)
class _View:
    counter: int = 0
    rejoin_limit_ms: float = 0.0
    connection: int | None = None
    read_only: bool = False


class Sequencer:
    """Stamps what the members of one run send.

    Args:
        stored: the run as the storage has it.
        versions: of the run's persistent id.
        now_ms: the driver's clock, now.
        restarted_ms: the driver's clock when the synchronizer started: since then views could have come back.
    """

    def __init__(self, stored: StoredRun, versions: VersionIndex, now_ms: float, restarted_ms: float) -> None:
        self.record = stored.record
        self._versions = versions
        self._clock = SessionClock(stored.time_ms)
        self._seq = stored.last_seq
        self._snapshot_seq = stored.snapshot_seq
        self._tail_bytes = stored.tail_bytes
        self._saves = set(stored.saves)
        self._drafts = Drafts(stored.record.run, stored.draft, versions.numbers)
        self._views = {view.view_id: _View(view.counter, view.rejoin_limit_ms) for view in stored.views}
        self._counted_seq = stored.counted_seq
        # Views whose counter may be newer than the one that is stored: those in the log since then.
        self._uncounted = set(self._views) if stored.counted_seq < stored.last_seq else set[str]()
        self._uncounted_bytes = SNAPSHOT_BYTES + 1 if self._uncounted else 0  # nobody knows; the next turn writes them
        # Connections in the order they came, and when the time of views that are away is over.
        self._connected: dict[int, str] = {}
        self._away: dict[str, float] = {
            view.view_id: restarted_ms + max(view.rejoin_limit_ms, RESTART_GRACE_MS)
            for view in stored.views
            if view.present
        }
        self._tick_interval_ms = 1_000 / self.record.tick_rate
        self._tick_due_ms = now_ms
        self._audits = Audits(self._seq)
        self._is_over = False
        self._begin_turn()
        if self._away:
            versions.branching.occupy(self.record.run)
            self._clock.start(now_ms)

    @classmethod
    def new(cls, record: RunRecord, password_check: bytes, versions: VersionIndex, now_ms: float) -> Sequencer:
        """The sequencer of a run that starts now; its first turn writes the run itself."""
        sequencer = cls(StoredRun(record), versions, now_ms, now_ms)
        sequencer._writes.opened = (record, password_check)
        return sequencer

    # --- what the driver may know --------------------------------------------------------------------------------

    @property
    def is_empty(self) -> bool:
        """Whether no view is in: none connected, none away."""
        return not self._connected and not self._away

    @property
    def newest_version(self) -> int:
        """Number of the version that this run saved last, or else started from; 0 for none."""
        return max(self._saves, default=self.record.origin)

    @property
    def is_outdated(self) -> bool:
        """Whether the head has moved, to what another run saved, since this one started or saved last."""
        head = self._versions.head
        return head != self.record.head and head not in self._saves

    @property
    def last_seq(self) -> int:
        """Of the newest entry, written or not; 0 for none."""
        return self._seq

    @property
    def waiting_bytes(self) -> int:
        """Size of the entries since the last turn, which nobody has written yet."""
        return self._waiting_bytes

    def next_deadline_ms(self) -> float | None:
        """When `advance` has something to do if nothing happens before; None for never."""
        deadlines = list(self._away.values())
        if self._connected:
            has_voter = any(not self._views[view_id].read_only for view_id in self._connected.values())
            deadlines += [self._tick_due_ms, self._audits.deadline_ms(len(self._connected), has_voter=has_voter)]
        return min(deadlines, default=None)

    # --- steps ---------------------------------------------------------------------------------------------------

    def join(self, connection: int, join: Join, now_ms: float, *, read_only: bool = False) -> int | None:
        """A connection wants in; its password, its session and the values of its fields have been checked.

        Args:
            connection: a number that this sequencer has not seen before.
            join: what it said.
            now_ms: the driver's clock, now.
            read_only: nothing it says changes anything.

        Returns:
            The older connection of the same view, which is no member any more, or None.
        """
        self.advance(now_ms)
        view_id = join.view_id
        view = self._views.setdefault(view_id, _View())
        replaced = view.connection
        if replaced is not None:
            self._forget_connection(replaced)
        elif self._away.pop(view_id, None) is None:
            self._joins[view_id] = join.view_data
        view.connection, view.read_only = connection, read_only
        view.rejoin_limit_ms = join.rejoin_limit_ms
        if not self._connected:
            self._tick_due_ms = now_ms + self._tick_interval_ms
        self._connected[connection] = view_id
        self._versions.branching.occupy(self.record.run)
        self._changed.add(view_id)
        self._clock.start(now_ms)
        welcome = self._arrivals[connection] = self._welcome(join, view, now_ms)
        self._audits.came(view_id, has_new_replica=not welcome.resumed)
        return replaced

    def receive(
        self, connection: int, message: Send | Snapshot | Report | Save | Leave, now_ms: float, time_s: float
    ) -> None:
        """A member says something; what a connection says that is no member any more is dropped.

        Args:
            connection: who says it.
            message: what it says.
            now_ms: the driver's clock, now.
            time_s: seconds since 1970, to write down with a version; nothing is reckoned with it.

        Raises:
            ProtocolError: something no correct member says; close the connection. What came before it is kept.
        """
        view_id = self._connected.get(connection)
        if view_id is None:
            return
        if self._views[view_id].read_only and isinstance(message, Send | Snapshot | Save):
            self._decline(connection, message)
        elif isinstance(message, Send):
            self._send(view_id, message, now_ms)
        elif isinstance(message, Snapshot):
            self._accept_snapshot(view_id, message, now_ms)
        elif isinstance(message, Report):
            self._audits.report(view_id, message)
        elif isinstance(message, Save):
            self._save(connection, view_id, message, now_ms, time_s)
        else:
            self._forget_connection(connection)
            self._exit(view_id, now_ms)

    def disconnect(self, connection: int, now_ms: float) -> None:
        """A connection is gone; its view is away now. A connection that is no member is none of our business."""
        view_id = self._forget_connection(connection)
        if view_id is not None:
            self._away[view_id] = now_ms + self._views[view_id].rejoin_limit_ms

    def advance(self, now_ms: float) -> None:
        """Time went by: views that were away for too long exit."""
        for view_id in [view_id for view_id, due_ms in self._away.items() if due_ms <= now_ms]:
            del self._away[view_id]
            self._exit(view_id, now_ms)

    def promote_draft(self, now_ms: float) -> bool:
        """Make a version of the draft, if there is one; whether there was."""
        self._drop_draft_of_suspect()
        draft = self._drafts.held
        if draft is None or self._is_over:
            return False
        self._store(draft.view_id, draft.save, now_ms, draft.time_s, draft.head)
        return True

    def stop(self, now_ms: float) -> None:
        """An orderly end: the next turn, which is the last one, writes the exact time."""
        self._clock.stop(now_ms)
        self._is_over = True

    def end_turn(self, now_ms: float) -> Turn:
        """Hand over what the steps since the last turn amount to."""
        self._write_membership(now_ms)
        self._settle_audit(now_ms)
        self._drop_draft_of_suspect()
        if not self._is_over:
            self._begin_audit(now_ms)
        tick = None
        if self._writes.entries:
            self._tick_due_ms = now_ms + self._tick_interval_ms
        elif self._connected and now_ms >= self._tick_due_ms:
            self._tick_due_ms = now_ms + self._tick_interval_ms
            tick = Tick(self._clock.read(now_ms))
        if self._seq - self._counted_seq >= COUNT_ENTRIES or self._uncounted_bytes > SNAPSHOT_BYTES:
            self._uncounted_bytes = 0
            self._changed |= self._uncounted
            self._uncounted.clear()
            self._writes.counted_seq = self._counted_seq = self._seq
        self._writes.views = [self._view_record(view_id) for view_id in sorted(self._changed)]
        self._writes.time_ms = self._clock.take_mark()
        turn = Turn(self._writes, tick, list(self._arrivals.items()), self._replies)
        self._begin_turn()
        return turn

    # --- entries -------------------------------------------------------------------------------------------------

    def _begin_turn(self) -> None:
        self._writes = Writes(self.record.run, self._seq + 1)
        self._waiting_bytes = 0
        self._exits: list[str] = []
        self._joins: dict[str, bytes] = {}
        self._changed: set[str] = set()
        self._arrivals: dict[int, Welcome] = {}
        self._replies: list[tuple[int, protocol.Down]] = []

    def _append(self, entry: protocol.Entry) -> None:
        encoded = protocol.encode(entry)
        self._writes.entries.append(encoded)
        size_bytes = len(encoded)
        self._waiting_bytes += size_bytes
        self._tail_bytes += size_bytes
        self._uncounted_bytes += size_bytes
        self._seq += 1

    def _write_membership(self, now_ms: float) -> None:
        if self._exits or self._joins:
            time_ms = self._clock.read(now_ms)
            self._append(Membership(self._seq + 1, time_ms, self._exits, list(self._joins.items())))
            self._audits.noticed(now_ms)
            self._exits, self._joins = [], {}

    def _announce(self, view_id: str, now_ms: float) -> None:
        # Nobody may hear of something a view did before hearing of the view.
        if view_id in self._joins:
            self._write_membership(now_ms)

    def _decline(self, connection: int, message: Send | Snapshot | Save) -> None:
        """What a read-only member must not do; a correct one has been told, and does not send."""
        if isinstance(message, Send):
            raise ProtocolError(f"expected no Send of a read-only member: {protocol.READ_ONLY}")
        if isinstance(message, Save):
            self._replies.append((connection, protocol.SaveFailed(message.save_id, protocol.READ_ONLY)))

    def _send(self, view_id: str, send: Send, now_ms: float) -> None:
        self._announce(view_id, now_ms)
        view = self._views[view_id]
        time_ms = self._clock.read(now_ms)
        self._uncounted.add(view_id)
        first_seq = self._seq
        try:
            for counter, payload in send.events:
                if counter <= view.counter:
                    continue
                if counter != view.counter + 1:
                    raise ProtocolError(
                        f"expected event {view.counter + 1} of view {view_id!r}, got event {counter}: "
                        "connect again and send everything past Welcome.last_counter"
                    )
                if len(payload) > protocol.EVENT_BYTES_MAX:
                    raise ProtocolError(
                        f"expected at most {protocol.EVENT_BYTES_MAX:,} bytes of payload, got {len(payload):,} "
                        f"in event {counter} of view {view_id!r}"
                    )
                view.counter = counter
                self._append(Event(self._seq + 1, time_ms, view_id, counter, payload))
        finally:
            if self._seq > first_seq:
                self._audits.noticed(now_ms, entries=self._seq - first_seq)

    def _save(self, connection: int, view_id: str, save: Save, now_ms: float, time_s: float) -> None:
        is_stored = save.save_id in self._versions.numbers
        reason = "" if is_stored else self._why_unsaveable(view_id, save)
        if reason:
            self._replies.append((connection, SaveFailed(save.save_id, reason, self._versions.missing(save))))
        elif is_stored:
            if not save.draft:
                self._store(view_id, save, now_ms, time_s)
        elif save.draft or save.parent != self.newest_version:
            # What the sender of a save does not know yet is on its way to it; meanwhile nothing must be lost.
            self._hold(view_id, msgspec.structs.replace(save, draft=True), time_s)
        else:
            self._store(view_id, save, now_ms, time_s)

    def _hold(self, view_id: str, save: Save, time_s: float) -> None:
        draft = Draft(view_id, time_s, save, self._versions.head)
        if self._drafts.offer(draft):
            self._writes.draft = draft

    def _store(self, view_id: str, save: Save, now_ms: float, time_s: float, seen: int | None = None) -> None:
        """Append a version, if it is not there, and its `Saved`, if this run has none; `seen` as in `Head.offer`."""
        number = self._versions.numbers.get(save.save_id)
        is_head = number == self._versions.head
        if number is None:
            number, is_head = self._versions.append(save, self.record.run, seen)
            self._writes.versions.append((number, time_s, save))
            if is_head:
                self._writes.head = number
        if self._drafts.stored(save.save_id):
            self._writes.draft = None
        if number in self._saves:
            return
        self._announce(view_id, now_ms)
        self._saves.add(number)
        self._writes.saves.append(number)
        time_ms = self._clock.read(now_ms)
        entry = Saved(self._seq + 1, time_ms, save.save_id, number, view_id, time_s, save.digest)
        is_whole = number in self._versions.keyframes
        self._append(msgspec.structs.replace(entry, is_whole=is_whole, is_head=is_head))
        self._audits.noticed(now_ms, is_save=True)

    def _why_unsaveable(self, view_id: str, save: Save) -> str:
        if self._audits.is_suspect(view_id):
            return "this replica differs from those of the others, who save instead; it is being restored"
        if save.draft and (reason := self._drafts.why_not(save.save_id)):
            return reason
        if (reason := self._versions.why_unsaveable(save)) or save.draft:
            return reason
        if save.parent not in self._saves and save.parent not in (self.record.origin, self.newest_version):
            return f"expected the parent {self.newest_version}, or an older version of this run, got {save.parent}"
        return ""

    def _drop_draft_of_suspect(self) -> None:
        # Those whose replicas are right upload theirs when they see it missing for too long.
        if self._drafts.held and self._audits.is_suspect(self._drafts.held.view_id):
            self._drafts.held = self._writes.draft = None

    # --- views ---------------------------------------------------------------------------------------------------

    def _forget_connection(self, connection: int) -> str | None:
        view_id = self._connected.pop(connection, None)
        if view_id is not None:
            self._views[view_id].connection = None
            self._arrivals.pop(connection, None)
            self._audits.went(view_id)
        return view_id

    def _exit(self, view_id: str, now_ms: float) -> None:
        # A join that nobody has heard of yet is taken back instead.
        if self._joins.pop(view_id, None) is None:
            self._exits.append(view_id)
        self._changed.add(view_id)
        self._audits.left(view_id)
        if self.is_empty:
            self.promote_draft(now_ms)
            self._versions.branching.vacate(self.record.run)
            self._clock.stop(now_ms)

    def _view_record(self, view_id: str) -> ViewRecord:
        view = self._views[view_id]
        present = view.connection is not None or view_id in self._away
        return ViewRecord(view_id, view.counter, view.rejoin_limit_ms, present)

    def _welcome(self, join: Join, view: _View, now_ms: float) -> Welcome:
        same_run = join.have_run == self.record.run
        resumed = same_run and 0 <= join.have_seq <= self._seq <= join.have_seq + TAIL_ENTRIES_MAX
        return Welcome(
            run=self.record.run,
            resumed=resumed,
            origin=None,
            snapshot=None,
            after_seq=join.have_seq if resumed else self._snapshot_seq,
            live_seq=self._seq,
            live_time_ms=self._clock.read(now_ms),
            last_counter=view.counter,
            head=self._versions.head,
            read_only=view.read_only,
        )

    # --- snapshots and audits ------------------------------------------------------------------------------------

    def _accept_snapshot(self, view_id: str, snapshot: Snapshot, now_ms: float) -> None:
        if not 0 <= snapshot.seq <= self._seq or not 0 <= snapshot.time_ms <= self._clock.read(now_ms):
            raise ProtocolError(
                f"expected a snapshot of the past, up to entry {self._seq}, "
                f"got one after entry {snapshot.seq} at {snapshot.time_ms} ms"
            )
        if len(snapshot.payload) > PAYLOAD_BYTES_MAX:
            raise ProtocolError(
                f"expected a snapshot of at most {PAYLOAD_BYTES_MAX:,} bytes, got {len(snapshot.payload):,}"
            )
        self._store_snapshot(self._audits.offer(view_id, snapshot))
        # Whoever leaves last uploads where it is, and there is nobody to compare with.
        if len(self._connected) == 1 and not self._away and not self._audits.is_suspect(view_id):
            self._store_snapshot(snapshot)

    def _store_snapshot(self, snapshot: Snapshot | None) -> None:
        if snapshot is None or snapshot.seq <= self._snapshot_seq:
            return
        self._writes.snapshot = snapshot
        self._audits.stored(snapshot)
        self._snapshot_seq = snapshot.seq
        # Bytes that came while the snapshot was made are not counted again: entries are, and that bounds the replay.
        self._tail_bytes = 0

    def _settle_audit(self, now_ms: float) -> None:
        outcome = self._audits.settle(now_ms)
        self._store_snapshot(outcome.snapshot)
        if outcome.verdict is not None:
            self._replies += [(connection, outcome.verdict) for connection in self._connected]
        for view_id, verdict in self._audits.take_verdicts_of_observers():
            connection = self._views[view_id].connection
            if connection is not None:
                self._replies.append((connection, verdict))

    def _begin_audit(self, now_ms: float) -> None:
        needs_snapshot = self._seq - self._snapshot_seq > SNAPSHOT_ENTRIES or self._tail_bytes > SNAPSHOT_BYTES
        views = [view_id for view_id in self._connected.values() if not self._views[view_id].read_only]
        audit = self._audits.begin(
            self._seq + 1,
            lambda: self._clock.read(now_ms),
            now_ms,
            views,
            needs_snapshot=needs_snapshot,
            observers=[view_id for view_id in self._connected.values() if self._views[view_id].read_only],
        )
        if audit is not None:
            self._append(audit)
