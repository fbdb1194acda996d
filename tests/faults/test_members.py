"""A member dies at each step of what it says, and in the middle of each: only what it said whole has happened, once.

The connection ends as it does when a process is killed, or as when its machine is. Kernels that are killed at the steps
of a save are in `test_processes.py`, and in virtual time in `test_virtual.py`.
"""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import pytest

from msq_jupyter import protocol
from msq_jupyter.protocol import Event, ListVersions, Report, Save, Saved, Send, Snapshot, Tell
from msq_jupyter.synchronizer.server import Synchronizer
from tests.faults.raw import CLOSE, REQUEST, Raw
from tests.synchronizer.conftest import Participant, a_join
from tests.synchronizer.test_frames import frame
from tests.waiting import until

#: Deaths at random bytes, beside those at the steps.
RANDOM_DEATHS = 40
EVENTS = [b"one", b"two", b"three"]
SAYS = {
    "two events": Send([(1, EVENTS[0]), (2, EVENTS[1])]),
    "words for another one": Tell("witness", 1, b"hello"),
    "a snapshot": Snapshot(1, 0.0, b"state" * 30_000),
    "a version": Save("version", 0, b"meta", b"content" * 30_000),
    "a draft": Save("run.9", 1, b"meta", b"content" * 100, draft=True),
    "a report": Report(1, b"digest"),
    "a question": ListVersions(1),
    "an event": Send([(3, EVENTS[2])]),
    "leave": protocol.Leave(),
}


def session_of(number: int) -> dict[str, Any]:
    """A session of its own for each death; the ids of all are equally long."""
    return {"session_id": f"session {number:06}", "persistent_id": f"name {number:06}", "rejoin_limit_ms": 0.0}


def steps_of(number: int) -> dict[str, bytes]:
    """The bytes of everything a member says, from its first to its last."""
    said = {"a join": a_join("eve", **session_of(number)), **SAYS}
    frames = {name: frame(protocol.encode(message)) for name, message in said.items()}
    return {"a request": REQUEST.format(more="").encode(), **frames, "goodbye": frame(b"\x03\xe8", CLOSE)}


def places_of(steps: dict[str, bytes]) -> dict[str, int]:
    """After how many bytes it dies, by name."""
    ends = list(itertools.accumulate(map(len, steps.values())))
    places = {"at the beginning": 0}
    for name, data, end in zip(steps, steps.values(), ends, strict=True):
        places[f"in the middle of {name}"] = end - len(data) // 2
        places[f"a byte before the end of {name}"] = end - 1
        places[f"after {name}"] = end
    return places


async def die_at(synchronizer: Synchronizer, number: int, place: int, *, turns: int, is_reset: bool) -> int:
    """One member of a session of its own dies; its witness and itself, when it is back, see what must be seen.

    Returns how many of its events had come before it died.
    """
    session = session_of(number)
    whole = b"".join(steps_of(number).values())
    assert synchronizer._server is not None
    async with Participant(synchronizer.url, "witness", **session) as witness:
        eve = await Raw.connect(synchronizer.url)
        eve.say(whole[:place])
        await eve.writer.drain()
        for word in (b"before", b"and before", b"right before")[:turns]:  # what it said is heard meanwhile
            await witness.send(word)
            await witness.read_until_event(word)
        eve.drop() if is_reset else eve.writer.close()
        await until(lambda: len(synchronizer._server.connections) == 1)
        await witness.send(b"after")
        await witness.read_until_event(b"after")
        while len([view_id for view_id, _ in witness.joins() if view_id == "eve"]) > witness.exits().count("eve"):
            await witness.next()
        async with Participant(synchronizer.url, "eve", **session) as again:
            last = again.welcome.last_counter
            happened = [payload for payload in witness.payloads() if payload in EVENTS]
            assert happened == EVENTS[:last], "what happened is what it is told"
            await again.say(Send([(counter + 1, EVENTS[counter]) for counter in range(3)]))
            await again.say(Save("version", 0, b"meta", b"content"))
            await witness.read_until_event(b"three")
            while not any(isinstance(entry, Saved) for entry in witness.entries):
                await witness.next()
            entries = [entry for entry in witness.entries if isinstance(entry, Event) and entry.view_id == "eve"]
            assert [(entry.counter, entry.payload) for entry in entries] == list(enumerate(EVENTS, 1))
            assert [entry.save_id for entry in witness.entries if isinstance(entry, Saved)] == ["version"]
            await again.say(protocol.Leave())
    return last


async def die_at_each(directory: Path, places: dict[str, int], draw: random.Random) -> None:
    came = set()
    async with Synchronizer(data_directory=directory / "data") as synchronizer:
        for number, (name, place) in enumerate(places.items()):
            try:
                came.add(
                    await die_at(synchronizer, number, place, turns=draw.choice((0, 3)), is_reset=draw.random() < 0.7)
                )
            except BaseException:
                print(f"it died {name}")
                raise
    Raw.all.clear()
    assert {0, 2} <= came, "deaths before and behind events"


async def test_4_6_a_member_that_dies_at_a_step_or_in_the_middle_of_it(tmp_path: Path) -> None:
    await die_at_each(tmp_path, places_of(steps_of(0)), random.Random(0))


@pytest.mark.timeout(0)
async def test_4_6_a_member_that_dies_at_any_byte(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    seed = request.config.getoption("msq_seed")
    deaths = (request.config.getoption("msq_schedules") or 1) * RANDOM_DEATHS
    print(f"seed {seed}")
    draw = random.Random(f"members {seed}")
    steps = steps_of(0)
    ends = [0, *itertools.accumulate(map(len, steps.values()))]
    places = {}
    for number in range(deaths):
        step = draw.randrange(len(steps))
        places[f"{number}"] = draw.randint(ends[step], ends[step + 1])
    await die_at_each(tmp_path, places, draw)
