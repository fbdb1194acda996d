"""Drafts: what waits to be saved outlives the kernel it came from, and is a version when it has to be, once."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import msgspec
import pytest

from msq_jupyter import protocol
from msq_jupyter.protocol import Leave, ListVersions, Membership, Save, Saved, SaveFailed, StoredVersion, Versions
from msq_jupyter.synchronizer.drafts import Drafts
from msq_jupyter.synchronizer.records import Draft
from msq_jupyter.synchronizer.sequencer import RESTART_GRACE_MS
from msq_jupyter.synchronizer.server import Synchronizer
from msq_jupyter.synchronizer.storage import Storage, Writes
from tests.synchronizer.conftest import Participant
from tests.synchronizer.older_files import older_file
from tests.synchronizer.test_audits import Room
from tests.synchronizer.test_sequencer import TIME_S, Play, play  # noqa: F401  # a fixture
from tests.synchronizer.test_storage import RECORD, opening


def a_draft(order: int, parent: int = 0, run: str = "run-1") -> Save:
    return Save(f"{run}.{order}", parent, b"meta", b"content %d" % order, draft=True)


def a_save(order: int, parent: int = 0) -> Save:
    return msgspec.structs.replace(a_draft(order, parent), draft=False)


# --- which one is held -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "comes", "acts", "then_held"),
    [
        (0, a_draft(1), True, 1),
        (2, a_draft(3), True, 3),
        (2, a_draft(2), True, 2),
        (2, a_draft(1), False, 2),
        (2, a_save(1), False, 2),
        (2, a_save(2), True, 0),
        (2, a_save(3), True, 0),
        (0, a_save(1), False, 0),
    ],
    ids=lambda value: f"{'draft' if value.draft else 'save'} {value.save_id}" if isinstance(value, Save) else None,
)
def test_5_4_the_newest_draft_is_held_until_as_late_a_save_is_stored(
    held: int, comes: Save, acts: bool, then_held: int
) -> None:
    others = ["run-2.9", "first", "run-1.\u0663"]
    drafts = Drafts("run-1", Draft("ada", TIME_S, a_draft(held), 0) if held else None, others)
    came = Draft("bob", TIME_S, comes, 0)
    assert (drafts.offer(came) if comes.draft else drafts.stored(comes.save_id)) == acts
    assert (drafts.held.save.save_id if drafts.held else "run-1.0") == f"run-1.{then_held}"
    assert (drafts.held == came) == (acts and comes.draft)


def test_a_draft_that_a_version_has_overtaken_is_not_held_even_after_a_restart() -> None:
    drafts = Drafts("run-1", None, ["run-1.12", "run-1.4"])
    assert not drafts.offer(Draft("ada", TIME_S, a_draft(12), 0))
    assert drafts.offer(Draft("ada", TIME_S, a_draft(13), 0))


def test_5_5_a_save_that_comes_after_a_later_one_of_its_run_is_not_the_newest_version(play: Play) -> None:
    ada, bob = play.join("ada"), play.join("bob")
    play.say(bob, a_save(2))
    play.say(ada, a_save(1))
    turn = play.turn()
    assert [(number, save.save_id) for number, _, save in turn.writes.versions] == [(1, "run-1.2")]
    assert turn.replies == []
    play.crash()
    ada = play.join("ada")
    play.say(ada, a_save(1))
    play.say(ada, a_save(2))  # asked again, it is there
    play.say(ada, a_save(3, 1))
    assert [save.save_id for _, _, save in play.turn().writes.versions] == ["run-1.3"]


# --- when it becomes a version -----------------------------------------------------------------------------------


def entries_of(writes: Writes) -> list[protocol.Entry]:
    return [protocol.decode_entry(entry) for entry in writes.entries]


def promoted(play: Play) -> list[tuple[int, float, Save]]:
    """What a turn that ends now appends; whatever it is has its `Saved`, and the draft is gone."""
    writes = play.turn().writes
    saved = [(entry.number, entry.save_id) for entry in entries_of(writes) if isinstance(entry, Saved)]
    assert saved == [(number, save.save_id) for number, _, save in writes.versions]
    if writes.versions:
        assert play.disk.draft is None
    return writes.versions


def test_5_4_a_draft_is_kept_and_is_no_version_while_somebody_is_there(play: Play) -> None:
    ada, bob = play.join("ada"), play.join("bob")
    play.turn()
    play.say(ada, a_draft(1))
    turn = play.turn()
    assert turn.writes.draft == Draft("ada", TIME_S, a_draft(1), 0)
    assert (turn.writes.entries, turn.writes.versions, turn.replies) == ([], [], [])
    play.sequencer.disconnect(ada, play.now_ms)
    play.pass_time(1_000)
    assert promoted(play) == []
    play.say(bob, Leave())
    assert promoted(play) == [(1, TIME_S, a_draft(1))]


def test_5_4_a_draft_is_a_version_when_the_last_view_has_been_away_for_its_limit(play: Play) -> None:
    ada = play.join("ada")
    play.say(ada, a_draft(1))
    play.turn()
    play.sequencer.disconnect(ada, play.now_ms)
    play.pass_time(999)
    assert promoted(play) == []
    play.pass_time(1)
    turn = play.turn()
    # Its author's name is known while the view is in.
    assert [type(entry) for entry in entries_of(turn.writes)] == [Saved, Membership]
    assert turn.writes.versions == [(1, TIME_S, a_draft(1))]
    assert play.sequencer.newest_version == 1


def test_5_4_a_draft_survives_restarts_and_is_a_version_after_the_grace(play: Play) -> None:
    ada = play.join("ada")
    play.say(ada, a_draft(1))
    play.turn()
    play.crash()
    play.crash(after_ms=100)
    play.pass_time(RESTART_GRACE_MS - 1)
    assert promoted(play) == []
    play.pass_time(1)
    assert promoted(play) == [(1, TIME_S, a_draft(1))]


def test_5_4_after_an_orderly_end_it_is_still_a_draft(play: Play) -> None:
    ada = play.join("ada")
    play.say(ada, a_draft(1))
    play.sequencer.stop(play.now_ms)
    assert not play.sequencer.promote_draft(play.now_ms)
    play.turn()
    play.crash()
    assert play.sequencer.promote_draft(play.now_ms)
    assert promoted(play) == [(1, TIME_S, a_draft(1))]


def test_5_4_a_draft_promoted_early_is_acknowledged_once_to_a_view_that_returns(play: Play) -> None:
    ada = play.join("ada")
    play.say(ada, a_draft(1))
    play.turn()
    play.sequencer.disconnect(ada, play.now_ms)
    assert play.sequencer.promote_draft(play.now_ms)
    assert not play.sequencer.promote_draft(play.now_ms)
    assert promoted(play) == [(1, TIME_S, a_draft(1))]
    ada = play.join("ada")
    play.turn()
    for repeated in (a_save(1), a_draft(1)):
        play.say(ada, repeated)
        assert not play.turn().writes
    play.say(ada, Leave())
    assert promoted(play) == []


def test_5_4_a_save_in_the_turn_of_its_draft_is_stored_once(play: Play) -> None:
    ada = play.join("ada")
    play.turn()
    play.say(ada, a_draft(1))
    play.say(ada, a_save(1))
    play.say(ada, Leave())
    assert promoted(play) == [(1, TIME_S, a_save(1))]


@pytest.mark.parametrize(
    ("draft", "reason"),
    [
        (a_draft(1, parent=1), "expected a parent from 0 to 0, the newest version, got 1"),
        (a_draft(1, run="run-2"), "expected a draft of this run, run-1.1 or a later number, got 'run-2.1'"),
        (a_draft(0), "expected a draft of this run, run-1.1 or a later number, got 'run-1.0'"),
        (
            msgspec.structs.replace(a_draft(1), save_id="run-1." + "9" * 5_000),
            f"expected a draft of this run, run-1.1 or a later number, got 'run-1.{'9' * 74}'",
        ),
        (
            msgspec.structs.replace(a_draft(1), digest=b"x" * 65),
            "expected a digest of at most 64 bytes, got 65",
        ),
    ],
    ids=["parent", "other run", "zero", "endless", "digest"],
)
def test_a_draft_that_could_not_be_saved_is_refused_at_once(play: Play, draft: Save, reason: str) -> None:
    ada = play.join("ada")
    play.turn()
    play.say(ada, draft)
    turn = play.turn()
    assert turn.replies == [(ada, SaveFailed(draft.save_id, reason))]
    assert not turn.writes


def test_5_5_the_draft_of_who_differs_is_dropped_and_refused(play: Play) -> None:
    room = Room(play, "ada", "bob", "eve")
    room.replicas["eve"] = b"other"
    room.audit()
    play.say(room.connections["eve"], a_draft(1))
    play.turn()
    assert play.disk.draft is not None
    room.vote()
    play.turn()
    assert play.disk.draft is None
    play.say(room.connections["eve"], a_draft(1))
    (reply,) = [reply for _, reply in play.turn().replies if isinstance(reply, SaveFailed)]
    assert reply.reason == "this replica differs from those of the others, who save instead; it is being restored"
    play.say(room.connections["ada"], a_draft(1))
    for name in ("ada", "bob", "eve"):
        play.say(room.connections[name], Leave())
    assert promoted(play) == [(1, TIME_S, a_draft(1))]


# --- in the data directory ---------------------------------------------------------------------------------------


def test_a_draft_comes_back_is_replaced_and_removed(tmp_path: Path) -> None:
    drafts = [Draft("ada", 5.5, a_draft(1), 0), Draft("bob", 6.5, a_draft(2), 3), None]
    for draft in drafts:
        storage = Storage(tmp_path)
        storage.commit([opening()] if draft is drafts[0] else [])
        storage.commit([Writes("run-1", 1, draft=draft)])
        storage.commit([Writes("run-1", 1, time_ms=1.0)])  # says nothing of drafts
        storage.close()
        storage = Storage(tmp_path)
        run, index = storage.load_run("persistent", "session"), storage.load_index("persistent")
        storage.close()
        assert run is not None
        assert index is not None
        assert run.draft == draft
        assert index.waking == (["session"] if draft else [])


def test_a_damaged_draft_is_left_out_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    storage = Storage(tmp_path)
    storage.commit([opening(), Writes("run-1", 1, draft=Draft("ada", 5.5, a_draft(1), 0))])
    storage.close()
    file = tmp_path / "synchronizer.sqlite"
    assert file.read_bytes().count(b"content 1") == 1
    file.write_bytes(file.read_bytes().replace(b"content 1", b"content X"))
    storage = Storage(tmp_path)
    run = storage.load_run("persistent", "session")
    storage.close()
    assert run is not None
    assert run.draft is None
    assert "a draft of view ada is damaged" in caplog.text


def test_a_data_directory_from_before_drafts_keeps_everything_and_takes_drafts(tmp_path: Path) -> None:
    with older_file(tmp_path, 1) as old:
        old.execute("INSERT INTO persistent_ids VALUES ('persistent', x'01')")
        old.execute("INSERT INTO runs VALUES (1, 'run-1', 'persistent', 'session', 0, 0, 20.0, 7.0)")
        old.execute("INSERT INTO entries VALUES (1, 1, x'aa')")
        old.execute("INSERT INTO versions VALUES ('persistent', 1, 0, 'run-1.1', 5.5, x'00', x'02', x'03')")
    storage = Storage(tmp_path)
    run = storage.load_run("persistent", "session")
    assert run is not None
    assert (run.record, run.time_ms, run.last_seq, run.draft) == (RECORD, 7.0, 1, None)
    assert [version.save_id for version in storage.list_versions("persistent")[0]] == ["run-1.1"]
    storage.commit([Writes("run-1", 2, draft=Draft("ada", 5.5, a_draft(2, parent=1), 1))])
    storage.close()
    storage = Storage(tmp_path)
    run = storage.load_run("persistent", "session")
    storage.close()
    assert run is not None
    assert run.draft == Draft("ada", 5.5, a_draft(2, parent=1), 1)


# --- edited code joins -------------------------------------------------------------------------------------------


async def upload_a_draft(participant: Participant, order: int = 1) -> None:
    """Upload a draft; it is stored, and no version, when this returns."""
    await participant.say(a_draft(order, run=participant.welcome.run))
    await participant.say(ListVersions(order))
    assert (await participant.next_of(Versions)).versions == []


async def read_until_saved(participant: Participant) -> Saved:
    while not any(isinstance(entry, Saved) for entry in participant.entries):
        await participant.next()
    (saved,) = [entry for entry in participant.entries if isinstance(entry, Saved)]
    return saved


@pytest.mark.parametrize("limit_ms", [0.0, 60_000.0], ids=["has exited", "is away"])
async def test_5_4_edited_code_that_joins_after_a_kill_starts_from_the_draft(
    synchronizer: Synchronizer, limit_ms: float
) -> None:
    ada = Participant(synchronizer.url, "ada", rejoin_limit_ms=limit_ms)
    async with ada:
        await upload_a_draft(ada)
        ada.socket.transport.abort()
    async with Participant(synchronizer.url, "bob", session_id="edited") as bob:
        assert bob.welcome.origin is not None
        assert (bob.welcome.origin.number, bob.welcome.origin.content) == (1, b"content 1")
        async with Participant(synchronizer.url, "cyd", session_id="edited again") as cyd:
            assert cyd.welcome.head == 1
        await ada.connect()
        saved = await read_until_saved(ada)
        assert (saved.save_id, saved.number) == (f"{ada.welcome.run}.1", 1)
        await ada.socket.close()


async def test_5_4_edited_code_finds_the_draft_of_a_kernel_whose_connection_still_stands(
    synchronizer: Synchronizer,
) -> None:
    async with Participant(synchronizer.url, "ada") as ada:
        await upload_a_draft(ada)
        async with Participant(synchronizer.url, "ann") as ann:  # the same code starts from no version
            await ann.say(ListVersions(1))
            assert (await ann.next_of(Versions)).versions == []
        async with Participant(synchronizer.url, "bob", session_id="edited") as bob:
            assert bob.welcome.origin is not None
            assert bob.welcome.origin.content == b"content 1"
        assert (await read_until_saved(ada)).number == 1


async def test_5_7_code_edited_back_starts_anew_from_the_draft_of_the_edited_one(
    synchronizer: Synchronizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[StoredVersion | None] = []

    def read_version(storage: Storage, persistent_id: str, number: int) -> StoredVersion | None:
        read.append(original(storage, persistent_id, number))
        return read[-1]

    original = Storage.read_version
    monkeypatch.setattr(Storage, "read_version", read_version)
    async with Participant(synchronizer.url, "ada", session_id="first") as ada:
        await ada.say(Leave())
        await ada.read_until_closed()
    async with Participant(synchronizer.url, "bob", session_id="edited", rejoin_limit_ms=60_000.0) as bob:
        await upload_a_draft(bob)
        bob.socket.transport.abort()
    async with Participant(synchronizer.url, "cyd", session_id="first") as cyd:
        assert cyd.welcome.run != ada.welcome.run
        assert cyd.welcome.origin is not None
        assert cyd.welcome.origin.content == b"content 1"
    # The version is stored before the session that starts from it is made.
    assert [version and version.content for version in read] == [b"content 1"] * 2


@pytest.mark.parametrize("session_id", ["edited", "session"])
async def test_5_4_a_draft_is_found_after_a_restart_of_the_synchronizer(tmp_path: Path, session_id: str) -> None:
    async with Synchronizer(data_directory=tmp_path) as first, Participant(first.url, "ada") as ada:
        await upload_a_draft(ada)
    async with Synchronizer(data_directory=tmp_path) as second, Participant(second.url, session_id=session_id) as bob:
        assert bob.welcome.head == (1 if session_id == "edited" else 0)
    with sqlite3.connect(tmp_path / "synchronizer.sqlite") as file:
        (drafts,) = file.execute("SELECT count(*) FROM drafts").fetchone()
        (versions,) = file.execute("SELECT count(*) FROM versions").fetchone()
    file.close()
    assert (drafts, versions) == ((0, 1) if session_id == "edited" else (1, 0))


async def test_5_4_two_who_join_at_once_start_from_the_same_draft(synchronizer: Synchronizer) -> None:
    async with Participant(synchronizer.url, "ada", rejoin_limit_ms=60_000.0) as ada:
        await upload_a_draft(ada)
        ada.socket.transport.abort()
    people = [Participant(synchronizer.url, f"view {n}", session_id=f"edit {n % 3}") for n in range(9)]
    welcomes = await asyncio.gather(*(person.connect() for person in people))
    assert {welcome.origin and welcome.origin.content for welcome in welcomes} == {b"content 1"}
    assert {welcome.head for welcome in welcomes} == {1}
    for person in people:
        await person.socket.close()
