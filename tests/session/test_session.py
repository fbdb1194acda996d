"""Sessions against a real synchronizer, several participants in one process."""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from msq_jupyter.errors import (
    ArgumentError,
    AuthorError,
    EventTooLarge,
    MigrationMissing,
    ModelInitError,
    ModelWriteError,
    OutsideModelError,
    PersistedDataError,
    SchemaError,
    SchemaTooNew,
    SealBroken,
    SessionClosed,
    StateError,
    SynchronizerUnreachable,
    VersionMissing,
    WrongPassword,
)
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.persistent_model import PersistentModel
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.runtime.view import View
from msq_jupyter.session.client import Client
from msq_jupyter.session.crypto import Keys
from msq_jupyter.session.session import SessionCore
from tests.conftest import SynchronizerThread
from tests.session.models import Broken, Counter, EditedCounter, Picky, Unencodable
from tests.waiting import until

Join = Callable[..., Any]


@pytest.fixture
async def join(synchronizer: SynchronizerThread) -> AsyncIterator[Join]:
    """Join a session of this test; all are left at its end."""
    async with AsyncExitStack() as stack:

        async def join(model: type = Counter, **arguments: Any) -> SessionCore:
            given = {"app_id": "test", "name": "room", "password": "pw", "synchronizer": synchronizer.url, **arguments}
            return await stack.enter_async_context(await SessionCore.join(model=model, **given))

        yield join


# --- what a user gets --------------------------------------------------------------------------------------------


async def test_two_participants_share_a_model(join):
    ada, ben = await join(), await join()
    assert ada.id == ben.id
    assert ada.is_live
    ada.publish("counter", "add", 2)
    await ada.synced()
    await until(lambda: ben.model.count == 2)
    assert ada.model.count == 2
    assert ada.model is not ben.model


async def test_4_3_additions_at_the_same_moment_all_count(join):
    people = [await join() for _ in range(3)]
    for _ in range(20):
        for person in people:
            person.publish("counter", "add", 1)
    for person in people:
        await until(lambda p=person: p.model.count == 60)


async def test_4_5_models_hear_who_comes_and_what_they_bring(join):
    ada = await join()
    ben = await join(view_data={"name": "Ben", "colour": "red"})
    await until(lambda: len(ada.model.people) == 2)
    assert ada.model.people == ben.model.people
    assert ada.model.people[1] == {"view_id": ben.view_id, "view_data": {"name": "Ben", "colour": "red"}}
    assert [p.label for p in ada.participants][1] == "Ben"
    assert [p.is_me for p in ada.participants] == [True, False]
    await ben.leave()
    await until(lambda: len(ada.participants) == 1)


async def test_4_2_a_session_hears_what_models_publish(join):
    ada = await join()
    got = []
    ada.subscribe("counter", "changed", got.append)
    ada.publish("counter", "add", 5)
    await until(lambda: got)
    assert got == [5]


async def test_publishing_works_from_any_thread(join):
    ada = await join()
    threads = [threading.Thread(target=ada.publish, args=("counter", "add", 1)) for _ in range(10)]
    for thread in threads:
        thread.start()
    await until(lambda: ada.model.count == 10)
    for thread in threads:
        thread.join()


async def test_step_catches_up_inside_a_long_cell(join):
    ada, ben = await join(), await join()
    ben.publish("counter", "add", 3)
    deadline_s = time.monotonic() + 20
    while ada.model.count != 3:  # the loop never runs, as in a cell that computes
        ada.step()
        assert time.monotonic() < deadline_s


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


async def test_1_2_options_are_part_of_the_identity_they_should_be(join):
    plain = await join()
    other = await join(options={"doc": "d1"})
    named = await join(options={"doc": "d1"}, persistent_options=["doc"])
    assert len({plain.id, other.id, named.id}) == 3
    assert plain.persistent_id == other.persistent_id != named.persistent_id


async def test_1_3_a_code_hash_that_is_given_takes_the_place_of_the_codes_own(join):
    own, given = await join(), await join(code_hash="mine")
    assert (given.code_hash, given.id) == ("mine", given._arguments.session_id("mine"))
    assert own.id == own._arguments.session_id(own.code_hash) != given.id
    other = await join(EditedCounter, code_hash="mine too")
    assert other.code_hash == "mine too"
    assert other.persistent_id == own.persistent_id


async def test_1_4_two_sessions_in_one_process_do_not_hear_each_other(join):
    one, two = await join(name="one"), await join(name="two")
    got: list[Any] = []
    two.subscribe("*", "*", got.append)
    one.publish("counter", "add", 1)
    await one.synced()
    two.publish("counter", "add", 5)
    await two.synced()
    assert (one.model.count, two.model.count) == (1, 5)
    await until(lambda: got)
    assert 1 not in got


