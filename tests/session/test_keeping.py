"""What a session does about versions on purpose (rules 5.6, 5.10): real sessions against a real synchronizer."""

from __future__ import annotations

import asyncio
import datetime
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from msq_jupyter import Model
from msq_jupyter.errors import (
    ArgumentError,
    NothingCollected,
    PersistedDataError,
    SaveMethodMissing,
    SessionClosed,
    VersionMissing,
)
from msq_jupyter.session import curating
from msq_jupyter.session.archive import Archive
from msq_jupyter.session.session import SessionCore
from tests.conftest import Join, SynchronizerThread, joining
from tests.session.models import Counter
from tests.waiting import until


class Shelf(Model):
    def init(self, options, persisted=None):
        self.documents = dict(persisted["documents"]) if persisted else {}
        self.loading_failed = False
        self.subscribe("shelf", "write", self.write)
        self.subscribe("shelf", "drop", self.drop)
        self.subscribe("shelf", "fail", self.fail)
        if persisted and "poison" in self.documents.values():
            raise KeyError("antidote")

    def write(self, documents):
        self.documents.update(documents)

    def drop(self, name):
        self.documents.pop(name)

    def fail(self, how):
        self.loading_failed = how

    def save(self):
        if self.loading_failed == "return":
            return
        if self.loading_failed == "raise":
            raise ZeroDivisionError("no")
        self.persist_session({"documents": self.documents})


class Forgetful(Model):
    def init(self, options):
        self.persist_session({"some": "thing"})


@pytest.fixture
async def join(synchronizer: SynchronizerThread) -> AsyncIterator[Join]:
    async with joining(synchronizer, model=Shelf, name="shelf", password="pw", persist_interval_ms=0) as join:
        yield join


async def write(session: SessionCore, **documents: str) -> int:
    """Change documents and save them as a version."""
    session.publish("shelf", "write", documents)
    return await session.save()


async def labels(session: SessionCore) -> dict[int, str]:
    return {version.number: version.label for version in await session.versions()}


def documents(session: SessionCore) -> dict[str, str]:
    return dict(session.model.documents)


# --- saving by name ----------------------------------------------------------------------------------------------


async def test_5_6_save_stores_a_version_of_its_own_for_everybody_and_names_it(join):
    ada, ben = await join(view_data={"name": "Ada"}), await join(view_data={"name": "Ben"})
    ada.publish("shelf", "write", {"a": "1"})
    assert await ada.save("before the exam") == 1
    ben.publish("shelf", "write", {"a": "2"})
    assert await ben.save() == 2
    [first, second] = await ada.versions()
    assert (first.label, first.author, second.label, second.author) == ("before the exam", "Ada", "", "Ben")
    assert first.annotations["label"].author == "Ada"
    assert "before the exam" in repr(await ben.versions())


async def test_5_3_save_of_what_is_stored_already_names_that_version(join):
    ada = await join()
    assert await write(ada, a="1") == 1
    assert await ada.save("named later") == 1
    assert await labels(ada) == {1: "named later"}


async def test_5_3_save_of_what_a_session_started_from_names_that_version(join):
    ada = await join()
    await write(ada, a="1")
    await ada.leave()
    again = await join(options={"another": "session"})
    assert await again.save("the beginning") == 1


async def test_5_4_saves_by_name_are_versions_each_though_saving_is_throttled(join):
    ada = await join(persist_interval_ms=600_000)
    numbers = []
    for number in range(3):
        ada.publish("shelf", "write", {"a": str(number)})
        numbers.append(await ada.save(f"step {number}"))
    assert numbers == [1, 2, 3]
    assert await labels(ada) == {1: "step 0", 2: "step 1", 3: "step 2"}


async def test_5_6_saves_at_once_by_two_are_stored_once(join):
    ada, ben = await join(), await join()
    ada.publish("shelf", "write", {"a": "1"})
    await ada.synced()
    assert await asyncio.gather(ada.save("ada's"), ben.save("ben's")) == [1, 1]
    assert await labels(ada) in ({1: "ada's"}, {1: "ben's"})


async def test_save_without_a_way_to_save_shows_the_method(join):
    session = await join(Forgetful)
    with pytest.raises(SaveMethodMissing) as raised:
        await session.save("x")
    assert str(raised.value).splitlines()[1:] == [
        "    def save(self):",
        '        self.persist_session(lambda: {"version": 1, "notes": self.notes})',
    ]


