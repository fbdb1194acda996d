"""The data directory: what was committed is there, whatever became of the process that committed it."""

from __future__ import annotations

import os
import random
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from msq_jupyter.errors import StorageInUse, StorageUnreadable, VersionDamaged
from msq_jupyter.protocol import Event, Membership, Save, Snapshot, encode
from msq_jupyter.synchronizer.blocks import as_row
from msq_jupyter.synchronizer.records import RunRecord, StoredIndex, ViewRecord, Writes
from msq_jupyter.synchronizer.schema import SCHEMA_VERSION
from msq_jupyter.synchronizer.storage import Storage
from tests.synchronizer.older_files import older_file

RECORD = RunRecord("run-1", "session", "persistent", origin=0, head=0, tick_rate=20.0)


def opening(record: RunRecord = RECORD) -> Writes:
    return Writes(record.run, 1, opened=(record, b"check"))


def a_save(number: int) -> tuple[int, float, Save]:
    return number, 1_000.5 + number, Save(f"save-{number}", number - 1, b"meta %d" % number, b"content %d" % number)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def storage(directory: Path) -> Iterator[Storage]:
    storage = Storage(directory)
    yield storage
    storage.close()


def test_a_run_comes_back_as_it_was_committed(storage: Storage, directory: Path) -> None:
    views = [ViewRecord("ada", 7, 1_000.0, True), ViewRecord("bob", 2, 0.0, False)]
    storage.commit([opening()])
    storage.commit([Writes("run-1", 1, entries=[b"a", b"bb", b"ccc"], views=views, time_ms=12.345, saves=[4])])
    storage.commit([Writes("run-1", 4, snapshot=Snapshot(2, 11.0, b"state"), views=[ViewRecord("ada", 8, 5.0, False)])])
    storage.close()
    reopened = Storage(directory)
    run = reopened.load_run("persistent", "session")
    reopened.close()
    assert run is not None
    assert run.record == RECORD
    assert (run.time_ms, run.last_seq, run.snapshot_seq, run.tail_bytes, run.saves) == (
        12.345,
        3,
        2,
        len(as_row([b"a", b"bb", b"ccc"])),
        [4],
    )
    assert run.views == [ViewRecord("ada", 8, 5.0, False), ViewRecord("bob", 2, 0.0, False)]


def test_what_was_never_there_is_none(storage: Storage) -> None:
    assert storage.load_run("persistent", "session") is None
    assert storage.load_index("persistent") is None
    storage.commit([opening()])
    assert storage.read_snapshot("run-1") is None
    assert storage.read_version("persistent", 1) is None
    assert storage.list_versions("persistent")[0] == []


def test_the_newest_run_of_a_session_is_loaded(storage: Storage) -> None:
    newer = RunRecord("run-0", "session", "persistent", origin=1, head=1, tick_rate=5.0)
    storage.commit([opening(), opening(newer), opening(RunRecord("run-9", "other", "persistent", 0, 0, 5.0))])
    run = storage.load_run("persistent", "session")
    assert run is not None
    assert run.record == newer


def test_the_first_password_check_stays(storage: Storage) -> None:
    storage.commit([opening()])
    storage.commit([Writes("run-2", 1, opened=(RunRecord("run-2", "other", "persistent", 0, 0, 5.0), b"another"))])
    assert storage.load_index("persistent") == StoredIndex(b"check", {})


def test_entries_are_read_in_portions(storage: Storage) -> None:
    entries = [bytes([number]) * 10 for number in range(1, 11)]
    storage.commit([opening(), Writes("run-1", 1, entries=entries)])
    assert storage.read_entries("run-1", 0, 10, 1_000) == entries
    assert storage.read_entries("run-1", 3, 7, 1_000) == entries[3:7]
    assert storage.read_entries("run-1", 2, 10, 25) == entries[2:5]
    assert storage.read_entries("run-1", 10, 10, 1_000) == []


