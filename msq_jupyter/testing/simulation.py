"""`Simulation` and `Room`: whole sessions in one thread, in virtual time, in a hostile world that one seed decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from msq_jupyter.errors import ArgumentError, PersistedDataError, SessionClosed
from msq_jupyter.runtime.happenings import HandlerFailed
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.view import View
from msq_jupyter.session.arguments import checked
from msq_jupyter.session.crypto import Keys, derive_root_key
from msq_jupyter.session.versions import open_content, open_meta
from msq_jupyter.stable import content_value
from msq_jupyter.testing.faults import MigrationFailed, NotSettled
from msq_jupyter.testing.incidents import Incidents
from msq_jupyter.testing.ledger import Ledger, require_equal
from msq_jupyter.testing.memory import Limits
from msq_jupyter.testing.network import CALM, STORM, Dice, Weather
from msq_jupyter.testing.participant import Participant
from msq_jupyter.testing.plan import Plan, World, code_of
from msq_jupyter.testing.synchronizer import SimulatedSynchronizer
from msq_jupyter.testing.timeline import Timeline

#: How often it is looked whether everybody is settled, in ms.
LOOK_MS = 7.0
#: How long settling may take without any trouble, in ms.
SETTLE_MS = 120_000.0

_NAMES = ("ada", "ben", "cleo", "dan", "eve", "fay", "gus", "hal")


@dataclass(frozen=True)
class SavedVersion:
    """A version that a room has saved; `data` is what `persist_session` was given, `parent` is 0 for none."""

    number: int
    parent: int
    author: str
    schema_version: int | str | None
    data: Any
    is_head: bool


class Simulation:
    """A synchronizer, rooms with participants, and a world that one seed decides.

    Everything runs in the calling thread while `run`, or a method that says so, runs; nothing else ever does.
    Equal seeds and equal calls give equal schedules, on every platform.

    Args:
        seed: decides everything.
        weather: how hostile the world is, `STORM` if not given.
        limits: when the synchronizer requests snapshots.

    Attributes:
        seed: as given.
        counters: how often what happened, for example "cuts", "crashes", "resumes", "snapshots", "saves".
    """

    def __init__(self, seed: int = 0, weather: Weather = STORM, limits: Limits | None = None) -> None:
        self.seed = seed
        self._timeline = Timeline()
        self._dice = Dice(seed, CALM)
        self._ledger = Ledger()
        self.counters: Counter[str] = self._ledger.counters
        self._synchronizer = SimulatedSynchronizer(self._timeline, self._dice, self._ledger, limits or Limits())
        self._world = World(self._timeline, self._dice, self._ledger, self._synchronizer)
        self._weather = weather
        self._rooms: list[Room] = []
        self._names = 0
        self._incidents = Incidents(self._timeline, self._dice, self)

    @property
    def now_ms(self) -> float:
        """Virtual time in milliseconds since the simulation began."""
        return self._timeline.now_ms

    @property
    def rooms(self) -> list[Room]:
        """Every room, in the order in which they were made."""
        return list(self._rooms)

    @property
    def synchronizer(self) -> SimulatedSynchronizer:
        """The synchronizer, to crash, stop or start it by hand."""
        return self._synchronizer

    def room(
        self,
        model: type[Model],
        participants: int = 3,
        *,
        name: str = "room",
        options: Mapping[str, Any] | None = None,
        persistent_options: Iterable[str] = (),
        view: type[View] | None = None,
        tick_rate: float = 20,
        rejoin_limit_ms: float = 1_000,
        persist_interval_ms: float = 5_000,
        persisted: str | int = "latest",
        raise_errors: bool = True,
    ) -> Room:
        """Let participants join a session; they are all live when this returns.

        Args:
            model: the root model's class.
            participants: how many join, 1 or more.
            name: rooms of one name share what is saved; with another model they are another session.
            options: as in `Session.join`.
            persistent_options: as in `Session.join`.
            view: the root view's class.
            tick_rate: as in `Session.join`; fewer ticks make a simulation faster.
            rejoin_limit_ms: as in `Session.join`.
            persist_interval_ms: as in `Session.join`.
            persisted: as in `Session.join`.
            raise_errors: an exception in a method of a model ends the simulation with `HandlerRaised`.

        Raises:
            ArgumentError: names the argument.
            CodeIdentityError: the model's code cannot be identified.
            ModelInitError: the root model's `init` failed.
            PersistedDataError: it failed on persisted data.
        """
        if participants < 1:
            raise ArgumentError(f"participants: expected 1 or more, got {participants}")
        arguments = checked(
            app_id="msq_jupyter.testing",
            name=name,
            password=None,
            model=model,
            view=view,
            options=options,
            persistent_options=tuple(persistent_options),
            synchronizer=None,
            view_data=None,
            tick_rate=tick_rate,
            debug=(),
            join_timeout_s=30,
            rejoin_limit_ms=rejoin_limit_ms,
            persist_interval_ms=persist_interval_ms,
            persisted=persisted,
            code_hash=None,
        )
        room = Room(self, self._world, Plan(arguments, code_of(model), raise_errors), participants)
        self._rooms.append(room)
        room.join(participants)
        return room

    def run(self, duration_ms: float) -> None:
        """Let time pass in the weather of this simulation.

        Args:
            duration_ms: milliseconds of virtual time.

        Raises:
            HandlerRaised: a method of a model raised, in a room with `raise_errors`.
            StateError: a snapshot was wanted, and a model holds what cannot be replicated; names the path.
            NotConverged: two replicas differ.
            InvariantBroken: `msq_jupyter` broke a promise.
        """
        self._dice.weather = self._weather
        self._incidents.begin()
        try:
            self._timeline.run_until(self._timeline.now_ms + duration_ms)
        finally:
            self._incidents.end()
            self._dice.weather = CALM

    def run_calmly(self, duration_ms: float) -> None:
        """Let time pass without new trouble; what is cut is mended, what is down comes back."""
        self._timeline.run_until(self._timeline.now_ms + duration_ms)

    def wait_until(self, condition: Callable[[], bool], limit_ms: float = SETTLE_MS) -> bool:
        """Let time pass calmly until a condition holds; whether it did within `limit_ms`."""
        deadline_ms = self._timeline.now_ms + limit_ms
        while not condition():
            if self._timeline.now_ms >= deadline_ms:
                return False
            self.run_calmly(LOOK_MS)
        return True

    def new_name(self) -> str:
        """A name nobody has had."""
        name = _NAMES[self._names % len(_NAMES)]
        round_number = self._names // len(_NAMES) + 1
        self._names += 1
        return name if round_number == 1 else f"{name}{round_number}"

    def explain(self) -> str:
        """The seed, the time, and what happened so far, for a failure's report."""
        counted = ", ".join(f"{count} {what}" for what, count in sorted(self.counters.items()) if count)
        return f"seed {self.seed}, at {self.now_ms:,.0f} ms of virtual time, after {counted or 'nothing'}"


