"""What versions cost: to store 1,000 of them, to get one back, and to see what changed between two.

A document of 3,000 notes, 877 kB as JSON, is edited 1,000 times: one to five notes are changed each time, now and then
one is inserted or deleted. Every scheme stores every version in SQLite, in turns, from the same bytes; encoding the
document is left out for all.

* ours: what a participant and a synchronizer do, but for the network. Saving packs a zstd patch from the last keyframe,
  seals, sends through the codec of the wire and commits, with `fsync`; restoring reads, checks the digests, opens the
  seals, unpacks, and checks the content's digest. The others neither seal nor check, and do not wait for the disk.
* whole, zstd-3: each version by itself.
* whole, gzip-1 of JSON: what a Multisynq client uploads at each save. It is uploaded in full; there is no history.
* pycrdt-store: the same edits made on a Y document, each stored as its update by `SQLiteYStore`. A version is restored
  by applying all updates up to it.

The differences are between version 1 and later ones, beside jsonpatch and deepdiff, in processor time; then, how long
the dry run of 100 versions takes. Needs the `benchmark` extra.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import copy
import gzip
import platform
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import zstandard
from pycrdt import Array, Doc, Map, Text
from pycrdt.store import SQLiteYStore

from msq_jupyter import Model, protocol
from msq_jupyter.persistence.diff import apply, difference
from msq_jupyter.runtime.saves import PendingSave
from msq_jupyter.session import dry_run
from msq_jupyter.session.crypto import Keys, derive_root_key
from msq_jupyter.session.versions import Said, VersionSealer, open_content
from msq_jupyter.stable import bytes_digest, content_bytes, content_value, stable_json
from msq_jupyter.synchronizer.records import RunRecord, Writes
from msq_jupyter.synchronizer.storage import Storage

NOTES = 3_000

#: On the clock, and of the processor's time.
Seconds = tuple[float, float]


class Document:
    """The document, as plain data and as a Y document."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        letters = "abcdefghijklmnopqrstuvwxyz"
        self._words = ["".join(self._dice.choices(letters, k=3 + n % 7)) for n in range(2_000)]
        self.data: dict[str, Any] = {
            "version": 3,
            "items": [self._note(number) for number in range(NOTES)],
            "meta": {"owner": "x", "z": 1, "a": 2},
        }
        self.ydoc = Doc()
        self._items = self.ydoc.get("items", type=Array)
        with self.ydoc.transaction():
            self._items.extend([_as_y(note) for note in self.data["items"]])

    def _note(self, number: int) -> dict[str, Any]:
        dice = self._dice
        return {
            "id": f"i{number:05d}",
            "title": f"Note {number} - sample",
            "x": dice.uniform(0, 1_000),
            "y": dice.uniform(0, 1_000),
            "tags": [f"a{number % 5}", "b"],
            "done": number % 2 == 0,
            "style": {"color": f"#{dice.randrange(1 << 24):06x}", "size": dice.randrange(40), "font": None},
            "text": " ".join(dice.choices(self._words, k=16)),
        }

    def edit(self) -> None:
        """One to five small edits, in one transaction."""
        dice, items = self._dice, self.data["items"]
        with self.ydoc.transaction():
            for _ in range(dice.randrange(1, 6)):
                place = dice.randrange(len(items))
                items[place]["x"] = self._items[place]["x"] = dice.uniform(0, 1_000)
                if dice.random() < 0.3:
                    more = f" {dice.choice(self._words)}"
                    items[place]["text"] += more
                    text = self._items[place]["text"]
                    text += more
            what, place = dice.random(), dice.randrange(len(items))
            if what < 0.1:
                note = {**self._note(dice.randrange(10**5)), "id": f"n{dice.randrange(10**9)}"}
                items.insert(place, note)
                self._items.insert(place, _as_y(note))
            elif what < 0.15:
                del items[place]
                del self._items[place]


def _as_y(note: dict[str, Any]) -> Map[Any]:
    return Map({**note, "tags": Array(note["tags"]), "style": Map(note["style"]), "text": Text(note["text"])})


