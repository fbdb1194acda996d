"""A thread that makes one call after the other for an event loop, at two thirds of what an executor of one costs."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
_Call: TypeAlias = "tuple[AbstractEventLoop, Future[Any], Callable[[], Any]]"


class StorageThread:
    """Starts at once; a program may end without waiting for it, as what a commit had not written is not there then."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="msq-storage", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Have a function called after those before it; it is called even if nobody waits for its outcome any more."""
        loop = asyncio.get_running_loop()
        outcome: Future[T] = loop.create_future()
        self._calls.put((loop, outcome, function))
        return outcome

    def stop(self) -> None:
        """Let the thread end when all calls are made, and wait for that."""
        self._calls.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            loop, outcome, function = call
            result, error = None, None
            try:
                result = function()
            except BaseException as raised:
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is there to hear
                loop.call_soon_threadsafe(_settle, outcome, result, error)
            # Else the last call and what it made would stay until the next one.
            del call, outcome, function, result, error


def _settle(outcome: Future[Any], result: object, error: BaseException | None) -> None:
    if outcome.done():
        return  # nobody waits any more
    if error is None:
        outcome.set_result(result)
    else:
        outcome.set_exception(error)
