"""Editing the code of a model while the session runs: the session goes on, with the data, as the same object."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

import pytest

from msq_jupyter import Model
from msq_jupyter.errors import ArgumentError, CodeEditRefused, PeerError, SessionClosed
from msq_jupyter.runtime.view import View
from msq_jupyter.session import code_edits
from msq_jupyter.session.session import SessionCore
from tests.session import models
from tests.session.models import Counter, EditedCounter, Picky
from tests.waiting import until


class Guarded(Model):
    """Swallows what goes wrong while it loads, and loses the data."""

    def init(self, options, persisted=None):
        self.load_failed = bool(persisted)


class OnlyEmpty(Model):
    """Cannot load what an early `Counter` saved, but what a later one did."""

    def init(self, options, persisted=None):
        self.count = persisted["count"] if persisted else 0
        if self.count == 1:
            raise ValueError("one is too little")


async def counted(join: Any, *amounts: int, **arguments: Any) -> SessionCore:
    session: SessionCore = await join(**arguments)
    for amount in amounts:
        session.publish("counter", "add", amount)
        await session.saved()
    return session


# --- going on with edited code -----------------------------------------------------------------------------------


async def test_5_7_the_same_session_goes_on_with_the_edited_code_and_the_data(join):
    ada = await counted(join, 2, 3)
    old_id, old_view_id = ada.id, ada.view_id
    report = await ada.follow(EditedCounter)
    assert report.title == "EditedCounter loads the data there is now and all 2 versions"
    assert ada.is_live
    assert ada.id != old_id
    assert ada.view_id != old_view_id
    assert (ada.model.count, ada.model.additions) == (5, 0)
    ada.publish("counter", "add", 1)
    await ada.saved()
    assert (ada.model.count, ada.model.additions) == (6, 1)
    assert [version.schema_version for version in await ada.versions()] == [1, 1, 2]


async def test_subscriptions_hooks_and_the_object_itself_stay(join):
    ada = await counted(join)
    heard: list[int] = []
    frames: list[int] = []
    ada.subscribe("counter", "changed", heard.append)
    ada.frame_hooks.append(lambda: frames.append(ada.model.count))
    await ada.follow(Louder)
    ada.publish("counter", "add", 4)
    await ada.synced()
    await until(lambda: heard == [40])
    assert frames[-1] == 4


class Louder(Model):
    def init(self, options, persisted=None):
        self.count = persisted["count"] if persisted else 0
        self.subscribe("counter", "add", self.add)

    def add(self, amount):
        self.count += amount
        self.publish("counter", "changed", self.count * 10)


async def test_the_numbers_of_events_go_on(join):
    ada = await counted(join, 1, 1, 1)
    executed = ada.executed_counter
    await ada.follow(EditedCounter)
    assert executed == 3
    assert ada.executed_counter == 4  # one more: the old code was asked to save
    assert ada.assign("count", 100) == 5
    await ada.synced()
    assert ada.executed_counter == 5


async def test_what_is_published_while_the_code_changes_is_executed_once_by_the_one_or_the_other(join):
    ada = await counted(join, 1)
    stop = threading.Event()
    sent = 0

    def press() -> None:
        nonlocal sent
        while not stop.wait(0.001):
            ada.publish("counter", "add", 1)
            sent += 1

    thread = threading.Thread(target=press)
    thread.start()
    try:
        for model in (EditedCounter, Counter, EditedCounter):
            await ada.follow(model)
    finally:
        stop.set()
        thread.join()
    await ada.synced()
    assert sent > 10
    assert ada.model.count == 1 + sent


async def test_the_old_model_stays_readable_until_the_new_one_is_there(join):
    ada = await counted(join, 7)
    seen: list[Any] = []
    begin = ada._begin

    def begin_and_look(*arguments: Any) -> None:
        begin(*arguments)
        seen.append((ada.model.count, ada.link_state, repr(ada)))

    ada._begin = begin_and_look
    await ada.follow(EditedCounter)
    assert seen == [(7, "joining", "<Session 'room': joining, 0 people>")]
    assert ada.model.additions == 0


async def test_what_differs_from_now_is_told_once_the_edited_code_is_joined(join, monkeypatch):
    ada = await counted(join, 2, 3)
    arrive = ada._arrive
    asked = []

    async def asked_meanwhile(timeout_s: float) -> None:
        asked.append(asyncio.ensure_future(ada.diff("now", 1)))
        await asyncio.sleep(0)
        await arrive(timeout_s)

    monkeypatch.setattr(ada, "_arrive", asked_meanwhile)
    await ada.follow(EditedCounter)
    (asking,) = asked
    assert (await asking).counts["changed"] > 0


async def test_5_7_undoing_the_edit_brings_the_newest_data_back(join):
    ada = await counted(join, 5)
    old_id = ada.id
    await ada.follow(EditedCounter)
    ada.publish("counter", "add", 1)
    await ada.saved()
    await ada.follow(Counter)
    assert ada.id == old_id
    assert ada.model.count == 6


async def test_5_7_undoing_brings_everybody_back_to_the_newest_data(join):
    ada, ben = await counted(join, 5), await counted(join)
    await ada.follow(EditedCounter)
    await ben.follow(EditedCounter)
    assert ada.id == ben.id
    ada.publish("counter", "add", 1)
    await ada.saved()
    await until(lambda: ben.model.count == 6)
    await asyncio.gather(ada.follow(Counter), ben.follow(Counter))
    assert ada.id == ben.id
    assert ada.model.count == ben.model.count == 6
    ben.publish("counter", "add", 1)
    await until(lambda: ada.model.count == 7)


async def test_5_7_undoing_while_others_never_had_the_edit_joins_them_and_says_what_is_newer(join):
    ada, ben = await counted(join, 5), await counted(join)
    await ada.follow(EditedCounter)
    ada.publish("counter", "add", 1)
    await ada.saved()
    await ada.follow(Counter)
    assert ada.id == ben.id
    assert ada.model.count == ben.model.count == 5
    assert ada.notice == (
        "version 2 was saved with other code, and is newer than what is here: "
        "session.restore(2) brings it here, for everybody"
    )
    await ada.restore(2)
    await until(lambda: ben.model.count == 6)


async def test_code_that_cannot_be_linked_is_refused(join):
    ada = await join()
    with pytest.raises(CodeEditRefused, match="Keeps was edited, and"):
        await ada.follow(Keeps)
    assert ada.edit.state == "refused"
    assert ada.is_live


class Keeps(Model):
    def init(self, options, persisted=None):
        global KEPT
        KEPT = 1


async def test_a_view_is_made_again_for_the_new_models(join):
    ada = await counted(join, 2, view=Watcher)
    first = ada.view
    await ada.follow(EditedCounter)
    assert ada.view is not first
    assert ada.view.model.additions == 0
    assert first.detached


class Watcher(View):
    detached = False

    def detach(self):
        self.detached = True
        super().detach()


# --- what cannot take over changes nothing -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (Picky, "the data there is now cannot be loaded: PersistedDataError|KeyError: 'wanted'"),
        (Guarded, "the data there is now was not loaded: init caught an error of loading"),
    ],
)
async def test_a_failing_dry_run_changes_nothing_and_says_why(join, model, why):
    ada = await counted(join, 2)
    before = (ada.id, ada.view_id, ada._connection)
    with pytest.raises(CodeEditRefused, match=why) as caught:
        await ada.follow(model)
    assert caught.value.report[0].number == 0
    assert (ada.id, ada.view_id, ada._connection) == before
    assert ada.is_live
    assert ada.edit.state == "refused"
    ada.publish("counter", "add", 2)
    await ada.saved()
    assert ada.model.count == 4
    assert len(await ada.versions()) == 2


async def test_an_old_version_that_cannot_be_loaded_is_told_and_stands_in_nobodys_way(join):
    ada = await counted(join, 1, 1)
    report = await ada.follow(OnlyEmpty)
    assert report.title == "OnlyEmpty loads the data there is now and 1 of 2 versions"
    assert [row.number for row in report.failed] == [1]
    assert ada.model.count == 2


async def test_what_the_old_code_never_saved_is_saved_before_the_edit_is_followed(join):
    ada = await join()
    ada.assign("count", 8)
    await ada.synced()
    assert not await ada.versions()
    await ada.follow(OnlyFull)
    assert ada.model.count == 8
    assert len(await ada.versions()) == 1


async def test_code_that_cannot_begin_without_data_is_refused_too(join):
    ada = await join(CannotSave)
    with pytest.raises(CodeEditRefused, match="the data there is now cannot be loaded: ValueError: nothing there"):
        await ada.follow(OnlyFull)
    assert ada.is_live


class OnlyFull(Model):
    def init(self, options, persisted=None):
        if persisted is None:
            raise ValueError("nothing there")
        self.count = persisted["count"]


async def test_a_save_method_that_fails_is_no_reason_to_refuse_the_edit_that_mends_it(join):
    ada = await join(CannotSave)
    await ada.follow(Counter)
    assert ada.model.count == 0


class CannotSave(Model):
    def init(self, options, persisted=None):
        self.count = 1

    def save(self):
        raise RuntimeError("broken")


async def test_when_the_new_session_cannot_be_joined_the_old_one_goes_on(join, monkeypatch):
    ada = await counted(join, 3)
    old_id = ada.id
    frames: list[int] = []
    ada.frame_hooks.append(lambda: frames.append(1))
    arrive, published = ada._arrive, []

    async def arrive_not(timeout_s: float) -> None:
        if ada.id != old_id:
            ada._connection.start()
            ada.publish("counter", "add", 10)
            published.append(1)
            ada._fail(PeerError("refused"))
            ada._joined.exception()
            raise PeerError("refused")
        await arrive(timeout_s)

    monkeypatch.setattr(ada, "_arrive", arrive_not)
    with pytest.raises(CodeEditRefused, match="EditedCounter was edited, and refused"):
        await ada.follow(EditedCounter)
    assert published == [1]
    assert ada.is_live
    assert ada.id == old_id
    await ada.synced()
    assert ada.model.count == 13  # what was published meanwhile is not lost
    assert frames


async def test_without_a_synchronizer_nothing_changes(join, monkeypatch):
    monkeypatch.setattr(code_edits, "SAVE_S", 0.05)
    ada = await counted(join, 3)
    monkeypatch.setattr(type(ada), "saved", lambda self, counter=None: asyncio.sleep(60))
    before = ada.id
    with pytest.raises(CodeEditRefused, match=r"could not be stored within 0\.05 seconds: check the synchronizer"):
        await ada.follow(EditedCounter)
    assert ada.id == before
    monkeypatch.undo()


async def test_following_without_an_edit_says_what_is_missing(join):
    ada = await join()
    with pytest.raises(ArgumentError, match="follow: expected edited code, and there is none"):
        await ada.follow()
    assert not await ada.follow(Counter)
    assert ada.is_live


async def test_a_session_that_was_left_does_not_follow(join):
    ada = await join()
    await ada.leave()
    with pytest.raises(SessionClosed, match="has been left"):
        await ada.follow(EditedCounter)


async def test_leaving_waits_for_a_change_that_is_on_its_way(join):
    ada = await counted(join, 3)
    following = asyncio.ensure_future(ada.follow(EditedCounter))
    await asyncio.sleep(0)
    await ada.leave()
    assert (await following).ok
    assert ada.link_state == "closed"
    assert ada.model.additions == 0


async def test_an_interrupt_while_the_code_changes_leaves_a_session_that_lives(join):
    ada = await counted(join, 3)
    following = asyncio.ensure_future(ada.follow(EditedCounter))
    await asyncio.sleep(0)
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    await until(lambda: hasattr(ada.model, "additions") and ada.is_live)
    assert ada.edit is None or ada.edit.state == "moving"


# --- noticing ----------------------------------------------------------------------------------------------------


async def test_an_edit_is_noticed_once_tried_out_and_forgotten_when_undone(join, monkeypatch):
    ada = await counted(join, 2)
    assert ada.look_for_edit({}) is None
    monkeypatch.setattr(models, "Counter", EditedCounter)
    edit = ada.look_for_edit({})
    assert edit is ada.edit
    assert edit.state == "checking"
    assert edit.title == "EditedCounter was edited: trying the new code out"
    assert "+class EditedCounter(Model):" in edit.changes.lines
    assert ada.look_for_edit({}) is None
    await ada.try_out()
    assert ada.edit.state == "ready"
    assert ada.edit.title == "EditedCounter was edited: the new code loads the data there is now and the one version"
    monkeypatch.setattr(models, "Counter", Counter)
    assert ada.look_for_edit({}) is None
    assert ada.edit is None
    monkeypatch.setattr(models, "Counter", Picky)
    ada.look_for_edit({})
    await ada.try_out()
    assert ada.edit.state == "refused"
    assert ada.edit.title.startswith("Picky was edited, and the new code cannot take over: the data there is now")
    assert ada.model.count == 2


async def test_an_edited_helper_or_constant_is_an_edit(join, monkeypatch):
    ada = await join(Helped)
    assert ada.look_for_edit({}) is None
    monkeypatch.setattr(sys.modules[__name__], "STEP", 3)
    assert ada.look_for_edit({}) is not None
    ada.publish("go", "on")
    await ada.synced()
    assert ada.model.count == 2  # running code is frozen
    await ada.follow()
    ada.publish("go", "on")
    await ada.synced()
    assert ada.model.count == 6


STEP = 1


def doubled():
    return 2 * STEP


class Helped(Model):
    def init(self, options, persisted=None):
        self.count = 0
        self.subscribe("go", "on", self.go_on)

    def go_on(self, _):
        self.count += doubled()


async def test_a_code_hash_that_was_given_stays(join, monkeypatch):
    ada = await join(code_hash="mine")
    monkeypatch.setattr(models, "Counter", EditedCounter)
    assert ada.look_for_edit({}) is None


# --- the others --------------------------------------------------------------------------------------------------


async def test_others_see_that_newer_code_exists_by_whom_and_the_difference(join):
    ada, ben = await counted(join, 2), await join(view_data={"name": "Ben"})
    await ada.follow(EditedCounter)
    await until(lambda: ben.others)
    (other,) = ben.others
    assert other.is_newer
    assert ben.notice == f'{other.label} runs newer code of this model: session.explain_code("{other.label}") ' + (
        "says what differs"
    )
    difference = await ben.source_diff(other)
    assert difference.title.startswith(f"yours → that of {other.label}: ")
    assert "+class EditedCounter(Model):" in difference.lines
    assert ben.model.count == 2  # nothing ran by itself
    (old,) = ada.others
    assert not old.is_newer
    assert old.label == "Ben"
    await until(lambda: ada.notice.startswith("Ben runs other code of this model"))
    await ben.follow(EditedCounter)
    await until(lambda: not ada.others)
    assert ada.notice == ben.notice == ""


async def test_an_answer_that_is_no_source_is_refused(join):
    from msq_jupyter.errors import NoAnswer

    ada, ben = await join(), await join(EditedCounter)
    await until(lambda: ben.others)
    ada._peers.talk.answers["source"] = lambda _, __: ["os.system"]
    with pytest.raises(NoAnswer, match="expected text, got list"):
        await ben.source_diff(ben.others[0])


@pytest.mark.parametrize("value", ["always", None, 1])
async def test_on_code_edit_is_one_of_three_words(join, value):
    with pytest.raises(ArgumentError, match='on_code_edit: expected "ask", "follow" or "stay"'):
        await join(on_code_edit=value)
