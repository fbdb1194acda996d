"""What hostile bytes can do to the codec and to a replica: nothing."""

from __future__ import annotations

import datetime
import gc
import math
import time
import tracemalloc
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from msq_jupyter.errors import SealBroken
from msq_jupyter.runtime.extensions import Extension
from msq_jupyter.runtime.snapshot import Writer, pack, read_value
from tests.runtime.samples import (
    RAN,
    Access,
    Colour,
    Hashed,
    Name,
    Page,
    Place,
    Point,
    Table,
    ext,
    lived,
    new_replica,
    refused,
)

# --- states --------------------------------------------------------------------------------------------------------


def altered(change: Any) -> bytes:
    state = msgspec.msgpack.decode(lived().snapshot())
    change(state)
    return pack(state)


def values_with(place: int, value: Any) -> Any:
    def change(state: dict[str, Any]) -> None:
        parts = msgspec.msgpack.decode(state["values"])
        parts[place] = value
        state["values"] = pack(parts)

    return change


@pytest.mark.parametrize(
    "change",
    [
        *(values_with(1, {name: 1}) for name in ("id", "_msq_replica", "__class__", "__dict__", 5)),
        values_with(1, [1]),
        values_with(1, {"a": ext(Extension.METHOD, "M1", "expensive")}),
        values_with(1, {"a": ext(Extension.METHOD, "M1", "__init_subclass__")}),
        values_with(1, {"a": ext(Extension.METHOD, "M1", "nothing")}),
        values_with(1, {"a": ext(Extension.METHOD, "M1", "create")}),
        values_with(4, [1]),
        lambda s: s.update(seq="1"),
        lambda s: s.update(seq=-1),
        lambda s: s.update(time_ms=math.nan),
        lambda s: s.update(random=b"1"),
        lambda s: s.update(models=["M1", "M1", "M1", "M1"]),
        lambda s: s.update(models=["M1"]),
        lambda s: s.update(kinds=[99, 0, 0, 0]),
        lambda s: s.update(kinds=[-1, 0, 0, 0]),
        lambda s: s.update(classes=["Model", "os.system"]),
        lambda s: s.update(well_known={"modelRoot": "M77"}),
        lambda s: s.update(topics=[["a", "b", "M1", "__class__"]]),
        lambda s: s.update(topics=[["a", "b", "M1", "nothing"]]),
        lambda s: s.update(topics=[["a", "b", "M9", "hear"]]),
        lambda s: s.update(future=[[1, math.nan, 1, 0.0, "M1", "hear"], *s["future"][1:]]),
        lambda s: s.update(future=[[1, -1.0, 1, 0.0, "M1", "hear"], *s["future"][1:]]),
        lambda s: s.update(future=[[1, 1.0, 1, 0.0, "M1", "__reduce_ex__"], *s["future"][1:]]),
        lambda s: s.update(views=["a", "b", "c", "d", "e", "f"]),
        lambda s: s.update(counters={"a": -1}),
        lambda s: s.update(save_count="x"),
        lambda s: s.update(saves=[1]),
        lambda s: s.update(format=1),
        lambda s: s.pop("values"),
    ],
)
def test_8_4_an_altered_state_is_refused_and_runs_nothing(change):
    document = altered(change)
    RAN.clear()
    with pytest.raises(SealBroken):
        new_replica().restore(document)
    assert RAN == []


# --- hostile bytes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "plain",
    [
        ext(Extension.ENUM, "Colour", "__class__"),
        ext(Extension.ENUM, "Colour", "mro"),
        ext(Extension.ENUM, "Colour", 1),
        ext(Extension.ENUM, "Access", 8),
        ext(Extension.ENUM, "Access", -1),
        ext(Extension.ENUM, "Access", 2**63),
        ext(Extension.ENUM, "Page", "x"),
        ext(Extension.ENUM, "Nothing", "x"),
        ext(Extension.ENUM, ["Colour"], "RED"),
        ext(Extension.NAMED_TUPLE, "Point", 1),
        ext(Extension.NAMED_TUPLE, "Point", 1, 2, 3),
        ext(Extension.NAMED_TUPLE, "Colour", 1, 2),
        ext(Extension.NAMED_TUPLE),
        ext(Extension.RECORD, "Page", "__class__", 1),
        ext(Extension.RECORD, "Page", "cache", 1),
        ext(Extension.RECORD, "Page", 1, 1),
        ext(Extension.RECORD, "Page", [1]),
        ext(Extension.RECORD, "Page", "text"),
        ext(Extension.RECORD),
        ext(Extension.RECORD, "Point", "x", 1),
        ext(Extension.RECORD, "Broken", "code", 1),
        ext(Extension.RECORD, "Doc"),
        ext(Extension.RECORD, "Final"),
        ext(Extension.SET, [1]),
        ext(Extension.SET, ext(Extension.RECORD, "Hashed", "key", 1)),
        ext(Extension.DICT, ext(Extension.RECORD, "Hashed"), 1),
        ext(Extension.DICT, ext(Extension.RECORD, "Page"), 1),
        msgspec.msgpack.Ext(Extension.SHARED, pack(-1)),
        msgspec.msgpack.Ext(Extension.SHARED, pack(0)),
        msgspec.msgpack.Ext(Extension.TUPLE, pack({"a": 1})),
        msgspec.msgpack.Ext(Extension.TUPLE, pack("abc")),
        msgspec.msgpack.Ext(Extension.LIST, pack([1])),
        msgspec.msgpack.Ext(Extension.MAP, pack({})),
        msgspec.msgpack.Ext(-1, b"\xff" * 12),
        msgspec.msgpack.Ext(127, b""),
    ],
)
def test_8_4_hostile_values_are_refused_and_run_nothing(plain):
    RAN.clear()
    refused(pack([plain]))
    assert RAN == []