async def test_save_that_fails_or_collects_nothing_says_so_and_names_nothing(join):
    ada = await join()
    await write(ada, a="1")
    ada.publish("shelf", "fail", "return")
    with pytest.raises(NothingCollected, match=r"Shelf\.save ended without self\.persist_session"):
        await ada.save("x")
    ada.publish("shelf", "fail", "raise")
    with pytest.raises(ZeroDivisionError, match="no"):
        await ada.save("x")
    ada.publish("shelf", "fail", False)
    assert await labels(ada) == {1: ""}
    assert await ada.save("y") == 1


# --- labels and pins ---------------------------------------------------------------------------------------------


async def test_5_6_labels_and_pins_are_told_to_everybody(join):
    ada, ben = await join(view_data={"name": "Ada"}), await join()
    heard: list[Any] = []
    ben.subscribe(ben.id, "versions-changed", heard.append)
    await write(ada, a="1")
    await ada.label(1, "  first  ")
    await until(lambda: heard == [{"versions": [1]}])
    await ben.pin(1)
    [version] = await ada.versions()
    assert (version.label, version.pinned) == ("first", True)
    assert "pinned" in repr(await ada.versions())
    await ada.label(1, "renamed")
    await ben.pin(1, pinned=False)
    assert await labels(ben) == {1: "renamed"}
    await ada.label(1, "")
    [version] = await ben.versions()
    assert (version.label, version.pinned) == ("", False)


async def test_5_6_labels_outlast_the_synchronizer_s_process(join, tmp_path: Path):
    with SynchronizerThread(tmp_path / "data") as first:
        ada = await join(synchronizer=first.url)
        await write(ada, a="1")
        await ada.label(1, "for ever")
        await ada.leave()
    with SynchronizerThread(tmp_path / "data") as second:
        ada = await join(synchronizer=second.url)
        assert await labels(ada) == {1: "for ever"}
        await ada.leave()


async def test_8_1_labels_are_sealed_for_their_version_and_kind(join, tmp_path: Path):
    ada = await join()
    await write(ada, a="1")
    await write(ada, a="2")
    await ada.label(1, "a secret name")
    assert await labels(ada) == {1: "a secret name", 2: ""}
    file = tmp_path / "synchronizer" / "synchronizer.sqlite"
    assert b"a secret name" not in file.read_bytes() + file.with_name(f"{file.name}-wal").read_bytes()
    database = sqlite3.connect(file)
    with database:
        database.execute("UPDATE annotations SET number = 2")
    assert "belongs to another place" in (await ada.versions()).damaged[2]
    with database:
        database.execute("UPDATE annotations SET number = 1, kind = 'pin'")
    database.close()
    assert "the annotation pin of" in (await ada.versions()).damaged[1]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x" * 121, "label: expected at most 120 characters, got 121: xxxx"),
        ("two\nlines", "label: expected one line of characters that can be seen, got two\\\\nlines"),
        ("\x1b[31mred", "that can be seen, got \\\\x1b"),
        ("a\u202eb", "that can be seen"),
        ("\ud800", "that can be seen"),
        (7, 'label: expected text such as "before the exam", got 7'),
    ],
)
async def test_a_label_is_harmless_text(join, text, told):
    ada = await join()
    await write(ada, a="1")
    with pytest.raises(ArgumentError, match=told.replace("[", r"\[")):
        await ada.label(1, text)
    with pytest.raises(ArgumentError):
        await ada.save(text)


async def test_what_is_not_there_cannot_be_labelled_and_what_is_left_is_closed(join):
    ada = await join()
    with pytest.raises(VersionMissing, match="expected a saved version, and there is none yet, got 1"):
        await ada.label(1, "x")
    await write(ada, a="1")
    with pytest.raises(VersionMissing, match="expected one of the versions 1, got 2"):
        await ada.pin(2)
    with pytest.raises(ArgumentError, match="version: expected the number of a version, such as 3, got '1'"):
        await ada.pin("1")
    with pytest.raises(ArgumentError, match="pinned: expected True or False, got 1"):
        await ada.pin(1, 1)
    await ada.leave()
    for asked in (ada.label(1, "x"), ada.pin(1), ada.save(), ada.prune("everything for a day")):
        with pytest.raises(SessionClosed):
            await asked


# --- pruning -----------------------------------------------------------------------------------------------------

LAST_ONLY = "yearly for a minute"


