"""What authors and peers do wrong: told by name, and neither the session nor anybody else is hurt."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from msq_jupyter.errors import InternalError, ModelCreationError, SessionClosed, ViewInitError
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.view import View
from msq_jupyter.session.client import Client
from msq_jupyter.session.mistakes import Mistakes
from tests.session.models import Counter, EditedCounter, Mistaken
from tests.session.test_reconnect import Cable, Server, server  # noqa: F401  # a fixture
from tests.session.test_reconnect import join as join_at
from tests.waiting import until


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("set_id", "Mistaken.id is the model's name in its session"),
        ("half_a_future", "Mistaken.timer: cannot store .*: name the method to call: self.future(ms).method()"),
        ("destroy_root", "the root model cannot be destroyed"),
        ("steal_root", '"modelRoot" is the name of the first model'),
        ("use_the_dead", "Child.subscribe() came too late: the model M2 was destroyed"),
        ("keep_the_dead", "Mistaken.child: cannot store tests.session.models.Child: it was destroyed"),
        ("hold_decorated", "Mistaken.callback: cannot store method"),
        ("exit", "SystemExit: 3"),
        ("tell_decorated", "data of out:x: cannot store method"),
        ("save_much", "the saved data has 10,009 bytes, and at most 5,000 can be stored"),
        ("tick_bad", "Mistaken.bad: cannot store object"),
    ],
)
async def test_a_mistake_in_a_model_is_told_and_the_session_goes_on_for_everybody(
    join,
    caplog,
    monkeypatch,
    mistake,
    message,
):
    monkeypatch.setattr("msq_jupyter.protocol.CONTENT_BYTES_MAX", 5_000)
    ada, ben = await join(Mistaken, debug="state"), await join(Mistaken)
    ada.subscribe("out", "x", lambda _: None)  # a view that listens must make no difference
    ada.publish("do", "it", mistake)
    await until(lambda: _matches(message, caplog.text))
    ada.publish("do", "it", "nothing")
    await until(lambda: ben.model.done == ada.model.done > 0)
    newcomer = await join(Mistaken)
    await until(lambda: newcomer.model.done == ada.model.done)
    for person in (ada, ben, newcomer):
        assert person.error is None
        assert person.is_live


def _matches(message: str, text: str) -> bool:
    first, _, last = message.partition(".*")
    return first in text and last in text


async def test_2_5_with_debug_state_what_cannot_be_stored_is_told_by_the_step_that_stored_it(join):
    ada = await join(Mistaken, debug="state")
    for _ in range(2):  # at once each time, however short ago the last look was
        ada._mistakes.notice = ""
        ada.publish("do", "it", "hold_bad")
        await ada.synced()
        assert "Mistaken.bad: cannot store object" in ada.notice


async def test_2_5_without_debug_what_cannot_be_stored_is_told_at_the_next_snapshot(join, monkeypatch):
    monkeypatch.setattr(Mistakes, "check_state", lambda self, replica: None)  # the look in between
    ada = await join(Mistaken)
    ada.publish("do", "it", "hold_bad")
    await ada.synced()
    assert ada.notice == ""
    ada._uploads.snapshot(ada._replica)
    assert "Mistaken.bad: cannot store object" in ada.notice
    ada.publish("do", "it", "nothing")
    await ada.synced()
    assert ada.model.done == 2
    assert ada.is_live


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("__slots__", ("x",), "whose attributes no snapshot would hold"),
        ("id", 3, "which is the model's name"),
        ("transient", "cache", "expected a tuple of names"),
    ],
)
def test_2_4_a_class_that_could_not_be_restored_is_refused_when_it_is_defined(name, value, message):
    with pytest.raises(ModelCreationError, match=message):
        type("Kind", (Model,), {name: value})


class FailingView(View):
    def __init__(self, model):
        raise RuntimeError("no canvas")


class StumblingView(View):
    updates = 0

    def update(self, time_ms):
        type(self).updates += 1
        self.publish("a:b", "c")


async def test_a_view_that_cannot_begin_fails_the_join(join):
    with pytest.raises(ViewInitError, match=r"FailingView\.__init__ failed with RuntimeError: no canvas") as caught:
        await join(view=FailingView)
    assert isinstance(caught.value.__cause__, RuntimeError)


async def test_a_view_that_stumbles_at_every_frame_is_told_once_and_everything_goes_on(join, caplog):
    ada = await join(view=StumblingView)
    frames = []
    ada.frame_hooks.append(lambda: frames.append(1))
    await until(lambda: StumblingView.updates > 3 and len(frames) > 3)
    ada.publish("counter", "add", 1)
    await ada.synced()
    told = [record for record in caplog.records if "StumblingView.update: SubscriptionError" in record.getMessage()]
    assert len(told) == 1
    assert ada.is_live


async def test_a_hook_that_fails_does_not_stop_the_others(join):
    ada = await join()
    frames = []
    ada.frame_hooks[:] = [lambda: 1 / 0, lambda: frames.append(1)]
    await until(lambda: len(frames) > 2)


async def test_an_accident_on_the_socket_thread_ends_the_session_and_says_so(join, monkeypatch):
    ada = await join()
    monkeypatch.setattr(Client, "flush", lambda self: 1 / 0)
    ada._connection.call(lambda: None)
    await until(lambda: ada.link_state == "failed")
    assert isinstance(ada.error, InternalError)
    with pytest.raises(SessionClosed, match="has ended"):
        ada.publish("counter", "add", 1)
    with pytest.raises(SessionClosed):
        await ada.versions()


async def test_5_4_leaving_right_after_publishing_loses_neither_event_nor_save(join, synchronizer):
    witness = await join()
    for round_number in range(1, 6):
        async with await type(witness).join(
            app_id="test", name="room", password="pw", model=Counter, synchronizer=synchronizer.url
        ) as ada:
            for _ in range(40):
                ada.publish("counter", "add", 1)
                ada.publish("counter", "hold", b"x" * 100_000)
        await until(lambda n=round_number: witness.model.count == 40 * n)
    await witness.leave()
    assert (await join(EditedCounter)).model.count == 200


async def test_7_4_an_answer_that_never_comes_is_given_up_when_the_session_is_left(join, monkeypatch):
    ada = await join()
    monkeypatch.setattr(Client, "request", lambda self, request_id, message: None)
    asking = asyncio.ensure_future(ada.versions())
    await asyncio.sleep(0)
    await ada.leave()
    with pytest.raises(SessionClosed, match="ended before the answer came"):
        await asking


async def test_a_join_that_fails_or_is_cancelled_leaves_no_ghost(join, synchronizer):
    ada = await join(rejoin_limit_ms=60_000)
    arguments: dict[str, Any] = {"app_id": "test", "name": "room", "password": "pw", "synchronizer": synchronizer.url}
    with pytest.raises(ViewInitError):
        await type(ada).join(model=Counter, view=FailingView, rejoin_limit_ms=60_000, **arguments)
    for delay_s in (0, 0.1, 0.2, 0.25, 0.28, 0.3, 0.35):
        joining = asyncio.ensure_future(type(ada).join(model=Counter, rejoin_limit_ms=60_000, **arguments))
        await asyncio.sleep(delay_s)
        joining.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await (await joining).leave()  # it was faster
    ada.publish("counter", "add", 1)
    await ada.synced()
    await until(lambda: len(ada.participants) == 1)


async def test_5_7_a_session_that_began_anew_while_somebody_was_away_takes_what_they_sent(server: Server):
    """Edited back: the run that ada was in is over, its events stay acknowledged, new ones go to the new run."""
    async with Cable(int(server.url.rpartition(":")[2])) as cable:
        ada = await join_at(server, synchronizer=cable.url, rejoin_limit_ms=0)
        for _ in range(3):
            ada.publish("counter", "add", 1)
        await ada.synced()
        await ada.saved()
        witness = await join_at(server)
        cable.hold()  # the news of the next event does not reach ada, the event itself the others
        ada.publish("counter", "add", 1000)
        await until(lambda: witness.model.count == 1003)
        await witness.leave()
        cable.cut(stay_cut=True)
        ben = await join_at(server, EditedCounter)
        assert ben.model.count == 1003
        ben.publish("counter", "add", 10)
        await ben.synced()
        await ben.leave()
        ada.publish("counter", "add", 100)
        cable.mend()
        await until(lambda: ada.model.count == 1113)
        await asyncio.wait_for(ada.synced(), 20)
        ada.publish("counter", "add", 1)
        await asyncio.wait_for(ada.synced(), 20)
        assert ada.model.count == 1114
        await ada.leave()


async def test_what_fails_while_a_session_is_watched_is_told_and_ends_nothing(join):
    """Also on the socket thread: without the watch, a save that waits for its time would wait for the next event."""
    ada = await join()
    looks = []

    def fails() -> None:
        looks.append(ada.link_state)
        raise ValueError("no comm")

    ada.watch_hooks.append(fails)
    await until(lambda: len(looks) > 2)
    assert ada.notice.endswith("fails: ValueError: no comm")
    assert ada.is_live
