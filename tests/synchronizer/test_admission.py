"""Who gets in at the port, and what they may do there: tokens, scopes, limits, origins, TLS, and silent logs."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from msq_jupyter import protocol
from msq_jupyter.protocol import (
    Annotate,
    Audit,
    Block,
    Done,
    Join,
    Open,
    Opened,
    Prune,
    Refused,
    Report,
    Save,
    SaveFailed,
    Send,
    Snapshot,
    Verdict,
    Welcome,
)
from msq_jupyter.synchronizer import audits
from msq_jupyter.synchronizer.limits import Accounts, Limits, Visit
from msq_jupyter.synchronizer.server import Synchronizer
from msq_jupyter.synchronizer.settings import Settings
from msq_jupyter.synchronizer.tokens import Gate, Token, digest_of

from .certificates import write_certificate
from .conftest import Participant, a_join

SCOPES = {
    "creator": {"join", "create"},
    "joiner": {"join"},
    "reader": {"read-only"},
    "watcher": {"administer"},
}
GATE = Gate([Token(name, frozenset(scopes), digest_of(f"secret-{name}")) for name, scopes in SCOPES.items()])


class Holder(Participant):
    """A participant who shows a token."""

    def __init__(self, url: str, name: str, **changes: object) -> None:
        super().__init__(url, name, **changes)
        self.headers = headers_of(name)


def headers_of(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer secret-{name}"}


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Synchronizer]:
    async with Synchronizer(data_directory=tmp_path / "data", gate=GATE) as synchronizer:
        yield synchronizer


@asynccontextmanager
async def opened(url: str, name: str, *, create: bool = False) -> AsyncIterator[ClientConnection]:
    async with connect(url, additional_headers=headers_of(name), proxy=None) as connection:
        await connection.send(protocol.encode(Open(1, "persistent", b"check", create)))
        yield connection


async def answer_of(connection: ClientConnection) -> Any:
    return protocol.decode_down(await connection.recv())


async def refusal(url: str, name: str, first: Join | Open) -> tuple[str, str]:
    async with connect(url, additional_headers=headers_of(name), proxy=None) as connection:
        await connection.send(protocol.encode(first))
        refused = await answer_of(connection)
        assert isinstance(refused, Refused)
        with pytest.raises(ConnectionClosed):
            await connection.recv()
    return refused.code, refused.reason


# --- scopes ------------------------------------------------------------------------------------------------------


async def test_only_the_scope_create_makes_new_names(guarded: Synchronizer) -> None:
    for first in (a_join(), Open(1, "persistent", b"check", create=True)):
        code, reason = await refusal(guarded.url, "joiner", first)
        assert code == "forbidden"
        assert reason.startswith("nobody has used this name here, and the access token does not make new ones: ask for")
    async with Holder(guarded.url, "creator"), Holder(guarded.url, "joiner") as joiner:
        assert not joiner.welcome.read_only
        # With other code under a name that is there: no new name.
        async with Holder(guarded.url, "joiner", session_id="edited"):
            pass


async def test_a_token_to_administer_opens_no_session(guarded: Synchronizer) -> None:
    for first in (a_join(), Open(1, "persistent", b"check", create=False)):
        code, reason = await refusal(guarded.url, "watcher", first)
        assert (code, reason) == (
            "forbidden",
            "the access token opens no session: ask for one with the scope join or read-only",
        )


async def test_a_read_only_token_starts_no_session(guarded: Synchronizer) -> None:
    async with Holder(guarded.url, "creator"):
        code, reason = await refusal(guarded.url, "reader", a_join(session_id="other code"))
        assert code == "forbidden"
        assert reason.endswith("come when somebody has joined with the same code")


# --- read-only members -------------------------------------------------------------------------------------------


async def test_a_read_only_member_sees_everything_and_cannot_send(guarded: Synchronizer) -> None:
    async with Holder(guarded.url, "creator") as creator, Holder(guarded.url, "reader") as reader:
        assert reader.welcome.read_only
        await creator.send(b"1")
        await reader.read_until_event(b"1")
        await reader.say(Send([(1, b"forged")]))
        refused = await reader.next_of(Refused)
        assert refused.reason == (
            "expected no Send of a read-only member: the access token is read-only: ask for one with the scope join"
        )
        await creator.send(b"2")
        await creator.read_until_event(b"2")
        assert creator.payloads() == [b"1", b"2"]


async def test_what_a_read_only_member_wants_to_change_is_refused(guarded: Synchronizer) -> None:
    async with Holder(guarded.url, "creator") as creator:
        await creator.say(Save("first", 0, b"meta", b"content"))
        await creator.next_of(Block)
        async with Holder(guarded.url, "reader") as reader:
            for draft in (False, True):
                await reader.say(Save("second", 1, b"", b"", draft=draft))
                assert await reader.next_of(SaveFailed) == SaveFailed("second", protocol.READ_ONLY)
            await reader.say(Annotate(1, 1, "label", False, b"sealed"))
            assert await reader.next_of(Done) == Done(1, [(1, protocol.READ_ONLY)])
            await reader.say(Prune(2, [1]))
            assert await reader.next_of(Done) == Done(2, [(1, protocol.READ_ONLY)])
            # Alone, and not to be believed.
            await creator.say(protocol.Leave())
            await reader.read_until_exit("creator")
            await reader.say(Snapshot(1, 0.0, b"forged state"))
            await reader.say(protocol.ListVersions(3))
            listed = await reader.next_of(protocol.Versions)
            assert [(version.number, version.save_id) for version in listed.versions] == [(1, "first")]
            assert listed.annotations == []
            async with Holder(guarded.url, "creator") as again:
                assert again.welcome.snapshot is None


async def test_an_archive_with_a_read_only_token_reads_and_changes_nothing(guarded: Synchronizer) -> None:
    async with opened(guarded.url, "creator", create=True) as creator:
        assert isinstance(await answer_of(creator), Opened)
        await creator.send(protocol.encode(Save("first", 0, b"meta", b"content")))
        await answer_of(creator)
    async with opened(guarded.url, "reader") as reader:
        assert isinstance(await answer_of(reader), Opened)
        await reader.send(protocol.encode(protocol.FetchVersion(1, 1)))
        fetched = await answer_of(reader)
        assert fetched.version.content == b"content"
        for message, answer in (
            (Save("second", 1, b"", b""), SaveFailed("second", protocol.READ_ONLY)),
            (Annotate(1, 1, "pin", True, b""), Done(1, [(1, protocol.READ_ONLY)])),
            (Prune(2, [1]), Done(2, [(1, protocol.READ_ONLY)])),
        ):
            await reader.send(protocol.encode(message))
            assert await answer_of(reader) == answer


async def test_6_3_read_only_members_never_outvote_the_others_and_hear_when_they_differ(
    guarded: Synchronizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No audit before everybody is there: each would have another one as the first.
    monkeypatch.setattr(audits, "AUDIT_INTERVAL_MS", 1e6)
    async with Holder(guarded.url, "creator", tick_rate=60.0) as creator:
        readers = [Holder(guarded.url, "reader", tick_rate=60.0) for _ in range(2)]
        for number, reader in enumerate(readers):
            reader.first = a_join(f"reader {number}")
            await reader.connect()
        monkeypatch.setattr(audits, "AUDIT_INTERVAL_MS", 50.0)
        await creator.send(b"1")
        for participant, digest in ((readers[0], b"wrong"), (readers[1], b"wrong"), (creator, b"right")):
            while not any(isinstance(entry, Audit) for entry in participant.entries):
                await participant.next()
            audit = next(entry for entry in participant.entries if isinstance(entry, Audit))
            await participant.say(Report(audit.seq, digest))
        for number, reader in enumerate(readers):
            verdict = await reader.next_of(Verdict)
            assert verdict == Verdict(audit.seq, [["creator"], [f"reader {number}"]])
            await reader.socket.close()


# --- limits ------------------------------------------------------------------------------------------------------


async def test_one_member_too_many_is_told_the_limit_and_a_member_that_comes_back_is_not_lost(tmp_path: Path) -> None:
    accounts = Accounts(of_token=Limits(members=1))
    async with Synchronizer(data_directory=tmp_path, gate=GATE, accounts=accounts) as synchronizer:
        async with Holder(synchronizer.url, "creator") as creator:
            code, reason = await refusal(synchronizer.url, "creator", a_join("second"))
            assert (code, reason) == (
                "limit",
                "expected at most 1 connections at a time of token creator, got one more: close some, or have the "
                "limit of members raised",
            )
            # Its old connection may be one that nobody knows to be dead.
            async with connect(synchronizer.url, additional_headers=headers_of("creator"), proxy=None) as back:
                await back.send(protocol.encode(a_join("creator", have_run=creator.welcome.run, have_seq=1)))
                with pytest.raises(ConnectionClosed, match="1013"):
                    await back.recv()
            async with Holder(synchronizer.url, "joiner"):
                pass
        async with Holder(synchronizer.url, "creator"):
            pass


async def test_sessions_are_limited_by_address(tmp_path: Path) -> None:
    accounts = Accounts(of_address=Limits(sessions=1))
    async with Synchronizer(data_directory=tmp_path, accounts=accounts) as synchronizer:
        async with Participant(synchronizer.url), Participant(synchronizer.url, "bob"):
            code, reason = await refusal(synchronizer.url, "", a_join(session_id="another"))
            assert code == "limit"
            assert reason.startswith("expected at most 1 sessions at a time of address 127.0.0.1, got one more")
        async with Participant(synchronizer.url, session_id="another"):
            pass


async def test_a_member_over_its_rate_is_slowed_and_not_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    reckon = Visit.wait_s

    def wait_s(self: Visit, events: int, size_bytes: int, now_s: float) -> float:
        waits.append(reckon(self, events, size_bytes, now_s))
        return waits[-1] / 1_000  # the test has no such time

    monkeypatch.setattr(Visit, "is_limited", True)
    monkeypatch.setattr(Visit, "wait_s", wait_s)
    accounts = Accounts(of_address=Limits(events_per_s=10))
    async with (
        Synchronizer(data_directory=tmp_path, accounts=accounts) as synchronizer,
        Participant(synchronizer.url) as ada,
    ):
        for number in range(20):
            await ada.send(b"%d" % number)
        await ada.read_until_event(b"19")
        assert set(waits) == {0.0}
        # What comes at once is counted at once.
        for number in range(20, 60):
            await ada.send(b"%d" % number)
        await ada.read_until_event(b"59")
        assert ada.payloads() == [b"%d" % number for number in range(60)]
    assert waits[-1] > 3.0


async def test_whoever_waits_for_its_limits_holds_up_neither_its_own_end_nor_that_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting: asyncio.Queue[str] = asyncio.Queue()

    def wait_s(self: Visit, events: int, size_bytes: int, now_s: float) -> float:
        waiting.put_nowait("")
        return 1e6

    monkeypatch.setattr(Visit, "is_limited", True)
    monkeypatch.setattr(Visit, "wait_s", wait_s)
    synchronizer = Synchronizer(data_directory=tmp_path)
    async with synchronizer, Participant(synchronizer.url, "bob") as bob:
        ada = Participant(synchronizer.url, "ada")
        await ada.connect()
        await ada.send(b"1")
        await waiting.get()
        ada.socket.transport.abort()
        await bob.read_until_exit("ada")
        # What it had sent before is not lost.
        assert bob.payloads() == [b"1"]
        await bob.send(b"2")
        async with opened(synchronizer.url, "", create=True) as archive:
            await answer_of(archive)
            await archive.send(protocol.encode(protocol.ListVersions(1)))
            await answer_of(archive)
            await waiting.get()
            await waiting.get()
            await asyncio.wait_for(synchronizer.close(), 20)


# --- the door ----------------------------------------------------------------------------------------------------


async def test_only_pages_of_origins_that_are_named_connect(tmp_path: Path) -> None:
    origin = "https://lab.example.org"
    async with Synchronizer(data_directory=tmp_path, origins=[origin]) as synchronizer:
        async with connect(synchronizer.url, origin=origin, proxy=None):  # type: ignore[arg-type]
            pass
        for other in ("https://lab.example.org.evil.example", "http://lab.example.org", "null"):
            with pytest.raises(InvalidStatus, match="403"):
                await connect(synchronizer.url, origin=other, proxy=None)  # type: ignore[arg-type]
        async with connect(synchronizer.url, proxy=None):
            pass


async def test_with_a_certificate_the_wire_is_encrypted(tmp_path: Path) -> None:
    certificate, private_key = write_certificate(tmp_path)
    tls = Settings(certificate=certificate, private_key=private_key).tls()
    async with Synchronizer(data_directory=tmp_path / "data", tls=tls) as synchronizer:
        assert synchronizer.url.startswith("wss://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=str(certificate))
        async with connect(synchronizer.url, ssl=trusting, proxy=None) as connection:
            await connection.send(protocol.encode(a_join()))
            assert isinstance(await answer_of(connection), Welcome)
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(synchronizer.url, ssl=ssl.create_default_context(), proxy=None)


async def test_no_token_is_logged_whatever_is_done_with_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("msq_jupyter").setLevel(logging.DEBUG)
    secrets = ["secret-creator", "secret-nobody"]
    async with Synchronizer(data_directory=tmp_path, gate=GATE) as synchronizer:
        async with Holder(synchronizer.url, "creator") as creator:
            await creator.socket.send(b"\xff")
            await creator.next_of(Refused)
        with pytest.raises(InvalidStatus):
            await connect(synchronizer.url, additional_headers=headers_of("nobody"), proxy=None)
        # Where it does not belong.
        with pytest.raises(InvalidStatus):
            await connect(f"{synchronizer.url}/?token={secrets[0]}", proxy=None)
        host, port = synchronizer.url.removeprefix("ws://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"GET / HTTP/1.1\r\nAuthorization: Bearer {secrets[0]}\r\nbroken\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    ours = [record for record in caplog.records if record.name.startswith("msq_jupyter")]
    assert any("a connection was ended" in record.getMessage() for record in ours)
    formatter = logging.Formatter()
    for record in ours:
        assert not any(secret in formatter.format(record) for secret in secrets)
