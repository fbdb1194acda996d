"""A synchronizer as a process of its own: its signals, its memory, and the note that says where it listens."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import secrets
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from msq_jupyter.local_registry import ListeningNote, remove_note, write_note
from msq_jupyter.protocol import PROTOCOL_VERSION
from msq_jupyter.synchronizer.server import Synchronizer

#: How long the local synchronizer of a user stays when nobody is connected.
LOCAL_IDLE_EXIT_S = 600.0


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end, on uvloop where it is installed: it takes about a third off the time of an event."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


async def serve(
    host: str,
    port: int,
    *,
    data_directory: Path,
    token: str | None,
    idle_exit_s: float | None,
    on_listening: Callable[[str], None],
    on_closing: Callable[[], None] = lambda: None,
) -> None:
    """Run a synchronizer until SIGTERM, SIGINT or idleness ends it in good order.

    Args:
        host: see `Synchronizer`.
        port: see `Synchronizer`.
        data_directory: see `Synchronizer`.
        token: see `Synchronizer`.
        idle_exit_s: see `Synchronizer`.
        on_listening: called with the URL, once.
        on_closing: called at the end, while the data directory is still ours.

    Raises:
        ArgumentError: other machines could reach the host, and there is no token.
        StorageInUse: another synchronizer has the data directory open.
        StorageUnreadable: its file cannot be read.
        AddressInUse: another program listens there.
    """
    synchronizer = Synchronizer(host, port, data_directory=data_directory, token=token, idle_exit_s=idle_exit_s)
    async with synchronizer:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            # Windows has no signal handlers on loops; there Ctrl+C cancels this task, which leaves in good order too.
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, synchronizer.request_stop)
        # What is here by now stays. Looking through it, and through all sessions, stalls everybody for 100 ms and more.
        gc.freeze()
        gc.set_threshold(100_000, 50, 100)
        on_listening(synchronizer.url)
        try:
            await synchronizer.stop_requested()
        finally:
            on_closing()


async def serve_local(
    host: str, port: int, *, data_directory: Path, idle_exit_s: float | None, on_listening: Callable[[str], None]
) -> None:
    """Run the one synchronizer that all kernels of a user share; a note in the data directory says where it is.

    Args:
        host: see `Synchronizer`.
        port: see `Synchronizer`.
        data_directory: see `Synchronizer`.
        idle_exit_s: see `Synchronizer`; None for `LOCAL_IDLE_EXIT_S`.
        on_listening: called with the URL, once, when the note is there.

    Raises:
        StorageInUse: there is one already.
        StorageUnreadable: its file cannot be read.
        AddressInUse: another program listens there.
    """
    token = secrets.token_urlsafe(32)

    def announce(url: str) -> None:
        write_note(data_directory, ListeningNote(url, token, os.getpid(), PROTOCOL_VERSION))
        on_listening(url)

    await serve(
        host,
        port,
        data_directory=data_directory,
        token=token,
        idle_exit_s=LOCAL_IDLE_EXIT_S if idle_exit_s is None else idle_exit_s,
        on_listening=announce,
        on_closing=lambda: remove_note(data_directory),
    )
