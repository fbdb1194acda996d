"""What the sequencer wants kept and what it gets back after a restart: plain values between it and the storage."""

from __future__ import annotations

import msgspec

from msq_jupyter.protocol import Save, Snapshot, StoredVersion


class RunRecord(msgspec.Struct, frozen=True):
    """One run of a session: from its `init`, or from a stored version, until it starts anew.

    Attributes:
        run: its name, unique in the data directory.
        origin: number of the version it started from, 0 for none.
        head: number of the version that was the head when it started, 0 for none.
        tick_rate: ticks per second into silence.
    """

    run: str
    session_id: str
    persistent_id: str
    origin: int
    head: int
    tick_rate: float


class ViewRecord(msgspec.Struct, frozen=True):
    """One view that has ever been in a run.

    Attributes:
        counter: of its last event in the log, 0 for none.
        present: whether the log says that it is in.
    """

    view_id: str
    counter: int
    rejoin_limit_ms: float
    present: bool


class Draft(msgspec.Struct, frozen=True):
    """What a run is about to save.

    Attributes:
        view_id: who uploaded it.
        time_s: when, in seconds since 1970.
        head: number of the version that was the head then, 0 for none.
    """

    view_id: str
    time_s: float
    save: Save
    head: int


class StoredRun(msgspec.Struct, frozen=True):
    """A run as the storage has it.

    Attributes:
        time_ms: no participant has seen a session time after this one.
        last_seq: of the newest entry, 0 for none.
        snapshot_seq: of the newest snapshot, 0 for none.
        tail_bytes: size of the entries after that snapshot, about.
        counted_seq: up to this entry, what is stored of `views` knows of their events by itself.
        saves: numbers of the versions that have a `Saved` in this run's log.
        draft: the newest one, None when there is none.
    """

    record: RunRecord
    time_ms: float = 0.0
    last_seq: int = 0
    snapshot_seq: int = 0
    tail_bytes: int = 0
    counted_seq: int = 0
    views: list[ViewRecord] = []
    saves: list[int] = []
    draft: Draft | None = None


class StoredIndex(msgspec.Struct, frozen=True):
    """What is known of a persistent id without reading a version.

    Attributes:
        numbers: of each version by its `save_id`.
        head: number of the version that is the head, 0 for none.
        head_run: which run saved it, "" for none.
        waking: ids of the sessions whose newest run says more about the head: it has a draft, or it saved the head and
            somebody was in it when the synchronizer ended.
        keyframes: the versions that are stored as a whole: by number, the size of the sealed content in bytes.
        sources: ids of the sources that are stored.
    """

    password_check: bytes
    numbers: dict[str, int]
    head: int = 0
    head_run: str = ""
    waking: list[str] = []
    keyframes: dict[int, int] = {}
    sources: set[str] = set()


class Append(msgspec.Struct, frozen=True):
    """A version that came without a session, from an archive.

    Attributes:
        password_check: of the persistent id, for its first use.
        number: the version's.
        time_s: seconds since 1970.
        is_head: whether the head moves to it.
    """

    persistent_id: str
    password_check: bytes
    number: int
    time_s: float
    save: Save
    is_head: bool


class Writes(msgspec.Struct):
    """What one turn of one run has to write, all of it or nothing.

    Attributes:
        run: whose log it is.
        opened: the run itself and its password check, when this is its first turn.
        first_seq: of `entries[0]`; the others follow without gap.
        entries: encoded, as they go over the wire.
        views: those that came, went or changed their limit, and sometimes others whose counter changed.
        counted_seq: the new value of `StoredRun.counted_seq`, None to keep the old one: `views` has all whose counter
            changed since that one.
        time_ms: the new value of `StoredRun.time_ms`, None to keep the old one.
        versions: to append, each with its number and its time in seconds since 1970.
        head: the newest of them that the head moves to, 0 when it does not.
        saves: numbers whose `Saved` is among the entries.
        draft: takes the place of the one there was; None only removes that, UNSET keeps it.
    """

    run: str
    first_seq: int
    opened: tuple[RunRecord, bytes] | None = None
    entries: list[bytes] = msgspec.field(default_factory=list)
    views: list[ViewRecord] = msgspec.field(default_factory=list)
    counted_seq: int | None = None
    time_ms: float | None = None
    snapshot: Snapshot | None = None
    versions: list[tuple[int, float, Save]] = msgspec.field(default_factory=list)
    head: int = 0
    saves: list[int] = msgspec.field(default_factory=list)
    draft: Draft | msgspec.UnsetType | None = msgspec.UNSET

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.entries) or self._has_more

    @property
    def is_only_entries(self) -> bool:
        """Whether there are entries to write and nothing else, as in nearly every turn."""
        return bool(self.entries) and not self._has_more

    @property
    def _has_more(self) -> bool:
        has_rows = self.opened or self.views or self.snapshot or self.versions or self.saves
        has_values = self.time_ms is not None or self.counted_seq is not None or self.draft is not msgspec.UNSET
        return bool(has_rows) or has_values

    @property
    def saves_to_store(self) -> list[Save]:
        """Everything that somebody uploaded to be kept: versions, and the draft."""
        draft = [self.draft.save] if isinstance(self.draft, Draft) else []
        return [save for _, _, save in self.versions] + draft


def as_stored(number: int, time_s: float, save: Save) -> StoredVersion:
    """The version that a save becomes.

    Args:
        number: the version's.
        time_s: seconds since 1970.
        save: what was uploaded.
    """
    sealed = (len(save.content), save.meta, save.content, save.base, save.source_id)
    return StoredVersion(number, save.parent, save.save_id, time_s, *sealed)