def test_any_part_of_a_log_is_what_was_written_however_it_came(storage: Storage) -> None:
    seed = 7
    print(f"seed {seed}")
    draw = random.Random(seed)
    entries: list[bytes] = []
    storage.commit([opening(), opening(RunRecord("run-2", "other", "persistent", 0, 0, 1.0))])
    for _ in range(60):
        turn = [draw.randbytes(draw.choice((0, 1, 30, 5_000))) for _ in range(draw.choice((1, 1, 2, 40)))]
        storage.commit(
            [Writes("run-1", len(entries) + 1, entries=turn), Writes("run-2", len(entries) + 1, entries=turn)]
        )
        entries += turn
    for _ in range(300):
        after = draw.randint(0, len(entries))
        until = draw.randint(after, len(entries))
        got = storage.read_entries("run-1", after, until, draw.choice((1, 9_000, 10**9)))
        assert got == entries[after : after + len(got)]
        assert got or after == until
    assert storage.read_entries("run-2", 0, len(entries), 10**9) == entries


def test_an_older_file_keeps_its_log(directory: Path) -> None:
    events = [Event(seq, float(seq), "ada" if seq % 3 else "bob", seq, b"payload") for seq in range(2, 252)]
    entries = [encode(entry) for entry in (Membership(1, 0.0, [], [("ada", b""), ("bob", b"")]), *events)]
    with older_file(directory, 6) as old:
        for position, run in enumerate(("run-0", "run-1"), 1):
            old.execute("INSERT INTO runs VALUES (?, ?, 'persistent', ?, 0, 0, 20.0, 9.0)", (position, run, run))
            rows = [(position, seq, entry) for seq, entry in enumerate(entries, 1)]
            old.executemany("INSERT INTO entries VALUES (?, ?, ?)", random.Random(3).sample(rows, len(rows)))
        old.execute("INSERT INTO views VALUES (2, 'ada', 251, 0.0, 1)")
    storage = Storage(directory)
    assert [storage.read_entries(run, 0, 251, 10**9) for run in ("run-0", "run-1")] == [entries, entries]
    run = storage.load_run("persistent", "run-1")
    assert run is not None
    assert (run.last_seq, run.counted_seq, run.views) == (251, 251, [ViewRecord("ada", 251, 0.0, True)])
    storage.commit([Writes("run-1", 252, entries=[encode(Event(252, 252.0, "ada", 252, b"new"))])])
    run = storage.load_run("persistent", "run-1")
    assert run is not None
    assert (run.last_seq, run.counted_seq, run.views) == (252, 251, [ViewRecord("ada", 252, 0.0, True)])
    assert storage.read_counter("run-1", "ada") == 252
    storage.close()


def test_a_gap_in_an_older_log_stays_one(directory: Path) -> None:
    with older_file(directory, 6) as old:
        old.execute("INSERT INTO runs VALUES (1, 'run-1', 'persistent', 'session', 0, 0, 20.0, 9.0)")
        old.executemany("INSERT INTO entries VALUES (1, ?, ?)", [(seq, b"%d" % seq) for seq in (1, 2, 3, 5, 6)])
    storage = Storage(directory)
    assert storage.read_entries("run-1", 4, 6, 1_000) == [b"5", b"6"]
    with pytest.raises(StorageUnreadable, match="expected entry 4 in the log of run run-1, got entry 5"):
        storage.read_entries("run-1", 1, 6, 1_000)
    storage.close()


@pytest.mark.parametrize("damage", [b"\xc1", b"\x92\xc4", "text"])
def test_a_row_that_is_damaged_is_a_missing_entry(storage: Storage, damage: bytes | str) -> None:
    storage.commit([opening(), Writes("run-1", 1, entries=[b"a"])])
    storage._database.execute("UPDATE blocks SET block = ?", (damage,))
    with pytest.raises(StorageUnreadable, match="expected entry 1 in the log of run run-1, got what cannot be read"):
        storage.read_entries("run-1", 0, 1, 1_000)


def test_a_missing_entry_is_reported_by_its_number(storage: Storage) -> None:
    storage.commit([opening(), Writes("run-1", 1, entries=[b"a"]), Writes("run-1", 3, entries=[b"c"])])
    with pytest.raises(StorageUnreadable, match="expected entry 2 in the log of run run-1, got entry 3"):
        storage.read_entries("run-1", 0, 3, 1_000)


def test_the_two_newest_snapshots_are_kept(storage: Storage, directory: Path) -> None:
    storage.commit([opening()])
    for seq in (1, 5, 9):
        storage.commit([Writes("run-1", 1, snapshot=Snapshot(seq, float(seq), b"state"))])
    assert storage.read_snapshot("run-1") == Snapshot(9, 9.0, b"state")
    with sqlite3.connect(directory / "synchronizer.sqlite") as other:
        assert other.execute("SELECT seq FROM snapshots ORDER BY seq").fetchall() == [(5,), (9,)]
    other.close()


