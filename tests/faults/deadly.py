"""Processes that kill themselves with SIGKILL at a chosen step of a save: `python -m tests.faults.deadly WHAT ...`.

* `server DIRECTORY PORT STEP NTH`: a synchronizer; it prints its URL.
* `kernel URL CODE STEP NTH WRITES`: a kernel that saves as often as it can; it prints a line `N COUNT` for each version
  it was told is stored, and `end` when it has done all.

A step is "" for no death.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msq_jupyter import Model

#: The steps of the synchronizer, in the order in which one save comes to them.
SERVER_STEPS = ("arrived", "before commit", "in the transaction", "before COMMIT", "after commit", "told")
#: The steps of a kernel.
KERNEL_STEPS = ("collected", "sealed", "uploaded", "acknowledged", "draft sealed", "draft uploaded")


class Page(Model):
    def init(self, options, persisted=None):
        self.count = persisted["count"] if persisted else 0
        self.subscribe("page", "write", self.write)

    def write(self, times):
        self.count += 1
        self.persist_session({"count": self.count, "text": f"{self.count:06d}" * times, "check": self.count * 7919})


class EditedPage(Page):
    edited = 1


class Heir(Page):
    edited = 2


def is_whole(data: Any) -> bool:
    """Whether data was saved at one moment, and not mixed from two."""
    text = f"{data['count']:06d}"
    return data["check"] == data["count"] * 7919 and data["text"] == text * (len(data["text"]) // 6)


class Death:
    """Kills this process when a step is reached for the `nth` time."""

    def __init__(self, step: str, nth: int) -> None:
        self._step = step
        self._left = nth

    def at(self, step: str) -> None:
        """A step is reached."""
        if step == self._step:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def around(self, owner: Any, name: str, before: str = "", after: str = "", *, only: Callable[..., bool]) -> None:
        """Let calls of a function be steps, those for which `only` holds."""
        function = getattr(owner, name)

        def deadly(*args: Any, **kwargs: Any) -> Any:
            counts = only(*args)
            if counts and before:
                self.at(before)
            result = function(*args, **kwargs)
            if counts and after:
                self.at(after)
            return result

        setattr(owner, name, deadly)


def serve(directory: str, port: str, step: str, nth: str) -> None:
    """Run a synchronizer."""
    from msq_jupyter import protocol
    from msq_jupyter.synchronizer import process, storage
    from msq_jupyter.synchronizer.room import Room
    from msq_jupyter.synchronizer.sequencer import Sequencer

    death = Death(step, int(nth))
    death.around(Sequencer, "receive", "arrived", only=lambda _, __, message, *___: isinstance(message, protocol.Save))

    def saves(batch: Any) -> bool:
        return any(writes.saves_to_store for writes in batch)

    death.around(storage.Storage, "commit", "before commit", "after commit", only=lambda _, batch, *__: saves(batch))
    death.around(storage.Storage, "_write", after="in the transaction", only=lambda _, writes: saves([writes]))
    death.around(Room, "perform", after="told", only=lambda _, turn: saves([turn.writes]))
    if step == "before COMMIT":
        connect = storage.sqlite3.connect

        def connect_traced(*args: Any, **kwargs: Any) -> Any:
            database = connect(*args, **kwargs)
            # SQLite tells of a statement before it runs it; by then a large transaction is partly in the file.
            database.set_trace_callback(lambda sql: death.at(step) if sql == "COMMIT" else None)
            return database

        storage.sqlite3.connect = connect_traced
    asyncio.run(
        process.serve(
            "127.0.0.1",
            int(port),
            data_directory=Path(directory),
            token=None,
            idle_exit_s=None,
            on_listening=lambda url: print(url, flush=True),
        )
    )


async def write(url: str, code: str, step: str, nth: str, writes: str) -> None:
    """Run a kernel."""
    from msq_jupyter import protocol
    from msq_jupyter.runtime.replica import Replica
    from msq_jupyter.session.client import Client
    from msq_jupyter.session.session import SessionCore
    from msq_jupyter.session.versions import VersionSealer

    death = Death(step, int(nth))
    death.around(Replica, "want_saved", after="collected", only=lambda *_: True)

    def is_draft(sealed: Any) -> bool:
        return isinstance(sealed, protocol.Save) and sealed.draft

    for name in ("tell", "tell_of"):
        message_of = (lambda _, message: message) if name == "tell" else (lambda _, __, message: message)
        for draft, words in ((False, ""), (True, "draft ")):
            death.around(
                Client,
                name,
                f"{words}sealed",
                only=lambda *args, m=message_of, d=draft: (
                    isinstance(m(*args), protocol.Save) and is_draft(m(*args)) is d
                ),
            )
    del VersionSealer
    session = await SessionCore.join(
        app_id="faults",
        name="room",
        password="pw",
        model={"Page": Page, "EditedPage": EditedPage}[code],
        synchronizer=url,
        persist_interval_ms=150,
        rejoin_limit_ms=0,
        join_timeout_s=60,
    )

    def told(persisted: dict[str, Any]) -> None:
        print(persisted["number"], flush=True)
        death.at("acknowledged")

    session.subscribe(session.id, "persisted", told, "immediate")
    for number in range(int(writes)):
        session.publish("page", "write", (1, 400, 9_000)[number % 3])
        await asyncio.sleep((0.0, 0.02, 0.2)[number % 3])
    print("end", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    if what == "server":
        serve(*arguments)
    else:
        asyncio.run(write(*arguments))
