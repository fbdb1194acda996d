"""Restoring a version (rule 5.10) on replicas without clock, network or threads."""

from __future__ import annotations

import random
from typing import Any

import pytest

from msq_jupyter import Model, protocol
from msq_jupyter.runtime import restoring
from msq_jupyter.runtime.differences import twin_of
from msq_jupyter.runtime.happenings import HandlerFailed, RootReplaced
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.runtime.restoring import PART_BYTES, encode_restore
from msq_jupyter.runtime.snapshot import pack
from msq_jupyter.stable import bytes_digest, content_bytes
from tests.runtime.bench import Bench

OPTIONS = {"step": 2, "names": ["a"]}


class Item(Model):
    def init(self, options):
        self.size = options

    def grow(self):
        self.size += 1


class Board(Model):
    def init(self, options, persisted=None):
        self.options = options
        options["names"].append("b")  # a second `init` must not see this
        self.total = persisted["total"] if persisted else 0
        self.text = persisted.get("text", "") if persisted else ""
        self.began_with_views = self.view_count
        self.drawn = self.random()
        self.items = [Item.create(n) for n in range(3)]
        self.items[0].be_well_known_as("first")
        self.items[0].future(every=10).grow()
        self.subscribe("board", "add", self.add)
        self.subscribe("board", "more", self.more)
        if self.text == "fail":
            self.persist_session({"total": -1})
            self.publish("board", "add", 5)
            raise KeyError("wanted")
        if self.text == "unstorable":
            self.handle = object()
        if self.text == "migrate":
            self.persist_session({"total": self.total, "text": "migrated"})

    def add(self, amount):
        self.total += amount
        if amount > 100:
            self.save()

    def more(self, data):
        self.items.append(Item.create(data))
        self.subscribe("board", "extra", self.add)

    def save(self):
        if self.total == 13:
            raise RuntimeError("unlucky")
        self.persist_session({"total": self.total, "text": self.text})


class Bare(Model):
    def init(self, options, persisted=None):
        self.data = persisted


def the_bench(kind: type[Model] = Board) -> Bench:
    bench = Bench(kind, Item, options={"step": 2, "names": ["a"]})
    bench.members(joins={"ada": None, "ben": None})
    return bench


def send(bench: Bench, payload: bytes, view: str = "ada") -> None:
    bench.time_ms += 1
    bench.counters[view] = bench.counters.get(view, 0) + 1
    bench.feed(protocol.Event(bench.replica.seq + 1, bench.time_ms, view, bench.counters[view], payload))


def restore(bench: Bench, data: Any, number: int = 4, *, view: str = "ada", restore_id: str = "r1") -> None:
    for payload in encode_restore(restore_id, number, content_bytes(data)):
        send(bench, payload, view)


def replaced(replica: Replica) -> list[RootReplaced]:
    return [happening for happening in replica.happenings if isinstance(happening, RootReplaced)]


def test_5_10_the_root_is_made_anew_from_the_content():
    bench = the_bench()
    bench.publish("board", "more", 7)
    bench.advance(35)
    old, replica = bench.root, bench.replica
    next_model, drawn, next_handle = replica.next_model, replica.random.state, replica.schedule.next_handle_id
    restore(bench, {"total": 40})
    assert replaced(replica) == [RootReplaced(4, "ada", "r1")]
    assert bench.root is not old
    assert (bench.root.total, bench.root.id, len(bench.root.items)) == (40, f"M{next_model}", 3)
    assert bench.root.options == {"step": 2, "names": ["a", "b"]}
    assert bench.root.began_with_views == 2
    assert list(replica.models) == [f"M{next_model + n}" for n in range(4)]
    assert replica.well_known["first"] is bench.root.items[0]
    assert drawn != replica.random.state
    assert [message.handle_id for message in replica.schedule.messages()] == [next_handle]
    assert list(replica.views) == ["ada", "ben"]
    assert not replica.hears("board", "extra")
    bench.publish("board", "add", 2)
    bench.advance(10)
    assert bench.root.total == 42
    assert bench.root.items[0].size == 1
    assert old.total == 0
    assert not bench.failures()


