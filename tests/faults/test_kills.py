"""The synchronizer is killed with SIGKILL at random moments while members send as fast as they can: nothing is lost.

`make soak` kills it 200 times; a run of the tests ten times.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sqlite3
from pathlib import Path

import pytest

from msq_jupyter import Model
from msq_jupyter.session.session import SessionCore
from msq_jupyter.synchronizer.schema import place_of
from tests.session.test_reconnect import Server
from tests.waiting import until

KILLS = 10
MEMBERS = ("ada", "ben", "cleo")
#: Events that a member has under way at most.
UNDER_WAY = 300


class Ledger(Model):
    """Knows of each sender how many of its events came, and in which order all of them did."""

    def init(self, options, persisted=None):
        self.last = {}
        self.order = 0
        self.wrong = []
        self.subscribe("ledger", "write", self.write)

    def write(self, event):
        sender, number = event
        if number != self.last.get(sender, 0) + 1:
            self.wrong.append([sender, self.last.get(sender, 0), number])
        self.last[sender] = number
        self.order = (self.order * 31 + len(sender) * 7919 + number) % (2**61 - 1)


class Sender:
    """A member that keeps sending."""

    def __init__(self, name: str, session: SessionCore) -> None:
        self.name, self.session = name, session
        self.sent = 0
        self._sending = asyncio.create_task(self._send())

    @property
    def acknowledged(self) -> int:
        """How many of its events it has seen come back."""
        return self.session.model.last.get(self.name, 0)

    async def _send(self) -> None:
        while True:
            await until(lambda: self.sent - self.acknowledged < UNDER_WAY, 60)
            self.sent += 1
            self.session.publish("ledger", "write", (self.name, self.sent))

    async def stop(self) -> None:
        self._sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._sending


def newest_entry(directory: Path) -> int:
    """What the dead synchronizer left on the disk."""
    with contextlib.closing(sqlite3.connect(directory / "synchronizer.sqlite")) as file:
        assert file.execute("PRAGMA quick_check").fetchone() == ("ok",)
        newest: int = file.execute("SELECT max(place) FROM blocks").fetchone()[0] - place_of(1, 0)
        return newest


@pytest.mark.timeout(0)
async def test_4_6_killed_at_random_moments_under_load_it_loses_nothing_that_was_acknowledged(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("msq_jupyter.session.connection.RETRY_LONGEST_S", 0.1)
    seed, kills = request.config.getoption("msq_seed"), request.config.getoption("msq_schedules") or KILLS
    print(f"seed {seed}")
    draw = random.Random(f"kills {seed}")
    given = {"app_id": "faults", "name": "room", "model": Ledger, "rejoin_limit_ms": 60_000, "join_timeout_s": 60}
    server = Server(tmp_path)
    senders, under_load = [], 0
    try:
        for name in MEMBERS:
            senders.append(Sender(name, await SessionCore.join(synchronizer=server.url, **given)))
        for _ in range(kills):
            before = [sender.acknowledged for sender in senders]
            if draw.random() < 0.8:  # else it dies while they come back
                await until(lambda before=before: any(s.acknowledged > b for s, b in zip(senders, before, strict=True)))
            await asyncio.sleep(draw.random() * 0.3)  # the moment is random in real time: what it meets is not chosen
            under_load += any(sender.sent > sender.acknowledged > 0 for sender in senders)
            await asyncio.to_thread(server.end, signal.SIGKILL)
            acknowledged = {sender.name: sender.acknowledged for sender in senders}
            executed = max(sender.session._replica.seq for sender in senders)
            assert newest_entry(tmp_path) >= executed, f"seed {seed}: somebody saw what is not on the disk"
            await asyncio.to_thread(server.start)
            assert all(sender.acknowledged >= acknowledged[sender.name] for sender in senders)
        for sender in senders:
            await sender.stop()
        for sender in senders:
            await until(lambda s=sender: all(s.session.model.last.get(o.name, 0) == o.sent for o in senders), 60)
        newcomer = await SessionCore.join(synchronizer=server.url, **given)
        sessions = [newcomer, *(sender.session for sender in senders)]
        assert all(session.model.wrong == [] for session in sessions)
        assert {sender.name: sender.sent for sender in senders} == dict(newcomer.model.last)
        assert len({session.model.order for session in sessions}) == 1, f"seed {seed}: replicas differ"
        assert all(sender.session.participants for sender in senders)
        assert under_load >= kills * 0.7, f"{under_load} of {kills} kills under load only"
        for session in sessions:
            await session.leave()
    finally:
        for sender in senders:
            await sender.stop()
        server.end(signal.SIGKILL)
