"""Who votes when, and what comes of it: sequencer and members, without a clock, a socket or a key."""

from __future__ import annotations

import pytest

from msq_jupyter import protocol
from msq_jupyter.errors import ProtocolError
from msq_jupyter.protocol import Audit, Leave, Report, SaveFailed, Snapshot, Verdict
from msq_jupyter.synchronizer.audits import (
    ATTEMPTS_MAX,
    AUDIT_AFTER_SAVE_MS,
    AUDIT_ENTRIES,
    AUDIT_INTERVAL_MS,
    AUDIT_WAIT_MS,
    AUDITS_KEPT,
    PART_BYTES,
)
from msq_jupyter.synchronizer.sequencer import SNAPSHOT_ENTRIES, Turn
from tests.synchronizer.test_sequencer import Play, a_join, a_save, play  # noqa: F401  # a fixture


def audits_of(turn: Turn) -> list[Audit]:
    return [entry for entry in map(protocol.decode_entry, turn.writes.entries) if isinstance(entry, Audit)]


def verdicts_of(turn: Turn) -> dict[int, list[list[str]]]:
    """Groups by connection."""
    return {connection: reply.groups for connection, reply in turn.replies if isinstance(reply, Verdict)}


class Room:
    """Members whose replicas are a digest each."""

    def __init__(self, play: Play, *names: str) -> None:
        self.play = play
        self.connections = {name: play.join(name) for name in names}
        self.counters = dict.fromkeys(names, 0)
        self.replicas = dict.fromkeys(names, b"equal")
        play.turn()

    def happen(self, *, count: int = 1, by: str = "") -> None:
        name = by or next(iter(self.connections))
        for _ in range(count):
            self.counters[name] += 1
            self.play.send(self.connections[name], self.counters[name])

    def audit(self) -> Audit:
        """Let something happen, and time pass until the audit of it is there."""
        self.happen()
        self.play.turn()
        self.play.pass_time(AUDIT_INTERVAL_MS)
        (audit,) = audits_of(self.play.turn())
        return audit

    def vote(self, *names: str, audit: Audit | None = None) -> None:
        seq = (audit or self.play.audit).seq
        for name in names or self.connections:
            self.play.say(self.connections[name], Report(seq, self.replicas[name]))

    def upload(self, name: str) -> None:
        payload = b"of " + self.replicas[name]
        self.play.say(self.connections[name], Snapshot(self.play.audit.seq, self.play.audit.time_ms, payload))

    def dispute(self) -> Audit:
        """Let an audit find a difference; the disputed one that follows."""
        self.audit()
        self.vote()
        (audit,) = audits_of(self.play.turn())
        assert audit.disputed
        return audit

    def judge(self, uploader: str = "") -> Turn:
        """Everybody votes on the disputed audit, and the one that is asked uploads."""
        audit = self.dispute()
        assert not uploader or audit.uploader == uploader
        self.vote()
        self.upload(audit.uploader)
        return self.play.turn()


# --- when --------------------------------------------------------------------------------------------------------


def test_6_3_an_audit_comes_a_while_after_something_happened(play: Play) -> None:
    Room(play, "ada", "bob")  # that they joined is what happened
    play.pass_time(AUDIT_INTERVAL_MS - 1)
    assert audits_of(play.turn()) == []
    assert play.sequencer.next_deadline_ms() <= play.now_ms + 1
    play.pass_time(1)
    (audit,) = audits_of(play.turn())
    assert (audit.uploader, audit.disputed) == ("", False)


def test_6_3_an_idle_session_is_not_audited(play: Play) -> None:
    room = Room(play, "ada", "bob")
    room.audit()
    room.vote()
    for _ in range(20):
        play.pass_time(AUDIT_INTERVAL_MS)
        assert audits_of(play.turn()) == []


def test_6_3_one_alone_is_not_audited(play: Play) -> None:
    room = Room(play, "ada")
    room.happen(count=AUDIT_ENTRIES)
    play.pass_time(AUDIT_INTERVAL_MS * 3)
    assert audits_of(play.turn()) == []