def test_5_6_versions_are_listed_without_content_and_read_whole(storage: Storage) -> None:
    storage.commit([opening(), Writes("run-1", 1, versions=[a_save(1), a_save(2)])])
    first, second = storage.list_versions("persistent")[0]
    assert (first.number, second.number, second.parent, second.save_id) == (1, 2, 1, "save-2")
    assert (second.meta, second.content, second.size_bytes) == (b"meta 2", b"", 9)
    whole = storage.read_version("persistent", 2)
    assert whole is not None
    assert (whole.content, whole.size_bytes, whole.time_s) == (b"content 2", 9, second.time_s)
    index = StoredIndex(b"check", {"save-1": 1, "save-2": 2}, keyframes={1: 9, 2: 9})
    assert storage.load_index("persistent") == index


@pytest.mark.parametrize("part", [b"meta 2", b"content 2"])
def test_a_damaged_version_is_reported_by_number_and_its_neighbours_load(
    storage: Storage, directory: Path, part: bytes
) -> None:
    storage.commit([opening(), Writes("run-1", 1, versions=[a_save(1), a_save(2), a_save(3)])])
    storage.close()
    file = directory / "synchronizer.sqlite"
    assert file.read_bytes().count(part) == 1
    file.write_bytes(file.read_bytes().replace(part, part[:-1] + b"X"))
    reopened = Storage(directory)
    with pytest.raises(VersionDamaged, match="expected version 2 as it was saved") as caught:
        reopened.read_version("persistent", 2)
    assert caught.value.number == 2
    for number in (1, 3):
        assert reopened.read_version("persistent", number) is not None
    reopened.close()


def test_a_batch_is_stored_whole_or_not_at_all(storage: Storage) -> None:
    storage.commit([opening(), Writes("run-1", 1, versions=[a_save(1)])])
    again = Writes("run-1", 1, entries=[b"a"], versions=[a_save(1)])
    with pytest.raises(sqlite3.IntegrityError):
        storage.commit([Writes("run-1", 1, time_ms=5.0), again])
    run = storage.load_run("persistent", "session")
    assert run is not None
    assert (run.last_seq, run.time_ms) == (0, 0.0)


def test_a_second_opener_is_told_who_has_it_and_what_to_do(storage: Storage, directory: Path) -> None:
    with pytest.raises(StorageInUse, match="another synchronizer has it open: use that one, end it, or name another"):
        Storage(directory)


def test_the_directory_is_for_its_user_alone(storage: Storage, directory: Path) -> None:
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    storage.commit([opening()])
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}


def test_the_file_of_a_newer_program_is_refused(storage: Storage, directory: Path) -> None:
    storage.close()
    other = sqlite3.connect(directory / "synchronizer.sqlite")
    other.execute("PRAGMA user_version = 99")
    other.close()
    expected = f"with schema {SCHEMA_VERSION} or older, got 99: a newer msq_jupyter wrote it"
    with pytest.raises(StorageUnreadable, match=expected):
        Storage(directory)


def test_a_file_that_is_no_database_is_refused_and_the_directory_is_free_again(directory: Path) -> None:
    directory.mkdir()
    (directory / "synchronizer.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(StorageUnreadable, match="to be a database of msq_jupyter"):
        Storage(directory)
    (directory / "synchronizer.sqlite").unlink()
    Storage(directory).close()


def test_what_was_committed_survives_a_process_that_was_killed(directory: Path) -> None:
    program = f"""
import os, pathlib
from tests.synchronizer.test_storage import Storage, Writes, opening, a_save
storage = Storage(pathlib.Path({str(directory)!r}))
storage.commit([opening(), Writes("run-1", 1, entries=[b"a", b"b"], versions=[a_save(1)])])
storage._database.execute("BEGIN")
storage._database.execute("DELETE FROM blocks")
os.kill(os.getpid(), 9)
"""
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    killed = subprocess.run([sys.executable, "-c", program], cwd=root, env=environment, check=False)
    assert killed.returncode == -9
    storage = Storage(directory)
    assert storage.read_entries("run-1", 0, 2, 1_000) == [b"a", b"b"]
    assert storage.read_version("persistent", 1) is not None
    storage.close()
