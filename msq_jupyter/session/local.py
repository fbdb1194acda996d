"""The local synchronizer of this user: found, or started.

All kernels of a user share one. It is a process of its own, so it outlives each of them, and ends when it has been
idle for ten minutes. Two kernels may start it at once: the lock of its data directory lets one win, and the other one
ends quietly.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from msq_jupyter.errors import SynchronizerUnreachable
from msq_jupyter.local_registry import ListeningNote, default_data_directory, log_path, make_data_directory, read_note
from msq_jupyter.protocol import PROTOCOL_VERSION

#: A synchronizer on this machine answers within this, or is not there.
ANSWER_TIMEOUT_S = 2.0
POLL_INTERVAL_S = 0.05
#: Started in a process of its own, never imported: participants know nothing of the synchronizer's side.
COMMAND_MODULE = ".".join(("msq_jupyter", "cli"))
LOG_LINES = 5


@dataclass(frozen=True)
class LocalSynchronizer:
    """Where the local synchronizer listens, and the token it wants."""

    url: str
    token: str = field(repr=False)


def find_or_start(data_directory: Path | None = None, timeout_s: float = 15) -> LocalSynchronizer:
    """Where the local synchronizer of this user listens; it is started when there is none. This blocks.

    Args:
        data_directory: where it keeps its data; None takes what `MSQ_DATA_DIR` says, else the usual place.
        timeout_s: how long it may take to come up.

    Raises:
        SynchronizerUnreachable: it does not come up, or speaks another protocol version; the message names its log
            and the last lines in it.
    """
    directory = data_directory or default_data_directory()
    deadline_s = time.monotonic() + timeout_s
    started: subprocess.Popen[bytes] | None = None
    while True:
        note = read_note(directory)
        if note and _answers(note):
            _end_superfluous(started, note)
            return _checked(note)
        exit_code = started.poll() if started else 0
        if exit_code:
            raise SynchronizerUnreachable(f"the local synchronizer ended with exit code {exit_code}; {_log(directory)}")
        if time.monotonic() > deadline_s:
            raise SynchronizerUnreachable(
                f"the local synchronizer did not come up within {timeout_s:g} s; {_log(directory)}"
            )
        # Ours may have ended because another one is coming up, or is just going: then try again.
        if exit_code == 0:
            started = _start(directory)
        time.sleep(POLL_INTERVAL_S)


def _end_superfluous(started: subprocess.Popen[bytes] | None, note: ListeningNote) -> None:
    # Another kernel's came up first; ours, still on its way, would take over unasked if that one ended just now.
    # On Windows the process we see may be a launcher, with the winner inside: it finds out by itself.
    if started and started.pid != note.pid and sys.platform != "win32":
        started.terminate()


def _checked(note: ListeningNote) -> LocalSynchronizer:
    if note.protocol_version != PROTOCOL_VERSION:
        raise SynchronizerUnreachable(
            f"expected the local synchronizer to speak protocol version {PROTOCOL_VERSION}, got "
            f"{note.protocol_version}: another msq_jupyter started it; end process {note.pid} and try again"
        )
    return LocalSynchronizer(note.url, note.token)


def _answers(note: ListeningNote) -> bool:
    # Its port may belong to another program by now; only ours completes the handshake with this token.
    try:
        with connect(
            note.url,
            additional_headers={"Authorization": f"Bearer {note.token}"},
            open_timeout=ANSWER_TIMEOUT_S,
            close_timeout=ANSWER_TIMEOUT_S,
            compression=None,
            proxy=None,
        ):
            return True
    except (OSError, WebSocketException):
        return False


def _start(directory: Path) -> subprocess.Popen[bytes]:
    try:
        make_data_directory(directory)
        with log_path(directory).open("ab") as log:
            # A session of its own: what ends the kernel and its children does not end it.
            process = subprocess.Popen(
                [sys.executable, "-m", COMMAND_MODULE, "serve", "--local", "--data", str(directory)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    except OSError as error:
        raise SynchronizerUnreachable(f"the local synchronizer could not be started in {directory}: {error}") from error
    # Whoever starts a process has to collect it when it ends, or it stays as a zombie.
    threading.Thread(target=process.wait, daemon=True).start()
    return process


def _log(directory: Path) -> str:
    path = log_path(directory)
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
    except OSError:
        lines = []
    return "\n".join([f"its log {path} ends with:" if lines else f"its log {path} is empty", *lines])
