"""Sessions of this process that are live: what has to be finished before another one starts, or the process ends."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import threading
import time
import weakref
from typing import Protocol

#: How long the end of the process waits for what is still to be saved, in seconds.
GOODBYE_S = 1.0


class Live(Protocol):
    """What has to be known of a live session."""

    persistent_id: str
    loop: asyncio.AbstractEventLoop

    async def finish(self, limit_s: float) -> None:
        """Have what was published executed and what was saved stored, within a time."""

    def hand_over(self) -> bool:
        """Send what waits; whether all of it was received."""

    def hang_up(self, limit_s: float) -> None:
        """Leave at once, without waiting longer than a time."""


_live: weakref.WeakSet[Live] = weakref.WeakSet()


def note(session: Live) -> None:
    """A session is live."""
    _live.add(session)


def forget(session: Live) -> None:
    """A session was left."""
    _live.discard(session)


async def finish_others(persistent_id: str, limit_s: float) -> None:
    """Let sessions of this kernel with the same data finish, so that a new one starts from the newest."""
    loop = asyncio.get_running_loop()
    others = [session for session in list(_live) if session.persistent_id == persistent_id]
    await asyncio.gather(*(session.finish(limit_s) for session in others if session.loop is loop))


def is_deserted(thread: threading.Thread) -> bool:
    """Whether the kernel that joined on a thread has ended, and the process has not: marimo runs kernels as threads.

    What such a session still had to save is with the synchronizer, as a draft.
    """
    # The main thread ends with the process, and then there is time for more.
    return not thread.is_alive() and thread is not threading.main_thread()


@atexit.register
def _say_goodbye() -> None:
    for session in list(_live):
        with contextlib.suppress(Exception):  # nobody is left to tell
            deadline_s = time.monotonic() + GOODBYE_S
            while time.monotonic() < deadline_s and not session.hand_over():
                time.sleep(0.005)
            session.hang_up(GOODBYE_S)