class Room:
    """One session of a simulation; made by `Simulation.room`.

    Attributes:
        participants: who is in it now, or away; the weather lets some go and others come.
        size: how many there were at the beginning.
    """

    def __init__(self, simulation: Simulation, world: World, plan: Plan, size: int) -> None:
        self._simulation = simulation
        self._world = world
        self._plan = plan
        self.size = size
        self.participants: list[Participant] = []
        self._everybody: list[Participant] = []

    @property
    def model(self) -> Any:
        """The root model of the participant who is there longest, to read."""
        return self._somebody().model

    @property
    def session_id(self) -> str:
        """Identity of the session: the scope of "view-join" and "view-exit"."""
        return self._plan.session_id

    @property
    def persistent_id(self) -> str:
        """Identity of what is saved, shared by rooms of one name."""
        return self._plan.arguments.persistent_id

    @property
    def errors(self) -> list[HandlerFailed]:
        """What methods of models raised, on any replica."""
        return [error for participant in self._everybody for error in participant.errors]

    @property
    def versions(self) -> list[SavedVersion]:
        """Every version saved under this room's name, by whatever code, oldest first."""
        persistent_id = self._plan.arguments.persistent_id
        keys = Keys(derive_root_key(None, persistent_id), persistent_id, self.session_id)
        versions = []
        storage = self._world.synchronizer.storage
        listed, head = storage.list_versions(persistent_id), storage.head(persistent_id)
        for stored in listed:
            meta = open_meta(keys, stored)
            data = content_value(open_content(keys, stored, listed[stored.base - 1] if stored.base else None))
            described = (stored.number, stored.parent, meta.author, meta.schema_version)
            versions.append(SavedVersion(*described, data, stored.number == head))
        return versions

    @property
    def head(self) -> SavedVersion | None:
        """The version that a session never seen before starts from, None when there is none."""
        return next((version for version in self.versions if version.is_head), None)

    # --- doing ---------------------------------------------------------------------------------------------------

    def publish(self, scope: str, event: str, data: Any = None, *, by: Participant | None = None) -> None:
        """Have a participant publish an event; it travels while time passes, in `run`.

        Args:
            scope: what the model's `subscribe` names.
            event: what the model's `subscribe` names.
            data: anything a model may hold.
            by: who publishes; one drawn by lot if not given. When nobody is there, time passes until somebody is.

        Raises:
            EventTooLarge: with its size and the limit.
            StateError: the data cannot be sent; names the path.
        """
        (by or self.anybody()).publish(scope, event, data)

    def anybody(self) -> Participant:
        """A participant who has a replica, drawn by lot; when there is none, time passes until there is."""
        self._somebody()
        return self._world.dice.random.choice([person for person in self.participants if person.has_replica])

    def run(self, duration_ms: float) -> None:
        """Let time pass for everybody in the simulation; see `Simulation.run`."""
        self._simulation.run(duration_ms)

    def join(self, count: int = 1) -> list[Participant]:
        """Let participants join, calmly; they are live when this returns."""
        came = [self.invite() for _ in range(count)]
        if not self._simulation.wait_until(lambda: all(person.is_live or person.is_gone for person in came)):
            raise NotSettled(f"not joined after {SETTLE_MS:,.0f} ms: {came}")
        return came

    def invite(self) -> Participant:
        """Let a participant begin to join, and don't wait."""
        participant = Participant(self._world, self._plan, self._simulation.new_name())
        self.participants.append(participant)
        self._everybody.append(participant)
        return participant

    def leave(self, participant: Participant) -> None:
        """Let a participant leave properly."""
        participant.leave()
        self.participants.remove(participant)

    def kill(self, participant: Participant, *, delivered: bool = False) -> None:
        """Let a participant's kernel die; what it sent before is lost, unless it is `delivered`."""
        participant.kill(delivered=delivered)
        self.participants.remove(participant)

    # --- checking ------------------------------------------------------------------------------------------------

    def settle(self, *, saved: bool = True) -> None:
        """Let time pass calmly until everybody has executed everything and stands at the same entry and time.

        Args:
            saved: wait until everything is saved, too.

        Raises:
            NotSettled: it did not come to that; says what is missing.
        """
        if not self.participants:
            self.join()
        if not self._simulation.wait_until(lambda: not self._missing(saved)):
            raise NotSettled(f"not settled after {SETTLE_MS:,.0f} ms: {self._missing(saved)}")

    def assert_converged(self, *, saved: bool = True) -> None:
        """Settle, then compare the whole state of all replicas, byte for byte.

        Args:
            saved: everything the model wanted to save must be saved, too; without, it is not waited for.

        Raises:
            NotConverged: names the first path that differs, and both values.
            NotSettled: somebody did not catch up, or something was not saved.
        """
        self.settle(saved=saved)
        first, *others = self.participants
        for other in others:
            require_equal(other.name, other.replica, first.name, first.replica)

    def edit(self, model: type[Model], *, options: Mapping[str, Any] | None = None) -> None:
        """Edit the code: everything is saved, everybody leaves and joins with the edited class. The migration check.

        Args:
            model: the root model's class from now on.
            options: other options from now on; the same as before if not given.

        Raises:
            PersistedDataError: the edited `init` failed on the saved data; everybody is back with the code from before.
            MigrationFailed: it was not given what was saved last.
            NotSettled: something could not be saved, or somebody could not join.
        """
        self.settle()
        self.leave_all()
        head = self.head
        arguments = replace(self._plan.arguments, model=model)
        if options is not None:
            arguments = replace(arguments, options=options)
        before, self._plan = self._plan, replace(self._plan, arguments=arguments, code=code_of(model))
        seen = self._world.synchronizer.storage.load_run(arguments.persistent_id, self.session_id) is not None
        try:
            self.join(self.size)
        except PersistedDataError:
            for participant in self.participants:
                participant.kill()
            self.participants.clear()
            self._plan = before
            self.join(self.size)
            raise
        self.settle(saved=False)
        self._simulation.counters["code edits"] += 1
        run = self._world.synchronizer.find(arguments.persistent_id, self.session_id)
        # Code that ran before may go on where it was; code that is new begins with the newest version.
        expects_head = not seen and arguments.persisted == "latest"
        if head is not None and run is not None and expects_head and run.sequencer.record.origin < head.number:
            raise MigrationFailed(
                f"expected the edited {model.__name__} to begin with version {head.number}, the head, "
                f"it began with {run.sequencer.record.origin}"
            )

    def leave_all(self) -> None:
        """Let everybody leave properly, calmly."""
        for participant in list(self.participants):
            self.leave(participant)
        self._simulation.run_calmly(100.0)

    # --- inside --------------------------------------------------------------------------------------------------

    def _somebody(self) -> Participant:
        def there() -> bool:
            return any(person.has_replica for person in self.participants)

        if not self.participants:
            self.invite()
        if not self._simulation.wait_until(there):
            raise SessionClosed("nobody is in this room")
        return next(person for person in self.participants if person.has_replica)

    def _missing(self, saved: bool) -> str:
        """What keeps the room from being settled, or ""."""
        for person in self.participants:
            if not person.is_live:
                return f"{person.name} is not live: {person!r}"
            if person.executed_events < person.published_events:
                return f"{person.name} published {person.published_events} events and executed {person.executed_events}"
            if saved and person.has_pending_save:
                return f"{person.name} waits for a save"
        places = {(person.replica.seq, person.replica.time_ms) for person in self.participants}
        return f"replicas stand at different places: {sorted(places)}" if len(places) > 1 else ""


@contextmanager
def explained(simulation: Simulation) -> Iterator[None]:
    """Print the seed and what happened when what is inside fails."""
    try:
        yield
    except BaseException:
        print(simulation.explain())
        raise
