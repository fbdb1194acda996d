"""What binding a notebook to a model costs: a text that two people type into, reading, and what follows the model.

* Two people edit one text at the same moment, two hundred characters and deletions a round, each before the other's are
  there. `SharedText`, with the event and the save of each edit, beside a text of pycrdt, which sends updates both ways.
* Reading an attribute through `session.model` while no live cell runs, and while one does, which notes what is read.

All take turns in one run; `widgets.py` prints it.
"""

from __future__ import annotations

import platform
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

from pycrdt import Doc, Text

from msq_jupyter import protocol
from msq_jupyter.ready import SharedText
from msq_jupyter.runtime.codehash import identify
from msq_jupyter.runtime.link import link
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.replica import Replica

CODE = link(identify(SharedText, model_base=Model))
EDITS = 100


class Ours:
    """Two replicas and the order of a synchronizer."""

    def __init__(self, text: str) -> None:
        self.replicas = [Replica("session", "run", CODE.models) for _ in range(2)]
        for replica in self.replicas:
            replica.start(CODE.root, {"text": text})
        self.sent: list[tuple[int, bytes]] = []
        self.size = self.seq = 0
        self.counters = [0, 0]
        for place, replica in enumerate(self.replicas):
            replica.outside.send = lambda payload, _, place=place: self.sent.append((place, payload))

    def edit(self, place: int, at: float, count: int, text: str) -> None:
        model: Any = self.replicas[place].outside.root
        length = len(model.text)
        start = int(at * length)
        model.replace(start, min(count, length - start), text)

    def exchange(self) -> None:
        sent, self.sent = self.sent, []
        for place, payload in sent:
            self.seq += 1
            self.counters[place] += 1
            self.size += len(payload)
            for replica in self.replicas:
                replica.apply(protocol.Event(self.seq, float(self.seq), f"view {place}", self.counters[place], payload))

    @property
    def texts(self) -> list[str]:
        return [str(replica.outside.root.text) for replica in self.replicas]


class Pycrdt:
    """Two documents that send each other updates."""

    def __init__(self, text: str) -> None:
        self.docs = [Doc(), Doc()]
        self.all: list[Any] = [doc.get("text", type=Text) for doc in self.docs]
        self.all[0] += text
        self.docs[1].apply_update(self.docs[0].get_update())
        self.sent: list[tuple[int, bytes]] = []
        self.size = 0
        self._own = True
        self._watches = [
            doc.observe(lambda event, place=place: self._own and self.sent.append((place, event.update)))
            for place, doc in enumerate(self.docs)
        ]

    def edit(self, place: int, at: float, count: int, text: str) -> None:
        shared = self.all[place]
        length = len(shared)
        start = int(at * length)
        with self.docs[place].transaction():
            if count:
                del shared[start : min(start + count, length)]
            if text:
                shared.insert(start, text)

    def exchange(self) -> None:
        sent, self.sent = self.sent, []
        self._own = False
        for place, update in sent:
            self.size += len(update)
            self.docs[1 - place].apply_update(update)
        self._own = True

    @property
    def texts(self) -> list[str]:
        return [str(text) for text in self.all]


def type_together(kind: Callable[[str], Any], text: str, seed: int) -> tuple[float, float]:
    """Processor time in microseconds and bytes, both for one edit."""
    dice = random.Random(seed)
    both = kind(text)
    began_s = time.process_time()
    for _ in range(EDITS):
        for place in (0, 1):
            word = dice.choice(("a", "word ", ""))
            both.edit(place, dice.random(), 0 if word else 3, word)
        both.exchange()
    took_s = time.process_time() - began_s
    assert both.texts[0] == both.texts[1]
    return took_s * 1e6 / (2 * EDITS), both.size / (2 * EDITS)


def read(times: int) -> tuple[float, float]:
    """Nanoseconds for reading a number, not noted and noted."""
    replica = Replica("session", "run", CODE.models)
    replica.start(CODE.root, None)
    root = replica.outside.root

    def loop() -> float:
        began_s = time.process_time()
        for _ in range(times):
            _ = root.revision
        return (time.process_time() - began_s) * 1e9 / times

    plain = loop()
    with replica.outside.recording():
        return plain, loop()


def print_tables(rounds: int, reads_per_round: int) -> None:
    """Measure, and print two tables as Markdown.

    Args:
        rounds: how often ours and the peer take turns.
        reads_per_round: how often an attribute is read.
    """
    print("| two people in one text | µs an edit | bytes an edit |\n|---|---:|---:|")
    for size in (1_000, 100_000):
        text = "lorem ipsum " * (size // 12)
        results: dict[str, list[tuple[float, float]]] = {"ours": [], "pycrdt": []}
        for seed in range(rounds):
            for name, kind in (("ours", Ours), ("pycrdt", Pycrdt)):
                results[name].append(type_together(kind, text, seed))
        for name, found in results.items():
            micros, size_bytes = (statistics.median(column) for column in zip(*found, strict=True))
            print(f"| {size:,} characters, {name} | {micros:,.0f} | {size_bytes:,.0f} |")

    reads = [read(reads_per_round) for _ in range(rounds)]
    plain, noted = (statistics.median(column) for column in zip(*reads, strict=True))
    print("\n| reading an attribute | ns |\n|---|---:|")
    print(f"| no live cell runs | {plain:,.0f} |\n| in a live cell | {noted:,.0f} |")
    print(f"\nMedians of {rounds} rounds, processor time; Python {platform.python_version()}.")
