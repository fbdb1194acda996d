"""The power goes while SQLite writes: its log ends anywhere, or in garbage. What was committed before is there."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from msq_jupyter.protocol import Save
from msq_jupyter.synchronizer.records import Draft, RunRecord, Writes
from msq_jupyter.synchronizer.storage import Storage

RECORD = RunRecord("run", "session", "persistent", origin=0, head=0, tick_rate=20.0)
FILE, LOG = "synchronizer.sqlite", "synchronizer.sqlite-wal"
TURNS = 8
#: Places at which the log is torn.
CUTS = 60


def save_of(number: int, draft: bool = False) -> Save:
    content = random.Random(number).randbytes(random.Random(-number).choice((10, 3_000, 90_000)))
    return Save(f"run.{number}", number - 1, b"meta %d" % number, content, b"", draft)


def turn_of(number: int) -> Writes:
    """One turn: an entry, the version it says is stored, and a draft of the next one; all of it, or nothing."""
    draft = Draft("ada", 1_000.0, save_of(number + 1, draft=True), head=number)
    return Writes("run", number, entries=[b"entry %d" % number], versions=[(number, 1.0, save_of(number))], draft=draft)


class Written:
    """A data directory in which turns were committed, as it was on the disk after each of them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        storage = Storage(directory)
        storage.commit([Writes("run", 1, opened=(RECORD, b"check"))])
        #: How long the log was after each turn.
        self.ends = [self._log_bytes()]
        for number in range(1, TURNS + 1):
            storage.commit([turn_of(number)])
            self.ends.append(self._log_bytes())
        self.log = (directory / LOG).read_bytes()
        self.file = (directory / FILE).read_bytes()
        storage.close()

    def _log_bytes(self) -> int:
        return (self._directory / LOG).stat().st_size

    def torn(self, directory: Path, cut: int, tail: bytes) -> Storage:
        """Open what a disk has of it whose log ends at `cut`, or goes on with `tail`."""
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700)
        (directory / FILE).write_bytes(self.file)
        (directory / LOG).write_bytes(self.log[:cut] + tail)
        return Storage(directory)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    written = Written(tmp_path_factory.mktemp("written"))
    assert written.ends == sorted(set(written.ends))  # all of it is in the log, nothing in the file yet
    return written


def tails(draw: random.Random, rest: int) -> dict[str, bytes]:
    return {"ends": b"", "zeros": bytes(rest), "garbage": draw.randbytes(rest)}


@pytest.mark.parametrize("tail", ["ends", "zeros", "garbage"])
def test_5_6_a_torn_log_has_every_turn_before_the_tear_and_nothing_of_the_one_in_it(
    written: Written, tmp_path: Path, tail: str, request: pytest.FixtureRequest
):
    seed = request.config.getoption("msq_seed")
    draw = random.Random(f"torn {seed}")
    torn_in = set()
    for _ in range(CUTS):
        near = draw.choice(written.ends)  # at the very ends, and anywhere
        cut = draw.choice((near, near - 1, near + 1, near - 24, draw.randint(written.ends[0], written.ends[-1])))
        cut = min(max(cut, written.ends[0]), written.ends[-1])
        rest = tails(draw, written.ends[-1] - cut)[tail]
        # Pages may end with zeros, and then nothing is torn by some.
        whole = cut + common_length(written.log[cut:], rest)
        kept = sum(end <= whole for end in written.ends) - 1
        torn_in.add(kept)
        storage = written.torn(tmp_path / "torn", cut, rest)
        check(storage, kept)
        storage.commit([turn_of(kept + 1)])  # and it goes on from there
        check(storage, kept + 1)
        storage.close()
    assert len(torn_in) > TURNS // 2, f"a vacuous run with seed {seed}: torn in {torn_in} only"


def common_length(a: bytes, b: bytes) -> int:
    """Length of the common beginning."""
    return next((place for place, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def check(storage: Storage, turns: int) -> None:
    """Everything of the first turns is there, byte for byte, and nothing of any later one."""
    index = storage.load_index("persistent")
    assert index is not None
    assert sorted(index.numbers.values()) == list(range(1, turns + 1))
    run = storage.load_run("persistent", "session")
    assert run is not None
    assert run.last_seq == turns
    assert (run.draft.save if run.draft else None) == (save_of(turns + 1, draft=True) if turns else None)
    for number in range(1, turns + 1):
        version = storage.read_version("persistent", number)
        assert version is not None
        saved = save_of(number)
        assert (version.save_id, version.meta, version.content) == (saved.save_id, saved.meta, saved.content)
    assert storage.read_version("persistent", turns + 1) is None