def test_5_10_what_was_there_becomes_a_version_before_the_restored_one():
    bench = the_bench()
    bench.publish("board", "add", 3)
    restore(bench, {"total": 40})
    before, restored = bench.replica.saves
    assert before.content == content_bytes({"total": 3, "text": ""})
    assert restored.content == content_bytes({"total": 40})
    assert (restored.label, restored.view_id, restored.author) == ("restored from version 4", "ada", "ada")
    bench.publish("board", "add", 200)  # saves, and replaces neither
    bench.publish("board", "add", 200)  # replaces the one above
    assert bench.replica.saves[:2] == [before, restored]
    assert [save.content for save in bench.replica.saves[2:]] == [content_bytes({"total": 440, "text": ""})]
    for number, save in enumerate(list(bench.replica.saves), 5):
        assert bench.replica.pending_save == save
        bench.saved(save.save_id, number)
    assert bench.replica.pending_save is None
    assert bench.replica.last_save.number == 7


def test_5_10_what_waits_already_is_kept_and_not_saved_twice():
    bench = the_bench()
    bench.publish("board", "add", 200)
    pending = bench.replica.pending_save
    restore(bench, {"total": 40})
    assert [save.save_id for save in bench.replica.saves] == [pending.save_id, "run.2"]


def test_5_10_a_save_in_init_is_a_version_after_the_restored_one():
    bench = the_bench()
    restore(bench, {"total": 1, "text": "migrate"})
    texts = [b"migrate" in save.content for save in bench.replica.saves]
    assert texts == [False, True, True]
    assert bench.replica.saves[-1].content == content_bytes({"total": 1, "text": "migrated"})


def test_5_10_a_root_without_a_save_method_and_one_whose_save_fails():
    bare = the_bench(Bare)
    restore(bare, [1, 2])
    assert bare.root.data == [1, 2]
    assert len(bare.replica.saves) == 1
    bench = the_bench()
    bench.publish("board", "add", 13)
    restore(bench, {"total": 40})
    assert bench.failures() == ["Board.save: RuntimeError: unlucky"]
    assert bench.root.total == 40


@pytest.mark.parametrize("text", ["fail", "unstorable"])
def test_5_10_an_init_that_fails_leaves_everything_as_it_was(text: str):
    bench, other = the_bench(), the_bench()
    for one in (bench, other):
        one.publish("board", "add", 200)
        one.advance(15)
    before = bench.replica.snapshot()
    restore(bench, {"total": 1, "text": text})
    assert len(bench.failures()) == 1
    assert bench.failures()[0].startswith("Board.init: ")
    assert not replaced(bench.replica)
    other.publish("nobody", "hears")
    assert other.replica.snapshot() == bench.replica.snapshot() != before
    bench.publish("board", "add", 1)
    bench.advance(20)
    assert bench.root.total == 201


def test_5_10_a_megabyte_comes_in_several_parts_and_half_of_it_is_state():
    bench = the_bench()
    data = {"total": 1, "text": random.Random(1).randbytes(600_000).hex()}
    payloads = encode_restore("r1", 9, content_bytes(data))
    assert len(payloads) == 5
    assert all(len(payload) <= protocol.EVENT_PLAIN_BYTES_MAX for payload in payloads)
    replicas = []
    for payload in payloads:
        send(bench, payload)
        for replica in replicas:
            assert replica.apply(bench.log[-1])
        replicas.append(twin_of(bench.replica, bench.replica.snapshot()))
        bench.publish("board", "add", 1, view="ben")
        for replica in replicas:
            assert replica.apply(bench.log[-1])
    assert bench.root.total == 2
    assert bench.root.text == data["text"]
    late = the_bench()
    for entry in bench.log[1:]:
        late.feed(entry)
    assert {replica.snapshot() for replica in [*replicas, late.replica]} == {bench.replica.snapshot()}
    assert bench.replica.restores == {}


def test_5_10_who_goes_between_parts_leaves_nothing():
    bench = the_bench()
    payloads = encode_restore("r1", 9, b"\x81" + b"x" * PART_BYTES)
    send(bench, payloads[0])
    assert list(bench.replica.restores) == ["ada"]
    bench.members(exits=["ada"])
    assert bench.replica.restores == {}
    send(bench, payloads[1])  # it came back
    assert "expected the parts of a restore in order, got part 2 of 2 of 'r1', version 9" in bench.failures()[0]


