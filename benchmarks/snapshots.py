"""How long a snapshot takes: a world of models, written and read, beside pickle and bare MessagePack.

The world is that of the design's measurements: each model has nine attributes, among them a list of two, a dict of
two and a reference to another model; two of the references make a circle. All take turns in one run, and the garbage
collector is as Python sets it up.

* ours: `Replica.snapshot` and `Replica.restore`, checks included.
* pickle 5: the same models, as one graph. What it reads may run anything, so it is a yardstick and no alternative.
* msgspec: the attributes alone, ids in place of references. It makes no models and checks nothing.
"""

from __future__ import annotations

import argparse
import gc
import pickle
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import msgspec

from msq_jupyter.runtime.model import REPLICA_ATTRIBUTE, Model
from msq_jupyter.runtime.replica import Replica


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
    began = time.perf_counter()
    result = call()
    return time.perf_counter() - began, result


def restored(snapshot: bytes) -> Replica:
    replica = new_replica()
    replica.restore(snapshot)
    return replica


class PlainBot:
    """What pickle gets: a model without its replica."""


def plain_graph(replica: Replica) -> list[PlainBot]:
    copies = {model: PlainBot() for model in replica.models.values()}
    for model, copy in copies.items():
        for name, value in model.__dict__.items():
            if name != REPLICA_ATTRIBUTE:
                twin = copies[value] if isinstance(value, Model) else value
                copy.__dict__[name] = list(twin) if type(twin) is list else dict(twin) if type(twin) is dict else twin
    return list(copies.values())


def plain_data(replica: Replica) -> list[dict[str, Any]]:
    return [
        {
            name: value.id if isinstance(value, Model) else value
            for name, value in model.__dict__.items()
            if name != REPLICA_ATTRIBUTE
        }
        for model in replica.models.values()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()

    replica = new_replica()
    replica.start(World, arguments.models)
    graph, data = plain_graph(replica), plain_data(replica)
    writers: dict[str, Callable[[], bytes]] = {
        "ours": replica.snapshot,
        "pickle 5": lambda: pickle.dumps(graph, protocol=5),
        "msgspec": lambda: msgspec.msgpack.encode(data),
    }
    readers: dict[str, Callable[[bytes], Any]] = {
        "ours": restored,
        "pickle 5": pickle.loads,
        "msgspec": msgspec.msgpack.decode,
    }
    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in writers}
    sizes = {}
    assert restored(replica.snapshot()).snapshot() == replica.snapshot()
    for _ in range(arguments.rounds):
        for name, write in writers.items():
            gc.collect()
            seconds, packed = timed(write)
            times[name][0].append(seconds)
            gc.collect()
            seconds, read = timed(lambda name=name, packed=packed: readers[name](packed))
            times[name][1].append(seconds)
            sizes[name] = len(packed)
            del packed, read

    peer = [statistics.median(column) for column in times["pickle 5"]]
    print(f"| {arguments.models:,} models | write us/model | / pickle | read us/model | / pickle | MB |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, columns in times.items():
        write, read = (statistics.median(column) for column in columns)
        shown = [write * 1e6 / arguments.models, write / peer[0], read * 1e6 / arguments.models, read / peer[1]]
        print(f"| {name} | {' | '.join(f'{number:.2f}' for number in shown)} | {sizes[name] / 1e6:.1f} |")
    print(f"\nPython {platform.python_version()}, medians of {arguments.rounds} rounds")


if __name__ == "__main__":
    main()
