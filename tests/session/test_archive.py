"""The versions of a name without a session, against a real synchronizer."""

from __future__ import annotations

import dataclasses
import datetime
import io
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import serve

from msq_jupyter import protocol
from msq_jupyter.errors import (
    ArgumentError,
    ExportDamaged,
    NameMissing,
    NoAnswer,
    SealBroken,
    SynchronizerUnreachable,
    VersionDamaged,
    VersionMissing,
    WrongPassword,
)
from msq_jupyter.persistence.export import ExportedVersion, ExportReader, Manifest, write_export
from msq_jupyter.persistence.patches import pack
from msq_jupyter.persistence.records import VersionMeta
from msq_jupyter.session import archive as archive_module
from msq_jupyter.session import curating
from msq_jupyter.session.archive import Archive
from msq_jupyter.session.session import SessionCore
from msq_jupyter.session.versions import sealed_save
from msq_jupyter.stable import bytes_digest, content_bytes
from msq_jupyter.synchronizer.schema import version_digest
from tests.conftest import SynchronizerThread
from tests.waiting import until


async def save_versions(session: SessionCore, count: int) -> None:
    for _ in range(count):
        session.publish("counter", "add", 1)
        await session.synced()
        await session.saved()


def archive(synchronizer: SynchronizerThread, /, **arguments: Any) -> Any:
    given = {"app_id": "test", "name": "room", "password": "pw", "synchronizer": synchronizer.url, **arguments}
    return Archive.open(**given)


async def exported(synchronizer: SynchronizerThread, **arguments: Any) -> bytes:
    file = io.BytesIO()
    async with archive(synchronizer, **arguments) as source:
        await source.export(file)
    return file.getvalue()


def tamper(tmp_path: Path, sql: str) -> None:
    database = sqlite3.connect(tmp_path / "synchronizer" / "synchronizer.sqlite")
    with database:
        assert database.execute(sql).rowcount == 1
    database.close()


def forge(tmp_path: Path, sql: str) -> None:
    """What a synchronizer could do that does not keep to the rules: change a version, with a digest that is right."""
    tamper(tmp_path, sql)
    database = sqlite3.connect(tmp_path / "synchronizer" / "synchronizer.sqlite")
    rows = database.execute(
        "SELECT version, persistent_id, number, parent, save_id, time_s, size_bytes, meta, content, base, source_id "
        "FROM versions JOIN contents USING (version)"
    ).fetchall()
    with database:
        for version, persistent_id, *fields in rows:
            digest = version_digest(persistent_id, protocol.StoredVersion(*fields))
            database.execute("UPDATE versions SET digest = ? WHERE version = ?", (digest, version))
    database.close()


async def test_a_live_session_s_versions_are_read_and_it_is_unaffected(join, synchronizer):
    ada = await join(persist_interval_ms=0)
    await save_versions(ada, 2)
    async with archive(synchronizer) as opened:
        versions = await opened.versions()
        assert [(version.number, version.parent, version.code_hash) for version in versions] == [
            (1, 0, ada.code_hash),
            (2, 1, ada.code_hash),
        ]
        assert await opened.content(1) == {"version": 1, "count": 1}
        assert await opened.content(2) == {"version": 1, "count": 2}
        with pytest.raises(VersionMissing, match="expected one of the versions 1 to 2, got 3"):
            await opened.content(3)
        assert [(one.number, one.damage) for one in await opened.verify()] == [(1, ""), (2, "")]
        await save_versions(ada, 1)
        assert len(await opened.versions()) == 3
    assert len(ada.participants) == len(ada.model.people) == 1
    now = await ada.versions()
    assert (versions.head, now.head) == (2, 3)
    assert [dataclasses.replace(version, is_head=False, is_tip=False) for version in now[:2]] == [
        dataclasses.replace(version, is_head=False, is_tip=False) for version in versions
    ]


