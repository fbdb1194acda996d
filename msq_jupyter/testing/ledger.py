"""The ledger of a simulation: what was published, written and told, checked in the moment it happens.

It knows what nobody in the simulation knows, and compares:

* every log is dense, and its time never shrinks, also over crashes;
* an event is in the logs once, as the participant published it, and in the order in which it did;
* every participant is given a prefix of its run's log, and a time that never shrinks;
* every replica wants to save the same content under the same id, and that content is what is stored;
* content that was uploaded as a draft is in the versions, it or what came after it, when nobody is left to save it;
* a version becomes the head, or the tip of a branch, by the rule of 5.6 (see `heads`);
* replicas that stand at the same entry and time are equal byte for byte.
"""

from __future__ import annotations

import zlib
from collections import Counter, OrderedDict
from dataclasses import dataclass, field

import msgspec

from msq_jupyter import protocol
from msq_jupyter.runtime.differences import first_difference, twin_of
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.session import client as client_module
from msq_jupyter.session.crypto import Keys, derive_root_key
from msq_jupyter.session.versions import open_content
from msq_jupyter.stable import bytes_digest
from msq_jupyter.synchronizer.records import Draft, RunRecord, Writes, as_stored
from msq_jupyter.synchronizer.sequencer import Turn
from msq_jupyter.testing.faults import InvariantBroken, NotConverged
from msq_jupyter.testing.heads import HeadBook

#: One in so many places of the log at which replicas are compared.
COMPARED_PLACES = 8
#: Snapshots kept for comparison.
STATES_KEPT = 200


@dataclass
class RunBook:
    """What is known of one run: its log, with payloads opened, and the newest time anybody was told."""

    record: RunRecord
    keys: Keys
    entries: list[protocol.Entry] = field(default_factory=list)
    counters: Counter[str] = field(default_factory=Counter)
    told_ms: float = 0.0
    present: set[str] = field(default_factory=set)
    draft: Draft | None = None


@dataclass
class Witness:
    """What one participant has been told: which run it is in, and the newest time."""

    name: str
    run: str = ""
    known_ms: float = 0.0

    def learn(self, time_ms: float) -> None:
        """It is told a time."""
        if time_ms < self.known_ms:
            raise InvariantBroken(f"time went back for {self.name}, from {self.known_ms} to {time_ms} ms")
        self.known_ms = time_ms


