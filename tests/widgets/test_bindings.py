"""Links: a trait and a model attribute are one, for everybody, without echo and without a lost value."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator

import pytest
import traitlets
from ipywidgets import FloatRangeSlider, FloatSlider, IntSlider, Text

import msq_jupyter
from msq_jupyter import Session
from msq_jupyter.errors import ArgumentError, AuthorError, SessionClosed
from tests.conftest import Join, SynchronizerThread, joining
from tests.session.models import Counter
from tests.waiting import until


@pytest.fixture
async def join(synchronizer: SynchronizerThread) -> AsyncIterator[Join]:
    async with joining(synchronizer, Session, model=Counter, name="links", password="pw") as join:
        yield join


def slider(session: Session) -> IntSlider:
    widget = IntSlider(min=1, max=100)
    session.link((widget, "value"), "speed")
    return widget


async def test_a_change_of_one_widget_reaches_all(join):
    ada, ben = await join(), await join()
    sliders = slider(ada), slider(ben)
    sliders[0].value = 5
    await until(lambda: sliders[1].value == 5)
    assert ada.model.speed == 5
    sliders[1].value = 7
    await until(lambda: sliders[0].value == 7)


async def test_the_model_comes_first_when_a_link_is_made(join):
    ada, ben = await join(), await join()
    slider(ada).value = 9
    await until(lambda: ben.model.speed == 9)
    assert slider(ben).value == 9
    await ben.synced()
    assert ben._sent_counter == 0


async def test_two_widgets_of_one_kernel_stay_together(join):
    ada = await join()
    one, two = slider(ada), slider(ada)
    one.value = 33
    await until(lambda: two.value == 33)


async def test_while_dragging_few_events_are_sent_the_last_value_arrives_and_nothing_jumps_back(join):
    ada, ben = await join(), await join()
    widget = slider(ada)
    seen: list[int] = []
    widget.observe(lambda change: seen.append(change["new"]), "value")
    for value in range(2, 101):
        widget.value = value
        await asyncio.sleep(0)
    await until(lambda: ben.model.speed == 100)
    await until(lambda: ada.executed_counter == ada._sent_counter)
    assert widget.value == 100
    assert seen == sorted(seen)
    assert ada._sent_counter < 50


@pytest.mark.parametrize(
    ("make", "shown", "rounded", "moved"),
    [
        (lambda: FloatSlider(max=3, step=0.01), 1.0, 0.9999999999999999, 1.01),
        (lambda: FloatRangeSlider(max=3, step=0.01), (1.0, 2.0), (0.9999999999999999, 2.0), (1.0, 2.01)),
    ],
)
async def test_what_a_browser_rounds_while_it_shows_a_value_is_no_change(join, make, shown, rounded, moved):
    ada, ben = await join(), await join()
    ben.assign("speed", shown)
    await until(lambda: ada.model.speed == shown)
    widget = make()
    ada.link((widget, "value"), "speed")
    ben.assign("speed", moved)  # is on its way when Ada's browser answers
    widget.set_state({"value": rounded})
    await ben.synced()
    await ada.synced()
    assert ada._sent_counter == 0
    await until(lambda: widget.value == moved)
    widget.set_state({"value": shown})
    await until(lambda: ben.model.speed == shown)


async def test_callbacks_on_another_thread_are_as_good(join):
    ada, ben = await join(), await join()
    widget = slider(ada)
    thread = threading.Thread(target=setattr, args=(widget, "value", 12))
    thread.start()
    thread.join()
    await until(lambda: ben.model.speed == 12)


async def test_concurrent_changes_end_the_same_for_all(join):
    people = [await join() for _ in range(3)]
    sliders = [slider(person) for person in people]
    for value in range(10, 60):
        for offset, widget in enumerate(sliders):
            widget.value = value + offset
        await asyncio.sleep(0.002)
    await until(lambda: all(p.executed_counter == p._sent_counter for p in people))
    await until(lambda: len({widget.value for widget in sliders} | {p.model.speed for p in people}) == 1)


async def test_a_value_the_trait_refuses_is_logged_and_the_session_goes_on(join, caplog):
    ada = await join()

    class Small(traitlets.HasTraits):
        value = traitlets.Int(1, max=5)

    small = Small()
    ada.link((small, "value"), "speed")
    ada.assign("speed", 50)
    await until(lambda: "cannot show model.speed" in caplog.text)
    ada.assign("speed", 4)
    await until(lambda: small.value == 4)


async def test_a_value_that_cannot_be_shared_is_logged_and_the_models_value_returns(join, caplog):
    ada = await join()

    class Anything(traitlets.HasTraits):
        value = traitlets.Any()

    thing = Anything()
    ada.link((thing, "value"), "title")
    thing.value = object()
    assert "was not shared: title: cannot store object" in caplog.text
    await until(lambda: thing.value == "counter")


async def test_mutable_values_are_copies(join):
    ada = await join()

    class Anything(traitlets.HasTraits):
        value = traitlets.Any()

    thing = Anything()
    ada.link((thing, "value"), "people")
    thing.value.append("intruder")
    assert "intruder" not in ada.model.people


async def test_a_value_that_comes_back_to_what_the_model_last_said_is_shown(join):
    """The widget is moved, and in the same step another participant moves the model back."""
    ada, ben = await join(), await join()
    widget = slider(ada)
    widget.value = 5
    ben.assign("speed", 1)
    for person in (ada, ben):
        await person.synced()
    await until(lambda: ada.model.speed == ben.model.speed)
    await until(lambda: widget.value == ada.model.speed)


async def test_5_10_a_link_shows_the_model_that_was_restored(join):
    ada, ben = await join(), await join()
    sliders = slider(ada), slider(ben)
    ben.publish("counter", "add", 1)
    await ben.saved()
    sliders[0].value = 5
    await until(lambda: sliders[1].value == 5)
    await ben.restore(1)
    await until(lambda: sliders[0].value == sliders[1].value == 1)  # as `init` makes it
    sliders[0].value = 8
    await until(lambda: sliders[1].value == ben.model.speed == 8)


async def test_unlinking_twice_is_no_error(join):
    ada = await join()
    link = ada.link((Text(), "value"), "title")
    link.unlink()
    link.unlink()


async def test_a_session_that_was_left_links_nothing(join):
    ada = await join()
    await ada.leave()
    with pytest.raises(SessionClosed, match="join again"):
        ada.link((Text(), "value"), "title")


async def test_tab_shows_the_words_of_the_documentation(join):
    ada = await join()
    assert {"link", "publish", "model", "versions"} <= set(dir(ada))
    assert not {"frame_hooks", "call_later", "hand_over"} & set(dir(ada))
    assert all(hasattr(ada, name) for name in dir(ada))
    assert dir(msq_jupyter) == sorted(msq_jupyter.__all__)


async def test_unlinking_ends_both_ways(join):
    ada = await join()
    text = Text()
    link = ada.link((text, "value"), "title")
    link.unlink()
    text.value = "mine"
    ada.assign("title", "ours")
    await ada.synced()
    assert (text.value, ada.model.title) == ("mine", "ours")


@pytest.mark.parametrize(
    ("source", "attribute", "error", "message"),
    [
        (3, "speed", ArgumentError, r'expected a pair such as \(slider, "value"\), got 3'),
        ((3, "value"), "speed", ArgumentError, "expected a widget or another object with traits, got int"),
        ((IntSlider, "value"), "speed", ArgumentError, "got MetaHasTraits|got MetaHasDescriptors|expected a widget"),
        ((IntSlider(), "valeu"), "speed", ArgumentError, "IntSlider has no trait 'valeu'"),
        ((IntSlider(), "value"), "sped", AuthorError, "did you mean 'speed'"),
        ((IntSlider(), "value"), "add", AuthorError, "is a method"),
    ],
    ids=["no pair", "no widget", "a class", "no trait", "no attribute", "a method"],
)
async def test_what_cannot_be_linked_is_named(join, source, attribute, error, message):
    ada = await join()
    with pytest.raises(error, match=message):
        ada.link(source, attribute)


async def test_the_badge_tells_who_is_there_and_what_is_saved(join):
    ada = await join()
    badge = ada.badge()
    assert badge is ada.badge()
    assert (badge.name, badge.link_state, len(badge.people), badge.saved_state) == ("links", "live", 1, "none")
    ben = await join()
    ben.publish("counter", "add", 1)
    await until(lambda: len(badge.people) == 2 and badge.saved_state == "saved")
    assert badge.saved_number == 1
    assert [person["is_me"] for person in badge.people] == [True, False]
    ben.publish("counter", "add", 1)
    await until(lambda: badge.saved_state == "dirty")
    assert badge.next_save_s == ada.status.next_save_s > time.time()
    await ada.leave()
    assert badge.link_state == "closed"


async def test_a_session_as_last_line_shows_its_badge_with_fallbacks(join):
    data, _ = (await join())._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/plain"].startswith("links · live · 1 person")
    assert "<strong>links</strong>" in data["text/html"]