@pytest.mark.parametrize(
    "table",
    [
        [[]],
        [1],
        [msgspec.msgpack.Ext(Extension.TUPLE, pack([1]))],
        [msgspec.msgpack.Ext(Extension.SHARED, pack(0))],
        [msgspec.msgpack.Ext(Extension.MODEL, b"M1")],
        [msgspec.msgpack.Ext(Extension.LIST, pack({}))],
        [msgspec.msgpack.Ext(Extension.MAP, pack([]))],
        [msgspec.msgpack.Ext(Extension.SET, pack([[]]))],
        [msgspec.msgpack.Ext(Extension.RECORD, b"")],
    ],
)
def test_8_4_hostile_tables_are_refused(table):
    refused(pack([0, *table]))


def nested(code: int, levels: int) -> bytes:
    bomb = b"\xc0"
    for _ in range(levels):
        bomb = pack(msgspec.msgpack.Ext(code, b"\x91" + bomb))
    return b"\x91" + bomb


BOMBS = {
    "tuples": nested(Extension.TUPLE, 5_000),
    "lists": b"\x91" * 500_000 + b"\xc0",
    "lists just too deep": b"\x91" * 203 + b"\xc0",
    "maps": b"\x91" + b"\x81\xa1a" * 300_000 + b"\xc0",
    "frozensets": nested(Extension.FROZENSET, 3_000),
    "a list of 4 billion": b"\x91\xdd\xff\xff\xff\xff",
    "a map of 4 billion": b"\x91\xdf\xff\xff\xff\xff",
    "bytes of 4 GB": b"\x91\xc6\xff\xff\xff\xff",
    "an extension of 4 GB": b"\x91\xc9\xff\xff\xff\xff\x04",
    "a document of 4 billion": b"\xdd\xff\xff\xff\xff\xc0",
    "every place shares": pack([[msgspec.msgpack.Ext(3, pack(1))] * 1000, *[ext(17)] * 1]),
    "a long delta": pack([ext(14, 10**12, 0, 0)]),
    "a large array": pack([ext(Extension.ARRAY, "<f8", [2**31, 2**31], "C", True, b"")]),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_8_4_bombs_are_refused_soon_and_in_little_memory(bomb):
    refused(b"\x91")  # whatever is imported at first use
    gc.collect()
    tracemalloc.start()
    began = time.perf_counter()
    refused(bomb)
    took_s = time.perf_counter() - began
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert took_s < 0.5
    assert peak < 32 * len(bomb) + 4_000_000


def test_8_4_what_is_shared_does_not_multiply():
    """Each entry holds the next one twice: 2 ** 1000 lists for whoever copies, 1000 for us."""
    entries = [
        msgspec.msgpack.Ext(Extension.LIST, pack([msgspec.msgpack.Ext(Extension.SHARED, pack(number + 1))] * 2))
        for number in range(1000)
    ]
    document = pack([msgspec.msgpack.Ext(Extension.SHARED, pack(0)), *entries, msgspec.msgpack.Ext(17, pack([]))])
    try:
        read_value(document, Table())
    except SealBroken:
        return
    pytest.fail("more than 200 levels")


_page = Page("s")
SEEDS = [
    Writer(Table()).write(value, "")
    for value in (
        {"a": [1, (2, 3), {4}], "b": Page("x", [Colour.RED]), "c": Point(1, Place(2.0))},
        [[_page, _page], {1: Access(3), "d": Decimal("1.5")}, datetime.datetime(2026, 1, 2), bytearray(b"x")],
        {Hashed("a"): frozenset([Name.ADA, 2**70]), "t": "\ud800"},
    )
]


def mutate(seed: bytes, changes: list[tuple[int, int, int]]) -> bytes:
    data = bytearray(seed)
    for place, kind, byte in changes:
        at = place % (len(data) + 1)
        if kind == 0:
            data[at : at + 1] = bytes([byte])
        elif kind == 1:
            data[at:at] = bytes([byte])
        else:
            del data[at : at + 1 + byte % 4]
    return bytes(data)


_changes = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 2), st.integers(0, 255)), min_size=1, max_size=6)


@settings(max_examples=400)
@given(st.binary(max_size=300))
@example(b"\x92\x00\xd4\x11\x90")
def test_8_4_random_bytes_are_read_or_refused(data):
    read_or_refuse(data)


@settings(max_examples=600)
@given(st.sampled_from(SEEDS), _changes)
def test_8_4_mutated_documents_are_read_or_refused(seed, changes):
    read_or_refuse(mutate(seed, changes))


@settings(max_examples=400)
@given(_changes)
def test_8_4_mutated_states_are_restored_or_refused(changes):
    try:
        new_replica().restore(mutate(LIVED, changes))
    except SealBroken:
        return


LIVED = lived().snapshot()


def read_or_refuse(data: bytes) -> None:
    try:
        read_value(data, Table())
    except SealBroken:
        return
