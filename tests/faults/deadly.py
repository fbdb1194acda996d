"""Processes that kill themselves with SIGKILL at a chosen step of a save: `python -m tests.faults.deadly WHAT ...`.

* `server DIRECTORY PORT STEP NTH`: a synchronizer; it prints its URL.
* `kernel URL INTERVAL_MS STEP NTH WRITES`: a kernel that saves as often as it can. It prints
  `collected SAVE_ID CONTENT_ID` for what a replica wants to save, `stored NUMBER` for each version it was told is
  stored, and `end` in the end.

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
KERNEL_STEPS = ("collected", "to send", "sent", "acknowledged", "draft to send", "draft sent")


class Page(Model):
    def init(self, options, persisted=None):
        self.count = persisted["count"] if persisted else 0
        self.subscribe("page", "write", self.write)

    def write(self, times):
        self.count += 1
        self.persist_session({"count": self.count, "text": f"{self.count:06d}" * times, "check": self.count * 7919})


class Heir(Page):
    """The same after an edit."""

    edited = True


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
    from msq_jupyter.synchronizer.settings import Settings
    from msq_jupyter.synchronizer.tokens import Gate

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
            Settings(port=int(port), data=Path(directory)), Gate(), on_listening=lambda url: print(url, flush=True)
        )
    )


async def write(url: str, interval_ms: str, step: str, nth: str, writes: str) -> None:
    """Run a kernel."""
    death = Death(step, int(nth))
    report_collected(death)
    watch_sending(death)
    from msq_jupyter.session.session import SessionCore

    session = await SessionCore.join(
        app_id="faults",
        name="room",
        model=Page,
        synchronizer=url,
        persist_interval_ms=float(interval_ms),
        rejoin_limit_ms=0,
        join_timeout_s=60,
    )

    def on_persisted(told: dict[str, Any]) -> None:
        print("stored", told["number"], flush=True)
        death.at("acknowledged")

    session.subscribe(session.id, "persisted", on_persisted, "immediate")
    for number in range(int(writes)):
        session.publish("page", "write", (1, 400, 9_000)[number % 3])
        # Real time has to pass: saves closer together than versions may be wait as drafts, others are uploaded at once,
        # and the steps at which this process dies belong to both.
        await asyncio.sleep((0.0, 0.02, 0.2)[number % 3])
    await session.saved()
    print("end", flush=True)
    await asyncio.Event().wait()


def report_collected(death: Death) -> None:
    """Print what the replica wants to save, as soon as it does."""
    from msq_jupyter.runtime.replica import Replica

    want_saved = Replica.want_saved

    def reported(replica: Replica, *args: Any, **kwargs: Any) -> None:
        want_saved(replica, *args, **kwargs)
        newest = replica.saves[-1]
        print("collected", newest.save_id, newest.content_id, flush=True)
        death.at("collected")

    Replica.want_saved = reported  # type: ignore[method-assign]


def watch_sending(death: Death) -> None:
    """Let the moments before and after a save goes over the wire be steps."""
    from websockets.asyncio.client import ClientConnection

    from msq_jupyter import protocol

    send = ClientConnection.send

    async def watched(connection: ClientConnection, frame: Any, *args: Any) -> None:
        message = protocol.decode_up(frame)
        kind = ("draft " if message.draft else "") if isinstance(message, protocol.Save) else None
        if kind is not None:
            death.at(f"{kind}to send")
        await send(connection, frame, *args)
        if kind is not None:
            death.at(f"{kind}sent")

    ClientConnection.send = watched  # type: ignore[method-assign]


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    if what == "server":
        serve(*arguments)
    else:
        asyncio.run(write(*arguments))
