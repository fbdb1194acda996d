"""A crowd in one session: everybody hears the same. `make soak` has a thousand, a run of the tests two hundred."""

from __future__ import annotations

import asyncio
import gc
import random
from pathlib import Path

import pytest

from msq_jupyter.testing import Simulation
from tests.faults.raw import witnessed
from tests.faults.virtual import SLOW, Page
from tests.synchronizer.conftest import Participant

CROWD, LARGE_CROWD = 200, 1_000
#: How many come, speak or go at once.
AT_ONCE = 50


def crowd_of(request: pytest.FixtureRequest) -> int:
    return LARGE_CROWD if request.config.getoption("msq_schedules") else CROWD


@pytest.mark.timeout(0)
async def test_a_crowd_on_real_sockets_hears_one_log(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    size, seed = crowd_of(request), request.config.getoption("msq_seed")
    print(f"seed {seed}")
    draw = random.Random(f"crowd {seed}")
    async with witnessed(tmp_path) as (synchronizer, witness):
        crowd = [Participant(synchronizer.url, f"view {number}", rejoin_limit_ms=60_000.0) for number in range(size)]
        for first in range(0, size, AT_ONCE):
            await asyncio.gather(*(one.connect() for one in crowd[first : first + AT_ONCE]))
        sent = set()
        for turn in range(4):
            for one in draw.sample(crowd, AT_ONCE // 2):
                payload = b"%s in turn %d" % (one.first.view_id.encode(), turn)
                sent.add(payload)
                await one.send(payload)
            for one in draw.sample(crowd, 10):  # and some are cut off, and come back
                one.socket.transport.abort()
                assert (await one.connect()).resumed
        await witness.send(b"end")
        await asyncio.gather(*(one.read_until_event(b"end") for one in (witness, *crowd)))
        assert set(witness.payloads()) == {*sent, b"end"}
        assert len(witness.joins()) == size + 1
        assert witness.exits() == []
        logs = {tuple(one.entries[-len(witness.payloads()) :]) for one in crowd}
        assert len(logs) == 1
        for one in crowd:
            assert one.entries == witness.entries[one.start_seq - witness.start_seq :]
            one.socket.transport.abort()
        await asyncio.gather(*(one.socket.wait_closed() for one in crowd))
    gc.collect()


@pytest.mark.timeout(0)
def test_a_crowd_of_replicas_stays_equal(request: pytest.FixtureRequest) -> None:
    seed = request.config.getoption("msq_seed")
    print(f"seed {seed}")
    simulation = Simulation(seed, SLOW)
    room = simulation.room(Page, crowd_of(request), tick_rate=1, rejoin_limit_ms=1_000)
    room.size = 0  # whoever dies is replaced by nobody
    for _ in range(3):
        room.publish("page", "write", 3)
        simulation.run(100)
        for person in room.participants[:5]:
            room.kill(person, delivered=True)
    room.settle()
    assert room.model.count == 3