async def test_7_2_catching_up_with_a_long_log_and_snapshots(join):
    ada = await join(persist_interval_ms=600_000)
    for _ in range(3000):
        ada.publish("counter", "add", 1)
    await ada.synced()
    ben = await join()
    assert ben.model.count == 3000
    assert ben.model.people[0] == ada.model.people[0]


async def test_7_6_progress_of_catching_up_is_told_and_ends_with_1(join):
    ada = await join()
    for _ in range(3000):
        ada.publish("counter", "add", 1)
    await ada.synced()
    told: list[float] = []
    ben = await join(progress=told.append)
    assert ben.model.count == 3000
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert 0 <= told[0] < 1
    ada.publish("counter", "add", 1)
    await ada.synced()
    await ben.synced()
    assert told.count(1.0) == 1, "told after it had joined"


async def test_7_6_a_mistake_in_showing_progress_does_not_keep_anybody_out(join):
    def fail(share: float) -> None:
        raise ZeroDivisionError

    ada = await join(progress=fail)
    assert ada.model.count == 0
    with pytest.raises(ArgumentError, match="progress: expected a function of one number, or None, got 7"):
        await join(progress=7)


async def test_without_a_password_a_local_session_is_open(join):
    ada = await join(password=None)
    ben = await join(password=None)
    assert ada.id == ben.id


# --- what bad input gets -----------------------------------------------------------------------------------------


async def test_8_2_a_wrong_password_fails_the_join_and_harms_nobody(join):
    ada = await join()
    with pytest.raises(WrongPassword, match="password"):
        await join(password="other")
    with pytest.raises(WrongPassword):
        await join(EditedCounter, password="other")
    ada.publish("counter", "add", 1)
    await ada.synced()
    assert ada.model.count == 1


async def test_7_4_nobody_at_the_address_is_said_at_once():
    with pytest.raises(SynchronizerUnreachable, match=r'ws://127.0.0.1:1 .*start one with "msq serve"'):
        await SessionCore.join(app_id="a", name="b", password="c", model=Counter, synchronizer="ws://127.0.0.1:1")


async def test_2_6_an_init_that_fails_fails_the_join_with_the_traceback(join):
    with pytest.raises(ModelInitError, match=r"Broken\.init failed with ZeroDivisionError") as caught:
        await join(Broken)
    cause = caught.value.__cause__
    assert isinstance(cause, ZeroDivisionError)
    assert cause.__traceback__ is not None


async def test_2_5_an_unencodable_attribute_in_init_fails_the_join_with_the_path(join):
    with pytest.raises(StateError, match=r"Unencodable\.file\.handle: cannot store object"):
        await join(Unencodable)


async def test_2_5_an_unencodable_attribute_later_is_reported_and_the_session_goes_on(join, caplog):
    ada, ben = await join(debug="state"), await join()
    ada.publish("counter", "hold", "bad")
    await until(lambda: "Counter.held: cannot store" in caplog.text)
    assert "cannot store" in ada.notice
    ben.publish("counter", "hold", "good")
    ben.publish("counter", "add", 1)
    await until(lambda: ada.model.count == 1)


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


async def test_3_3_a_failing_handler_is_told_to_who_published_and_everything_goes_on(join, caplog):
    ada, ben = await join(), await join()
    for _ in range(3):
        ada.publish("counter", "fail", "oops")
    ada.publish("counter", "fail", "ouch")
    ada.publish("counter", "add", 1)
    await until(lambda: ben.model.count == 1)
    await ada.synced()
    assert ada.notice == ben.notice == "Counter.fail: RuntimeError: ouch"
    told = [record for record in caplog.records if record.exc_info]
    assert [record.getMessage() for record in told] == [
        "Counter.fail: RuntimeError: oops",
        "Counter.fail: RuntimeError: ouch",
    ]
    assert [traceback.extract_tb(record.exc_info[2])[-1].line for record in told] == ["raise RuntimeError(message)"] * 2
    assert {line.text for line in ada.log} >= {record.getMessage() for record in told}


async def test_4_6_an_event_too_large_raises_at_the_caller_with_size_and_limit(join):
    ada = await join()
    with pytest.raises(EventTooLarge, match=r"counter:hold has 300,\d+ bytes; an event may have at most 261,888 bytes"):
        ada.publish("counter", "hold", b"x" * 300_000)
    ada.publish("counter", "add", 1)
    await ada.synced()


class Diary(Model):
    def init(self, options):
        self.begun, self.lines = self.now(), []
        self.subscribe("diary", "write", self.write)

    def write(self, text):
        self.lines.append((self.now(), text, self.random()))
        self.publish("diary", "written", text)


