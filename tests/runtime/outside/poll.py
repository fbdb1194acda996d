"""A poll with every kind of value, for the tests of what cells and views see of models."""

from __future__ import annotations

import dataclasses
import enum
from collections import namedtuple

import pytest

from msq_jupyter.errors import ModelWriteError
from msq_jupyter.runtime.model import Model
from tests.runtime.bench import Bench


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Box:
    name: str
    things: list

    def put(self, thing):
        self.things.append(thing)

    def rename(self, name):
        self.name = name


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    x: int
    y: int


Point = namedtuple("Point", "x y")

VALUE_TYPES = (Colour, Rights, Box, Cell, Point)


class Part(Model):
    def init(self, options):
        self.values = [1]


class Base(Model):
    unit = "votes"
    CHOICES = ["yes", "no"]

    def total(self):
        return sum(self.votes.values())

    @property
    def most(self):
        return max(self.votes, key=self.votes.get)


class Poll(Base):
    speed = 1

    def init(self, options, persisted=None):
        self.votes = {"yes": 2, "no": 1}
        self.speed = 3
        self.deep = {"pages": [{"lines": ["a", "b"]}]}
        self.part = Part.create()
        self.be_well_known_as("poll")
        self.stuff = None
        self.subscribe("poll", "vote", self.vote)
        self.subscribe("poll", "set", self.set)
        self.subscribe("poll", "tell", self.tell)
        self.subscribe("poll", "wait", self.wait)
        self.subscribe("poll", "drop", self.drop)
        self.subscribe(self.session_id, "view-join", self.came)

    def vote(self, choice):
        self._count(choice)
        return self.votes

    def _count(self, choice):
        self.votes[choice] += 1

    def set(self, what):
        self.stuff = what

    def tell(self, what):
        self.stuff = [what]
        self.publish("out", "told", self.stuff)
        self.stuff.append("later")
        self.publish("out", "told again")
        self.stuff.append("last")

    def came(self, who):
        pass

    def wait(self, delay_ms):
        self.timer = self.future(delay_ms).bump()

    def drop(self, _):
        self.part.destroy()
        self.part = None

    def bump(self):
        self.speed += 1

    def forget(self):
        del self.speed

    def reset(self):
        self.votes = {}

    def total(self):
        return super().total() * 10

    def mine(self):
        return [self.votes, self.part, self.well_known_model("poll"), self.get_model("M2")]

    def grown(self):
        return [*sorted(self.votes), "maybe"]

    def everything(self):
        return list(self.__dict__)

    @property
    def yes(self):
        return self.votes["yes"]

    @yes.setter
    def yes(self, count):
        self.votes["yes"] = count

    @property
    def pace(self):
        return self.speed * 2

    @pace.setter
    def pace(self, value):
        self.speed = value / 2


def poll_bench():
    """A replica with a poll as its root, at time 0."""
    return Bench(Poll, Part, value_types=VALUE_TYPES)


def stored(bench, value):
    """What a cell reads of a value that the model holds."""
    bench.root.stuff = value
    bench.replica.moves += 1
    return bench.replica.outside.root.stuff


def state_of(bench):
    return bench.replica.snapshot()


def kinds_of(value):
    """The types in a value, from the outside in."""
    if isinstance(value, dict):
        return [type(value), *sorted(str(kinds_of(part)) for item in value.items() for part in item)]
    if isinstance(value, list | tuple | set | frozenset):
        return [type(value), *sorted(str(kinds_of(part)) for part in value)]
    if dataclasses.is_dataclass(value):
        return [type(value), *(kinds_of(getattr(value, field.name)) for field in dataclasses.fields(value))]
    return [type(value)]


def message_of(call):
    with pytest.raises(ModelWriteError) as caught:
        call()
    return str(caught.value)
