"""A notebook of models that do everything a model may, in cells that `# %%` begins; it runs on every platform.

`simulation` links and runs it. The last cell holds what is the same everywhere only because it is linked.
"""

# ruff: noqa: E402

# %%
import dataclasses
import datetime
import enum
from decimal import Decimal
from math import floor, isfinite, sqrt
from typing import NamedTuple

from msq_jupyter import Model

WIDTH, HEIGHT = 320.0, 200.0
WORDS = ("ash", "birch", "Cedar", "élan", "fir", "雪", "maple")
PLAIN = {"ash", "fir", "maple", "yew"}


# %%
class Mood(enum.Enum):
    CALM = "calm"
    WILD = "wild"


class Trait(enum.Flag):
    FAST = 1
    SHY = 2
    LOUD = 4


class Sighting(NamedTuple):
    at_ms: float
    what: str


@dataclasses.dataclass
class Place:
    x: float
    y: float
    marks: list = dataclasses.field(default_factory=list)

    def move(self, dx: float, dy: float) -> float:
        self.x = (self.x + dx) % WIDTH
        self.y = (self.y + dy) % HEIGHT
        return sqrt(dx * dx + dy * dy)


@dataclasses.dataclass(frozen=True)
class Ring:
    number: int
    colour: str = "red"


class TooTired(Exception):
    def __init__(self, bird, need):
        super().__init__(f"{bird.name} needs {need}")
        self.need = need


def clipped(value, low=-50.0, high=50.0):
    return low if value < low else high if value > high else value


# %%
class Bird(Model):
    def init(self, options):
        self.flock = options["flock"]
        self.name = f"{self.choice(WORDS)}-{self.random_int(0, 999):03d}"
        self.place = Place(self.random() * WIDTH, self.random() * HEIGHT)
        self.speed = [self.random() * 40 - 20, self.random() * 40 - 20]
        self.energy = Decimal(self.random_int(100, 900)) / 10
        self.mood = Mood.CALM
        self.traits = Trait(self.random_int(0, 7))
        self.ring = Ring(self.random_int(1, 10**30))
        self.flown = 0.0
        self.unrest = self.random()
        self.diary = {}
        self.wing = self.future(every=37 + self.random_int(0, 50)).fly(0.05)
        self.subscribe("sky", "wind", self.blown)
        self.subscribe("sky", "*", self.notice)

    def fly(self, seconds):
        dx, dy = self.speed[0] * seconds, self.speed[1] * seconds
        self.flown += self.place.move(dx, dy)
        # Chaos: the last bit of a number is the first one a few dozen calls later.
        self.unrest = 3.9 * self.unrest * (1 - self.unrest) * (1 - abs(dx) % 1e-3)
        self.speed = [clipped(one * 1.01 + self.random() - 0.5) for one in self.speed]
        self.energy -= Decimal(round(self.flown % 1, 2)).quantize(Decimal("0.01"))
        if self.energy < 0:
            self.land()

    def land(self):
        self.mood = Mood.WILD if self.mood is Mood.CALM else Mood.CALM
        self.energy += 50
        self.traits ^= Trait.LOUD
        self.diary[self.now()] = Sighting(self.now(), f"landed at {self.place.x:.3f}, {self.place.y!r}, {self.energy}")
        self.diary = dict(list(self.diary.items())[-3:])

    def blown(self, data):
        force = data["force"]
        if Trait.SHY in self.traits and force > 7:
            raise TooTired(self, force)
        self.speed[0] += force / 3
        self.speed[1] -= force / 7

    def notice(self, data):
        self.place.marks.append((self.now(), *sorted(data)))
        del self.place.marks[:-2]


