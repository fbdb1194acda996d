"""How much a replica does in a second, beside Croquet's JavaScript VM and a bare loop of Python.

All take turns in one run, round by round, and what is counted is time of the processor, because the machine may have
other work. Each does the same work with the same models: what it is, row by row, is in README.md. Then come the
snapshots of `snapshots.py`.

* ours: the modules a session runs, without sockets. As in a session, a deadline is asked for after each message.
* bare loop: what CPython takes when nothing is guarded, reported, ordered or can be restored. Nobody could use it.
* Croquet: the VM and the controller of its npm package, in Node.
"""

from __future__ import annotations

import argparse
import gc
import heapq
import os
import platform
import statistics
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count as count_from
from typing import Any, TypeAlias

import msgspec
import snapshots
from croquet_vm import CroquetVm

from msq_jupyter import protocol
from msq_jupyter.runtime.codehash import identify
from msq_jupyter.runtime.link import link
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.runtime.view import ViewEvents
from msq_jupyter.session.client import Client
from msq_jupyter.session.crypto import Keys, derive_root_key
from msq_jupyter.session.follower import Blueprint, Follower
from msq_jupyter.session.story import Story

#: As in croquet/vm.js.
CLOCKS = 100
PERIOD_MS = 10.0

VIEW = "ada"
SESSION = "session"
RUN = "run"
PORTION_S = 3600.0

#: What is measured: the method or message that does it, what it is called, and how often it is done in a round.
WORKS = (
    ("events", "events: decode, order, handler, publish, subscriber", 20_000),
    ("sealed", "catch-up of 100,000 events: unseal, and all of that", 100_000),
    ("publish", "model to model: publish, subscriber", 100_000),
    ("future", "future messages: each schedules the next", 50_000),
    ("repeat", "future messages: repeated ones", 50_000),
)


#: Does something so many times; gives how many seconds that took.
Work: TypeAlias = Callable[[int], float]


# --- the models, as in croquet/vm.js -----------------------------------------------------------------------------


class Counter(Model):
    def init(self, options: Any) -> None:
        self.total = 0
        self.partner = Partner.create()
        self.clocks = [Clock.create() for _ in range(CLOCKS)]
        self.subscribe("counter", "add", self.add)
        self.subscribe("counter", "burst", self.burst)

    def add(self, data: Any) -> None:
        self.total += data["by"]
        self.publish("counter", "added", self.total)

    def burst(self, count: int) -> None:
        for number in range(count):
            self.publish("counter", "added", number)


class Partner(Model):
    def init(self, options: Any) -> None:
        self.heard = 0
        self.subscribe("counter", "added", self.hear)

    def hear(self, total: int) -> None:
        self.heard += 1


class Clock(Model):
    def init(self, options: Any) -> None:
        self.ticks = 0
        self.subscribe("clocks", "start", self.start)
        self.subscribe("clocks", "repeat", self.repeat)
        self.subscribe("clocks", "stop", self.stop)

    def start(self, _: Any) -> None:
        self.future(PERIOD_MS).tick()

    def tick(self) -> None:
        self.ticks += 1
        self.future(PERIOD_MS).tick()

    def repeat(self, _: Any) -> None:
        self.future(every=PERIOD_MS).count()

    def count(self) -> None:
        self.ticks += 1

    def stop(self, _: Any) -> None:
        self.cancel_future("*")


CODE = link(identify(Counter, model_base=Model))


# --- ours --------------------------------------------------------------------------------------------------------


