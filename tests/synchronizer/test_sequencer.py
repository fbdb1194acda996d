"""The sequencer, played by several members against one; no clock, no socket, no disk."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import pytest

from msq_jupyter import protocol
from msq_jupyter.errors import ProtocolError
from msq_jupyter.protocol import Audit, Event, Join, Leave, Membership, Report, Save, Saved, Send, Snapshot, Welcome
from msq_jupyter.synchronizer import sequencer as sequencer_module
from msq_jupyter.synchronizer.audits import AUDIT_WAIT_MS
from msq_jupyter.synchronizer.blocks import counted
from msq_jupyter.synchronizer.clock import LEASE_MS, SessionClock
from msq_jupyter.synchronizer.records import Draft, RunRecord, StoredIndex, StoredRun, ViewRecord, Writes
from msq_jupyter.synchronizer.sequencer import RESTART_GRACE_MS, Sequencer, Turn, VersionIndex

TIME_S = 1_764_000_000.5
RECORD = RunRecord("run-1", "session", "persistent", origin=0, head=0, tick_rate=20.0)


def a_join(view_id: str = "ada", **changes: object) -> Join:
    join = Join(
        protocol.PROTOCOL_VERSION, "session", "persistent", view_id, b"check", b"", 20.0, 1_000.0, "latest", "", 0
    )
    return msgspec.structs.replace(join, **changes)


def a_save(save_id: str, parent: int = 0) -> Save:
    return Save(save_id, parent, b"meta", b"content")


@dataclass
class Disk:
    """What a storage would have: the writes of every turn, applied."""

    entries: list[bytes] = field(default_factory=list)
    views: dict[str, ViewRecord] = field(default_factory=dict)
    counted_seq: int = 0
    time_ms: float = 0.0
    snapshot_seq: int = 0
    saves: list[int] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    head: int = 0
    draft: Draft | None = None

    def write(self, writes: Writes) -> None:
        assert writes.first_seq == len(self.entries) + 1
        self.entries += writes.entries
        self.views.update((view.view_id, view) for view in writes.views)
        self.counted_seq = self.counted_seq if writes.counted_seq is None else writes.counted_seq
        self.time_ms = self.time_ms if writes.time_ms is None else writes.time_ms
        self.snapshot_seq = writes.snapshot.seq if writes.snapshot else self.snapshot_seq
        self.saves += writes.saves
        self.numbers.update((save.save_id, number) for number, _, save in writes.versions)
        self.head = max(self.head, writes.head)
        self.draft = self.draft if writes.draft is msgspec.UNSET else writes.draft

    def stored(self) -> StoredRun:
        views = counted(self.views.values(), self.entries[self.counted_seq :])
        seqs = (len(self.entries), self.snapshot_seq, 0, self.counted_seq)
        return StoredRun(RECORD, self.time_ms, *seqs, views, self.saves, self.draft)


class Play:
    """A sequencer, its disk, a clock that only the test moves, and what the members have received."""

    def __init__(self) -> None:
        self.disk = Disk()
        self.now_ms = 50_000.0
        self.sequencer = Sequencer.new(RECORD, b"check", VersionIndex(), self.now_ms)
        self.connections = 0
        self.ticks: list[float] = []
        self.audit: Audit | None = None

    def join(self, view_id: str, **changes: object) -> int:
        self.connections += 1
        self.sequencer.join(self.connections, a_join(view_id, **changes), self.now_ms)
        return self.connections

    def say(self, connection: int, message: Send | Snapshot | Report | Save | Leave) -> None:
        self.sequencer.receive(connection, message, self.now_ms, TIME_S)

    def send(self, connection: int, *counters: int) -> None:
        self.say(connection, Send([(counter, b"payload %d" % counter) for counter in counters]))

    def vote(self, digest: bytes, *connections: int) -> None:
        for connection in connections:
            self.say(connection, Report(self.audit.seq, digest))

    def turn(self) -> Turn:
        turn = self.sequencer.end_turn(self.now_ms)
        self.disk.write(turn.writes)
        audits = [entry for entry in map(protocol.decode_entry, turn.writes.entries) if isinstance(entry, Audit)]
        self.audit = audits[-1] if audits else self.audit
        if turn.tick:
            assert not turn.writes.entries
            self.ticks.append(turn.tick.time_ms)
        return turn

    def entries(self) -> list[protocol.Entry]:
        """The entries of a turn that ends now."""
        return [protocol.decode_entry(entry) for entry in self.turn().writes.entries]

    def welcome(self, connection: int) -> Welcome:
        return dict(self.turn().arrivals)[connection]

    def pass_time(self, duration_ms: float) -> None:
        self.now_ms += duration_ms
        self.sequencer.advance(self.now_ms)

    def crash(self, after_ms: float = 0.0) -> None:
        """Lose what was not written, and restore the rest."""
        self.now_ms += after_ms
        index = StoredIndex(b"", self.disk.numbers, self.disk.head, RECORD.run if self.disk.head else "")
        self.sequencer = Sequencer(self.disk.stored(), VersionIndex(index), self.now_ms, self.now_ms)


@pytest.fixture
def play() -> Play:
    return Play()


# --- order -------------------------------------------------------------------------------------------------------


def test_the_first_entry_is_number_1_and_the_others_follow_without_gap(play: Play) -> None:
    ada, bob = play.join("ada"), play.join("bob")
    play.send(ada, 1, 2)
    play.send(bob, 1)
    assert [entry.seq for entry in play.entries()] == [1, 2, 3, 4]


def test_4_6_a_counter_that_was_accepted_before_is_dropped(play: Play) -> None:
    ada = play.join("ada")
    play.send(ada, 1, 2)
    play.send(ada, 1, 2, 3)
    events = [entry for entry in play.entries() if isinstance(entry, Event)]
    assert [event.counter for event in events] == [1, 2, 3]


def test_4_6_a_gap_in_the_counters_ends_the_connection_and_says_what_was_expected(play: Play) -> None:
    ada = play.join("ada")
    play.send(ada, 1)
    with pytest.raises(ProtocolError, match="expected event 2 of view 'ada', got event 3"):
        play.send(ada, 3)


def test_4_6_the_last_counters_survive_a_restart_even_of_views_that_left(play: Play) -> None:
    ada = play.join("ada")
    play.send(ada, 1, 2)
    play.say(ada, Leave())
    play.turn()
    play.crash()
    assert play.welcome(play.join("ada")).last_counter == 2


def test_4_6_an_event_too_large_is_refused(play: Play) -> None:
    ada = play.join("ada")
    with pytest.raises(ProtocolError, match=r"at most 262,144 bytes of payload, got 262,145 in event 1"):
        play.say(ada, Send([(1, bytes(protocol.EVENT_BYTES_MAX + 1))]))


def test_what_a_connection_says_after_it_was_replaced_is_dropped(play: Play) -> None:
    old = play.join("ada")
    play.join("ada")
    play.turn()
    play.send(old, 1)
    assert play.entries() == []


# --- membership --------------------------------------------------------------------------------------------------


def test_4_5_exits_and_joins_of_a_turn_are_one_entry_exits_first(play: Play) -> None:
    ada = play.join("ada")
    play.turn()
    play.join("bob", view_data=b"sealed")
    play.say(ada, Leave())
    (entry,) = play.entries()
    assert isinstance(entry, Membership)
    assert (entry.exits, entry.joins) == (["ada"], [("bob", b"sealed")])


def test_4_5_a_short_reconnect_emits_nothing(play: Play) -> None:
    ada = play.join("ada")
    play.turn()
    play.sequencer.disconnect(ada, play.now_ms)
    play.pass_time(999)
    play.join("ada")
    play.pass_time(5_000)
    assert play.entries() == []


def test_4_5_a_view_away_for_its_rejoin_limit_exits_and_joins_again_when_it_returns(play: Play) -> None:
    ada, _ = play.join("ada"), play.join("bob")
    play.send(ada, 1)
    play.turn()
    play.sequencer.disconnect(ada, play.now_ms)
    assert play.sequencer.next_deadline_ms() is not None
    play.pass_time(1_000)
    assert [entry.exits for entry in play.entries() if isinstance(entry, Membership)] == [["ada"]]
    welcome = play.sequencer.join(99, a_join("ada"), play.now_ms)
    assert welcome is None
    turn = play.turn()
    assert dict(turn.arrivals)[99].last_counter == 1
    (entry,) = map(protocol.decode_entry, turn.writes.entries)
    assert isinstance(entry, Membership)
    assert entry.joins == [("ada", b"")]


def test_a_view_that_joins_and_leaves_in_one_turn_was_never_there(play: Play) -> None:
    play.say(play.join("ada"), Leave())
    turn = play.turn()
    assert turn.writes.entries == []
    assert turn.arrivals == []


def test_a_view_that_leaves_returns_and_leaves_in_one_turn_exits_once(play: Play) -> None:
    ada, _ = play.join("ada"), play.join("bob")
    play.turn()
    play.say(ada, Leave())
    play.say(play.join("ada"), Leave())
    (entry,) = play.entries()
    assert isinstance(entry, Membership)
    assert (entry.exits, entry.joins) == (["ada"], [])


def test_a_newer_connection_of_the_same_view_takes_the_place_of_the_older_one(play: Play) -> None:
    old = play.join("ada")
    play.turn()
    assert play.sequencer.join(99, a_join("ada"), play.now_ms) == old
    assert play.entries() == []
    play.sequencer.disconnect(old, play.now_ms)
    assert not play.sequencer.is_empty


def test_4_5_an_event_never_comes_before_the_join_of_its_view(play: Play) -> None:
    play.join("ada")
    play.turn()
    bob = play.join("bob")
    play.send(bob, 1)
    assert [type(entry) for entry in play.entries()] == [Membership, Event]


# --- restart -----------------------------------------------------------------------------------------------------


def test_4_5_a_crash_is_not_noticed_by_views_that_return_in_time(play: Play) -> None:
    play.join("ada")
    play.turn()
    play.crash(after_ms=100)
    play.pass_time(RESTART_GRACE_MS - 1)
    play.join("ada")
    play.pass_time(RESTART_GRACE_MS)
    assert play.entries() == []


def test_4_5_views_that_do_not_return_after_a_crash_exit(play: Play) -> None:
    play.join("ada", rejoin_limit_ms=RESTART_GRACE_MS + 100)
    play.join("bob")
    play.turn()
    play.crash()
    play.pass_time(RESTART_GRACE_MS)
    assert [entry.exits for entry in play.entries() if isinstance(entry, Membership)] == [["bob"]]
    play.pass_time(100)
    assert [entry.exits for entry in play.entries() if isinstance(entry, Membership)] == [["ada"]]
    assert play.sequencer.is_empty


@pytest.mark.parametrize("away_ms", [100, 1_000, 3_600_000])
def test_4_5_when_all_were_gone_their_exits_come_before_the_join_of_who_returns(play: Play, away_ms: float) -> None:
    for connection in (play.join("ada"), play.join("bob", rejoin_limit_ms=500.0)):
        play.turn()
        play.sequencer.disconnect(connection, play.now_ms)
    play.pass_time(away_ms)
    play.join("eve")
    play.pass_time(2_000)
    members = [
        event
        for entry in play.entries()
        if isinstance(entry, Membership)
        for event in [*entry.exits, *(view_id for view_id, _ in entry.joins)]
    ]
    assert sorted(members[-3:]) == sorted(members) == ["ada", "bob", "eve"]
    assert members[-1] == "eve" or away_ms < 1_000


def test_4_5_a_run_restored_long_after_the_restart_waits_for_nobody(play: Play) -> None:
    play.join("ada")
    play.turn()
    restarted_ms = play.now_ms
    play.now_ms += 3_600_000
    play.sequencer = Sequencer(play.disk.stored(), VersionIndex(), play.now_ms, restarted_ms)
    play.join("bob")
    (entry,) = play.entries()
    assert isinstance(entry, Membership)
    assert (entry.exits, entry.joins) == (["ada"], [("bob", b"")])


# --- time --------------------------------------------------------------------------------------------------------


def test_7_5_session_time_starts_at_0_and_stands_still_while_nobody_is_in(play: Play) -> None:
    ada = play.join("ada")
    assert play.entries()[0].time_ms == 0
    play.pass_time(1_500.0004)
    play.say(ada, Leave())
    assert play.entries()[0].time_ms == 1_500.0
    play.pass_time(86_400_000)
    play.join("bob")
    assert play.entries()[0].time_ms == 1_500.0


def test_7_5_time_goes_on_while_a_view_is_away(play: Play) -> None:
    ada = play.join("ada", rejoin_limit_ms=10_000.0)
    play.turn()
    play.sequencer.disconnect(ada, play.now_ms)
    play.pass_time(9_000)
    assert play.welcome(play.join("ada")).live_time_ms == 9_000


def test_7_5_after_a_crash_time_is_never_before_a_tick_that_a_member_has_seen(play: Play) -> None:
    play.join("ada")
    play.turn()
    for _ in range(300):
        play.pass_time(50)
        play.turn()
    seen_ms = play.ticks[-1]
    play.crash(after_ms=1)
    live_time_ms = play.welcome(play.join("ada")).live_time_ms
    assert seen_ms <= live_time_ms <= seen_ms + LEASE_MS


def test_7_5_an_orderly_end_writes_the_exact_time(play: Play) -> None:
    play.join("ada")
    play.turn()
    play.pass_time(123.456)
    play.sequencer.stop(play.now_ms)
    play.turn()
    play.crash(after_ms=60_000)
    assert play.welcome(play.join("ada")).live_time_ms == 123.456


def test_the_stored_mark_is_renewed_only_when_time_has_passed_it() -> None:
    clock = SessionClock(0.0)
    clock.start(0.0)
    marks = []
    for now_ms in range(0, 20_000, 50):
        clock.read(float(now_ms))
        marks.append(clock.take_mark())
    assert [mark for mark in marks if mark is not None] == [5_050.0, 10_100.0, 15_150.0, 20_200.0]


# --- ticks -------------------------------------------------------------------------------------------------------


def test_7_5_ticks_fill_silence_only(play: Play) -> None:
    ada = play.join("ada")
    play.turn()
    play.pass_time(49)
    play.send(ada, 1)
    play.turn()
    play.pass_time(49)
    assert play.turn().tick is None
    play.pass_time(1)
    assert play.turn().tick == protocol.Tick(99.0)
    assert play.sequencer.next_deadline_ms() == play.now_ms + 50


def test_nobody_connected_means_no_tick_and_no_deadline(play: Play) -> None:
    assert play.sequencer.next_deadline_ms() is None
    ada = play.join("ada")
    play.say(ada, Leave())
    play.turn()
    play.pass_time(1_000)
    assert play.turn().tick is None
    assert play.sequencer.next_deadline_ms() is None


# --- joining -----------------------------------------------------------------------------------------------------


def test_7_1_the_first_to_join_starts_from_nothing(play: Play) -> None:
    welcome = play.welcome(play.join("ada"))
    assert (welcome.resumed, welcome.after_seq, welcome.live_seq) == (False, 0, 0)


def test_a_replica_of_the_same_run_goes_on_where_it_was(play: Play) -> None:
    ada = play.join("ada")
    play.send(ada, 1, 2, 3)
    play.turn()
    welcome = play.welcome(play.join("ada", have_run="run-1", have_seq=2))
    assert (welcome.resumed, welcome.after_seq, welcome.live_seq, welcome.last_counter) == (True, 2, 4, 3)


@pytest.mark.parametrize(("have_run", "have_seq"), [("run-0", 1), ("run-1", 3), ("", 0)])
def test_a_replica_of_another_run_or_of_the_future_starts_anew(play: Play, have_run: str, have_seq: int) -> None:
    ada = play.join("ada")
    play.send(ada, 1)
    play.turn()
    assert not play.welcome(play.join("ada", have_run=have_run, have_seq=have_seq)).resumed


def test_7_2_a_replica_too_far_behind_starts_from_the_snapshot(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencer_module, "TAIL_ENTRIES_MAX", 3)
    ada = play.join("ada")
    play.send(ada, *range(1, 8))
    play.say(ada, Snapshot(6, 0.0, b"state"))
    play.turn()
    assert play.welcome(play.join("ada", have_run="run-1", have_seq=5)).resumed
    welcome = play.welcome(play.join("ada", have_run="run-1", have_seq=4))
    assert (welcome.resumed, welcome.after_seq) == (False, 6)


# --- snapshots ---------------------------------------------------------------------------------------------------


def asked(turn: Turn) -> list[str]:
    """Who shall upload a snapshot, by the audits of a turn."""
    entries = map(protocol.decode_entry, turn.writes.entries)
    return [entry.uploader for entry in entries if isinstance(entry, Audit) and entry.uploader]


def test_7_2_the_member_longest_there_is_asked_for_a_snapshot_then_another_one(play: Play) -> None:
    ada, bob = play.join("ada"), play.join("bob")
    play.send(ada, *range(1, 1_000))
    assert asked(play.turn()) == []
    play.vote(b"equal", ada, bob)
    play.send(ada, 1_000)
    assert asked(play.turn()) == ["ada"]
    play.pass_time(AUDIT_WAIT_MS - 1)
    assert asked(play.turn()) == []
    play.pass_time(1)
    assert asked(play.turn()) == ["bob"]
    play.vote(b"equal", ada, bob)
    play.say(bob, Snapshot(play.audit.seq, 0.0, b"state"))
    turn = play.turn()
    assert asked(turn) == []
    assert turn.writes.snapshot.payload == b"state"


def test_7_2_another_one_is_asked_at_once_when_the_asked_one_disconnects(play: Play) -> None:
    ada, bob = play.join("ada"), play.join("bob")
    play.turn()
    play.send(ada, *range(1, 1_001))
    assert asked(play.turn()) == ["ada"]
    play.vote(b"equal", bob)
    play.sequencer.disconnect(ada, play.now_ms)
    assert asked(play.turn()) == ["bob"]


def test_7_2_bytes_count_too(play: Play) -> None:
    ada = play.join("ada")
    for counter in range(1, 6):
        play.say(ada, Send([(counter, bytes(protocol.EVENT_BYTES_MAX))]))
    assert asked(play.turn()) == ["ada"]


def test_the_newest_snapshot_wins_and_one_of_the_future_is_refused(play: Play) -> None:
    ada = play.join("ada")
    play.send(ada, 1, 2, 3)
    play.say(ada, Snapshot(3, 0.0, b"newer"))
    play.say(ada, Snapshot(2, 0.0, b"older"))
    assert play.turn().writes.snapshot == Snapshot(3, 0.0, b"newer")
    with pytest.raises(ProtocolError, match="up to entry 4, got one after entry 5"):
        play.say(ada, Snapshot(5, 0.0, b"state"))


# --- versions ----------------------------------------------------------------------------------------------------


def test_5_6_a_version_is_numbered_and_its_saved_is_in_the_same_turn(play: Play) -> None:
    ada = play.join("ada")
    play.turn()
    play.say(ada, a_save("first"))
    play.say(ada, a_save("second", parent=1))
    turn = play.turn()
    assert turn.writes.versions == [(1, TIME_S, a_save("first")), (2, TIME_S, a_save("second", parent=1))]
    saved = [protocol.decode_entry(entry) for entry in turn.writes.entries]
    assert [(entry.save_id, entry.number) for entry in saved if isinstance(entry, Saved)] == [
        ("first", 1),
        ("second", 2),
    ]
    assert play.sequencer.newest_version == 2


def test_a_repeated_save_writes_nothing_even_after_a_restart(play: Play) -> None:
    ada = play.join("ada")
    play.say(ada, a_save("first"))
    play.turn()
    play.say(ada, a_save("first"))
    assert not play.turn().writes
    play.crash()
    ada = play.join("ada")
    play.turn()
    play.say(ada, a_save("first"))
    assert not play.turn().writes


def test_a_version_saved_in_another_run_gets_its_saved_but_is_not_stored_twice() -> None:
    play = Play()
    play.sequencer = Sequencer.new(RECORD, b"check", VersionIndex(StoredIndex(b"", {"first": 1})), play.now_ms)
    ada = play.join("ada")
    play.say(ada, a_save("first"))
    turn = play.turn()
    assert turn.writes.versions == []
    assert isinstance(protocol.decode_entry(turn.writes.entries[-1]), Saved)


def test_a_version_that_grew_from_none_that_exists_fails_and_says_why(play: Play) -> None:
    ada = play.join("ada")
    play.say(ada, a_save("first", parent=4))
    ((_, reply),) = play.turn().replies
    assert reply == protocol.SaveFailed("first", "expected a parent from 0 to 0, the newest version, got 4")


@pytest.mark.parametrize(("count", "size_bytes"), [(sequencer_module.COUNT_ENTRIES, 1), (10, 200_000)])
def test_4_6_counters_are_written_now_and_then_and_known_after_a_restart(
    play: Play, count: int, size_bytes: int
) -> None:
    ada, _ = play.join("ada"), play.join("bob")
    play.turn()
    counted: list[int] = []
    for counter in range(1, count + 1):
        play.say(ada, Send([(counter, bytes(size_bytes))]))
        writes = play.turn().writes
        if writes.counted_seq is not None:
            counted.append(writes.counted_seq)
            assert [view.counter for view in writes.views] == [counter]
        else:
            assert not writes.views
    assert counted, "else reading the log for them takes ever longer"
    assert play.disk.views["ada"].counter < count or count > 10
    stored = play.disk.stored()
    assert {view.view_id: view.counter for view in stored.views} == {"ada": count, "bob": 0}
