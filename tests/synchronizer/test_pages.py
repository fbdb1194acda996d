"""What the synchronizer answers to plain HTTP: pages for everybody, pages for some, and none but these."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect

from msq_jupyter.protocol import Save
from msq_jupyter.synchronizer import invitation_page
from msq_jupyter.synchronizer.counts import JOURNAL_MS_BOUNDS, Counts
from msq_jupyter.synchronizer.guard import Guard
from msq_jupyter.synchronizer.journal import Journal
from msq_jupyter.synchronizer.pages import Pages
from msq_jupyter.synchronizer.records import Append
from msq_jupyter.synchronizer.rooms import Rooms
from msq_jupyter.synchronizer.server import Synchronizer
from msq_jupyter.synchronizer.tokens import Gate

from .conftest import Participant, a_join
from .prometheus import parse_strictly
from .test_admission import GATE, Holder, refusal

#: Who gets what: nobody, somebody without the scope, and whoever has it.
ANSWERS = {
    ("/healthz", ""): 200,
    ("/healthz?verbose", ""): 200,
    ("/join", ""): 200,
    ("/metrics", ""): 401,
    ("/metrics", "nobody"): 401,
    ("/metrics", "creator"): 403,
    ("/metrics", "watcher"): 200,
    ("/", ""): 401,
    ("/", "creator"): 426,  # a WebSocket is what is here
    ("/healthz/", ""): 401,
    ("//healthz", ""): 401,
    ("/%68ealthz", ""): 401,
    ("/metrics/../healthz", ""): 401,
}


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Synchronizer]:
    async with Synchronizer(data_directory=tmp_path / "data", gate=GATE) as synchronizer:
        yield synchronizer


async def fetch(url: str, name: str = "") -> tuple[int, dict[str, str], str]:
    headers = {"Authorization": f"Bearer secret-{name}"} if name else {}
    request = urllib.request.Request(url.replace("ws", "http", 1), headers=headers)

    def read() -> tuple[int, dict[str, str], str]:
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, dict(response.headers), response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read().decode()

    return await asyncio.to_thread(read)


async def test_each_page_asks_for_its_scope_and_there_is_no_way_around(guarded: Synchronizer) -> None:
    found = {key: (await fetch(guarded.url + key[0], key[1]))[0] for key in ANSWERS}
    assert found == ANSWERS


async def test_who_may_not_hears_what_to_bring_and_nothing_of_what_was_brought(guarded: Synchronizer) -> None:
    status, headers, text = await fetch(guarded.url + "/metrics", "nobody")
    assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
    assert text == "expected the header Authorization with a token of this synchronizer\n"
    _, _, text = await fetch(guarded.url + "/metrics", "creator")
    assert text == "expected a token with the scope administer: make one with msq token create\n"


async def test_the_page_of_an_invitation_needs_no_token_and_may_load_nothing(guarded: Synchronizer) -> None:
    status, headers, text = await fetch(guarded.url + "/join?x=1")
    assert (status, text) == (200, invitation_page.PAGE)
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/join", "/healthz", "/metrics", "/msq"])
async def test_a_websocket_opens_at_any_path(guarded: Synchronizer, path: str) -> None:
    headers = {"Authorization": "Bearer secret-creator"}
    async with connect(guarded.url + path, additional_headers=headers, proxy=None):
        pass


async def test_pages_are_not_kept_by_anybody_between(guarded: Synchronizer) -> None:
    for path in ("/healthz", "/metrics", "/join"):
        _, headers, _ = await fetch(guarded.url + path, "watcher")
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_while_it_ends_it_is_not_healthy() -> None:
    stopping = False
    journal = Journal(lambda _: None)
    pages = Pages(Guard(Gate()), Rooms(journal, 0.0), journal.counts, lambda: stopping)
    page = pages.answer("/healthz", [], wants_socket=False)
    assert page is not None
    assert (page.status, page.text) == (HTTPStatus.OK, "ok\n")
    stopping = True
    page = pages.answer("/healthz", [], wants_socket=False)
    assert page is not None
    assert (page.status, page.text) == (HTTPStatus.SERVICE_UNAVAILABLE, "stopping\n")


# --- metrics -----------------------------------------------------------------------------------------------------


async def test_metrics_are_what_prometheus_reads_and_count_what_happened(guarded: Synchronizer) -> None:
    async with Holder(guarded.url, "creator") as creator, Holder(guarded.url, "joiner"):
        for number in range(3):
            await creator.send(b"%d" % number)
        await creator.read_until_event(b"2")
        await creator.say(Save("first", 0, b"meta", b"content"))
        while "Saved" not in {type(entry).__name__ for entry in creator.entries}:
            await creator.next()
        await refusal(guarded.url, "watcher", a_join())
        status, headers, text = await fetch(guarded.url + "/metrics", "watcher")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=")
    values = parse_strictly(text)
    expected = {
        "msq_sessions": 1,
        "msq_members": 2,
        "msq_connections_total": 2,
        "msq_refusals_total": 1,
        "msq_saves_total": 1,
        "msq_journal_failures_total": 0,
        "msq_slowed_frames_total": 0,
    }
    assert {name: values[name] for name in expected} == expected
    # Two come, three events, one save.
    assert values["msq_entries_total"] >= 6
    assert values["msq_received_bytes_total"] > 0
    assert values["msq_sent_bytes_total"] > 0
    assert values["msq_journal_seconds_count"] > 0
    # The library's own reader agrees.
    families = {family.name for family in text_string_to_metric_families(text)}
    assert "msq_journal_seconds" in families
    assert len(families) == 11


def test_the_times_of_the_journal_are_counted_in_growing_classes() -> None:
    from msq_jupyter.synchronizer.metrics import exposition

    counts = Counts()
    for time_ms in (0.5, 1.0, 1.5, 6_000.0):
        counts.wrote(time_ms, [], [Append("id", b"", 1, 0.0, Save("s", 0, b"", b""), is_head=True)])
    values = parse_strictly(exposition(counts, []))
    found = [values[f'msq_journal_seconds_bucket{{le="{bound / 1_000}"}}'] for bound in JOURNAL_MS_BOUNDS]
    assert found[:3] == [2, 3, 3]
    assert found[-1] == 3
    assert values['msq_journal_seconds_bucket{le="+Inf"}'] == values["msq_journal_seconds_count"] == 4
    assert values["msq_journal_seconds_sum"] == pytest.approx(6.003)
    assert values["msq_saves_total"] == 4


async def test_without_its_package_metrics_say_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "msq_jupyter.synchronizer.metrics", None)
    async with Synchronizer(data_directory=tmp_path) as synchronizer, Participant(synchronizer.url):
        status, _, text = await fetch(synchronizer.url + "/metrics")
    assert status == 501
    assert "pip install 'msq_jupyter[server]'" in text
