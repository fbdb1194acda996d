"""A session that saves, and things that die at chosen steps of a save; one seed decides all of it."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from msq_jupyter import Model
from msq_jupyter.testing import Limits, Room, SavedVersion, Simulation, Weather
from msq_jupyter.testing.crash_points import STEPS

#: Nothing goes wrong but what a test lets go wrong; everything takes a while.
SLOW = Weather(delay_ms=(1, 30), notice_ms=(0, 200), away_ms=(0, 200), write_ms=(0, 25))
#: What dies. "one" is the kernel that is at the step, "kernels" are all of them.
VICTIMS = ("one", "kernels", "synchronizer", "both", "disk")


def content_of(count: int, length: int) -> dict[str, Any]:
    """Data of which no part fits to another count."""
    return {
        "count": count,
        "length": length,
        "text": f"{count:06d}" * length,
        "check": (count * 7919 + length) % 10_007,
    }


def is_whole(data: Any) -> bool:
    """Whether it was saved at one moment, and not mixed from two."""
    return data == content_of(data["count"], data["length"])


class Page(Model):
    def init(self, options, persisted=None):
        self.begun_with = persisted
        self.count = persisted["count"] if persisted else 0
        self.length = persisted["length"] if persisted else 1
        self.subscribe("page", "write", self.write)

    def write(self, length):
        self.count += 1
        self.length = length
        self.persist_session(content_of(self.count, length))


class EditedPage(Page):
    """The same after an edit."""

    edited = 1


class Heir(Page):
    """The same after another edit, which nobody has run before."""

    edited = 2


@dataclass
class Strike:
    """Let something die when a step is reached for the `nth` time from now on."""

    step: str
    victim: str
    nth: int = 1


@dataclass
class Faults:
    """Strikes that wait for their step.

    Attributes:
        struck: how often what died at which step.
    """

    simulation: Simulation
    draw: random.Random
    waiting: list[Strike]
    struck: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.simulation.synchronizer.crash_points.strike = self.at

    def at(self, step: str, who: str) -> bool:
        """A step is reached; whether the synchronizer dies."""
        for strike in [strike for strike in self.waiting if strike.step == step]:
            strike.nth -= 1
            if strike.nth == 0:
                self.waiting.remove(strike)
                self.struck[step, strike.victim] += 1
                return self._let_die(strike.victim, who)
        return False

    def _let_die(self, victim: str, who: str) -> bool:
        delivered = self.draw.random() < 0.5
        for room in self.simulation.rooms:
            for person in list(room.participants):
                # At the synchronizer's steps nobody is at it: whoever is longest there is the one.
                is_the_one = person.name == who or (not who and person is room.participants[0])
                if victim in ("kernels", "both") or (victim == "one" and is_the_one):
                    room.kill(person, delivered=delivered)
        if victim == "disk":
            self.simulation.synchronizer.disk_fails = True
        return victim in ("synchronizer", "both")


def what_never_changes(version: SavedVersion) -> tuple[Any, ...]:
    """Of a version, once it is stored."""
    return version.number, version.parent, version.author, version.data


class Witness:
    """Writes down every version that any replica was told is stored, as it is at that moment."""

    def __init__(self, room_of_name: Room) -> None:
        self._room = room_of_name
        self.acknowledged: dict[int, tuple[Any, ...]] = {}

    def watch(self, room: Room) -> None:
        """Hear what the participants of a room are told, each once."""
        for person in room.participants:
            if not person.view_events.wanted(room.session_id, "persisted"):
                person.view_events.subscribe("witness", room.session_id, "persisted", self._on_persisted)

    def _on_persisted(self, told: dict[str, Any]) -> None:
        number = told["number"]
        if number not in self.acknowledged:
            self.acknowledged[number] = what_never_changes(self._room.versions[number - 1])

    def check(self) -> None:
        """Each acknowledged version is there as it was, versions have no gap, and none is a mixture."""
        versions = self._room.versions
        assert [version.number for version in versions] == list(range(1, len(versions) + 1))
        for number, version in self.acknowledged.items():
            assert what_never_changes(versions[number - 1]) == version, (
                f"version {number} was acknowledged, and is another one now"
            )
        for version in versions:
            assert is_whole(version.data), f"version {version.number} is a mixture"
            assert 0 <= version.parent < version.number


class Play:
    """One session, written to while things die, and in the end taken over by edited code."""

    def __init__(self, seed: int, strikes: list[Strike], *, interval_ms: float | None = None) -> None:
        self.draw = draw = random.Random(f"faults {seed}")
        limits = Limits(snapshot_entries=draw.choice((6, 60)), tail_entries=draw.choice((4, 200)))
        self.simulation = Simulation(seed, SLOW, limits)
        self.interval_ms = draw.choice((0, 300, 2_000)) if interval_ms is None else interval_ms
        self.rejoin_limit_ms = draw.choice((0, 1_000))
        self.room = self._room(Page, draw.randint(1, 3))
        self.witness = Witness(self.room)
        self.faults = Faults(self.simulation, draw, strikes)

    def _room(self, model: type[Model], participants: int) -> Room:
        room = self.simulation.room(
            model,
            participants,
            tick_rate=1,
            persist_interval_ms=self.interval_ms,
            rejoin_limit_ms=self.rejoin_limit_ms,
        )
        room.size = 0  # whoever dies is replaced by us only
        return room

    def write_until_all_has_struck(self, writes: int) -> None:
        """Write so often at least, and on until every strike has come."""
        done = 0
        while done < writes or (self.faults.waiting and done < 60):
            self._revive()
            self.witness.watch(self.room)
            self.room.publish("page", "write", self.draw.choice((1, 3, 50)))
            done += 1
            self.simulation.run(self.draw.choice((0, 5, 40, 300, 1_200)))

    def _revive(self) -> None:
        """When every kernel is dead, others come, with the same code or with edited code."""
        if not self.room.participants:
            self.simulation.run(self.draw.choice((0, 500, 3_000)))
            self.room = self._room(self.draw.choice((Page, EditedPage)), self.draw.randint(1, 3))

    def finish(self) -> None:
        """Everything gets well again, edited code comes, and everything is checked."""
        self.faults.waiting.clear()
        self._revive()
        self.witness.watch(self.room)
        self.room.settle()
        self.room.leave_all()
        heir = self._room(Heir, 1)
        self.witness.watch(heir)
        begun_with, versions = heir.model.begun_with, heir.versions
        assert is_whole(begun_with)
        assert any(begun_with == version.data for version in versions)
        assert heir.head is not None
        assert begun_with == heir.head.data
        if all(version.parent == version.number - 1 for version in versions):
            # One line, in which nothing was taken back.
            newest = max(version.data["count"] for version in versions)
            assert begun_with["count"] == newest, f"expected the newest, {newest}, got {begun_with['count']}"
        self.witness.check()


def play(seed: int, strikes: list[Strike] | None = None, writes: int = 8) -> Counter[tuple[str, str]]:
    """Play with the given strikes, or with some that the seed decides; returns what died at which step."""
    draw = random.Random(f"strikes {seed}")
    if strikes is None:
        # Every step has its turn, and every victim; more come by lot.
        first = Strike(STEPS[seed % len(STEPS)], VICTIMS[seed // len(STEPS) % len(VICTIMS)], draw.randint(1, 4))
        others = [
            Strike(draw.choice(STEPS), draw.choice(VICTIMS), draw.randint(1, 5)) for _ in range(draw.randint(0, 2))
        ]
        strikes = [first, *others]
    steps = {strike.step for strike in strikes}
    if any(step.startswith("promotion") for step in steps):
        strikes = [Strike("draft written", "kernels"), *strikes]
    # Without a distance to keep there are no drafts.
    has_drafts = any(step.startswith(("draft", "promotion")) for step in steps)
    played = Play(seed, list(strikes), interval_ms=2_000 if has_drafts else None)
    try:
        played.write_until_all_has_struck(writes)
        played.finish()
    except BaseException:
        print(f"{played.simulation.explain()}\nstruck {dict(played.faults.struck)}")
        print(f"repeat it with: pytest tests/faults --msq-seed {seed} -k one_seed")
        raise
    return played.faults.struck
