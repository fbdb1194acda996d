"""Two who save at once: with the same code it is one line of versions, with different code each one's are all kept."""

from __future__ import annotations

import asyncio
import random

import pytest

from msq_jupyter.session.archive import Archive
from msq_jupyter.session.session import SessionCore
from msq_jupyter.testing import Simulation
from tests.conftest import SynchronizerThread
from tests.faults.virtual import SLOW, EditedPage, Page, Witness, is_whole
from tests.session.models import Counter, EditedCounter


async def join(url: str, model: type = Counter, **arguments) -> SessionCore:
    given = {"app_id": "test", "name": "room", "password": "pw", "persist_interval_ms": 0, **arguments}
    return await SessionCore.join(model=model, synchronizer=url, **given)


async def save_often(session: SessionCore, times: int) -> list[int]:
    """What was acknowledged after each save: the number of the version."""
    acknowledged = []
    for _ in range(times):
        session.publish("counter", "add", 1)
        await session.saved()
        acknowledged.append(session.status.saved_number)
    return acknowledged


async def test_5_5_two_of_one_session_that_save_at_once_lose_nothing_and_store_nothing_twice(
    synchronizer: SynchronizerThread,
):
    async with await join(synchronizer.url) as ada, await join(synchronizer.url) as ben:
        await asyncio.gather(save_often(ada, 10), save_often(ben, 10))
        versions = await ada.versions()
        assert [version.number for version in versions] == list(range(1, len(versions) + 1))
        assert all(version.parent < version.number for version in versions)
        async with Archive.open(app_id="test", name="room", password="pw", synchronizer=synchronizer.url) as archive:
            counts = [(await archive.content(version.number))["count"] for version in versions]
        assert counts == sorted(set(counts)), counts
        assert counts[-1] == ada.model.count == ben.model.count == 20
    async with await join(synchronizer.url, EditedCounter) as edited:
        assert edited.model.count == 20


async def test_5_6_one_who_saves_without_waiting_makes_one_line(synchronizer: SynchronizerThread):
    async with await join(synchronizer.url) as ada:
        for _ in range(5):
            ada.publish("counter", "add", 1)
            await asyncio.gather(ada.saved(), ada.saved())
        versions = await ada.versions()
        assert [(version.number, version.parent) for version in versions] == [(n, n - 1) for n in range(1, 6)]


async def test_5_6_two_codes_that_save_at_once_lose_nothing_of_each_other(synchronizer: SynchronizerThread):
    async with await join(synchronizer.url) as ada, await join(synchronizer.url, EditedCounter) as ben:
        of_ada, of_ben = await asyncio.gather(save_often(ada, 10), save_often(ben, 10))
        versions = {version.number: version for version in await ada.versions()}
        assert sorted(versions) == list(range(1, len(versions) + 1))
        assert not set(of_ada) & set(of_ben)
        for acknowledged, session, schema in ((of_ada, ada, 1), (of_ben, ben, 2)):
            assert len(acknowledged) == 10
            for number in acknowledged:
                version = versions[number]
                assert (version.session_id, version.schema_version) == (session.id, schema)
        # Each grew from what the same code had saved before.
        for acknowledged in (of_ada, of_ben):
            assert all(versions[number].parent < number for number in acknowledged)


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_5_6_in_virtual_time_with_kernels_that_die_in_between(first: int, request: pytest.FixtureRequest):
    first += request.config.getoption("msq_seed")
    kills = 0
    for seed in range(first, first + 10):
        draw = random.Random(f"writers {seed}")
        simulation = Simulation(seed, SLOW)
        rooms = [
            simulation.room(model, draw.randint(1, 2), persist_interval_ms=draw.choice((0, 500)), rejoin_limit_ms=0)
            for model in (Page, EditedPage)
        ]
        witness = Witness(rooms[0])
        for _ in range(12):
            for room in rooms:
                room.size = 0
                if not room.participants:
                    room.join(draw.randint(1, 2))
                witness.watch(room)
                room.publish("page", "write", draw.choice((1, 20)))
            simulation.run(draw.choice((0, 5, 60, 400)))
            if draw.random() < 0.2:
                room = draw.choice(rooms)
                room.kill(draw.choice(room.participants), delivered=draw.random() < 0.5)
                kills += 1
        for room in rooms:
            room.settle()
        witness.check()
        assert all(is_whole(version.data) for version in rooms[0].versions)
        assert len(witness.acknowledged) >= 4
    assert kills >= 5
