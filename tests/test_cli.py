"""The command `msq`, as a process and as a function."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from msq_jupyter.cli import MODULES, main

ROOT = Path(__file__).parents[1]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    (tmp_path / "token").write_text("secret\n")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "msq_jupyter.cli", "serve"),
            *("--data", str(tmp_path / "data"), "--token-file", str(tmp_path / "token")),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process:
        yield process
        if process.poll() is None:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_serve_prints_its_url_alone_and_ends_in_good_order(server: subprocess.Popen[str], number: int) -> None:
    assert server.stdout
    url = (await asyncio.to_thread(server.stdout.readline)).strip()
    async with connect(url, additional_headers={"Authorization": "Bearer secret"}, proxy=None):
        pass
    server.send_signal(number)
    stdout, stderr = await asyncio.to_thread(server.communicate)
    assert (server.returncode, stdout) == (0, "")
    assert "secret" not in stderr


def test_a_data_directory_in_use_is_one_line_on_stderr(
    server: subprocess.Popen[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert server.stdout
    server.stdout.readline()
    assert main(["serve", "--data", str(tmp_path / "data")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("msq: expected the data directory ")
    assert err.count("\n") == 1


def test_other_machines_need_a_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--host", "0.0.0.0", "--data", str(tmp_path / "data")]) == 2
    assert "give one with --token-file, or listen at 127.0.0.1" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        (b"", "got an empty file"),
        (b"two\nlines", "line 1: expected a name"),
        (b"\xff", "UTF-8"),
    ],
)
def test_a_token_file_without_a_token_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    assert main(["serve", "--token-file", str(tmp_path / "token"), "--data", str(tmp_path / "data")]) == 2
    assert reason in capsys.readouterr().err


def test_local_makes_its_own_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--local", "--token-file", "any", "--data", str(tmp_path)]) == 2
    assert "expected --local without --token-file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--port", "65536"], "expected a port from 0 to 65535, got 65536"),
        (["--port", "x"], "msq: --port: expected a port from 0 to 65535, got x"),
        (["--idle-exit-s", "-1"], "msq: --idle-exit-s: expected a number from 0, got -1"),
        (["--idle-exit-s", "nan"], "msq: --idle-exit-s: expected a number from 0, got nan"),
    ],
)
def test_impossible_values_are_refused(arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *arguments]) == 2
    assert reason in capsys.readouterr().err


def test_serve_help_names_units_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["serve", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "address to listen at (default: 127.0.0.1)" in text
    assert "for N seconds; unless given, 600 with --local and never without" in text


@pytest.mark.parametrize("module", MODULES)
def test_the_table_of_commands_says_where_each_is(module: str) -> None:
    commands = argparse.ArgumentParser().add_subparsers()
    importlib.import_module(module).add_parsers(commands)
    assert " ".join(commands.choices) == MODULES[module]


def test_the_server_starts_without_what_other_commands_need() -> None:
    program = "import sys; from msq_jupyter.cli import _parser; _parser(['serve']); print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    loaded = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert "msq_jupyter.serve_command" in loaded.stdout.split()
    for heavy in ("msq_jupyter.runtime", "msq_jupyter.session", "IPython", "ipywidgets"):
        assert heavy not in loaded.stdout.split()


def test_a_word_that_is_no_command_is_told_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["sevre"])
    told = capsys.readouterr().err
    assert all(name in told for names in MODULES.values() for name in names.split())
