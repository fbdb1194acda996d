"""The bar that shows how far a join is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from msq_jupyter.widgets import progress
from msq_jupyter.widgets.progress import SHOWN_AFTER_S, ProgressBar, is_notebook
from msq_jupyter.widgets.session import Session
from tests.conftest import SynchronizerThread
from tests.session.models import Counter

EVENTS = 200


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shown() -> list[Any]:
    return []


@pytest.fixture
def bar(clock: Clock, shown: list[Any]) -> ProgressBar:
    return ProgressBar("lesson-1", shown.append, clock)


def test_7_6_whoever_joins_quickly_sees_no_bar(bar: ProgressBar, clock: Clock, shown: list[Any]) -> None:
    bar.show(0.1)
    clock.now_s += SHOWN_AFTER_S / 2
    bar.show(0.9)
    clock.now_s += SHOWN_AFTER_S
    bar.show(1.0)
    bar.close()
    assert shown == []


def test_7_6_a_join_that_takes_long_shows_one_bar_and_takes_it_away(
    bar: ProgressBar, clock: Clock, shown: list[Any]
) -> None:
    bar.show(0.0)
    clock.now_s += SHOWN_AFTER_S
    for share in (0.2, 0.5):
        bar.show(share)
        assert [(each.value, each.description) for each in shown] == [(share, "joining lesson-1")]
    bar.close()
    assert shown[0].comm is None


def test_outside_of_a_notebook_there_is_none() -> None:
    assert not is_notebook()


@pytest.fixture
async def given(synchronizer: SynchronizerThread, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, Any]]:
    """What joins a session with a past, in a notebook: bit by bit, and a bar is shown at once."""
    given: dict[str, Any] = {
        "app_id": "test",
        "name": "room",
        "password": "pw",
        "model": Counter,
        "synchronizer": synchronizer.url,
    }
    async with await Session.join(**given) as ada:
        for _ in range(EVENTS):
            ada.publish("counter", "add", 1)
        await ada.synced()
        monkeypatch.setattr("msq_jupyter.session.stepping.PORTION_S", 0.0)
        monkeypatch.setattr(progress, "SHOWN_AFTER_S", 0.0)
        monkeypatch.setattr("msq_jupyter.widgets.session.is_notebook", lambda: True)
        yield given


async def test_7_6_a_notebook_shows_it_while_joining(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch, shown: list[Any]
) -> None:
    monkeypatch.setattr("IPython.display.display", shown.append)
    async with await Session.join(**given) as ben:
        assert ben.model.count == EVENTS
        assert len(shown) == 1
        assert shown[0].comm is None, "it stays when all is done"


async def test_7_6_none_stays_after_a_join_that_was_interrupted(
    given: dict[str, Any], monkeypatch: pytest.MonkeyPatch, shown: list[Any]
) -> None:
    joining = asyncio.ensure_future(Session.join(**given))

    def display(bar: Any) -> None:
        shown.append(bar)
        joining.cancel()

    monkeypatch.setattr("IPython.display.display", display)
    with pytest.raises(asyncio.CancelledError):
        await joining
    for _ in range(50):
        await asyncio.sleep(0.002)
    assert [bar.comm for bar in shown] == [None]
