"""Archive connections on the wire: versions without a session."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect

from msq_jupyter import protocol
from msq_jupyter.protocol import FetchVersion, ListVersions, Open, Opened, Refused, Save, Saved, SaveFailed, Stored
from msq_jupyter.synchronizer.journal import Journal
from msq_jupyter.synchronizer.room import Shelf
from msq_jupyter.synchronizer.rooms import Rooms
from msq_jupyter.synchronizer.server import Synchronizer
from msq_jupyter.synchronizer.storage import Storage
from tests.synchronizer.conftest import Participant
from tests.synchronizer.test_drafts import upload_a_draft

OPEN = Open(1, "persistent", b"check", True)


@contextlib.asynccontextmanager
async def opened(url: str, **changes: Any) -> AsyncIterator[tuple[ClientConnection, Any]]:
    async with connect(url, max_size=protocol.FRAME_BYTES_MAX, proxy=None) as socket:
        yield socket, await asked(socket, msgspec.structs.replace(OPEN, **changes))


async def asked(socket: ClientConnection, message: protocol.Message) -> Any:
    await socket.send(protocol.encode(message))
    return protocol.decode_down(await socket.recv())


async def test_a_name_that_nobody_used_is_refused_and_can_be_created(synchronizer: Synchronizer):
    async with opened(synchronizer.url, create=False) as (_, answer):
        assert answer == Refused("no_such_name", "nothing was ever saved here under this name")
    async with opened(synchronizer.url) as (socket, answer):
        assert answer == Opened(0)
        assert await asked(socket, Save("a", 0, b"meta", b"content")) == Stored("a", 1)
    async with opened(synchronizer.url, create=False) as (socket, answer):
        assert answer == Opened(1)
        got = await asked(socket, FetchVersion(7, 1))
        assert (got.request_id, got.version.meta, got.version.content) == (7, b"meta", b"content")
        assert [version.number for version in (await asked(socket, ListVersions(8))).versions] == [1]
    async with opened(synchronizer.url, password_check=b"other") as (_, answer):
        assert answer.code == "wrong_password"


async def test_a_name_that_was_opened_and_not_written_to_stays_free(tmp_path: Path):
    journal = Journal(lambda shelves: None)
    await journal.open(tmp_path / "data")
    rooms = Rooms(journal, 0.0)
    first = await rooms.open(OPEN)
    assert isinstance(first, Shelf)
    assert await rooms.open(msgspec.structs.replace(OPEN, create=False)) is first
    rooms.close(first)
    other = msgspec.structs.replace(OPEN, password_check=b"other")
    assert (await rooms.open(other)).code == "wrong_password"
    rooms.close(first)
    assert isinstance(await rooms.open(other), Shelf)
    await journal.close()


async def test_repeated_saves_and_impossible_parents(synchronizer: Synchronizer):
    async with opened(synchronizer.url) as (socket, _):
        save = Save("a", 0, b"meta", b"content")
        assert await asked(socket, save) == Stored("a", 1)
        assert await asked(socket, save) == Stored("a", 1)
        reason = "expected a parent from 0 to 1, the newest version, got 2"
        assert await asked(socket, Save("b", 2, b"", b"")) == SaveFailed("b", reason)
        assert await asked(socket, Save("b", 1, b"", b"")) == Stored("b", 2)


async def test_a_live_session_shares_the_numbers_and_notices_nothing(synchronizer: Synchronizer, tmp_path: Path):
    async with Participant(synchronizer.url) as ada, opened(synchronizer.url, create=False) as (socket, answer):
        await ada.read_until_joined()
        assert answer == Opened(0, present=1)
        await ada.say(Save("ada-1", 0, b"m", b"c"))
        await ada.next_of(protocol.Block)
        assert await asked(socket, Save("a", 1, b"m", b"c")) == Stored("a", 2)
        await ada.say(Save("ada-2", 1, b"m", b"c"))
        await ada.send(b"end")
        await ada.read_until_event(b"end")
        assert [entry.number for entry in ada.entries if isinstance(entry, Saved)] == [1, 3]
        assert len(ada.joins()) == 1
        assert ada.exits() == []
    await synchronizer.close()
    storage = Storage(tmp_path / "data")
    assert [version.save_id for version in storage.list_versions("persistent")[0]] == ["ada-1", "a", "ada-2"]
    storage.close()


async def test_what_no_archive_says_ends_its_connection(synchronizer: Synchronizer):
    async with opened(synchronizer.url) as (socket, _):
        answer = await asked(socket, protocol.Leave())
        reason = "expected a question, a Save, an Annotate or a Prune of an archive, got Leave"
        assert answer == Refused("malformed", reason)
    async with opened(synchronizer.url, persistent_id="") as (_, answer):
        assert answer.reason == "expected Open.persistent_id of 1 to 256 characters, got 0"
    async with opened(synchronizer.url, protocol_version=9) as (_, answer):
        assert answer.code == "protocol_version"


async def test_what_cannot_be_written_is_not_acknowledged(synchronizer: Synchronizer, monkeypatch: pytest.MonkeyPatch):
    def full(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    async with opened(synchronizer.url) as (socket, _):
        with monkeypatch.context() as patch:
            patch.setattr(Storage, "commit", full)
            answer = await asked(socket, Save("a", 0, b"m", b"c"))
        assert answer == SaveFailed("a", "the synchronizer could not store it: database or disk is full")
    async with opened(synchronizer.url) as (socket, answer):
        assert answer == Opened(0)
        assert await asked(socket, Save("a", 0, b"m", b"c")) == Stored("a", 1)


async def test_5_4_an_archive_finds_what_a_killed_kernel_had_collected(tmp_path: Path):
    async with Synchronizer(data_directory=tmp_path) as first, Participant(first.url, "ada") as ada:
        await upload_a_draft(ada)
        save_id = f"{ada.welcome.run}.1"
    async with Synchronizer(data_directory=tmp_path) as second:
        async with opened(second.url, password_check=b"guessed") as (_, answer):
            assert answer.code == "wrong_password"
        async with opened(second.url) as (socket, answer):
            assert answer == protocol.Opened(1)
            listed = await asked(socket, protocol.ListVersions(1))
            assert [version.save_id for version in listed.versions] == [save_id]
