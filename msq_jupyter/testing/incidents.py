"""What goes wrong, when, and for whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msq_jupyter.testing.network import Dice
from msq_jupyter.testing.timeline import Timeline, Timer

if TYPE_CHECKING:
    from msq_jupyter.testing.simulation import Room, Simulation


class Incidents:
    """Draws the next incident, lets it happen, and draws again.

    Args:
        timeline: when.
        dice: what, and for whom.
        simulation: to whom it happens.
    """

    def __init__(self, timeline: Timeline, dice: Dice, simulation: Simulation) -> None:
        self._timeline = timeline
        self._dice = dice
        self._simulation = simulation
        self._timers: list[Timer] = []

    def begin(self) -> None:
        """From now on things go wrong, as the weather has it."""
        self._draw()
        for room in self._simulation.rooms:
            for _ in range(room.size - len(room.participants)):
                self._replace(room)

    def end(self) -> None:
        """Nothing goes wrong any more."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _draw(self) -> None:
        rates = self._dice.weather.incidents()
        if rates and self._simulation.rooms:
            draw = self._dice.random
            kind = draw.choices(list(rates), list(rates.values()))[0]
            self._later(1 / sum(rates.values()), lambda: self._happen(kind))

    def _later(self, mean_ms: float, call: Callable[[], None]) -> None:
        # Exponential, so that it makes no difference in how many portions time passes.
        delay_ms = self._dice.random.expovariate(1 / mean_ms) if mean_ms else 0.0
        self._timers.append(self._timeline.after(delay_ms, call))

    def _happen(self, kind: str) -> None:
        _KINDS[kind](self, self._dice.random.choice(self._simulation.rooms))
        self._draw()

    # --- participants --------------------------------------------------------------------------------------------

    def _cut(self, room: Room) -> None:
        if room.participants:
            self._dice.random.choice(room.participants).cut()

    def _busy(self, room: Room) -> None:
        if room.participants:
            self._dice.random.choice(room.participants).be_busy(self._dice.between(self._dice.weather.busy_ms))

    def _interrupt(self, room: Room) -> None:
        if room.participants:
            self._dice.random.choice(room.participants).interrupt()

    def _flip(self, room: Room) -> None:
        people = room.participants
        # One at a time, and only where the others are enough to know better.
        if len(people) >= 3 and all(person.is_live and person.flipped_path is None for person in people):
            self._dice.random.choice(people).flip()

    def _kill(self, room: Room) -> None:
        if room.participants:
            room.kill(self._dice.random.choice(room.participants))
            self._replace(room)

    def _leave(self, room: Room) -> None:
        if room.participants:
            self._simulation.counters["leaves"] += 1
            room.leave(self._dice.random.choice(room.participants))
            self._replace(room)

    def _come(self, room: Room) -> None:
        if len(room.participants) <= room.size:
            self._simulation.counters["late joins"] += 1
            room.invite()

    def _replace(self, room: Room) -> None:
        low_ms, high_ms = self._dice.weather.away_ms
        self._later((low_ms + high_ms) / 2, lambda: self._come(room) if len(room.participants) < room.size else None)

    # --- the synchronizer ----------------------------------------------------------------------------------------

    def _crash(self, _: Room) -> None:
        if self._simulation.synchronizer.is_up:
            self._simulation.synchronizer.crash()
            self._start_later()

    def _restart(self, _: Room) -> None:
        if self._simulation.synchronizer.is_up:
            self._simulation.synchronizer.stop()
            self._start_later()

    def _disk_failure(self, _: Room) -> None:
        self._simulation.synchronizer.disk_fails = True

    def _start_later(self) -> None:
        delay_ms = self._dice.between(self._dice.weather.down_ms)
        self._timeline.after(delay_ms, self._simulation.synchronizer.start)


_KINDS: dict[str, Callable[[Incidents, Room], None]] = {
    "cut": Incidents._cut,
    "busy": Incidents._busy,
    "interrupt": Incidents._interrupt,
    "kill": Incidents._kill,
    "leave": Incidents._leave,
    "come": Incidents._come,
    "crash": Incidents._crash,
    "restart": Incidents._restart,
    "disk_failure": Incidents._disk_failure,
    "flip": Incidents._flip,
}