class Ours:
    """A replica that is fed as a session would feed it."""

    def __init__(self) -> None:
        self.replica = Replica(SESSION, RUN, CODE.models)
        self.replica.start(CODE.root, None)
        self.root: Any = self.replica.root
        self.works: dict[str, Work] = {
            "events": self._events,
            "sealed": self._sealed,
            "publish": self._publish,
            "future": lambda count: self._clocks("start", count),
            "repeat": lambda count: self._clocks("repeat", count),
        }

    def _events(self, count: int) -> float:
        blocks = [protocol.Block(entries) for entries in in_blocks(self._log("counter", "add", {"by": 2}, count))]
        before, pause = self.root.partner.heard, deadline()

        def work() -> None:
            for block in blocks:
                self.replica.follow(deque(protocol.decode_block(block)), pause)

        taken_s = seconds(work)
        expect(self.root.partner.heard - before, count)
        return taken_s

    def _sealed(self, count: int) -> float:
        """A newcomer, from the frames of the log to the models."""
        keys = Keys(derive_root_key(None, "id"), "id", SESSION)
        payload = self.replica.encode_publication("counter", "add", {"by": 2})
        log = [
            protocol.encode(protocol.Event(n, float(n), VIEW, n, keys.seal_event(RUN, VIEW, n, payload)))
            for n in range(1, count + 1)
        ]
        frames = [protocol.encode(protocol.Block(entries)) for entries in in_blocks(log)]
        client = Client(keys, protocol.Join(1, SESSION, "id", "bob", b"", b"", 20, 1000, "latest", "", -1))
        follower = Follower(client, keys, Blueprint(SESSION, "id", CODE, {}), ViewEvents(), Story())
        client.connected()
        client.received(protocol.encode(protocol.Welcome(RUN, False, None, None, 0, count, float(count), 0, 0)))
        pause = deadline()
        follower.step(pause)

        def work() -> None:
            for frame in frames:
                client.received(frame)
                follower.step(pause)

        taken_s = seconds(work)
        root: Any = follower.replica and follower.replica.root
        expect(root.partner.heard, count)
        return taken_s

    def _publish(self, count: int) -> float:
        before = self.root.partner.heard
        taken_s = seconds(lambda: self._tell("counter", "burst", count))
        expect(self.root.partner.heard - before, count)
        return taken_s

    def _clocks(self, event: str, count: int) -> float:
        self._tell("clocks", event)
        before = sum(clock.ticks for clock in self.root.clocks)
        until_ms, pause = self.replica.time_ms + count / CLOCKS * PERIOD_MS, deadline()
        taken_s = seconds(lambda: self.replica.advance(until_ms, pause))
        expect(sum(clock.ticks for clock in self.root.clocks) - before, count)
        self._tell("clocks", "stop")
        return taken_s

    def _tell(self, scope: str, event: str, data: Any = None) -> None:
        self.replica.apply(*map(protocol.decode_entry, self._log(scope, event, data, 1)))

    def _log(self, scope: str, event: str, data: Any, count: int) -> list[bytes]:
        """Events a millisecond apart, after what the replica has had."""
        replica = self.replica
        payload = replica.encode_publication(scope, event, data)
        counters = count_from(replica.counters.get(VIEW, 0) + 1)
        return [
            protocol.encode(protocol.Event(replica.seq + n, replica.time_ms + n, VIEW, next(counters), payload))
            for n in range(1, count + 1)
        ]


def in_blocks(log: list[bytes]) -> list[list[msgspec.Raw]]:
    size = protocol.BLOCK_ENTRIES_MAX
    return [[msgspec.Raw(entry) for entry in log[start : start + size]] for start in range(0, len(log), size)]


def deadline() -> Callable[[], bool]:
    """What a session asks between two messages."""
    deadline_s = time.monotonic() + PORTION_S
    return lambda: time.monotonic() > deadline_s


# --- a bare loop -------------------------------------------------------------------------------------------------


