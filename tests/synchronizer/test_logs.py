"""What a synchronizer of its own says on stderr."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from msq_jupyter import protocol
from msq_jupyter.synchronizer.logs import JsonFormatter
from msq_jupyter.synchronizer.tokens import digest_of

from .conftest import a_join

ROOT = Path(__file__).parents[2]
FIELDS = {"time", "level", "logger", "message"}


def test_a_record_is_one_line_whatever_is_in_it() -> None:
    logger = logging.getLogger("msq_jupyter.synchronizer")
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record = logger.makeRecord(logger.name, logging.ERROR, "file", 1, "a %s\n\u2028 é", ("b",), sys.exc_info())
    record.created = 0.25
    line = JsonFormatter().format(record)
    assert "\n" not in line
    fields = json.loads(line)
    assert fields.keys() == FIELDS | {"exception"}
    assert (fields["time"], fields["level"]) == ("1970-01-01T00:00:00.250+00:00", "error")
    assert fields["message"] == "a b\n\u2028 é"
    assert fields["exception"].endswith("ValueError: two\nlines")


def serve(directory: Path, *flags: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "msq_jupyter.cli", "serve", f"--data={directory / 'data'}"]
    return subprocess.Popen(
        [*command, f"--token-file={directory / 'tokens'}", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.parametrize("log_format", ["json", "text"])
async def test_at_debug_every_line_has_its_form_and_no_token_is_in_any(tmp_path: Path, log_format: str) -> None:
    known, unknown, password = "k" * 40, "u" * 40, b"p" * 40
    (tmp_path / "tokens").write_text(f"ada join,create sha256:{digest_of(known).hex()}\n")
    process = serve(tmp_path, "--log-level=debug", f"--log-format={log_format}")
    with process:
        try:
            assert process.stdout
            url = (await asyncio.to_thread(process.stdout.readline)).strip()
            for token, first in ((known, protocol.encode(a_join(password_check=password))), (known, b"\xff")):
                headers = {"Authorization": f"Bearer {token}"}
                async with connect(url, additional_headers=headers, proxy=None) as connection:
                    await connection.send(first)
                    await connection.recv()
            for target in (url, f"{url}/?token={known}", f"{url}/{known}"):
                with pytest.raises(InvalidStatus):
                    await connect(target, additional_headers={"Authorization": f"Bearer {unknown}"}, proxy=None)
        finally:
            process.send_signal(signal.SIGTERM)
            _, stderr = await asyncio.to_thread(process.communicate)
    assert process.returncode == 0
    lines = stderr.splitlines()
    assert any("a connection was ended" in line for line in lines)
    for secret in (known, unknown, password.decode(), digest_of(known).hex()):
        assert secret not in stderr
    for line in lines:
        if log_format == "json":
            fields = json.loads(line)
            assert fields.keys() == FIELDS, line
            assert datetime.fromisoformat(fields["time"]).tzinfo == timezone.utc
            assert fields["level"] in {"debug", "info"}, line
        else:
            assert line.split()[2] in {"DEBUG", "INFO"}, line
