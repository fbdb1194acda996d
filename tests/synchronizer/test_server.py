"""The server on real sockets, spoken to in raw frames."""

from __future__ import annotations

import asyncio
import random
import signal
import socket
import sqlite3
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus

from msq_jupyter import protocol
from msq_jupyter.errors import AddressInUse, ArgumentError, StorageInUse
from msq_jupyter.protocol import (
    Block,
    Closing,
    FetchVersion,
    Leave,
    ListVersions,
    Refused,
    Save,
    Saved,
    Send,
    Snapshot,
    Tick,
    VersionContent,
    Versions,
    Welcome,
)
from msq_jupyter.synchronizer.room import UNREAD_BYTES_MAX, Room
from msq_jupyter.synchronizer.server import Synchronizer
from msq_jupyter.synchronizer.storage import Storage
from msq_jupyter.synchronizer.tokens import Gate, plain_token

from .conftest import Participant, Processes, a_join


async def refused(url: str, **changes: Any) -> Refused:
    """Join, and be refused."""
    async with connect(url, proxy=None) as connection:
        await connection.send(protocol.encode(a_join(**changes)))
        answer = protocol.decode_down(await connection.recv())
        with pytest.raises(ConnectionClosed):
            await connection.recv()
    assert isinstance(answer, Refused)
    return answer


async def save(participant: Participant, save_id: str, parent: int = 0, content: bytes = b"content") -> Saved:
    """Save, and wait until everybody knows."""
    await participant.say(Save(save_id, parent, b"meta", content))
    while True:
        await participant.next_of(Block)
        for entry in participant.entries:
            if isinstance(entry, Saved) and entry.save_id == save_id:
                return entry


# --- order and delivery ------------------------------------------------------------------------------------------


async def test_everybody_sees_the_same_log(synchronizer: Synchronizer) -> None:
    async with Participant(synchronizer.url, "ada") as ada, Participant(synchronizer.url, "bob") as bob:
        await ada.send(b"a1", b"a2")
        await bob.send(b"b1")
        for participant in (ada, bob):
            for payload in (b"a2", b"b1"):
                await participant.read_until_event(payload)
        assert ada.entries == bob.entries


async def test_7_5_silence_is_filled_with_ticks(synchronizer: Synchronizer) -> None:
    async with Participant(synchronizer.url, tick_rate=60.0) as ada:
        first, second = await ada.next_of(Tick), await ada.next_of(Tick)
        assert 0 < first.time_ms < second.time_ms


async def test_4_6_what_is_sent_again_after_a_reconnect_comes_once(synchronizer: Synchronizer) -> None:
    async with Participant(synchronizer.url) as ada:
        await ada.send(b"1", b"2")
        await ada.read_until_event(b"2")
        # The connection dies with events in flight that nobody acknowledged.
        await ada.send(b"3", b"4")
        ada.socket.transport.abort()
        welcome = await ada.connect()
        assert welcome.resumed
        await ada.say(Send([(3, b"3"), (4, b"4"), (5, b"5")][max(0, welcome.last_counter - 2) :]))
        await ada.say(Send([(1, b"1"), (4, b"4"), (5, b"5")]))
        await ada.read_until_event(b"5")
        assert ada.payloads() == [b"1", b"2", b"3", b"4", b"5"]
        assert ada.exits() == []


