"""One schedule: a session's whole life in bad weather, decided by one seed."""

from __future__ import annotations

import random
from collections import Counter

from msq_jupyter import protocol
from msq_jupyter.synchronizer.sequencer import RESTART_GRACE_MS
from msq_jupyter.testing import Limits, Participant, Room, Simulation
from tests.simulation.program import DEEDS, EditedProgram, Program

#: What has to happen in every hundred schedules, or the others prove nothing.
REQUIRED = (
    *("cuts", "crashes", "restarts", "kills", "leaves", "late joins", "interrupts", "long cells", "disk failures"),
    *("resumes", "starts from a snapshot", "starts from init", "snapshots", "resent events", "joins", "exits"),
    *("events", "saves", "uploads", "versions", "patches", "fetched keyframes", "runs", "runs from a version"),
    *("code edits", "comparisons", "errors in handlers", "questions", "returns"),
    *("branches", "heads by compare-and-set", "heads that yielded", "heads taken over"),
    *("drafts", "promoted drafts", "promoted patches", "drafts promoted at a join", "drafts promoted at the last exit"),
    *("deaths with a draft", "deaths of everything"),
)


class Schedule:
    """Plays one schedule; raises when a promise is broken."""

    def __init__(self, seed: int) -> None:
        self.draw = draw = random.Random(f"schedule {seed}")
        limits = Limits(snapshot_entries=draw.choice((6, 20, 60)), tail_entries=draw.choice((4, 30, 200)))
        self.simulation = Simulation(seed, limits=limits)
        self.numbers: Counter[str] = Counter()
        self.asked = self.answered = 0

    def play(self) -> None:
        draw = self.draw
        rooms = [self.a_room(Program, draw.randint(1, 4))]
        if draw.random() < 0.25:
            rooms.append(self.a_room(EditedProgram, draw.randint(1, 2)))  # two code versions live at once
        self.busy_hours(rooms, draw.randint(8, 20))
        for room in rooms:
            self.check(room)
        if len(rooms) == 1:
            # One code makes one line: whatever happens, its newest version is the head.
            assert not self.simulation.counters["branches"]
            assert all(version.parent == version.number - 1 for version in rooms[0].versions)
        else:
            self.branch_off(rooms)
        if draw.random() < 0.3:
            self.leave_and_return(rooms[0], alone=len(rooms) == 1)
        if draw.random() < 0.5:
            self.edit(rooms[0], EditedProgram if len(rooms) == 1 else Program)
        elif len(rooms) == 1:
            self.die_and_edit(rooms[0])
        assert self.answered <= self.asked

    def a_room(self, model: type[Program], size: int) -> Room:
        draw = self.draw
        return self.simulation.room(
            model,
            size,
            tick_rate=draw.choice((1, 4, 10)),
            rejoin_limit_ms=draw.choice((0, 200, 1_000)),
            persist_interval_ms=draw.choice((0, 300, 2_000)),
            raise_errors=False,
        )

    def busy_hours(self, rooms: list[Room], rounds: int) -> None:
        draw = self.draw
        for _ in range(rounds):
            room = draw.choice(rooms)
            for _ in range(draw.choice((0, 1, 1, 3))):
                self.step(room.anybody())
            if draw.random() < 0.1:
                person = room.anybody()
                person.assign("note", f"{person.name} was here")
            if draw.random() < 0.1:
                self.asked += 1
                room.anybody().ask(protocol.ListVersions, self.on_answer)
            room.run(draw.choice((0, 10, 60, 250, 600)))

    def step(self, person: Participant, deed: str | None = None) -> None:
        self.numbers[person.name] += 1
        step = {"do": deed or self.draw.choice(DEEDS), "by": person.name, "number": self.numbers[person.name]}
        person.publish("program", "step", {**step, "amount": self.draw.randint(1, 30)})

    def on_answer(self, answer: protocol.Versions) -> None:
        self.answered += 1
        assert [version.number for version in answer.versions] == list(range(1, len(answer.versions) + 1))

    def check(self, room: Room) -> None:
        room.assert_converged()
        for person in room.participants:
            assert person.model.wrong == []
            assert set(person.model.people) == set(person.replica.views)
        assert [version.number for version in room.versions] == list(range(1, len(room.versions) + 1))
        assert all(0 <= version.parent < version.number for version in room.versions)

    def branch_off(self, rooms: list[Room]) -> None:
        """Both codes save, so one of them is on a branch; when the people of the other have left, it takes the head."""
        draw = self.draw
        for _ in range(2):
            for room in rooms:
                self.step(room.anybody(), "add")
                self.step(room.anybody(), "save")
                room.run(draw.choice((10, 250)))
        for room in rooms:
            self.check(room)
        leaving, staying = draw.sample(rooms, 2)
        leaving.leave_all()
        self.simulation.run_calmly(RESTART_GRACE_MS + 1_500)  # some were away when they left
        if leaving.participants:
            return  # the weather brought somebody back
        self.step(staying.anybody(), "add")
        self.step(staying.anybody(), "save")
        self.check(staying)
        head = staying.head
        assert head is not None
        assert head == staying.versions[-1]
        assert head.data["total"] == staying.model.total
        leaving.join()
        assert leaving.model.begun_with == head.data
        self.simulation.counters["heads taken over"] += 1

    def leave_and_return(self, room: Room, *, alone: bool) -> None:
        """Nobody is there for a while; whoever returns finds everything as it was, if no other code has saved since."""
        before = room.model
        total, timers = before.total, len(before.timers)
        room.leave_all()
        self.simulation.run_calmly(self.draw.choice((10, 70_000)))
        room.join(self.draw.randint(1, 3))
        self.check(room)
        if alone:
            assert (room.model.total, len(room.model.timers)) == (total, timers)
        self.simulation.counters["returns"] += 1

    def edit(self, room: Room, model: type[Program]) -> None:
        head = room.head
        assert head is not None
        session_id = room.session_id
        room.edit(model)
        if room.session_id != session_id and room.head == head:
            assert room.model.begun_with == head.data
            assert room.model.total == head.data["total"]
        self.busy_hours([room], 3)
        self.check(room)

    def die_and_edit(self, room: Room) -> None:
        """Everybody's kernel is killed soon after saves that wait for their time, then edited code comes."""
        draw, simulation, synchronizer = self.draw, self.simulation, self.simulation.synchronizer
        room.leave_all()
        room = simulation.room(
            Program, draw.randint(1, 3), persist_interval_ms=20_000, rejoin_limit_ms=1_000, raise_errors=False
        )
        for _ in range(3):
            self.step(room.anybody(), "save")
            room.run(draw.choice((300, 700, 900)))
        run = synchronizer.storage.load_run(room.persistent_id, room.session_id)
        for every in simulation.rooms:  # the weather brought some back to the one they had left
            for person in list(every.participants):
                every.kill(person)
        if synchronizer.is_up and draw.random() < 0.4:
            synchronizer.crash()
            synchronizer.start()
            simulation.counters["deaths of everything"] += 1
        simulation.run_calmly(draw.choice((0, 1_500, 6_000)))
        heir = self.a_room(EditedProgram, 1)
        if run is not None and run.draft is not None:
            simulation.counters["deaths with a draft"] += 1
            name, _, number = run.draft.save.save_id.rpartition(".")
            stored = synchronizer.storage.list_versions(room.persistent_id)
            places = [version.save_id.rpartition(".") for version in stored]
            # A save may have been on its way when its sender was killed.
            as_late = [index for index, place in enumerate(places) if place[0] == name and int(place[2]) >= int(number)]
            assert heir.model.begun_with == heir.versions[as_late[-1]].data
        self.check(heir)


def play(seed: int) -> Counter[str]:
    """Play a schedule; returns what happened. On a failure the seed is printed."""
    schedule = Schedule(seed)
    try:
        schedule.play()
    except BaseException:
        print(f"{schedule.simulation.explain()}\nrepeat it with: pytest tests/simulation --msq-seed {seed} -k one")
        raise
    return schedule.simulation.counters