def test_5_10_two_at_once_are_executed_one_after_the_other():
    bench = the_bench()
    big = {"total": 1, "text": "x" * PART_BYTES}
    first, last = encode_restore("r1", 2, content_bytes(big))
    send(bench, first, "ada")
    restore(bench, {"total": 7}, view="ben")
    assert bench.root.total == 7
    send(bench, last, "ada")
    assert bench.root.total == 1
    assert [(happening.view_id, happening.restore_id) for happening in replaced(bench.replica)] == [
        ("ben", "r1"),
        ("ada", "r1"),
    ]
    labels = [save.label for save in bench.replica.saves]
    assert labels == ["", "restored from version 4", "", "restored from version 2"]


def _payload(**changes: Any) -> bytes:
    content = changes.pop("content", content_bytes({"total": 1}))
    fields = {"id": "r1", "part": 0, "parts": 1, "number": 4, "content_id": bytes_digest(content), **changes}
    return pack(["restore", *fields.values(), content])


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (pack(["restore"]), "length 7"),
        (pack(["restore", *"abcdefgh"]), "Expected `int`"),
        (_payload(id="x" * 65), "length <= 64"),
        (_payload(id=5), "Expected `str`"),
        (_payload(part=-1), ">= 0"),
        (_payload(part=1), "expected the parts of a restore in order"),
        (_payload(part=1, parts=2), "expected the parts of a restore in order"),
        (_payload(parts=0), ">= 1"),
        (_payload(parts=10**6), "<= "),
        (_payload(number="4"), "Expected `int`"),
        (_payload(content_id="x"), "bytes with another digest"),
        (_payload(content=b"\xc1"), "does not decode"),
        (_payload(content=b""), "does not decode"),
        (_payload(content=b"\x91" * 100_000), "does not decode"),
        (_payload(content=b"\x05"), "what nobody can have saved"),
        (_payload(content=b"\x91\xcd\x00\x05"), "what nobody can have saved"),
        (_payload(content=b"\x81\x01\x02"), "is not JSON"),
        (_payload(content=b"\x91\xcb\x7f\xf8" + b"\0" * 6), "is not JSON"),
    ],
)
def test_5_10_hostile_parts_are_reported_and_ignored_alike(payload: bytes, why: str):
    bench = the_bench()
    twin = bench.twin()
    root = bench.root
    send(bench, payload)
    assert twin.apply(bench.log[-1])
    assert len(bench.failures()) == 1
    assert why in bench.failures()[0]
    assert bench.root is root
    assert bench.replica.saves == []
    assert bench.replica.restores == {}
    assert twin.snapshot() == bench.replica.snapshot()


def test_5_10_parts_that_do_not_fit_together_or_are_too_much(monkeypatch: pytest.MonkeyPatch):
    bench = the_bench()
    first, last = encode_restore("r1", 2, content_bytes({"total": 1, "text": "x" * PART_BYTES}))
    _, other = encode_restore("r2", 2, content_bytes({"total": 1, "text": "y" * PART_BYTES}))
    send(bench, first)
    send(bench, other)
    send(bench, last)
    assert len(bench.failures()) == 2  # the other one, and what is now without a beginning
    monkeypatch.setattr(protocol, "CONTENT_BYTES_MAX", PART_BYTES)
    send(bench, first)
    send(bench, last)
    assert "the restored data" in bench.failures()[2]
    assert bench.replica.restores == {}
    assert not replaced(bench.replica)


def test_5_10_saves_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(restoring, "WAITING_SAVES_MAX", 3)
    bench = the_bench()
    for number in range(9):
        bench.publish("board", "add", 1)
        restore(bench, {"total": number * 20})
    assert len(bench.replica.saves) == 4
    assert "4 saves wait to be stored" in bench.failures()[0]


def test_5_10_failures_name_whose_restore_it_was():
    bench = the_bench()
    restore(bench, {"total": 1, "text": "fail"}, view="ben", restore_id="r5")
    failed = next(happening for happening in bench.replica.happenings if isinstance(happening, HandlerFailed))
    assert (failed.view_id, failed.restore_id) == ("ben", "r5")