async def test_a_newcomer_gets_the_past_and_the_present_without_gap_while_four_send(
    synchronizer: Synchronizer,
) -> None:
    names = ["ada", "bob", "cyd", "dan"]
    senders = [Participant(synchronizer.url, name, rejoin_limit_ms=60_000.0) for name in names]
    for sender in senders:
        await sender.connect()

    async def keep_sending(sender: Participant) -> None:
        for number in range(150):
            await sender.send(b"%s %d" % (sender.first.view_id.encode(), number), b"x" * 2_000)

    async def read_all(participant: Participant) -> None:
        while len(participant.payloads()) < 4 * 150 * 2:
            await participant.next()

    async def come(name: str) -> Participant:
        newcomer = Participant(synchronizer.url, name)
        await newcomer.connect()
        return newcomer

    reading = [asyncio.create_task(read_all(sender)) for sender in senders]
    sending = [asyncio.create_task(keep_sending(sender)) for sender in senders]
    newcomers: list[Participant] = []
    while not all(task.done() for task in sending):
        newcomers.append(await come(f"newcomer {len(newcomers)}"))
    await asyncio.gather(*sending, *reading, *(read_all(newcomer) for newcomer in newcomers))
    assert newcomers
    longest = max((participant.entries for participant in (*senders, *newcomers)), key=len)
    for participant in (*senders, *newcomers):
        assert participant.entries == longest[: len(participant.entries)]
        for name in names:
            mine = [payload for payload in participant.payloads() if payload.startswith(name.encode())]
            assert mine == [b"%s %d" % (name.encode(), number) for number in range(150)]
        await participant.socket.close()


async def test_7_2_a_newcomer_starts_from_the_snapshot(synchronizer: Synchronizer) -> None:
    async with Participant(synchronizer.url, "ada") as ada:
        await ada.send(b"1", b"2", b"3")
        await ada.read_until_event(b"3")
        await ada.say(Snapshot(3, 0.0, b"state"))
        await ada.send(b"4")
        await ada.read_until_event(b"4")
        async with Participant(synchronizer.url, "bob") as bob:
            assert bob.welcome.snapshot == Snapshot(3, 0.0, b"state")
            await bob.read_until_joined()
            assert bob.payloads() == [b"3", b"4"]


async def test_who_is_sent_away_at_the_end_is_not_asked_back_for_the_same_moment(tmp_path: Path) -> None:
    async with Synchronizer(data_directory=tmp_path / "data") as synchronizer:
        members = [Participant(synchronizer.url, f"view-{number}") for number in range(40)]
        for member in members:
            await member.connect()
        random.seed(1)
        await synchronizer.close()
        times_ms = sorted([(await member.next_of(Closing)).retry_after_ms for member in members])
    assert 500 <= times_ms[0] < 600
    assert 900 < times_ms[-1] <= 1_000
    assert len({round(time_ms) for time_ms in times_ms}) > 20
    for member in members:
        await member.socket.close()


async def test_a_newer_connection_of_a_view_ends_the_older_one(synchronizer: Synchronizer) -> None:
    async with Participant(synchronizer.url) as old, Participant(synchronizer.url) as new:
        assert await old.read_until_closed() == "a newer connection of the same view took over"
        await new.send(b"1")
        await new.read_until_event(b"1")
        assert new.exits() == []


async def test_a_member_that_stops_reading_is_disconnected_and_slows_nobody(synchronizer: Synchronizer) -> None:
    stalled = Participant(synchronizer.url, "stalled", rejoin_limit_ms=0.0)
    async with Participant(synchronizer.url, "ada") as ada:
        await stalled.connect()
        stalled.socket.transport.pause_reading()
        sent_bytes = 0
        # Until the kernel's buffers and the server's share are full.
        while "stalled" not in ada.exits():
            await ada.send(bytes(protocol.EVENT_BYTES_MAX))
            sent_bytes += protocol.EVENT_BYTES_MAX
            await ada.next_of(Block)
        assert sent_bytes > UNREAD_BYTES_MAX
    stalled.socket.transport.abort()


async def test_a_member_that_was_cut_for_reading_too_slowly_is_told_once_when_it_comes_back(
    synchronizer: Synchronizer,
) -> None:
    stalled = Participant(synchronizer.url, "stalled", rejoin_limit_ms=60_000.0)
    async with Participant(synchronizer.url, "ada") as ada:
        await stalled.connect()
        stalled.socket.transport.pause_reading()
        room = next(iter(synchronizer._rooms))
        while room.member_count == 2:
            await ada.send(bytes(protocol.EVENT_BYTES_MAX))
            await ada.next_of(Block)
        stalled.socket.transport.abort()
        assert (await stalled.connect()).resumed
        [words] = stalled.told
        waited, _, rest = words.partition(" ")
        assert rest == "bytes waited for this member"
        assert UNREAD_BYTES_MAX < int(waited.replace(",", "")) < UNREAD_BYTES_MAX + 2 * protocol.EVENT_BYTES_MAX
        while len(stalled.payloads()) < len(ada.payloads()):
            await stalled.next()
        stalled.socket.transport.abort()
        await stalled.connect()
        assert len(stalled.told) == 1, "the network is cut: that is not for what it left unread"
        await stalled.socket.close()


