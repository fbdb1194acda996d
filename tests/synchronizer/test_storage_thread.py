"""The thread that makes the calls of the storage."""

from __future__ import annotations

import asyncio
import threading

import pytest

from msq_jupyter.synchronizer.storage_thread import StorageThread


async def test_calls_are_made_one_after_the_other_on_one_other_thread() -> None:
    thread = StorageThread()
    made: list[int] = []
    where: set[int] = set()

    def call(number: int) -> int:
        made.append(number)
        where.add(threading.get_ident())
        return number * 2

    outcomes = await asyncio.gather(*(thread.call(lambda number=number: call(number)) for number in range(100)))
    assert outcomes == [number * 2 for number in range(100)]
    assert made == list(range(100))
    assert len(where) == 1
    assert threading.get_ident() not in where
    thread.stop()


async def test_what_a_call_raises_is_raised_where_it_is_awaited() -> None:
    thread = StorageThread()

    def fail() -> None:
        raise ZeroDivisionError("here")

    with pytest.raises(ZeroDivisionError, match="here"):
        await thread.call(fail)
    assert await thread.call(lambda: "goes on") == "goes on"
    thread.stop()


async def test_a_call_is_made_even_if_nobody_waits_for_it_any_more() -> None:
    thread = StorageThread()
    go, made = threading.Event(), []
    first = thread.call(go.wait)
    second = thread.call(lambda: made.append("made"))
    for outcome in (first, second):
        outcome.cancel()
    go.set()
    assert await thread.call(lambda: "after them") == "after them"
    assert made == ["made"]
    thread.stop()


def test_stopping_waits_for_what_was_asked_for_even_when_the_loop_has_ended() -> None:
    thread = StorageThread()
    go, made = threading.Event(), []

    async def ask() -> None:
        thread.call(go.wait)
        thread.call(lambda: made.append("made"))

    asyncio.run(ask())
    go.set()
    thread.stop()
    assert made == ["made"]
