"""A process with members of sessions: `python -m tests.soak.members URL SEED INTERVAL_MS PAUSE_S`.

Versions are `INTERVAL_MS` apart; a member does something every `PAUSE_S` seconds, on average.

Each line on stdin is a JSON list: a number, a command (a method of `Crowd`) and its arguments. Each line on stdout is
`["answer", number, what it returned]`, `["error", number, traceback]`, or `["log", level, text]` as it happens.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import logging
import random
import sys
import threading
import traceback
from typing import Any

import msgspec

from msq_jupyter.errors import JoinTimeout, NoAnswer, SynchronizerUnreachable
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.runtime.state import _State
from msq_jupyter.session import crypto, story
from msq_jupyter.session.connection import Connection
from msq_jupyter.session.session import SessionCore
from tests.soak.desk import Desk
from tests.soak.measures import alive, resources

TEXT_CHARACTERS = (20, 200, 2_000, 20_000)
#: One of a burst; a burst is more than the synchronizer keeps for somebody who does not read.
BURST_CHARACTERS = 200_000
BURST_EVENTS = 30
JOINS_MAX = 100
#: What a password is good for is no matter here, and hundreds come.
CHEAP_MEMORY_KIB = 1024
#: Of each session's log, so that what is kept of it on purpose does not look like a leak.
LINES_MAX = 20
#: How long everything may take to come to rest; only a hang takes so long.
REST_LIMIT_S = 300


class Member:
    """One participant, which acts by itself until it is told to rest.

    Attributes:
        said: how many events it has published.
        joins: how often it had to try.
    """

    def __init__(self, label: str, room: str, pause_s: float, draw: random.Random, is_speaking: asyncio.Event) -> None:
        self.label, self.room, self._pause_s = label, room, pause_s
        self.said = 0
        self.joins = 0
        self.unanswered_saves = 0
        self._draw = draw
        self._is_speaking = is_speaking
        self.acting = asyncio.Lock()

    async def join(self, url: str, interval_ms: float) -> None:
        """Join; whoever comes while the network or the synchronizer is away tries again, as a user does."""
        while True:
            self.joins += 1
            try:
                self.session = await SessionCore.join(
                    app_id="soak",
                    name=self.room,
                    password=f"of {self.room}",
                    model=Desk,
                    synchronizer=url,
                    view_data={"name": self.label},
                    tick_rate=2,
                    persist_interval_ms=interval_ms,
                )
            except (SynchronizerUnreachable, JoinTimeout):
                assert self.joins < JOINS_MAX
                await asyncio.sleep(self._draw.uniform(0.1, 1.0))
            else:
                break
        self._acting = asyncio.create_task(self._act())

    async def leave(self) -> None:
        self._acting.cancel()
        await asyncio.wait({self._acting})
        if not self._acting.cancelled():
            self._acting.result()
        await self.session.leave()

    def say(self, characters: int) -> None:
        self.said += 1
        text = f"{self.label} says {self.said} ".ljust(characters, "x")
        self.session.publish("desk", "say", {"sender": self.label, "number": self.said, "text": text})

    async def _act(self) -> None:
        while True:
            await asyncio.sleep(self._draw.expovariate(1 / self._pause_s))
            async with self.acting:
                if self._is_speaking.is_set():
                    await self._act_once()

    async def _act_once(self) -> None:
        (act,) = self._draw.choices((self._speak, self._read, self._save, self._list), weights=(85, 11, 2, 2))
        await act()

    async def _speak(self) -> None:
        (characters,) = self._draw.choices(TEXT_CHARACTERS, weights=(50, 30, 15, 5))
        self.say(characters)

    async def _read(self) -> None:
        assert list(self.session.model.wrong) == []

    async def _save(self) -> None:
        try:
            await self.session.save(f"by {self.label}")
        except NoAnswer:
            self.unanswered_saves += 1

    async def _list(self) -> None:
        versions = await self.session.versions()
        assert [version.number for version in versions] == list(range(1, len(versions) + 1))

    async def rest(self) -> None:
        """Wait until everything it did has happened, and is stored."""
        async with self.acting:
            await self.session.saved()

    def report(self) -> dict[str, Any]:
        """How its replica is: equal ones of one session give equal digests at one `seq`."""
        session = self.session
        replica = session._follower.replica
        model = session.model
        return {
            "room": self.room,
            "state": session.link_state,
            "seq": replica.seq if replica and not session._follower.behind else -1,
            "digest": digest_of(replica) if replica else "",
            "said": self.said,
            "heard": dict(model.heard),
            "wrong": [list(wrong) for wrong in model.wrong],
            "people": len(session.participants),
            "saved": session.status.saved_number,
        }


def digest_of(replica: Replica) -> str:
    """Of everything but session time, of which each has seen what its last tick said."""
    state = msgspec.msgpack.decode(replica.snapshot(), type=_State)
    timeless = msgspec.structs.replace(state, time_ms=0.0)
    return hashlib.sha256(msgspec.msgpack.encode(timeless)).hexdigest()[:16]


class Crowd:
    """The members of this process."""

    def __init__(self, url: str, seed: str, interval_ms: float, pause_s: float) -> None:
        self._url, self._seed, self._interval_ms, self._pause_s = url, seed, interval_ms, pause_s
        self._members: dict[str, Member] = {}
        self._is_speaking = asyncio.Event()

    async def join(self, label: str, room: str) -> int:
        """Have a member join; how often it had to try."""
        draw = random.Random(f"{self._seed} {label}")
        member = Member(label, room, self._pause_s, draw, self._is_speaking)
        await member.join(self._url, self._interval_ms)
        self._members[label] = member
        return member.joins

    async def leave(self, label: str) -> tuple[int, int]:
        """Have a member leave; how many events it had published, and how many of them it has seen executed."""
        member = self._members.pop(label)
        await member.leave()
        return member.said, member.session.model.heard.get(label, 0)

    async def burst(self, label: str) -> None:
        for _ in range(BURST_EVENTS):
            self._members[label].say(BURST_CHARACTERS)

    async def speak(self) -> None:
        self._is_speaking.set()

    async def rest(self) -> None:
        self._is_speaking.clear()
        async with asyncio.timeout(REST_LIMIT_S):
            await asyncio.gather(*(member.rest() for member in self._members.values()))

    async def tell(self, label: str, event: str) -> None:
        self._members[label].session.publish("desk", event)
        await self._members[label].session.synced()

    async def look(self) -> dict[str, dict[str, Any]]:
        return {label: member.report() for label, member in self._members.items()}

    async def measure(self) -> dict[str, int]:
        gc.collect()
        counted = alive(SessionCore, Connection, Replica)
        return {**resources(), "tasks": len(asyncio.all_tasks()), **counted}


class Printer(logging.Handler):
    """Tells the other side what is logged."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        say("log", record.levelname.lower(), text)


_printing = threading.Lock()


def say(*words: Any) -> None:
    with _printing:
        print(json.dumps(words), flush=True)


async def obey(crowd: Crowd, number: int, command: str, *arguments: Any) -> None:
    try:
        say("answer", number, await getattr(crowd, command)(*arguments))
    except Exception:  # whatever it is, it fails there where it was asked for
        say("error", number, traceback.format_exc())


async def main(url: str, seed: str, interval_ms: str, pause_s: str) -> None:
    logging.getLogger().addHandler(Printer())
    logging.getLogger().setLevel(logging.INFO)
    crypto.ARGON2_MEMORY_KIB = CHEAP_MEMORY_KIB
    story.LINES_MAX = LINES_MAX
    crowd = Crowd(url, seed, float(interval_ms), float(pause_s))
    reader = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    obeying = set()
    while line := await reader.readline():
        task = asyncio.create_task(obey(crowd, *json.loads(line)))
        obeying.add(task)
        task.add_done_callback(obeying.discard)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
