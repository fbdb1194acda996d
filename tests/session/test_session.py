"""Sessions against a real synchronizer, several participants in one process."""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from typing import Any

import pytest

from msq_jupyter.errors import (
    AuthorError,
    EventTooLarge,
    ModelWriteError,
    OutsideModelError,
    SessionClosed,
    StateError,
)
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.view import View
from tests.session.models import Counter, Diary
from tests.waiting import until

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


# --- what bad input gets -----------------------------------------------------------------------------------------


async def test_2_5_an_unencodable_attribute_later_is_reported_and_the_session_goes_on(join, caplog):
    ada, ben = await join(debug="state"), await join()
    ada.publish("counter", "hold", "bad")
    await until(lambda: "Counter.held: cannot store" in caplog.text)
    assert "cannot store" in ada.notice
    ben.publish("counter", "hold", "good")
    ben.publish("counter", "add", 1)
    await until(lambda: ada.model.count == 1)


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
    traces = [[frame.line for frame in traceback.extract_tb(record.exc_info[2])] for record in told]
    assert traces == [["raise RuntimeError(message)"]] * 2  # and not the way to it
    assert {line.text for line in ada.log} >= {record.getMessage() for record in told}


async def test_4_6_an_event_too_large_raises_at_the_caller_with_size_and_limit(join):
    ada = await join()
    with pytest.raises(EventTooLarge, match=r"counter:hold has 300,\d+ bytes; an event may have at most 261,888 bytes"):
        ada.publish("counter", "hold", b"x" * 300_000)
    ada.publish("counter", "add", 1)
    await ada.synced()


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
    ("attribute", "message"),
    [("sped", "did you mean 'speed'"), ("add", "is a method"), ("_x", "belongs to the model"), ("x", "in init first")],
)
async def test_assigning_what_is_no_attribute_raises(join, attribute, message):
    ada = await join()
    with pytest.raises(AuthorError, match=message):
        ada.assign(attribute, 1)


@pytest.mark.parametrize("turns", range(5))
async def test_7_4_who_stops_waiting_stops_though_something_happens_at_that_moment(join, turns: int):
    """Up to Python 3.11 `asyncio.wait_for` may lose a cancellation; leaving, which has a limit, then never ended."""
    ada = await join()
    waiting = asyncio.create_task(ada.synced(ada._sent_counter + 1))
    for _ in range(3):
        await asyncio.sleep(0)
    ada._changed.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    waiting.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert waiting.cancelled()


async def test_7_4_whoever_has_joined_when_its_time_is_over_has_joined(join, monkeypatch: pytest.MonkeyPatch):
    def late(joined: asyncio.Future[None]) -> asyncio.Future[None]:
        """As when the main loop stood still, and finds both at once."""
        over = joined.get_loop().create_future()
        joined.add_done_callback(lambda _: over.set_exception(asyncio.TimeoutError()))
        return over

    monkeypatch.setattr(asyncio, "shield", late)
    ada = await join()
    assert ada.is_live
    assert ada.error is None
