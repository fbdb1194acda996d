"""What is saved and outlives code and people, against a real synchronizer."""

from __future__ import annotations

import time
from typing import Any

import pytest

from msq_jupyter.errors import (
    MigrationMissing,
    OutsideModelError,
    PersistedDataError,
    SchemaError,
    SchemaTooNew,
    SealBroken,
    StateError,
    VersionMissing,
)
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.persistent_model import PersistentModel
from msq_jupyter.session.client import Client
from msq_jupyter.session.crypto import Keys
from tests.session.models import EditedCounter, Picky
from tests.waiting import until


async def test_5_7_data_outlives_the_code(join):
    ada = await join()
    ada.publish("counter", "add", 7)
    await ada.synced()
    await ada.saved()
    edited = await join(EditedCounter)
    assert edited.model.count == 7
    assert edited.persistent_id == ada.persistent_id
    assert edited.id != ada.id
    second = await join(EditedCounter)
    assert (second.model.count, second.id) == (7, edited.id)
    edited.publish("counter", "add", 1)
    await edited.synced()
    await edited.saved()
    versions = await second.versions()
    assert [v.number for v in versions] == [1, 2]
    assert [v.parent for v in versions] == [0, 1]
    assert [v.schema_version for v in versions] == [1, 2]
    assert [v.code_hash for v in versions] == [ada.code_hash, edited.code_hash]
    assert [v.source for v in versions] == ["", ""]
    assert "additions" in await second.source_of(versions[1])
    assert "additions" not in await second.source_of(1)
    assert versions[0].author == versions[1].author != ""
    assert versions[0].time <= versions[1].time


async def test_5_4_an_edit_right_after_a_change_finds_the_change_saved(join):
    """The first save goes out at once; what follows within the interval is saved before the new code starts."""
    ada = await join()
    for _ in range(5):
        ada.publish("counter", "add", 1)
        await ada.synced()
    assert (await join(EditedCounter)).model.count == 5


async def test_5_4_rapid_saves_are_few_versions_and_the_last_content_is_saved(join):
    ada = await join(persist_interval_ms=600_000)
    for _ in range(20):
        ada.publish("counter", "add", 1)
        await ada.synced()
    await until(lambda: ada.status.saved_number == 1)
    assert ada.status.saved_state == "dirty"
    assert 590 < ada.status.next_save_s - time.time() < 600
    await ada.leave()
    again = await join()
    versions = await again.versions()
    assert len(versions) == 2
    assert ada.status.saved_state == "saved"


async def test_5_4_the_status_says_what_waits_what_is_uploaded_and_what_is_saved_to_everybody(join, monkeypatch):
    ada = await join(persist_interval_ms=600_000, view_data={"name": "Ada"})
    ben = await join(persist_interval_ms=600_000)
    assert (ada.status.saved_state, ada.status.next_save_s) == ("none", 0)
    told: list[Any] = []
    ben.subscribe(ben.id, "persisted", told.append)
    with monkeypatch.context() as patch:
        patch.setattr(Client, "tell", lambda *_: None)  # uploads and answers to audits get lost
        ada.publish("counter", "add", 1)
        await until(lambda: ada.status.saved_state == ben.status.saved_state == "saving")
        assert ada.status.next_save_s == 0
    ada._uploads.saver.reconnected()
    await until(lambda: ada.status.saved_state == "dirty")  # it waits for its turn again, because it was not stored
    await ada.saved()
    await until(lambda: ben.status.saved_number == 1)
    for session in (ada, ben):
        status = session.status
        assert (status.saved_state, status.saved_by, status.save_error) == ("saved", "Ada", "")
        assert abs(status.saved_at_s - time.time()) < 60
    await until(lambda: told)
    size_bytes = (await ben.versions())[0].size_bytes
    saved = ada.status
    assert told == [{"number": 1, "author": "Ada", "time_s": saved.saved_at_s, "size_bytes": size_bytes}]
    ada.publish("counter", "add", 1)
    await until(lambda: ada.status.saved_state == ben.status.saved_state == "dirty")
    assert ada.status.next_save_s > time.time() + 500
    assert ben.status.next_save_s > time.time() + 500


async def test_5_5_when_the_one_who_should_save_vanishes_another_one_does(join, monkeypatch):
    ada, ben = await join(persist_interval_ms=0), await join(persist_interval_ms=0)
    monkeypatch.setattr(ada, "_upload_if_due", lambda **_: None)
    ada.publish("counter", "add", 1)
    await until(lambda: ben.status.saved_number == 1)
    await until(lambda: ada.status.saved_number == 1)
    assert len(await ben.versions()) == 1


