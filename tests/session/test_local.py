"""The local synchronizer: found, started, started again, shared; with real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from msq_jupyter import protocol
from msq_jupyter.errors import SynchronizerUnreachable
from msq_jupyter.local_registry import ListeningNote, default_data_directory, log_path, read_note, write_note
from msq_jupyter.session.local import LocalSynchronizer, find_or_start

ROOT = Path(__file__).parents[2]


def wait_until_dead(pid: int) -> None:
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)


def pid_in(directory: Path) -> int:
    note = read_note(directory)
    assert note is not None
    return note.pid


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    # The synchronizer that is started has to find the package.
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    directory = tmp_path / "data"
    yield directory
    note = read_note(directory)
    if note:
        os.kill(note.pid, signal.SIGTERM)
        wait_until_dead(note.pid)


async def test_the_one_that_was_started_is_found_again_and_lets_in_who_knows_the_token(directory: Path) -> None:
    local = await asyncio.to_thread(find_or_start, directory)
    assert await asyncio.to_thread(find_or_start, directory) == local
    async with connect(local.url, additional_headers={"Authorization": f"Bearer {local.token}"}, proxy=None):
        pass
    assert local.token not in repr(local)
    assert local.token not in log_path(directory).read_text()


def test_two_kernels_that_start_it_at_once_share_one(directory: Path) -> None:
    program = (
        "import pathlib, sys; from msq_jupyter.session.local import find_or_start;"
        "local = find_or_start(pathlib.Path(sys.argv[1])); print(local.url, local.token)"
    )
    kernels = [
        subprocess.Popen([sys.executable, "-c", program, str(directory)], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    answers = {kernel.communicate()[0] for kernel in kernels}
    assert [kernel.returncode for kernel in kernels] == [0] * 4
    assert len(answers) == 1
    # It outlives them all.
    local = LocalSynchronizer(*answers.pop().split())
    assert find_or_start(directory) == local


def test_after_kill_9_another_one_is_started(directory: Path) -> None:
    first = find_or_start(directory)
    pid = pid_in(directory)
    os.kill(pid, signal.SIGKILL)
    wait_until_dead(pid)
    second = find_or_start(directory)
    assert second.token != first.token
    assert pid_in(directory) != pid


def test_a_program_that_took_over_its_port_is_not_taken_for_it(directory: Path) -> None:
    directory.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as other:
        url = f"ws://127.0.0.1:{other.getsockname()[1]}"
        other.close()
        write_note(directory, ListeningNote(url, "token", 1, protocol.PROTOCOL_VERSION))
        assert find_or_start(directory).url != url


def test_when_idle_it_ends_and_takes_its_note_along(directory: Path) -> None:
    command = [sys.executable, "-m", "msq_jupyter.cli", "serve", "--local", "--idle-exit-s", "0.1"]
    ended = subprocess.run([*command, "--data", str(directory)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("ws://127.0.0.1:")
    assert read_note(directory) is None


def test_whoever_comes_second_ends_quietly(directory: Path) -> None:
    find_or_start(directory)
    command = [sys.executable, "-m", "msq_jupyter.cli", "serve", "--local", "--data", str(directory)]
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")


def test_one_that_does_not_come_up_is_reported_with_the_end_of_its_log(directory: Path) -> None:
    directory.mkdir()
    (directory / "synchronizer.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(
        SynchronizerUnreachable, match=r"ended with exit code 2; its log .*synchronizer\.log ends with:"
    ):
        find_or_start(directory)


def test_one_of_another_protocol_version_is_not_used(directory: Path) -> None:
    find_or_start(directory)
    note = read_note(directory)
    assert note is not None
    write_note(directory, ListeningNote(note.url, note.token, note.pid, 0))
    with pytest.raises(SynchronizerUnreachable, match=rf"version 1, got 0: .* end process {note.pid} and try again"):
        find_or_start(directory)


def test_the_note_is_for_its_user_alone(directory: Path) -> None:
    find_or_start(directory)
    assert {path.stat().st_mode & 0o777 for path in directory.glob("synchronizer.json*")} == {0o600}
    assert directory.stat().st_mode & 0o777 == 0o700


def test_a_note_that_makes_no_sense_is_none(tmp_path: Path) -> None:
    (tmp_path / "synchronizer.json").write_text("{}")
    assert read_note(tmp_path) is None


def test_the_environment_names_the_data_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MSQ_DATA_DIR", str(tmp_path))
    assert default_data_directory() == tmp_path
    monkeypatch.delenv("MSQ_DATA_DIR")
    assert default_data_directory().name == "msq_jupyter"