@pytest.mark.parametrize("disputed", [False, True])
def test_6_3_those_who_may_only_read_wait_for_no_audit_once_they_are_alone(play: Play, disputed: bool) -> None:
    room = Room(play, "ada", "bob")
    for view_id in ("carol", "dave"):
        play.connections += 1
        play.sequencer.join(play.connections, a_join(view_id), play.now_ms, read_only=True)
    if disputed:
        room.replicas["bob"] = b"different"
        room.dispute()
    for connection in room.connections.values():
        play.say(connection, Leave())
    play.turn()
    play.pass_time(AUDIT_WAIT_MS + AUDIT_INTERVAL_MS)
    for _ in range(3):  # until what was open is over
        play.turn()
    # Else its driver would take one turn after the other, and nothing else.
    assert play.sequencer.next_deadline_ms() > play.now_ms


def test_6_3_many_entries_are_audited_before_the_time(play: Play) -> None:
    room = Room(play, "ada", "bob")
    room.happen(count=AUDIT_ENTRIES)
    assert len(audits_of(play.turn())) == 1


def test_5_5_a_save_is_audited_soon(play: Play) -> None:
    room = Room(play, "ada", "bob")
    play.say(room.connections["ada"], a_save("first"))
    play.turn()
    play.pass_time(AUDIT_AFTER_SAVE_MS)
    assert len(audits_of(play.turn())) == 1


def test_6_3_one_audit_follows_the_other_and_each_looks_at_another_part(play: Play) -> None:
    room = Room(play, "ada", "bob")
    numbers = [room.audit().number]
    for _ in range(10):
        room.happen(count=AUDIT_ENTRIES)
        assert audits_of(play.turn()) == []  # while one is open
        room.vote()
        if play.audit.uploader:
            room.upload(play.audit.uploader)
        (audit,) = audits_of(play.turn())
        numbers.append(audit.number)
    assert numbers == list(range(numbers[0], numbers[0] + 11))


@pytest.mark.parametrize(("size_bytes", "parts"), [(1_000, 1), (PART_BYTES, 2), (PART_BYTES * 200, 64)])
def test_6_3_the_larger_the_state_the_smaller_the_part(play: Play, size_bytes: int, parts: int) -> None:
    room = Room(play, "ada")
    play.say(room.connections["ada"], Snapshot(1, 0.0, bytes(size_bytes)))
    room.connections["bob"] = play.join("bob")
    room.replicas["bob"], room.counters["bob"] = b"equal", 0
    assert room.audit().parts == parts


def test_an_orderly_end_begins_no_audit(play: Play) -> None:
    room = Room(play, "ada", "bob")
    room.happen(count=AUDIT_ENTRIES)
    play.sequencer.stop(play.now_ms)
    assert audits_of(play.turn()) == []


# --- verdicts ----------------------------------------------------------------------------------------------------


def test_6_3_while_all_agree_nobody_is_told_anything(play: Play) -> None:
    room = Room(play, "ada", "bob", "eve")
    for _ in range(5):
        room.audit()
        room.vote()
        assert play.turn().replies == []


@pytest.mark.parametrize(
    ("wrong", "uploader", "groups"),
    [
        (["eve"], "ada", [["ada", "bob"], ["eve"]]),
        (["ada"], "bob", [["bob", "eve"], ["ada"]]),
        (["ada", "bob"], "ada", [["ada", "bob"], ["eve"]]),
    ],
)
def test_6_3_the_majority_is_right_whoever_was_there_first(play: Play, wrong, uploader, groups) -> None:
    room = Room(play, "ada", "bob", "eve")
    room.replicas.update(dict.fromkeys(wrong, b"other"))
    turn = room.judge(uploader)
    assert verdicts_of(turn) == dict.fromkeys(room.connections.values(), groups)
    assert turn.writes.snapshot.payload == b"of " + room.replicas[uploader]


def test_6_3_of_equally_many_the_one_who_came_first_is_right_even_if_it_reconnected(play: Play) -> None:
    room = Room(play, "zoe", "ada")
    play.sequencer.disconnect(room.connections["zoe"], play.now_ms)
    room.connections["zoe"] = play.join("zoe", have_run="run-1", have_seq=1)
    room.replicas["ada"] = b"other"
    assert verdicts_of(room.judge("zoe"))[room.connections["ada"]] == [["zoe"], ["ada"]]


def test_6_3_three_opinions_are_three_groups(play: Play) -> None:
    room = Room(play, "ada", "bob", "eve")
    room.replicas.update(bob=b"second", eve=b"third")
    assert verdicts_of(room.judge())[1] == [["ada"], ["bob"], ["eve"]]


