"""Sharing widgets in one line, and operations from cells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from ipywidgets import Button, IntSlider, Text

from msq_jupyter import Session
from msq_jupyter.errors import ArgumentError, EventTooLarge, ModelWriteError, SessionClosed, StateError
from msq_jupyter.ready import SharedCounter, SharedText
from tests.conftest import Join, SynchronizerThread, joining
from tests.waiting import until


@pytest.fixture
async def share(synchronizer: SynchronizerThread) -> AsyncIterator[Callable[..., Any]]:
    async with AsyncExitStack() as stack:

        async def share(widgets: Any, **join: Any) -> Session:
            given = {"name": "s", "synchronizer": synchronizer.url, **join}
            return await stack.enter_async_context(await Session.share(widgets, **given))

        yield share


@pytest.fixture
async def join(synchronizer: SynchronizerThread) -> AsyncIterator[Join]:
    async with joining(synchronizer, Session, name="ops") as join:
        yield join


async def test_one_line_shares_a_widget(share):
    ours, theirs = IntSlider(7), IntSlider(3)
    ada = await share(ours)
    await share(theirs)
    assert (ours.value, theirs.value) == (7, 7)
    theirs.value = 9
    await until(lambda: ours.value == 9)
    assert ada.model.data == {"value": 9}


async def test_of_two_who_share_at_the_same_moment_one_gives_the_value(share):
    ours, theirs = IntSlider(7), IntSlider(3)
    await asyncio.gather(share(ours), share(theirs))
    await until(lambda: ours.value == theirs.value)
    assert ours.value in (7, 3)


async def test_several_are_shared_by_name_and_saved(share):
    ours = {"speed": IntSlider(7), "title": Text("hello")}
    ada = await share(ours)
    ours["title"].value = "good bye"
    await ada.saved()
    await ada.leave()
    theirs = {"title": Text(), "speed": IntSlider()}
    await share(theirs)
    assert (theirs["speed"].value, theirs["title"].value) == (7, "good bye")


@pytest.mark.parametrize(
    ("widgets", "message"),
    [
        (3, "expected a widget or another object with traits, got int"),
        (Button(), "share: Button has no trait 'value'"),
        ({"a.b": IntSlider()}, "expected names without \".\" for widgets, got 'a.b'"),
        ({1: IntSlider()}, "got 1"),
    ],
)
async def test_what_cannot_be_shared_is_named(widgets, message):
    with pytest.raises(ArgumentError, match=message):
        await Session.share(widgets, name="s")


async def test_an_operation_called_in_a_cell_runs_for_all(join):
    ada, ben = await join(SharedCounter), await join(SharedCounter)
    for person in (ada, ben):
        for _ in range(20):
            assert person.model.add(1) is None
    await until(lambda: ada.model.value == ben.model.value == 40)
    assert ada.model.value == 40


async def test_an_operation_called_on_a_thread_is_as_good(join):
    ada = await join(SharedCounter)
    await asyncio.to_thread(ada.model.add, 5)
    await until(lambda: ada.model.value == 5)


async def test_two_people_type_into_one_text(join):
    ada, ben = await join(SharedText), await join(SharedText)
    ada.model.insert(0, "world")
    await until(lambda: ben.model.text == "world")
    ada.model.insert(5, "!")
    ben.model.insert(0, "hello ")
    await until(lambda: ada.model.text == ben.model.text == "hello world!")
    with pytest.raises(ValueError, match="expected a part of 12 characters, got 3 from 10"):
        ada.model.delete(10, 3)


async def test_what_an_operation_cannot_take_is_named_at_the_call(join):
    ada = await join(SharedText)
    with pytest.raises(StateError, match=r"arguments of SharedText\.edit.*cannot store object"):
        ada.model.edit(0, object())
    with pytest.raises(EventTooLarge, match=r"SharedText\.edit"):
        ada.model.rewrite("x" * 10_000_000)
    with pytest.raises(ModelWriteError):
        ada.model._text = "mine"
    model = ada.model
    await ada.leave()
    with pytest.raises(SessionClosed):
        model.insert(0, "late")