async def test_4_3_an_event_has_no_shortcut_and_runs_everywhere_at_the_same_time(join):
    ada, ben = await join(Diary), await join(Diary)
    ada.publish("diary", "write", "one")
    ben.publish("diary", "write", "two")
    assert ada.model.lines == ben.model.lines == [], "it has no place in the order yet"
    await until(lambda: len(ada.model.lines) == len(ben.model.lines) == 2)
    assert ada.model.lines == ben.model.lines


class Watching(View):
    def __init__(self, model):
        super().__init__(model)
        self.got: list[Any] = []
        for handling in ("once_per_frame", "queued", "immediate"):
            self.subscribe("diary", "written", lambda text, how=handling: self.got.append((how, text)), handling)

    def update(self, time_ms):
        self.got.append(("update", time_ms))


async def test_4_4_a_frame_ends_with_the_update_of_the_root_view(join):
    ada = await join(Diary, view=Watching)
    ada.publish("diary", "write", "one")
    ada.publish("diary", "write", "two")
    await until(lambda: len([how for how, _ in ada.view.got if how == "queued"]) == 2)
    frames, frame = [], []
    for how, what in ada.view.got:
        frame.append((how, what))
        if how == "update":
            frames.append([(name, text) for name, text in frame if name != "update"])
            frame = []
    assert frame == [], "nothing comes after an update but the next frame"
    order = ["immediate", "queued", "once_per_frame"]
    assert all([how for how, _ in one] == sorted((how for how, _ in one), key=order.index) for one in frames)
    assert [text for one in frames for how, text in one if how == "queued"] == ["one", "two"]
    updates = [time_ms for how, time_ms in ada.view.got if how == "update"]
    assert updates == sorted(updates)


def noting(function: Callable[..., Any], calls: list[Any]) -> Callable[..., Any]:
    return lambda *given: calls.append(function(*given))


async def test_7_1_who_comes_before_the_first_snapshot_begins_with_init_too(join, monkeypatch):
    begun, restored = [], []
    for name, noted in (("start", begun), ("restore", restored)):
        monkeypatch.setattr(Replica, name, noting(getattr(Replica, name), noted))
    ada = await join(Diary)
    for text in ("one", "two"):
        ada.publish("diary", "write", text)
    await ada.synced()
    ben = await join(Diary)
    await until(lambda: ben._replica.seq == ada._replica.seq and ben._replica.snapshot() == ada._replica.snapshot())
    assert (len(begun), len(restored)) == (2, 0)
    assert ada.model.begun == ben.model.begun == 0
    assert ben.model.lines == ada.model.lines
    assert len(ben.model.lines) == 2


class Curious(Model):
    def init(self, options):
        self.heard = []
        self.subscribe("free", "*", self.hear)
        self.subscribe("*", "ping", self.hear)

    def hear(self, data):
        self.heard.append(data)


async def test_4_3_an_event_that_only_a_wildcard_of_a_model_matches_is_sent(join, caplog):
    ada = await join(Curious)
    await until(lambda: not ada._follower.behind)
    ada.publish("free", "anything", 1)
    ada.publish("elsewhere", "ping", 2)
    assert "nothing subscribes" not in caplog.text
    ada.publish("elsewhere", "pong", 3)
    assert "nothing subscribes to elsewhere:pong, so it was not sent" in caplog.text
    await ada.synced()
    assert ada.model.heard == [1, 2]
    assert ada._sent_counter == 2


async def test_4_3_a_topic_nobody_hears_is_warned_about_with_the_nearest(join, caplog):
    ada = await join()
    await until(lambda: not ada._follower.behind)
    ada.publish("countr", "add", 1)
    assert "nothing subscribes to countr:add, so it was not sent; did you mean counter:add?" in caplog.text


async def test_2_5_publishing_an_unencodable_value_raises_at_the_caller(join):
    ada = await join()
    with pytest.raises(StateError, match=r"data of counter:add\.x: cannot store object"):
        ada.publish("counter", "add", {"x": object()})


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


async def test_an_error_shows_the_users_lines_and_not_ours(join):
    with pytest.raises(ModelInitError) as caught:
        await join(Broken)
    shown = caught.value._render_traceback_()
    assert any("self.ratio = 1 / 0" in line for line in shown)
    assert shown[-1].startswith("ModelInitError: Broken.init failed with ZeroDivisionError")
    assert not any("msq_jupyter/session" in line for line in shown)
    assert len(shown) < 12


async def test_a_session_that_was_left_says_so(join):
    ada = await join()
    await ada.leave()
    with pytest.raises(SessionClosed, match="join again"):
        await ada.synced()
    await ada.leave()
    assert ada.link_state == "closed"
    assert ada.model.count == 0
    for call in (lambda: ada.publish("counter", "add", 1), lambda: ada.assign("speed", 1)):
        with pytest.raises(SessionClosed, match="has been left: join again"):
            call()
    with pytest.raises(SessionClosed):
        await ada.versions()


