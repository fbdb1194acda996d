"""The containers of models as cells and views read them: real ones, which refuse to be changed (SEMANTICS 6.2)."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from collections import defaultdict
from types import MappingProxyType, MethodType

import numpy as np
import pytest

from msq_jupyter.errors import ModelWriteError, OutsideModelError
from msq_jupyter.runtime import copies
from msq_jupyter.stable import DEPTH_MAX
from tests.runtime.outside.poll import (
    Box,
    Cell,
    Colour,
    Point,
    Rights,
    kinds_of,
    poll_bench,
    stored,
)

# --- containers --------------------------------------------------------------------------------------------------

VALUES = {
    "dict": {"a": [1, {"b": 2}]},
    "list": [3, 1, 2],
    "set": {1, 2},
    "frozenset": frozenset({1, 2}),
    "tuple": (1, 2),
    "tuple of lists": ([1], (2, [3])),
    "dict of tuples": {(1, 2): [3], 4: "x"},
    "set of tuples": {(1, (2, 3)), "x"},
    "frozen set of frozen sets": frozenset({frozenset({(1, 2)})}),
    "bytearray": bytearray(b"x"),
    "named tuple": Point(1, [2]),
    "record": Box("b", [1, [2]]),
    "frozen records in a set": {Cell(1, 2), Cell(3, 4)},
    "records as keys": {Cell(1, 2): [Colour.RED], Colour.BLUE: Rights.READ | Rights.WRITE},
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_6_2_a_copy_is_equal_and_of_its_kind(bench, value):
    seen = stored(bench, value)
    assert seen == value
    assert value == seen
    assert isinstance(seen, bytes if isinstance(value, bytearray) else type(value))
    assert repr(seen) == (repr(bytes(value)) if isinstance(value, bytearray) else repr(value))
    assert seen is bench.replica.outside.root.stuff or seen == bench.replica.outside.root.stuff


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_6_2_copies_of_a_copy_are_plain_all_the_way_down(bench, value):
    seen = stored(bench, value)
    for plain in (copy.deepcopy(seen), pickle.loads(pickle.dumps(seen))):
        assert plain == value
        assert kinds_of(plain) == kinds_of(bytes(value) if isinstance(value, bytearray) else value)


MUTATORS = {
    dict: {*dir(dict)} - {*dir(MappingProxyType)} - {"fromkeys"} | {"__ior__"},
    list: {*dir(list)} - {*dir(tuple)} - {"copy", "__reversed__"},
    set: {*dir(set)} - {*dir(frozenset)},
}


@pytest.mark.parametrize("kind", MUTATORS)
def test_6_2_nothing_that_changes_a_container_is_forgotten(bench, kind):
    plain = {dict: {"a": 1}, list: [1], set: {1}}[kind]
    names = MUTATORS[kind]
    assert len(names) >= 8
    for name in names:
        seen = stored(bench, copy.copy(plain))
        with pytest.raises(ModelWriteError):
            getattr(seen, name)("a" if kind is dict else 0, 0)
        assert seen == plain


def test_6_2_what_is_made_of_a_copy_is_plain(bench):
    numbers, names, both = stored(bench, [[3, 1, 2], {"a": 1}, {1, 2}])
    made = [
        *(list(numbers), numbers.copy(), numbers[:2], [*numbers, 4], numbers * 2, type(numbers)(numbers)),
        *(copy.copy(numbers), [*numbers], sorted(numbers)),
        *(dict(names), names.copy(), names | {}, {} | names, {**names}, type(names)(names), copy.copy(names)),
        *(set(both), both.copy(), both | {3}, both & {1}, both - {1}, both ^ {1}, {1} | both, both.union([4])),
        *(type(both)(both), copy.copy(both)),
    ]
    assert {type(one) for one in made} == {list, dict, set}
    made[0].append(1)


def test_6_2_code_in_c_takes_copies_for_what_they_are(bench):
    seen = stored(bench, {"rows": [{"x": 1, "y": [2, 3]}, {"x": 4, "y": [5, 6]}], "numbers": [3, 1, 2]})
    assert json.loads(json.dumps(seen)) == seen
    assert json.loads(json.dumps(seen, indent=1)) == seen
    assert np.array(seen["numbers"]).tolist() == [3, 1, 2]
    assert np.array([row["y"] for row in seen["rows"]]).shape == (2, 2)
    assert max(seen["numbers"]) == 3
    assert sorted(seen["rows"], key=lambda row: -row["x"])[0]["x"] == 4
    match seen:
        case {"rows": [{"x": first}, *_], **rest}:
            assert (first, list(rest)) == (1, ["numbers"])


def test_6_2_cycles_and_what_is_shared_survive(bench):
    shared = [1]
    ring = {"one": shared, "two": (shared, shared)}
    ring["self"] = ring
    box = Box("b", [ring])
    box.things.append(box)
    ring["box"] = box
    seen = stored(bench, ring)
    assert seen["self"] is seen
    assert seen["one"] is seen["two"][0] is seen["two"][1]
    assert seen["box"].things[0] is seen
    assert seen["box"].things[1] is seen["box"]
    plain = copy.deepcopy(seen)
    assert plain["self"] is plain
    assert plain["one"] is plain["two"][1]
    bench.root.deep = shared
    bench.replica.moves += 1
    model = bench.replica.outside.root
    assert model.stuff["one"] is model.deep


@pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: {"a": x}, lambda x: (x, []), lambda x: Box("b", x)])
def test_6_2_deep_data_is_no_recursion_error(bench, wrap):
    value = []
    for _ in range(20_000):
        value = wrap(value)
    seen = stored(bench, value)
    for _ in range(20_000):
        seen = seen["a"] if isinstance(seen, dict) else seen.things if isinstance(seen, Box) else seen[0]
    with pytest.raises(ModelWriteError):
        seen.append(1)
    bench.root.stuff = None


def test_6_2_hashable_data_as_deep_as_a_model_may_hold(bench):
    value = frozenset({Cell(1, 2)})
    for number in range(DEPTH_MAX - 5):
        value = frozenset({value}) if number % 2 else Point(value, 1)
    assert stored(bench, {value: 1}) == {value: 1}


def test_6_2_models_handles_and_methods_in_containers(bench, model):
    bench.root.stuff = {bench.root.part: [bench.root, bench.root.vote]}
    bench.replica.moves += 1
    ((part, (root, method)),) = model.stuff.items()
    assert part is model.part
    assert root is model
    assert isinstance(method, MethodType)
    assert method.__self__ is model
    with pytest.raises(ModelWriteError, match=r"Poll\.vote changes"):
        method("yes")
    bench.publish("poll", "wait", 50)
    assert model.timer.time == 51
    bench.publish("poll", "set", model.timer)
    assert bench.root.stuff == bench.root.timer
    assert model.stuff == model.timer
    with pytest.raises(OutsideModelError):
        model.timer.cancel()


def test_6_2_arrays_are_read_only_and_stay_as_they_were_read(bench):
    grid = np.arange(4.0).reshape(2, 2)
    seen = stored(bench, {"grid": grid, "one": np.float32(1.5)})
    assert type(seen["grid"]) is np.ndarray
    assert seen["one"] == np.float32(1.5)
    with pytest.raises(ValueError, match="read-only"):
        seen["grid"][0, 0] = 9
    grid[0, 0] = 7
    assert seen["grid"][0, 0] == 0
    seen["grid"].flags.writeable = True
    seen["grid"][0, 0] = 9
    assert grid[0, 0] == 7


def test_6_2_dataclass_instances_refuse_too(bench):
    bench.root.deep = Box("b", [1])
    seen = stored(bench, [bench.root.deep, Cell(1, 2)])
    box, cell = seen
    assert box.__class__ is Box
    assert "name='b'" in repr(box)
    assert dataclasses.asdict(box) == {"name": "b", "things": [1]}
    assert dataclasses.replace(box, name="c") == Box("c", [1])
    assert hash(cell) == hash(Cell(1, 2))
    for write in (
        lambda: setattr(box, "name", "c"),
        lambda: box.rename("c"),
        lambda: box.put(2),
        lambda: delattr(box, "name"),
        lambda: setattr(cell, "x", 2),
    ):
        with pytest.raises(ModelWriteError):
            write()
    with pytest.raises(ModelWriteError) as caught:
        box.name = "c"
    assert caught.value.path == "Poll.stuff[0].name"
    plain = copy.copy(box)
    plain.name = "c"
    assert type(plain) is Box


def test_6_2_containers_of_other_classes_do_not_leak_models(bench):
    bench.root.transient_thing = defaultdict(list, {"a": [bench.root]})
    bench.replica.moves += 1
    seen = bench.replica.outside.root.transient_thing
    with pytest.raises(ModelWriteError):
        seen["a"].append(1)
    assert seen["a"][0] is bench.replica.outside.root


def test_6_2_sets_with_an_order_keep_it(bench, monkeypatch):
    class Ordered(dict):
        """Stands for an ordered set; what is iterated is in the order of insertion."""

    class OrderedFixed(tuple):
        """Stands for an ordered frozen set."""

    monkeypatch.setitem(copies.ORDERED_SETS, Ordered, False)
    monkeypatch.setitem(copies.ORDERED_SETS, OrderedFixed, True)
    bench = poll_bench()
    order = [f"n{number}" for number in range(40, 0, -1)]
    seen, fixed = stored(bench, [Ordered.fromkeys(order), OrderedFixed(order)])
    assert list(seen) == list(fixed) == order
    assert isinstance(seen, set)
    assert isinstance(fixed, frozenset)
    assert seen == fixed == set(order)
    assert hash(fixed) == hash(frozenset(order))
    assert repr(seen).startswith("{'n40', 'n39'")
    with pytest.raises(ModelWriteError):
        seen.add(1)
    assert type(copy.deepcopy(seen)) is set
    assert type(pickle.loads(pickle.dumps(fixed))) is frozenset
