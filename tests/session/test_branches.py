"""Two code versions live at once: two branches, both kept, both shown, and a way from one to the other."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import io
import logging
from typing import Any

import pytest

from msq_jupyter.persistence.records import Version, VersionList
from msq_jupyter.runtime.saves import LastSave
from msq_jupyter.session.archive import Archive
from msq_jupyter.session.branches import BranchNotice, notice_of
from msq_jupyter.session.session import SessionCore
from tests.conftest import SynchronizerThread
from tests.session.models import Counter, Diary, EditedCounter
from tests.waiting import until

NOW = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.timezone.utc)


def version(number: int, parent: int, author: str = "Ada", code_hash: str = "new") -> Version:
    return Version(number, parent, NOW, author, "", "session", code_hash, 1, 17, 20, "source id")


def some(*versions: Version, head: int) -> VersionList:
    parents = {v.parent for v in versions}
    places = [{"is_head": v.number == head, "is_tip": v.number not in parents} for v in versions]
    return VersionList([dataclasses.replace(v, **at) for v, at in zip(versions, places, strict=True)], head=head)


async def add(session: SessionCore, amount: int) -> None:
    session.publish("counter", "add", amount)
    await session.saved()


# --- in words ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "begins"),
    [
        (version(5, 3), "Ada's code has moved the head since v3, to v5: what is saved here is kept as a branch, "),
        (version(5, 3, code_hash="old"), "Ada has moved the head since v3, to v5: "),
        (version(5, 3, author=""), "somebody's code has moved the head since v3, to v5: "),
        (version(5, 0), "Ada's code has moved the head, to v5: "),
        (version(5, 9), "Ada's code has moved the head, to v5: "),  # whose parent is not there any more
    ],
)
def test_5_6_a_notice_says_who_moved_the_head_since_when_and_what_to_do(head: Version, begins: str):
    versions = some(version(1, 0), version(3, 1), version(4, 3, code_hash="old"), head, head=5)
    notice = notice_of(versions, 4, "old")
    assert notice.startswith(begins)
    assert notice.endswith(
        "now at v4. await session.restore(4) makes it the head, await session.restore(5) brings the other one here"
    )


def test_5_6_a_notice_before_anything_is_saved_beside_the_head_says_what_will_be():
    versions = some(version(3, 1), version(4, 3, code_hash="old"), version(5, 4), head=5)
    assert notice_of(versions, 4, "old") == (
        "Ada's code has moved the head since v4, to v5: what is saved here from now on is kept as a branch. "
        "await session.restore(5) brings it here"
    )


def test_5_6_the_table_marks_the_head_and_tells_branches_from_the_main_line():
    versions = some(version(1, 0), version(2, 1), version(3, 1), version(4, 3), version(5, 2), version(6, 0), head=5)
    assert versions.lines() == {
        1: "",
        2: "",
        3: "from v1",
        4: "branch",
        5: "head, from v2",
        6: "branch, from nothing",
    }
    rows = repr(versions).splitlines()
    assert rows[0].split()[:3] == ["version", "line", "saved"]
    assert rows[2].startswith("v5       head, from v2         2026-11-24 ")
    assert '<td style="text-align:left">head, from v2</td>' in versions._repr_html_()


class Noticed:
    """A notice of one session, and what it told and took back."""

    def __init__(self, versions: VersionList, persisted: str | int = "latest") -> None:
        self.told: list[str] = []
        self.meant: list[bool] = []
        self.withdrawn: list[str] = []

        async def ask() -> VersionList:
            return versions

        self.notice = BranchNotice("old", True, persisted, ask, self._tell, self.withdrawn.append)

    def _tell(self, text: str, is_meant: bool) -> None:
        self.told.append(text)
        self.meant.append(is_meant)

    async def look(self, last: LastSave | None) -> None:
        self.notice.look(last)
        await asyncio.sleep(0)  # it begins to ask
        await asyncio.sleep(0)  # and has an answer


async def test_the_notice_is_told_once_for_each_time_the_head_is_left_behind():
    noticed = Noticed(some(version(1, 0), version(2, 1), version(3, 1, code_hash="old"), head=2))
    states = (None, True, False, False, True, False)
    for number, is_head in enumerate(states, 1):
        await noticed.look(None if is_head is None else LastSave(number, "Ada", 1.5, is_head))
    assert [text[:10] for text in noticed.told] == ["Ada's code"] * 2
    assert noticed.withdrawn == noticed.told[:1]


async def test_5_6_who_was_behind_and_is_on_a_branch_now_is_told_that_instead():
    noticed = Noticed(some(version(1, 0), version(3, 1), version(4, 1, code_hash="old"), head=3))
    noticed.notice.welcomed(3)
    for last in (LastSave(1, "Ben", 0.0), LastSave(4, "Ben", 0.0, False), LastSave(4, "Ben", 0.0, False)):
        await noticed.look(last)
    assert ["is kept as a branch" in text for text in noticed.told] == [False, True]
    assert noticed.withdrawn == noticed.told[:1]


@pytest.mark.parametrize(("persisted", "is_meant"), [(1, True), (2, False), ("latest", False)])
async def test_5_6_a_branch_from_the_version_that_was_asked_for_is_meant(persisted: str | int, is_meant: bool):
    versions = some(version(1, 0), version(2, 1), version(3, 2, code_hash="old"), version(4, 1), head=4)
    noticed = Noticed(versions, persisted)
    await noticed.look(LastSave(3, "Ada", 1.5, False))
    assert (noticed.meant, noticed.withdrawn) == ([is_meant], [])


# --- live --------------------------------------------------------------------------------------------------------


async def test_5_6_a_colleague_who_stays_in_the_old_session_is_on_a_branch_and_told_so(
    join: Any, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.WARNING, "msq_jupyter"):
        ben = await join(Counter, persist_interval_ms=0, view_data={"name": "Ben"})
        await add(ben, 1)
        ada = await join(EditedCounter, persist_interval_ms=0, view_data={"name": "Ada"})
        await add(ada, 10)
        # He hears of it before he saves anything, and so does who comes to his session later.
        await until(lambda: "to v2: what is saved here from now on is kept as a branch" in ben.notice)
        assert (ada.status.on_branch, ben.status.on_branch) == (False, True)
        late = await join(Counter, persist_interval_ms=0, view_data={"name": "Late"})
        await until(lambda: "what is saved here from now on is kept as a branch" in late.notice)
        assert late.status.on_branch
        await late.leave()
        await add(ben, 100)
        assert (ada.status.on_branch, ben.status.on_branch) == (False, True)
        await add(ben, 1_000)
        versions = await ada.versions()
        assert [(v.number, v.parent, v.is_head) for v in versions] == [
            (1, 0, False),
            (2, 1, True),
            (3, 1, False),
            (4, 3, False),
        ]
        assert versions.head == 2
        told = [record.message for record in caplog.records if "kept as a branch" in record.message]
        assert len(told) == 2  # once to each of the two who are left behind
        assert all(text.endswith("await session.restore(2) brings it here") for text in told)
        # Looking works on both lines.
        assert "count: 11 → 1101" in str(await ada.diff(2, 4))
        report = await ada.check()
        assert [checked.number for checked in report] == [1, 2, 3, 4]


async def test_5_6_who_joins_a_session_that_somebody_s_newer_version_is_not_in_is_told_at_once(join: Any):
    ben = await join(Counter, persist_interval_ms=0, view_data={"name": "Ben"})
    await add(ben, 1)
    ada = await join(EditedCounter, persist_interval_ms=0, rejoin_limit_ms=0, view_data={"name": "Ada"})
    await add(ada, 10)
    await ada.leave()
    late = await join(Counter, persist_interval_ms=0)
    notice = (
        "Ada saved v2 with other code, and it is not in this session: await session.restore(2) brings it here; "
        "else the next save here becomes the newest version"
    )
    await until(lambda: late.notice == notice)
    assert not late.status.on_branch
    await add(late, 100)
    assert (await late.versions()).head == 3
    await until(lambda: late.notice == "")  # the one choice is made
    await late.restore(2)
    assert ben.model.count == 11


async def test_5_6_who_has_saved_nothing_yet_hears_of_what_others_saved_if_the_model_saves(join: Any):
    ben, reader = await join(Counter), await join(Diary)
    ada = await join(EditedCounter, persist_interval_ms=0, view_data={"name": "Ada"})
    await add(ada, 10)
    await until(lambda: "Ada's code has moved the head, to v1: what is saved here from now on" in ben.notice)
    assert ben.status.on_branch
    await reader.synced()
    assert not reader.status.on_branch
    assert "branch" not in reader.notice
    begun_anew = await join(Counter, options={"room": 2}, persisted="ignore")
    await until(lambda: any("not in this session" in line.text or "branch" in line.text for line in begun_anew.log))
    assert "v1" not in begun_anew.notice  # that is what was asked for


async def test_5_6_who_begins_with_an_older_version_knows_of_the_branch_and_is_not_warned(
    join: Any, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.INFO, "msq_jupyter"):
        town = await join(Counter, persist_interval_ms=0)
        await add(town, 1)
        await add(town, 10)
        world = await join(Counter, options={"world": 1}, persisted=1, persist_interval_ms=0)
        assert world.model.count == 1
        await add(world, 100)
        await until(lambda: any("kept as a branch" in record.message for record in caplog.records))
        assert (town.status.on_branch, world.status.on_branch) == (False, True)
        assert (await world.versions()).lines()[3] == "branch, from v1"
    assert [record.levelname for record in caplog.records if "kept as a branch" in record.message] == ["INFO"]
    assert "kept as a branch" not in world.notice


async def test_5_10_a_branch_that_is_restored_takes_the_head_and_new_sessions_start_from_it(join: Any):
    ben = await join(Counter, persist_interval_ms=0)
    await add(ben, 1)
    ada = await join(EditedCounter, persist_interval_ms=0)
    await add(ada, 10)
    await add(ben, 100)
    await ben.restore(3)
    assert not ben.status.on_branch
    versions = await ben.versions()
    head = versions[-1]
    assert (head.is_head, head.parent, head.label) == (True, versions[-2].number, "restored from version 3")
    third = await join(EditedCounter, options={"room": 3})
    assert third.model.count == 101
    # Now it is the others who are on one.
    await add(ada, 5)
    assert ada.status.on_branch
    assert (await ada.versions()).head == head.number


async def test_5_7_edited_back_with_nobody_left_starts_from_what_the_edited_code_saved(join: Any):
    ada = await join(Counter, persist_interval_ms=0)
    await add(ada, 1)
    await ada.leave()
    edited = await join(EditedCounter, persist_interval_ms=0)
    await add(edited, 10)
    await edited.leave()
    back = await join(Counter, persist_interval_ms=0)
    assert back.model.count == 11
    await add(back, 1)
    assert [(v.number, v.parent) for v in await back.versions()] == [(1, 0), (2, 1), (3, 2)]
    assert not back.status.on_branch


async def test_5_6_when_the_edited_code_s_sessions_ended_the_old_ones_take_the_head_back(join: Any):
    ben = await join(Counter, persist_interval_ms=0)
    await add(ben, 1)
    ada = await join(EditedCounter, persist_interval_ms=0, rejoin_limit_ms=0)
    await add(ada, 10)
    await add(ben, 100)
    assert ben.status.on_branch
    await ada.leave()
    await add(ben, 1_000)
    assert not ben.status.on_branch
    await ben.label(1, "first")  # whatever is told next says that nobody else holds the head
    await ben.synced()
    assert not ben.status.on_branch
    versions = await ben.versions()
    assert [(v.number, v.parent, v.is_head) for v in versions][2:] == [(3, 1, False), (4, 3, True)]
    assert versions.lines()[2] == "branch"


async def test_5_6_two_participants_of_one_session_save_one_line(join: Any):
    people = [await join(Counter, persist_interval_ms=0) for _ in range(3)]
    for turn in range(5):
        for person in people:
            person.publish("counter", "add", turn)
    await asyncio.gather(*(person.saved() for person in people))
    versions = await people[0].versions()
    assert [v.parent for v in versions] == [v.number - 1 for v in versions]
    assert versions.head == versions[-1].number
    assert not any(person.status.on_branch for person in people)


async def test_5_4_leaving_with_two_saves_waiting_stores_both_in_order(join: Any):
    ada = await join(Counter, persist_interval_ms=600_000)
    for amount in (1, 10, 100):
        ada.publish("counter", "add", amount)
        await ada.synced()
    await ada.leave()
    again = await join(EditedCounter)
    assert again.model.count == 111
    versions = await again.versions()
    assert [(v.number, v.parent) for v in versions] == [(n, n - 1) for n in range(1, len(versions) + 1)]
    assert versions.head == len(versions)


# --- imported ----------------------------------------------------------------------------------------------------


async def imported_into(synchronizer: SynchronizerThread, name: str, file: bytes) -> None:
    where = {"app_id": "test", "password": "pw", "synchronizer": synchronizer.url}
    async with Archive.open(name=name, create=True, **where) as archive:
        await archive.import_(io.BytesIO(file))


async def exported(synchronizer: SynchronizerThread, name: str) -> bytes:
    stream = io.BytesIO()
    async with Archive.open(app_id="test", name=name, password="pw", synchronizer=synchronizer.url) as archive:
        await archive.export(stream)
    return stream.getvalue()


async def test_5_6_an_export_takes_its_branches_and_its_head_elsewhere(join: Any, synchronizer: SynchronizerThread):
    ben = await join(Counter, persist_interval_ms=0)
    await add(ben, 1)
    ada = await join(EditedCounter, persist_interval_ms=0)
    await add(ada, 10)
    await add(ben, 100)
    await imported_into(synchronizer, "elsewhere", await exported(synchronizer, "room"))
    there = await join(Counter, name="elsewhere")
    assert there.model.count == 11  # the head, and not the newest version
    versions = await there.versions()
    assert [(v.number, v.parent, v.is_head) for v in versions] == [(1, 0, False), (2, 1, True), (3, 1, False)]


async def test_5_6_what_is_imported_takes_the_head_and_a_live_session_takes_it_back(
    join: Any, synchronizer: SynchronizerThread
):
    source = await join(Counter, name="source", persist_interval_ms=0)
    await add(source, 5)
    live = await join(Counter, persist_interval_ms=0)
    await add(live, 1)
    file = await exported(synchronizer, "source")
    await asyncio.gather(*(imported_into(synchronizer, "room", file) for _ in range(2)))  # two at once store it once
    assert [(v.number, v.parent, v.is_head) for v in await live.versions()] == [(1, 0, False), (2, 0, True)]
    assert not live.status.on_branch
    third = await join(EditedCounter)
    assert third.model.count == 5
    await add(live, 1)
    assert not live.status.on_branch
    versions = await live.versions()
    assert [(v.number, v.parent, v.is_head) for v in versions] == [(1, 0, False), (2, 0, False), (3, 1, True)]
    assert versions.lines()[2] == "branch, from nothing"
