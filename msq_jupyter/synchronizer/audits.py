"""Whether the replicas of one run agree, without looking into them: who votes when, and what comes of it. Pure.

How to think about it. An `Audit` is an entry of the log, so every replica comes to it in the same state, or has gone
wrong. Each tells a digest that means nothing here but equality. One audit at a time is open:

| the audit          | all equal      | they differ                                                                   |
|--------------------|----------------|-------------------------------------------------------------------------------|
| plain              | over           | at once a disputed one, at which a member of the right group uploads          |
| disputed           | over           | a `Verdict` to all, behind the snapshot of the right group in the same turn   |
| with a snapshot    | it is stored   | the same as plain                                                             |

The right group is the largest one, and of equally large ones the one whose member has been there longest. A snapshot is
held back until its audit is over, and stored only if its uploader is in the right group. Members of other groups are
suspects: nothing they upload is taken until they have come back with a new replica, or have voted like the others.

A vote that comes late, from a kernel that was busy, is compared with what the others said then, as long as that is
remembered. A member that was not there when the audit was written does not vote on it.

Why not by the participants: each of them would have to hear all reports. Here nothing goes down while all is well, and
a hostile synchronizer gains nothing: a false verdict makes a participant fetch what it has already, and to withhold one
is no more than to withhold anything else.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from msq_jupyter.errors import ProtocolError
from msq_jupyter.protocol import AUDIT_PARTS_MAX, DIGEST_BYTES_MAX, Audit, Report, Snapshot, Verdict

#: While two or more are connected, an audit comes so long after the first entry since the last one, or after so many.
AUDIT_INTERVAL_MS = 5_000.0
AUDIT_ENTRIES = 256
#: The same after a version was stored: what it should have been is compared before anybody saves again.
AUDIT_AFTER_SAVE_MS = 1_000.0
#: An audit looks at about so many bytes of the models, by the size of the last snapshot.
PART_BYTES = 256 * 1024
#: How long members have for their reports, and the one that is asked for its snapshot.
AUDIT_WAIT_MS = 10_000.0
#: Disputed audits in a row at which a snapshot may be missing before those who differ start from an older one.
ATTEMPTS_MAX = 3
#: Audits that are over and remembered, for votes that come late.
AUDITS_KEPT = 16


@dataclass(slots=True)
class _Audit:
    entry: Audit
    due_ms: float
    waiting: set[str]
    reports: dict[str, bytes] = field(default_factory=dict)
    snapshot: Snapshot | None = None
    has_uploader: bool = False
    late: set[str] = field(default_factory=set)
    observers: set[str] = field(default_factory=set)
    right: bytes = b""
    is_stored: bool = False

    def is_complete(self, now_ms: float) -> bool:
        return now_ms >= self.due_ms or not (self.waiting or (self.has_uploader and self.snapshot is None))


@dataclass(frozen=True)
class Outcome:
    """What came of an audit: a snapshot to store, and what to tell everybody behind it."""

    snapshot: Snapshot | None
    verdict: Verdict | None


class Audits:
    """The votes of one run.

    Args:
        first_number: of the first audit; any number that is not the same after each restart.
    """

    def __init__(self, first_number: int) -> None:
        self._number = first_number
        self._parts = 1
        self._entries = 0
        self._due_ms = float("inf")
        self._not_before_ms = float("-inf")
        self._open: _Audit | None = None
        self._over: dict[int, _Audit] = {}
        self._disputed = False
        self._right: set[str] = set()
        self._suspects: set[str] = set()
        self._asked: set[str] = set()
        self._attempts = 0
        self._late_verdict: Verdict | None = None
        self._observed: list[tuple[str, Report]] = []
        # When each view came, counted: the longest there wins a tie. Of views from before a restart it is not known.
        self._ranks: dict[str, int] = {}
        self._next_rank = itertools.count(1)

    # --- who is there --------------------------------------------------------------------------------------------

    def came(self, view_id: str, *, has_new_replica: bool) -> None:
        """A view connected."""
        if view_id not in self._ranks:
            self._ranks[view_id] = next(self._next_rank)
        if has_new_replica:
            self._suspects.discard(view_id)

    def went(self, view_id: str) -> None:
        """A view is not connected any more, so nobody waits for what it would say."""
        self._asked.discard(view_id)
        if self._open is not None:
            self._open.waiting.discard(view_id)
            if self._open.entry.uploader == view_id and self._open.snapshot is None:
                self._open.has_uploader = False

    def left(self, view_id: str) -> None:
        """A view is out; should it come again, it comes as the last one."""
        self._ranks.pop(view_id, None)

    def is_suspect(self, view_id: str) -> bool:
        """Whether a view's replica is known to differ from the right ones."""
        return view_id in self._suspects

    # --- when ----------------------------------------------------------------------------------------------------

    def noticed(self, now_ms: float, *, entries: int = 1, is_save: bool = False) -> None:
        """Something happened: entries that are no audits were written."""
        self._entries += entries
        due_ms = now_ms + (AUDIT_AFTER_SAVE_MS if is_save else AUDIT_INTERVAL_MS)
        if due_ms < self._due_ms:
            self._due_ms = due_ms

    def deadline_ms(self, connected: int, *, has_voter: bool) -> float:
        """When there is something to do if nothing happens before; infinity for never.

        Args:
            connected: how many are.
            has_voter: any of them has a vote; without one no audit begins, however late it is.
        """
        if self._late_verdict is not None:
            return float("-inf")
        if self._open is not None:
            return self._open.due_ms if not self._open.is_complete(float("-inf")) else float("-inf")
        if not has_voter:
            return float("inf")
        if self._disputed:
            return self._not_before_ms
        return max(self._due_ms, self._not_before_ms) if connected > 1 else float("inf")

    def begin(
        self,
        seq: int,
        read_ms: Callable[[], float],
        now_ms: float,
        views: list[str],
        *,
        needs_snapshot: bool,
        observers: Sequence[str] = (),
    ) -> Audit | None:
        """The audit to write as entry `seq`, or None when it is not the time for one.

        Args:
            seq: of the entry.
            read_ms: tells session time.
            now_ms: the driver's clock, now.
            views: those connected that have a vote, the one longest there first.
            needs_snapshot: enough came since the last one.
            observers: those connected that may only read: what is right is not theirs to decide.
        """
        if self._open is not None or not views or now_ms < self._not_before_ms:
            return None
        is_due = len(views) + len(observers) > 1 and (now_ms >= self._due_ms or self._entries >= AUDIT_ENTRIES)
        if not (is_due or needs_snapshot or self._disputed):
            return None
        uploader = self._uploader(views) if needs_snapshot or self._disputed else ""
        if self._disputed and not uploader:
            # Nobody is there who could be asked: whoever differs starts from what is stored.
            self._late_verdict = self._verdict_without_the_right()
            return None
        entry = Audit(seq, read_ms(), self._number, self._parts, uploader, self._disputed)
        self._open = _Audit(
            entry, now_ms + AUDIT_WAIT_MS, set(views), has_uploader=bool(uploader), observers=set(observers)
        )
        self._number += 1
        self._entries, self._due_ms = 0, float("inf")
        return entry

    def stored(self, snapshot: Snapshot) -> None:
        """A snapshot is stored: its size tells how much an audit may look at."""
        self._parts = min(1 + len(snapshot.payload) // PART_BYTES, AUDIT_PARTS_MAX)

    def _uploader(self, views: list[str]) -> str:
        """Whom to ask for a snapshot: the one longest there of those that are right and were not asked in vain."""
        right = [view for view in views if view not in self._suspects and (not self._disputed or view in self._right)]
        fresh = [view for view in right if view not in self._asked]
        if right and not fresh:
            self._asked.clear()
            fresh = right
        return fresh[0] if fresh else ""

    # --- votes ---------------------------------------------------------------------------------------------------

    def report(self, view_id: str, report: Report) -> None:
        """A member says what its replica is like; about an audit nobody remembers, or twice, it says nothing.

        Raises:
            ProtocolError: what it says is no digest.
        """
        if not 0 < len(report.digest) <= DIGEST_BYTES_MAX:
            raise ProtocolError(
                f"expected a digest of 1 to {DIGEST_BYTES_MAX} bytes in a Report, got {len(report.digest):,}"
            )
        audit = self._open
        if audit is None or audit.entry.seq != report.seq:
            audit = self._over.get(report.seq)
        if audit is not None and view_id in audit.observers:
            audit.observers.remove(view_id)
            self._observed.append((view_id, report))
            return
        if audit is not None and audit is self._open:
            if view_id in audit.waiting:
                audit.waiting.remove(view_id)
                audit.reports[view_id] = report.digest
            return
        if audit is None or view_id not in audit.late:
            return
        audit.late.remove(view_id)
        audit.reports[view_id] = report.digest
        if audit.right and report.digest != audit.right:
            self._suspects.add(view_id)
            self._right = {view for view, digest in audit.reports.items() if digest == audit.right}
            if audit.entry.disputed and audit.is_stored:
                self._late_verdict = Verdict(report.seq, self._groups(audit))
            else:
                self._disputed = True
        elif audit.right:
            self._suspects.discard(view_id)

    def offer(self, view_id: str, snapshot: Snapshot) -> Snapshot | None:
        """A member uploads a snapshot of an audit; returned when it may be stored now."""
        audit = self._open
        if audit is not None and audit.entry.seq == snapshot.seq:
            if audit.entry.uploader == view_id:
                audit.snapshot = snapshot
            return None
        audit = self._over.get(snapshot.seq)
        # A large one on a slow line may come after another member was asked.
        if audit is None or audit.entry.uploader != view_id or audit.reports.get(view_id) != audit.right:
            return None
        audit.is_stored = True
        return snapshot

    def settle(self, now_ms: float) -> Outcome:
        """What has come of the open audit, if it is complete."""
        verdict, self._late_verdict = self._late_verdict, None
        audit = self._open
        if audit is None or not audit.is_complete(now_ms):
            return Outcome(None, verdict)
        self._open = None
        self._remember(audit)
        if audit.entry.disputed and self._right.isdisjoint(audit.reports):
            return Outcome(None, self._verdict_without_the_right())
        groups = self._groups(audit)
        uploader = audit.entry.uploader
        right = set(groups[0]) if groups else set()
        audit.right = audit.reports[groups[0][0]] if groups else b""
        snapshot = audit.snapshot if uploader in right else None
        audit.is_stored = snapshot is not None
        if audit.is_stored:
            self._asked.clear()
        elif uploader:
            self._asked.add(uploader)
        self._suspects -= right
        if len(groups) < 2:
            self._disputed = self._disputed and not groups
            return Outcome(snapshot, verdict)
        self._right = right
        self._suspects.update(*groups[1:])
        if not audit.entry.disputed:
            self._disputed, self._attempts = True, 0
            return Outcome(snapshot, verdict)
        # A participant whose code differs each time is not restored more often than this.
        self._not_before_ms = now_ms + AUDIT_INTERVAL_MS
        self._attempts += 1
        self._disputed = snapshot is None and self._attempts < ATTEMPTS_MAX
        if not self._disputed:
            verdict = Verdict(audit.entry.seq, groups)
        return Outcome(snapshot, verdict)

    def take_verdicts_of_observers(self) -> list[tuple[str, Verdict]]:
        """Whom of those without a vote to tell that it differs, and what; nobody else needs to hear of it."""
        waiting, told = [], []
        for view_id, report in self._observed:
            if self._open is not None and self._open.entry.seq == report.seq:
                waiting.append((view_id, report))
            elif (audit := self._over.get(report.seq)) and audit.right and audit.right != report.digest:
                right = [view for view, digest in audit.reports.items() if digest == audit.right]
                told.append((view_id, Verdict(report.seq, [right, [view_id]])))
        self._observed = waiting
        return told

    def _verdict_without_the_right(self) -> Verdict:
        self._disputed = False
        return Verdict(max(self._over), [sorted(self._right), sorted(self._suspects)])

    def _remember(self, audit: _Audit) -> None:
        audit.late, audit.waiting, audit.due_ms = audit.waiting, set(), 0.0
        self._over[audit.entry.seq] = audit
        if len(self._over) > AUDITS_KEPT:
            del self._over[next(iter(self._over))]

    def _groups(self, audit: _Audit) -> list[list[str]]:
        by_digest: dict[bytes, list[str]] = {}
        for view_id in sorted(audit.reports, key=self._rank):
            by_digest.setdefault(audit.reports[view_id], []).append(view_id)
        groups = sorted(by_digest.values(), key=lambda group: (-len(group), self._rank(group[0])))
        if audit.right:  # what was right stays right, whoever comes late
            groups.sort(key=lambda group: audit.reports[group[0]] != audit.right)
        return groups

    def _rank(self, view_id: str) -> tuple[int, str]:
        return self._ranks.get(view_id, 0), view_id
