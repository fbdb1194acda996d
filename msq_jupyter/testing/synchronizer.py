"""The simulated synchronizer: real sequencers over a storage in memory, driven by virtual time, that crashes.

It does what `rooms`, `journal`, `room` and `server` of `msq_jupyter.synchronizer` do with threads and sockets, in the
same order: turns of all touched runs are written together, one write after the other, and only what is written is
sent. A newcomer reads the log in portions until it has what the others were sent, and listens from then on.
"""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Callable, Iterable

import msgspec

from msq_jupyter import protocol
from msq_jupyter.protocol import (
    Annotate,
    FetchSource,
    Join,
    Leave,
    ListVersions,
    Open,
    Prune,
    Query,
    Refused,
    Save,
    Tell,
)
from msq_jupyter.synchronizer.arrivals import WRONG_PASSWORD, origin_of
from msq_jupyter.synchronizer.blocks import blocks_of
from msq_jupyter.synchronizer.records import RunRecord, StoredIndex
from msq_jupyter.synchronizer.sequencer import Sequencer, Turn, VersionIndex
from msq_jupyter.testing.catch_up import CatchUp
from msq_jupyter.testing.crash_points import CrashPoints, kind_of
from msq_jupyter.testing.ledger import Ledger
from msq_jupyter.testing.memory import (
    EPOCH_S,
    FORGET_AFTER_MS,
    RETRY_AFTER_MS,
    Limits,
    LiveRun,
    Member,
    Shelf,
    Visitor,
    in_force,
)
from msq_jupyter.testing.network import Dice, Link
from msq_jupyter.testing.storage import MemoryStorage
from msq_jupyter.testing.timeline import Timeline, Timer

#: Versions in one portion of a list: few, so that there are portions.
LIST_VERSIONS = 3


