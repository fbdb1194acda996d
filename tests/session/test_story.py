"""Rule 5.11: what `debug="session"` shows, and what a session keeps of it."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

from msq_jupyter.errors import ArgumentError, PersistedDataError
from msq_jupyter.persistence.records import size_text
from msq_jupyter.runtime.persistent_model import PersistentModel, migration
from msq_jupyter.session.session import SessionCore
from msq_jupyter.session.story import LINE_CHARACTERS, LINES_MAX, LogLine, SessionLog, Story
from msq_jupyter.stable import content_bytes
from tests.session.models import Counter, EditedCounter
from tests.waiting import until

ROOT = Path(__file__).parents[2]


class Notes(PersistentModel):
    def defaults(self, options):
        self.notes = ["x" * 1500]

    def init(self, options, persisted=None):
        super().init(options, persisted)
        self.subscribe("notes", "add", self.add)
        self.subscribe("notes", "save", self.save_again)

    def add(self, note):
        self.notes.append(note)
        self.save()

    def save_again(self, _):
        self.save()

    def to_save_data(self):
        return {"notes": self.notes}

    def from_save_data(self, data):
        self.notes = data["notes"]


class Titled(Notes):
    schema_version = 3

    @migration(1)
    def give_titles(self, data):
        return {"notes": [["untitled", note] for note in data["notes"]]}

    @migration(2)
    def give_ids(self, data):
        return {"notes": [[number, *note] for number, note in enumerate(data["notes"])]}


class Unloadable(Notes):
    def from_save_data(self, data):
        raise KeyError("titles")


def told(session: SessionCore, level: str = "info") -> list[str]:
    """What a session told people, with times and numbers of persons and places left out."""
    texts = [line.text for line in session.log if line.level == level]
    return [re.sub(r"\d\d:\d\d:\d\d", "TIME", text) for text in texts]


async def test_5_11_the_three_lines_of_the_tutorial_word_for_word(join, caplog):
    caplog.set_level(logging.INFO, "msq_jupyter")
    ada = await join(Notes, name="session1", app_id="myapp", debug="session")
    ada.publish("notes", "add", "y" * 800)
    await ada.saved()
    await ada.leave()
    await join(Titled, name="session1", app_id="myapp", debug="session")
    size = size_text(len(content_bytes({"version": 1, "notes": ["x" * 1500, "y" * 800]}))).replace(" ", "")
    assert size == "2.3KB"
    messages = [record.getMessage() for record in caplog.records]
    for line in (
        f"[Multisynq] Session loaded from persistent data (persistentId: {ada.persistent_id})",
        f"[Multisynq] Restoring {size} of persistent data",
        f"[Multisynq] Persistent data saved ({size})",
    ):
        assert messages.count(line) == 1
    assert {record.name for record in caplog.records} == {"msq_jupyter"}


def test_5_11_debug_shows_it_and_without_debug_it_is_silent(synchronizer):
    code = f"""
import asyncio, sys
from msq_jupyter.session.session import SessionCore
from tests.session.models import Counter
async def main():
    async with await SessionCore.join(app_id="a", name=sys.argv[1], password="secret word", model=Counter,
            synchronizer={synchronizer.url!r}, debug=sys.argv[1:]) as session:
        session.publish("counter", "add", 1)
        await session.saved()
        assert [line for line in session.log if "saved (" in line.text]
