"""`python -m tests.soak.server ARGUMENTS` is `msq serve ARGUMENTS`, and hears two more signals.

* SIGUSR1: it says on stderr what it holds, one line with a JSON object in "holds".
* SIGUSR2: its wall clock jumps an hour back, the next time an hour ahead, and so on.
"""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
import time
from types import FrameType

from msq_jupyter import cli
from msq_jupyter.synchronizer.room import Member, Room
from msq_jupyter.synchronizer.transport import Connection
from tests.soak.measures import alive, resources

HOUR_S = 3_600.0


def tell(number: int, frame: FrameType | None) -> None:
    gc.collect()
    tasks = len(asyncio.all_tasks(asyncio.get_running_loop()))
    holds = {**resources(), "tasks": tasks, **alive(Connection, Member, Room)}
    print(json.dumps({"holds": holds}), file=sys.stderr, flush=True)


class Clock:
    """The wall clock of this process."""

    def __init__(self) -> None:
        self._real = time.time
        self._offset_s = 0.0
        time.time = lambda: self._real() + self._offset_s

    def jump(self, number: int, frame: FrameType | None) -> None:
        self._offset_s = 0.0 if self._offset_s else -HOUR_S


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, tell)
    signal.signal(signal.SIGUSR2, Clock().jump)
    sys.exit(cli.main(["serve", *sys.argv[1:]]))