class SimulatedSynchronizer:
    """Sequencers, a storage, and when what is written and sent.

    Args:
        timeline: virtual time.
        dice: how long things take.
        ledger: checks everything that is written and sent.
        limits: when snapshots are requested.

    Attributes:
        storage: what survives a crash.
        is_up: whether anybody can connect.
        disk_fails: whether the next write is refused.
        crash_points: says at which step of a save something dies.
    """

    def __init__(self, timeline: Timeline, dice: Dice, ledger: Ledger, limits: Limits) -> None:
        self._timeline = timeline
        self._dice = dice
        self._ledger = ledger
        self._limits = limits
        self.storage = MemoryStorage()
        self.is_up = True
        self.disk_fails = False
        self.crash_points = CrashPoints()
        self._runs_opened = 0
        self._life = 0
        self._wake_up()

    def _wake_up(self) -> None:
        self._restarted_ms = self._timeline.now_ms
        self._shelves: dict[str, Shelf] = {}
        self._visitors: dict[Link, Visitor] = {}
        self._touched: dict[LiveRun, None] = {}
        self._writing: list[tuple[LiveRun, Turn]] | None = None
        self._turn_due = False
        self._queue: deque[tuple[Visitor, Join]] = deque()

    def runs(self) -> list[LiveRun]:
        """Every run in memory."""
        return [run for shelf in self._shelves.values() for run in shelf.rooms.values()]

    def find(self, persistent_id: str, session_id: str) -> LiveRun | None:
        """The run of a session that is in memory, or None."""
        shelf = self._shelves.get(persistent_id)
        return shelf.rooms.get(session_id) if shelf else None

    # --- beginning and end ---------------------------------------------------------------------------------------

    def crash(self) -> None:
        """Die: what was not written is lost, and what was being written may be stored, but nobody was told."""
        self._ledger.counters["crashes"] += 1
        if self._writing and self._dice.random.random() < 0.5:
            self._commit(self._writing)
            self._ledger.counters["written but not told"] += 1
        elif self._writing or self._touched:
            self._ledger.counters["lost turns"] += 1
        self._go_down(Link.cut)

    def reach(self, step: str, who: str = "") -> bool:
        """Somebody comes to a step of a save; whether this synchronizer dies at it."""
        dies = self.crash_points.reach(step, who)
        if dies and self.is_up:
            self._ledger.counters["crashes"] += 1
            self._go_down(Link.cut)
            self._timeline.after(self._dice.between(self.crash_points.down_ms), self.start)
        return dies

    def _reach_turn(self, turns: list[tuple[LiveRun, Turn]], what: str) -> bool:
        kind = kind_of(turn.writes for _, turn in turns)
        return self.reach(f"{kind} {what}") if kind else False

    def stop(self) -> None:
        """End properly: the exact time is written, everybody is told when to connect again."""
        self._ledger.counters["restarts"] += 1
        if self._writing:
            self._written(self._writing)
        self._take_turns(self.runs())  # what was touched before is written and sent
        for run in self.runs():
            run.sequencer.stop(self._timeline.now_ms)
            for member in run.listeners.values():
                member.write(protocol.encode(protocol.Closing(RETRY_AFTER_MS)))
            self._close(run)
            self._commit([(run, run.sequencer.end_turn(self._timeline.now_ms))])
        self._go_down(Link.close_down)

    def start(self) -> None:
        """Be there again, with what is stored."""
        if not self.is_up:
            self._wake_up()
            self.is_up = True

    def _go_down(self, drop: Callable[[Link], None]) -> None:
        self.is_up = False
        self._life += 1
        for link in list(self._visitors):
            drop(link)
        for run in self.runs():
            run.closed = True
            if run.timer:
                run.timer.cancel()
        self._wake_up()

    def _later(self, delay_ms: float, call: Callable[[], None]) -> Timer:
        life = self._life
        return self._timeline.after(delay_ms, lambda: call() if life == self._life else None)

    # --- connections ---------------------------------------------------------------------------------------------

    def received(self, link: Link, frame: bytes) -> None:
        """A frame arrived."""
        if not self.is_up:
            link.cut()  # nobody listens
            return
        visitor = self._visitors.setdefault(link, Visitor(link))
        if not visitor.joined:
            join = protocol.decode_up(frame)
            assert isinstance(join, Join), f"expected a Join first, got {type(join).__name__}"
            visitor.joined = True
            self._queue.append((visitor, join))
            self._admit()
        elif visitor.run is None:
            visitor.early.append(frame)
        else:
            self._listen(visitor, visitor.run, frame)

    def lost(self, link: Link) -> None:
        """A connection is gone."""
        visitor = self._visitors.pop(link, None)
        if visitor is None:
            return
        visitor.lost = True
        if visitor.run is not None and visitor.member is not None:
            self._leave(visitor.run, visitor.member)

    def _listen(self, visitor: Visitor, run: LiveRun, frame: bytes) -> None:
        message = protocol.decode_up(frame)
        member = visitor.member
        assert member is not None
        # Nobody simulated annotates or prunes.
        assert not isinstance(message, Join | Open | Annotate | Prune)
        if isinstance(message, Query):
            if member.welcomed:
                self._answer(run, member, message)
            else:
                member.questions.append(message)
            return
        if run.closed:
            return
        if isinstance(message, Save) and self.reach("draft arrived" if message.draft else "arrived"):
            return
        now_ms = self._timeline.now_ms
        if isinstance(message, Tell):
            run.shelf.talk.tell(member.join.view_id, message, now_ms)
            return
        self._ledger.arrived(run.sequencer.record.run, member.join.view_id, message)
        with in_force(self._limits):
            run.sequencer.receive(member.number, message, now_ms, EPOCH_S + now_ms / 1_000)
        self._touch(run)
        if isinstance(message, Leave):
            self._visitors.pop(visitor.link, None)
            self._leave(run, member)
            visitor.link.close_down()

    def _leave(self, run: LiveRun, member: Member) -> None:
        run.shelf.talk.go(member.join.view_id, member.send)
        if run.members.get(member.number) is member:
            del run.members[member.number]
            run.listeners.pop(member.number, None)
        run.sequencer.disconnect(member.number, self._timeline.now_ms)
        self._touch(run)

    def _answer(self, run: LiveRun, member: Member, query: Query) -> None:
        persistent_id = run.shelf.persistent_id
        answer: protocol.Message
        if isinstance(query, ListVersions):
            stored = self.storage.list_versions(persistent_id)[query.after :]
            bare = [msgspec.structs.replace(version, content=b"") for version in stored[:LIST_VERSIONS]]
            answer = protocol.Versions(query.request_id, run.shelf.versions.head, bare, len(stored) > LIST_VERSIONS)
        elif isinstance(query, FetchSource):
            answer = protocol.Source(query.request_id, self.storage.read_source(persistent_id, query.source_id))
        else:
            found = self.storage.read_with_base(persistent_id, query.number)
            answer = protocol.VersionContent(query.request_id, *found)
        self._ledger.counters["questions"] += 1
        member.link.down(protocol.encode(answer))

    # --- finding the run -----------------------------------------------------------------------------------------

    def _admit(self) -> None:
        """Let in who waits; reading the storage waits for what is being written."""
        while self._queue:
            visitor, join = self._queue[0]
            if (self._writing or self._touched) and self.find(join.persistent_id, join.session_id) is None:
                return
            shelf = self._shelf(join)
            if self._promote_drafts(shelf, join.session_id):
                return  # the newest version is read when it is written
            self._queue.popleft()
            run = self._find(shelf, join)
            if isinstance(run, Refused):
                visitor.link.down(protocol.encode(run))
                visitor.link.close_down()
                continue
            self._enter(visitor, run, join)

    def _enter(self, visitor: Visitor, run: LiveRun, join: Join) -> None:
        member = Member(next(run.numbers), join, visitor.link)
        run.members[member.number] = member
        with in_force(self._limits):
            replaced = run.sequencer.join(member.number, join, self._timeline.now_ms)
        if replaced is not None:
            self._ledger.counters["replaced connections"] += 1
            run.listeners.pop(replaced, None)
            run.members.pop(replaced).link.close_down()
        visitor.run, visitor.member = run, member
        run.shelf.talk.come(join, member.send)
        self._touch(run)
        if visitor.lost:
            self._leave(run, member)
        early, visitor.early = visitor.early, []
        for frame in early:
            if not visitor.lost:
                self._listen(visitor, run, frame)

    def _shelf(self, join: Join) -> Shelf:
        shelf = self._shelves.get(join.persistent_id)
        if shelf is None:
            index = self.storage.load_index(join.persistent_id) or StoredIndex(join.password_check, {})
            shelf = Shelf(join.persistent_id, index.password_check, VersionIndex(index), index.waking)
            self._shelves[join.persistent_id] = shelf
        return shelf

    def _promote_drafts(self, shelf: Shelf, session_id: str) -> bool:
        while shelf.waking:
            self._newest_run(shelf, shelf.waking.pop())
        own = shelf.rooms.get(session_id)
        if own is not None:
            own.sequencer.advance(self._timeline.now_ms)
            self._touch(own)
            if not own.sequencer.is_empty:
                return False
        promoted = [run for run in shelf.rooms.values() if run.sequencer.promote_draft(self._timeline.now_ms)]
        for run in promoted:
            self._touch(run)
        self._ledger.counters["drafts promoted at a join"] += len(promoted)
        return bool(promoted)

    def _newest_run(self, shelf: Shelf, session_id: str) -> LiveRun | None:
        run = shelf.rooms.get(session_id)
        if run is None:
            stored = self.storage.load_run(shelf.persistent_id, session_id)
            if stored is None:
                return None
            now_ms = self._timeline.now_ms
            run = self._add(shelf, Sequencer(stored, shelf.versions, now_ms, self._restarted_ms))
        return run

    def _find(self, shelf: Shelf, join: Join) -> LiveRun | Refused:
        if not hmac.compare_digest(shelf.password_check, join.password_check):
            return WRONG_PASSWORD
        run = self._newest_run(shelf, join.session_id)
        if run is not None:
            run.sequencer.advance(self._timeline.now_ms)
            self._touch(run)
            if not (run.sequencer.is_outdated and run.sequencer.is_empty):
                return run
            self._ledger.counters["outdated runs"] += 1
        return self._start(shelf, join)

    def _start(self, shelf: Shelf, join: Join) -> LiveRun | Refused:
        head, origin = shelf.versions.head, origin_of(join, shelf.versions)
        if isinstance(origin, Refused):
            return origin
        self._runs_opened += 1
        name = f"run{self._runs_opened}"
        record = RunRecord(name, join.session_id, join.persistent_id, origin, head, join.tick_rate)
        return self._add(shelf, Sequencer.new(record, shelf.password_check, shelf.versions, self._timeline.now_ms))

    def _add(self, shelf: Shelf, sequencer: Sequencer) -> LiveRun:
        run = LiveRun(sequencer, shelf, sequencer.last_seq)
        shelf.rooms[sequencer.record.session_id] = run
        self._touch(run)
        return run

    # --- turns ---------------------------------------------------------------------------------------------------

    def _touch(self, run: LiveRun) -> None:
        self._touched[run] = None
        if self._writing is None and not self._turn_due:
            self._turn_due = True
            self._later(0.0, self._begin_write)

    def _begin_write(self) -> None:
        self._turn_due = False
        runs = [run for run in self._touched if not run.shelf.failed]
        self._touched.clear()
        turns = [(run, self._end_turn(run)) for run in runs]
        self._writing = turns
        if any(turn.writes for _, turn in turns):
            self._later(self._dice.between(self._dice.weather.write_ms), lambda: self._written(turns))
        else:
            self._written(turns)

    def _end_turn(self, run: LiveRun) -> Turn:
        with in_force(self._limits):
            return run.sequencer.end_turn(self._timeline.now_ms)

    def _take_turns(self, runs: Iterable[LiveRun]) -> None:
        turns = [(run, self._end_turn(run)) for run in runs if not run.shelf.failed]
        self._commit(turns)
        for run, turn in turns:
            self._perform(run, turn)

    def _written(self, turns: list[tuple[LiveRun, Turn]]) -> None:
        self._writing = None
        if self._reach_turn(turns, "to write"):
            return
        if self.disk_fails and any(turn.writes for _, turn in turns):
            self.disk_fails = False
            self._fail(turns)
        else:
            self._commit(turns)
            if self._reach_turn(turns, "written"):
                return
            for run, turn in turns:
                if not run.shelf.failed:
                    self._perform(run, turn)
            if any(turn.writes.versions for _, turn in turns) and self.reach("told"):
                return
        if self._touched and not self._turn_due:
            self._turn_due = True
            self._later(0.0, self._begin_write)
        self._admit()

    def _commit(self, turns: Iterable[tuple[LiveRun, Turn]]) -> None:
        batch = [turn.writes for _, turn in turns if turn.writes]
        self.storage.commit(batch)
        for writes in batch:
            self._ledger.written(writes)
        self._ledger.heads.written(batch, self.storage.head)

    def _fail(self, turns: list[tuple[LiveRun, Turn]]) -> None:
        """Nothing of these turns is stored: everybody out, and whoever returns finds what is stored."""
        self._ledger.counters["disk failures"] += 1
        for run, turn in turns:
            for save in turn.writes.saves_to_store:
                for member in run.listeners.values():
                    member.write(protocol.encode(protocol.SaveFailed(save.save_id, "the disk failed")))
        for shelf in {run.shelf.persistent_id: run.shelf for run, _ in turns}.values():
            shelf.failed = True
            if self._shelves.get(shelf.persistent_id) is shelf:
                del self._shelves[shelf.persistent_id]
            for run in shelf.rooms.values():
                self._close(run)

    def _close(self, run: LiveRun) -> None:
        run.closed = True
        if run.timer:
            run.timer.cancel()
        for member in run.members.values():
            member.link.close_down()
        run.members.clear()
        run.listeners.clear()

    # --- sending -------------------------------------------------------------------------------------------------

    def _perform(self, run: LiveRun, turn: Turn) -> None:
        self._ledger.told(turn)
        frames = [protocol.encode(block) for block in blocks_of(turn.writes.entries)]
        if turn.tick:
            frames.append(protocol.encode(turn.tick))
        for member in run.listeners.values():
            for frame in frames:
                member.write(frame)
        run.sent_seq += len(turn.writes.entries)
        for number, welcome in turn.arrivals:
            if number in run.members:
                self._catch_up(run, run.members[number], welcome)
        for number, reply in turn.replies:
            if number in run.members:
                run.members[number].send(reply)
        self._set_timer(run)

    def _catch_up(self, run: LiveRun, member: Member, welcome: protocol.Welcome) -> None:
        def wait_for_disk(call: Callable[[], None]) -> None:
            self._later(self._dice.between(self._dice.weather.write_ms), call)

        def welcomed(complete: protocol.Welcome) -> None:
            self._ledger.welcomed(complete)
            for question in member.questions:
                self._answer(run, member, question)

        CatchUp(run, member, self.storage, wait_for_disk, welcomed).begin(welcome)

    # --- time ----------------------------------------------------------------------------------------------------

    def _set_timer(self, run: LiveRun) -> None:
        if run.closed:
            return
        now_ms = self._timeline.now_ms
        due_ms = run.sequencer.next_deadline_ms()
        if due_ms is not None:
            run.forget_due_ms = None
        elif run.forget_due_ms is None:
            due_ms = run.forget_due_ms = now_ms + FORGET_AFTER_MS
        else:
            due_ms = run.forget_due_ms
        if run.timer:
            run.timer.cancel()
        run.timer = self._later(due_ms - now_ms, lambda: self._on_timer(run))

    def _on_timer(self, run: LiveRun) -> None:
        run.timer = None
        now_ms = self._timeline.now_ms
        if run.forget_due_ms is not None and now_ms >= run.forget_due_ms and run.sequencer.is_empty:
            session_id = run.sequencer.record.session_id
            self._ledger.counters["forgotten runs"] += 1
            if run.shelf.rooms.get(session_id) is run:
                del run.shelf.rooms[session_id]
            if not run.shelf.rooms and self._shelves.get(run.shelf.persistent_id) is run.shelf:
                del self._shelves[run.shelf.persistent_id]
        else:
            run.sequencer.advance(now_ms)
            self._touch(run)