class Store:
    """One scheme's versions in a database of their own."""

    def __init__(self, directory: Path, name: str) -> None:
        self.name = name
        self.path = directory / f"{name.replace(' ', '-')}.db"
        self.saves: list[Seconds] = []
        self.restores: list[Seconds] = []
        self.bytes: list[int] = []
        self.db = sqlite3.connect(self.path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=NORMAL")
        self.db.execute("CREATE TABLE v (number INTEGER PRIMARY KEY, data BLOB)")

    def insert(self, number: int, data: bytes) -> None:
        self.db.execute("INSERT INTO v VALUES (?, ?)", (number, data))
        self.bytes.append(len(data))

    def stored(self, number: int) -> bytes:
        (data,) = self.db.execute("SELECT data FROM v WHERE number = ?", (number,)).fetchone()
        return bytes(data)

    def disk_bytes(self) -> int:
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return self.path.stat().st_size


class Ours:
    """The real way: a participant packs and seals, a synchronizer commits; it reads, and a participant opens."""

    def __init__(self, directory: Path) -> None:
        self.name = "ours"
        self.saves: list[Seconds] = []
        self.restores: list[Seconds] = []
        self.bytes: list[int] = []
        self._directory = directory / "ours"
        self._storage = Storage(self._directory)
        self._keys = Keys(derive_root_key(None, "benchmark"), "benchmark", "session")
        self._sealer = VersionSealer(self._keys, "session", "code", "class Document(Model): ...", "Ada")
        record = RunRecord("run", "session", "benchmark", origin=0, head=0, tick_rate=20.0)
        self._storage.commit([Writes("run", 1, opened=(record, self._keys.password_check))])
        self._pending: PendingSave | None = None

    def collect(self, number: int, content: bytes) -> None:
        """What `persist_session` does; every replica does it, whoever saves."""
        self._pending = PendingSave(f"run.{number}", content, bytes_digest(content), "view", "Ada")

    def save(self, number: int, content: bytes, _json: bytes) -> None:
        assert self._pending is not None
        save = protocol.decode_up(protocol.encode(self._sealer.seal(self._pending, number - 1)))
        assert isinstance(save, protocol.Save)
        self._storage.read_version("benchmark", save.base)  # it is seen to that the base can be read
        entry = protocol.Saved(number, 0.0, save.save_id, number, "view", 0.0, is_whole=save.base == 0)
        writes = Writes("run", number, entries=[protocol.encode(entry)], versions=[(number, 0.0, save)], saves=[number])
        self._storage.commit([writes])
        self._sealer.stored(entry, content, is_ours=True)
        self.bytes.append(len(save.content) + len(save.meta) + len(save.source))

    def restore(self, number: int) -> bytes:
        version, base = self._storage.read_with_base("benchmark", number)
        answer = protocol.decode_down(protocol.encode(protocol.VersionContent(1, version, base)))
        assert isinstance(answer, protocol.VersionContent)
        assert answer.version is not None
        return open_content(self._keys, answer.version, answer.base)

    def list(self) -> int:
        """How many versions a participant has when all are listed and opened."""
        count, after, more = 0, 0, True
        while more:
            versions, more = self._storage.list_versions("benchmark", after)
            answer = protocol.decode_down(protocol.encode(protocol.Versions(1, 0, versions, more)))
            assert isinstance(answer, protocol.Versions)
            said = Said(self._keys)
            count += len([said.version(version) for version in answer.versions])
            after = versions[-1].number
        return count

    def keyframes(self) -> int:
        index = self._storage.load_index("benchmark")
        assert index is not None
        return len(index.keyframes)

    def disk_bytes(self) -> int:
        self._storage.close()
        return sum(file.stat().st_size for file in self._directory.iterdir())


class Whole(Store):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory, "whole, zstd-3")

    def save(self, number: int, content: bytes, _json: bytes) -> None:
        self.insert(number, zstandard.ZstdCompressor(level=3).compress(content))

    def restore(self, number: int) -> bytes:
        return zstandard.ZstdDecompressor().decompress(self.stored(number))


class FullUpload(Store):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory, "whole, gzip-1 of JSON")

    def save(self, number: int, _content: bytes, json: bytes) -> None:
        self.insert(number, gzip.compress(json, 1))

    def restore(self, number: int) -> bytes:
        return gzip.decompress(self.stored(number))


class YStore:
    """The same edits in pycrdt's own store."""

    def __init__(self, directory: Path, document: Document) -> None:
        self.name = "pycrdt-store"
        self.path = directory / "y.db"
        self.saves: list[Seconds] = []
        self.restores: list[Seconds] = []
        self.bytes: list[int] = []
        self._document = document
        self._state = b"\0"
        kind = type("Store", (SQLiteYStore,), {"db_path": str(self.path)})
        self.store = kind("document")

    async def save(self) -> None:
        update = self._document.ydoc.get_update(self._state)
        self._state = self._document.ydoc.get_state()
        self.bytes.append(len(update))
        await self.store.write(update)

    def restore(self, number: int) -> Any:
        with sqlite3.connect(self.path) as db:
            rows = db.execute("SELECT yupdate FROM yupdates ORDER BY timestamp LIMIT ?", (number,)).fetchall()
        doc = Doc()
        items = doc.get("items", type=Array)
        for (update,) in rows:
            doc.apply_update(update)
        return items.to_py()

    def disk_bytes(self) -> int:
        return sum(file.stat().st_size for file in self.path.parent.glob("y.db*"))


@contextlib.contextmanager
def measured(seconds: list[Seconds]) -> Iterator[None]:
    """Add what the block takes."""
    began, began_processor = time.perf_counter(), time.process_time()
    yield
    seconds.append((time.perf_counter() - began, time.process_time() - began_processor))


def medians_ms(seconds: list[Seconds]) -> list[str]:
    return [f"{statistics.median(times) * 1e3:.1f}" for times in zip(*seconds, strict=True)]


