"""Copies of a data directory, made while it is written, and going back to one."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from msq_jupyter import protocol
from msq_jupyter.cli import main
from msq_jupyter.errors import ArgumentError, StorageUnreadable
from msq_jupyter.protocol import Save
from msq_jupyter.synchronizer import backup
from msq_jupyter.synchronizer.backup import back_up
from msq_jupyter.synchronizer.server import Synchronizer
from msq_jupyter.synchronizer.storage import FILE_NAME, Storage

from .conftest import Participant

QUERY = "SELECT place, block FROM blocks ORDER BY place"


def rows_of(path: Path, query: str = QUERY) -> list[tuple[object, ...]]:
    database = sqlite3.connect(path)
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


async def test_a_backup_under_load_is_one_moment_and_what_was_acknowledged_is_in_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    copies: list[tuple[int, Path]] = []
    async with Synchronizer(data_directory=data) as synchronizer, Participant(synchronizer.url) as ada:
        await ada.say(Save("first", 0, b"meta", b"c" * 3_000_000))  # many portions
        is_over = asyncio.Event()
        progress: asyncio.Queue[int] = asyncio.Queue()

        async def write() -> None:
            while not is_over.is_set():
                await ada.send(b"%d" % ada.counter * 200)
                await ada.next()
                progress.put_nowait(len(ada.entries))

        writing = asyncio.create_task(write())
        for number in range(3):
            while await progress.get() < 20 * (number + 1):
                pass
            acknowledged = len(ada.entries)
            copy = tmp_path / f"copy-{number}.sqlite"
            await asyncio.to_thread(back_up, data, copy)
            copies.append((acknowledged, copy))
            assert len(ada.entries) >= acknowledged  # it went on
        is_over.set()
        await writing
    everything = rows_of(data / FILE_NAME)
    sizes = []
    for acknowledged, copy in copies:
        assert [name for name in os.listdir(tmp_path) if name.startswith(copy.name)] == [copy.name]
        assert stat.S_IMODE(os.stat(copy).st_mode) == 0o600
        rows = rows_of(copy)
        assert rows == everything[: len(rows)]
        # Of one moment: what is said of views is what the log says.
        (session,) = rows_of(copy, "SELECT persistent_id, session_id FROM runs")
        (tmp_path / copy.stem).mkdir()
        copy.rename(tmp_path / copy.stem / FILE_NAME)
        storage = Storage(tmp_path / copy.stem)
        run = storage.load_run(*session)
        assert run is not None
        entries = storage.read_entries(run.record.run, 0, run.last_seq, 10**9)
        storage.close()
        assert len(entries) >= acknowledged
        events = [entry for entry in map(protocol.decode_entry, entries) if isinstance(entry, protocol.Event)]
        assert [event.counter for event in events] == list(range(1, run.views[0].counter + 1))
        sizes.append(len(entries))
    assert sizes == sorted(sizes)


def test_a_backup_does_not_begin_again_with_every_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Storage(tmp_path / "data").close()
    writer = sqlite3.connect(tmp_path / "data" / FILE_NAME, isolation_level=None)
    writer.execute("INSERT INTO contents VALUES (1, zeroblob(1000000))")
    left: list[int] = []

    class Watched(sqlite3.Connection):
        def backup(self, target: sqlite3.Connection, **arguments: Any) -> None:
            def progress(status: int, remaining: int, total: int) -> None:
                left.append(remaining)
                assert len(left) < 2 * total
                writer.execute("INSERT INTO contents VALUES (NULL, 'written meanwhile')")

            super().backup(target, progress=progress, **arguments)

    connect = sqlite3.connect
    monkeypatch.setattr(backup, "PAGES", 10)
    monkeypatch.setattr(sqlite3, "connect", lambda *place, **options: connect(*place, factory=Watched, **options))
    back_up(tmp_path / "data", tmp_path / "copy")
    assert len(left) > 20
    assert left == sorted(left, reverse=True)
    assert rows_of(tmp_path / "copy", "SELECT count(*) FROM contents") == [(1,)]
    writer.close()


async def test_a_restored_backup_goes_on_where_it_was_made(tmp_path: Path) -> None:
    async with Synchronizer(data_directory=tmp_path / "data") as synchronizer, Participant(synchronizer.url) as ada:
        await ada.send(b"before")
        await ada.read_until_event(b"before")
        back_up(tmp_path / "data", tmp_path / "copy")
        run = ada.welcome.run
        await ada.send(b"after")
        await ada.read_until_event(b"after")
    restored = tmp_path / "restored"
    restored.mkdir()
    (tmp_path / "copy").rename(restored / FILE_NAME)
    async with Synchronizer(data_directory=restored) as synchronizer, Participant(synchronizer.url, "bob") as bob:
        assert bob.welcome.run == run
        await bob.read_until_event(b"before")
        await bob.send(b"anew")
        await bob.read_until_event(b"anew")
        assert bob.payloads() == [b"before", b"anew"]


def test_the_command_says_what_it_made_and_takes_no_file_that_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Storage(tmp_path / "data").close()
    arguments = ["backup", "--data", str(tmp_path / "data"), str(tmp_path / "copy")]
    assert main(arguments) == 0
    size_bytes = (tmp_path / "copy").stat().st_size
    assert capsys.readouterr().out == f"{tmp_path / 'copy'}: {size_bytes:,} bytes\n"
    assert main(arguments) == 2
    assert "expected a new file for the backup, got" in capsys.readouterr().err


def test_what_cannot_be_copied_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"expected a data directory with a file synchronizer\.sqlite"):
        back_up(tmp_path, tmp_path / "copy")
    Storage(tmp_path / "data").close()
    with pytest.raises(ArgumentError, match=r"expected a file that can be written, got .*: No such file or directory"):
        back_up(tmp_path / "data", tmp_path / "none" / "copy")
    (tmp_path / "data" / FILE_NAME).write_bytes(b"no database" * 1_000)
    with pytest.raises(StorageUnreadable, match="nothing was copied: take an older backup"):
        back_up(tmp_path / "data", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