@pytest.fixture
def years_later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on, all versions were stored long ago."""
    later = curating._now() + datetime.timedelta(days=1000)
    return lambda: monkeypatch.setattr(curating, "_now", lambda: later)


async def test_5_6_pruning_keeps_labels_pins_and_the_head(join, years_later):
    ada = await join()
    for number in range(1, 7):
        await write(ada, a=str(number))
    await ada.label(2, "named")
    await ada.pin(4)
    assert await ada.prune("everything for a day") == []
    years_later()
    assert await ada.prune(LAST_ONLY, dry_run=True) == [1, 3, 5]
    assert list(await labels(ada)) == [1, 2, 3, 4, 5, 6]
    assert await ada.prune(LAST_ONLY) == [1, 3, 5]
    assert list(await labels(ada)) == [2, 4, 6]
    with pytest.raises(VersionMissing, match=r"expected one of the versions 2, 4, 6, got 3"):
        await ada.diff(3)
    assert await ada.prune(LAST_ONLY) == []
    # Numbers are not given again, and those that stay can be read and gone on from.
    assert await write(ada, a="7") == 7
    await ada.restore(4)
    assert documents(ada) == {"a": "4"}
    with pytest.raises(ArgumentError, match="retention: cannot read 'never'"):
        await ada.prune("never")


async def test_5_6_a_version_labelled_while_others_prune_stays(join, years_later, monkeypatch: pytest.MonkeyPatch):
    ada, ben = await join(), await join()
    for number in range(1, 4):
        await write(ada, a=str(number))
    years_later()
    listed = ada._reader.listed

    async def listed_then_labelled() -> Any:
        answer = await listed()
        await ben.label(1, "mine")
        return answer

    monkeypatch.setattr(ada._reader, "listed", listed_then_labelled)
    assert await ada.prune(LAST_ONLY) == [2]
    assert await labels(ben) == {1: "mine", 3: ""}


async def test_7_3_what_a_run_may_have_to_begin_with_again_is_not_pruned(join, years_later):
    ada = await join()
    for number in range(1, 4):
        await write(ada, a=str(number))
    years_later()
    old = await join(options={"other": "session"}, persisted=1)
    assert documents(old) == {"a": "1"}
    assert await ada.prune(LAST_ONLY) == [2]
    newcomer = await join(options={"other": "session"})
    assert documents(newcomer) == {"a": "1"}


async def test_joining_at_a_version_that_was_pruned_says_so(join, years_later):
    ada = await join()
    for number in range(1, 4):
        await write(ada, a=str(number))
    years_later()
    assert await ada.prune(LAST_ONLY) == [1, 2]
    with pytest.raises(VersionMissing, match="expected persisted to be a version that is kept, got 1"):
        await join(options={"other": "session"}, persisted=1)


class Novel(Model):
    def init(self, options, persisted=None):
        self.pages = list(persisted["pages"]) if persisted else [f"page {n} {(n + 7919) ** 60}" for n in range(40)]
        self.subscribe("novel", "write", self.write)

    def write(self, page):
        self.pages[page] = f"page {page}, once more"

    def save(self):
        self.persist_session({"pages": self.pages})


async def test_5_6_versions_are_read_and_saved_though_what_they_are_patches_of_was_pruned(join, years_later):
    ada = await join(Novel)
    for page in range(4):
        ada.publish("novel", "write", page)
        await ada.save()
    await ada.pin(3)
    years_later()
    assert (await ada.versions())[2].stored_bytes < (await ada.versions())[0].stored_bytes / 2
    assert await ada.prune(LAST_ONLY) == [1, 2]
    assert not await ada.diff(3, 3)
    assert (await ada.diff(3, 4)).operations[0].path_text == "pages[3]"
    ada.publish("novel", "write", 7)
    assert await ada.save() == 5
    await ada.restore(3)
    assert ada.model.pages[3] != "page 3, once more"
    assert "class Novel" in await ada.source_of(3)
    await ada.leave()
    again = await join(Novel, options={"another": "session"})
    assert again.model.pages[2] == "page 2, once more"


# --- restoring one path ------------------------------------------------------------------------------------------


async def test_5_10_one_path_is_restored_for_everybody_and_the_rest_stays(join):
    ada, ben = await join(), await join()
    await write(ada, d1="old", d2="old")
    await write(ada, d1="new", d2="new")
    ben.publish("shelf", "write", {"d3": "ben's, not saved"})
    await ben.synced()
    await ada.restore(1, path="documents.d1")
    expected = {"d1": "old", "d2": "new", "d3": "ben's, not saved"}
    assert documents(ada) == expected
    await until(lambda: documents(ben) == expected)
    [_, _, before, after] = await ada.versions()
    assert (before.label, after.label, after.parent) == ("", "documents.d1 restored from version 1", 3)
    await ben.restore(before.number)
    assert documents(ben)["d1"] == "new"


async def test_5_10_a_path_that_is_gone_is_added(join):
    ada = await join()
    await write(ada, d1="old", d2="old")
    ada.publish("shelf", "drop", "d1")
    await ada.synced()
    await ada.restore(1, path="documents.d1")
    assert documents(ada) == {"d2": "old", "d1": "old"}


async def test_5_10_what_others_do_before_it_is_executed_is_not_lost(join, monkeypatch: pytest.MonkeyPatch):
    ada, ben = await join(), await join()
    await write(ada, d1="old", d2="old")
    await write(ada, d1="new", d2="new")
    try_out = ada._restorer._try_out

    def meanwhile(content: bytes, number: int) -> None:
        try_out(content, number)
        ada.publish("shelf", "write", {"d2": "meanwhile"})

    monkeypatch.setattr(ada._restorer, "_try_out", meanwhile)
    await ada.restore(1, path="documents.d1")
    assert documents(ada) == {"d1": "old", "d2": "meanwhile"}
    await until(lambda: documents(ben) == documents(ada))


async def test_5_10_a_path_that_is_nowhere_names_its_nearest_relative_and_changes_nothing(join):
    ada = await join()
    await write(ada, lesson="1")
    with pytest.raises(ArgumentError, match=r"version 1 has no documents.lesso; did you mean documents.lesson\?"):
        await ada.restore(1, path="documents.lesso")
    with pytest.raises(ArgumentError, match="path: cannot read"):
        await ada.restore(1, path="documents.")
    assert list(await labels(ada)) == [1]


async def test_5_10_a_path_without_a_save_method_shows_it(join):
    session = await join(Forgetful)
    await session.saved()
    with pytest.raises(SaveMethodMissing, match="expected Forgetful to have a method save"):
        await session.restore(1, path="some")


async def test_5_10_a_path_that_init_refuses_changes_nothing(join):
    ada = await join()
    await write(ada, d1="poison")
    await write(ada, d1="new")
    with pytest.raises(PersistedDataError, match=r"Shelf\.init failed on version 1.*Nothing was sent"):
        await ada.restore(1, path="documents.d1")
    assert documents(ada) == {"d1": "new"}


# --- without a session -------------------------------------------------------------------------------------------


async def test_an_archive_labels_and_prunes_and_live_sessions_hear_of_it(join, synchronizer, years_later):
    ada = await join()
    heard: list[Any] = []
    ada.subscribe(ada.id, "versions-changed", heard.append)
    for number in range(1, 5):
        await write(ada, a=str(number))
    years_later()
    where = {"app_id": "test", "name": "shelf", "password": "pw", "synchronizer": synchronizer.url}
    async with Archive.open(**where) as archive:
        assert archive.present == 1
        await archive.label(1, "named")
        await archive.pin(2)
        assert await archive.prune(LAST_ONLY) == [3]
        assert [(v.number, v.label, v.pinned) for v in await archive.versions()] == [
            (1, "named", False),
            (2, "", True),
            (4, "", False),
        ]
        assert (await archive.read(2))[0].pinned
        with pytest.raises(VersionMissing, match="expected one of the versions 1 to 2, 4, got 3"):
            await archive.read(3)
    await until(lambda: heard == [{"versions": [1]}, {"versions": [2]}, {"versions": [3]}])


async def test_an_archive_restores_a_copy_that_sessions_start_from(join, synchronizer):
    ada = await join(Counter)
    for _ in range(2):
        ada.publish("counter", "add", 1)
        await ada.saved()
    await ada.leave()
    where = {"app_id": "test", "name": "shelf", "password": "pw", "synchronizer": synchronizer.url}
    async with Archive.open(**where) as archive:
        assert await archive.restore(1) == 3
        versions = await archive.versions()
        assert [(v.number, v.parent, v.label) for v in versions][-1] == (3, 2, "restored from version 1")
        with pytest.raises(ArgumentError, match="expected an older version than 3"):
            await archive.restore(3)
    again = await join(Counter)
    assert again.model.count == 1