def timed(call: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> tuple[float, Any]:
    began = clock()
    result = call()
    return clock() - began, result


async def store_versions(directory: Path, versions: int, picks: int) -> dict[int, bytes]:
    """Fill all stores, restore some versions from each, print the table; the contents of those versions."""
    document = Document(3)
    ours = Ours(directory)
    stores = [ours, Whole(directory), FullUpload(directory)]
    ystore = YStore(directory, document)
    picked = {1, versions, *random.Random(1).sample(range(2, versions), picks - 2)}
    contents: dict[int, bytes] = {}
    raw_bytes = 0
    async with ystore.store:
        for number in range(1, versions + 1):
            if number > 1:
                document.edit()
            content, json = content_bytes(document.data), stable_json(document.data).encode()
            raw_bytes += len(json)
            if number in picked:
                contents[number] = content
            ours.collect(number, content)
            for store in stores:
                with measured(store.saves):
                    store.save(number, content, json)
            with measured(ystore.saves):
                await ystore.save()
        for store in (*stores, ystore):
            for number in picked:
                with measured(store.restores):
                    restored = store.restore(number)
                expected = content_value(contents[number])
                if isinstance(store, YStore):
                    assert restored == expected["items"]
                elif isinstance(store, FullUpload):
                    assert restored == stable_json(expected).encode()
                else:
                    assert restored == contents[number]
    keyframes, (list_s, listed) = ours.keyframes(), timed(ours.list)
    assert listed == versions
    print(
        f"| {versions:,} versions, {raw_bytes / 1e6:,.0f} MB of JSON | disk MB | kB to upload | save ms | processor ms "
        "| restore ms | processor ms |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    for store in (*stores, ystore):
        shown = (
            f"{store.disk_bytes() / 1e6:.1f}",
            f"{statistics.median(store.bytes) / 1e3:.1f}",
            *medians_ms(store.saves),
            *medians_ms(store.restores),
        )
        print(f"| {store.name} | {' | '.join(shown)} |")
    print(f"\n{keyframes} keyframes; medians; {picks} versions restored; Python {platform.python_version()}")
    print(f"ours: all {versions:,} versions listed and their descriptions opened in {list_s * 1e3:.0f} ms\n")
    return contents


def compare_versions(contents: dict[int, bytes], rounds: int) -> None:
    """Print how long differences take."""
    import jsonpatch
    from deepdiff import DeepDiff

    first, *later = sorted(contents)
    old = content_value(contents[first])
    edited = copy.deepcopy(old)
    edited["items"][1_500]["x"] = -1.0
    pairs = [("one edit", edited)]
    pairs += [(f"version {n}", content_value(contents[n])) for n in (later[len(later) // 2], later[-1])]
    peers: dict[str, tuple[Callable[[Any, Any], Any], int]] = {
        "ours": (difference, rounds),
        "jsonpatch": (jsonpatch.make_patch, min(rounds, 5)),
        "deepdiff": (lambda a, b: DeepDiff(a, b, threshold_to_diff_deeper=0), min(rounds, 3)),
    }
    print("| version 1 and ... | operations | " + " | ".join(f"{name} ms" for name in peers) + " |")
    print("|---|---:|" + "---:|" * len(peers))
    for what, new in pairs:
        assert content_bytes(apply(old, difference(old, new))) == content_bytes(new)
        medians = []
        for call, count in peers.values():
            seconds = [timed(lambda: call(old, new), time.process_time)[0] for _ in range(count)]  # noqa: B023
            medians.append(f"{statistics.median(seconds) * 1e3:,.0f}")
        print(f"| {what} | {len(difference(old, new).operations):,} | {' | '.join(medians)} |", flush=True)


class Notes(Model):
    """Loads notes, and saves them again."""

    def init(self, _options: Any, persisted: Any = None) -> None:
        self.notes = {note["id"]: note for note in persisted["items"]}
        self.persist_session({"version": 3, "items": list(self.notes.values())})


def check_versions(rounds: int) -> None:
    """Print how long the dry run of 100 versions of 100 kB takes: `session.check()` but for the network."""
    notes = Document(4).data["items"]
    contents = [content_bytes({"version": 3, "items": notes[n : n + 350]}) for n in range(100)]
    seconds: list[Seconds] = []
    for _ in range(rounds):
        with measured(seconds):
            plan = dry_run.plan_for(Notes, {})
            assert all(dry_run.load(plan, number, content).ok for number, content in enumerate(contents, 1))
    clock_ms, processor_ms = medians_ms(seconds)
    print(f"\ncheck: 100 versions of {len(contents[0]) / 1e3:.0f} kB in {clock_ms} ms, {processor_ms} of the processor")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--versions", type=int, default=1_000)
    parser.add_argument("--picks", type=int, default=40, help="how many versions are restored from each store")
    parser.add_argument("--rounds", type=int, default=15, help="how often our difference is taken")
    parser.add_argument("--quick", action="store_true", help="a few versions, to see whether it runs")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.versions, arguments.picks, arguments.rounds = 6, 3, 1
    with tempfile.TemporaryDirectory() as directory:
        contents = asyncio.run(store_versions(Path(directory), arguments.versions, arguments.picks))
    compare_versions(contents, arguments.rounds)
    check_versions(arguments.rounds)


if __name__ == "__main__":
    main()
