"""Connections that are not there any more, slow ones, and far too many: who is right is served all the same."""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidMessage

from msq_jupyter import protocol
from msq_jupyter.session.session import SessionCore
from msq_jupyter.synchronizer import server as server_module
from tests.conftest import SynchronizerThread
from tests.faults.decoders import DECODERS
from tests.faults.raw import REQUEST, Raw, witnessed
from tests.session.models import Counter
from tests.session.test_reconnect import Cable
from tests.synchronizer.conftest import Participant, Processes, a_join
from tests.synchronizer.test_frames import frame
from tests.waiting import until

SILENT = 300
#: Connections that say what nobody expects, beside a witness.
TALKERS = 40


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is silent is asked soon, at both ends."""
    for name, seconds in (("PING_INTERVAL_S", 0.1), ("PING_TIMEOUT_S", 0.3), ("CLOSE_TIMEOUT_S", 0.05)):
        monkeypatch.setattr(server_module, name, seconds)
    for name, seconds in (("PING_S", 0.1), ("PING_TIMEOUT_S", 0.3), ("RETRY_LONGEST_S", 0.1)):
        monkeypatch.setattr(f"msq_jupyter.session.connection.{name}", seconds)


# --- gone without a word -----------------------------------------------------------------------------------------


async def test_a_member_whose_machine_is_gone_exits_for_the_others(impatient: None, tmp_path: Path) -> None:
    async with witnessed(tmp_path) as (synchronizer, witness):  # noqa: SIM117
        async with Cable(int(synchronizer.url.rpartition(":")[2])) as cable:
            eve = Participant(cable.url, "eve", rejoin_limit_ms=0.0)
            await eve.connect()
            await eve.read_until_joined()
            cable.lose()
            await witness.read_until_exit("eve")
            server = synchronizer._server
            await until(lambda: len(server.connections) == 1)
            eve.socket.transport.abort()


async def test_4_6_both_ends_notice_and_what_was_under_way_comes_once(impatient: None, tmp_path: Path) -> None:
    given = {"app_id": "test", "name": "room", "model": Counter, "rejoin_limit_ms": 60_000}
    with SynchronizerThread(tmp_path) as synchronizer:
        async with (
            Cable(int(synchronizer.url.rpartition(":")[2])) as cable,
            await SessionCore.join(synchronizer=cable.url, **given) as ada,
            await SessionCore.join(synchronizer=synchronizer.url, **given) as ben,
        ):
            people = len(ben.model.people)
            for _ in range(2):
                cable.lose()
                before = ben.model.count
                for _ in range(10):
                    ada.publish("counter", "add", 1)  # goes nowhere
                    ben.publish("counter", "add", 1)
                await until(lambda before=before: ada.model.count == ben.model.count == before + 20)
            assert len(ben.model.people) == people, "within its limit nobody notices that it was away"


# --- slow --------------------------------------------------------------------------------------------------------


async def test_a_slow_reader_slows_nobody_and_has_everything_in_the_end(tmp_path: Path) -> None:
    payloads = [number.to_bytes(2, "big") + bytes(120_000) for number in range(300)]
    async with witnessed(tmp_path) as (synchronizer, witness):
        slow = Participant(synchronizer.url, "slow", rejoin_limit_ms=60_000.0)
        await slow.connect()
        dropped = 0
        for number, payload in enumerate(payloads):
            await witness.send(payload)
            await witness.read_until_event(payload)
            if number % 8 == 0:
                try:
                    await slow.next()
                except ConnectionClosed:
                    dropped += 1
                    assert (await slow.connect()).resumed
        while len(slow.payloads()) < len(payloads):
            try:
                await slow.next()
            except ConnectionClosed:
                dropped += 1
                assert (await slow.connect()).resumed
        assert dropped, "it was not slow enough"
        assert slow.payloads() == payloads
        assert witness.exits() == []
        await slow.socket.close()


async def test_a_newcomer_that_reads_nothing_of_its_past_fills_no_memory_by_what_others_tell_it(tmp_path: Path) -> None:
    async with witnessed(tmp_path) as (synchronizer, witness):
        for number in range(40):
            await witness.send(bytes([number]) * protocol.EVENT_BYTES_MAX)
        await witness.read_until_event(bytes([39]) * protocol.EVENT_BYTES_MAX)
        eve = await Raw.opened(synchronizer.url)
        eve.writer.transport.pause_reading()
        eve.say(frame(protocol.encode(a_join("eve"))))
        (room,) = synchronizer._rooms
        await until(lambda: room.member_count == 2)
        member = next(one for one in room._members.values() if one.join.view_id == "eve")
        for number in range(100):
            member.send(protocol.Told("witness", number, bytes(protocol.TELL_BYTES_MAX)))
            assert sum(map(len, member._held or [])) < 5_000_000
        await until(lambda: room.member_count == 1)


async def test_who_is_slow_before_it_is_a_member_is_cut_in_time_whatever_it_still_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "JOIN_WITHIN_S", 0.3)

    async def drip(eve: Raw, data: bytes) -> None:
        while True:
            for place in range(len(data)):
                eve.say(data[place : place + 1])
                await asyncio.sleep(0.02)  # to be slow is what it does

    async with witnessed(tmp_path) as (synchronizer, witness):
        endless = REQUEST.format(more="X-More: a\r\n" * 100).encode()
        asks, joins = await Raw.connect(synchronizer.url), await Raw.opened(synchronizer.url)
        join = frame(protocol.encode(a_join("eve", view_data=bytes(2_000))))
        dripping = [asyncio.create_task(drip(asks, endless)), asyncio.create_task(drip(joins, join))]
        async with Participant(synchronizer.url, "ada") as ada:
            await ada.read_until_joined()
        assert await joins.close_code() == 1013
        assert await asks.close_code() == 0
        for task in dripping:
            task.cancel()
        await asyncio.gather(*dripping, return_exceptions=True)
        assert {view_id for view_id, _ in witness.joins()} <= {"witness", "ada"}


async def test_4_6_who_was_silent_for_long_when_it_came_back_may_try_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "JOIN_WITHIN_S", 0.3)
    send = ClientConnection.send
    silent: list[ClientConnection] = []

    async def sleepy(socket: ClientConnection, data: bytes) -> None:
        if not silent and isinstance(protocol.decode_up(data), protocol.Join):
            silent.append(socket)
            await socket.wait_closed()  # as when a laptop sleeps
        await send(socket, data)

    with SynchronizerThread(tmp_path) as synchronizer:
        given = {"app_id": "test", "name": "room", "model": Counter, "synchronizer": synchronizer.url}
        async with await SessionCore.join(**given) as ada:
            monkeypatch.setattr(ClientConnection, "send", sleepy)
            ada._connection.reconnect()
            ada.publish("counter", "add", 1)
            await ada.synced()
            assert silent
            assert ada.model.count == 1
            assert ada._connection.last_words == "expected a Join within 0.3 s, got nothing: connect again"


# --- too many ----------------------------------------------------------------------------------------------------


async def test_hundreds_that_say_nothing_keep_nobody_out_and_are_gone_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "JOIN_WITHIN_S", 1.0)
    async with witnessed(tmp_path) as (synchronizer, _):
        silent = [await Raw.connect(synchronizer.url) for _ in range(SILENT)]
        for number, one in enumerate(silent):
            one.say(REQUEST.format(more="").encode()[: number % 150])
        silent += await asyncio.gather(*(Raw.opened(synchronizer.url) for _ in range(100)))
        async with Participant(synchronizer.url, "ada") as ada:
            await ada.send(b"here")
            await ada.read_until_event(b"here")
        server = synchronizer._server
        assert server is not None
        await asyncio.gather(*(one.close_code() for one in silent))
        await until(lambda: len(server.connections) == 1)


async def test_who_takes_every_connection_there_may_be_stops_no_member_and_newcomers_follow_when_it_goes(
    tmp_path: Path,
) -> None:
    resource = pytest.importorskip("resource")
    processes = Processes()
    try:
        server = processes.start("--data", str(tmp_path / "data"))
        async with Participant(server.url, "witness") as witness:
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (60, 60))
            silent = [await Raw.connect(server.url) for _ in range(150)]
            for number in range(20):
                await witness.send(b"%d" % number)
                await witness.read_until_event(b"%d" % number)
            for one in silent:
                one.drop()
            Raw.all.clear()
            ada = Participant(server.url, "ada")
            while True:  # until it has seen that they are gone; members connect again as well
                with contextlib.suppress(InvalidMessage, OSError):  # its answer, which is waited for
                    await ada.connect()
                    break
            await ada.send(b"here")
            await witness.read_until_event(b"here")
            await ada.socket.close()
        code, _, errors = server.end()
        assert code == 0
        assert len(errors) < 5_000, "its log is not filled"
    finally:
        processes.end_all()


# --- anything at all ---------------------------------------------------------------------------------------------


@pytest.mark.timeout(0)
async def test_whatever_a_member_says_and_in_whatever_order_the_others_notice_nothing(
    tmp_path: Path, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    seed = request.config.getoption("msq_seed")
    talkers = (request.config.getoption("msq_schedules") or 1) * TALKERS
    print(f"seed {seed}")
    draw = random.Random(f"talkers {seed}")
    known = [data for data in DECODERS["up"]().seeds if len(data) < 1_000]

    def something() -> bytes:
        data = bytearray(draw.choice(known))
        for _ in range(draw.choice((0, 0, 1, 1, 3))):
            place = draw.randrange(len(data) + 1)
            data[place : place + draw.randint(0, 2)] = draw.randbytes(draw.randint(0, 2))
        return bytes(data)

    ends = set()
    async with witnessed(tmp_path) as (synchronizer, witness):
        for number in range(talkers):
            eve = await Raw.opened(synchronizer.url)
            eve.say(frame(protocol.encode(a_join(f"eve {number}", rejoin_limit_ms=0.0))))
            said = [something() for _ in range(draw.randint(1, 6))]
            eve.say(*map(frame, said))
            for word in (b"%d" % number, b"%d again" % number):
                await witness.send(word)
                await witness.read_until_event(word)
            eve.say(frame(b"\x03\xe8", 8))
            ends.add(await eve.close_code())
            assert not [record for record in caplog.records if record.exc_info], (seed, said)
    assert ends == {1000, 1002}, "some said what may be said, others did not, and there is no third"