def test_6_3_a_difference_that_is_gone_at_the_second_look_has_no_consequence(play: Play) -> None:
    room = Room(play, "ada", "bob")
    room.replicas["bob"] = b"other"
    room.dispute()
    room.replicas["bob"] = b"equal"
    room.vote()
    room.upload("ada")
    turn = play.turn()
    assert verdicts_of(turn) == {}
    assert turn.writes.snapshot is not None
    play.say(room.connections["bob"], a_save("first"))
    assert play.turn().writes.versions


def test_6_3_no_verdict_before_the_snapshot_of_the_right_is_stored(play: Play) -> None:
    room = Room(play, "ada", "bob")
    room.replicas["bob"] = b"other"
    room.dispute()
    room.vote()
    assert play.turn().replies == []
    room.upload("ada")
    turn = play.turn()
    assert turn.writes.snapshot is not None
    assert verdicts_of(turn)


def test_6_3_without_a_snapshot_another_one_is_asked_and_in_the_end_there_is_a_verdict_anyway(play: Play) -> None:
    room = Room(play, "ada", "bob", "eve")
    room.replicas["eve"] = b"other"
    asked = [room.dispute().uploader]
    for _ in range(ATTEMPTS_MAX):
        room.vote()
        play.pass_time(AUDIT_WAIT_MS)
        verdicts = verdicts_of(play.turn())
        play.pass_time(AUDIT_INTERVAL_MS)
        asked += [audit.uploader for audit in audits_of(play.turn())]
    assert asked[:ATTEMPTS_MAX] == ["ada", "bob", "ada"]
    assert verdicts[1] == [["ada", "bob"], ["eve"]]


def test_6_3_after_a_verdict_there_is_no_other_one_for_a_while(play: Play) -> None:
    room = Room(play, "ada", "bob")
    room.replicas["bob"] = b"other"
    room.judge()
    room.happen(count=AUDIT_ENTRIES * 2)
    play.pass_time(AUDIT_INTERVAL_MS - 1)
    assert audits_of(play.turn()) == []
    play.pass_time(1)
    assert len(audits_of(play.turn())) == 1


def test_6_3_when_all_who_were_right_have_left_the_others_start_from_what_is_stored(play: Play) -> None:
    room = Room(play, "ada", "bob", "eve")
    room.replicas["eve"] = b"other"
    room.dispute()
    for name in ("ada", "bob"):
        play.say(room.connections[name], protocol.Leave())
    room.vote("eve")
    assert verdicts_of(play.turn()) == {room.connections["eve"]: [["ada", "bob"], ["eve"]]}


# --- those who are not like the others ---------------------------------------------------------------------------


def test_5_5_who_differs_saves_nothing_until_it_has_a_new_replica(play: Play) -> None:
    room = Room(play, "ada", "bob", "eve")
    room.replicas["eve"] = b"other"
    room.audit()
    room.vote()
    play.turn()
    play.say(room.connections["eve"], a_save("first"))
    (reply,) = [reply for _, reply in play.turn().replies if isinstance(reply, SaveFailed)]
    assert reply.reason == "this replica differs from those of the others, who save instead; it is being restored"
    play.sequencer.disconnect(room.connections["eve"], play.now_ms)
    for have_seq, is_stored in ((1, False), (-1, True)):
        room.connections["eve"] = play.join("eve", have_run="run-1", have_seq=have_seq)
        play.say(room.connections["eve"], a_save("first"))
        assert bool(play.turn().writes.versions) == is_stored


def test_7_2_a_snapshot_of_who_differs_is_neither_stored_nor_served(play: Play) -> None:
    room = Room(play, "ada", "bob", "eve")
    room.replicas["ada"] = b"other"
    room.happen(count=SNAPSHOT_ENTRIES)
    (audit,) = audits_of(play.turn())
    assert audit.uploader == "ada"
    room.upload("ada")
    room.vote()
    turn = play.turn()
    assert turn.writes.snapshot is None
    assert [audit.uploader for audit in audits_of(turn)] == ["bob"]
    play.say(room.connections["ada"], Snapshot(audit.seq, audit.time_ms, b"again, now that the audit is over"))
    assert play.turn().writes.snapshot is None