async def test_what_cannot_be_opened_is_named(join, synchronizer):
    await join()
    with pytest.raises(WrongPassword):
        async with archive(synchronizer, password="other"):
            pass
    with pytest.raises(NameMissing, match="nothing was ever saved here under this name"):
        async with archive(synchronizer, name="nowhere"):
            pass
    with pytest.raises(ArgumentError, match="name: expected a name of 1 to 128 printable characters, got ''"):
        async with archive(synchronizer, name=""):
            pass
    with pytest.raises(ArgumentError, match="without a password everybody there could read"):
        async with archive(synchronizer, password=None, synchronizer="ws://example.org:1"):
            pass
    with pytest.raises(SynchronizerUnreachable, match=r"no synchronizer answers at ws://127\.0\.0\.1:9"):
        async with archive(synchronizer, synchronizer="ws://127.0.0.1:9"):
            pass


async def test_persistent_options_belong_to_the_name(join, synchronizer):
    ada = await join(options={"room": 7, "colour": "red"}, persistent_options=["room"], persist_interval_ms=0)
    await save_versions(ada, 1)
    async with archive(synchronizer, persistent_options={"room": 7}) as opened:
        assert await opened.content(1) == {"version": 1, "count": 1}
    with pytest.raises(NameMissing):
        async with archive(synchronizer):
            pass


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE contents SET content = zeroblob(length(content)) WHERE version = 2",
        "UPDATE versions SET digest = x'00' WHERE number = 2",
    ],
)
async def test_a_damaged_version_is_reported_by_number_and_its_neighbours_load(join, synchronizer, tmp_path, sql):
    await save_versions(await join(persist_interval_ms=0), 3)
    tamper(tmp_path, sql)
    async with archive(synchronizer) as opened:
        with pytest.raises(VersionDamaged, match="expected version 2 as it was saved") as caught:
            await opened.content(2)
        assert caught.value.number == 2
        assert [(await opened.content(number))["count"] for number in (1, 3)] == [1, 3]
        assert [one.number for one in await opened.verify() if one.damage] == [2]
        file = io.BytesIO()
        with pytest.raises(VersionDamaged):
            await opened.export(file)
        file.seek(0)
        with pytest.raises(ExportDamaged, match="the file was cut"):
            list(ExportReader(file))
        file = io.BytesIO()
        report = await opened.export(file, skip_damaged=True)
        assert (report.versions, list(report.left_out)) == (2, [2])
        file.seek(0)
        assert [version.number for version in ExportReader(file)] == [1, 3]


async def test_a_forged_version_is_refused_and_listed_as_damaged(join, synchronizer, tmp_path):
    await save_versions(await join(persist_interval_ms=0), 3)
    forge(tmp_path, "UPDATE versions SET parent = 0 WHERE number = 2")
    async with archive(synchronizer) as opened:
        versions = await opened.versions()
        assert [version.number for version in versions] == [1, 3]
        assert list(versions.damaged) == [2]
        with pytest.raises(SealBroken):
            await opened.content(2)
        assert [one.number for one in await opened.verify() if one.damage] == [2]


async def test_5_an_export_is_imported_into_another_name_and_a_session_loads_it(join, synchronizer):
    ada = await join(persist_interval_ms=0)
    await save_versions(ada, 3)
    file = await exported(synchronizer)
    async with archive(synchronizer, name="dev", password="dev", create=True) as target:
        report = await target.import_(io.BytesIO(file))
        assert (report.manifest.name, report.numbers, report.stored) == ("room", {1: 1, 2: 2, 3: 3}, 3)
        copies = await target.versions()
        assert [await target.source_of(version) for version in copies] == [ada._sealer.source] * 3
    assert list(copies) == list(await ada.versions())  # time, author and all
    dev = await join(name="dev", password="dev")
    assert dev.model.count == 3
    dev.publish("counter", "add", 10)
    await dev.synced()
    await dev.saved()
    assert len(await dev.versions()) == 4
    assert ada.model.count == 3
    assert await exported(synchronizer) == file