async def test_5_7_a_session_is_resumed_when_everybody_left(join):
    ada = await join()
    ada.publish("counter", "add", 3)
    await ada.synced()
    people = list(ada.model.people)
    await ada.leave()
    ben = await join()
    assert ben.model.count == 3
    assert ben.model.people[: len(people)] == people
    assert ben.model.now() >= ada.model.now()


async def test_5_7_persisted_ignore_and_a_number_start_from_what_they_say(join):
    ada = await join()
    ada.publish("counter", "add", 3)
    await ada.synced()
    await ada.saved()
    ada.publish("counter", "add", 4)
    await ada.synced()
    await ada.saved()
    first = await join(EditedCounter, persisted=1, options={"from": "one"})
    assert first.model.count == 3
    empty = await join(EditedCounter, persisted="ignore", options={"from": "none"})
    assert empty.model.count == 0
    with pytest.raises(VersionMissing):
        await join(EditedCounter, persisted=99, options={"from": "nowhere"})


async def test_5_8_persisted_data_that_init_cannot_read_says_the_ways_on(join):
    ada = await join()
    ada.publish("counter", "add", 3)
    await ada.synced()
    await ada.saved()
    with pytest.raises(PersistedDataError, match=r'version 1 .*KeyError.*Nothing was overwritten.*"ignore"') as caught:
        await join(Picky)
    assert caught.value.version == 1
    assert len(await ada.versions()) == 1


class Newer(PersistentModel):
    schema_version = 2

    def defaults(self, options):
        self.subscribe("newer", "save", self.save_it)

    def save_it(self, _):
        self.save()

    def to_save_data(self):
        return {"count": 7}


class Older(PersistentModel):
    def from_save_data(self, data):
        self.count = data["count"]


class Further(Newer):
    schema_version = 4


class Unwritten(PersistentModel):
    schema_version = 2


class Holding(Model):
    def init(self, options, persisted=None):
        self.held = object() if persisted else None


@pytest.mark.parametrize(
    ("model", "cause", "text"),
    [
        (Older, SchemaTooNew, "the saved data has version 2, and Older knows versions up to 1"),
        (Further, MigrationMissing, r"there is no migration from version 2 to 3"),
        (Unwritten, SchemaError, "Unwritten does not say what to save"),
        (Holding, StateError, r"Holding\.held: cannot store object"),
    ],
)
async def test_5_8_an_error_of_ours_on_persisted_data_comes_with_version_and_ways_on(join, model, cause, text):
    ada = await join(Newer)
    ada.publish("newer", "save")
    await ada.saved()
    with pytest.raises(PersistedDataError, match=text) as caught:
        await join(model)
    assert caught.value.version == 1
    assert isinstance(caught.value.__cause__, cause)
    for way in ("version 1 ", "Nothing was overwritten", "number of an older version", '"ignore"', "session.check("):
        assert way in str(caught.value)
    assert len(await ada.versions()) == 1


async def test_5_8_a_damaged_version_is_named_and_the_ways_on_with_it(join, monkeypatch):
    ada = await join()
    ada.publish("counter", "add", 3)
    await ada.saved()
    original = Keys.open_version

    def damaged(self, *place_and_sealed):
        *place, sealed = place_and_sealed
        return original(self, *place, sealed[:-1] + bytes([sealed[-1] ^ 1]))

    monkeypatch.setattr(Keys, "open_version", damaged)
    with pytest.raises(PersistedDataError, match=r"^version 1 .* cannot be read: SealBroken.*Join with pers") as caught:
        await join(EditedCounter)
    assert isinstance(caught.value.__cause__, SealBroken)


async def test_5_7_a_session_that_starts_from_a_version_says_from_which(join):
    ada = await join(view_data={"name": "Ada"})
    assert ada.status.saved_state == "none"
    ada.publish("counter", "add", 1)
    await ada.saved()
    edited = await join(EditedCounter)
    assert (edited.status.saved_state, edited.status.saved_number, edited.status.saved_by) == ("saved", 1, "Ada")
    assert edited.status.saved_at_s == ada.status.saved_at_s > 0


async def test_saved_waits_for_what_was_published_just_now(join):
    ada = await join()
    ada.publish("counter", "add", 1)
    await ada.saved()
    assert ada.model.count == 1
    assert ada.status.saved_number == 1


async def test_5_1_saving_from_a_cell_raises(join):
    ada = await join()
    with pytest.raises(OutsideModelError, match=r"session\.publish"):
        ada.model.persist_session({})