def test_7_2_a_snapshot_nobody_asked_for_is_dropped_while_others_are_there(play: Play) -> None:
    room = Room(play, "ada", "bob")
    room.audit()
    room.upload("bob")
    room.vote()
    assert play.turn().writes.snapshot is None
    play.say(room.connections["bob"], Snapshot(play.sequencer.last_seq, 0.0, b"state"))
    assert play.turn().writes.snapshot is None
    play.say(room.connections["ada"], protocol.Leave())
    play.say(room.connections["bob"], Snapshot(play.sequencer.last_seq, 0.0, b"state"))
    assert play.turn().writes.snapshot is not None


def test_7_2_a_snapshot_that_comes_late_is_taken_if_its_sender_was_right(play: Play) -> None:
    room = Room(play, "ada", "bob")
    room.happen(count=SNAPSHOT_ENTRIES)
    (audit,) = audits_of(play.turn())
    room.vote()
    play.pass_time(AUDIT_WAIT_MS)
    (second,) = audits_of(play.turn())
    assert second.uploader == "bob"
    play.say(room.connections["ada"], Snapshot(audit.seq, audit.time_ms, b"late"))
    assert play.turn().writes.snapshot.payload == b"late"


# --- votes that come late, twice, or are nonsense ----------------------------------------------------------------


def test_6_3_a_late_vote_is_compared_with_what_the_others_said(play: Play) -> None:
    room = Room(play, "ada", "bob", "eve")
    room.replicas["eve"] = b"other"
    first = room.audit()
    room.vote("ada", "bob")
    play.pass_time(AUDIT_WAIT_MS)
    assert play.turn().replies == []
    room.vote("eve", audit=first)
    (disputed,) = audits_of(play.turn())
    assert disputed.disputed
    room.vote("ada", "bob")
    room.upload("ada")
    play.pass_time(AUDIT_WAIT_MS)
    assert play.turn().replies == []
    room.vote("eve", audit=disputed)
    assert verdicts_of(play.turn())[room.connections["eve"]] == [["ada", "bob"], ["eve"]]


def test_6_3_nobody_waits_for_who_is_gone(play: Play) -> None:
    room = Room(play, "ada", "bob", "eve")
    room.audit()
    room.vote("ada", "bob")
    play.sequencer.disconnect(room.connections["eve"], play.now_ms)
    play.turn()
    room.happen(count=AUDIT_ENTRIES)
    assert len(audits_of(play.turn())) == 1


def test_6_3_a_newcomer_does_not_vote_on_what_was_before_it(play: Play) -> None:
    room = Room(play, "ada", "bob")
    audit = room.audit()
    room.connections["eve"] = play.join("eve")
    room.replicas["eve"] = b"other"
    room.vote(audit=audit)
    assert audits_of(play.turn()) == []
    assert audits_of(play.turn()) == []


def test_a_vote_counts_once_and_one_for_no_audit_not_at_all(play: Play) -> None:
    room = Room(play, "ada", "bob", "eve")
    audit = room.audit()
    room.vote("ada", "bob")
    for seq in (audit.seq, 0, -1, audit.seq - 1, 2**62):
        play.say(room.connections["bob"], Report(seq, b"nonsense"))
    room.vote("eve")
    assert audits_of(play.turn()) == []
    assert audits_of(play.turn()) == []


@pytest.mark.parametrize("digest", [b"", bytes(65), bytes(1_000_000)], ids=len)
def test_what_is_no_digest_ends_the_connection(play: Play, digest: bytes) -> None:
    room = Room(play, "ada", "bob")
    audit = room.audit()
    with pytest.raises(ProtocolError, match=rf"expected a digest of 1 to 64 bytes in a Report, got {len(digest):,}"):
        play.say(room.connections["ada"], Report(audit.seq, digest))


def test_who_votes_nonsense_harms_nobody_else(play: Play) -> None:
    room = Room(play, "mallory", "ada", "bob")
    for number in range(AUDITS_KEPT * 2):
        room.replicas["mallory"] = b"nonsense %d" % number
        assert verdicts_of(room.judge("ada"))[room.connections["mallory"]] == [["ada", "bob"], ["mallory"]]
    assert len(play.sequencer._audits._over) <= AUDITS_KEPT
