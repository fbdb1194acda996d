"""Where the head is: it moves by compare-and-set, yields when nobody is left to defend it, and is never a mixture."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed

from msq_jupyter import protocol
from msq_jupyter.errors import StorageUnreadable
from msq_jupyter.protocol import Leave, ListVersions, Save, Saved, SaveFailed, Stored, Versions
from msq_jupyter.synchronizer.head import Head
from msq_jupyter.synchronizer.records import Append, Draft, RunRecord, StoredRun, ViewRecord, Writes
from msq_jupyter.synchronizer.room import Room
from msq_jupyter.synchronizer.rooms import Rooms
from msq_jupyter.synchronizer.schema import pair_digest
from msq_jupyter.synchronizer.sequencer import RESTART_GRACE_MS, Sequencer, VersionIndex
from msq_jupyter.synchronizer.server import Synchronizer
from msq_jupyter.synchronizer.storage import Storage
from tests.synchronizer.conftest import Participant
from tests.synchronizer.older_files import older_file
from tests.synchronizer.test_archives import asked, opened
from tests.synchronizer.test_sequencer import TIME_S, a_join
from tests.synchronizer.test_storage import opening


def a_save(save_id: str, parent: int = 0, **changes: Any) -> Save:
    return msgspec.structs.replace(Save(save_id, parent, b"meta", b"content of " + save_id.encode()), **changes)


# --- the rule ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("save", "run", "seen", "moves"),
    [
        (a_save("x", 3), "other", None, True),  # grew from the head
        (a_save("x", 2), "other", None, False),  # grew from another one, and somebody is in the run of the head
        (a_save("x", 2), "own", None, True),  # of the run that saved the head
        (a_save("x", 2), "", None, False),  # an import is of no run
        (a_save("x", 2, takes_head=True), "other", None, True),
        (a_save("x", 2, takes_head=True), "other", 3, True),  # a draft, and the head is where it was
        (a_save("x", 2, takes_head=True), "other", 2, False),  # a draft that came before others moved the head
        (a_save("x", 2), "own", 2, True),
        (a_save("x", 3), "other", 2, True),
    ],
)
@pytest.mark.parametrize("occupied", [True, False])
def test_5_6_the_head_moves_by_compare_and_set(
    save: Save, run: str, seen: int | None, moves: bool, occupied: bool
) -> None:
    head = Head(3, "own")
    head.occupy("own")
    head.occupy("third")
    if not occupied:
        head.vacate("own")
        moves = moves or (run != "" and seen in (None, 3))  # it yields to a run
    assert head.offer(9, save, run, seen) == moves
    assert (head.number, head.run) == ((9, run) if moves else (3, "own"))


def test_5_6_an_imported_head_yields_to_the_next_save_of_a_live_run() -> None:
    head = Head()
    head.occupy("run-1")
    assert head.offer(1, a_save("x"), "run-1")
    assert head.offer(2, a_save("imported", takes_head=True), "")
    assert head.offer(3, a_save("y", 1), "run-1")


# --- runs of several sessions ------------------------------------------------------------------------------------


class Shelf:
    """Several runs under one persistent id, what is stored of them, and a clock that only the test moves."""

    def __init__(self) -> None:
        self.now_ms = 50_000.0
        self.versions = VersionIndex()
        self.runs: dict[str, Sequencer] = {}
        self.stored: dict[str, StoredRun] = {}
        self.connections = 0
        self.saved: list[tuple[int, bool]] = []
        self.refused: list[str] = []

    def run(self, name: str, *views: str) -> list[int]:
        """A session with code of its own starts from the head; the connections of its views."""
        head = self.versions.head
        record = RunRecord(name, f"session of {name}", "persistent", head, head, 20.0)
        self.runs[name] = Sequencer.new(record, b"check", self.versions, self.now_ms)
        return [self.join(name, view_id) for view_id in views]

    def join(self, run: str, view_id: str) -> int:
        self.connections += 1
        self.runs[run].join(self.connections, a_join(view_id), self.now_ms)
        self.end_turn(run)
        return self.connections

    def say(self, run: str, connection: int, message: Save | Leave) -> None:
        self.runs[run].receive(connection, message, self.now_ms, TIME_S)
        self.end_turn(run)

    def end_turn(self, run: str) -> None:
        turn = self.runs[run].end_turn(self.now_ms)
        entries = [protocol.decode_entry(entry) for entry in turn.writes.entries]
        self.saved += [(entry.number, entry.is_head) for entry in entries if isinstance(entry, Saved)]
        self.refused += [reply.reason for _, reply in turn.replies if isinstance(reply, SaveFailed)]
        moved = [entry.number for entry in entries if isinstance(entry, Saved) and entry.is_head]
        assert turn.writes.head == max(moved, default=0)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def test_5_6_two_code_versions_live_at_once_make_two_branches(shelf: Shelf) -> None:
    (ada,) = shelf.run("old", "ada")
    shelf.say("old", ada, a_save("old.1"))
    (bob,) = shelf.run("new", "bob")
    shelf.say("new", bob, a_save("new.1", 1))
    shelf.say("old", ada, a_save("old.2", 1))
    shelf.say("old", ada, a_save("old.3", 3))
    shelf.say("new", bob, a_save("new.2", 2))
    assert shelf.saved == [(1, True), (2, True), (3, False), (4, False), (5, True)]
    assert shelf.versions.head == 5


def test_5_6_a_branch_whose_sessions_all_ended_yields_to_the_next_save(shelf: Shelf) -> None:
    (ada,) = shelf.run("old", "ada")
    shelf.say("old", ada, a_save("old.1"))
    (bob,) = shelf.run("new", "bob")
    shelf.say("new", bob, a_save("new.1", 1))
    shelf.runs["new"].disconnect(bob, shelf.now_ms)
    shelf.say("old", ada, a_save("old.2", 1))
    assert shelf.saved[-1] == (3, False)  # it may come back within its limit
    shelf.now_ms += 1_000
    shelf.runs["new"].advance(shelf.now_ms)
    assert shelf.versions.head == 2
    shelf.say("old", ada, a_save("old.3", 3))
    assert shelf.saved[-1] == (4, True)
    # Whoever was away is on a branch now.
    bob = shelf.join("new", "bob")
    shelf.say("new", bob, a_save("new.2", 2))
    assert shelf.saved[-1] == (5, False)


def test_5_10_what_is_restored_in_a_branch_takes_the_head_and_the_others_are_on_one_then(shelf: Shelf) -> None:
    (ada,) = shelf.run("old", "ada")
    shelf.say("old", ada, a_save("old.1"))
    (bob,) = shelf.run("new", "bob")
    shelf.say("new", bob, a_save("new.1", 1))
    shelf.say("old", ada, a_save("old.2", 1))  # what is there is kept before
    shelf.say("old", ada, a_save("old.3", 3, takes_head=True))
    shelf.say("old", ada, a_save("old.4", 4))
    shelf.say("new", bob, a_save("new.2", 2))
    assert shelf.saved == [(1, True), (2, True), (3, False), (4, True), (5, True), (6, False)]


def test_5_6_the_versions_of_a_run_are_a_line(shelf: Shelf) -> None:
    ada, bob = shelf.run("run", "ada", "bob")
    shelf.say("run", ada, a_save("run.1"))
    shelf.say("run", bob, a_save("run.2"))  # bob has not seen ada's yet
    assert shelf.saved == [(1, True)]
    assert shelf.refused == []  # what it does not know yet is on its way to it
    shelf.say("run", bob, a_save("run.2", 1))
    assert shelf.saved == [(1, True), (2, True)]
    shelf.say("run", ada, Leave())
    shelf.say("run", bob, Leave())
    assert shelf.saved == [(1, True), (2, True)]


def test_5_6_a_save_that_did_not_grow_from_its_run_is_refused(shelf: Shelf) -> None:
    (ada,) = shelf.run("old", "ada")
    shelf.say("old", ada, a_save("old.1"))
    (bob,) = shelf.run("new", "bob")
    shelf.say("new", bob, a_save("new.1", 1))
    shelf.say("old", ada, a_save("old.2", 2))
    assert shelf.refused == ["expected the parent 1, or an older version of this run, got 2"]
    assert shelf.saved == [(1, True), (2, True)]


def test_5_4_a_save_that_grew_from_an_older_version_is_not_lost_when_its_sender_dies(shelf: Shelf) -> None:
    ada, bob = shelf.run("run", "ada", "bob")
    shelf.say("run", ada, a_save("run.1"))
    shelf.say("run", bob, a_save("run.2"))
    shelf.say("run", ada, Leave())
    shelf.say("run", bob, Leave())
    assert shelf.saved == [(1, True), (2, True)]


def test_5_6_an_older_save_of_a_run_does_not_come_after_a_newer_one(shelf: Shelf) -> None:
    ada, bob = shelf.run("run", "ada", "bob")
    shelf.say("run", ada, a_save("run.2"))
    shelf.say("run", bob, a_save("run.1"))
    shelf.say("run", ada, Leave())
    shelf.say("run", bob, Leave())
    assert shelf.saved == [(1, True)]


# --- drafts ------------------------------------------------------------------------------------------------------


def restarted(shelf: Shelf, name: str, draft: Draft | None) -> None:
    """The run is loaded after a restart, long after it."""
    record = shelf.runs[name].record
    run = StoredRun(record, last_seq=shelf.runs[name].last_seq, saves=sorted(shelf.runs[name]._saves), draft=draft)
    shelf.runs[name] = Sequencer(run, shelf.versions, shelf.now_ms, shelf.now_ms - RESTART_GRACE_MS)


@pytest.mark.parametrize("somebody_is_in_the_others", [True, False])
def test_5_6_the_draft_of_an_ended_run_does_not_steal_the_head(shelf: Shelf, somebody_is_in_the_others: bool) -> None:
    (ada,) = shelf.run("old", "ada")
    shelf.say("old", ada, a_save("old.1"))
    (bob,) = shelf.run("new", "bob")
    shelf.say("old", ada, a_save("old.2", 1, draft=True))
    shelf.say("new", bob, a_save("new.1", 1))
    if not somebody_is_in_the_others:
        shelf.say("new", bob, Leave())
    assert shelf.runs["old"].promote_draft(shelf.now_ms)
    shelf.end_turn("old")
    assert shelf.saved == [(1, True), (2, True), (3, False)]
    assert shelf.versions.head == 2


def test_5_4_the_draft_of_a_branch_takes_the_head_that_yielded(shelf: Shelf) -> None:
    (ada,) = shelf.run("old", "ada")
    shelf.say("old", ada, a_save("old.1"))
    (bob,) = shelf.run("new", "bob")
    shelf.say("new", bob, a_save("new.1", 1))
    shelf.say("old", ada, a_save("old.2", 1, draft=True))
    shelf.say("new", bob, Leave())
    shelf.say("old", ada, Leave())
    assert shelf.saved == [(1, True), (2, True), (3, True)]


def test_5_4_a_draft_moves_the_head_after_a_restart(shelf: Shelf) -> None:
    (ada,) = shelf.run("old", "ada")
    shelf.say("old", ada, a_save("old.1"))
    restarted(shelf, "old", Draft("ada", TIME_S, a_save("old.2", 1, draft=True), 1))
    assert shelf.runs["old"].promote_draft(shelf.now_ms)
    shelf.end_turn("old")
    assert shelf.saved == [(1, True), (2, True)]


# --- edited back -------------------------------------------------------------------------------------------------


def test_5_7_a_run_is_outdated_when_another_one_moved_the_head(shelf: Shelf) -> None:
    (ada,) = shelf.run("old", "ada")
    shelf.say("old", ada, a_save("old.1"))
    (bob,) = shelf.run("new", "bob")
    assert not shelf.runs["new"].is_outdated
    shelf.say("new", bob, a_save("new.1", 1))
    shelf.say("old", ada, a_save("old.2", 1))
    # Its newest version has the larger number, and is the tip of a branch.
    assert shelf.runs["old"].newest_version == 3 > shelf.versions.head == 2
    assert shelf.runs["old"].is_outdated
    assert not shelf.runs["new"].is_outdated


# --- in the data directory ---------------------------------------------------------------------------------------


def a_version(number: int) -> tuple[int, float, Save]:
    return number, 5.5, a_save(f"run-1.{number}", number - 1)


def test_5_6_the_head_is_kept_apart_from_the_newest_number(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    storage.commit([opening(), Writes("run-1", 1, versions=[a_version(1), a_version(2)], head=1)])
    storage.commit([Writes("run-1", 1, versions=[a_version(3)])])
    storage.close()
    storage = Storage(tmp_path)
    index = storage.load_index("persistent")
    storage.close()
    assert index is not None
    assert (index.head, index.head_run, max(index.numbers.values())) == (1, "run-1", 3)


@pytest.mark.parametrize(("imported", "head"), [(1, (2, "run-1")), (3, (3, ""))])
def test_5_6_two_that_move_the_head_in_one_batch_leave_the_later_one(
    tmp_path: Path, imported: int, head: tuple[int, str]
) -> None:
    storage = Storage(tmp_path)
    number, time_s, save = a_version(imported)
    storage.commit(
        [opening(), Writes("run-1", 1, versions=[a_version(2)], head=2)],
        [Append("persistent", b"check", number, time_s, save, True)],
    )
    index = storage.load_index("persistent")
    storage.close()
    assert index is not None
    assert (index.head, index.head_run) == head


@pytest.mark.parametrize("present", [True, False])
def test_5_6_who_was_in_the_run_of_the_head_is_waited_for_after_a_restart(tmp_path: Path, present: bool) -> None:
    storage = Storage(tmp_path)
    view = a_view(present)
    storage.commit([opening(), Writes("run-1", 1, views=[view], versions=[a_version(1)], head=1)])
    other = RunRecord("run-2", "other", "persistent", 0, 0, 20.0)
    storage.commit([opening(other), Writes("run-2", 1, views=[a_view(True)])])
    index = storage.load_index("persistent")
    storage.close()
    assert index is not None
    assert index.waking == (["session"] if present else [])


def a_view(present: bool) -> ViewRecord:
    return ViewRecord("ada", 0, 1_000.0, present)


def test_a_data_directory_from_before_branches_has_its_newest_version_as_head(tmp_path: Path) -> None:
    with older_file(tmp_path, 2) as old:
        old.execute("INSERT INTO persistent_ids VALUES ('persistent', x'01'), ('unused', x'02')")
        for position, run in ((1, "run-0"), (2, "run-1")):
            old.execute("INSERT INTO runs VALUES (?, ?, 'persistent', ?, 0, 0, 20.0, 7.0)", (position, run, run))
        old.execute("INSERT INTO saves VALUES (1, 1), (2, 2)")
        for number in (1, 2):
            row = ("persistent", number, number - 1, f"run.{number}", 5.5, b"", b"", b"")
            old.execute("INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        save = protocol.encode(a_save("run-0.2", 1, draft=True))
        old.execute("INSERT INTO drafts VALUES (1, 'ada', 5.5, ?, ?)", (pair_digest(b"", save), save))
    storage = Storage(tmp_path)
    index, unused, run = (
        storage.load_index("persistent"),
        storage.load_index("unused"),
        storage.load_run("persistent", "run-0"),
    )
    storage.close()
    assert index is not None
    assert unused is not None
    assert run is not None
    assert run.draft is not None
    assert (index.head, index.head_run, unused.head, run.draft.head) == (2, "run-1", 0, 2)


# --- over sockets ------------------------------------------------------------------------------------------------


async def save(participant: Participant, name: str, parent: int, **changes: Any) -> Saved:
    save_id = f"{participant.welcome.run}.{name}"
    await participant.say(a_save(save_id, parent, **changes))
    while True:
        for entry in participant.entries:
            if isinstance(entry, Saved) and entry.save_id == save_id:
                return entry
        await participant.next()


async def listed(participant: Participant) -> Versions:
    await participant.say(ListVersions(1))
    return await participant.next_of(Versions)


async def test_5_7_a_newcomer_gets_the_head_and_not_the_newest_version(synchronizer: Synchronizer) -> None:
    async with Participant(synchronizer.url, "ada", session_id="old") as ada:
        assert (await save(ada, "1", 0)).is_head
        async with Participant(synchronizer.url, "bob", session_id="new") as bob:
            assert (await save(bob, "1", 1)).is_head
            assert not (await save(ada, "2", 1)).is_head
            versions = await listed(ada)
            assert [(version.number, version.parent) for version in versions.versions] == [(1, 0), (2, 1), (3, 1)]
            assert versions.head == 2
            async with Participant(synchronizer.url, "cyd", session_id="third") as cyd:
                assert cyd.welcome.origin is not None
                assert (cyd.welcome.origin.number, cyd.welcome.head) == (2, 2)
            async with Participant(synchronizer.url, "dan", session_id="fourth", persisted=3) as dan:
                assert dan.welcome.origin is not None
                assert dan.welcome.origin.number == 3
                assert not (await save(dan, "1", 3)).is_head
            async with opened(synchronizer.url) as (_, answer):
                assert answer == protocol.Opened(2, present=2)


async def test_5_7_who_saved_on_a_branch_and_left_finds_the_head_and_the_branch_in_the_list(
    synchronizer: Synchronizer,
) -> None:
    async with Participant(synchronizer.url, "bob", session_id="new") as bob:
        async with Participant(synchronizer.url, "ada", session_id="old", persisted="ignore") as ada:
            await save(bob, "1", 0)
            assert not (await save(ada, "1", 0)).is_head
            await ada.say(Leave())
            await ada.read_until_closed()
        async with Participant(synchronizer.url, "ada", session_id="old") as again:
            assert again.welcome.run != ada.welcome.run
            assert again.welcome.origin is not None
            assert again.welcome.origin.number == 1
            assert [version.number for version in (await listed(again)).versions] == [1, 2]


async def test_5_6_the_head_and_who_defends_it_outlive_the_synchronizer(tmp_path: Path) -> None:
    async with Synchronizer(data_directory=tmp_path) as first:
        ada = Participant(first.url, "ada", session_id="old")
        bob = Participant(first.url, "bob", session_id="new")
        async with ada:
            await save(ada, "1", 0)
            async with bob:
                assert (await save(bob, "1", 1)).is_head
                assert not (await save(ada, "2", 1)).is_head
    async with Synchronizer(data_directory=tmp_path) as second:
        ada.url = bob.url = second.url
        async with ada:
            # Bob was in it, and is waited for.
            assert ada.welcome.head == 2
            assert not (await save(ada, "3", 3)).is_head
            async with bob:
                assert (await save(bob, "2", 2)).is_head
                await bob.say(Leave())
                await bob.read_until_closed()
            assert (await save(ada, "4", 4)).is_head


async def test_5_6_two_archives_that_import_at_once_and_a_live_session_leave_one_head(
    synchronizer: Synchronizer, tmp_path: Path
) -> None:
    async def import_(name: str) -> list[int]:
        async with opened(synchronizer.url) as (socket, _):
            answers = [await asked(socket, a_save(f"{name}-{n}", takes_head=True)) for n in range(5)]
            assert all(isinstance(answer, Stored) for answer in answers)
            return [answer.number for answer in answers]

    async with Participant(synchronizer.url, "ada") as ada:
        numbers = await asyncio.gather(import_("a"), import_("b"), save(ada, "1", 0))
        assert sorted([*numbers[0], *numbers[1], numbers[2].number]) == list(range(1, 12))
        versions = await listed(ada)
        imported = max(numbers[0] + numbers[1])
        assert versions.head in (imported, numbers[2].number)
        assert versions.head >= imported
        head = (await save(ada, "2", numbers[2].number)).number
    await synchronizer.close()
    storage = Storage(tmp_path / "data")
    index = storage.load_index("persistent")
    storage.close()
    assert index is not None
    assert index.head == head == 12


async def test_5_6_two_runs_that_save_in_the_same_millisecond_make_a_head_and_a_branch(
    synchronizer: Synchronizer,
) -> None:
    async with Participant(synchronizer.url, "ada", session_id="old") as ada:
        await save(ada, "1", 0)
        async with Participant(synchronizer.url, "bob", session_id="new") as bob:
            saved = await asyncio.gather(save(ada, "2", 1), save(bob, "1", 1))
            assert sorted((entry.number, entry.is_head) for entry in saved) == [(2, True), (3, False)]
            assert (await listed(bob)).head == 2


@pytest.fixture
def moving(monkeypatch: pytest.MonkeyPatch) -> list[asyncio.Task[int]]:
    """An archive moves the head in the moment in which a session that is new starts from it."""
    newest_run = Rooms._newest_run

    async def moved_meanwhile(rooms: Rooms, shelf: Any, session_id: str) -> Room | None:
        room = await newest_run(rooms, shelf, session_id)
        if room is None and shelf.versions.head:
            moving.append(asyncio.create_task(rooms._journal.append(shelf, a_save("moved", shelf.versions.head))))
            await asyncio.sleep(0)  # it has its number, and is not handed over yet
        return room

    moving: list[asyncio.Task[int]] = []
    monkeypatch.setattr(Rooms, "_newest_run", moved_meanwhile)
    return moving


async def test_5_7_a_newcomer_starts_from_a_head_that_is_on_its_way_to_the_disk(
    synchronizer: Synchronizer, moving: list[asyncio.Task[int]]
) -> None:
    async with Participant(synchronizer.url, "ada", session_id="old") as ada:
        await save(ada, "1", 0)
        async with Participant(synchronizer.url, "bob", session_id="new") as bob:
            assert bob.welcome.origin is not None
            assert bob.welcome.origin.number == bob.welcome.head == 2
        assert await asyncio.gather(*moving) == [2]


async def test_5_7_a_newcomer_whose_head_does_not_get_to_the_disk_connects_again(
    synchronizer: Synchronizer, moving: list[asyncio.Task[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Participant(synchronizer.url, "ada", session_id="old") as ada:
        await save(ada, "1", 0)
        bob = Participant(synchronizer.url, "bob", session_id="new")
        with monkeypatch.context() as patch:
            patch.setattr(Storage, "commit", full)
            with pytest.raises(ConnectionClosed, match="connect again"):
                await bob.connect()
        with pytest.raises(StorageUnreadable, match="disk is full"):
            await moving.pop()
        async with bob:
            assert bob.welcome.origin is not None
            assert bob.welcome.origin.number == bob.welcome.head == 2  # it moves in that moment again
        assert await asyncio.gather(*moving) == [2]


def full(*_: Any) -> None:
    raise sqlite3.OperationalError("database or disk is full")
