"""Versions as patches, sealed: who may make which, what is refused, and how few keyframes there are."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from msq_jupyter import Model, protocol
from msq_jupyter.errors import ProtocolError, SealBroken, VersionDamaged, VersionMissing
from msq_jupyter.runtime.saves import PendingSave
from msq_jupyter.session.archive import Archive
from msq_jupyter.session.crypto import Keys, derive_root_key
from msq_jupyter.session.session import SessionCore
from msq_jupyter.session.versions import (
    KEYFRAME_WAIT_S,
    VersionSealer,
    open_content,
    open_meta,
    open_source,
    portions,
    version_of,
)
from msq_jupyter.stable import bytes_digest, content_bytes, content_value
from msq_jupyter.synchronizer.records import as_stored
from msq_jupyter.synchronizer.storage import Storage
from tests.conftest import Join, SynchronizerThread, joining

KEYS = Keys(derive_root_key(None, "persistent"), "persistent", "session")
SOURCE = "class Notes(Model): ..."


class Notes(Model):
    """Saves what is large enough to be stored as a patch."""

    def init(self, options, persisted=None):
        self.notes = persisted["notes"] if persisted else [self.random() for _ in range(200)]
        self.subscribe("notes", "set", self.set)

    def set(self, place):
        self.notes[place] = place
        self.persist_session(lambda: {"version": 1, "notes": self.notes})


class EditedNotes(Notes):
    edited = True


# --- a synchronizer's part, in memory ----------------------------------------------------------------------------


class Stored:
    """What a synchronizer has of one name, and what it tells."""

    def __init__(self) -> None:
        self.versions: list[protocol.StoredVersion] = []
        self.sources: dict[str, bytes] = {}

    def store(self, save: protocol.Save, view_id: str = "ada") -> protocol.Saved:
        number = len(self.versions) + 1
        assert not save.base or self.versions[save.base - 1].base == 0
        self.versions.append(as_stored(number, 0.0, save))
        if save.source:
            self.sources[save.source_id] = save.source
        return protocol.Saved(number, 0.0, save.save_id, number, view_id, 0.0, save.digest, save.base == 0)

    def fetch(self, number: int) -> protocol.VersionContent:
        version = self.versions[number - 1]
        return protocol.VersionContent(1, version, self.versions[version.base - 1] if version.base else None)

    @property
    def bases(self) -> list[int]:
        return [version.base for version in self.versions]


class Document:
    """Data of some size, that is edited a little at a time."""

    def __init__(self, notes: int = 300) -> None:
        self._dice = random.Random(5)
        self._notes = [self._dice.random() for _ in range(notes)]
        self._edits = 0

    def edit(self) -> PendingSave:
        self._notes[self._dice.randrange(len(self._notes))] = self._dice.random()
        self._edits += 1
        content = content_bytes({"version": 1, "notes": self._notes})
        return PendingSave(f"run.{self._edits}", content, bytes_digest(content), "ada", "Ada")


def a_sealer(keys: Keys = KEYS) -> VersionSealer:
    return VersionSealer(keys, "session", "code", SOURCE, "Ada")


def save(stored: Stored, sealer: VersionSealer, pending: PendingSave) -> protocol.Save:
    """Let one participant save; it learns that it is stored."""
    sealed = sealer.seal(pending, len(stored.versions))
    sealer.stored(stored.store(sealed), pending.content, is_ours=True)
    return sealed


def three_versions() -> tuple[Stored, list[bytes]]:
    """A whole version and two patches of it; and their contents."""
    stored, sealer, document = Stored(), a_sealer(), Document(60)
    pendings = [document.edit() for _ in range(3)]
    for pending in pendings:
        save(stored, sealer, pending)
    assert stored.bases == [0, 1, 1]
    return stored, [pending.content for pending in pendings]


# --- reading -----------------------------------------------------------------------------------------------------


def test_5_6_a_patch_and_its_base_give_what_was_saved():
    stored, contents = three_versions()
    for number, content in enumerate(contents, 1):
        answer = stored.fetch(number)
        assert answer.version is not None
        assert open_content(KEYS, answer.version, answer.base) == content
    assert stored.versions[2].size_bytes < stored.versions[0].size_bytes / 3


def test_8_3_each_byte_of_a_version_and_of_its_base_is_guarded():
    stored, _ = three_versions()
    base, _, version = stored.versions
    refused = 0
    for part in ("meta", "content"):
        for which in ("version", "base"):
            data = getattr(version if which == "version" else base, part)
            for place in range(len(data)):
                wrong = data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]
                pair = {"version": version, "base": base}
                pair[which] = msgspec.structs.replace(pair[which], **{part: wrong})
                with pytest.raises(SealBroken):
                    open_content(KEYS, pair["version"], pair["base"])
                refused += 1
    assert refused == sum(len(one.meta) + len(one.content) for one in (version, base))


@pytest.mark.parametrize(
    "change", [{"parent": 1}, {"base": 0}, {"base": 2}, {"save_id": "run.2"}, {"source_id": "another"}]
)
def test_8_3_a_version_is_bound_to_its_place(change):
    stored, _ = three_versions()
    base, second, version = stored.versions
    changed = msgspec.structs.replace(version, **change)
    with pytest.raises(SealBroken):
        open_meta(KEYS, changed)
    with pytest.raises(SealBroken):
        open_content(KEYS, changed, second if change == {"base": 2} else base)


def test_8_3_a_base_that_a_hostile_synchronizer_swaps_is_refused():
    stored, _ = three_versions()
    base, second, version = stored.versions
    other = Stored()
    save(other, a_sealer(), Document(70).edit())  # sealed by somebody who knows the password, and whole
    swapped = other.versions[0]
    with pytest.raises(SealBroken, match="the content of version 3 is not what was saved: expected a patch from the"):
        open_content(KEYS, version, swapped)
    for wrong in (None, second, msgspec.structs.replace(base, number=2)):
        with pytest.raises(SealBroken, match="version 3 is a patch of version 1, and that did not come with it"):
            open_content(KEYS, version, wrong)


def test_8_3_a_base_of_another_password_or_name_is_refused_and_named():
    stored, _ = three_versions()
    base, _, version = stored.versions
    others = Keys(derive_root_key(None, "other"), "persistent", "session")
    foreign = Stored()
    save(foreign, a_sealer(others), Document(60).edit())
    with pytest.raises(SealBroken, match="the content of version 3 is a patch of version 1, and the version meta of"):
        open_content(KEYS, version, foreign.versions[0])
    with pytest.raises(SealBroken):
        open_content(others, version, base)


# --- keyframes ---------------------------------------------------------------------------------------------------


def test_a_thousand_versions_by_participants_who_take_turns_and_rejoin_cost_few_keyframes():
    """Every twenty saves both leave, and two others come by snapshot: that costs no keyframe at all."""
    stored, document = Stored(), Document()
    alone, lone_document = Stored(), Document()
    lone = a_sealer()
    sealers = {"ada": a_sealer(), "ben": a_sealer()}
    for number in range(1, 1_001):
        save(alone, lone, lone_document.edit())
        if number % 20 == 0:
            sealers = {name: a_sealer() for name in sealers}
        name = ("ada", "ben")[number % 2]
        pending, parent = document.edit(), len(stored.versions)
        while not sealers[name].is_ready(parent, 0.0, lambda n: sealers[name].fetched(stored.fetch(n))):  # noqa: B023
            pass
        entry = stored.store(sealers[name].seal(pending, parent), name)
        for listener, sealer in sealers.items():
            sealer.stored(entry, pending.content, is_ours=listener == name)
    assert stored.bases == alone.bases
    assert alone.bases.count(0) < 50
    answer = stored.fetch(1_000)
    assert answer.version is not None
    assert open_content(KEYS, answer.version, answer.base) == pending.content


def test_who_does_not_know_the_keyframe_waits_for_it_and_not_for_ever():
    sealer, asked = a_sealer(), []
    assert sealer.is_ready(0, 10.0, asked.append)  # there is nothing to make a patch of
    assert not sealer.is_ready(3, 10.0, asked.append)
    assert not sealer.is_ready(3, 10.0 + KEYFRAME_WAIT_S / 2, asked.append)
    assert asked == [3]
    assert sealer.is_ready(3, 10.0 + KEYFRAME_WAIT_S, asked.append)
    assert sealer.seal(Document().edit(), 3).base == 0
    stored, contents = three_versions()
    sealer.fetched(stored.fetch(3))  # late is better than never
    assert sealer.seal(Document(60).edit(), 3).base == 1
    hurried = a_sealer()
    assert not hurried.is_ready(3, 10.0, asked.append)
    hurried.wait_no_longer()
    assert hurried.is_ready(3, 10.0, asked.append)
    unlucky = a_sealer()
    assert not unlucky.is_ready(3, 10.0, asked.append)
    unlucky.fetched(protocol.VersionContent(1, None, damaged=1))
    assert unlucky.is_ready(3, 10.0, asked.append)
    assert contents


def test_a_run_that_begins_with_a_version_makes_patches_of_it_at_once():
    stored, _ = three_versions()
    for number in (3, 1):
        answer = stored.fetch(number)
        begun = protocol.Welcome("r", False, answer.version, None, 0, 0, 0.0, 0, number, origin_base=answer.base)
        sealer = a_sealer()
        sealer.welcomed(begun)
        assert sealer.is_ready(number, 0.0, pytest.fail)
        assert sealer.seal(Document(60).edit(), number).base == 1
        sealer.welcomed(msgspec.structs.replace(begun, resumed=True, origin=None, origin_base=None))
        assert sealer.seal(Document(60).edit(), number).base == 1
        sealer.welcomed(msgspec.structs.replace(begun, origin=None, origin_base=None))  # another world
        assert sealer.seal(Document(60).edit(), number).base == 0


def test_a_keyframe_that_others_stored_and_that_is_not_known_here_is_fetched():
    stored, document = Stored(), Document()
    ada, ben = a_sealer(), a_sealer()
    save(stored, ada, document.edit())
    ben.stored(protocol.Saved(1, 0.0, "run.1", 1, "ada", 0.0), None, is_ours=False)
    asked: list[int] = []
    assert not ben.is_ready(1, 0.0, asked.append)
    ben.fetched(stored.fetch(asked[0]))
    assert ben.is_ready(1, 0.0, asked.append)
    assert ben.seal(document.edit(), 1).base == 1


def test_what_is_missing_is_sent_with_the_next_attempt():
    stored, document, sealer = Stored(), Document(), a_sealer()
    first = save(stored, sealer, document.edit())
    assert first.source
    patch = sealer.seal(document.edit(), 1)
    assert (patch.base, patch.source, patch.source_id) == (1, b"", first.source_id)
    assert not sealer.refused("")
    assert sealer.seal(document.edit(), 1).base == 1
    assert sealer.refused("source")
    assert not sealer.refused("source")  # nothing can be done about it any more: not at once again
    again = sealer.seal(document.edit(), 1)
    assert (again.base, bool(again.source)) == (1, True)
    assert sealer.refused("base")
    assert not sealer.refused("base")
    assert sealer.seal(document.edit(), 1).base == 0


# --- sources -----------------------------------------------------------------------------------------------------


def test_5_6_a_source_is_bound_to_the_code_that_it_is_of():
    stored, _ = three_versions()
    version = version_of(stored.versions[0], open_meta(KEYS, stored.versions[0]))
    sealed = stored.sources[version.source_id]
    assert (version.source, open_source(KEYS, version, sealed)) == ("", SOURCE)
    with pytest.raises(VersionMissing, match="the source of version 1 is not stored any more, or damaged there"):
        open_source(KEYS, version, None)
    forged = KEYS.seal_source(version.source_id, b"class Other(Model): ...")
    with pytest.raises(SealBroken, match="the source of version 1 is not that of its code: refused"):
        open_source(KEYS, version, forged)
    for place in range(len(sealed)):
        with pytest.raises(SealBroken):
            open_source(KEYS, version, sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :])


async def test_a_list_whose_numbers_do_not_rise_is_refused():
    stored, _ = three_versions()

    async def list_after(after: int) -> protocol.Versions:
        return protocol.Versions(1, 3, stored.versions, more=True)

    with pytest.raises(ProtocolError, match="expected a version above 3 in the list, got 1"):
        _ = [portion async for portion in portions(list_after)]


# --- sessions ----------------------------------------------------------------------------------------------------


@pytest.fixture
async def join(synchronizer: SynchronizerThread) -> AsyncIterator[Join]:
    async with joining(synchronizer, model=Notes, persist_interval_ms=0) as join:
        yield join


async def edit(session: SessionCore, *places: int) -> None:
    for place in places:
        session.publish("notes", "set", place)
        await session.saved()


async def bases(session: SessionCore) -> list[int]:
    answer = await session._questions.ask(protocol.ListVersions)
    return [version.base for version in answer.versions]


def archive(synchronizer: SynchronizerThread, **arguments: Any) -> Any:
    return Archive.open(app_id="test", synchronizer=synchronizer.url, **{"name": "room", **arguments})


def change(tmp_path: Any, sql: str) -> int:
    database = sqlite3.connect(tmp_path / "synchronizer" / "synchronizer.sqlite")
    with database:
        changed = database.execute(sql).rowcount
    database.close()
    return changed


async def test_5_6_everybody_makes_patches_of_one_keyframe(join):
    ada, ben = await join(), await join()
    for place in range(3):
        await edit(ada, 2 * place)
        await ben.synced()
        await edit(ben, 2 * place + 1)
    assert await bases(ada) == [0, 1, 1, 1, 1, 1]
    await ada.leave()
    await ben.leave()
    cleo = await join()  # from a snapshot
    assert cleo._replica.seq > 0
    await edit(cleo, 6)
    edited = await join(EditedNotes)  # from a version that is a patch
    assert edited.model.notes[:8] == [*range(7), edited.model.notes[7]]
    await edit(edited, 7)
    assert await bases(edited) == [0, 1, 1, 1, 1, 1, 1, 1]
    assert not await edited.diff(8, "now")
    assert (await edited.check()).ok
    await edited.restore(2)
    assert edited.model.notes[:2] == [0, 1]
    versions = await edited.versions()
    assert [version.source_id for version in versions[:7]] == [versions[0].source_id] * 7
    assert versions[7].source_id != versions[0].source_id
    assert all(version.stored_bytes < version.size_bytes / 3 for version in versions[1:])


async def test_sources_are_stored_once_and_fetched_once(join, tmp_path):
    ada, ben = await join(), await join()
    await edit(ada, 1)
    await ben.synced()
    await edit(ben, 2, 3)
    first, *_ = await ada.versions()
    assert "class Notes(Model):" in await ada.source_of(first)
    assert change(tmp_path, "DELETE FROM sources") == 1
    assert await ada.source_of(3) == await ada.source_of(first)  # asked for before
    with pytest.raises(VersionMissing, match="the source of version 1 is not stored any more"):
        await ben.source_of(1)


async def test_damage_to_a_base_is_told_by_number_and_its_neighbours_load(join, synchronizer, tmp_path):
    ada = await join()
    await edit(ada, 1, 2, 3)
    other = await join(name="other")
    await edit(other, 1)
    assert change(tmp_path, "UPDATE contents SET content = x'00' WHERE version = 1") == 1
    with pytest.raises(VersionDamaged, match="expected version 1, of which version 3 is stored as a patch") as caught:
        await ada.diff(3)
    assert (caught.value.number, caught.value.damaged) == (3, 1)
    report = await ada.check()
    assert [(row.number, row.error_type) for row in report.failed] == [(n, "VersionDamaged") for n in (1, 2, 3)]
    async with archive(synchronizer) as opened:
        assert [one.number for one in await opened.verify() if one.damage] == [1, 2, 3]
        assert len(await opened.versions()) == 3
    assert (await other.check()).ok
    # Her keyframe is in memory, and was right; but no more is stored that nobody can read.
    await edit(ada, 4, 5)
    assert await bases(ada) == [0, 1, 1, 0, 4]
    assert ada.status.saved_state == "saved"
    assert (await ada.check(versions=[4, 5])).ok


async def test_a_version_whose_description_is_damaged_is_listed_as_such_and_hides_no_other(join, tmp_path):
    ada = await join()
    await edit(ada, 1, 2, 3)
    assert change(tmp_path, "UPDATE versions SET meta = zeroblob(99) WHERE number = 2") == 1
    versions = await ada.versions()
    assert ([version.number for version in versions], list(versions.damaged)) == ([1, 3], [2])
    assert repr(versions).splitlines()[-1].startswith("v2: damaged: the version meta")
    assert "<p>v2: damaged: the version meta" in versions._repr_html_()
    assert [(row.number, row.ok) for row in await ada.check()] == [(1, True), (2, False), (3, True)]
    with pytest.raises(VersionDamaged, match="expected version 2 as it was saved"):
        await ada.source_of(2)


async def test_at_the_end_of_the_process_nobody_waits_for_a_keyframe(join):
    ada = await join()
    await edit(ada, 1)
    ada._sealer._forget_keyframe()
    await asyncio.to_thread(ada._uploads._fetch, 1)  # there is no loop there, as there is none at the end
    assert ada._sealer.is_ready(1, 0.0, pytest.fail)


async def test_an_import_is_stored_as_patches_and_twice_does_not_hurt(join, synchronizer, tmp_path):
    ada = await join()
    await edit(ada, *range(8))
    file = tmp_path / "export.jsonl"
    async with archive(synchronizer) as source, archive(synchronizer, name="copy", create=True) as target:
        with file.open("wb") as stream:
            await source.export(stream)
        assert file.read_bytes().count(b'{"source":') == 1
        for stored in (8, 0):
            with file.open("rb") as stream:
                assert (await target.import_(stream)).stored == stored
        assert list(await target.versions()) == list(await source.versions())
        assert [one.damage for one in await target.verify()] == [""] * 8
        assert [one.base for one in (await target._listed()).versions] == [0, 1, 1, 1, 1, 1, 1, 1]


async def test_many_versions_are_listed_in_portions(join, synchronizer, monkeypatch):
    ada = await join()
    await edit(ada, *range(5))
    monkeypatch.setattr(Storage.list_versions, "__defaults__", (0, 1))
    assert len((await ada._questions.ask(protocol.ListVersions)).versions) == 1
    assert [version.number for version in await ada.versions()] == [1, 2, 3, 4, 5]
    async with archive(synchronizer) as opened:
        assert [version.number for version in await opened.versions()] == [1, 2, 3, 4, 5]


def test_the_description_of_a_version_needs_no_content_to_be_decoded():
    for data, expected in [
        ({"version": 3, "notes": [1]}, 3),
        ({"version": "a"}, "a"),
        ({"version": "a" * 201}, None),
        ({"version": True}, None),
        ({"version": [1]}, None),
        ({}, None),
        ([1, 2], None),
        ("version", None),
        (None, None),
    ]:
        content = content_bytes(data)
        pending = PendingSave("run.1", content, bytes_digest(content), "ada", "Ada")
        stored = Stored()
        save(stored, a_sealer(), pending)
        assert open_meta(KEYS, stored.versions[0]).schema_version == expected
        assert content_value(open_content(KEYS, stored.versions[0])) == data
