"""Restoring a version (rule 5.10): real sessions against a real synchronizer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from msq_jupyter import Model
from msq_jupyter.errors import (
    ArgumentError,
    NoAnswer,
    PersistedDataError,
    RestoreTimeout,
    SessionClosed,
    VersionMissing,
)
from msq_jupyter.runtime.restoring import encode_restore
from msq_jupyter.runtime.view import View
from msq_jupyter.session.session import SessionCore
from msq_jupyter.stable import content_bytes
from tests.conftest import Join, SynchronizerThread, joining
from tests.waiting import until


class Pad(Model):
    def init(self, options, persisted=None):
        self.text = persisted["text"] if persisted else ""
        self.notes = []
        self.beats = 0
        self.future(every=10).beat()
        self.subscribe("pad", "write", self.write)
        self.subscribe("pad", "fill", self.fill)
        self.subscribe("pad", "draft", self.draft)
        if self.text == "poison":
            raise KeyError("antidote")
        if self.text == "sly poison" and self.view_count:  # not in a dry run, where nobody is
            raise KeyError("antidote")

    def beat(self):
        self.beats += 1

    def write(self, text):
        self.draft(text)
        self.save()

    def fill(self, count):
        self.write("x" * count)

    def draft(self, text):
        self.text = text

    def save(self):
        self.persist_session({"text": self.text})


class PadView(View):
    def __init__(self, model):
        super().__init__(model)
        self.text = model.text


@pytest.fixture
async def join(synchronizer: SynchronizerThread) -> AsyncIterator[Join]:
    async with joining(synchronizer, model=Pad, name="pad", password="pw") as join:
        yield join


async def write(session: SessionCore, *texts: str) -> None:
    """Save texts as versions."""
    for text in texts:
        session.publish("pad", "write", text)
        await session.saved()


async def history(session: SessionCore) -> list[tuple[int, int, str]]:
    """Number, parent and label of each version."""
    return [(version.number, version.parent, version.label) for version in await session.versions()]


async def test_5_10_a_version_is_restored_for_everybody_and_back(join):
    ada, ben = await join(view_data={"name": "Ada"}), await join(view=PadView, view_data={"name": "Ben"})
    await write(ada, "one", "two")
    old_view = ben.view
    ada.publish("pad", "draft", "not saved")
    await ada.restore(1)
    assert ada.model.text == "one"
    await until(lambda: ben.model.text == "one")
    assert ben.view is not old_view
    assert ben.view.text == "one"
    restored = [(1, 0, ""), (2, 1, ""), (3, 2, ""), (4, 3, "restored from version 1")]
    assert await history(ben) == restored
    await ben.restore(3)  # undone
    assert ben.model.text == "not saved"
    await until(lambda: ada.model.text == "not saved")
    assert await history(ada) == [*restored, (5, 4, "restored from version 3")]
    assert [version.author for version in await ada.versions()] == ["Ada"] * 4 + ["Ben"]
    await write(ada, "three")
    assert (await history(ada))[-1] == (6, 5, "")


async def test_5_10_a_later_session_starts_from_what_was_restored(join):
    ada = await join()
    await write(ada, "one", "two")
    await ada.restore(1)
    await ada.leave()
    ada = await join(options={"another": "session"})
    assert ada.model.text == "one"


async def test_5_10_events_around_a_restore_are_executed_by_one_root_or_the_other(join):
    ada, ben = await join(), await join()
    await write(ada, "one", "two")
    for number in range(20):
        ben.publish("pad", "draft", f"ben {number}")
    restoring = asyncio.create_task(ada.restore(1))
    await asyncio.sleep(0)
    for number in range(20):
        ben.publish("pad", "draft", f"ben {number + 20}")
        await asyncio.sleep(0)
    await restoring
    await ben.synced()
    ben.publish("pad", "draft", "last")
    await until(lambda: ada.model.text == ben.model.text == "last")
    await until(lambda: ada._replica.seq == ben._replica.seq and ada._replica.time_ms == ben._replica.time_ms)
    assert ada._replica.snapshot() == ben._replica.snapshot()


async def test_5_10_two_restores_at_once_are_four_versions(join):
    ada, ben = await join(), await join()
    await write(ada, "one", "two")
    await asyncio.gather(ada.restore(1), ben.restore(2), ada.restore(2))
    await until(lambda: ada.model.text == ben.model.text)
    labels = [label for _, _, label in await history(ada) if label]
    assert sorted(labels) == [f"restored from version {number}" for number in (1, 2, 2)]
    numbers = [(number, parent) for number, parent, _ in await history(ada)]
    assert numbers == [(number, number - 1) for number in range(1, len(numbers) + 1)]


@pytest.mark.parametrize("from_snapshot", [False, True])
async def test_5_10_who_comes_later_has_what_was_restored(join, from_snapshot):
    ada = await join()
    await write(ada, "one", "two")
    await ada.restore(1)
    if from_snapshot:
        ada._uploads.snapshot(ada._replica)
        ada.publish("pad", "draft", "one")
        await ada.synced()
    ben = await join()
    assert ben.model.text == "one"
    assert ben._replica.root.id == ada._replica.root.id != "M1"
    await ben.restore(2)
    await until(lambda: ada.model.text == "two")


async def test_5_10_a_megabyte_goes_in_several_events(join):
    ada, ben = await join(), await join()
    ada.publish("pad", "fill", 1_200_000)
    await ada.saved()
    await write(ada, "two")
    before = ada.executed_counter
    await ada.restore(1)
    assert ada.executed_counter - before == 5
    await until(lambda: ben.model.text == "x" * 1_200_000)


async def test_5_10_who_dies_between_parts_restores_nothing(join):
    ada, ben = await join(), await join(rejoin_limit_ms=0)
    await write(ada, "one")
    ben._send(encode_restore("r", 1, content_bytes({"text": "x" * 300_000}))[0], "a restore")
    await until(lambda: ada._replica.restores)
    late = await join()
    assert list(late._replica.restores) == [ben.view_id]
    await ben.leave()
    await until(lambda: not ada._replica.restores and not late._replica.restores)
    assert ada.model.text == "one"
    await late.restore(1)


async def test_5_10_a_dry_run_comes_first_and_its_error_is_raised_here_only(join):
    ada, ben = await join(), await join()
    await write(ada, "poison", "good")
    sent, root = ada._sent_counter, ada._replica.root
    with pytest.raises(
        PersistedDataError, match=r"Pad.init failed on version 1 .* KeyError: 'antidote'. Nothing was sent"
    ):
        await ada.restore(1)
    assert (ada.model.text, ada.notice, ben.notice) == ("good", "", "")
    assert (ada._sent_counter, ada._replica.root) == (sent, root)
    assert len(await history(ada)) == 2


async def test_5_10_an_init_that_fails_later_leaves_everything(join, caplog):
    ada, ben = await join(), await join()
    await write(ada, "sly poison", "good")
    with pytest.raises(PersistedDataError, match="Everything is as it was") as raised:
        await ada.restore(1)
    assert isinstance(raised.value.__cause__, KeyError)
    await until(lambda: ben.notice)
    assert ada.model.text == ben.model.text == "good"
    assert "Pad.init: KeyError: 'antidote'" in ada.notice
    assert len(await history(ada)) == 2
    await write(ben, "better")
    assert ada.model.text == "better"


async def test_5_10_what_cannot_be_restored_is_refused(join):
    ada = await join()
    for wrong in (0, -1, "1", True, 1.0, None):
        with pytest.raises(ArgumentError, match=r"version: expected the number of a version, .* got "):
            await ada.restore(wrong)
    with pytest.raises(VersionMissing, match="expected a saved version, and there is none yet, got 7"):
        await ada.restore(7)
    await write(ada, "one")
    with pytest.raises(RestoreTimeout, match="version 1: restoring it is not done after 0 seconds"):
        await ada.restore(1, timeout_s=0)
    await ada.leave()
    with pytest.raises(SessionClosed):
        await ada.restore(1)


async def test_5_10_who_did_not_see_what_came_of_it_is_told_to_look(join, monkeypatch):
    """As when the replica was lost in between, and the new one comes from a snapshot after the restore."""
    ada = await join()
    await write(ada, "one", "two")
    monkeypatch.setattr(ada._restorer, "see", lambda happening: None)
    with pytest.raises(NoAnswer, match=r"version 1: the connection was lost .*: versions\(\) shows whether it was"):
        await ada.restore(1)


async def test_5_10_a_link_shows_what_was_restored(join):
    """Whatever looks at the model after each step sees the new root."""
    ada = await join()
    await write(ada, "one", "two")
    seen = []
    ada.frame_hooks.append(lambda: seen.append(ada.model.text))
    await ada.restore(1)
    assert seen[-1] == "one"
    assert ada.status.saved_state == "saved"
    assert ada.status.saved_number == 3
