"""What a replica is like at one place of the log, in a few bytes: equal replicas find the same. Pure.

Three things, each costing more than the one before:

* always, what the replica counts (a few microseconds): session time, ids given, the random stream, how much is
  scheduled, subscribed and saved;
* always, the models: all of them in a small world, in a large one those of one part, another part at each audit, so
  that a difference that stays is found within `AUDIT_PARTS_MAX` audits, though each of them looks at little;
* where somebody uploads a snapshot, the whole state.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from msq_jupyter import protocol
from msq_jupyter.errors import StateError
from msq_jupyter.runtime.state import write_models

if TYPE_CHECKING:
    from msq_jupyter.runtime.replica import Replica

#: A part has at least so many models: looking at them takes a few tenths of a millisecond.
PART_MODELS = 128


@dataclass(frozen=True)
class Audited:
    """A replica came to an audit, with everything due until then done.

    Attributes:
        entry: where, and what for.
        findings: the same for equal replicas; it goes through a keyed digest before it leaves the participant.
        state: the whole state, where somebody uploads a snapshot.
        error: why there is no such state.
    """

    entry: protocol.Audit
    findings: bytes
    state: bytes | None = None
    error: StateError | None = None


def audit(replica: Replica, entry: protocol.Audit) -> Audited:
    """Look at a replica that has just come to `entry`."""
    state, error = None, None
    if entry.uploader:
        try:
            state = replica.snapshot()
        except StateError as wrong:
            error = wrong
    whole = _hash(state) if state is not None else error.path if error else None
    findings = msgspec.msgpack.encode([_counts(replica), _part(replica, entry), whole])
    return Audited(entry, findings, state, error)


def _counts(replica: Replica) -> list[object]:
    last = replica.last_save
    schedule = replica.schedule
    return [
        *(replica.seq, replica.time_ms, replica.next_model, len(replica.models), replica.random.state),
        *(len(schedule), schedule.next_handle_id, schedule.next_order, len(replica.topics), len(replica.well_known)),
        *(list(replica.views), replica.save_count, replica.content_id),
        *([(save.save_id, save.content_id, save.kept) for save in replica.saves], last and last.number),
        [(view_id, restore.restore_id, len(restore.content)) for view_id, restore in replica.restores.items()],
    ]


def _part(replica: Replica, entry: protocol.Audit) -> bytes | str:
    parts = min(max(entry.parts, replica.next_model // PART_MODELS, 1), protocol.AUDIT_PARTS_MAX)
    numbers = range(entry.number % parts, replica.next_model, parts)
    found = (replica.models.get(f"M{number}") for number in numbers)
    try:
        return _hash(write_models(replica, [model for model in found if model is not None]))
    except StateError as error:
        return error.path  # the same on every replica that is like this one; the author is told by others


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()
