"""A replica whose model code "runs": what stands in for `random` and `time` asks which one that is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from msq_jupyter.runtime.model import set_running_replica
from msq_jupyter.runtime.replica import Replica


@contextmanager
def running(seed: str = "session", time_ms: float = 0.0) -> Iterator[Replica]:
    replica = Replica(seed, "run", {})
    replica.time_ms = time_ms
    previous = set_running_replica(replica)
    try:
        yield replica
    finally:
        set_running_replica(previous)
