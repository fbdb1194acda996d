"""Pages of the data directory are damaged: who needs them is told, everybody else goes on, and nothing hangs.

What is damaged inside of an entry is not seen by the synchronizer: members see it, by seals, times and audits.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from msq_jupyter.errors import JoinTimeout, ProtocolError, StorageUnreadable
from msq_jupyter.session.session import SessionCore
from msq_jupyter.synchronizer.server import Synchronizer
from tests.conftest import SynchronizerThread
from tests.session.models import Counter
from tests.synchronizer.conftest import Participant

DAMAGES = 15
EVENTS = 600
#: So many at once fill a page.
PAGE_EVENTS = 6
FILE = "synchronizer.sqlite"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the logs of two sessions, in many pages."""
    directory = tmp_path_factory.mktemp("written")
    asyncio.run(_write(directory))
    with closing(sqlite3.connect(directory / FILE)) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return directory


def payload_of(number: int) -> bytes:
    return b"%d " % number + bytes(500)


async def _write(directory: Path) -> None:
    async with Synchronizer(data_directory=directory) as synchronizer:
        for name in ("one", "other"):
            async with Participant(synchronizer.url, session_id=name, persistent_id=name) as ada:
                for first in range(0, EVENTS, PAGE_EVENTS):
                    await ada.send(*map(payload_of, range(first, first + PAGE_EVENTS)))
                    await ada.read_until_event(payload_of(first + PAGE_EVENTS - 1))


def entry_pages(directory: Path) -> tuple[int, list[int]]:
    """The size of a page, and the leaf pages that hold entries of the first session and nothing else."""
    with closing(sqlite3.connect(directory / FILE)) as file:
        size = file.execute("PRAGMA page_size").fetchone()[0]
    data = (directory / FILE).read_bytes()
    pages = [data[place : place + size] for place in range(0, len(data), size)]
    # Leaves of a table that hold several payloads.
    leaves = [number for number, page in enumerate(pages) if page[0] == 13 and page.count(b" " + bytes(500)) > 3]
    # The newest entries are in a page with the oldest of the session that was made last.
    return size, leaves[: len(leaves) // 2 - 1]


async def read(url: str, name: str) -> list[bytes] | str:
    """The payloads of a session's log, or why there is none."""
    ada = Participant(url, "newcomer", session_id=name, persistent_id=name)
    try:
        # A refusal comes in place of a welcome.
        async with asyncio.timeout(20):
            await ada.connect()
            await ada.read_until_joined()
    except ConnectionClosed as closed:
        return closed.rcvd.reason if closed.rcvd else ""
    except (ProtocolError, AssertionError):
        return "a member sees that it is no log"
    else:
        return ada.payloads()
    finally:
        ada.socket.transport.abort()


@pytest.mark.parametrize("kind", ["zeros", "garbage"])
async def test_a_damaged_page_of_a_log_ends_who_needs_it_with_a_reason_and_nobody_else(
    written: Path, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    size, pages = entry_pages(written)
    assert len(pages) > 4
    right = [payload_of(number) for number in range(EVENTS)]
    outcomes = []
    for number in (pages[1], pages[len(pages) // 2], pages[-1]):
        shutil.rmtree(tmp_path / "data", ignore_errors=True)
        shutil.copytree(written, tmp_path / "data")
        with (tmp_path / "data" / FILE).open("r+b") as file:
            file.seek(number * size)
            file.write(bytes(size) if kind == "zeros" else random.Random(number).randbytes(size))
        async with Synchronizer(data_directory=tmp_path / "data") as synchronizer:
            for name in ("one", "other", "new"):
                found = await read(synchronizer.url, name)
                outcomes.append(found if isinstance(found, str) else "read")
                assert isinstance(found, str) or found == ([] if name == "new" else right)
            assert outcomes[-1] == "read"
            assert "read" in outcomes[-3:-1], "only one session's log is in that page"
    told = {outcome for outcome in outcomes if outcome != "read"}
    assert told <= {"the log could not be read", "the data directory could not be read"}
    assert told
    assert "malformed" in caplog.text
    assert "a connection could not be served" not in caplog.text


async def test_7_4_joining_a_session_whose_log_is_damaged_ends_with_words(written: Path, tmp_path: Path) -> None:
    given = {"app_id": "test", "name": "room", "model": Counter, "join_timeout_s": 3}
    data = tmp_path / "data"
    with SynchronizerThread(data) as synchronizer:
        async with await SessionCore.join(synchronizer=synchronizer.url, **given) as ada:
            for _ in range(EVENTS):
                ada.publish("counter", "hold", "x" * 400)
            await ada.synced()
    with closing(sqlite3.connect(data / FILE)) as file:
        file.execute("DELETE FROM snapshots")
        file.execute("DELETE FROM blocks WHERE place = (SELECT place FROM blocks ORDER BY place DESC LIMIT 1 OFFSET 1)")
        file.commit()
    with SynchronizerThread(data) as synchronizer:
        with pytest.raises(JoinTimeout, match=r"and the synchronizer said '.*could not be read'"):
            await SessionCore.join(synchronizer=synchronizer.url, **given)
        async with await SessionCore.join(synchronizer=synchronizer.url, **{**given, "name": "other"}) as ben:
            assert ben.is_live


@pytest.mark.timeout(0)
async def test_whatever_is_damaged_somebody_is_told_or_nothing_is_missing(
    written: Path, tmp_path: Path, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    seed = request.config.getoption("msq_seed")
    print(f"seed {seed}")
    draw = random.Random(f"damage {seed}")
    whole = (written / FILE).read_bytes()
    right = [payload_of(number) for number in range(EVENTS)]
    told, reasons = 0, []
    for _ in range((request.config.getoption("msq_schedules") or 1) * DAMAGES):
        shutil.rmtree(tmp_path / "data", ignore_errors=True)
        shutil.copytree(written, tmp_path / "data")
        damaged = bytearray(whole)
        length = draw.choice((1, 16, 512, 4_096))
        # Where pages begin is what SQLite needs most.
        place = draw.choice((draw.randrange(len(whole)), draw.randrange(len(whole) // 4_096) * 4_096))
        damaged[place : place + length] = draw.choice((bytes(length), draw.randbytes(length)))
        (tmp_path / "data" / FILE).write_bytes(damaged[: len(whole)])
        try:
            async with Synchronizer(data_directory=tmp_path / "data") as synchronizer:
                for name in ("one", "other"):
                    found = await read(synchronizer.url, name)
                    if isinstance(found, str):
                        told += 1
                        assert found, (place, length)
                    else:
                        changed = sum(a != b for a, b in zip(found, right, strict=True))
                        assert changed <= 1 + length // 500, (place, length, changed)
        except StorageUnreadable as error:
            told += 1
            reasons.append(str(error))
        assert "a connection could not be served" not in caplog.text, (place, length)
    assert told
    assert all("restore" in reason or "backup" in reason for reason in reasons), reasons
