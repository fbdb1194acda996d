"""The computer's clock jumps back by an hour, or ahead: versions keep their order, and throttling keeps its time."""

from __future__ import annotations

import datetime
import time
from pathlib import Path

import pytest

from msq_jupyter.session.session import SessionCore
from tests.conftest import SynchronizerThread
from tests.session.models import Counter, EditedCounter
from tests.waiting import until

HOUR_S = 3_600.0


class Clock:
    """The wall clock of this process, kernels and synchronizer alike."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.offset_s = 0.0
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + self.offset_s)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def join(url: str, model: type = Counter, **arguments) -> SessionCore:
    given = {"app_id": "test", "name": "room", "password": "pw", "persist_interval_ms": 300, **arguments}
    return await SessionCore.join(model=model, synchronizer=url, **given)


@pytest.mark.parametrize("jump_s", [-HOUR_S, HOUR_S], ids=["back", "ahead"])
async def test_5_4_5_6_versions_keep_their_order_and_saves_their_distance(
    synchronizer: SynchronizerThread, clock: Clock, jump_s: float
):
    async with await join(synchronizer.url) as ada:
        ada.publish("counter", "add", 1)
        await until(lambda: ada.status.saved_number == 1)
        ada.publish("counter", "add", 2)  # waits for its turn
        await ada.synced()
        assert ada.status.saved_state in ("dirty", "saving", "saved")
        clock.offset_s = jump_s
        await until(lambda: ada.status.saved_number == 2)  # and does not wait an hour, or for ever
        ada.publish("counter", "add", 4)
        await until(lambda: ada.status.saved_number == 3)
        versions = await ada.versions()
        assert [(version.number, version.parent) for version in versions] == [(1, 0), (2, 1), (3, 2)]
        late = abs(versions[1].time - versions[0].time - datetime.timedelta(seconds=jump_s))
        assert late < datetime.timedelta(minutes=5)  # the times are what the clock said
        assert (await ada.diff(1, 3)).edit is not None
    async with await join(synchronizer.url, EditedCounter) as edited:
        assert edited.model.count == 7


async def test_7_5_session_time_goes_on_over_a_restart_after_which_it_is_an_hour_earlier(tmp_path: Path, clock: Clock):
    with SynchronizerThread(tmp_path) as first:
        async with await join(first.url) as ada:
            ada.publish("counter", "add", 1)
            await ada.saved()
            before_ms = ada._replica.time_ms
    clock.offset_s = -HOUR_S
    with SynchronizerThread(tmp_path) as second:
        async with await join(second.url) as ada:
            assert ada.model.count == 1
            assert ada._replica.time_ms >= before_ms
            ada.publish("counter", "add", 2)
            await ada.saved()
            assert [version.number for version in await ada.versions()] == [1, 2]
        async with await join(second.url, EditedCounter) as edited:
            assert edited.model.count == 3


async def test_the_next_save_is_shown_by_this_kernels_clock_and_counted_by_a_steady_one(
    synchronizer: SynchronizerThread, clock: Clock
):
    async with await join(synchronizer.url, persist_interval_ms=600_000) as ada:
        before_s = time.time()
        ada.publish("counter", "add", 1)
        await until(lambda: ada.status.saved_number == 1)
        ada.publish("counter", "add", 2)
        await until(lambda: ada.status.saved_state == "dirty")
        shown_s = ada.status.next_save_s
        assert before_s + 600 <= shown_s <= time.time() + 600
        clock.offset_s = -HOUR_S
        ada.publish("counter", "add", 4)
        await ada.synced()  # it has looked at the clock since
        assert ada.status.saved_state == "dirty"
        assert ada.status.next_save_s == shown_s  # what was said stays, until it is another save
