"""What is said of stored versions, and versions that go for good: on the disk and on the wire."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from msq_jupyter import protocol
from msq_jupyter.protocol import (
    Annotate,
    Done,
    FetchVersion,
    Leave,
    ListVersions,
    Prune,
    Save,
    SaveFailed,
    Snapshot,
    Stored,
)
from msq_jupyter.synchronizer.journal import Journal
from msq_jupyter.synchronizer.records import Draft, RunRecord, ViewRecord, Writes
from msq_jupyter.synchronizer.server import Synchronizer
from msq_jupyter.synchronizer.storage import Storage
from tests.synchronizer.conftest import Participant
from tests.synchronizer.older_files import older_file
from tests.synchronizer.test_archives import asked, opened

LABEL = ("label", True, b"sealed label")


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    storage = Storage(tmp_path / "data")
    yield storage
    storage.close()


def a_run(run: str, origin: int = 0, head: int = 0, session_id: str = "session") -> Writes:
    return Writes(run, 1, opened=(RunRecord(run, session_id, "persistent", origin, head, 20.0), b"check"))


def store(storage: Storage, *parents: int, content: bytes = b"content", **changes: Any) -> None:
    """Versions 1, 2, ... with these parents."""
    saves = [
        (number, 1_000.0 + number, Save(f"save-{number}", parent, b"meta", content + b" %d" % number, **changes))
        for number, parent in enumerate(parents, 1)
    ]
    storage.commit([a_run("run"), Writes("run", 1, versions=saves, head=len(saves))])


def numbers(storage: Storage) -> list[int]:
    return [version.number for version in storage.list_versions("persistent")[0]]


# --- on the disk -------------------------------------------------------------------------------------------------


def test_of_each_kind_the_newest_annotation_replaces_the_one_before(storage: Storage) -> None:
    store(storage, 0, 1)
    assert storage.annotate("persistent", 1, "label", True, b"first")
    assert storage.annotate("persistent", 1, "pin", True, b"pin")
    assert storage.annotate("persistent", 1, "label", False, b"second")
    assert not storage.annotate("persistent", 3, "label", True, b"of nothing")
    assert storage.read_annotations("persistent", 1, 9) == [(1, "label", b"second"), (1, "pin", b"pin")]
    assert storage.read_annotations("persistent", 2, 2) == []


def test_an_annotation_comes_with_its_version(storage: Storage) -> None:
    store(storage, 0, annotations=[LABEL])
    assert storage.read_annotations("persistent", 1, 1) == [(1, "label", b"sealed label")]


def test_5_6_each_version_that_has_to_stay_stays_and_says_why(storage: Storage) -> None:
    store(storage, 0, 1, 2, 2, 4, 5, 6)
    storage.annotate("persistent", 1, "label", True, b"named")
    storage.annotate("persistent", 2, "label", False, b"not named any more")
    storage.commit([a_run("other", origin=4, head=7, session_id="other")])
    assert storage.prune("persistent", [1, 2, 3, 4, 5, 6, 7, 9]) == {
        1: "it has a label or a pin",
        3: "it is the newest version of a branch",
        4: "a session began with it, and may need it again",
        7: "it is what sessions start from",
        9: "there is no such version",
    }
    assert numbers(storage) == [1, 3, 4, 7]
    assert storage.read_version("persistent", 2) is None
    assert storage.prune("persistent", [2, 5]) == {}


def test_5_6_a_version_whose_successors_were_all_dropped_is_no_end_of_a_branch(storage: Storage) -> None:
    store(storage, 0, 1, 2, 3)
    assert storage.prune("persistent", [2, 3]) == {}
    assert storage.list_tips("persistent", 1, 9) == [4]
    assert storage.prune("persistent", [1]) == {}


@pytest.mark.parametrize(
    ("writes", "kept"),
    [
        (Writes("old", 1), True),
        (Writes("old", 1, snapshot=Snapshot(0, 0.0, b"state")), False),
        (Writes("old", 1, views=[ViewRecord("ada", 0, 0.0, False)]), True),
    ],
    ids=["no snapshot", "a snapshot", "nobody is in it"],
)
def test_7_3_the_origin_of_a_run_that_may_go_on_stays(storage: Storage, writes: Writes, kept: bool) -> None:
    store(storage, 0, 1)
    storage.commit([a_run("old", origin=1, head=2, session_id="old"), writes])
    assert (1 in storage.prune("persistent", [1])) is kept


@pytest.mark.parametrize("present", [True, False])
def test_7_3_the_origin_of_a_run_that_starts_anew_when_it_is_empty_stays_while_it_is_not(
    storage: Storage, present: bool
) -> None:
    store(storage, 0, 1, 2)
    views = [ViewRecord("ada", 0, 0.0, present)]
    storage.commit([a_run("old", origin=1, head=2, session_id="old"), Writes("old", 1, views=views)])
    assert (1 in storage.prune("persistent", [1])) is present


def test_another_run_of_the_session_needs_its_origin_no_more(storage: Storage) -> None:
    store(storage, 0, 1)
    storage.commit([a_run("old", origin=1, head=2, session_id="old"), a_run("new", 2, 2, session_id="old")])
    assert storage.prune("persistent", [1]) == {}


def test_the_bytes_of_a_dropped_version_leave_the_file(storage: Storage, tmp_path: Path) -> None:
    def on_the_disk() -> bytes:
        return b"".join(path.read_bytes() for path in sorted((tmp_path / "data").iterdir()))

    secret = b"the secret of the seventh version "
    store(storage, 0, 1, 2, 3, content=secret * 3_000)
    storage.annotate("persistent", 1, "label", False, b"a dropped annotation")
    store_small = Save("small", 4, b"meta", b"a small content that shares its page")
    last = Save("last", 5, b"", b"kept")
    storage.commit([Writes("run", 1, versions=[(5, 0.0, store_small), (6, 0.0, last)], head=6)])
    size_before = len(on_the_disk())
    assert secret in on_the_disk()
    assert storage.prune("persistent", [1, 2, 3, 4, 5]) == {}
    after = on_the_disk()
    assert secret not in after
    assert b"a small content" not in after
    assert b"a dropped annotation" not in after
    assert len(after) < size_before - 3 * 3_000 * len(secret)
    assert storage.read_version("persistent", 6) is not None


def test_5_6_bytes_that_patches_need_stay_until_none_does(storage: Storage, tmp_path: Path) -> None:
    def patch(number: int, base: int, **changes: Any) -> Save:
        return Save(f"save-{number}", number - 1, b"meta", b"the patch", base=base, source_id="code", **changes)

    whole = Save("save-1", 0, b"meta", b"the keyframe's bytes", source_id="code", source=b"the source")
    last = Save("save-4", 3, b"meta", b"another keyframe")
    saves = [whole, patch(2, 1), patch(3, 1), last]
    versions = [(number, 0.0, save) for number, save in enumerate(saves, 1)]
    storage.commit([a_run("run"), Writes("run", 1, versions=versions, head=4)])
    storage.annotate("persistent", 3, "pin", True, b"pin")
    assert storage.prune("persistent", [1, 2]) == {}
    assert numbers(storage) == [3, 4]
    assert storage.read_version("persistent", 1) is None
    version, base = storage.read_with_base("persistent", 3)
    assert (version.content, base.content) == (b"the patch", b"the keyframe's bytes")
    index = storage.load_index("persistent")
    assert (index.numbers, set(index.keyframes), index.sources) == ({"save-3": 3, "save-4": 4}, {4}, {"code"})
    # It can come back under a number of its own meanwhile.
    draft = Draft("ada", 0.0, patch(6, 1), head=5)
    storage.commit([Writes("run", 1, versions=[(5, 0.0, whole)], head=5, draft=draft)])
    storage.annotate("persistent", 3, "pin", False, b"no pin")
    assert storage.prune("persistent", [3, 4]) == {4: "it is the newest version of a branch"}
    assert storage._read_version("bases", "persistent", 1) is not None  # the draft's
    storage.commit([Writes("run", 1, versions=[(6, 0.0, Save("save-6", 5, b"", b""))], head=6, draft=None)])
    assert storage.prune("persistent", [5]) == {}
    assert storage._read_version("bases", "persistent", 1) is None
    assert storage.load_index("persistent").sources == set()
    on_the_disk = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert b"the keyframe's bytes" not in on_the_disk
    assert b"the source" not in on_the_disk


def test_what_cannot_be_made_smaller_is_dropped_all_the_same(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store(storage, 0, 1)

    class Full:
        def __getattr__(self, name: str) -> Any:
            return getattr(database, name)

        def executescript(self, script: str) -> None:
            raise sqlite3.OperationalError("database or disk is full")

    database = storage._database
    monkeypatch.setattr(storage, "_database", Full())
    assert storage.prune("persistent", [1]) == {}
    assert numbers(storage) == [2]
    assert "versions were dropped, and the file could not be made smaller" in caplog.text


def test_a_file_without_annotations_gets_a_place_for_them(tmp_path: Path) -> None:
    with older_file(tmp_path / "old", 4):
        pass
    storage = Storage(tmp_path / "old")
    store(storage, 0, annotations=[LABEL])
    assert storage.read_annotations("persistent", 1, 9) == [(1, "label", b"sealed label")]
    storage.close()


# --- on the wire -------------------------------------------------------------------------------------------------


async def test_annotations_come_with_the_list_and_with_the_version(synchronizer: Synchronizer) -> None:
    async with opened(synchronizer.url) as (socket, _):
        assert await asked(socket, Save("a", 0, b"m", b"c", annotations=[LABEL])) == Stored("a", 1)
        assert await asked(socket, Save("b", 1, b"m", b"c")) == Stored("b", 2)
        assert await asked(socket, Annotate(1, 2, "pin", True, b"pin")) == Done(1, [])
        assert await asked(socket, Annotate(2, 3, "pin", True, b"pin")) == Done(2, [(3, "there is no such version")])
        listed = await asked(socket, ListVersions(3))
        assert listed.annotations == [(1, "label", b"sealed label"), (2, "pin", b"pin")]
        assert listed.tips == [2]
        assert (await asked(socket, FetchVersion(4, 2))).annotations == [(2, "pin", b"pin")]


@pytest.mark.parametrize(
    ("kind", "sealed", "told"),
    [
        ("colour", b"", "expected an annotation of a kind of ['label', 'pin'], got 'colour'"),
        ("pin", b"x" * 4_097, "expected an annotation of at most 4,096 bytes, got 4,097"),
    ],
)
async def test_an_impossible_annotation_is_refused(synchronizer: Synchronizer, kind: str, sealed: bytes, told: str):
    async with opened(synchronizer.url) as (socket, _):
        assert await asked(socket, Save("a", 0, b"", b"", annotations=[(kind, True, sealed)])) == SaveFailed("a", told)
        twice = Save("a", 0, b"", b"", annotations=[LABEL, LABEL, LABEL])
        assert "expected each kind of annotation once, got 3" in (await asked(socket, twice)).reason
        await asked(socket, Save("a", 0, b"", b""))
        assert await asked(socket, Annotate(1, 1, kind, True, sealed)) == protocol.Refused("malformed", told)


async def test_5_6_pruning_is_told_to_everybody_and_may_be_repeated(synchronizer: Synchronizer) -> None:
    async with Participant(synchronizer.url) as ada, opened(synchronizer.url) as (socket, _):
        await ada.read_until_joined()
        for number in range(3):
            await asked(socket, Save(f"{number}", number, b"m", b"c"))
        await ada.say(Prune(7, [1, 2, 3]))
        heard = [await ada.next_of(protocol.VersionsChanged) for _ in range(4)]
        assert heard == [protocol.VersionsChanged(numbers) for numbers in ([1], [2], [3], [1, 2])]
        assert await ada.next_of(Done) == Done(7, [(3, "it is what sessions start from")])
        assert await asked(socket, Prune(8, [1, 2])) == Done(8, [])
        assert [version.number for version in (await asked(socket, ListVersions(9))).versions] == [3]
        assert (await asked(socket, FetchVersion(10, 1))).version is None
        # The same content can come back, under a number of its own.
        assert await asked(socket, Save("0", 0, b"m", b"c")) == Stored("0", 4)
        assert await asked(socket, Save("3", 2, b"m", b"c")) == Stored("3", 5)


async def test_5_6_what_cannot_be_written_down_is_refused_and_stays(
    synchronizer: Synchronizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    async with opened(synchronizer.url) as (socket, _):
        for number in range(3):
            await asked(socket, Save(f"{number}", number, b"m", b"c"))
        with monkeypatch.context() as patch:
            patch.setattr(Storage, "prune", full)
            patch.setattr(Storage, "annotate", full)
            reason = "it could not be written down (database or disk is full): try again"
            assert await asked(socket, Prune(1, [1, 2])) == Done(1, [(1, reason), (2, reason)])
            assert await asked(socket, Annotate(2, 1, "pin", True, b"")) == Done(2, [(1, reason)])
        assert len((await asked(socket, ListVersions(3))).versions) == 3
        assert await asked(socket, Prune(4, [1])) == Done(4, [])


async def test_a_version_that_was_pruned_is_none_to_start_from(synchronizer: Synchronizer) -> None:
    async with opened(synchronizer.url) as (socket, _):
        for number in range(3):
            await asked(socket, Save(f"{number}", number, b"m", b"c"))
        await asked(socket, Prune(1, [2]))
    with pytest.raises(ConnectionClosed, match="no_such_version"):
        await Participant(synchronizer.url, persisted=2).connect()


async def test_7_3_a_head_that_could_not_be_stored_lets_no_origin_go(
    synchronizer: Synchronizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(synchronizer.url) as (socket, _), opened(synchronizer.url) as (other, _):
        for number in range(2):
            await asked(socket, Save(f"{number}", number, b"m", b"c"))
        async with Participant(synchronizer.url, persisted=1) as ada:
            await ada.read_until_joined()
            await ada.say(Leave())  # whoever comes back to this session needs its origin, as long as the head is v2
            await ada.read_until_closed()
        committing, pruning = asyncio.Event(), threading.Event()
        loop, call = asyncio.get_running_loop(), Journal.call

        def full(*_: Any) -> None:
            loop.call_soon_threadsafe(committing.set)
            assert pruning.wait(10)
            raise sqlite3.OperationalError("database or disk is full")

        def watched(journal: Journal, function: Any, *arguments: Any, **named: Any) -> Any:
            try:
                return call(journal, function, *arguments, **named)
            finally:
                if function is Storage.prune:
                    pruning.set()

        monkeypatch.setattr(Storage, "commit", full)
        monkeypatch.setattr(Journal, "call", watched)
        await socket.send(protocol.encode(Save("2", 2, b"m", b"c")))
        await committing.wait()
        assert await asked(other, Prune(1, [1])) == Done(1, [(1, "a session began with it, and may need it again")])