async def test_a_past_larger_than_a_stalled_members_share_is_caught_up_with(synchronizer: Synchronizer) -> None:
    async with Participant(synchronizer.url, "ada") as ada:
        for number in range(24):
            await ada.send(bytes([number]) * protocol.EVENT_BYTES_MAX)
        await ada.read_until_event(bytes([23]) * protocol.EVENT_BYTES_MAX)
        async with Participant(synchronizer.url, "bob") as bob:
            await bob.read_until_joined()
            assert len(bob.payloads()) == 24


# --- versions ----------------------------------------------------------------------------------------------------


async def test_5_6_versions_are_listed_and_fetched_right_after_they_were_sent(synchronizer: Synchronizer) -> None:
    async with Participant(synchronizer.url) as ada:
        await ada.say(Save("first", 0, b"meta 1", b"content 1"))
        await ada.say(Save("second", 1, b"meta 2", b"content 2"))
        await ada.say(ListVersions(7))
        await ada.say(FetchVersion(8, 2))
        await ada.say(FetchVersion(9, 3))
        listed = await ada.next_of(Versions)
        assert (listed.request_id, [version.save_id for version in listed.versions]) == (7, ["first", "second"])
        fetched = await ada.next_of(VersionContent)
        assert fetched.request_id == 8
        assert fetched.version is not None
        assert (fetched.version.meta, fetched.version.content) == (b"meta 2", b"content 2")
        assert await ada.next_of(VersionContent) == VersionContent(9, None)


async def test_5_7_a_session_never_seen_before_starts_from_the_head(synchronizer: Synchronizer) -> None:
    async with Participant(synchronizer.url) as ada:
        assert ada.welcome.origin is None
        await save(ada, "first")
        async with Participant(synchronizer.url, session_id="other code") as bob:
            assert bob.welcome.origin is not None
            assert (bob.welcome.origin.number, bob.welcome.origin.content) == (1, b"content")
        async with Participant(synchronizer.url, session_id="afresh", persisted="ignore") as cyd:
            assert (cyd.welcome.origin, cyd.welcome.head) == (None, 1)
    answer = await refused(synchronizer.url, session_id="missing", persisted=2)
    assert (answer.code, answer.reason) == ("no_such_version", "expected persisted to be a version from 1 to 1, got 2")


async def test_5_7_a_session_seen_before_goes_on_with_its_log(synchronizer: Synchronizer) -> None:
    async with Participant(synchronizer.url) as ada:
        await save(ada, "first")
        await ada.say(Leave())
    async with Participant(synchronizer.url) as ada_again:
        assert ada_again.welcome.run == ada.welcome.run
        assert (ada_again.welcome.origin, ada_again.welcome.head) == (None, 1)


async def test_5_7_edited_back_after_others_saved_it_starts_anew_from_the_head(synchronizer: Synchronizer) -> None:
    async with Participant(synchronizer.url) as ada:
        await save(ada, "first")
        async with Participant(synchronizer.url, session_id="edited") as edited:
            await save(edited, "second", parent=1)
            # Somebody is in it: it goes on.
            async with Participant(synchronizer.url, "bob") as bob:
                assert bob.welcome.run == ada.welcome.run
                await bob.say(Leave())
            await ada.say(Leave())
            await ada.socket.wait_closed()
    async with Participant(synchronizer.url) as back:
        assert back.welcome.run != ada.welcome.run
        assert back.welcome.origin is not None
        assert back.welcome.origin.number == 2


async def test_5_7_a_session_that_ignored_the_versions_goes_on_when_its_last_one_left(
    synchronizer: Synchronizer,
) -> None:
    async with Participant(synchronizer.url, session_id="other") as other:
        await save(other, "first")
        async with Participant(synchronizer.url, persisted="ignore") as ada:
            await ada.say(Leave())
            await ada.socket.wait_closed()
        async with Participant(synchronizer.url, persisted="ignore") as again:
            assert again.welcome.run == ada.welcome.run


