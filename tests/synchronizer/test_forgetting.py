"""Sessions nobody was in for long: their logs and snapshots go, versions never, and whoever comes later starts anew."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from msq_jupyter.protocol import Event, Leave, Save, Saved, Snapshot, encode
from msq_jupyter.synchronizer import forgetting, sweeping
from msq_jupyter.synchronizer.records import Draft, RunRecord, ViewRecord, Writes
from msq_jupyter.synchronizer.server import Synchronizer
from msq_jupyter.synchronizer.storage import FILE_NAME, Storage
from tests.synchronizer.conftest import ROOT, Participant

IDLE_S = 100.0
PORTION = forgetting.PORTION_ROWS


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    storage = Storage(tmp_path / "data")
    yield storage
    storage.close()


def a_run(run: str, session_id: str, name: str = "persistent") -> Writes:
    return Writes(
        run,
        1,
        opened=(RunRecord(run, session_id, name, 0, 0, 20.0), b"check"),
        entries=[b"entry %d" % number for number in range(3)],
        views=[ViewRecord("ada", 7, 1_000.0, False), ViewRecord("ben", 0, 1_000.0, False)],
        snapshot=Snapshot(2, 1.0, b"snapshot"),
    )


def grow(storage: Storage, run: str, turns: int, size_bytes: int = 10) -> None:
    """Turns of an entry each after the three of `a_run`."""
    for turn in range(turns):
        storage.commit([Writes(run, 4 + turn, entries=[bytes(size_bytes)])])


def forget_all(storage: Storage, *present: str) -> set[str]:
    forgotten, _, _ = storage.forget_sessions(IDLE_S, present)
    while storage.delete_forgotten():
        pass
    return forgotten


def rows(storage: Storage, table: str) -> int:
    return storage._value(f"SELECT count(*) FROM {table}")


# --- in the file -------------------------------------------------------------------------------------------------


def test_what_nobody_was_in_for_long_goes_and_the_rest_stays(storage: Storage) -> None:
    storage.commit([a_run("old", "a"), a_run("visited", "b"), a_run("newest", "c")])
    storage.note_visits([], 10.0)
    storage.note_visits(["visited"], 60.0)
    assert forget_all(storage) == set(), "not long enough"
    storage.note_visits([], 40.0)
    assert forget_all(storage) == {"persistent"}
    assert storage.load_run("persistent", "a") is None
    for session_id in ("b", "c"):
        stored = storage.load_run("persistent", session_id)
        assert stored is not None
        assert (stored.last_seq, stored.snapshot_seq) == (3, 2)
        assert len(storage.read_entries(stored.record.run, 0, 3, 1_000)) == 3
    assert (rows(storage, "blocks"), rows(storage, "snapshots"), rows(storage, "views")) == (2, 2, 4)


def test_one_that_is_in_memory_stays_however_old(storage: Storage) -> None:
    storage.commit([a_run("old", "a"), a_run("newest", "b")])
    storage.note_visits([], 0.0)
    storage.note_visits([], IDLE_S)
    assert forget_all(storage, "old") == set()
    assert storage.load_run("persistent", "a") is not None


def test_no_older_run_of_a_session_takes_the_place_of_the_forgotten_one(storage: Storage) -> None:
    storage.commit([a_run("first", "a"), a_run("second", "a"), a_run("newest", "b")])
    storage.note_visits(["second"], 0.0)
    storage.note_visits(["first"], 50.0)  # whatever said so
    storage.note_visits([], 50.0)
    forget_all(storage)
    assert storage.load_run("persistent", "a") is None
    assert rows(storage, "blocks") == 1


def test_an_older_run_of_a_living_session_goes_alone(storage: Storage) -> None:
    storage.commit([a_run("first", "a"), a_run("second", "a"), a_run("newest", "b")])
    storage.note_visits([], 0.0)
    storage.note_visits(["second"], IDLE_S)
    forget_all(storage)
    stored = storage.load_run("persistent", "a")
    assert stored is not None
    assert stored.record.run == "second"
    assert rows(storage, "blocks") == 2


def test_the_run_that_was_started_last_stays_so_that_its_position_is_not_given_twice(storage: Storage) -> None:
    storage.commit([a_run("only", "a")])
    storage.note_visits([], 0.0)
    storage.note_visits([], IDLE_S)
    assert forget_all(storage) == set()


def test_4_6_events_that_a_forgotten_run_executed_are_still_known(storage: Storage) -> None:
    storage.commit([a_run("old", "a"), a_run("newest", "b")])
    storage.commit([Writes("old", 4, entries=[encode(Event(4, 4.0, "ada", 8, b"in the log only"))])])
    storage.note_visits([], 0.0)
    storage.note_visits([], IDLE_S)
    forget_all(storage)
    assert [storage.read_counter("old", view_id) for view_id in ("ada", "ben")] == [8, 0]
    assert rows(storage, "former_views") == 1


def test_5_6_versions_and_the_head_stay(storage: Storage) -> None:
    save = (1, 1.0, Save("save-1", 0, b"meta", b"content"))
    storage.commit([msgspec.structs.replace(a_run("old", "a"), versions=[save], saves=[1], head=1), a_run("new", "b")])
    storage.note_visits([], 0.0)
    storage.note_visits([], IDLE_S)
    forget_all(storage)
    index = storage.load_index("persistent")
    assert index is not None
    assert (index.head, index.numbers) == (1, {"save-1": 1})
    version = storage.read_version("persistent", 1)
    assert version is not None
    assert version.content == b"content"


def test_a_draft_keeps_its_session_and_is_told_of(storage: Storage) -> None:
    draft = Draft("ada", 1.0, Save("save-1", 0, b"meta", b"content"), 0)
    storage.commit([msgspec.structs.replace(a_run("old", "a"), draft=draft), a_run("new", "b")])
    storage.note_visits([], 0.0)
    storage.note_visits([], IDLE_S)
    assert storage.forget_sessions(IDLE_S, []) == (set(), {"persistent"}, None)
    stored = storage.load_run("persistent", "a")
    assert stored is not None
    assert stored.draft == draft


def test_it_goes_in_small_portions_and_the_file_becomes_smaller(storage: Storage, tmp_path: Path) -> None:
    storage.commit([a_run("old", "a"), a_run("newest", "b")])
    grow(storage, "old", 2 * PORTION, 10_000)
    storage.note_visits([], 0.0)
    storage.note_visits([], IDLE_S)
    storage.forget_sessions(IDLE_S, [])
    path = tmp_path / "data" / FILE_NAME
    storage._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    before_bytes, left = path.stat().st_size, [rows(storage, "blocks")]
    while storage.delete_forgotten():
        left.append(rows(storage, "blocks"))
    steps = [before - after for before, after in itertools.pairwise(left)]
    assert max(steps) == PORTION
    assert left[-1] == 1
    storage._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert path.stat().st_size < before_bytes / 2


def test_many_are_forgotten_some_at_a_time(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "PORTION_RUNS", 2)
    storage.commit([a_run(name, name) for name in ("a", "b", "c", "d", "e", "newest")])
    storage.note_visits([], 0.0)
    storage.note_visits([], IDLE_S)
    left, after = [], 0
    while after is not None:
        _, _, after = storage.forget_sessions(IDLE_S, {"c"}, after)
        left.append(rows(storage, "runs"))
    assert left == [4, 3, 2]
    assert storage.load_run("persistent", "c") is not None


def test_large_rows_go_one_by_one_and_the_file_becomes_smaller_by_all_of_them(storage: Storage, tmp_path: Path) -> None:
    large = Snapshot(2, 1.0, bytes(9_000_000))
    storage.commit([msgspec.structs.replace(a_run("old", "a"), snapshot=large), a_run("newest", "b")])
    grow(storage, "old", 3, forgetting.PORTION_BYTES)
    storage.note_visits([], 0.0)
    storage.note_visits([], IDLE_S)
    storage.forget_sessions(IDLE_S, [])
    left = [rows(storage, "blocks")]
    while storage.delete_forgotten():
        left.append(rows(storage, "blocks"))
    assert max(before - after for before, after in itertools.pairwise(left)) <= 2
    assert left[-1] == 1
    assert storage._value("PRAGMA freelist_count") == 0


def test_what_is_given_back_counts_no_more_for_who_pays(storage: Storage) -> None:
    for name, run in (("old name", "old"), ("new name", "newest")):
        storage.set_payer(name, "teacher", "10.0.0.1")
        storage.commit([a_run(run, run, name)])
    whole = storage.payers.stored_bytes(("token", "teacher"))
    storage.note_visits([], 0.0)
    storage.note_visits([], IDLE_S)
    forget_all(storage)
    assert storage.payers.stored_bytes(("token", "teacher")) == whole // 2


@pytest.mark.parametrize("portions", [0, 1, 2])
def test_killed_in_the_middle_nothing_is_half_there_and_the_next_one_goes_on(tmp_path: Path, portions: int) -> None:
    storage = Storage(tmp_path / "data")
    storage.commit([a_run("old", "a"), a_run("newest", "b")])
    grow(storage, "old", 2 * PORTION - 1)
    storage.note_visits([], 0.0)
    storage.note_visits([], IDLE_S)
    storage.close()
    code = f"""
