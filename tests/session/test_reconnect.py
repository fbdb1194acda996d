"""The synchronizer dies and comes back, the connection breaks and heals: nothing that was acknowledged is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from msq_jupyter.errors import JoinTimeout, SynchronizerRefused, SynchronizerUnreachable
from msq_jupyter.session.session import SessionCore
from msq_jupyter.synchronizer import room as room_module
from msq_jupyter.synchronizer.server import Synchronizer
from msq_jupyter.synchronizer.tokens import Gate, plain_token
from tests.ports import free_port
from tests.session.models import Counter, Diary, EditedCounter
from tests.waiting import until


class Server:
    """`msq serve` as a process that can be killed and started again at the same place."""

    def __init__(self, data_directory: Path) -> None:
        self._data_directory = data_directory
        self._port = str(free_port())
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "msq_jupyter.cli", "serve", "--data", str(self._data_directory)]
        self._process = subprocess.Popen(
            [*command, "--port", self._port], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()

    def end(self, signal_number: int) -> None:
        self._process.send_signal(signal_number)
        self._process.wait(30)
        self._process.stdout.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "data")
    yield server
    server.end(signal.SIGTERM)


async def join(server: Server, model: type = Counter, **arguments) -> SessionCore:
    given = {"app_id": "test", "name": "room", "password": "pw", "synchronizer": server.url, **arguments}
    return await SessionCore.join(model=model, **given)


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
async def test_4_6_a_restart_of_the_synchronizer_loses_and_repeats_nothing(server, signal_number):
    people = [await join(server) for _ in range(3)]
    names = list(people[0].model.people)
    sent = 0
    for _ in range(3):
        for _ in range(30):
            for person in people:
                person.publish("counter", "add", 1)
                sent += 1
            await asyncio.sleep(0)
        await asyncio.to_thread(server.end, signal_number)
        for person in people:  # while nobody orders them, they wait
            person.publish("counter", "add", 1)
            sent += 1
        await asyncio.to_thread(server.start)
    for person in people:
        await until(lambda p=person: p.model.count == sent)
        assert person.is_live
    assert len({tuple(person.model.people) for person in people}) == 1
    assert people[0].model.people[: len(names)] == names
    times = [person.model.now() for person in people]
    assert min(times) > 0
    for person in people:
        await person.saved()
        await person.leave()


async def test_4_6_somebody_who_saw_the_restart_and_a_newcomer_agree(server):
    ada = await join(server)
    ada.publish("counter", "add", 5)
    await ada.synced()
    time_ms = ada.model.now()
    server.end(signal.SIGKILL)
    server.start()
    await until(lambda: ada.is_live)
    ben = await join(server)
    assert ben.model.count == 5
    ben.publish("counter", "add", 1)
    await until(lambda: ada.model.count == 6)
    assert ada.model.now() >= time_ms
    for person in (ada, ben):
        await person.leave()


async def test_5_3_a_save_acknowledged_before_the_kill_is_there_after_it(server):
    ada = await join(server)
    ada.publish("counter", "add", 5)
    await ada.synced()
    await ada.saved()
    server.end(signal.SIGKILL)
    server.start()
    edited = await join(server, EditedCounter)
    assert edited.model.count == 5
    for person in (ada, edited):
        await person.leave()


async def test_5_4_a_save_during_the_outage_is_stored_after_it(server):
    ada = await join(server, persist_interval_ms=0)
    server.end(signal.SIGKILL)
    ada.publish("counter", "add", 5)
    server.start()
    await until(lambda: ada.status.saved_state == "saved")
    assert [version.number for version in await ada.versions()] == [1]
    await ada.leave()


async def test_7_4_a_synchronizer_that_says_nothing_makes_join_fail_in_time():
    hung_up = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        hung_up.set()

    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    with pytest.raises(JoinTimeout, match=r"not joined after 0\.5 seconds; the link is still 'joining'"):
        await SessionCore.join(
            app_id="a", name="b", password="c", model=Counter, synchronizer=f"ws://127.0.0.1:{port}", join_timeout_s=0.5
        )
    await hung_up.wait()  # and nothing is left behind
    silent.close()
    await silent.wait_closed()


async def test_a_token_in_the_url_lets_in_and_a_wrong_one_is_refused_without_being_told(tmp_path, caplog):
    caplog.set_level("DEBUG")
    async with Synchronizer(data_directory=tmp_path / "data", gate=Gate([plain_token("s3cret")])) as synchronizer:
        arguments = {"app_id": "a", "name": "b", "password": "c", "model": Counter}
        for token in ("", "wr0ng@"):
            url = synchronizer.url.replace("://", f"://{token}")
            with pytest.raises(
                SynchronizerRefused, match="HTTP status 401: check the URL and the access token"
            ) as caught:
                await SessionCore.join(synchronizer=url, **arguments)
            assert "wr0ng" not in str(caught.value)
        url = synchronizer.url.replace("://", "://s3cret@")
        async with await SessionCore.join(synchronizer=url, **arguments) as ada:
            assert ada.is_live
    assert "s3cret" not in caplog.text
    assert "wr0ng" not in caplog.text


async def test_whoever_comes_while_the_synchronizer_stops_is_told_to_try_again(tmp_path, monkeypatch):
    async with Synchronizer(data_directory=tmp_path / "data") as synchronizer:
        synchronizer._server.is_closing = True
        with pytest.raises(SynchronizerUnreachable, match="HTTP status 503: the synchronizer stops just now") as caught:
            await SessionCore.join(app_id="a", name="b", password="c", model=Counter, synchronizer=synchronizer.url)
        assert str(caught.value).endswith("try again in a moment")


class Cable:
    """A TCP connection through us, to be cut at will."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._writers: list[asyncio.StreamWriter] = []
        self._carriers: set[asyncio.Task[None]] = set()
        self._is_cut = False
        self._is_held = False
        self._lost = 0

    async def __aenter__(self) -> Cable:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._carriers)

    def cut(self, *, stay_cut: bool = False) -> None:
        self._is_cut = stay_cut
        self._is_held, self._lost = False, 0
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def mend(self) -> None:
        self._is_cut = False

    def hold(self) -> None:
        """Let nothing through on the way down any more, until the next cut."""
        self._is_held = True

    def lose(self) -> None:
        """Let nothing through either way on the connections there are, and tell neither end: a machine is gone."""
        self._lost = len(self._writers)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._carriers.add(asyncio.current_task())
        if self._is_cut:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, far_writer]
        place = len(self._writers)
        await asyncio.gather(self._pump(place, reader, far_writer), self._pump(place, far_reader, writer, holds=True))
        for end in (writer, far_writer):
            with contextlib.suppress(ConnectionError):
                await end.wait_closed()

    async def _pump(
        self, place: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, holds: bool = False
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1000):
                if not (holds and self._is_held) and place > self._lost:
                    writer.write(data)
                    await writer.drain()
        while place <= self._lost and not self._is_cut:  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.01)
        writer.transport.abort()


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_4_6_a_connection_cut_at_random_loses_and_repeats_nothing(server, seed):
    print(f"seed {seed}")
    rng = random.Random(seed)
    async with Cable(int(server.url.rpartition(":")[2])) as cable:
        ada = await join(server, synchronizer=cable.url, rejoin_limit_ms=60_000)
        ben = await join(server)
        for number in range(200):
            ada.publish("counter", "add", 1)
            if rng.random() < 0.05:
                cable.cut()
            if rng.random() < 0.3:
                await asyncio.sleep(rng.random() * 0.01)
            if number % 50 == 0:
                ben.publish("counter", "add", 1)
        await until(lambda: ben.model.count == 204)
        await until(lambda: ada.model.count == 204)
        # Within rejoin_limit_ms nobody notices.
        assert len(ben.model.people) == 2
        for person in (ada, ben):
            await person.leave()


