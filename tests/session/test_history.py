"""Differences of versions and the dry run, from a session against a real synchronizer."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import linecache
import signal
import subprocess
import sys
import threading
import types
from typing import Any

import pytest

from msq_jupyter import Model
from msq_jupyter.errors import ArgumentError, DryRunEnded, SealBroken, VersionMissing
from msq_jupyter.runtime.persistent_model import PersistentModel, migration
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.session import dry_run, time_limit
from msq_jupyter.session.interrupts import method_in
from msq_jupyter.session.time_limit import TimeIsUp, within
from msq_jupyter.stable import content_bytes
from tests.session.models import Counter, EditedCounter


class Notes(PersistentModel):
    def defaults(self, options):
        self.notes = ["first"]

    def from_save_data(self, data):
        self.notes = data["notes"]

    def init(self, options, persisted=None):
        super().init(options, persisted)
        self.subscribe("notes", "add", self.add)
        self.subscribe("notes", "save", self.save_now)

    def add(self, note):
        self.notes.append(note)

    def save_now(self, _):
        self.save()

    def to_save_data(self):
        return {"notes": self.notes}


class TitledNotes(Notes):
    schema_version = 2

    @migration(1)
    def add_titles(self, data):
        return {"notes": [{"title": note.upper()} for note in data["notes"]]}

    def init(self, options, persisted=None):
        super().init(options, persisted)
        self.save()


def state_of(session: Any) -> bytes:
    """A session's whole state but the time, which ticks move."""
    before, _, time_and_rest = session._replica.snapshot().partition(b"\xa7time_ms\xcb")
    return before + time_and_rest[8:]


class Endless(Model):
    def init(self, options, persisted=None):
        while persisted:
            with contextlib.suppress(Exception):
                self.turns = 1


class Guarded(Notes):
    def from_save_data(self, data):
        self.notes = data["no such key"]

    def init(self, options, persisted=None):
        try:
            super().init(options, persisted)
        except KeyError:
            self.notes = []


async def saved_notes(join: Any, *notes: Any) -> Any:
    """A session whose versions hold 1, 2, … more notes than the first."""
    session = await join(Notes)
    for note in notes:
        session.publish("notes", "add", note)
        session.publish("notes", "save")
        await session.saved()
    return session


# --- differences -------------------------------------------------------------------------------------------------


async def test_the_difference_of_two_versions_has_their_names_and_sources(join):
    ada = await saved_notes(join, "second", "third")
    changes = await ada.diff(1, 2)
    assert changes.title == "version 1 → version 2: 1 added"
    assert [operation.path_text for operation in changes.operations] == ["notes[2]"]
    assert not changes.source_difference
    assert not await ada.diff(2, 2)
    back = await ada.diff(2, 1)
    assert back.counts["removed"] == 1


async def test_a_difference_shows_that_the_code_differs(join):
    ada = await join(Counter)
    ada.publish("counter", "add", 1)
    await ada.saved()
    await ada.leave()
    ben = await join(EditedCounter)
    changes = await ben.diff(1, "now")
    assert "other code, see source_difference" in changes.title
    assert "+class EditedCounter(Model):" in changes.source_difference.lines
    assert changes.source_difference.title.startswith("version 1 → now: ")


async def test_now_is_what_save_would_collect_and_the_model_stays_as_it_is(join):
    ada = await saved_notes(join, "second")
    assert not await ada.diff(1, "now")
    assert dry_run.content_now(ada._blueprint, ada._replica) == content_bytes(
        {"version": 1, "notes": ["first", "second"]}
    )
    ada.publish("notes", "add", "not saved yet")
    await ada.synced()
    before = state_of(ada)
    changes = await ada.diff(1)
    assert changes.title == "version 1 → now: 1 added"
    assert state_of(ada) == before
    assert len(await ada.versions()) == 1


class Plain(Model):
    """Saves, but not by a method `save`."""

    def init(self, options, persisted=None):
        self.count = 0
        self.subscribe("plain", "keep", self.keep)

    def keep(self, count):
        self.count = count
        self.persist_session({"count": count})


async def test_now_of_a_model_without_save_is_what_it_collected_last(join):
    ada = await join(Plain)
    with pytest.raises(VersionMissing, match="the root model has saved nothing yet"):
        await ada.diff("now", "now")
    ada.publish("plain", "keep", 1)
    await ada.saved()
    assert not await ada.diff(1, "now")  # stored
    ada.publish("plain", "keep", 2)
    await ada.synced()
    changes = await ada.diff(1, "now")  # waits for its time
    assert changes.title == "version 1 → now: 1 changed"


class FailingSave(Plain):
    def save(self):
        raise LookupError("no data today")


async def test_a_save_that_fails_fails_the_difference_with_its_own_error(join):
    ada = await join(FailingSave)
    with pytest.raises(LookupError, match="no data today"):
        await ada.diff("now", "now")
    assert ada.is_live


