"""A session whose access token is read-only: it sees everything, says at once what it may not, and leaves quietly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from msq_jupyter.errors import ReadOnlyMember
from msq_jupyter.session.session import SessionCore
from msq_jupyter.synchronizer.server import Synchronizer
from msq_jupyter.synchronizer.tokens import Gate, Token, digest_of
from tests.session.models import Counter
from tests.waiting import until

GATE = Gate(
    [
        Token("ada", frozenset({"join", "create"}), digest_of("writes")),
        Token("bob", frozenset({"read-only"}), digest_of("reads")),
    ]
)


async def join(synchronizer: Synchronizer, secret: str) -> SessionCore:
    url = synchronizer.url.replace("://", f"://{secret}@")
    return await SessionCore.join(app_id="a", name="b", password="c", model=Counter, synchronizer=url)


@pytest.fixture
async def people(tmp_path: Path) -> AsyncIterator[tuple[SessionCore, SessionCore]]:
    async with Synchronizer(data_directory=tmp_path, gate=GATE) as synchronizer:
        ada, bob = await join(synchronizer, "writes"), await join(synchronizer, "reads")
        yield ada, bob
        await bob.leave()
        await ada.leave()


async def test_it_sees_what_others_do_and_their_versions(people):
    ada, bob = people
    ada.publish("counter", "add", 3)
    await ada.saved()
    await until(lambda: bob.model.count == 3)
    assert [version.number for version in await bob.versions()] == [1]


async def test_whatever_it_must_not_send_is_said_at_once_and_what(people):
    ada, bob = people
    ada.publish("counter", "add", 3)
    await ada.saved()
    await until(lambda: bob.model.count == 3)
    with pytest.raises(ReadOnlyMember, match="expected a token with the scope join to send counter:add, and"):
        bob.publish("counter", "add", 1)
    with pytest.raises(ReadOnlyMember, match="to send a save"):
        await bob.save()
    with pytest.raises(ReadOnlyMember, match="to send a restore"):
        await bob.restore(1)
    for change in (bob.label(1, "x"), bob.pin(1)):
        with pytest.raises(Exception, match="the access token is read-only: ask for one with the scope join"):
            await change
    assert bob.is_live
    ada.publish("counter", "add", 1)
    await until(lambda: bob.model.count == 4)


async def test_it_waits_for_no_save_of_its_own_and_leaves_quietly(people, caplog):
    ada, bob = people
    ada.publish("counter", "add", 3)
    await until(lambda: bob.model.count == 3)
    await bob.saved()
    assert bob.hand_over()
    await ada.leave()
    await until(lambda: len(bob.participants) == 1)
    await bob.leave()
    assert "may be lost" not in caplog.text
    assert bob.error is None