# --- what is refused ---------------------------------------------------------------------------------------------


async def test_8_2_a_wrong_password_is_refused_and_damages_nothing(synchronizer: Synchronizer) -> None:
    async with Participant(synchronizer.url) as ada:
        answer = await refused(synchronizer.url, password_check=b"guess")
        assert answer.code == "wrong_password"
        assert answer.reason.startswith("this name is in use here with another password: give the one")
        await ada.send(b"1")
        await ada.read_until_event(b"1")
        assert ada.exits() == []


@pytest.mark.parametrize(
    ("version", "remedy"),
    [
        (2, "have msq_jupyter updated where the synchronizer runs, and the synchronizer restarted"),
        (0, "update msq_jupyter where the notebook runs (pip install --upgrade msq_jupyter) and restart its kernel"),
    ],
)
@pytest.mark.parametrize("first", ["Join", "Open"])
async def test_another_protocol_version_is_refused_even_if_its_first_message_looks_different(
    synchronizer: Synchronizer, first: str, version: int, remedy: str
) -> None:
    async with connect(synchronizer.url, proxy=None) as connection:
        await connection.send(msgspec.msgpack.encode([first, version, "something else"]))
        answer = protocol.decode_down(await connection.recv())
    assert answer == Refused("protocol_version", f"expected protocol version 1, got {version}: {remedy}")


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ("text", "in a binary frame, got a text frame of 4 characters"),
        (b"\xc1", "got 1 bytes that are none"),
        (b"", "got 0 bytes that are none"),
        (b"\x92\xa4Join\xa1\xff", "got 8 bytes that are none"),  # text that is no UTF-8
        (protocol.encode(Leave()), "expected a Join or an Open as the first message, got Leave"),
        (protocol.encode(a_join("")), "expected Join.view_id of 1 to 256 characters, got 0"),
        (protocol.encode(a_join(rejoin_limit_ms=float("nan"))), "Expected `float` >= 0.0"),
        (protocol.encode(a_join(persisted="newest")), '"latest", "ignore" or a number, got \'newest\''),
    ],
)
async def test_a_first_frame_that_is_no_join_ends_only_its_connection(
    synchronizer: Synchronizer, frame: bytes | str, reason: str
) -> None:
    async with Participant(synchronizer.url) as ada, connect(synchronizer.url, proxy=None) as connection:
        await connection.send(frame)
        answer = protocol.decode_down(await connection.recv())
        assert isinstance(answer, Refused)
        assert answer.code == "malformed"
        assert reason in answer.reason
        with pytest.raises(ConnectionClosedError):
            await connection.recv()
        await ada.send(b"1")
        await ada.read_until_event(b"1")


@pytest.mark.parametrize(
    "frame", [b"\xff\xff", protocol.encode(a_join()), protocol.encode(Send([(1, b"one"), (9, b"gap")]))]
)
async def test_a_malformed_frame_leaves_the_others_untouched(synchronizer: Synchronizer, frame: bytes) -> None:
    async with Participant(synchronizer.url, "ada") as ada, Participant(synchronizer.url, "eve") as eve:
        await eve.socket.send(frame)
        assert (await eve.next_of(Refused)).code == "malformed"
        await ada.send(b"1")
        await ada.read_until_event(b"1")
        assert b"gap" not in ada.payloads()


async def test_pages_of_a_browser_cannot_connect(synchronizer: Synchronizer) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        await connect(synchronizer.url, origin="https://example.org", proxy=None)  # type: ignore[arg-type]


async def test_without_its_token_nobody_connects(tmp_path: Path) -> None:
    async with Synchronizer(data_directory=tmp_path / "data", gate=Gate([plain_token("secret")])) as synchronizer:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "secret"}):
            with pytest.raises(InvalidStatus, match="401"):
                await connect(synchronizer.url, additional_headers=headers, proxy=None)
        async with connect(synchronizer.url, additional_headers={"Authorization": "Bearer secret"}, proxy=None):
            pass


