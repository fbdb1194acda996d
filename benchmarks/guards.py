"""What it costs that cells and views cannot change a model: inside of the model, and outside.

* Model code: one method that reads and writes attributes, run on a model that cells look at between events, and on one
  that nobody ever looks at; and beside both the same function on an instance of a plain class.
* Outside: reading through `session.model`, right after an event and again, beside reading the model itself. The
  document is JSON data; beside its first reading stand `copy.deepcopy`, a round trip through pickle, and `json.dumps`.

All take turns in one run.
"""

from __future__ import annotations

import argparse
import copy
import json
import pickle
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.replica import Replica

SECTIONS = 2_600
STEPS = 20_000


def document() -> dict[str, Any]:
    """JSON data of about 877 kB, in about 8,000 containers."""
    sections = [
        {
            "id": f"s{number}",
            "title": f"Section {number}",
            "text": "The quick brown fox jumps over the lazy dog. " * 5,
            "tags": ["draft", f"tag{number % 17}"],
            "position": {"x": number * 0.5, "y": number % 40},
        }
        for number in range(SECTIONS)
    ]
    return {"version": 1, "title": "A document", "sections": sections}


def work(self: Any, steps: int) -> None:
    for step in range(steps):
        self.count += step
        self.votes["yes"] = self.count
        self.items.append(step)
        if len(self.items) > 100:
            self.items.clear()


class Desk(Model):
    """What cells look at."""

    def init(self, options: Any) -> None:
        self.count = 0
        self.votes = {"yes": 0, "no": 0}
        self.items: list[int] = []
        self.document = document()

    work = work

    def touch(self, _: Any) -> None:
        self.document["version"] += 1


class Unseen(Desk):
    """The same, and nobody looks at it. A class of its own, because looking makes a subclass."""

    work = work


class Plain:
    def __init__(self) -> None:
        # A model's attributes have been in a dict of Python's since long before there were guards.
        vars(self).update(count=0)
        self.votes = {"yes": 0, "no": 0}
        self.items: list[int] = []

    work = work


def timed(call: Callable[[], Any], times: int = 1) -> float:
    """Seconds of the processor for one call."""
    began = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - began) / times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=41)
    arguments = parser.parse_args()

    replica, other = (Replica("session", "run", {"Desk": Desk, "Unseen": Unseen}) for _ in range(2))
    replica.start(Desk, None)
    other.start(Unseen, None)
    raw: Any = replica.root
    plain, model = Plain(), replica.outside.root

    def event(name: str, data: Any = None) -> None:
        replica.call(raw, name, data)

    def look_and_work() -> float:
        _ = (model.count, model.votes, model.items)
        return timed(lambda: event("work", STEPS)) / STEPS * 1e9

    def read_votes() -> float:
        event("touch")
        _ = model.items  # so that the document's old copy is gone already
        event("touch")
        return timed(lambda: model.votes["yes"]) * 1e6

    def read_document() -> float:
        event("touch")
        return timed(lambda: model.document["version"]) * 1e3

    rows: dict[str, tuple[str, Callable[[], float]]] = {
        "the same on a plain class": ("ns a step", lambda: timed(lambda: plain.work(STEPS)) / STEPS * 1e9),
        "model code nobody looks at": (
            "ns a step",
            lambda: timed(lambda: other._call(other.root, "work", STEPS)) / STEPS * 1e9,
        ),
        "model code that cells look at": ("ns a step", look_and_work),
        "`.count` of the model itself": ("ns", lambda: timed(lambda: raw.count, 10_000) * 1e9),
        "`session.model.count`": ("ns", lambda: timed(lambda: model.count, 10_000) * 1e9),
        "`session.model.votes['yes']`, again": ("ns", lambda: timed(lambda: model.votes["yes"], 10_000) * 1e9),
        "`session.model.votes['yes']`, after an event": ("us", read_votes),
        "`session.model.document['version']`, after an event": ("ms", read_document),
        "copy.deepcopy of the document": ("ms", lambda: timed(lambda: copy.deepcopy(raw.document)) * 1e3),
        "pickle of the document, there and back": (
            "ms",
            lambda: timed(lambda: pickle.loads(pickle.dumps(raw.document))) * 1e3,
        ),
        "json.dumps of the document": ("ms", lambda: timed(lambda: json.dumps(raw.document)) * 1e3),
    }
    times: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(arguments.rounds):
        for name, (_, measure) in rows.items():
            times[name].append(measure())
    print(f"| document of {len(json.dumps(raw.document)) / 1e3:.0f} kB | median | |")
    print("|---|---:|---|")
    for name, (unit, _) in rows.items():
        print(f"| {name} | {statistics.median(times[name]):.1f} | {unit} |")
    print(f"\nPython {platform.python_version()}, medians of {arguments.rounds} rounds, time of the processor")


if __name__ == "__main__":
    main()