import os, signal, sys
from pathlib import Path
from msq_jupyter.synchronizer.storage import Storage
storage = Storage(Path(sys.argv[1]))
storage.forget_sessions({IDLE_S}, [])
for _ in range({portions}):
    storage.delete_forgotten()
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "data")], cwd=ROOT, check=False)
    assert done.returncode == -9
    storage = Storage(tmp_path / "data")
    assert storage.load_run("persistent", "a") is None
    assert rows(storage, "blocks") >= 2 * PORTION + 1 - PORTION
    storage.commit([a_run("again", "a")])  # at a position of its own
    while storage.delete_forgotten():
        pass
    assert (rows(storage, "blocks"), rows(storage, "forgotten")) == (2, 0)
    assert len(storage.read_entries("again", 0, 3, 1_000)) == 3
    assert storage._database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    storage.close()


# --- while a synchronizer runs -----------------------------------------------------------------------------------


async def leave(participant: Participant) -> None:
    await participant.say(Leave())
    await participant.read_until_closed()


async def a_newer_session(synchronizer: Synchronizer) -> None:
    async with Participant(synchronizer.url, "other", session_id="other") as other:
        await other.read_until_joined()
        await leave(other)


async def test_7_3_who_joins_a_forgotten_session_begins_anew_with_the_newest_version(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    async with Synchronizer(data_directory=directory, keep_sessions_s=IDLE_S) as synchronizer:
        async with Participant(synchronizer.url) as ada:
            await ada.send(b"an event")
            await ada.say(Save("save-1", 0, b"meta", b"content"))
            while not any(isinstance(entry, Saved) for entry in ada.entries):
                await ada.next()
            await leave(ada)
        await a_newer_session(synchronizer)
    async with Synchronizer(data_directory=directory, keep_sessions_s=IDLE_S) as synchronizer:
        await synchronizer._rooms.forget_idle(0.0)
        await synchronizer._rooms.forget_idle(IDLE_S)
        async with Participant(synchronizer.url, "ben") as ben:
            assert ben.welcome.run != ada.welcome.run
            assert ben.welcome.origin is not None
            assert (ben.welcome.origin.number, ben.welcome.origin.content) == (1, b"content")
            await ben.read_until_joined()
            assert ben.payloads() == []
        ada.url = synchronizer.url
        async with ada:  # it was away all the time
            assert not ada.welcome.resumed
            assert ada.welcome.earlier_counter == 1


async def test_7_3_a_session_with_members_is_never_forgotten(tmp_path: Path) -> None:
    async with (
        Synchronizer(data_directory=tmp_path / "data", keep_sessions_s=IDLE_S) as synchronizer,
        Participant(synchronizer.url) as ada,
    ):
        await ada.send(b"an event")
        await ada.read_until_event(b"an event")
        await a_newer_session(synchronizer)
        for _ in range(3):
            await synchronizer._rooms.forget_idle(IDLE_S)
        async with Participant(synchronizer.url, "ben") as ben:
            await ben.read_until_joined()
            assert ben.payloads() == [b"an event"]


async def test_a_visit_counts_though_the_synchronizer_is_killed_soon_after_it(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    async with Synchronizer(data_directory=directory, keep_sessions_s=IDLE_S) as synchronizer:
        async with Participant(synchronizer.url) as ada:
            await ada.send(b"an event")
            await ada.read_until_event(b"an event")
            await leave(ada)
        await a_newer_session(synchronizer)
    async with Synchronizer(data_directory=directory, keep_sessions_s=IDLE_S) as synchronizer:
        await synchronizer._rooms.forget_idle(0.0)
        await synchronizer._rooms._journal.call(Storage.note_visits, [], 0.9 * IDLE_S)
        async with Participant(synchronizer.url, "ben") as ben:
            await ben.read_until_joined()
            # What a kill leaves: no sweep comes any more.
    async with Synchronizer(data_directory=directory, keep_sessions_s=IDLE_S) as synchronizer:
        await synchronizer._rooms.forget_idle(0.2 * IDLE_S)
        async with Participant(synchronizer.url, "cy") as cy:
            await cy.read_until_joined()
            assert cy.payloads() == [b"an event"]


async def test_without_the_setting_nothing_goes_and_what_was_counted_before_does_not_count(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "data")
    storage.commit([a_run("old", "a"), a_run("newest", "b")])
    storage.note_visits([], 0.0)
    storage.note_visits([], 10 * IDLE_S)
    storage.close()
    async with Synchronizer(data_directory=tmp_path / "data") as synchronizer:
        await synchronizer._rooms.forget_idle(10 * IDLE_S)
    storage = Storage(tmp_path / "data")
    storage.note_visits([], 0.0)
    assert forget_all(storage) == set()
    storage.close()


async def test_a_draft_becomes_a_version_before_its_session_is_forgotten(tmp_path: Path) -> None:
    draft = Draft("ada", 1.0, Save("save-1", 0, b"meta", b"content"), 0)
    storage = Storage(tmp_path / "data")
    storage.commit([msgspec.structs.replace(a_run("old", "a"), draft=draft), a_run("newest", "b", "other name")])
    storage.note_visits([], 0.0)
    storage.close()
    async with Synchronizer(data_directory=tmp_path / "data", keep_sessions_s=IDLE_S) as synchronizer:
        await synchronizer._rooms.forget_idle(IDLE_S)
        await synchronizer._rooms._journal.settle()
        [version], _ = await synchronizer._rooms._journal.call(Storage.list_versions, "persistent")
        assert version.save_id == "save-1"


async def test_a_synchronizer_looks_by_itself_and_goes_on_after_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looked: list[float] = []
    waits: list[float] = []
    sleep = asyncio.sleep

    async def count(_: object, elapsed_s: float) -> None:
        looked.append(elapsed_s)
        if len(looked) == 1:
            raise sqlite3.OperationalError("disk I/O error")

    async def sleep_less(delay_s: float) -> None:
        waits.append(delay_s)
        await sleep(0 if len(waits) < 3 else 3_600)

    monkeypatch.setattr(sweeping.Rooms, "forget_idle", count)
    monkeypatch.setattr(sweeping.asyncio, "sleep", sleep_less)
    async with Synchronizer(data_directory=tmp_path / "data", keep_sessions_s=IDLE_S):
        while len(waits) < 3:
            await sleep(0)
    assert waits == [sweeping.FIRST_SWEEP_S, sweeping.SWEEP_S, sweeping.SWEEP_S]
    assert len(looked) == 2
    assert "the rest is tried in an hour" in caplog.text


async def test_a_damaged_session_keeps_no_other_of_its_name_shut_and_is_deleted_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage = Storage(tmp_path / "data")
    draft = Draft("ada", 1.0, Save("save-1", 0, b"meta", b"content", draft=True), 0)
    storage.commit([msgspec.structs.replace(a_run("old", "a"), draft=draft), a_run("newest", "b")])
    storage._database.execute("UPDATE blocks SET block = x'c1' WHERE place = (SELECT min(place) FROM blocks)")
    storage.close()
    given = {"session_id": "third", "persistent_id": "persistent", "password_check": b"check"}
    async with (
        Synchronizer(data_directory=tmp_path / "data", keep_sessions_s=IDLE_S) as synchronizer,
        Participant(synchronizer.url, "ben", **given) as ben,
    ):
        await ben.read_until_joined()
        await synchronizer._rooms.forget_idle(0.0)
    assert "a session is damaged, and what waited in it to be saved is left out" in caplog.text
