"""What Prometheus reads at `/metrics`; needs the package `prometheus-client`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST as CONTENT_TYPE
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from msq_jupyter.synchronizer.counts import JOURNAL_MS_BOUNDS, Counts
from msq_jupyter.synchronizer.room import Room

__all__ = ["CONTENT_TYPE", "exposition"]

#: Name, attribute of `Counts`, and what it means.
_COUNTERS = (
    ("msq_connections", "connections", "Connections that were let in."),
    ("msq_refusals", "refusals", "Connections that were refused: token, limit, version, or what they said."),
    ("msq_entries", "entries", "Entries of logs that were written: events, members, versions, audits."),
    ("msq_saves", "saves", "Versions that were stored."),
    ("msq_received_bytes", "received_bytes", "Bytes of frames from members."),
    ("msq_sent_bytes", "sent_bytes", "Bytes of frames to all members of a session."),
    ("msq_journal_failures", "failures", "Transactions that could not be stored."),
    ("msq_slowed_frames", "slowed", "Frames after which a member had to wait for its limits."),
)


class _Collector(Collector):
    def __init__(self, counts: Counts, rooms: Iterable[Room]) -> None:
        self._counts = counts
        self._rooms = list(rooms)

    def collect(self) -> Iterator[Metric]:
        """Everything, at this moment."""
        yield GaugeMetricFamily("msq_sessions", "Sessions in memory.", len(self._rooms))
        yield GaugeMetricFamily("msq_members", "Connected members.", sum(room.member_count for room in self._rooms))
        for name, attribute, meaning in _COUNTERS:
            yield CounterMetricFamily(name, meaning, getattr(self._counts, attribute))
        bounds = [*(str(bound / 1_000) for bound in JOURNAL_MS_BOUNDS), "+Inf"]
        buckets = list(zip(bounds, map(float, accumulate(self._counts.journal)), strict=True))
        meaning = "Time of a transaction, from asking to the disk."
        yield HistogramMetricFamily("msq_journal_seconds", meaning, buckets, self._counts.journal_ms / 1_000)


def exposition(counts: Counts, rooms: Iterable[Room]) -> str:
    """The text that Prometheus reads."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(counts, rooms))
    return generate_latest(registry).decode()
