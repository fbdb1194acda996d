"""Tokens and certificates that change while a synchronizer runs: read again at SIGHUP, and nobody is cut."""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from msq_jupyter.synchronizer.reloading import Reloading
from msq_jupyter.synchronizer.server import Synchronizer
from msq_jupyter.synchronizer.settings import Settings
from tests.synchronizer.certificates import write_certificate
from tests.synchronizer.conftest import Participant, Processes


@pytest.fixture
def processes() -> Iterator[Processes]:
    processes = Processes()
    yield processes
    processes.end_all()


def holder(url: str, token: str, view_id: str) -> Participant:
    participant = Participant(url, view_id)
    participant.headers = {"Authorization": f"Bearer {token}"}
    return participant


async def is_let_in(url: str, token: str) -> bool:
    try:
        async with connect(url, additional_headers={"Authorization": f"Bearer {token}"}, proxy=None):
            return True
    except InvalidStatus as error:
        return error.response.status_code != 401


async def test_a_new_token_opens_an_old_one_no_more_and_nobody_is_cut(tmp_path: Path) -> None:
    settings = Settings(token_file=tmp_path / "tokens")
    (tmp_path / "tokens").write_text("old\n")
    async with Synchronizer(data_directory=tmp_path / "data", gate=settings.gate()) as synchronizer:
        reloading = Reloading(settings, synchronizer, None)
        async with holder(synchronizer.url, "old", "ada") as ada:
            (tmp_path / "tokens").write_text("new\n")
            assert await is_let_in(synchronizer.url, "old")
            reloading.reload()
            assert [await is_let_in(synchronizer.url, token) for token in ("old", "new")] == [False, True]
            await ada.send(b"still here")
            await ada.read_until_event(b"still here")


@pytest.mark.parametrize("text", [None, "", "ada join sha256:12\n"], ids=["gone", "empty", "broken"])
async def test_a_token_file_that_cannot_be_used_is_logged_and_the_old_tokens_hold(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str | None
) -> None:
    path = tmp_path / "tokens"
    settings = Settings(token_file=path)
    path.write_text("old\n")
    async with Synchronizer(data_directory=tmp_path / "data", gate=settings.gate()) as synchronizer:
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
        Reloading(settings, synchronizer, None).reload()
        assert [await is_let_in(synchronizer.url, token) for token in ("old", "")] == [True, False]
    [told] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert told.startswith("the token file could not be read again, what it said before holds: ")
    assert str(path) in told


async def test_a_new_certificate_is_shown_to_those_who_come_and_nobody_is_cut(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    certificate, private_key = write_certificate(tmp_path)
    settings = Settings(certificate=certificate, private_key=private_key)
    tls = settings.tls()
    async with Synchronizer(data_directory=tmp_path / "data", tls=tls) as synchronizer:
        reloading = Reloading(settings, synchronizer, tls)
        trusting_old = ssl.create_default_context(cafile=str(certificate))
        async with connect(synchronizer.url, ssl=trusting_old, proxy=None) as connection:
            private_key.write_text("nothing")
            reloading.reload()
            async with connect(synchronizer.url, ssl=trusting_old, proxy=None):
                pass
            write_certificate(tmp_path)
            reloading.reload()
            trusting_new = ssl.create_default_context(cafile=str(certificate))
            async with connect(synchronizer.url, ssl=trusting_new, proxy=None):
                pass
            with pytest.raises(ssl.SSLCertVerificationError):
                await connect(synchronizer.url, ssl=trusting_old, proxy=None)
            await (await connection.ping())
    told = [record.getMessage() for record in caplog.records if "read again" in record.getMessage()]
    assert told[0].startswith("the certificate could not be read again, what it said before holds: expected")
    assert told[1:] == ["the certificate was read again"]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no such signal here")
async def test_the_signal_has_a_process_read_them_again(tmp_path: Path, processes: Processes) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("old\n")
    process = await asyncio.to_thread(
        processes.start, "--data", str(tmp_path / "data"), "--token-file", str(tokens), "--address-wrong-tokens=0"
    )
    async with holder(process.url, "old", "ada") as ada:
        tokens.write_text("new\n")
        process.process.send_signal(signal.SIGHUP)
        assert process.process.stderr
        line = await asyncio.to_thread(process.process.stderr.readline)
        assert "the token file was read again" in line
        assert [await is_let_in(process.url, token) for token in ("old", "new")] == [False, True]
        await ada.send(b"still here")
        await ada.read_until_event(b"still here")
