"""Versions in the data directory: patches and what they are of, sources once, lists in portions, damage by number."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from msq_jupyter import protocol
from msq_jupyter.errors import VersionDamaged
from msq_jupyter.protocol import FetchSource, FetchVersion, ListVersions, Save, SaveFailed, Stored
from msq_jupyter.session.archive import Archive
from msq_jupyter.session.session import SessionCore
from msq_jupyter.synchronizer import storage as storage_module
from msq_jupyter.synchronizer.records import Draft, StoredIndex, Writes
from msq_jupyter.synchronizer.schema import SCHEMA_STEPS, SCHEMA_VERSION
from msq_jupyter.synchronizer.sequencer import VersionIndex
from msq_jupyter.synchronizer.server import Synchronizer
from msq_jupyter.synchronizer.storage import Storage
from tests.conftest import SynchronizerThread
from tests.session.models import Counter
from tests.synchronizer.test_archives import asked, opened
from tests.synchronizer.test_drafts import a_draft
from tests.synchronizer.test_storage import RECORD, opening

#: What a data directory of schema 2 held after two sessions of one name, password "pw", had saved twice each.
OLD_FILE = Path(__file__).parent / "schema_2.sql"


def a_save(number: int, base: int = 0, source: bytes = b"") -> tuple[int, float, Save]:
    sealed = (b"meta %d" % number, b"content %d" % number)
    save = Save(f"save-{number}", number - 1, *sealed, base=base, source_id="code", source=source)
    return number, 1_000.5 + number, save


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    """One with a version 1, its patches 2 and 3, and a version 4 that is whole again."""
    storage = Storage(tmp_path)
    versions = [a_save(1, source=b"the source"), a_save(2, base=1), a_save(3, base=1), a_save(4)]
    storage.commit([opening(), Writes("run-1", 1, versions=versions)])
    yield storage
    storage.close()


@contextlib.contextmanager
def other_connection(directory: Path) -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(directory / "synchronizer.sqlite", isolation_level=None)
    yield database
    database.close()


def damaged_numbers(storage: Storage) -> dict[int, int]:
    """Of each version that cannot be read, the one that is damaged."""
    found = {}
    for number in range(1, 5):
        try:
            assert storage.read_with_base("persistent", number)[0] is not None
        except VersionDamaged as error:
            found[error.number] = error.damaged
    return found


# --- patches -----------------------------------------------------------------------------------------------------


def test_a_patch_comes_with_what_it_is_a_patch_of(storage: Storage) -> None:
    version, base = storage.read_with_base("persistent", 3)
    assert version is not None
    assert base is not None
    assert (version.number, version.base, version.content) == (3, 1, b"content 3")
    assert (base.number, base.base, base.content) == (1, 0, b"content 1")
    assert storage.read_with_base("persistent", 4)[1] is None
    assert storage.read_with_base("persistent", 5) == (None, None)
    index = storage.load_index("persistent")
    assert index is not None
    assert (index.keyframes, index.sources) == ({1: 9, 4: 9}, {"code"})


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE contents SET content = x'00' WHERE version = 1",
        "DELETE FROM contents WHERE version = 1",
        "UPDATE versions SET meta = x'00' WHERE number = 1",
    ],
)
def test_damage_to_a_base_is_reported_by_number_for_what_depends_on_it_and_nothing_else(
    storage: Storage, tmp_path: Path, sql: str
) -> None:
    with other_connection(tmp_path) as other:
        other.execute(sql)
    assert damaged_numbers(storage) == {1: 1, 2: 1, 3: 1}
    with pytest.raises(VersionDamaged, match="expected version 1, of which version 3 is stored as a patch, as it was"):
        storage.read_with_base("persistent", 3)


def test_a_base_that_is_gone_or_is_no_whole_version_is_damage(storage: Storage, tmp_path: Path) -> None:
    with other_connection(tmp_path) as other:
        other.execute("DELETE FROM versions WHERE number = 1")
    with pytest.raises(VersionDamaged, match="expected version 1, of which version 2 is stored as a patch"):
        storage.read_with_base("persistent", 2)
    storage.commit([Writes("run-1", 1, versions=[a_save(5, base=3)])])
    with pytest.raises(VersionDamaged, match="expected version 3, of which version 5 is stored as a patch"):
        storage.read_with_base("persistent", 5)


def test_each_byte_of_a_version_and_of_its_base_is_guarded(storage: Storage, tmp_path: Path) -> None:
    """Also each character of its texts, and each of its numbers."""
    tampered = 0
    with other_connection(tmp_path) as other:
        for number in (1, 3):
            for table, key, column in [
                ("versions", "number", "meta"),
                ("contents", "version", "content"),
                ("versions", "number", "digest"),
                ("versions", "number", "save_id"),
                ("versions", "number", "source_id"),
                ("versions", "number", "parent"),
                ("versions", "number", "base"),
                ("versions", "number", "time_s"),
                ("versions", "number", "size_bytes"),
            ]:
                where = f"FROM {table} WHERE {key} = {number}"
                ((value, kind),) = other.execute(f"SELECT {column}, typeof({column}) {where}").fetchall()
                for wrong in flips(value):
                    sql = f"UPDATE {table} SET {column} = CAST(? AS {kind}) WHERE {key} = {number}"
                    other.execute(sql, (wrong,))
                    expected = {1: 1, 2: 1, 3: 1} if number == 1 else {3: 3}
                    assert damaged_numbers(storage) == expected, (number, column, wrong)
                    tampered += 1
                other.execute(sql, (value,))
    assert damaged_numbers(storage) == {}
    assert tampered > 100


def flips(value: object) -> Iterator[object]:
    """A value with one bit of each of its bytes changed; a number above and one below."""
    if isinstance(value, (int, float)):
        yield from (value + 1, value + 7)
        return
    data = value.encode() if isinstance(value, str) else value
    assert isinstance(data, bytes)
    for place in range(len(data)):
        yield data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]


# --- sources and lists -------------------------------------------------------------------------------------------


def test_a_source_is_stored_once_and_damage_to_it_hides_no_version(
    storage: Storage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert storage.read_source("persistent", "code") == b"the source"
    assert storage.read_source("persistent", "other") is None
    assert storage.read_source("another", "code") is None
    with other_connection(tmp_path) as other:
        assert other.execute("SELECT count(*) FROM sources").fetchone() == (1,)
        other.execute("UPDATE sources SET source = x'00'")
    assert storage.read_source("persistent", "code") is None
    assert "a source of versions is damaged" in caplog.text
    assert damaged_numbers(storage) == {}
    # Whoever runs the code and saves next mends it.
    storage.commit([Writes("run-1", 1, versions=[a_save(5, source=b"the source")])])
    assert storage.read_source("persistent", "code") == b"the source"


def test_a_list_comes_in_portions(storage: Storage) -> None:
    versions, more = storage.list_versions("persistent", 0, size_bytes=1)
    assert ([version.number for version in versions], more) == ([1], True)
    versions, more = storage.list_versions("persistent", 1, size_bytes=300)
    assert ([version.number for version in versions], more) == ([2, 3], True)
    versions, more = storage.list_versions("persistent", 3)
    assert ([version.number for version in versions], more) == ([4], False)
    assert storage.list_versions("persistent", 4) == ([], False)


def test_ten_thousand_versions_are_listed_in_frames_of_a_megabyte(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    versions = [
        (number, 0.0, Save(f"run-1.{number}", number - 1, bytes(300), b"content", source_id="code"))
        for number in range(1, 10_001)
    ]
    storage.commit([opening(), Writes("run-1", 1, versions=versions)])
    after, more, portions = 0, True, 0
    while more:
        listed, more = storage.list_versions("persistent", after)
        assert len(protocol.encode(protocol.Versions(1, listed, more))) < 1.2 * storage_module.LIST_BYTES
        assert [version.number for version in listed] == list(range(after + 1, after + len(listed) + 1))
        after += len(listed)
        portions += 1
    storage.close()
    assert (after, portions) == (10_000, 5)


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("save", "reason", "missing"),
    [
        (
            Save("a", 0, b"", b"", base=2),
            "expected a patch of a version that is stored whole and fits beside it",
            "base",
        ),
        (Save("a", 0, b"", b"", base=9), "expected a patch of a version that is stored whole and fits", "base"),
        (Save("a", 0, b"", bytes(100), base=3), "fits beside it, got one of v3", "base"),
        (Save("a", 0, b"", b"", source_id="other"), "expected the source of the code that saves, which is", "source"),
        (Save("a", 0, b"", b"", source=b"source"), "expected a source's id of 1 to 64 characters, got 0", ""),
        (Save("a", 0, b"", b"", source_id="x" * 65), "expected a source's id of 1 to 64 characters, got 65", "source"),
        (Save("a", 0, bytes(2**20 + 1), b""), "expected a description of at most 1,048,576 bytes, got 1,048,577", ""),
        (Save("a", 0, b"", b"", base=1, source_id="code"), "", ""),
        (Save("a", 0, b"", b"", source_id="other", source=b"source"), "", ""),
    ],
)
def test_a_save_that_nobody_could_read_is_refused(save: Save, reason: str, missing: str) -> None:
    too_large = protocol.CONTENT_BYTES_MAX - 50
    stored = StoredIndex(b"", {"1": 1, "2": 2, "3": 3}, keyframes={1: 10, 3: too_large}, sources={"code"})
    index = VersionIndex(stored)
    assert reason in index.why_unsaveable(save)
    assert bool(index.why_unsaveable(save)) == bool(reason)
    assert index.missing(save) == missing


async def test_patches_and_sources_over_the_wire(synchronizer: Synchronizer) -> None:
    async with opened(synchronizer.url) as (socket, _):
        whole = Save("a", 0, b"meta", b"content", source_id="code", source=b"sealed")
        patch = msgspec.structs.replace(whole, save_id="b", parent=1, base=1, source=b"")
        answer = await asked(socket, patch)
        assert (answer.save_id, answer.missing) == ("b", "base")
        assert await asked(socket, whole) == Stored("a", 1)
        assert await asked(socket, patch) == Stored("b", 2)
        answer = await asked(socket, msgspec.structs.replace(patch, save_id="c", source_id="other"))
        assert isinstance(answer, SaveFailed)
        assert answer.missing == "source"
        got = await asked(socket, FetchVersion(1, 2))
        assert (got.version.base, got.base.number, got.base.content) == (1, 1, b"content")
        assert await asked(socket, FetchSource(2, "code")) == protocol.Source(2, b"sealed")
        assert await asked(socket, FetchSource(3, "other")) == protocol.Source(3, None)
        listed = await asked(socket, ListVersions(4, after=1))
        assert ([(one.number, one.source_id) for one in listed.versions], listed.more) == ([(2, "code")], False)
    async with opened(synchronizer.url) as (socket, _):  # also after the index was read from the disk
        assert await asked(socket, msgspec.structs.replace(patch, save_id="c", parent=2)) == Stored("c", 3)


# --- older files -------------------------------------------------------------------------------------------------


def test_every_step_makes_a_file_that_the_next_one_takes(tmp_path: Path) -> None:
    with other_connection(tmp_path) as old:
        old.executescript("".join(SCHEMA_STEPS[:2]) + "PRAGMA user_version = 2")
        old.execute("INSERT INTO persistent_ids VALUES ('persistent', x'01')")
        old.execute("INSERT INTO runs VALUES (1, 'run-1', 'persistent', 'session', 0, 0, 20.0, 7.0)")
        for number in (1, 2, 3):
            meta, content = b"meta %d" % number, b"content %d" % number
            digest = hashlib.sha256(len(meta).to_bytes(8, "big") + meta + content).digest() if number != 2 else b"wrong"
            row = ("persistent", number, number - 1, f"save-{number}", 5.5, digest, meta, content)
            old.execute("INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        draft = Draft("ada", 5.5, a_draft(4, parent=3), 3)
        # As it was encoded then: without what came later.
        save = msgspec.msgpack.encode(["Save", *msgspec.structs.astuple(draft.save)[:6]])
        assert msgspec.msgpack.decode(save, type=Save) == draft.save
        digest = hashlib.sha256(bytes(8) + save).digest()
        old.execute("INSERT INTO drafts VALUES (1, 'ada', 5.5, ?, ?)", (digest, save))
    storage = Storage(tmp_path)
    version, base = storage.read_with_base("persistent", 3)
    assert base is None
    assert version == protocol.StoredVersion(3, 2, "save-3", 5.5, 9, b"meta 3", b"content 3")
    with pytest.raises(VersionDamaged, match="expected version 2 as it was saved"):  # as it was before
        storage.read_version("persistent", 2)
    run = storage.load_run("persistent", "session")
    assert run is not None
    assert (run.record, run.draft) == (RECORD, draft)
    storage.commit([Writes("run-1", 1, versions=[a_save(4, base=1, source=b"the source")])])
    assert storage.read_with_base("persistent", 4)[1] == storage.read_version("persistent", 1)
    storage.close()
    with other_connection(tmp_path) as new:
        assert new.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


async def test_what_sessions_saved_in_a_file_of_schema_2_is_read_and_goes_on(tmp_path: Path) -> None:
    directory = tmp_path / "old"
    directory.mkdir(mode=0o700)
    with other_connection(directory) as old:
        old.executescript(OLD_FILE.read_text())
    with SynchronizerThread(directory) as synchronizer:
        where = {"app_id": "test", "name": "room", "password": "pw", "synchronizer": synchronizer.url}
        async with Archive.open(**where) as archive:
            versions = await archive.versions()
            assert [(version.number, version.parent) for version in versions] == [(1, 0), (2, 1), (3, 2), (4, 3)]
            assert [(await archive.content(number))["count"] for number in (1, 2, 3, 4)] == [1, 2, 3, 4]
            sources = {await archive.source_of(version) for version in versions}
            assert len(sources) == 1
            assert "class Counter(Model):" in sources.pop()
            assert [one.damage for one in await archive.verify()] == [""] * 4
        async with await SessionCore.join(model=Counter, **where) as ada:
            assert ada.model.count == 4
            ada.publish("counter", "add", 1)
            await ada.saved()
            assert [version.number for version in await ada.versions()] == [1, 2, 3, 4, 5]
            assert "class Counter(Model):" in await ada.source_of(5)
