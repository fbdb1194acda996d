"""How a newcomer gets the past: in portions, until it has what the others were sent, and listens from then on."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from msq_jupyter import protocol
from msq_jupyter.synchronizer.arrivals import from_snapshot
from msq_jupyter.synchronizer.blocks import blocks_of
from msq_jupyter.testing.memory import PORTION_ENTRIES, LiveRun, Member
from msq_jupyter.testing.storage import MemoryStorage


class CatchUp:
    """Reads the log for one member.

    Args:
        run: which it came to.
        member: the newcomer.
        storage: where the log is.
        wait_for_disk: calls something when the disk has answered.
        welcomed: called when the complete `Welcome` is out.
    """

    def __init__(
        self,
        run: LiveRun,
        member: Member,
        storage: MemoryStorage,
        wait_for_disk: Callable[[Callable[[], None]], None],
        welcomed: Callable[[protocol.Welcome], None],
    ) -> None:
        self._run = run
        self._member = member
        self._storage = storage
        self._wait_for_disk = wait_for_disk
        self._welcomed = welcomed

    def begin(self, welcome: protocol.Welcome) -> None:
        """Send `Welcome`, then the log."""
        self._wait_for_disk(lambda: self._welcome(welcome))

    def _welcome(self, welcome: protocol.Welcome) -> None:
        complete = self._complete(welcome)
        self._member.link.down(protocol.encode(complete))
        self._member.welcomed = True
        self._welcomed(complete)
        self._read(complete.after_seq)

    def _read(self, seq: int) -> None:
        run, member = self._run, self._member
        if seq < run.sent_seq:
            until_seq = min(run.sent_seq, seq + PORTION_ENTRIES)
            portion = self._storage.read_entries(run.sequencer.record.run, seq, until_seq)
            self._wait_for_disk(lambda: self._hand_over(seq, portion))
        elif run.members.get(member.number) is member:
            # In this very moment it becomes a listener: no gap, and no entry twice.
            run.listeners[member.number] = member
            held, member.held = member.held or [], None
            for frame in held:
                member.link.down(frame)

    def _hand_over(self, seq: int, portion: list[bytes]) -> None:
        for block in blocks_of(portion):
            self._member.link.down(protocol.encode(block))
        self._read(seq + len(portion))

    def _complete(self, welcome: protocol.Welcome) -> protocol.Welcome:
        """Add what the sequencer does not have: earlier runs, the newest snapshot, or the origin."""
        if welcome.resumed:
            return welcome
        join = self._member.join
        if join.have_run not in ("", welcome.run):
            counter = self._storage.read_counter(join.have_run, join.view_id)
            welcome = msgspec.structs.replace(welcome, earlier_counter=counter)
        snapshot = self._storage.read_snapshot(welcome.run)
        if snapshot:
            return from_snapshot(welcome, snapshot)
        record = self._run.sequencer.record
        if not record.origin:
            return welcome
        version, base = self._storage.read_with_base(record.persistent_id, record.origin)
        return msgspec.structs.replace(welcome, origin=version, origin_base=base)