class Flock(Model):
    def init(self, options, persisted=None):
        self.birds = []
        self.seats = {}
        self.words = {}
        self.known = set()
        self.pairs = frozenset()
        self.log = []
        self.numbers = {"mean": 0.0, "drift": 0.1, "big": 1, "odd": -0.0}
        self.ends = []
        self.since = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
        self.subscribe("flock", "do", self.do)
        self.subscribe(self.session_id, "view-join", self.came)
        self.subscribe(self.session_id, "view-exit", self.went)
        self.weather = Weather.create()
        for _ in range(options["birds"]):
            self.hatch(0)

    def came(self, view_id):
        self.seats[view_id] = len(self.seats)

    def went(self, view_id):
        self.log.append((view_id, self.seats.pop(view_id)))

    def do(self, data):
        getattr(self, data["deed"])(data["amount"])
        del self.log[:-20]

    def hatch(self, amount):
        bird = Bird.create({"flock": self})
        self.birds.append(bird)
        bird.be_well_known_as(f"bird {amount % 5}")
        if len(self.birds) > 10:
            self.birds.pop(amount % 7).destroy()

    def wind(self, amount):
        self.publish("sky", "wind", {"force": amount, "from": WORDS[amount % 7]})

    def whistle(self, amount):
        self.publish("sky", f"tone {amount}", ["so", "la", str(amount)])

    def reckon(self, amount):
        numbers = self.numbers
        numbers["mean"] = (numbers["mean"] * 9 + amount / 3) / 10
        numbers["drift"] = numbers["drift"] * 1.0000001 + amount * 1e-9
        numbers["big"] = numbers["big"] * (amount + 3) % (10**40 + 7)
        numbers["odd"] = -numbers["odd"] if amount % 2 else float(f"{numbers['mean']:.4g}")
        numbers["low"] = floor(numbers["mean"]) // 2 + (amount << 3 ^ 5)
        numbers["text"] = f"{numbers['mean']!r} {numbers['drift']:.17g} {numbers['big']:x} {amount / 7:+.3e}"
        self.numbers = dict(sorted(numbers.items(), reverse=amount % 3 == 0))
        total = 0.0
        for bird in self.birds:
            total += bird.flown
        self.since += datetime.timedelta(milliseconds=amount, seconds=total)

    def spell(self, amount):
        word = WORDS[amount % 7] * (amount % 4) + str(amount)
        self.words[word.upper()] = word.encode()
        self.words[(word[::-1], len(word))] = bytearray(word.split("a")[0], "utf-8")
        while len(self.words) > 12:
            del self.words[next(iter(self.words))]
        self.words.setdefault("first", word)
        self.words["first"] = "|".join(sorted(map(str, self.words)))[:80]

    def meet(self, amount):
        word = self.choice(WORDS) + str(amount % 3)
        if word in self.known:
            self.known.discard(word)
        else:
            self.known.add(word)
        self.pairs = frozenset((one, len(one)) for one in self.known if one[:-1] in PLAIN) | {(None, amount % 2)}
        self.log.append(tuple(sorted(self.known))[:3])

    def stumble(self, amount):
        try:
            self.log.append(100 // (amount % 4))
            self.log.append({"a": 1}[WORDS[amount % 2]])
        except ZeroDivisionError as error:
            self.log.append(type(error).__name__)
        except KeyError as error:
            self.log.append(error.args[0])
            raise ValueError(amount) from error
        finally:
            self.log.append(amount)

    def forget(self, amount):
        handle = self.future(amount * 11).ring(amount)
        self.ends = [*self.ends[-2:], handle]
        if amount % 3 == 0:
            self.log.append((self.ends[0].cancel(), self.cancel_future(self.ring)))

    def ring(self, amount):
        self.log.append(("ring", self.now(), amount))
        self.shuffle(self.birds)
        if amount % 5 == 0:
            self.unsubscribe("sky", "echo") if amount % 2 else self.future(0).wind(amount)

    def share(self, amount):
        shared = [amount, {"to": None}]
        shared[1]["to"] = shared
        self.log.append(shared)
        self.log.append(self.log[-1] if amount % 2 else self.reckon)

    def endless(self, amount):
        huge = 1e308 * amount
        self.log.append((huge - huge, isfinite(huge), huge * 0, -huge))

    def save(self, amount):
        self.persist_session({"version": 1, "numbers": {k: v for k, v in self.numbers.items() if k != "big"}})


# %%
import cmath
import math
import random
import statistics
import time
import uuid


class Weather(Model):
    def init(self, options):
        self.days = [0.5, 20.0, 1e-3]
        self.clouds = {"cirrus", "stratus", "fog", 8, 0, None, (1, "z")}
        self.seen = frozenset(WORDS)
        self.front = (1.0, 2.0)
        self.diary = {}
        self.subscribe("flock", "do", self.turn)

    def turn(self, data):
        amount = data["amount"]
        self.WAYS[amount % len(self.WAYS)](self, amount, self.days[-1])
        del self.days[:-12]

    def bend(self, amount, day):
        self.days.append(math.sin(day * amount) * math.exp(math.cos(day)) + math.atan2(day, amount))
        self.days.append(math.tanh(day / 7) + math.log(amount + day * day) - math.cbrt(amount) * math.erf(day))

    def raise_to(self, amount, day):
        base = abs(day) + 0.1
        self.days.append((base**0.37 + base**-2 + 2.0**day % 3 + base ** (amount / 50)) % 1000)
        base **= 1.5
        front = complex(*self.front)
        front = front**2 / (abs(front) + base) + cmath.rect(1, day)
        self.front = (front.real, front.imag)

    def count(self, amount, day):
        self.days.append(sum(self.days) + sum(x * 0.1 for x in self.days))
        self.diary["spread"] = statistics.stdev(self.days), statistics.fmean(self.days), math.fsum(self.days)

    def gather(self, amount, day):
        word = random.choice(WORDS)
        self.clouds ^= {word, amount % 16, amount % 3 or None}
        self.clouds = {cloud for cloud in self.clouds if cloud != day} | {word[:2], amount % 8}
        while len(self.clouds) > 20:
            self.clouds.pop()
        self.diary["clouds"] = [str(cloud) for cloud in self.clouds - self.seen]
        self.diary["keys"] = list(self.diary.keys() | {"clouds", word, "keys"})[:5]

    def guess(self, amount, day):
        some = random.sample(sorted(WORDS), 3)
        self.days.append(random.gauss(0, 1) + random.expovariate(amount) + random.betavariate(2, 3))
        self.diary["guess"] = (some, random.randrange(10**20), str(uuid.uuid4()), hash(amount / 7), hash(2.5))

    def date(self, amount, day):
        self.diary["time"] = (time.time(), datetime.datetime.now().isoformat(), time.strftime("%Y-%j %H:%M:%S"))

    def slip(self, amount, day):
        self.diary["slips"] = amount
        hash(WORDS[0])

    WAYS = (bend, raise_to, bend, count, gather, guess, gather, date, slip)


DEEDS = ("hatch", "wind", "whistle", "reckon", "reckon", "spell", "meet", "meet", "stumble", "forget", "share")
RARE_DEEDS = ("endless", "save")
