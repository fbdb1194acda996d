"""One participant's part in keeping the replicas equal: what it reports, and where it had gone wrong. Pure.

How a difference is located. When replicas were found to differ, the next audit is a disputed one: each replica computes
its whole state there, and a right one uploads it. A replica that differs keeps its state of that place, throws itself
away, joins again, and gets the state of the right one, of the same place. So it has both, and compares them: nothing
has to be asked of anybody, there is no limit to the size, and a synchronizer that lies about a difference achieves that
a participant fetches what it has.
"""

from __future__ import annotations

from dataclasses import dataclass

from msq_jupyter import protocol
from msq_jupyter.runtime.audit import Audited
from msq_jupyter.runtime.differences import Difference, difference_of_snapshots
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.session.crypto import Keys


@dataclass(frozen=True)
class Divergence:
    """This participant's replica was wrong, and is restored.

    Attributes:
        right_view_id: whose state it was restored from, or one of those who were right.
        others: everybody else in the dispute.
        difference: where it was; None when that could not be told, because there was no state of the same place.
        was_equal: the states of the place were the same: the verdict was wrong.
    """

    right_view_id: str
    others: list[str]
    difference: Difference | None
    was_equal: bool = False


class Agreement:
    """Reports, and compares after a verdict.

    Args:
        keys: make digests, open snapshots.
        view_id: who we are.
    """

    def __init__(self, keys: Keys, view_id: str) -> None:
        self._keys = keys
        self._view_id = view_id
        self._kept: tuple[str, protocol.Audit, bytes] | None = None
        self._verdict: protocol.Verdict | None = None

    def report(self, run: str, audited: Audited) -> protocol.Report:
        """What to tell the synchronizer of a replica that came to an audit."""
        entry = audited.entry
        if self._verdict is None:
            is_kept = entry.disputed and audited.state is not None
            self._kept = (run, entry, audited.state or b"") if is_kept else None
        return protocol.Report(entry.seq, self._keys.audit_digest(run, entry.seq, audited.findings))

    def accuses_us(self, verdict: protocol.Verdict) -> bool:
        """Whether our replica has to be made anew."""
        if any(self._view_id in group for group in verdict.groups[1:]):
            self._verdict = verdict
            return True
        self._kept = None
        return False

    def compare(self, welcome: protocol.Welcome, replica: Replica) -> Divergence | None:
        """What had been wrong with the replica before the one that a welcome has brought; None when nothing was.

        Args:
            welcome: as it came.
            replica: the new one; not touched.

        Raises:
            SealBroken: the snapshot was changed.
        """
        verdict, self._verdict = self._verdict, None
        kept, self._kept = self._kept, None
        if verdict is None:
            return None
        others = [view_id for group in verdict.groups for view_id in group if view_id != self._view_id]
        right_view_id = verdict.groups[0][0] if verdict.groups[0] else ""
        snapshot = welcome.snapshot
        if kept is None or snapshot is None or (kept[0], kept[1].seq) != (welcome.run, snapshot.seq):
            return Divergence(right_view_id, others, None)
        run, entry, mine = kept
        theirs = self._keys.open_snapshot(run, snapshot.seq, snapshot.payload)
        try:
            difference = difference_of_snapshots(replica, mine, theirs)
        except Exception:
            # `__repr__` of the author's own types may raise anything; the replica is restored all the same.
            return Divergence(entry.uploader or right_view_id, others, None)
        return Divergence(entry.uploader or right_view_id, others, difference, was_equal=difference is None)
