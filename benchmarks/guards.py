"""What it costs that cells and views cannot change a model: inside of the model, and outside.

* Model code: one method that reads and writes attributes, run by the replica for an event and called on an instance of
  a plain class. Model code has the models themselves, so both should take the same time.
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
    def init(self, options: Any) -> None:
        self.count = 0
        self.votes = {"yes": 0, "no": 0}
        self.items: list[int] = []
        self.document = document()
        self.subscribe("desk", "work", self.work)
        self.subscribe("desk", "touch", self.touch)

    work = work

    def touch(self, _: Any) -> None:
        self.document["version"] += 1


class Plain:
    def __init__(self) -> None:
        self.count = 0
        self.votes = {"yes": 0, "no": 0}
        self.items: list[int] = []

    work = work


def timed(call: Callable[[], Any], times: int = 1) -> float:
    """Seconds for one call."""
    began = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - began) / times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=41)
    arguments = parser.parse_args()

    replica = Replica("session", "run", {"Desk": Desk})
    replica.start(Desk, None)
    raw: Any = replica.root
    plain, model = Plain(), replica.outside.root

    def event(name: str, data: Any = None) -> None:
        replica._call(raw, name, data)

    def after_an_event(read: Callable[[], Any]) -> Callable[[], float]:
        def measure() -> float:
            event("touch")
            return timed(read)

        return measure

    rows: dict[str, tuple[str, Callable[[], float]]] = {
        "plain class: read and write": ("ns a step", lambda: timed(lambda: plain.work(STEPS)) / STEPS * 1e9),
        "model code: read and write": ("ns a step", lambda: timed(lambda: event("work", STEPS)) / STEPS * 1e9),
        "model itself: `.count`": ("ns", lambda: timed(lambda: raw.count, 10_000) * 1e9),
        "session.model: `.count`": ("ns", lambda: timed(lambda: model.count, 10_000) * 1e9),
        "session.model: `.votes['yes']`, again": ("ns", lambda: timed(lambda: model.votes["yes"], 10_000) * 1e9),
        "session.model: `.votes['yes']`, after an event": (
            "us",
            lambda: after_an_event(lambda: model.votes["yes"])() * 1e6,
        ),
        "session.model: `.document['version']`, after an event": (
            "ms",
            lambda: after_an_event(lambda: model.document["version"])() * 1e3,
        ),
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
    print(f"\nPython {platform.python_version()}, medians of {arguments.rounds} rounds")


if __name__ == "__main__":
    main()
