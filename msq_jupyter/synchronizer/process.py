"""A synchronizer as a process of its own: its signals, its memory, and the note that says where it listens."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import os
import secrets
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from msq_jupyter.local_registry import ListeningNote, remove_note, write_note
from msq_jupyter.protocol import PROTOCOL_VERSION
from msq_jupyter.synchronizer.reloading import Reloading
from msq_jupyter.synchronizer.server import Synchronizer
from msq_jupyter.synchronizer.settings import Settings
from msq_jupyter.synchronizer.tokens import Gate, plain_token

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
    settings: Settings,
    gate: Gate,
    *,
    on_listening: Callable[[str], None],
    on_closing: Callable[[], None] = lambda: None,
) -> None:
    """Run a synchronizer until SIGTERM, SIGINT or idleness ends it in good order.

    SIGHUP has it read tokens and certificate again, or, from a terminal, ends it.

    Args:
        settings: where and how.
        gate: knows who may connect.
        on_listening: called with the URL, once.
        on_closing: called at the end, while the data directory is still ours.

    Raises:
        ArgumentError: other machines could reach the host, and there is no token; or a setting is of no use.
        StorageInUse: another synchronizer has the data directory open.
        StorageUnreadable: its file cannot be read.
        AddressInUse: another program listens there.
    """
    tls = settings.tls()
    synchronizer = Synchronizer(
        settings.host,
        settings.port,
        data_directory=settings.data,
        gate=gate,
        accounts=settings.accounts(),
        wrong_tokens_max=settings.address_wrong_tokens,
        origins=settings.origins,
        tls=tls,
        keep_sessions_s=settings.keep_sessions_days * 86_400,
        idle_exit_s=settings.idle_exit_s,
    )
    async with synchronizer:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            # Windows has no signal handlers on loops; there Ctrl+C cancels this task, which leaves in good order too.
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, synchronizer.request_stop)
        _handle_hangups(synchronizer, Reloading(settings, synchronizer, tls))
        # What is here by now stays. Looking through it, and through all sessions, stalls everybody for 100 ms and more.
        gc.freeze()
        gc.set_threshold(100_000, 50, 100)
        on_listening(synchronizer.url)
        try:
            await synchronizer.stop_requested()
        finally:
            on_closing()


def _handle_hangups(synchronizer: Synchronizer, reloading: Reloading) -> None:
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is None or signal.getsignal(hangup) is signal.SIG_IGN:  # as nohup has it
        return
    # From a terminal it says that the terminal is gone.
    is_interactive = sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()
    act = synchronizer.request_stop if is_interactive else reloading.reload
    asyncio.get_running_loop().add_signal_handler(hangup, act)


async def serve_local(settings: Settings, *, on_listening: Callable[[str], None]) -> None:
    """Run the one synchronizer that all kernels of a user share; a note in the data directory says where it is.

    Args:
        settings: where and how; it stays `LOCAL_IDLE_EXIT_S` unless they say how long.
        on_listening: called with the URL, once, when the note is there.

    Raises:
        StorageInUse: there is one already.
        StorageUnreadable: its file cannot be read.
        AddressInUse: another program listens there.
    """
    token = secrets.token_urlsafe(32)

    def announce(url: str) -> None:
        write_note(settings.data, ListeningNote(url, token, os.getpid(), PROTOCOL_VERSION))
        on_listening(url)

    if settings.idle_exit_s is None:
        settings = dataclasses.replace(settings, idle_exit_s=LOCAL_IDLE_EXIT_S)
    gate = Gate([plain_token(token)])
    await serve(settings, gate, on_listening=announce, on_closing=lambda: remove_note(settings.data))