class Bare:
    """The same handlers and nothing around them: bound methods in a dict, tuples in a heap, MessagePack decoded."""

    def __init__(self) -> None:
        self.total = self.heard = self.ticks = 0
        self.handlers = {("counter", "add"): [self.add], ("counter", "added"): [self.hear]}
        self.heap: list[tuple[float, int, Callable[[], None]]] = []
        self.now_ms = 0.0
        self.orders = count_from()
        self.works = {"events": self._events, "publish": self._publish, "future": self._future}

    def add(self, data: Any) -> None:
        self.total += data["by"]
        self.publish("counter", "added", self.total)

    def hear(self, total: int) -> None:
        self.heard += 1

    def publish(self, scope: str, event: str, data: Any) -> None:
        for handler in self.handlers.get((scope, event), ()):
            handler(data)

    def tick(self) -> None:
        self.ticks += 1
        heapq.heappush(self.heap, (self.now_ms + PERIOD_MS, next(self.orders), self.tick))

    def _events(self, count: int) -> float:
        payload = msgspec.msgpack.encode(["counter", "add", {"by": 2}])
        log = [msgspec.msgpack.encode([n, float(n), payload]) for n in range(1, count + 1)]
        decode = msgspec.msgpack.Decoder().decode

        def work() -> None:
            last = 0
            for entry in log:
                seq, self.now_ms, payload = decode(entry)
                expect(seq, last + 1)
                last = seq
                self.publish(*decode(payload))

        return seconds(work)

    def _publish(self, count: int) -> float:
        def work() -> None:
            for number in range(count):
                self.publish("counter", "added", number)

        return seconds(work)

    def _future(self, count: int) -> float:
        self.heap, self.now_ms, self.ticks = [], 0.0, 0
        for clock in range(CLOCKS):
            self.heap.append((PERIOD_MS, clock, self.tick))
        heap, until_ms = self.heap, count / CLOCKS * PERIOD_MS

        def work() -> None:
            while heap[0][0] <= until_ms:
                self.now_ms, _, call = heapq.heappop(heap)
                call()

        taken_s = seconds(work)
        expect(self.ticks, count)
        return taken_s


# --- the run -----------------------------------------------------------------------------------------------------


def seconds(work: Callable[[], Any]) -> float:
    gc.collect()
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


def expect(found: int, expected: int) -> None:
    if found != expected:
        raise RuntimeError(f"expected {expected} messages to arrive, got {found}")


def measure(sides: dict[str, dict[str, Work]], rounds: int, divisor: int) -> dict[str, dict[str, float]]:
    """How often a second each side does each work, in the median of the rounds."""
    rates: dict[str, dict[str, float]] = {}
    for work, _, full_count in WORKS:
        count = full_count // divisor // CLOCKS * CLOCKS
        able = {name: works[work] for name, works in sides.items() if work in works}
        for do in able.values():
            do(count)  # to warm up: a compiler, caches
        times_s: dict[str, list[float]] = {name: [] for name in able}
        for _ in range(rounds):
            for name, do in able.items():
                times_s[name].append(do(count))
        rates[work] = {name: count / statistics.median(times) for name, times in times_s.items()}
    return rates


def table(rates: dict[str, dict[str, float]]) -> str:
    lines = [
        "| a second | ours | Croquet | bare loop | ours / Croquet | ours / bare |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for work, what, _ in WORKS:
        ours, croquet, bare = (rates[work].get(name) for name in ("ours", "Croquet", "bare loop"))
        assert ours is not None
        shown = [f"{rate:,.0f}" if rate else "" for rate in (ours, croquet, bare)]
        ratios = [f"{ours / rate:.2f}" if rate else "" for rate in (croquet, bare)]
        lines.append(f"| {' | '.join([what, *shown, *ratios])} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9, help="how often they take turns (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a tiny run that shows that it works, and no speed")
    parser.add_argument("--without-croquet", action="store_true", help="leave Croquet out")
    options = parser.parse_args()
    rounds, divisor = (1, 100) if options.quick else (options.rounds, 1)
    ours, bare = Ours(), Bare()
    sides: dict[str, dict[str, Work]] = {"ours": ours.works, "bare loop": bare.works}
    machine = f"{os.cpu_count()} CPUs, Python {platform.python_version()}"
    with ExitStack() as stack:
        croquet = None if options.without_croquet else stack.enter_context(CroquetVm())
        if croquet:
            sides["Croquet"] = {work: croquet.stopwatch(work) for work, _, _ in WORKS}
            machine += f", {croquet.versions}"
        print(table(measure(sides, rounds, divisor)))
        print(f"\n{machine}; medians of {rounds} rounds\n")
        snapshots.report(snapshots.QUICK if options.quick else snapshots.FULL, croquet)


if __name__ == "__main__":
    main()
