"""When a synchronizer looks for sessions to forget: soon after it starts, then each hour, while everything goes on."""

from __future__ import annotations

import asyncio
import logging
import sqlite3

from msq_jupyter.errors import StorageUnreadable
from msq_jupyter.synchronizer.journal import now_ms
from msq_jupyter.synchronizer.rooms import Rooms

#: When it looks for the first time, and then each time, in seconds.
FIRST_SWEEP_S = 60.0
SWEEP_S = 3_600.0

logger = logging.getLogger("msq_jupyter.synchronizer")


async def keep_sweeping(rooms: Rooms) -> None:
    """Forget sessions that nobody was in for long, until cancelled; a failure is logged, and the next time comes."""
    wait_s, before_ms = FIRST_SWEEP_S, now_ms()
    while True:
        await asyncio.sleep(wait_s)
        try:
            await rooms.forget_idle((now_ms() - before_ms) / 1_000)
        except (sqlite3.Error, StorageUnreadable):
            logger.exception("sessions that nobody was in could not all be forgotten; the rest is tried in an hour")
        wait_s, before_ms = SWEEP_S, now_ms()
