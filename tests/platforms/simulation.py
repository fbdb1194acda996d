"""Thousands of events through a replica, and a digest of its whole state after every so many of them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

from msq_jupyter import protocol
from msq_jupyter.runtime.codehash import CodeIdentity, identify
from msq_jupyter.runtime.happenings import HandlerFailed
from msq_jupyter.runtime.link import LinkedCode, link
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.runtime.snapshot import pack_value
from tests.runtime.test_codehash_cases import notebook

CELLS = Path(__file__).with_name("world.py").read_text(encoding="utf-8").split("# %%\n")[1:]

#: After so many events a replica made from a snapshot goes on in place of the one so far.
RESTORE_EVERY = 1000


class World:
    """The notebook of `world`, run as cells, and replicas of it."""

    def __init__(self) -> None:
        with notebook(CELLS) as main:
            self.identity: CodeIdentity = identify(main.Flock, model_base=Model)
            self.code: LinkedCode = link(self.identity)
            self.deeds: tuple[str, ...] = main.DEEDS * 3 + main.RARE_DEEDS

    def replica(self) -> Replica:
        code = self.code
        return Replica("platforms", "run", code.models, value_types=code.value_types, originals=code.originals)

    def started(self) -> Replica:
        replica = self.replica()
        replica.start(self.code.root, {"birds": 4})
        return replica


def entries(world: World, count: int) -> Iterator[protocol.Entry]:
    """A log of `count` entries, the same every time: three views that come, act and go."""
    draw = random.Random("a log for every platform")
    encoder = world.replica()
    counters: dict[str, int] = {}
    present: list[str] = []
    time_ms = 0.0
    for seq in range(1, count + 1):
        time_ms += draw.randrange(0, 2500) / 128
        if not present or draw.randrange(200) == 0:
            views = ["ada", "bob", "cyd"]
            exits = [view for view in present if draw.randrange(3) == 0]
            joins = [view for view in views if view not in present]
            present = [view for view in present if view not in exits] + joins
            cards = [(view, pack_value({"label": view}, "card")) for view in joins]
            yield protocol.Membership(seq, time_ms, exits, cards)
            continue
        view = draw.choice(present)
        counters[view] = counters.get(view, 0) + 1
        data = {"deed": draw.choice(world.deeds), "amount": draw.randrange(1, 100)}
        yield protocol.Event(seq, time_ms, view, counters[view], encoder.encode_publication("flock", "do", data))


def simulate(count: int, every: int, after: int | None = None) -> Iterator[tuple[str, str]]:
    """Names and digests of the replica's state and of what its models raised.

    Args:
        count: events to run.
        every: how many events lie between two digests, each of which depends on all before it.
        after: from this event on there is a digest after every event, of nothing but that event.
    """
    world = World()
    replica = world.started()
    chain = hashlib.sha256(replica.snapshot())
    yield "event 0", chain.hexdigest()[:16]
    for entry in entries(world, count):
        assert replica.apply(entry)
        # The text of an exception differs between versions of Python, its class does not.
        told = " ".join(
            f"{happening.model}.{happening.method} {type(happening.error).__name__}"
            for happening in replica.happenings
            if isinstance(happening, HandlerFailed)
        )
        replica.happenings.clear()
        chain.update(told.encode())
        is_late = after is not None and entry.seq > after
        if entry.seq % every and not is_late:
            continue
        snapshot = replica.snapshot()
        chain.update(snapshot)
        digest = hashlib.sha256(told.encode() + snapshot) if is_late else chain
        yield f"event {entry.seq}", digest.hexdigest()[:16]
        if entry.seq % RESTORE_EVERY == 0:
            replica = world.replica()
            replica.restore(snapshot)
            assert replica.snapshot() == snapshot