def test_other_machines_may_connect_only_with_a_token(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"can reach host '0.0.0.0', got none: give one with --token-file"):
        Synchronizer("0.0.0.0", data_directory=tmp_path)


async def test_a_port_in_use_is_named_with_the_remedy(synchronizer: Synchronizer, tmp_path: Path) -> None:
    port = int(synchronizer.url.rpartition(":")[2])
    with pytest.raises(AddressInUse, match=rf"expected port {port} of 127.0.0.1 to be free.* --port 0"):
        async with Synchronizer(port=port, data_directory=tmp_path / "other"):
            pass
    # It let go of its directory.
    async with Synchronizer(data_directory=tmp_path / "other"):
        pass


async def test_a_data_directory_in_use_is_refused(synchronizer: Synchronizer, tmp_path: Path) -> None:
    with pytest.raises(StorageInUse):
        async with Synchronizer(data_directory=tmp_path / "data"):
            pass


# --- ends and beginnings -----------------------------------------------------------------------------------------


async def test_nothing_is_told_that_could_not_be_stored(synchronizer: Synchronizer, tmp_path: Path) -> None:
    ada, bob = Participant(synchronizer.url, "ada"), Participant(synchronizer.url, "bob")
    for participant in (ada, bob):
        await participant.connect()
    await ada.send(b"1")
    for participant in (ada, bob):
        await participant.read_until_event(b"1")
    database = sqlite3.connect(tmp_path / "data" / "synchronizer.sqlite")
    database.execute("ALTER TABLE blocks RENAME TO gone")
    await ada.send(b"2")
    for participant in (ada, bob):
        assert await participant.read_until_closed() == "could not be stored; connect again"
        assert participant.payloads() == [b"1"]
    database.execute("ALTER TABLE gone RENAME TO blocks")
    database.close()
    welcome = await ada.connect()
    await bob.connect()
    assert (welcome.resumed, welcome.last_counter) == (True, 1)
    await ada.say(Send([(2, b"2")]))
    for participant in (ada, bob):
        await participant.read_until_event(b"2")
        assert participant.payloads() == [b"1", b"2"]
        assert participant.exits() == []
        await participant.socket.close()


async def test_an_orderly_end_says_when_to_return_and_takes_no_time(tmp_path: Path) -> None:
    async with Synchronizer(data_directory=tmp_path / "data") as synchronizer:
        ada = Participant(synchronizer.url, tick_rate=60.0)
        await ada.connect()
        await ada.send(b"1")
        await ada.read_until_event(b"1")
        await ada.next_of(Tick)
        closing = asyncio.create_task(synchronizer.close())
        assert (await ada.next_of(Closing)).retry_after_ms > 0
        with pytest.raises(ConnectionClosed):
            await ada.next()
        await closing
    async with Synchronizer(data_directory=tmp_path / "data") as synchronizer:
        ada.url = synchronizer.url
        welcome = await ada.connect()
        assert (welcome.resumed, welcome.last_counter) == (True, 1)
        assert ada.time_ms <= welcome.live_time_ms < ada.time_ms + 1_000
        await ada.send(b"2")
        await ada.read_until_event(b"2")
        assert ada.exits() == []
        await ada.socket.close()


async def test_an_orderly_end_does_not_hang_on_a_newcomer_that_does_not_read(tmp_path: Path) -> None:
    async with Synchronizer(data_directory=tmp_path / "data") as synchronizer:
        ada = Participant(synchronizer.url, "ada")
        await ada.connect()
        for number in range(40):
            await ada.send(bytes([number]) * protocol.EVENT_BYTES_MAX)
        await ada.read_until_event(bytes([39]) * protocol.EVENT_BYTES_MAX)
        bob = Participant(synchronizer.url, "bob")
        await bob.connect()
        bob.socket.transport.pause_reading()
        await ada.next_of(Tick)
    for participant in (ada, bob):
        participant.socket.transport.abort()
    # Its file is closed and free.
    async with Synchronizer(data_directory=tmp_path / "data"):
        pass