async def test_a_repeated_import_stores_nothing_twice_and_goes_on_where_the_file_grew(join, synchronizer):
    ada = await join(persist_interval_ms=0)
    await save_versions(ada, 2)
    file = await exported(synchronizer)
    ben = await join(name="dev", password="dev", persist_interval_ms=0)
    await save_versions(ben, 1)
    async with archive(synchronizer, name="dev", password="dev") as target:
        assert (await target.import_(io.BytesIO(file))).numbers == {1: 2, 2: 3}
        assert [version.parent for version in await target.versions()] == [0, 0, 2]
        again = await target.import_(io.BytesIO(file))
        assert (again.numbers, again.stored) == ({1: 2, 2: 3}, 0)
        await save_versions(ada, 1)
        grown = await target.import_(io.BytesIO(await exported(synchronizer)))
        assert (grown.numbers, grown.stored) == ({1: 2, 2: 3, 3: 4}, 1)
        assert [version.parent for version in await target.versions()] == [0, 0, 2, 3]
    async with archive(synchronizer) as home:
        assert (await home.import_(io.BytesIO(file))).stored == 0
    await save_versions(ben, 1)
    assert ben.model.count == 2
    assert [version.parent for version in await ben.versions()] == [0, 0, 2, 3, 1]


async def test_a_repeated_import_brings_later_labels_and_leaves_those_given_here(join, synchronizer):
    ada = await join(persist_interval_ms=0)
    await save_versions(ada, 4)
    async with archive(synchronizer, name="dev", password="dev", create=True) as target:
        await target.import_(io.BytesIO(await exported(synchronizer)))
        await target.label(2, "mine")
        await target.label(3, "")  # taken away on purpose, which is said, too
        for number in (1, 2, 3):
            await ada.label(number, f"theirs {number}")
        await ada.pin(4)
        report = await target.import_(io.BytesIO(await exported(synchronizer)))
        assert (report.stored, report.said) == (0, 2)
        labels = [(v.label, v.pinned) for v in await target.versions()]
        assert labels == [("theirs 1", False), ("mine", False), ("", False), ("", True)]
        await ada.label(1, "theirs again")
        await ada.label(2, "")
        report = await target.import_(io.BytesIO(await exported(synchronizer)))
        assert report.said == 1
        assert [v.label for v in await target.versions()] == ["theirs again", "mine", "", ""]


async def test_a_version_whose_source_alone_is_damaged_is_exported_without_it(join, synchronizer, tmp_path):
    await save_versions(await join(persist_interval_ms=0), 2)
    tamper(tmp_path, "UPDATE sources SET source = zeroblob(length(source))")
    async with archive(synchronizer) as opened:
        with pytest.raises(VersionMissing, match="the source of version 1"):
            await opened.export(io.BytesIO())
        file = io.BytesIO()
        report = await opened.export(file, skip_damaged=True)
        assert (report.versions, dict(report.left_out), list(report.without_source)) == (2, {}, [1, 2])
    async with archive(synchronizer, name="dev", password="dev", create=True) as target:
        file.seek(0)
        assert (await target.import_(file)).stored == 2
        copies = await target.versions()
        assert [await target.source_of(version) for version in copies] == ["", ""]
        assert not any(one.damage for one in await target.verify())
    assert (await join(name="dev", password="dev")).model.count == 2


def old_versions(count: int) -> io.BytesIO:
    """A file of versions of the years from 2001 on; the second one has a label."""
    versions = [
        ExportedVersion(
            number=number,
            parent=number - 1,
            time=datetime.datetime(2000 + number, 1, 1, tzinfo=datetime.timezone.utc),
            author="Ada",
            label="kept" if number == 2 else "",
            pinned=False,
            session_id="s",
            code_hash="c",
            schema_version=1,
            source="",
            content={"version": 1, "count": number},
        )
        for number in range(1, count + 1)
    ]
    return io.BytesIO(b"".join(write_export(Manifest(app_id="test", name="old"), versions)))


async def test_5_6_a_session_with_retention_drops_old_versions_after_its_saves_and_says_so(join, synchronizer):
    async with archive(synchronizer, create=True) as opened:
        await opened.import_(old_versions(4))
    ada = await join(persist_interval_ms=0)
    await save_versions(ada, 1)
    assert [v.number for v in await ada.versions()] == [1, 2, 3, 4, 5]  # without the argument nothing ever goes
    await ada.leave()
    ben = await join(persist_interval_ms=0, retention="everything for a day")
    await ben.synced()
    assert len(await ben.versions()) == 5  # joining drops nothing
    await save_versions(ben, 1)
    await until(lambda: any("Dropped" in line.text for line in ben.log))
    assert [v.number for v in await ben.versions()] == [2, 5, 6]
    told = [line.text for line in ben.log if "Dropped" in line.text]
    assert told == ["[Multisynq] Dropped 3 versions, keeping everything for a day: 1, 3, 4"]