async def test_a_version_that_is_not_there_names_those_that_are(join):
    ada = await join(Notes)
    with pytest.raises(VersionMissing, match="expected a saved version, and there is none yet, got 1"):
        await ada.diff(1, "now")
    ada = await saved_notes(join, "a", "b", "c")
    with pytest.raises(VersionMissing, match="expected one of the versions 1 to 3, got 9"):
        await ada.diff(1, 9)
    with pytest.raises(VersionMissing, match="expected one of the versions 1 to 3, got 0"):
        await ada.check(versions=[1, 0])
    with pytest.raises(ArgumentError, match="b: expected the number of a version, or \"now\", got 'then'"):
        await ada.diff(1, "then")


# --- the dry run -------------------------------------------------------------------------------------------------


async def test_5_8_the_dry_run_says_which_versions_load_and_where_the_others_fail(join):
    ada = await saved_notes(join, "second", 3, "fourth")
    before = state_of(ada)
    assert (await ada.check()).ok
    report = await ada.check(TitledNotes)
    assert [row.ok for row in report] == [True, False, False]
    assert not report.ok
    failed = report.failed[0]
    assert (failed.number, failed.error_type) == (2, "AttributeError")
    assert failed.error == "'int' object has no attribute 'upper'"
    assert failed.place.startswith("TitledNotes.add_titles, ")
    assert __file__ in failed.place
    line = int(failed.place.rpartition(" ")[2])
    assert "note.upper()" in linecache.getline(__file__, line)
    assert "TitledNotes loads 1 of 3 versions" in repr(report)
    assert state_of(ada) == before
    assert len(await ada.versions()) == 3
    assert ada.is_live


async def test_5_9_the_dry_run_tells_the_schema_version_before_and_after(join):
    ada = await saved_notes(join, "second")
    (row,) = await ada.check(TitledNotes)
    assert (row.schema_version, row.saved_schema_version) == (1, 2)
    assert "1 → 2" in repr(await ada.check(TitledNotes, 1))
    (row,) = await ada.check()
    assert (row.schema_version, row.saved_schema_version) == (1, None)


async def test_5_8_an_error_that_a_model_catches_itself_is_noted(join):
    ada = await saved_notes(join, "second")
    (row,) = await ada.check(Guarded)
    assert row.ok
    assert row.note == "init caught an error of loading, so the data is not there and nothing will be saved"


async def test_5_8_an_endless_init_ends_at_the_limit(join):
    ada = await saved_notes(join, "second")
    (row,) = await ada.check(Endless, limit_s=0.05)
    assert (row.ok, row.error_type) == (False, "DryRunEnded")
    assert row.error == "Endless.init did not end within 0.05 seconds, and was ended"
    assert row.place.startswith("Endless.init, ")
    with pytest.raises(ArgumentError, match="limit_s: expected seconds above 0, got 0"):
        await ada.check(limit_s=0)


async def test_5_8_a_damaged_version_has_a_row_and_its_neighbours_load(join, monkeypatch):
    ada = await saved_notes(join, "second", "third")
    original = ada._reader.content

    async def content(number):
        if number == 1:
            raise SealBroken("changed")
        return await original(number)

    monkeypatch.setattr(ada._reader, "content", content)
    first, second = await ada.check()
    assert (first.ok, first.error_type, first.error) == (False, "SealBroken", "changed")
    assert second.ok


async def test_a_report_is_escaped_in_a_notebook(join):
    ada = await saved_notes(join, "second", "<script>")

    class Loud(Notes):
        def from_save_data(self, data):
            raise ValueError(f"{data['notes'][-1]}\x1b[2J")

    html = (await ada.check(Loud))._repr_html_()
    assert "&lt;script&gt;" in html
    assert "<script" not in html
    assert "\x1b" not in html
    assert "loads 0 of 2 versions" in html


class LoadsLater(Model):
    def init(self, options, persisted=None):
        self.future(0).load(persisted)

    def load(self, data):
        self.titles = [note.upper() for note in data["notes"]]
        self.persist_session({"version": 9, "titles": self.titles})


class NeverDone(Model):
    def init(self, options, persisted=None):
        self.future(0).load()

    def load(self):
        while True:
            pass


def test_5_8_what_init_schedules_for_the_same_moment_belongs_to_loading():
    plan = dry_run.plan_for(LoadsLater, {})
    good = dry_run.load(plan, 1, content_bytes({"version": 1, "notes": ["x"]}))
    assert (good.ok, good.saved_schema_version, good.note) == (True, 9, "")
    bad = dry_run.load(plan, 2, content_bytes({"version": 1, "notes": [1]}))
    assert bad.note == "LoadsLater.load failed with AttributeError: 'int' object has no attribute 'upper'"
    endless = dry_run.load(dry_run.plan_for(NeverDone, {}), 1, content_bytes({"version": 1}), limit_s=0.2)
    assert (endless.ok, endless.error_type) == (False, "DryRunEnded")


def test_a_hundred_versions_are_loaded_by_one_plan():
    plan = dry_run.plan_for(Notes, {})
    rows = [dry_run.load(plan, n, content_bytes({"version": 1, "notes": ["x"] * n})) for n in range(1, 101)]
    assert all(row.ok for row in rows)