@pytest.mark.parametrize("how", ["cannot be stored", "is replaced", "comes at the end"])
async def test_a_member_that_is_never_welcomed_and_asks_all_the_same_holds_up_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    may_commit = threading.Event()
    commit = Storage.commit

    def slow_commit(*arguments: Any) -> None:
        may_commit.wait()
        if how == "cannot be stored":
            raise sqlite3.OperationalError("disk full")
        commit(*arguments)

    monkeypatch.setattr(Storage, "commit", slow_commit)
    steps: asyncio.Queue[str] = asyncio.Queue()
    enter, hear = Room.enter, Synchronizer._hear
    monkeypatch.setattr(Room, "enter", lambda *a, **k: [enter(*a, **k), steps.put_nowait("enters")][0])
    monkeypatch.setattr(Synchronizer, "_hear", lambda *a: [hear(*a), steps.put_nowait("asks")][0])
    synchronizer = Synchronizer(data_directory=tmp_path / "data")
    await synchronizer.start()
    try:
        async with connect(synchronizer.url, proxy=None) as early, connect(synchronizer.url, proxy=None) as late:
            await early.send(protocol.encode(a_join()))
            await early.send(protocol.encode(ListVersions(1)))
            assert [await steps.get(), await steps.get()] == ["enters", "asks"]
            if how == "is replaced":
                await late.send(protocol.encode(a_join()))
                assert await steps.get() == "enters"
            closing = asyncio.create_task(synchronizer.close()) if how == "comes at the end" else None
            await asyncio.sleep(0)  # it begins
            may_commit.set()
            await early.wait_closed()
            await (closing or synchronizer.close())
    finally:
        may_commit.set()
        await synchronizer.close()


async def test_after_kill_9_no_echoed_event_is_lost_and_time_goes_on(processes: Processes, tmp_path: Path) -> None:
    arguments = ("--data", str(tmp_path / "data"))
    server = processes.start(*arguments)
    people = [Participant(server.url, name, tick_rate=60.0) for name in ("ada", "bob")]
    for participant in people:
        await participant.connect()

    enough = asyncio.Event()

    async def talk(participant: Participant) -> None:
        for number in range(10_000):
            await participant.send(b"%s %d" % (participant.first.view_id.encode(), number))
            await participant.next()
            if len(participant.payloads()) > 50:
                enough.set()

    talking = [asyncio.create_task(talk(participant)) for participant in people]
    await enough.wait()
    server.end(signal.SIGKILL)
    for outcome in await asyncio.gather(*talking, return_exceptions=True):
        assert isinstance(outcome, ConnectionClosedError)
    echoed = [list(participant.entries) for participant in people]
    processes.start(*arguments, "--port", server.port)
    for participant, before in zip(people, echoed, strict=True):
        welcome = await participant.connect()
        assert welcome.resumed
        assert participant.entries == before
        name = participant.first.view_id.encode()
        missing = range(welcome.last_counter + 1, participant.counter + 1)
        await participant.say(Send([(counter, b"%s %d" % (name, counter - 1)) for counter in missing]))
    for participant in people:
        await participant.send(b"end of " + participant.first.view_id.encode())
    for participant in people:
        for other in people:
            await participant.read_until_event(b"end of " + other.first.view_id.encode())
    longest = max((participant.entries for participant in people), key=len)
    for participant in people:
        assert participant.entries == longest[: len(participant.entries)]
        assert participant.exits() == []
        for other in people:
            name = other.first.view_id.encode()
            mine = [payload for payload in participant.payloads() if payload.startswith(name)]
            assert mine == [b"%s %d" % (name, number) for number in range(other.counter - 1)]
        await participant.socket.close()


async def test_a_connection_that_says_nothing_and_goes_is_no_harm(synchronizer: Synchronizer) -> None:
    host, port = synchronizer.url.removeprefix("ws://").split(":")
    socket.create_connection((host, int(port))).close()
    async with connect(synchronizer.url, proxy=None):
        pass
    async with Participant(synchronizer.url) as ada:
        assert isinstance(ada.welcome, Welcome)
