"""Sessions of real members on a real synchronizer, faults drawn by lot, and what must be so whenever it is quiet."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections import Counter, defaultdict
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msq_jupyter.session.archive import Archive
from tests.soak.faults import FAULTS
from tests.soak.lines import Explained
from tests.soak.processes import Ended, Members, Server
from tests.soak.proxy import Proxy
from tests.waiting import until

#: Only a hang takes so long, whatever else the machine does.
SETTLE_LIMIT_S = 300
#: Connections that end have ended by then.
LEAVE_LIMIT_S = 60
#: What may grow, beside a share of what there was: memory that the allocators keep for later, keys of those who left,
#: threads of pools, files of the database.
SHARE, SHARED = 1.25, ("memory_kb", "malloc_kb", "blocks")
SPARE = {
    "memory_kb": 96 * 1024,
    "malloc_kb": 16 * 1024,
    "blocks": 100_000,
    "threads": 8,
    "files": 8,
    "tasks": 8,
}


@dataclass(frozen=True)
class Scale:
    """How much of everything.

    Attributes:
        rooms: sessions.
        members: of each.
        processes: over which the members of each are spread.
        gap_s: between two faults, on average.
        warm_s: of work before the first look.
        holds_s: how long a fault lasts that does not end by itself; one of these is drawn.
        interval_ms: between two versions of a session.
        pause_s: between two things that a member does, on average.
    """

    rooms: int
    members: int
    processes: int
    gap_s: float
    warm_s: float
    holds_s: tuple[float, ...]
    interval_ms: float
    pause_s: float


class Chair:
    """A place in a session, where one member sits after the other.

    Attributes:
        room: the session.
        place: which process its members are in.
        label: of the member that is there, "" for nobody.
        process: it is in, as long as that lives.
        lock: held by whoever has one leave, or the next one come.
    """

    def __init__(self, room: str, place: int) -> None:
        self.room, self.place = room, place
        self.label = ""
        self.process: Members | None = None
        self.lock = asyncio.Lock()


class Soak:
    """A soak that runs; `async with`.

    Args:
        scale: how much of everything.
        seed: of all that is drawn.
        directory: for the data of the synchronizer.

    Attributes:
        scale: as given.
        draw: draws what happens.
        server: the synchronizer.
        proxy: between it and the members.
        processes: of members, by place.
        chairs: of all sessions.
        faults: how often each fault happened.
        lines: what was logged, and what of it nobody expected.
        looks: what every process held, at each quiet moment.
        leaks: what was too much of that.
        events: how many events were executed until the last quiet moment, by all senders together.
        versions: how many were stored by then, in all sessions together.
        came: how many members have joined.
    """

    def __init__(self, scale: Scale, seed: int, directory: Path) -> None:
        self.scale = scale
        self.draw = random.Random(f"soak {seed}")
        self._seed = seed
        self.faults: Counter[str] = Counter()
        self.lines = Explained(self.faults)
        self.looks: list[dict[str, dict[str, int]]] = []
        self.leaks: list[str] = []
        self.events = 0
        self.versions = 0
        self.came = 0
        self.server = Server(directory, self.lines.add)
        self.proxy = Proxy(lambda: self.server.port)
        self.processes: list[Members] = []
        # How many events of each sender some replica of its session has executed: they stay, whoever dies then.
        self._executed: dict[tuple[str, str], int] = {}
        # How many those have published that left.
        self._said: dict[tuple[str, str], int] = {}
        self._errands: set[asyncio.Task[None]] = set()
        self._is_calm = asyncio.Event()
        self._rooms = [f"room-{number}" for number in range(scale.rooms)]
        places = [place % scale.processes for place in range(scale.members)]
        self.chairs = [Chair(room, place) for room in self._rooms for place in places]

    async def __aenter__(self) -> Soak:
        await self.server.start()
        await self.proxy.__aenter__()
        for _ in range(self.scale.processes):
            self.processes.append(await self.started())
        await asyncio.gather(*map(self.fill, self.chairs))
        return self

    async def __aexit__(self, *_: object) -> None:
        for errand in self._errands:
            errand.cancel()
        await asyncio.gather(*self._errands, return_exceptions=True)
        await asyncio.gather(*(process.end() for process in self.processes))
        await self.proxy.__aexit__()
        await self.server.end(signal.SIGKILL)

    async def started(self) -> Members:
        """A process for members, which has none yet."""
        scale = self.scale
        process = Members(self.proxy.url, self._seed, scale.interval_ms, scale.pause_s, log=self.lines.add)
        await process.start()
        return process

    async def fill(self, chair: Chair) -> None:
        """Have a new member come where nobody is."""
        async with chair.lock:
            process = self.processes[chair.place]
            if chair.process is process:
                return
            self.came += 1
            chair.label, chair.process = f"m{self.came}", process
            with contextlib.suppress(Ended):  # then somebody else comes when there is another process
                await process.ask("join", chair.label, chair.room)

    async def _empty(self, chair: Chair) -> None:
        """Have the member there leave in good order."""
        async with chair.lock:
            process, chair.process = chair.process, None
            if process is not None:
                with contextlib.suppress(Ended):
                    said, executed = await process.ask("leave", chair.label)
                    self._said[chair.room, chair.label] = said
                    self._note(chair.room, {chair.label: executed})
            chair.label = ""

    async def replace(self, chair: Chair) -> None:
        """Have the member there leave, and another one come."""
        await self._empty(chair)
        await self.fill(chair)

    def taken(self) -> list[Chair]:
        """Where somebody is who neither comes nor goes just now."""
        return [chair for chair in self.chairs if chair.process in self.processes and not chair.lock.locked()]

    def _note(self, room: str, heard: dict[str, int]) -> None:
        for label, executed in heard.items():
            self._executed[room, label] = max(executed, self._executed.get((room, label), 0))

    async def note_all(self) -> None:
        """Note what has happened, before somebody dies."""
        for found in await self._ask_all("look"):
            for report in found.values():
                self._note(report["room"], report["heard"])

    # --- rounds --------------------------------------------------------------------------------------------------

    async def play(self, faults: Iterable[str]) -> None:
        """Let everybody work while one fault after the other happens, then look whether all is well."""
        self._is_calm.clear()
        await self._ask_all("speak")
        await asyncio.sleep(self.scale.warm_s)
        for name in faults:
            await asyncio.sleep(self.draw.expovariate(1 / self.scale.gap_s))
            self.faults[name] += 1
            await FAULTS[name](self)
        await self._come_to_rest()
        await self._look()

    async def _ask_all(self, command: str) -> list[Any]:
        return await asyncio.gather(*(process.ask(command) for process in self.processes))

    def errand(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done meanwhile; nothing is quiet before it is."""
        self._errands.add(asyncio.create_task(work))

    async def hold(self) -> None:
        """Wait for as long as a fault lasts, or until it must be quiet."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._is_calm.wait(), self.draw.choice(self.scale.holds_s))

    # --- quiet moments -------------------------------------------------------------------------------------------

    async def _come_to_rest(self) -> None:
        """End every fault, and wait until all that was said and saved has happened."""
        self._is_calm.set()
        while self._errands:
            await self._errands.pop()
        for link in self.proxy.links:
            link.clear()
        await self._ask_all("rest")

    async def _look(self) -> None:
        """Compare everybody with everybody, newcomers too, and with what each of them did."""
        await self._tell("rest")
        await self._ask_all("rest")
        newcomers = [Chair(room, self.draw.randrange(len(self.processes))) for room in self._rooms]
        self.faults["newcomer"] += len(newcomers)
        await asyncio.gather(*map(self.fill, newcomers))
        reports = await self._settled(len(self.chairs) + len(newcomers))
        self._check(reports)
        self.versions = sum(await asyncio.gather(*map(self._readable_versions, self._rooms)))
        await asyncio.gather(*map(self._empty, newcomers))
        await self._measure()
        await self._tell("work")

    async def _tell(self, event: str) -> None:
        """Have one member of each session tell the model of it something."""
        one = {chair.room: chair for chair in self.chairs}
        await asyncio.gather(
            *(chair.process.ask("tell", chair.label, event) for chair in one.values() if chair.process)
        )

    async def _settled(self, count: int) -> dict[str, dict[str, Any]]:
        """What all members report, once all of each session are at one place of its log."""
        digests: dict[tuple[str, int], str] = {}
        reports: dict[str, dict[str, Any]] = {}

        async def are_all_there() -> bool:
            reports.clear()
            for found in await self._ask_all("look"):
                reports.update(found)
            places = defaultdict(set)
            for label, report in reports.items():
                place = report["room"], report["seq"]
                if report["seq"] >= 0 and digests.setdefault(place, report["digest"]) != report["digest"]:
                    raise AssertionError(f"{label} differs from others at {place}: {reports}")
                places[report["room"]].add((report["seq"], report["state"], report["people"], report["saved"]))
            people = count // len(self._rooms)
            return len(reports) == count and all(
                len(found) == 1 and next(iter(found))[1:3] == ("live", people) for found in places.values()
            )

        try:
            await until(are_all_there, SETTLE_LIMIT_S)
        except TimeoutError:
            shown = {label: {**report, "heard": "..."} for label, report in reports.items()}
            raise AssertionError(f"they do not come to one place: {shown}") from None
        return reports

    def _check(self, reports: dict[str, dict[str, Any]]) -> None:
        heard = {report["room"]: report["heard"] for report in reports.values()}
        assert all(report["wrong"] == [] for report in reports.values()), "events out of order, missing or repeated"
        for label, report in reports.items():
            assert report["heard"].get(label, 0) == report["said"], f"{label} said {report['said']}: {report['heard']}"
        for (room, label), executed in self._executed.items():
            assert heard[room].get(label, 0) >= executed, f"of {label}'s events {executed} had happened: {heard[room]}"
        for (room, label), said in self._said.items():
            assert heard[room].get(label, 0) <= said, f"{label} has said {said}: {heard[room]}"
        for room, counts in heard.items():
            self._note(room, counts)
        self.events = sum(sum(counts.values()) for counts in heard.values())

    async def _readable_versions(self, room: str) -> int:
        """How many there are; every one can be read."""
        url = f"ws://127.0.0.1:{self.server.port}"
        async with Archive.open(app_id="soak", name=room, password=f"of {room}", synchronizer=url) as archive:
            checked = await archive.verify()
        assert [found.damage for found in checked] == [""] * len(checked)
        assert checked, f"nobody in {room} has saved anything"
        return len(checked)

    # --- leaks ---------------------------------------------------------------------------------------------------

    async def _measure(self) -> None:
        """What everybody holds is what the members there need, and not more than it was in the beginning."""
        members = len(self.chairs)
        exact = {"server": {"Connection": members, "Member": members, "Room": len(self._rooms)}}
        for place in range(len(self.processes)):
            count = sum(chair.place == place for chair in self.chairs)
            exact[f"members {place}"] = {"SessionCore": count, "Connection": count, "Replica": count}
        held: dict[str, dict[str, int]] = {}

        async def is_exact() -> bool:
            held["server"] = await self.server.holds()
            for place, found in enumerate(await self._ask_all("measure")):
                held[f"members {place}"] = found
            return all(held[who][what] == count for who, counts in exact.items() for what, count in counts.items())

        with contextlib.suppress(TimeoutError):  # and it is said what is wrong
            await until(is_exact, LEAVE_LIMIT_S)
        self.looks.append(held)
        assert await self.server.members() == members
        for who, found in held.items():
            first = self.looks[0][who]
            for what, expected in exact[who].items():
                if found[what] != expected:
                    self.leaks.append(f"{who} has {found[what]} of {what}, expected {expected}")
            for what, spare in SPARE.items():
                limit = first[what] * (SHARE if what in SHARED else 1) + spare
                if found[what] > limit:
                    self.leaks.append(f"{who} has {found[what]} of {what}, expected at most {limit:.0f}")