async def test_the_process_ends_with_a_session_open_and_says_goodbye(server):
    """Neither a hang nor a ghost nor a lost save when a kernel just ends."""
    code = f"""
import asyncio
from msq_jupyter.session.session import SessionCore
from msq_jupyter.synchronizer import room as room_module
from msq_jupyter.synchronizer.server import Synchronizer
from tests.session.models import Counter
async def main():
    global session
    session = await SessionCore.join(app_id="test", name="room", password="pw", model=Counter,
                                     synchronizer={server.url!r}, rejoin_limit_ms=60000, persist_interval_ms=600000)
    for _ in range(2):
        session.publish("counter", "add", 1)
        await session.synced()
asyncio.run(main())
"""
    ada = await join(server)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, cwd=Path(__file__).parents[2], env={**os.environ, "PYTHONPATH": "."}
    )
    assert await asyncio.wait_for(process.wait(), 60) == 0
    await until(lambda: len(ada.participants) == 1)
    assert ada.model.count == 2
    await ada.saved()
    await ada.leave()


async def test_4_6_who_reads_too_slowly_is_told_why_catches_up_and_slows_nobody(tmp_path, monkeypatch):
    payload = "x" * 250_000
    monkeypatch.setattr(room_module, "UNREAD_BYTES_MAX", 100_000)  # what the kernel buffers comes on top
    async with Synchronizer(data_directory=tmp_path / "data") as synchronizer:
        means = {"app_id": "a", "name": "b", "password": "c", "model": Diary, "synchronizer": synchronizer.url}
        ada = await SessionCore.join(**means)
        ben = await SessionCore.join(**means, rejoin_limit_ms=60_000)
        reading = ben._connection._socket.transport
        ben._connection.call(reading.pause_reading)
        room = next(iter(synchronizer._rooms))
        while room.member_count == 2:
            ada.publish("diary", "write", payload)
            await ada.synced()
        assert ben.notice == ""
        ben._connection.call(reading.resume_reading)
        await until(lambda: ben.model.lines == ada.model.lines)
        assert re.fullmatch(
            r"this kernel did not keep up with the session, was cut off \([\d,]+ bytes waited for this member\) "
            "and is catching up: publish less at a time, or use a faster network",
            ben.notice,
        )
        assert [line.text for line in ben.log if line.level == "warning"] == [ben.notice]
        assert ada.notice == ""
        for person in (ada, ben):
            await person.leave()


def test_no_thread_is_left_behind():
    assert [thread.name for thread in threading.enumerate() if thread.name == "msq-socket"] == []
