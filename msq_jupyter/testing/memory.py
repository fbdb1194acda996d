"""What the simulated synchronizer keeps in memory: its runs, who is in them, and its limits."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from msq_jupyter import protocol
from msq_jupyter.protocol import Join, Query
from msq_jupyter.synchronizer import audits as audits_module
from msq_jupyter.synchronizer import sequencer as sequencer_module
from msq_jupyter.synchronizer.sequencer import Sequencer, VersionIndex
from msq_jupyter.synchronizer.talk import Talk
from msq_jupyter.testing.network import Link
from msq_jupyter.testing.timeline import Timer

#: How long a run stays in memory when nobody is in it.
FORGET_AFTER_MS = 60_000.0
#: When those who are sent away at an orderly end shall connect again.
RETRY_AFTER_MS = 1_000.0
#: Entries read at once for a newcomer.
PORTION_ENTRIES = 64
#: Seconds since 1970 at virtual time 0: 2025-01-01.
EPOCH_S = 1_735_689_600.0


@dataclass(frozen=True)
class Limits:
    """When the synchronizer does what otherwise only long sessions see.

    Attributes:
        snapshot_entries: a snapshot is requested when more entries came since the last one.
        tail_entries: a replica that missed more starts again from a snapshot.
        audit_interval_ms: so long after something happened, replicas are compared.
        audit_entries: after so many entries, too.
    """

    snapshot_entries: int = 50
    tail_entries: int = 200
    audit_interval_ms: float = 400.0
    audit_entries: int = 20


@contextmanager
def in_force(limits: Limits) -> Iterator[None]:
    """Let the sequencer work with other limits than its own, for one call: nothing else runs meanwhile."""
    own = sequencer_module.SNAPSHOT_ENTRIES, sequencer_module.TAIL_ENTRIES_MAX
    own_audits = audits_module.AUDIT_INTERVAL_MS, audits_module.AUDIT_ENTRIES
    sequencer_module.SNAPSHOT_ENTRIES, sequencer_module.TAIL_ENTRIES_MAX = limits.snapshot_entries, limits.tail_entries
    audits_module.AUDIT_INTERVAL_MS, audits_module.AUDIT_ENTRIES = limits.audit_interval_ms, limits.audit_entries
    try:
        yield
    finally:
        sequencer_module.SNAPSHOT_ENTRIES, sequencer_module.TAIL_ENTRIES_MAX = own
        audits_module.AUDIT_INTERVAL_MS, audits_module.AUDIT_ENTRIES = own_audits


@dataclass(eq=False)
class Member:
    """A connection that is in a run; what it is sent waits in `held` until it listens."""

    number: int
    join: Join
    link: Link
    held: list[bytes] | None = field(default_factory=list)
    #: What it asked before its `Welcome` was out.
    questions: list[Query] = field(default_factory=list)
    welcomed: bool = False

    def send(self, message: protocol.Down) -> None:
        """Send one message, behind `Welcome` and the log."""
        self.write(protocol.encode(message))

    def write(self, frame: bytes) -> None:
        """Send a frame, behind `Welcome` and the log."""
        if self.held is None:
            self.link.down(frame)
        else:
            self.held.append(frame)


@dataclass(eq=False)
class Shelf:
    """What is in memory of one persistent id."""

    persistent_id: str
    password_check: bytes
    versions: VersionIndex
    waking: list[str] = field(default_factory=list)
    rooms: dict[str, LiveRun] = field(default_factory=dict)
    talk: Talk = field(default_factory=Talk)
    failed: bool = False


@dataclass(eq=False)
class LiveRun:
    """One run in memory."""

    sequencer: Sequencer
    shelf: Shelf
    sent_seq: int
    members: dict[int, Member] = field(default_factory=dict)
    listeners: dict[int, Member] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    timer: Timer | None = None
    forget_due_ms: float | None = None
    closed: bool = False


@dataclass(eq=False)
class Visitor:
    """A connection, from its first frame to its end."""

    link: Link
    joined: bool = False
    lost: bool = False
    run: LiveRun | None = None
    member: Member | None = None
    #: Frames that came before it was let in.
    early: list[bytes] = field(default_factory=list)