def test_the_dry_run_leaves_no_replica_and_no_thread_behind():
    plan = dry_run.plan_for(Notes, {})
    threads = set(threading.enumerate())
    for number in range(20):
        dry_run.load(plan, number, content_bytes({"version": 1, "notes": []}))
    gc.collect()
    assert not [thing for thing in gc.get_objects() if isinstance(thing, Replica) and thing.run == "dry run"]
    for thread in threading.enumerate():
        if thread.name == "msq time limit":
            thread.join()
    assert set(threading.enumerate()) <= threads  # those of earlier tests may end meanwhile


def interrupt_when_runs(method: str) -> threading.Thread:
    """Give this thread the user's interrupt as soon as it is in a method such as `Endless.init`."""
    here = threading.get_ident()

    def interrupt() -> None:
        while method_in(sys._current_frames().get(here)) != method:
            pass
        signal.pthread_kill(here, signal.SIGINT)

    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    return thread


def test_5_8_the_user_s_interrupt_ends_an_endless_init_and_goes_on_to_its_handler():
    plan, content = dry_run.plan_for(Endless, {}), content_bytes({"version": 1})
    handled: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: handled.append(number))
    try:
        thread = interrupt_when_runs("Endless.init")
        row = dry_run.load(plan, 1, content)
        thread.join()
        assert handled == [signal.SIGINT]
        assert (row.ok, row.error) == (False, "Endless.init was interrupted")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        interrupt_when_runs("Endless.init")
        with pytest.raises(KeyboardInterrupt):
            dry_run.load(plan, 1, content)
    finally:
        signal.signal(signal.SIGINT, before)


class Stubborn(Endless):
    def init(self, options, persisted):
        try:
            super().init(options, persisted)
        except KeyboardInterrupt:
            super().init(options, persisted)


def test_5_8_an_interrupt_that_a_model_caught_goes_on_to_its_handler_when_time_is_up():
    handled: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: handled.append(number))
    try:
        interrupt_when_runs("Stubborn.init")
        row = dry_run.load(dry_run.plan_for(Stubborn, {}), 1, content_bytes({"version": 1}), limit_s=0.5)
    finally:
        signal.signal(signal.SIGINT, before)
    assert row.error == "Stubborn.init did not end within 0.5 seconds, and was ended"
    assert handled == [signal.SIGINT]


# --- the time limit ----------------------------------------------------------------------------------------------


def forever() -> None:
    while True:
        pass


def test_a_limit_ends_what_never_ends_on_any_thread():
    ended: list[bool] = []

    def run() -> None:
        try:
            within(0.02, forever)
        except TimeIsUp:
            ended.append(True)

    run()
    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    assert ended == [True, True]


def test_a_limit_that_is_not_reached_never_strikes():
    for _ in range(300):
        with contextlib.suppress(TimeIsUp):
            assert within(0.0002, lambda: sum(range(2_000))) == 1_999_000
    assert sum(range(1_000_000)) == 499_999_500_000  # and none comes later


def test_a_limit_that_was_caught_is_told_all_the_same():
    def stubborn() -> str:
        with contextlib.suppress(KeyboardInterrupt):
            forever()
        return "done"

    with pytest.raises(TimeIsUp):
        within(0.02, stubborn)


def test_a_limit_for_a_thread_that_cpython_does_not_know_does_not_hang(monkeypatch):
    """Such ids come from libraries that put their own threads in the place of those of the system."""

    def outlive_the_limit() -> None:
        for thread in threading.enumerate():
            if thread.name == "msq time limit":
                thread.join()

    strange = types.SimpleNamespace(**{**vars(threading), "get_ident": lambda: 1})
    monkeypatch.setattr(time_limit, "threading", strange)
    with pytest.raises(TimeIsUp):
        within(0.02, outlive_the_limit)


TRACED = """
import contextlib, faulthandler, sys
from msq_jupyter.session.time_limit import TimeIsUp, within
faulthandler.dump_traceback_later(20, exit=True)
for limit_s in (60.0, 0.0001):
    for _ in range(50):
        with contextlib.suppress(TimeIsUp):
            within(limit_s, lambda: sum(range(2_000)))
def traced(): pass
sys.settrace(lambda *_: None)
traced()
sys.settrace(None)
"""


def test_a_limit_leaves_nothing_behind_that_stops_a_debugger():
    """An exception for a thread that was taken back had CPython 3.11 look for it for ever, once traced."""
    ended = subprocess.run([sys.executable, "-c", TRACED], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


async def test_a_dry_run_that_is_cancelled_ends_between_two_versions(join):
    ada = await saved_notes(join, "a", "b")
    task = asyncio.ensure_future(ada.check())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ada.is_live


class EndlessSave(Plain):
    def save(self):
        while True:
            self.count += 1


async def test_a_save_that_never_ends_ends_the_difference(join, monkeypatch):
    ada = await join(EndlessSave)
    monkeypatch.setattr(dry_run.content_now, "__defaults__", (0.05,))
    with pytest.raises(DryRunEnded, match=r"EndlessSave\.save did not end within 0\.05 seconds"):
        await ada.diff("now", "now")
    assert ada.model.count == 0
