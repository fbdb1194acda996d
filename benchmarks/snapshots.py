"""How long a snapshot takes: a world of models, written and read, beside pickle and bare MessagePack.

The world is that of the design's measurements: each model has nine attributes, among them a list of two, a dict of
two and a reference to another model; two of the references make a circle. All take turns in one run, and the garbage
collector is as Python sets it up. What is counted is time of the processor, because the machine may have other work.

* ours: `Replica.snapshot` and `Replica.restore`, checks included.
* pickle 5: the same models, as one graph. What it reads may run anything, so it is a yardstick and no alternative.
* msgspec: the attributes alone, ids in place of references. It makes no models and checks nothing.
* Croquet, when `replica.py` runs this: `JSON.stringify(vm.snapshot())`, and a new VM of what `JSON.parse` makes of it.
"""

from __future__ import annotations

import argparse
import gc
import pickle
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from croquet_vm import CroquetVm

from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.replica import Replica

#: How many models, and how many rounds of that.
FULL = {1_000: 101, 100_000: 9, 1_000_000: 1}
#: More models than this are left out for Croquet, so that the run ends within minutes.
CROQUET_MODELS_MAX = 100_000
QUICK = {100: 1}


class Bot(Model):
    def init(self, options: Any) -> None:
        number = options
        self.name = f"bot {number}"
        self.x = number * 0.5
        self.y = number / 3
        self.energy = number % 100
        self.score = number * 1000
        self.alive = number % 2 == 0
        self.path = [number, number + 1]
        self.style = {"colour": "red", "size": number % 7}
        self.friend: Bot | None = None


class World(Model):
    def init(self, options: Any) -> None:
        bots = [Bot.create(number) for number in range(options)]
        # One circle, of two; a long one would be too deep for pickle.
        for bot, friend in zip(bots, [bots[1], *bots], strict=False):
            bot.friend = friend


def new_replica() -> Replica:
    return Replica("session", "run", {"World": World, "Bot": Bot})


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    began_s = time.process_time()
    result = call()
    return time.process_time() - began_s, result


def restored(snapshot: bytes) -> Replica:
    replica = new_replica()
    replica.restore(snapshot)
    return replica


class PlainBot:
    """What pickle gets: a model without its replica."""


def plain_graph(replica: Replica) -> list[PlainBot]:
    copies = {model: PlainBot() for model in replica.models.values()}
    for model, copy in copies.items():
        copy.__dict__["id"] = model.id
        for name, value in model.__dict__.items():
            copy.__dict__[name] = copies[value] if isinstance(value, Model) else alone(value)
    return list(copies.values())


def plain_data(replica: Replica) -> list[dict[str, Any]]:
    return [
        {"id": model.id}
        | {name: value.id if isinstance(value, Model) else alone(value) for name, value in model.__dict__.items()}
        for model in replica.models.values()
    ]


def alone(value: Any) -> Any:
    """A container of the peers' own: one that two have would take longer to write."""
    return value.copy() if type(value) in (list, dict) else value


class Times:
    """Seconds of each round, and bytes, by who was measured."""

    def __init__(self) -> None:
        self.write_s: dict[str, list[float]] = {}
        self.read_s: dict[str, list[float]] = {}
        self.sizes: dict[str, int] = {}

    def note(self, name: str, write_s: float, read_s: float, size_bytes: int) -> None:
        self.write_s.setdefault(name, []).append(write_s)
        self.read_s.setdefault(name, []).append(read_s)
        self.sizes[name] = size_bytes

    def rows(self, models: int) -> list[str]:
        peer = [statistics.median(times["pickle 5"]) for times in (self.write_s, self.read_s)]
        rows = []
        for name, size_bytes in self.sizes.items():
            write, read = statistics.median(self.write_s[name]), statistics.median(self.read_s[name])
            shown = [write * 1e6 / models, write / peer[0], read * 1e6 / models, read / peer[1]]
            rows.append(f"| {models:,} | {name} | {' | '.join(f'{n:.2f}' for n in shown)} | {size_bytes / 1e6:.1f} |")
        return rows


def measure(models: int, rounds: int, croquet: CroquetVm | None) -> Times:
    """All of them in turns, once unmeasured to warm up."""
    replica = new_replica()
    replica.start(World, models)
    graph, data = plain_graph(replica), plain_data(replica)
    coders: dict[str, tuple[Callable[[], bytes], Callable[[bytes], Any]]] = {
        "ours": (replica.snapshot, restored),
        "pickle 5": (lambda: pickle.dumps(graph, protocol=5), pickle.loads),
        "msgspec": (lambda: msgspec.msgpack.encode(data), msgspec.msgpack.decode),
    }
    packed = replica.snapshot()
    assert restored(packed).snapshot() == packed
    if croquet:
        croquet.do("grow", models)
        croquet.do("snapshot")
    times = Times()
    for _ in range(rounds):
        for name, (write, read) in coders.items():
            gc.collect()
            write_s, packed = timed(write)
            gc.collect()
            read_s, made = timed(lambda read=read, packed=packed: read(packed))
            times.note(name, write_s, read_s, len(packed))
            del packed, made
        if croquet:
            times.note("Croquet", **croquet.do("snapshot"))
    return times


def report(sizes: Mapping[int, int], croquet: CroquetVm | None) -> None:
    """Print the table: for each number of models, of so many rounds."""
    print("| models | | write us/model | / pickle | read us/model | / pickle | MB |")
    print("|---:|---|---:|---:|---:|---:|---:|")
    for models, rounds in sizes.items():
        peer = croquet if models <= CROQUET_MODELS_MAX else None
        print("\n".join(measure(models, rounds, peer).rows(models)), flush=True)
    print(f"\nPython {platform.python_version()}, medians of {', '.join(map(str, sizes.values()))} rounds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", type=int, help="one size only")
    parser.add_argument("--rounds", type=int, default=9, help="of that size (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a tiny run that shows that it works, and no speed")
    options = parser.parse_args()
    report({options.models: options.rounds} if options.models else QUICK if options.quick else FULL, None)


if __name__ == "__main__":
    main()
