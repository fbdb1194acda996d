"""A model that does whatever its events say, and notices what nobody may do to it."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

from msq_jupyter import Model

#: Does not compress, and never changes: with it in the data, a version is best stored as a patch of another one.
BALLAST = "".join(chr(33 + place**3 % 89 + place**2 % 5) for place in range(400))


class Mood(Enum):
    CALM = 1
    WILD = "w"


class Spot(NamedTuple):
    x: float
    at: Any = None


@dataclass
class Page:
    text: str
    parts: list[Any] = field(default_factory=list)


def treasure(owner, amount):
    """A value of one of the kinds that a model may hold."""
    kinds = (
        lambda: [None, True, amount, -amount, 2**70 + amount, "", "ä\ud800"],
        lambda: [amount / 7, -0.0, float("nan"), float("-inf")],
        lambda: [b"x" * amount, bytearray(b"y"), (amount, (amount,)), {1: "a", (2, amount): None, "b": {}}],
        lambda: {frozenset({amount, "z"}), "y", 3},
        lambda: [datetime.datetime(2026, 1, 1 + amount % 28, fold=amount % 2), datetime.timedelta(amount, 1, 2)],
        lambda: [datetime.date(2026, 1, 1), datetime.time(1, 2, tzinfo=datetime.timezone.utc), Decimal(amount) / 7],
        lambda: [Mood.CALM, Spot(amount, Mood.WILD), Page("p", [amount, owner]), {Mood.WILD: Spot(1)}],
        lambda: [owner, owner.add, owner.timers[-1:], {owner: owner.timers[-1:]}],
    )
    return kinds[amount % len(kinds)]()


class Leaf(Model):
    """A child of a child; it knows its parent, so that models refer to each other in circles."""

    def init(self, options):
        self.parent = options["parent"]
        self.heard = []
        self.subscribe("leaf", "*", self.listen)

    def listen(self, data):
        self.heard = [*self.heard[-3:], data]

    def bloom(self):
        self.parent.blooms += 1
        self.parent.leaves.remove(self)
        self.destroy()


class Branch(Model):
    def init(self, options):
        self.blooms = 0
        self.beats = 0
        self.leaves = [Leaf.create({"parent": self}) for _ in range(options["leaves"])]
        self.pulse = self.future(every=options["beat_ms"]).beat()

    def beat(self):
        self.beats += 1
        if self.beats > 4:
            self.pulse.cancel()
        elif self.leaves:
            self.leaves[-1].future(7).bloom()

    def fell(self):
        for leaf in self.leaves:
            leaf.destroy()
        self.destroy()


class Program(Model):
    def init(self, options, persisted=None):
        self.begun_with = persisted
        self.total = persisted["total"] if persisted else 0
        self.trace = persisted["trace"] if persisted else 0
        self.done = {}
        self.wrong = []
        self.people = []
        self.branches = []
        self.timers = []
        self.note = ""
        self.blob = b""
        self.chest = {}
        self.ratio = Decimal(1)
        self.marks = set()
        self.ring = [1, {"two": (2.5, -0.0, None)}]
        self.ring.append(self.ring)
        self.subscribe("program", "step", self.step)
        self.subscribe("*", "echo", self.echoed)
        self.subscribe(self.session_id, "view-join", self.came)
        self.subscribe(self.session_id, "view-exit", self.went)
        if persisted is None:
            self.save()

    def came(self, view_id):
        if view_id in self.people:
            self.wrong.append(f"{view_id} came twice")
        self.people.append(view_id)
        self.note_down(len(self.people) + self.view_count * 100)

    def went(self, view_id):
        if view_id not in self.people:
            self.wrong.append(f"{view_id} went without having come")
        self.people.remove(view_id)

    def step(self, data):
        by, number = data["by"], data["number"]
        if by not in self.people:
            self.wrong.append(f"{by} speaks and is not there")
        if number != self.done.get(by, number - 1) + 1:
            self.wrong.append(f"step {number} of {by} after step {self.done[by]}")
        self.done[by] = number
        self.note_down(number)
        getattr(self, data["do"])(data["amount"])

    def note_down(self, what):
        self.trace = (self.trace * 31 + what + int(self.now())) % 1_000_003

    def add(self, amount):
        self.total += amount

    def save(self, amount=0):
        self.total += amount
        self.persist_session(lambda: {"version": 1, "total": self.total, "trace": self.trace, "ballast": BALLAST})

    def roll(self, amount):
        self.total += self.random_int(0, amount)
        self.shuffle(self.people)
        self.marks.add(self.choice(["red", "green", "blue", amount]))

    def fail(self, amount):
        self.total += amount
        self.publish("any", "echo", amount)
        raise ValueError(f"meant to fail with {amount}")

    def wait(self, amount):
        self.timers = [*self.timers[-3:], self.future(amount * 3).ring_out(amount)]
        self.future(0).note_down(amount)

    def ring_out(self, amount):
        self.note_down(amount)
        if amount % 3 == 0:
            self.save()
        if amount % 5 == 0:
            raise KeyError(amount)

    def cancel(self, amount):
        self.total += self.cancel_future(self.ring_out) if amount % 2 else bool(self.timers and self.timers[0].cancel())

    def grow(self, amount):
        self.branches.append(Branch.create({"leaves": amount % 4, "beat_ms": 40 + amount}))
        self.branches[-1].be_well_known_as("newest")
        if len(self.branches) > 3:
            self.branches.pop(0).fell()

    def tell(self, amount):
        newest = self.well_known_model("newest")
        self.publish("leaf", str(amount), {"amount": amount, "who": newest and newest.id})

    def echoed(self, data):
        self.note_down(data)

    def deafen(self, amount):
        if amount % 2:
            self.unsubscribe("*", "echo")
        else:
            self.unsubscribe("*", "echo")
            self.subscribe("*", "echo", self.echoed)

    def store(self, amount):
        self.chest.pop(amount % 3, None)  # so that the order of keys changes, too
        self.chest[amount % 3] = treasure(self, amount)

    def share(self, amount):
        shared = self.chest.setdefault("shared", [self.ring])
        shared.append(amount)
        del shared[1:-3]
        newest = self.well_known_model("newest")
        if newest:
            newest.held = shared
            self.future(amount).take(newest.id, shared)

    def take(self, branch_id, shared):
        branch = self.get_model(branch_id)
        if branch and branch.held is shared:
            shared.append("taken")

    def compute(self, amount):
        self.ratio = self.ratio / 3 + Decimal(amount) / 7

    def rush(self, amount):
        self.note_down(amount)
        if amount % 6:
            self.future(0).rush(amount - 1)

    def quarrel(self, amount):
        """Three hear it; the first sends the second away, ends a branch, and lets the third come again."""
        for handler in (self.start_quarrel, self.flee, self.calm_down):
            self.unsubscribe("quarrel", "starts", handler)
            self.subscribe("quarrel", "starts", handler)
        self.publish("quarrel", "starts", amount)

    def start_quarrel(self, amount):
        self.unsubscribe("quarrel", "starts", self.flee)
        if amount % 2:
            self.unsubscribe("quarrel", "starts", self.calm_down)
            self.subscribe("quarrel", "starts", self.calm_down)
        if amount % 5 == 0 and self.branches:
            self.branches.pop().fell()
        if amount > 20:
            self.publish("quarrel", "starts", amount - 7)

    def flee(self, amount):
        self.wrong.append("somebody fled who was sent away before")

    def calm_down(self, amount):
        self.note_down(amount)

    def rename(self, amount):
        """Attributes come and go: their order is state."""
        note = self.note
        del self.note
        self.note = note

    def swell(self, amount):
        self.blob = bytes([amount]) * (amount * 40)


class EditedProgram(Program):
    """The same after an edit of the code: it saves more."""

    def save(self, amount=0):
        self.total += amount
        data = {"version": 2, "total": self.total, "trace": self.trace, "people": len(self.people)}
        self.persist_session({**data, "ballast": BALLAST})


#: What a step may do, the frequent things more than once.
DEEDS = (
    *("add", "add", "save", "save", "roll", "fail", "wait", "wait", "cancel", "grow", "tell", "deafen", "swell"),
    *("store", "store", "share", "compute", "rush", "quarrel", "rename"),
)