async def test_5_1_saving_from_a_cell_raises(join):
    ada = await join()
    with pytest.raises(OutsideModelError, match=r"session\.publish"):
        ada.model.persist_session({})


async def test_6_2_a_cell_reads_the_model_and_cannot_change_it(join):
    ada, ben = await join(), await join()
    await until(lambda: len(ada.model.people) == len(ben.model.people) == 2)
    assert ada.model is ada.model
    assert isinstance(ada.model, Counter)
    for write in (
        lambda: setattr(ada.model, "count", 5),
        lambda: ada.model.people.append("me"),
        lambda: ada.model.add(1),
    ):
        with pytest.raises(ModelWriteError, match=r'session\.publish\("counter", "add", data\)'):
            write()
    ben.publish("counter", "add", 1)
    await until(lambda: ada.model.count == 1 and ada._replica.snapshot() == ben._replica.snapshot())


class Meddling(View):
    """Tries to change the model, in every way a view is called."""

    def __init__(self, model):
        super().__init__(model)
        self.heard = []
        for handling in ("queued", "once_per_frame", "immediate"):
            self.subscribe("counter", "changed", self.on_change, handling)

    def on_change(self, count):
        self.heard.append(count)
        self.model.count = 100

    def update(self, time_ms):
        self.model.people.clear()


async def test_6_2_a_view_cannot_change_the_model_and_the_session_goes_on(join, caplog):
    ada, ben = await join(view=Meddling), await join()
    for _ in range(2):
        ben.publish("counter", "add", 1)
        await ben.synced()
    await until(lambda: len(ada.view.heard) >= 5)
    told = [record for record in caplog.records if record.exc_info and record.exc_info[0] is ModelWriteError]
    texts = {str(record.exc_info[1]) for record in told}
    remedy = 'publish an event that a method of the model subscribes to, for example self.publish("counter", "'
    assert any(f"Counter.count is the model's and cannot be changed from a view: {remedy}" in text for text in texts)
    assert any(f"Counter.people is the model's and cannot be changed from a view: {remedy}" in text for text in texts)
    assert ada.is_live
    assert ada.model.count == ben.model.count == 2
    assert len(ada.model.people) == 2


async def test_stepping_on_another_thread_raises(join):
    ada = await join()
    with pytest.raises(OutsideModelError, match="thread that joined"):
        await asyncio.to_thread(ada.step)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"app_id": ""}, "app_id: expected a name of 1 to 128 printable characters, got ''"),
        ({"name": "x" * 129}, "name: expected"),
        ({"name": "a\nb"}, "name: expected"),
        ({"name": "\ud800"}, "name: expected"),
        ({"password": ""}, "password: expected a non-empty string or None"),
        ({"model": int}, "model: expected a subclass of Model .*, got int"),
        ({"view": 3}, "view: expected a subclass of View"),
        ({"options": [1]}, "options: expected a dict of JSON data, got list"),
        ({"options": {"x": {1}}}, r"set at options\.x is not JSON"),
        ({"persistent_options": ["doc"]}, "'doc' is not a key of options"),
        ({"synchronizer": "ftp://x"}, r'synchronizer=: expected a URL such as "ws://127.0.0.1:8765"'),
        ({"synchronizer": "ws://x:1?token=s3"}, r'"ws://TOKEN@host:port" for a synchronizer .* got .ws://x:1.$'),
        ({"synchronizer": "ws://x:99999"}, "expected a URL"),
        ({"tick_rate": 0}, "tick_rate: expected 1/30 to 60"),
        ({"debug": "sesion"}, "debug: expected words of"),
        ({"join_timeout_s": 0}, "join_timeout_s: expected more than 0"),
        ({"rejoin_limit_ms": 60_001}, "rejoin_limit_ms: expected 0 to 60000"),
        ({"persisted": 0}, 'persisted: expected "latest", "ignore", or the number'),
        ({"password": None, "synchronizer": "wss://example.org"}, "password: wss://example.org is not on this machine"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_wrong_arguments_are_named(arguments, message):
    given = {"app_id": "a", "name": "b", "password": "c", "model": Counter, **arguments}
    with pytest.raises(ArgumentError, match=message):
        await SessionCore.join(**given)


@pytest.mark.parametrize(
    ("attribute", "message"),
    [("sped", "did you mean 'speed'"), ("add", "is a method"), ("_x", "belongs to the model"), ("x", "in init first")],
)
async def test_assigning_what_is_no_attribute_raises(join, attribute, message):
    ada = await join()
    with pytest.raises(AuthorError, match=message):
        ada.assign(attribute, 1)