async def test_5_6_retention_is_not_fooled_by_a_clock_that_is_years_ahead(join, synchronizer, monkeypatch):
    later = curating._now() + datetime.timedelta(days=1000)
    monkeypatch.setattr(curating, "_now", lambda: later)
    ada = await join(persist_interval_ms=0)
    await save_versions(ada, 3)
    await ada.leave()
    ben = await join(persist_interval_ms=0, retention="everything for a day")
    await save_versions(ben, 1)
    await ben._tender._pruning
    assert len(await ben.versions()) == 4
    with pytest.raises(ArgumentError, match="retention: cannot read 'never'"):
        await join(retention="never")


async def test_a_hostile_file_stores_nothing(join, synchronizer):
    await save_versions(await join(persist_interval_ms=0), 3)
    file = await exported(synchronizer)
    lines = file.splitlines(keepends=True)
    hostile = [
        b"",
        b"PK\x03\x04",
        file[:-1],
        b"".join(lines[:-1]),
        file.replace(b'"count":3', b'"count":4'),
        b"".join([*lines[:2], *lines[3:]]),
        file + b"{}\n",
        b"[" * 100_000,
    ]
    async with archive(synchronizer, name="dev", password="dev", create=True) as target:
        for bad in hostile:
            with pytest.raises(ExportDamaged):
                await target.import_(io.BytesIO(bad))
            assert not await target.versions()
        assert (await target.import_(io.BytesIO(file))).stored == 3


async def test_an_import_goes_on_after_answers_that_were_lost(join, synchronizer, monkeypatch):
    await save_versions(await join(persist_interval_ms=0), 3)
    file = await exported(synchronizer)
    store = Archive._store

    async def store_and_lose(self, save):
        await store(self, save)
        raise SynchronizerUnreachable("lost")

    async with archive(synchronizer, name="dev", password="dev", create=True) as target:
        stale = await target.versions()
        with monkeypatch.context() as patch:
            patch.setattr(Archive, "_store", store_and_lose)
            with pytest.raises(SynchronizerUnreachable, match="lost"):
                await target.import_(io.BytesIO(file))

        # Even when the list of what is there is old, the save ids tell the synchronizer.
        async def stale_list():
            return protocol.Versions(0, 0, [])

        assert not stale
        monkeypatch.setattr(target, "_listed", stale_list)
        assert (await target.import_(io.BytesIO(file))).numbers == {1: 1, 2: 2, 3: 3}
        monkeypatch.undo()
        assert len(await target.versions()) == 3


async def test_content_that_is_not_what_its_description_names_is_refused(synchronizer):
    """What somebody with the password could do, and no correct participant does."""
    async with archive(synchronizer, create=True) as opened:
        meta = VersionMeta("Ada", "", "s", "c", 1, bytes_digest(content_bytes([1])), 3, "")
        save = sealed_save(opened._keys, "forged", 0, 0, meta, pack(content_bytes([2])), None)
        await opened._store(save)
        assert [version.number for version in await opened.versions()] == [1]
        with pytest.raises(SealBroken, match="the content of version 1 is not the one that its description names"):
            await opened.content(1)
        assert [bool(one.damage) for one in await opened.verify()] == [True]


async def test_a_silent_synchronizer_is_not_waited_for_without_end(monkeypatch):
    async def silent(socket):
        await socket.wait_closed()

    monkeypatch.setattr(archive_module, "ANSWER_S", 0.01)
    async with serve(silent, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        with pytest.raises(NoAnswer, match=rf"{url} did not answer within 0 s: try again"):
            async with Archive.open(app_id="test", name="room", synchronizer=url):
                pass


async def test_an_archive_says_when_the_synchronizer_is_gone(join, synchronizer, tmp_path):
    await join()
    with SynchronizerThread(tmp_path / "other") as other:
        opening = archive(other, name="mine", create=True)
        opened = await opening.__aenter__()
        assert not await opened.versions()
    with pytest.raises(SynchronizerUnreachable, match=r"was lost \(the synchronizer stops\): try again"):
        await opened.versions()
    await opening.__aexit__(None, None, None)
