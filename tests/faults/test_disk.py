"""The synchronizer's disk is full, or may only be read: saving fails, says so, is tried again, and succeeds in the end.

The full disks are real limits: SQLite's own on its file (`PRAGMA max_page_count`), and the operating system's on the
files of the synchronizer's process (`RLIMIT_FSIZE`).
"""

from __future__ import annotations

import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from msq_jupyter import Model
from msq_jupyter.errors import StorageUnreadable
from msq_jupyter.session.archive import Archive
from msq_jupyter.session.session import SessionCore
from msq_jupyter.synchronizer.storage import Storage
from tests.conftest import SynchronizerThread
from tests.session.test_reconnect import Server
from tests.waiting import until


class Book(Model):
    def init(self, options, persisted=None):
        self.text = persisted["text"] if persisted else ""
        self.subscribe("book", "write", self.write)

    def write(self, seed):
        self.text = text_of(seed)  # a small event, and much to save, which does not shrink when it is packed
        self.persist_session({"text": self.text})


def text_of(seed):
    return hex(seed * 3**400_000)


class EditedBook(Book):
    edited = True


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for seconds."""
    monkeypatch.setattr("msq_jupyter.session.saving.RETRY_S", 0.05)
    monkeypatch.setattr("msq_jupyter.session.saving.RETRY_LONGEST_S", 0.2)
    monkeypatch.setattr("msq_jupyter.session.connection.RETRY_LONGEST_S", 0.2)


@asynccontextmanager
async def writer(url: str, model: type[Model] = Book, **arguments: Any) -> AsyncIterator[SessionCore]:
    given = {"app_id": "test", "name": "room", "password": "pw", "persist_interval_ms": 5_000, **arguments}
    async with await SessionCore.join(model=model, synchronizer=url, **given) as session:
        yield session


def pragma(synchronizer: SynchronizerThread, statement: str) -> Any:
    """Ask SQLite, on the synchronizer's own connection."""
    row = synchronizer.on_disk(lambda storage: storage._database.execute(f"PRAGMA {statement}").fetchone())
    return row[0] if row else None


def failures(session: SessionCore) -> list[str]:
    """What was told of saves that failed."""
    return [line.text for line in session.log if line.text.startswith("saving failed, trying again in")]


async def is_shown(session: SessionCore, what: str, times: int) -> None:
    """It is shown that saving fails, and, so many times, that it is tried again."""
    await until(lambda: session.status.saved_state == "failed")
    assert what in session.status.save_error
    assert session.status.save_error.startswith("the synchronizer could not store it: ")
    await until(lambda: len(failures(session)) >= times)
    assert what in failures(session)[-1]
    assert session.status.saved_number == 1


async def is_saved_in_the_end(session: SessionCore, url: str, text: str) -> None:
    await until(lambda: session.status.saved_number == 2)
    assert (session.status.saved_state, session.status.save_error) == ("saved", "")
    async with writer(url, EditedBook) as edited:
        assert edited.model.text == text
        assert [version.number for version in await edited.versions()] == [1, 2]


async def test_5_4_a_full_disk_is_shown_to_all_and_what_waits_is_saved_when_there_is_room(
    synchronizer: SynchronizerThread,
):
    async with writer(synchronizer.url) as ada, writer(synchronizer.url) as ben:
        ada.publish("book", "write", 1)
        await until(lambda: ada.status.saved_number == ben.status.saved_number == 1)
        # Room for events, and not for what they save.
        pragma(synchronizer, f"max_page_count = {pragma(synchronizer, 'page_count') + 8}")
        ada.publish("book", "write", 2)
        for session in (ada, ben):
            await is_shown(session, "database or disk is full", times=2)
        # What is saved can be read meanwhile, and copied away.
        async with Archive.open(app_id="test", name="room", password="pw", synchronizer=synchronizer.url) as archive:
            assert await archive.content(1) == {"text": text_of(1)}
        pragma(synchronizer, "max_page_count = 1000000000")
        await is_saved_in_the_end(ada, synchronizer.url, text_of(2))


async def test_5_4_a_disk_that_may_only_be_read_is_shown_and_what_waits_is_saved_afterwards(
    synchronizer: SynchronizerThread,
):
    async with writer(synchronizer.url) as ada:
        ada.publish("book", "write", 1)
        await until(lambda: ada.status.saved_number == 1)
        ada.publish("book", "write", 2)
        await ada.synced()
        pragma(synchronizer, "query_only = 1")
        await is_shown(ada, "readonly database", times=1)  # and then nobody can even come in
        ada.publish("book", "write", 3)  # nobody can order it, and it waits
        pragma(synchronizer, "query_only = 0")
        await ada.saved()
        assert ada.model.text == text_of(3)
    async with writer(synchronizer.url, EditedBook) as edited:
        assert edited.model.text == text_of(3)


def largest_file_bytes(directory: Path) -> int:
    return max(file.stat().st_size for file in directory.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process are Linux's")
async def test_5_4_a_process_that_may_write_no_more_loses_nothing_and_is_killed_on_top(tmp_path: Path):
    import resource

    server = Server(tmp_path)
    try:
        async with writer(server.url) as ada:
            ada.publish("book", "write", 1)
            await until(lambda: ada.status.saved_number == 1)
            limit_bytes = largest_file_bytes(tmp_path) + 40_000
            resource.prlimit(server._process.pid, resource.RLIMIT_FSIZE, (limit_bytes, resource.RLIM_INFINITY))
            ada.publish("book", "write", 2)
            await is_shown(ada, "disk", times=2)
            server.end(signal.SIGKILL)
            server.start()  # without the limit
            await is_saved_in_the_end(ada, server.url, text_of(2))
    finally:
        server.end(signal.SIGKILL)


def test_a_data_directory_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path: Path):
    (tmp_path / "file").write_text("")
    for directory in (Path("/proc/msq"), tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(
            StorageUnreadable, match=r"to be a directory that can be written, got .+: make room, change"
        ):
            Storage(directory)
