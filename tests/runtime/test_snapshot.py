"""The codec: what goes in comes out, of the same type, with shared identity; what cannot is named by its path."""

from __future__ import annotations

import contextlib
import datetime
import io
import math
import types
from decimal import Decimal
from enum import IntEnum
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msq_jupyter.errors import SealBroken, StateError
from msq_jupyter.runtime.deterministic import OrderedFrozenSet, OrderedSet
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.snapshot import NoWorld, Writer, pack, pack_value, read_value
from tests.runtime.bench import Bench


def there_and_back(value: Any) -> Any:
    return read_value(pack_value(value, "value"), NoWorld())


UTC = datetime.timezone.utc

VALUES = [
    *(None, True, False, 0, 1, -1, 2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**40, -(10**40)),
    *(0.0, -0.0, 1.0, 1e300, math.inf, -math.inf, "", "ä", "\ud800", b"", b"\x00\xff", bytearray(b"x")),
    *([], [1, [2]], (), (1,), (1, (2, [3])), {}, {"a": 1}, {"ä": 1}, {1: 2, (3, 4): 5, None: 6}, {"\ud800": 1}),
    *(OrderedSet(), OrderedSet([2, 1]), OrderedFrozenSet(["b", 1, "a"]), OrderedSet([OrderedFrozenSet("ba")])),
    *(Decimal("1.10"), Decimal("NaN"), Decimal("-0")),
    *(datetime.date(2026, 1, 2), datetime.time(1, 2, 3, 4), datetime.timedelta(days=-1, microseconds=5)),
    *(datetime.datetime(2026, 1, 2, 3, 4, 5, 6), datetime.datetime(2026, 1, 2, tzinfo=UTC)),
    datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=5, minutes=30))),
    datetime.datetime(2026, 10, 25, 2, 30, fold=1),
    datetime.datetime(2026, 1, 2, 3, 4, 5, 600_000, tzinfo=datetime.timezone(-datetime.timedelta(minutes=1))),
    *(datetime.time(2, 30, fold=1), datetime.time(23, 59, 59, 999_999, UTC)),
    *(datetime.datetime.min, datetime.datetime.max, datetime.date.min, datetime.timedelta.min, datetime.timedelta.max),
    *(Decimal("sNaN12"), Decimal("-Infinity"), Decimal("1E+999999"), Decimal("0.000"), Decimal(10**40 + 1)),
    *(5e-324, 2.0**53 + 1, 1 << 4096, -(1 << 63), {-0.0: 1}, {0.5: 1, "a": 2, b"b": 3, frozenset({1}): 4, (): 5}),
    *({True: 1, None: 2}, [True, 1, 1.0], "a\x00b", "🙂" * 3, "e\u0301", "\u00e9"),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_2_5_a_value_comes_back_equal_and_of_the_same_type(value):
    back = there_and_back(value)
    assert type(back) is type(value)
    assert repr(back) == repr(value)


def test_6_1_a_built_in_set_comes_back_with_an_order_that_does_not_depend_on_its_own():
    # 0 and 8 share a place in a table of eight: the first one there comes first.
    one, other = {0, 8}, {8, 0}
    assert list(one) != list(other)
    assert pack_value(one, "value") == pack_value(other, "value")
    assert list(there_and_back({8, "b", 0, "a"})) == [0, 8, "a", "b"]
    back = there_and_back(one)
    assert type(back) is OrderedSet
    assert list(back) == list(there_and_back(other)) == [0, 8]
    assert type(there_and_back(frozenset(one))) is OrderedFrozenSet
    assert pack_value(back, "value") == pack_value(one, "value")


def test_6_1_the_order_of_a_set_is_state():
    one, other = OrderedSet("ab"), OrderedSet("ba")
    assert one == other
    assert pack_value(one, "value") != pack_value(other, "value")
    assert "".join(there_and_back(one)) == "ab"
    assert ["".join(item) for item in there_and_back([other, other])] == ["ba", "ba"]


def test_2_5_sets_keep_their_identity_and_what_has_one():
    shared = OrderedSet([1])
    back = there_and_back({"a": shared, "b": [shared], "c": OrderedFrozenSet([(1, 2)])})
    assert back["a"] is back["b"][0]
    back["a"].add(2)
    assert list(back["b"][0]) == [1, 2]
    with pytest.raises(StateError, match=r"value\[1\]: cannot store object"):
        pack_value(OrderedSet([1, object()]), "value")


class Bag(Model):
    def init(self, options):
        self.items = OrderedSet()
        self.seen = []
        self.subscribe("bag", "put", self.put)
        self.subscribe("bag", "take", self.take)

    def put(self, items):
        self.items |= items
        self.seen.append(type(items))

    def take(self, items):
        self.items -= items


def test_6_1_a_set_goes_on_in_the_same_order_after_a_restore():
    bench = Bench(Bag)
    bench.publish("bag", "put", {"z", "a", 8, 0})
    bench.publish("bag", "put", OrderedSet(["q", "b"]))
    bench.publish("bag", "take", {"a"})
    assert not bench.failures()
    assert bench.root.seen == [OrderedSet, OrderedSet]
    del bench.root.seen
    assert list(bench.root.items) == [0, 8, "z", "q", "b"]
    twin = bench.twin()
    assert list(twin.root.items) == list(bench.root.items)
    assert twin.root.items.pop() == bench.root.items.pop() == "b"
    assert twin.snapshot() == bench.replica.snapshot()


def test_2_5_nan_comes_back():
    assert math.isnan(there_and_back(math.nan))


_scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary())
_keys = st.one_of(st.none(), st.integers(), st.text(), st.tuples(st.integers(), st.text()))
_values = st.recursive(
    _scalars,
    lambda inner: st.one_of(
        st.lists(inner), st.tuples(inner, inner), st.dictionaries(_keys, inner), st.dictionaries(st.text(), inner)
    ),
    max_leaves=30,
)


@given(_values)
def test_2_5_any_structure_comes_back(value):
    back = there_and_back(value)
    assert back == value
    assert pack_value(back, "value") == pack_value(value, "value")


def test_2_5_cycles_and_shared_identity_survive():
    shared: list[Any] = [1]
    cycle: dict[str, Any] = {"a": shared, "b": (shared, {"deep": shared}), 3: shared}
    cycle["self"] = cycle
    back = there_and_back(cycle)
    assert back["a"] is back["b"][0] is back["b"][1]["deep"] is back[3]
    assert back["self"] is back


def test_2_4_the_order_of_keys_is_kept_and_is_state():
    assert list(there_and_back({"b": 1, "a": 2})) == ["b", "a"]
    assert pack_value({"b": 1, "a": 2}, "") != pack_value({"a": 2, "b": 1}, "")


def test_2_5_sets_have_the_same_bytes_whatever_their_order():
    assert pack_value({8, 0}, "") == pack_value({0, 8}, "")


class Node(Model):
    def init(self, options):
        self.other = None

    def hello(self):
        return self.id


class Root(Model):
    def init(self, options):
        self.nodes = [Node.create() for _ in range(2)]
        self.nodes[0].other, self.nodes[1].other = self.nodes[1], self.nodes[0]
        self.call = self.nodes[0].hello
        self.shared = self.nodes


def test_2_5_models_and_their_methods_are_references():
    twin = Bench(Root, Node).twin()
    first, second = twin.root.nodes
    assert first.other is second
    assert second.other is first
    assert twin.root.call() == first.id
    assert twin.root.shared is twin.root.nodes
    assert type(first) is Node


def test_2_5_what_models_messages_and_views_share_stays_shared():
    bench = Bench(Root, Node)
    shared = {"list": []}
    for node in bench.root.nodes:
        vars(node)["held"] = shared
    bench.replica.schedule.add(5, 0, "M2", "hello", (shared, [shared]))
    bench.replica.views["ada"] = shared["list"]
    twin = bench.twin()
    first, second = twin.root.nodes
    (message,) = twin.schedule.messages()
    assert first.held is second.held is message.args[0] is message.args[1][0]
    assert first.held["list"] is twin.views["ada"]


class Colour(IntEnum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"pages": [{"handle": io.StringIO()}]}, r"doc\.pages\[0\]\.handle: cannot store _io\.StringIO"),
        ({"x": lambda: 1}, r"doc\.x: cannot store function: a model may hold its own methods"),
        ([types], r"doc\[0\]: cannot store module"),
        ([Colour.RED], r"doc\[0\]: cannot store tests.runtime.test_snapshot.Colour: convert it with int\(\)"),
        ({"a b": {3: object()}}, r"doc\['a b'\]\[3\]: cannot store object: store the data"),
        ([Node], r"doc\[0\]: cannot store type: store its name"),
        (
            datetime.datetime(2026, 1, 1, tzinfo=__import__("zoneinfo").ZoneInfo("Europe/Berlin")),
            r"doc: cannot store a time in the zone Europe/Berlin: .*astimezone",
        ),
    ],
    ids=["file", "function", "module", "enum", "odd keys", "class", "zone"],
)
def test_2_5_what_cannot_be_stored_is_named_with_path_and_remedy(value, message):
    with pytest.raises(StateError, match=message):
        pack_value(value, "doc")


def test_2_5_deep_nesting_ends_in_an_error_and_not_in_a_crash():
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(StateError, match="more than 200 levels"):
        pack_value(deep, "doc")
    while deep:  # a list this deep must be taken apart by hand
        deep = deep[0]


def test_1_4_a_model_of_another_replica_is_no_reference():
    stranger = Bench(Root, Node).root
    with pytest.raises(StateError, match=r"cannot store .*Root"):
        Writer(Bench(Root, Node).replica).write(stranger, "x")


EXT = msgspec.msgpack.Ext


@pytest.mark.parametrize(
    "plain",
    [
        EXT(99, b""),
        EXT(1, b"M7"),
        EXT(1, b"\xff"),
        EXT(2, pack(["M1", "__class__"])),
        EXT(2, pack(["M1", "id"])),
        EXT(2, pack(["M1", "_replica"])),
        EXT(2, pack(["M1"])),
        EXT(3, pack(5)),
        EXT(3, b""),
        EXT(7, pack([1])),
        EXT(7, pack([[], 1])),
        EXT(5, pack([[]])),
        EXT(11, b"yesterday"),
        EXT(14, pack([10**12, 0, 0])),
        EXT(15, b"one"),
        EXT(16, pack(["x"])),
    ],
)
def test_8_4_hostile_extensions_are_refused(plain):
    replica = Bench(Root, Node).replica
    with pytest.raises(SealBroken):
        read_value(pack([plain]), replica)


@given(st.binary(max_size=200))
def test_8_4_random_bytes_decode_or_are_refused(data):
    with contextlib.suppress(SealBroken):
        read_value(data, NoWorld())


def test_8_4_nesting_bombs_are_refused():
    with pytest.raises(SealBroken):
        read_value(b"\x91" * 200_000 + b"\xc0", NoWorld())
    bomb = pack(1)
    for _ in range(5000):
        bomb = pack(EXT(4, b"\x91" + bomb))
    with pytest.raises(SealBroken):
        read_value(b"\x91" + bomb, NoWorld())
