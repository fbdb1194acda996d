"""For whom is counted what is stored, and what happens when it is too much."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from msq_jupyter import protocol
from msq_jupyter.protocol import Open, Opened, Refused, Save, SaveFailed, Send, Snapshot, Stored
from msq_jupyter.synchronizer.limits import Accounts, Limits
from msq_jupyter.synchronizer.records import Append, Draft, RunRecord, Writes
from msq_jupyter.synchronizer.server import Synchronizer
from msq_jupyter.synchronizer.storage import Storage
from tests.synchronizer.older_files import older_file

from .conftest import Participant, a_join
from .test_admission import GATE, Holder, answer_of, opened, refusal

#: Two entries, and what tells where each ends.
ENTRIES_BYTES = 8 + 5
ACCOUNT = ("token", "ada")
RECORD = RunRecord("run", "session", "persistent", 0, 0, 1.0)


def filled(directory: Path) -> Storage:
    storage = Storage(directory)
    storage.set_payer("persistent", "ada", "::1")
    storage.commit([Writes("run", 1, opened=(RECORD, b"check"), entries=[b"12345", b"678"])])
    return storage


async def read_until_saved(participant: Participant) -> None:
    while not any(isinstance(entry, protocol.Saved) for entry in participant.entries):
        await participant.next()


def measured(storage: Storage) -> int:
    """What a look at every row says, beside what was counted."""
    return storage.payers.stored_bytes(ACCOUNT) + storage.payers.growth_since("persistent")


def test_everything_that_is_stored_is_counted_and_given_back_when_it_goes(tmp_path: Path):
    storage = filled(tmp_path)
    assert storage.payers.stored_bytes(ACCOUNT) == ENTRIES_BYTES
    source = {"source_id": "s", "source": b"source"}
    saves = [Save(f"save-{number}", number, b"meta", b"content", **source if not number else {}) for number in range(3)]
    steps = [
        Writes("run", 3, versions=[(1, 0.0, saves[0])], head=1),
        Writes("run", 3, snapshot=Snapshot(1, 0.0, b"s" * 100)),
        Writes("run", 3, snapshot=Snapshot(2, 0.0, b"s" * 10)),
        Writes("run", 3, snapshot=Snapshot(3, 0.0, b"s" * 20)),  # the first one goes
        Writes("run", 3, draft=Draft("ada", 0.0, saves[1], 1)),
        Writes("run", 3, draft=Draft("ada", 0.0, saves[2], 1)),
        Writes("run", 3, draft=None, versions=[(2, 0.0, saves[1])], head=2),
    ]
    for step in steps:
        storage.commit([step])
        assert storage.payers.stored_bytes(ACCOUNT) == measured(storage), step
    storage.commit([], [Append("persistent", b"check", 3, 0.0, saves[2], is_head=True)])
    everything = storage.payers.stored_bytes(ACCOUNT)
    assert everything == measured(storage) == ENTRIES_BYTES + (11 + 6) + 11 + 11 + 30
    assert storage.payers.stored_bytes(("address", "::1")) == everything
    assert storage.prune("persistent", [1, 2]) == {}
    assert storage.payers.stored_bytes(ACCOUNT) == measured(storage) == ENTRIES_BYTES + 11 + 30
    storage.close()
    again = Storage(tmp_path)
    assert again.payers.stored_bytes(ACCOUNT) == ENTRIES_BYTES + 11 + 30
    assert again.payers.accounts_of("persistent") == [ACCOUNT, ("address", "::1")]
    again.close()


def test_what_was_not_stored_is_not_counted(tmp_path: Path):
    storage = filled(tmp_path)
    with pytest.raises(sqlite3.IntegrityError):
        storage.commit([Writes("run", 1, entries=[b"the same", b"place"])])
    assert storage.payers.stored_bytes(ACCOUNT) == measured(storage) == ENTRIES_BYTES
    storage.close()


def test_a_name_that_nobody_pays_for_costs_nothing(tmp_path: Path):
    storage = Storage(tmp_path)
    storage.commit([Writes("run", 1, opened=(RECORD, b"check"), entries=[b"12345"])])
    assert storage.payers.accounts_of("persistent") == []
    storage.prune("persistent", [1])
    storage.close()


def test_an_older_file_has_names_that_nobody_pays_for(tmp_path: Path):
    with older_file(tmp_path, 5) as old:
        old.execute("INSERT INTO persistent_ids (persistent_id, password_check) VALUES ('persistent', x'')")
    storage = Storage(tmp_path)
    assert storage.load_index("persistent") is not None
    assert storage.payers.accounts_of("persistent") == []
    storage.set_payer("another", "ada", "::1")
    assert storage.payers.accounts_of("another") == [ACCOUNT, ("address", "::1")]
    storage.close()


async def test_who_is_full_saves_and_sends_no_more_and_hears_why(tmp_path: Path):
    accounts = Accounts(of_token=Limits(stored_bytes=1_000))
    reason = "expected at most 1,000 bytes stored for token creator, got "
    async with Synchronizer(data_directory=tmp_path, gate=GATE, accounts=accounts) as synchronizer:
        # The joiner joins what the creator pays for.
        async with Holder(synchronizer.url, "creator") as creator, Holder(synchronizer.url, "joiner") as joiner:
            await creator.say(Save("first", 0, b"", b"c" * 500))
            await read_until_saved(creator)
            await joiner.say(Save("second", 1, b"", b"c" * 500))
            failed = await joiner.next_of(SaveFailed)
            assert failed.save_id == "second"
            assert failed.reason.startswith(reason)
            assert failed.reason.endswith(" more: drop versions, or have the limit of stored bytes raised")
            # What still fits is stored, and the session goes on.
            await joiner.send(b"small")
            await creator.read_until_event(b"small")
            await joiner.say(Send([(2, b"e" * 500)]))
            refused = await joiner.next_of(Refused)
            assert refused.code == "limit"
            assert refused.reason.startswith(reason)
            await creator.send(b"others stay")
            await creator.read_until_event(b"others stay")
        async with opened(synchronizer.url, "joiner") as archive:
            assert isinstance(await answer_of(archive), Opened)
            await archive.send(protocol.encode(Save("third", 1, b"", b"c" * 500)))
            failed = await answer_of(archive)
            assert isinstance(failed, SaveFailed)
            assert failed.reason.startswith(reason)
            await archive.send(protocol.encode(Save("fourth", 1, b"", b"c" * 100)))
            assert isinstance(await answer_of(archive), Stored)


async def test_who_is_full_uses_no_new_name_and_sees_what_is_there(tmp_path: Path):
    accounts = Accounts(of_address=Limits(stored_bytes=500))
    for _ in range(2):  # a restart changes nothing
        async with Synchronizer(data_directory=tmp_path, accounts=accounts) as synchronizer:
            async with Participant(synchronizer.url) as ada:
                await ada.say(Save("first", 0, b"", b"c" * 300))
                if not ada.welcome.head:
                    await read_until_saved(ada)
            for number in range(3):  # until it is full
                async with connect(synchronizer.url, proxy=None) as archive:
                    await archive.send(protocol.encode(Open(1, "persistent", b"check", create=False)))
                    assert isinstance(await answer_of(archive), Opened)
                    await archive.send(protocol.encode(Save(f"more-{number}", 1, b"", b"c" * 40)))
                    await answer_of(archive)
            with pytest.MonkeyPatch.context() as patch:
                # One byte less than there is.
                patch.setattr(accounts, "_limits", {"token": Limits(), "address": Limits(stored_bytes=300)})
                for first in (a_join(persistent_id="another"), Open(1, "another", b"check", create=True)):
                    code, reason = await refusal(synchronizer.url, "", first)
                    assert code == "limit"
                    assert reason.startswith("expected at most 300 bytes stored for address 127.0.0.1, got ")
                async with Participant(synchronizer.url, "bob") as bob:
                    assert bob.welcome.head
                    await bob.say(Send([(1, b"event")]))
                    assert (await bob.next_of(Refused)).code == "limit"
