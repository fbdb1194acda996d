"""The hostile network: how bad it is, and one connection in it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from msq_jupyter.errors import ArgumentError
from msq_jupyter.testing.timeline import Timeline

#: Lowest and highest value, drawn evenly.
Range: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class Weather:
    """How hostile the world is. All times are milliseconds of virtual time.

    A `…_every_ms` is the mean time between two such incidents, drawn from an exponential distribution, 0 for never.
    A network stream neither loses nor repeats a single frame: it is cut, and everything on its way is lost; what is
    sent again after that is the duplication.

    Attributes:
        delay_ms: how long a frame travels.
        notice_ms: how long after a cut either side notices, each for itself.
        away_ms: how long a participant cannot connect again after it has noticed.
        write_ms: how long the synchronizer's disk takes for a turn.
        down_ms: how long the synchronizer is down after a crash or a restart.
        busy_ms: how long a cell keeps a replica from moving.
        pause_share: how often stepping pauses between two messages, 0 to 1.
        cut_every_ms: a participant's connection is cut.
        busy_every_ms: a participant runs a long cell.
        interrupt_every_ms: a participant interrupts the kernel in the middle of an event; its replica is made again.
        kill_every_ms: a participant's kernel dies; later another participant comes instead.
        leave_every_ms: a participant leaves properly; later another one comes instead.
        come_every_ms: one more participant comes, as long as there is at most one more than at the beginning.
        crash_every_ms: the synchronizer dies, losing what was not written.
        restart_every_ms: the synchronizer stops properly and starts again.
        disk_failure_every_ms: the synchronizer's disk refuses a turn.
        flip_every_ms: one small value of one participant's replica changes; found, told and healed, as long as two
            others are there and right. Not in `STORM`: there may be nobody left who knows better.
    """

    delay_ms: Range = (1.0, 1.0)
    notice_ms: Range = (0.0, 0.0)
    away_ms: Range = (0.0, 0.0)
    write_ms: Range = (0.0, 0.0)
    down_ms: Range = (0.0, 0.0)
    busy_ms: Range = (0.0, 0.0)
    pause_share: float = 0.0
    cut_every_ms: float = 0.0
    busy_every_ms: float = 0.0
    interrupt_every_ms: float = 0.0
    kill_every_ms: float = 0.0
    leave_every_ms: float = 0.0
    come_every_ms: float = 0.0
    crash_every_ms: float = 0.0
    restart_every_ms: float = 0.0
    disk_failure_every_ms: float = 0.0
    flip_every_ms: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            low, high = value if isinstance(value, tuple) else (value, value)
            limit = 1.0 if name == "pause_share" else float("inf")
            if not 0 <= low <= high <= limit:
                raise ArgumentError(f"Weather.{name}: expected a value from 0 to {limit:g}, lowest first, got {value}")

    def incidents(self) -> dict[str, float]:
        """How often each kind of incident comes, per millisecond; those that come at all."""
        means = {name.removesuffix("_every_ms"): mean for name, mean in vars(self).items() if "_every_" in name}
        return {kind: 1 / mean for kind, mean in means.items() if mean}


#: Nothing goes wrong, and everybody is equally far from the synchronizer.
CALM = Weather()

#: Something goes wrong every few hundred milliseconds.
STORM = Weather(
    delay_ms=(1.0, 120.0),
    notice_ms=(0.0, 400.0),
    away_ms=(0.0, 1_500.0),
    write_ms=(0.0, 25.0),
    down_ms=(10.0, 1_200.0),
    busy_ms=(50.0, 1_500.0),
    pause_share=0.1,
    cut_every_ms=700.0,
    busy_every_ms=2_000.0,
    interrupt_every_ms=6_000.0,
    kill_every_ms=5_000.0,
    leave_every_ms=7_000.0,
    come_every_ms=3_000.0,
    crash_every_ms=6_000.0,
    restart_every_ms=9_000.0,
    disk_failure_every_ms=12_000.0,
)


class Dice:
    """Everything random in a simulation, from one seed.

    Args:
        seed: equal seeds give equal schedules, on every platform.

    Attributes:
        weather: what the draws below come from.
    """

    def __init__(self, seed: int, weather: Weather) -> None:
        self.random = random.Random(seed)
        self.weather = weather

    def between(self, limits: Range) -> float:
        """A number within limits; equal limits cost no draw."""
        low, high = limits
        return low if low == high else low + (high - low) * self.random.random()

    def pause(self) -> bool:
        """Whether to pause here."""
        share = self.weather.pause_share
        return share > 0 and self.random.random() < share


class End(Protocol):
    """One side of a `Link`."""

    def received(self, link: Link, frame: bytes) -> None:
        """A frame arrived."""

    def lost(self, link: Link) -> None:
        """The connection is gone, by a cut or because the other side closed it."""


class Link:
    """One connection: a stream of frames each way, in order, until it is closed or cut.

    Args:
        timeline: when things arrive.
        dice: how long they travel.
        participant: the lower end.
        synchronizer: the upper end.
    """

    def __init__(self, timeline: Timeline, dice: Dice, participant: End, synchronizer: End) -> None:
        self._timeline = timeline
        self._dice = dice
        self._participant = participant
        self._synchronizer = synchronizer
        self._cut = False
        self._left: set[End] = set()
        self._arrival_ms = {"up": 0.0, "down": 0.0}

    def up(self, frame: bytes) -> None:
        """Send a frame to the synchronizer."""
        self._travel("up", lambda: self._synchronizer.received(self, frame))

    def down(self, frame: bytes) -> None:
        """Send a frame to the participant."""
        self._travel("down", lambda: self._participant.received(self, frame))

    def close_up(self) -> None:
        """The participant closes; what it sent before still arrives."""
        self._travel("up", lambda: self._end(self._synchronizer))
        self._left.add(self._participant)

    def close_down(self) -> None:
        """The synchronizer closes; what it sent before still arrives."""
        self._travel("down", lambda: self._end(self._participant))
        self._left.add(self._synchronizer)

    def cut(self) -> None:
        """Lose everything on its way in both directions; each side notices later, for itself."""
        if not self._cut:
            self._cut = True
            for end in (self._participant, self._synchronizer):
                self._notice(end)

    def _notice(self, end: End) -> None:
        self._timeline.after(self._dice.between(self._dice.weather.notice_ms), lambda: self._end(end))

    def _travel(self, way: str, arrive: Callable[[], None]) -> None:
        if self._cut:
            return
        arrival_ms = self._timeline.now_ms + self._dice.between(self._dice.weather.delay_ms)
        # A stream: nothing overtakes.
        self._arrival_ms[way] = arrival_ms = max(arrival_ms, self._arrival_ms[way])
        receiver = self._synchronizer if way == "up" else self._participant

        def deliver() -> None:
            if not self._cut and receiver not in self._left:
                arrive()

        self._timeline.at(arrival_ms, deliver)

    def _end(self, end: End) -> None:
        if end not in self._left:
            self._left.add(end)
            end.lost(self)