asyncio.run(main())
"""
    shown = {}
    for debug in ("session", "state"):
        command = [sys.executable, "-c", code, debug]
        shown[debug] = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stderr
    assert "[Multisynq] Persistent data saved (17B)\n" in shown["session"]
    assert shown["state"] == ""
    assert "secret word" not in shown["session"]


async def test_5_11_the_rest_of_a_save_is_told_in_order(join):
    ada = await join(Notes, view_data={"name": "Ada"}, persist_interval_ms=600_000)
    ada.publish("notes", "add", "first")
    await until(lambda: ada.status.saved_number == 1)
    for text in ("second", "third"):
        ada.publish("notes", "add", text)
    await ada.synced()
    ada.publish("notes", "save", None)
    ada.publish("notes", "save", None)
    await until(lambda: any("Draft" in text for text in told(ada)))
    await ada.saved()
    ada.publish("notes", "save", None)
    await ada.synced()
    lines = [text.removeprefix("[Multisynq] ") for text in told(ada) if "Session" not in text]
    assert lines == [
        "Persistent data saved (1.5KB)",
        "It is version 1, saved by Ada at TIME",
        "Save waits until TIME: versions are at least 600 s apart",
        "Save skipped: the same data waits to be saved already",
        "Draft of 1.5KB uploaded: it is kept if this kernel dies",
        "Persistent data saved (1.5KB)",
        "It is version 2, saved by Ada at TIME",
        "Save skipped: the same data is saved already",
    ]
    assert told(ada, "debug") == ["[Multisynq] Uploading 1.5KB of persistent data"] * 2


async def test_5_11_loading_is_told_with_its_version_author_and_each_migration(join):
    ada = await join(Notes, view_data={"name": "Ada"})
    ada.publish("notes", "add", "first")
    await ada.saved()
    ben = await join(Titled)
    lines = told(ben)
    start = next(place for place, text in enumerate(lines) if "loaded" in text)
    assert [text.removeprefix("[Multisynq] ") for text in lines[start + 1 : start + 5]] == [
        "Restoring 1.5KB of persistent data",
        "It is version 1, saved by Ada at TIME",
        "Titled.give_titles migrated it from schema 1 to 2",
        "Titled.give_ids migrated it from schema 2 to 3",
    ]


async def test_5_11_what_was_saved_before_one_came_is_not_told_as_if_it_were_now(join):
    ada = await join(persist_interval_ms=0)
    for _ in range(3):
        ada.publish("counter", "add", 1)
        await ada.saved()
    ben = await join(persist_interval_ms=0)
    assert not [text for text in told(ben) if "saved" in text]
    ada.publish("counter", "add", 1)
    await until(lambda: ben.status.saved_number == 4)
    assert [text for text in told(ben) if "It is" in text] == [t for t in told(ada) if "version 4" in t]


async def test_5_11_a_restore_and_a_refusal_are_told(join, caplog):
    caplog.set_level(logging.INFO, "msq_jupyter")
    ada, ben = await join(Notes), await join(Notes)
    ada.publish("notes", "add", "first")
    await ada.saved()
    ada.publish("notes", "add", "second")
    await ada.saved()
    await ada.restore(1)
    await until(lambda: ben.model.notes[-1] == "first")
    for session in (ada, ben):
        assert "[Multisynq] Version 1 of persistent data restored, for everybody" in told(session)
    with pytest.raises(PersistedDataError):
        await join(Unloadable)
    assert "[Multisynq] Session room was not joined: Unloadable.init failed on version 3" in caplog.text


@pytest.mark.parametrize("debug", ["sesion", ["session", "sesion"], "session,stat"])
async def test_an_unknown_word_of_debug_raises_with_the_list(join, debug):
    with pytest.raises(ArgumentError, match=r"debug: expected words of \['session', 'state'\], got .*(sesion|stat)"):
        await join(debug=debug)


async def test_the_log_is_a_list_of_lines_that_shows_as_a_table(join):
    ada = await join(Counter)
    assert all(isinstance(line, LogLine) and line.time.tzinfo for line in ada.log)
    assert ada.log == sorted(ada.log, key=lambda line: line.time)
    shown = repr(ada.log).splitlines()
    assert shown[0].split() == ["time", "level", "what"]
    assert any(line.endswith("[Multisynq] Session room is live") for line in shown)
    assert ada.log._repr_html_().startswith("<table>")
    assert repr(SessionLog()) == "nothing happened yet"


async def test_the_log_has_warnings_and_errors_too(join):
    ada = await join(Counter)
    ada.publish("countr", "add", 1)
    ada.publish("counter", "fail", "on purpose")
    await ada.synced()
    assert any("nothing subscribes to countr:add" in text for text in told(ada, "warning"))
    assert "Counter.fail: RuntimeError: on purpose" in told(ada, "error")


async def test_two_sessions_of_one_kernel_keep_two_logs(join):
    one, two = await join(name="one"), await join(EditedCounter, name="two")
    assert not [line for line in one.log if "two" in line.text]
    assert [line for line in two.log if "two" in line.text]


def test_the_log_is_bounded_in_lines_and_in_each():
    story = Story()
    for number in range(LINES_MAX + 10):
        story.debug("%d", number)
    assert [line.text for line in story.lines][:2] == ["10", "11"]
    assert len(story.lines) == LINES_MAX
    story.debug("%s", "<b>\x1b[31m\u202e" + "y" * 10_000)
    assert story.lines[-1].text.startswith("<b>\\x1b[31m\\u202eyyy")
    assert len(story.lines[-1].text) < LINE_CHARACTERS + 60
    assert "&lt;b&gt;" in story.lines._repr_html_()
