"""Wrong tokens: an address that shows many is refused for a while, and keeps out nobody who was let in before."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from msq_jupyter.errors import SynchronizerRefused
from msq_jupyter.session.session import SessionCore
from msq_jupyter.synchronizer import guard as guard_module
from msq_jupyter.synchronizer.guard import WINDOW_S, Guard, NotAdmitted
from msq_jupyter.synchronizer.server import Synchronizer
from msq_jupyter.synchronizer.tokens import ANYBODY, Gate, plain_token
from tests.session.models import Counter
from tests.synchronizer.test_pages import fetch

RIGHT, WRONG = ["Bearer right"], ["Bearer wrong"]


def a_guard(wrong_tokens_max: int = 3) -> Guard:
    return Guard(Gate([plain_token("right")]), wrong_tokens_max)


def test_so_many_wrong_tokens_and_none_more_until_the_minute_is_over() -> None:
    guard = a_guard()
    for second in range(3):
        assert guard.admit(WRONG, "here", float(second)) == NotAdmitted()
    assert guard.admit(WRONG, "here", 10.0) == NotAdmitted(wait_s=50.0, is_first=True)
    assert guard.admit(WRONG, "here", 20.0) == NotAdmitted(wait_s=40.0)
    assert guard.admit(RIGHT, "here", 59.0) == NotAdmitted(wait_s=1.0), "a guess may not be tried out by the thousand"
    assert guard.admit(RIGHT, "here", WINDOW_S) == plain_token("right")
    assert guard.admit(WRONG, "here", WINDOW_S) == NotAdmitted()


def test_other_addresses_and_those_who_were_let_in_before_are_not_kept_out() -> None:
    guard = a_guard()
    assert guard.admit(RIGHT, "here", 0.0) == plain_token("right")
    for _ in range(5):
        guard.admit(WRONG, "here", 1.0)
    assert guard.admit(RIGHT, "here", 2.0) == plain_token("right")
    assert guard.admit(RIGHT, "there", 2.0) == plain_token("right")


def test_a_request_without_token_is_no_wrong_one() -> None:
    guard = a_guard()
    for _ in range(5):
        assert guard.admit([], "here", 0.0) == NotAdmitted()
    assert guard.admit(RIGHT, "here", 0.0) == plain_token("right")


def test_without_the_limit_and_without_tokens_nothing_is_counted() -> None:
    guard = a_guard(0)
    for _ in range(1_000):
        assert guard.admit(WRONG, "here", 0.0) == NotAdmitted()
    assert guard.admit(RIGHT, "here", 0.0) == plain_token("right")
    assert {Guard(Gate(), 1).admit(WRONG, "here", 0.0) for _ in range(5)} == {ANYBODY}


def test_memory_stays_what_it_is_however_many_addresses_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_module, "ADDRESSES_MAX", 10)
    guard = a_guard()
    for number in range(100):
        guard.admit(WRONG, f"wrong {number}", 0.0)
        guard.admit(RIGHT, f"right {number}", 0.0)
    assert (len(guard._wrong), len(guard._known)) == (10, 10)


async def test_who_shows_too_many_hears_how_long_to_wait_and_the_log_says_it_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    gate = Gate([plain_token("right")])
    async with Synchronizer(data_directory=tmp_path / "data", gate=gate, wrong_tokens_max=2) as synchronizer:
        answers = [await fetch(synchronizer.url + "/metrics", "wr0ng") for _ in range(4)]
        assert [status for status, _, _ in answers] == [401, 401, 429, 429]
        _, headers, text = answers[2]
        wait_s = int(headers["Retry-After"])
        assert 0 < wait_s <= WINDOW_S
        assert text == f"too many wrong tokens came from this address: wait {wait_s} seconds, and check the token\n"
        assert (await fetch(synchronizer.url + "/healthz"))[0] == 200
        url = synchronizer.url.replace("://", "://wr0ng@")
        with pytest.raises(SynchronizerRefused, match="because too many wrong access tokens came from there: check"):
            await SessionCore.join(app_id="a", name="b", password="c", model=Counter, synchronizer=url)
    told = [record.getMessage() for record in caplog.records if "too many wrong tokens" in record.getMessage()]
    assert len(told) == 1
    assert told[0].startswith("too many wrong tokens came from address 127.0.0.1: it is refused for")
    assert "wr0ng" not in caplog.text
