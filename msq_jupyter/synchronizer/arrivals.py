"""Where a new run starts, and what a newcomer is sent. Pure: the synchronizer and its twin in `testing` share it."""

from __future__ import annotations

import msgspec

from msq_jupyter.protocol import Join, Refused, Snapshot, Welcome
from msq_jupyter.synchronizer.sequencer import VersionIndex

WRONG_PASSWORD = Refused(
    "wrong_password",
    "this name is in use here with another password: give the one that the others use, or another name",
)


def origin_of(join: Join, versions: VersionIndex) -> int | Refused:
    """Number of the version that a run starts from whose first member says `join`, 0 for none; or why it cannot."""
    if isinstance(join.persisted, str):
        return versions.head if join.persisted == "latest" else 0
    if not 1 <= join.persisted <= versions.newest:
        reason = f"expected persisted to be a version from 1 to {versions.newest}, got {join.persisted}"
        return Refused("no_such_version", reason)
    return join.persisted


def from_snapshot(welcome: Welcome, snapshot: Snapshot) -> Welcome:
    """Let a newcomer begin with the newest snapshot, which may be newer than the one known of when it came."""
    return msgspec.structs.replace(
        welcome,
        snapshot=snapshot,
        after_seq=snapshot.seq,
        live_seq=max(welcome.live_seq, snapshot.seq),
        live_time_ms=max(welcome.live_time_ms, snapshot.time_ms),
    )
