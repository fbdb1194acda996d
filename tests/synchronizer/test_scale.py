"""Many sessions and many members at once: bounded by counts and bytes, at a size that takes a second."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import pytest

from msq_jupyter import protocol
from msq_jupyter.protocol import Block, Snapshot, Tick, Welcome
from msq_jupyter.synchronizer import room as room_module
from msq_jupyter.synchronizer.room import UNREAD_BYTES_MAX
from msq_jupyter.synchronizer.sequencer import SNAPSHOT_ENTRIES
from msq_jupyter.synchronizer.server import Synchronizer

from .conftest import Participant, Processes

SESSION_BYTES_MAX = 20_000


def memory_bytes(process_id: int) -> int:
    """What a process has in memory."""
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024


async def come(url: str, number: int) -> Participant:
    session_id = f"session {number}"
    participant = Participant(url, session_id=session_id, persistent_id=session_id, tick_rate=1 / 30)
    await participant.connect()
    await participant.read_until_joined()
    return participant


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells what a process has in memory")
async def test_a_session_in_which_nothing_happens_takes_little_memory(processes: Processes, tmp_path: Path) -> None:
    """10,000 of them in 200 MB are 20 kB each; benchmarks/joining.py has that many."""
    server = processes.start("--data", str(tmp_path / "data"))
    participants = await asyncio.gather(
        *(come(server.url, number) for number in range(50))
    )  # what is made once is made
    before_bytes = memory_bytes(server.process.pid)
    participants += await asyncio.gather(*(come(server.url, number) for number in range(50, 250)))
    assert memory_bytes(server.process.pid) - before_bytes < 200 * SESSION_BYTES_MAX
    for participant in participants:
        participant.socket.transport.abort()


async def test_nobody_in_a_session_means_no_timer_but_that_of_forgetting_it(
    synchronizer: Synchronizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[str] = []
    advance = room_module.Room.advance

    def counted(room: room_module.Room) -> None:
        turns.append(room.sequencer.record.session_id)
        advance(room)

    monkeypatch.setattr(room_module.Room, "advance", counted)
    quiet = Participant(synchronizer.url, session_id="quiet", tick_rate=60.0, rejoin_limit_ms=0.0)
    async with Participant(synchronizer.url, session_id="loud", tick_rate=60.0) as loud:
        await quiet.connect()
        await quiet.next_of(Tick)
        await quiet.say(protocol.Leave())
        await quiet.socket.wait_closed()
        turns.clear()
        for _ in range(30):
            await loud.next_of(Tick)
        assert turns.count("loud") >= 25
        assert turns.count("quiet") == 0  # not even for what was due when it left


async def test_thirty_come_at_once_and_hear_the_same(synchronizer: Synchronizer) -> None:
    people = [Participant(synchronizer.url, f"view {number}") for number in range(30)]
    await asyncio.gather(*(participant.connect() for participant in people))
    for participant in people:
        while len(participant.joins()) < len(people):
            await participant.next()
    assert all(participant.entries == people[0].entries for participant in people)
    # They came in a few turns, each told once to everybody: not thirty times thirty.
    assert len(people[0].entries) <= len(people)
    for participant in people:
        await participant.socket.close()


async def test_7_2_a_newcomer_to_a_long_session_replays_a_bounded_tail(synchronizer: Synchronizer) -> None:
    """A member that uploads when it is asked, as every member does."""
    async with Participant(synchronizer.url, "ada") as ada:
        sent = 0
        for _ in range(20):
            await ada.send(*[b"x" * 10] * 500)
            sent += 500
            while len(ada.payloads()) < sent:
                await ada.next()
            for entry in ada.entries[-600:]:
                if isinstance(entry, protocol.Audit) and entry.uploader == "ada":
                    await ada.say(Snapshot(entry.seq, entry.time_ms, b"state"))
                    await ada.say(protocol.Report(entry.seq, b"digest"))
        await ada.send(b"last")
        await ada.read_until_event(b"last")
        async with Participant(synchronizer.url, "bob") as bob:
            assert isinstance(bob.welcome, Welcome)
            assert bob.welcome.snapshot is not None
            tail = bob.welcome.live_seq - bob.welcome.after_seq
            assert tail <= 2 * SNAPSHOT_ENTRIES, f"{tail} entries to replay of {bob.welcome.live_seq}"


async def test_a_member_that_stopped_reading_costs_the_others_nothing_and_finds_all_when_it_returns(
    synchronizer: Synchronizer,
) -> None:
    largest_bytes = 0
    async with Participant(synchronizer.url, "ada") as ada:
        stalled = Participant(synchronizer.url, "stalled", rejoin_limit_ms=60_000.0)
        await stalled.connect()
        await stalled.read_until_joined()
        stalled.socket.transport.pause_reading()
        (room,) = synchronizer._rooms
        sent = 0
        while len(room._members) == 2:
            await ada.send(bytes(protocol.EVENT_BYTES_MAX))
            sent += 1
            await ada.next_of(Block)
            waiting = [member.socket.transport.get_write_buffer_size() for member in room._members.values()]
            largest_bytes = max(largest_bytes, *waiting)
            assert sent < 200, "it is never given up"
        assert largest_bytes <= UNREAD_BYTES_MAX + 2 * protocol.EVENT_BYTES_MAX
        stalled.socket.transport.abort()
        gc.collect()
        welcome = await stalled.connect()
        assert welcome.resumed
        while len(stalled.payloads()) < sent:
            await stalled.next()
        assert ada.exits() == stalled.exits() == []
        await stalled.socket.close()
