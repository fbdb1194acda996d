"""Waiting for what nothing tells of: what other threads, processes and sockets do.

Where there is an event, a future or a line to read, a test waits for that instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: How often is looked: it costs nothing, and is nothing beside what is waited for.
EVERY_S = 0.005
#: A server starts slowly on a busy machine.
START_LIMIT_S = 90


async def until(condition: Callable[[], Any], limit_s: float = 20) -> None:
    """Wait until something is so.

    Args:
        condition: a function or a coroutine function.
        limit_s: after this time it fails.
    """
    async with asyncio.timeout(limit_s):
        while True:
            is_so = condition()
            if await is_so if inspect.isawaitable(is_so) else is_so:
                return
            await asyncio.sleep(EVERY_S)


def until_blocking(condition: Callable[[], Any], limit_s: float = 20) -> None:
    """The same where no event loop runs."""
    deadline_s = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError
        time.sleep(EVERY_S)


def until_serving(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a server that has just been started answers; fail with its log if it does not."""

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return True
        return False

    try:
        until_blocking(answers, START_LIMIT_S)
    except TimeoutError:
        raise AssertionError(log.read_text()) from None