class Ledger:
    """Checks, and counts.

    Attributes:
        counters: how often what happened; proof that a run was not vacuous.
        published: by view, the payloads it published.
        logged: by view, how many of them are in a log.
        heads: knows which versions became the head.
    """

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self.published: dict[str, list[bytes]] = {}
        self.logged: Counter[str] = Counter()
        self._books: dict[str, RunBook] = {}
        self._earlier: dict[tuple[str, str], int] = {}
        self._arrived: Counter[tuple[str, str]] = Counter()
        self._wanted: dict[str, str] = {}
        self.heads = HeadBook(self.counters)
        self._versions: dict[tuple[str, int], protocol.StoredVersion] = {}
        self._sources: set[tuple[str, str]] = set()
        self._states: OrderedDict[tuple[str, int, float], tuple[str, bytes]] = OrderedDict()

    # --- the synchronizer's side ---------------------------------------------------------------------------------

    def arrived(self, run: str, view_id: str, message: protocol.Up) -> None:
        """The synchronizer hears a message."""
        if isinstance(message, protocol.Send):
            for counter, _ in message.events:
                if counter <= self._arrived[run, view_id]:
                    self.counters["resent events"] += 1
                self._arrived[run, view_id] = max(counter, self._arrived[run, view_id])
        elif isinstance(message, protocol.Save):
            self.counters["uploads"] += 1
        elif isinstance(message, protocol.Report):
            self.counters["reports"] += 1

    def written(self, writes: Writes) -> None:
        """A turn of a run is stored."""
        if writes.opened:
            record, _ = writes.opened
            keys = Keys(derive_root_key(None, record.persistent_id), record.persistent_id, record.session_id)
            self._books[record.run] = RunBook(record, keys)
            self.counters["runs"] += 1
            self.counters["runs from a version"] += record.origin > 0
        book = self._books[writes.run]
        for encoded in writes.entries:
            self._write_down(book, protocol.decode_entry(encoded))
        for number, _, save in writes.versions:
            self._check_version(book, number, save)
        self._check_draft(book, writes)
        if writes.snapshot:
            self.counters["snapshots"] += 1

    def told(self, turn: Turn) -> None:
        """A turn is being sent."""
        if turn.tick:
            book = self._books[turn.writes.run]
            if turn.tick.time_ms < book.told_ms:
                raise InvariantBroken(f"a tick says {turn.tick.time_ms} ms after {book.told_ms} ms were told")
            book.told_ms = turn.tick.time_ms

    def welcomed(self, welcome: protocol.Welcome) -> None:
        """Somebody is welcomed."""
        kind = "resumes" if welcome.resumed else "starts from a snapshot" if welcome.snapshot else "starts from init"
        self.counters[kind] += 1

    def _write_down(self, book: RunBook, entry: protocol.Entry) -> None:
        if entry.seq != len(book.entries) + 1:
            raise InvariantBroken(f"expected entry {len(book.entries) + 1} of {book.record.run}, got {entry.seq}")
        if entry.time_ms < book.told_ms:
            raise InvariantBroken(
                f"entry {entry.seq} of {book.record.run} is of {entry.time_ms} ms, after {book.told_ms} ms were told"
            )
        book.told_ms = entry.time_ms
        if isinstance(entry, protocol.Event):
            entry = self._opened(book, entry)
            self.counters["events"] += 1
        elif isinstance(entry, protocol.Membership):
            self.counters["exits"] += len(entry.exits)
            self.counters["joins"] += len(entry.joins)
            joins = [(view_id, book.keys.open_view_data(view_id, data)) for view_id, data in entry.joins]
            entry = protocol.Membership(entry.seq, entry.time_ms, entry.exits, joins)
        elif isinstance(entry, protocol.Audit):
            self.counters["audits"] += 1
            self.counters["disputed audits"] += entry.disputed
        else:
            self.counters["saves"] += 1
        book.entries.append(entry)

    def _opened(self, book: RunBook, entry: protocol.Event) -> protocol.Event:
        view_id, run = entry.view_id, book.record.run
        if entry.counter != book.counters[view_id] + 1:
            raise InvariantBroken(
                f"expected event {book.counters[view_id] + 1} of {view_id} in {run}, got event {entry.counter}"
            )
        book.counters[view_id] = entry.counter
        plain = book.keys.open_event(run, view_id, entry.counter, entry.payload)
        number = self._earlier[run, view_id] + entry.counter
        if plain != self.published[view_id][number - 1]:
            raise InvariantBroken(f"event {number} of {view_id} is not what was published")
        if number != self.logged[view_id] + 1:
            raise InvariantBroken(
                f"event {number} of {view_id} is executed after event {self.logged[view_id]}, "
                f"as entry {entry.seq} of {run}: every event is executed once, in order"
            )
        self.logged[view_id] = number
        return protocol.Event(entry.seq, entry.time_ms, view_id, entry.counter, plain)

    def _check_version(self, book: RunBook, number: int, save: protocol.Save) -> None:
        persistent_id = book.record.persistent_id
        version = as_stored(number, 0.0, save)
        self._versions[persistent_id, number] = version
        base = self._versions[persistent_id, save.base] if save.base else None
        content_id = bytes_digest(open_content(book.keys, version, base))
        if content_id != self._wanted.get(save.save_id):
            if not self.counters["flips"]:
                raise InvariantBroken(f"version {number} is not what the replicas wanted to save as {save.save_id}")
            self.counters["versions of a flipped replica"] += 1
        self.counters["versions"] += 1
        self.counters["patches"] += base is not None
        self._sources |= {(persistent_id, save.source_id)} if save.source else set()
        if (persistent_id, save.source_id) not in self._sources:
            raise InvariantBroken(f"version {number} is stored without its source")

    def _check_draft(self, book: RunBook, writes: Writes) -> None:
        for view in writes.views:
            (book.present.add if view.present else book.present.discard)(view.view_id)
        before = book.draft
        if writes.draft is not msgspec.UNSET:
            book.draft = writes.draft
            self.counters["drafts"] += writes.draft is not None
        promoted = [save.save_id for _, _, save in writes.versions if save.draft]
        self.counters["promoted drafts"] += len(promoted)
        self.counters["promoted patches"] += sum(save.draft and save.base > 0 for _, _, save in writes.versions)
        self.counters["drafts promoted at the last exit"] += len(promoted) if not book.present else 0
        kept = {_place(save.save_id) for _, _, save in writes.versions}
        if book.draft is not None:
            kept.add(_place(book.draft.save.save_id))
        if before is not None and not any(place >= _place(before.save.save_id) for place in kept):
            if not self.counters["flips"]:
                raise InvariantBroken(f"{before.save.save_id} was dropped, and neither it nor a later save is stored")
            self.counters["drafts of a flipped replica"] += 1
        if book.draft is not None and not book.present:
            raise InvariantBroken(f"everybody has left {book.record.run}, and {book.draft.save.save_id} is no version")

    # --- the participants' side ----------------------------------------------------------------------------------

    def publish(self, view_id: str, payload: bytes) -> None:
        """A participant was told that this is sent."""
        self.published.setdefault(view_id, []).append(payload)

    def see(self, witness: Witness, happening: client_module.Happening) -> None:
        """A participant's client received something.

        Raises:
            InvariantBroken: an entry is not the next one of the log, or time went back.
        """
        if isinstance(happening, client_module.Welcomed):
            witness.run = happening.welcome.run
            self._earlier[witness.run, witness.name] = happening.earlier_events
            if not happening.welcome.resumed:
                witness.known_ms = 0.0
        elif isinstance(happening, client_module.Received):
            log = self._books[witness.run].entries
            for entry in happening.entries:
                if entry.seq > len(log) or log[entry.seq - 1] != entry:
                    raise InvariantBroken(
                        f"{witness.name} received as entry {entry.seq} of {witness.run} what is not in the log"
                    )
                witness.learn(entry.time_ms)
        elif isinstance(happening, client_module.Ticked):
            witness.learn(happening.time_ms)

    def check_save(self, name: str, save_id: str, content_id: str) -> None:
        """A replica wants to save something."""
        if self._wanted.setdefault(save_id, content_id) != content_id:
            raise NotConverged(f"{name} saves other content as {save_id} than the others", "persist_session")

    def check_state(self, name: str, replica: Replica) -> None:
        """A replica has done everything up to its entry and time; compared at one in `COMPARED_PLACES` places."""
        place = (replica.run, replica.seq, replica.time_ms)
        if zlib.crc32(repr(place).encode()) % COMPARED_PLACES:
            return
        state = replica.snapshot()
        other, other_state = self._states.setdefault(place, (name, state))
        if other != name:
            self.counters["comparisons"] += 1
            if state != other_state:
                require_equal(name, replica, other, twin_of(replica, other_state))
        if len(self._states) > STATES_KEPT:
            self._states.popitem(last=False)


def _place(save_id: str) -> int:
    """Which of the saves of its run this is."""
    return int(save_id.rpartition(".")[2])


def require_equal(name: str, replica: Replica, other_name: str, other: Replica) -> None:
    """Compare two replicas.

    Raises:
        NotConverged: names the first difference.
    """
    difference = first_difference(replica, other)
    if difference:
        path, mine, theirs = difference
        raise NotConverged(f"{path} differs: {mine} for {name}, {theirs} for {other_name}", path)
