"""Ordered sets: what built-in sets do, in an order that is defined."""

from __future__ import annotations

import copy
import json
import operator
import pickle
from collections.abc import Set as AbstractSet

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msq_jupyter.errors import DeterminismError
from msq_jupyter.runtime.deterministic import OrderedFrozenSet, OrderedSet, set_display, view_set

_items = st.lists(st.one_of(st.integers(-5, 5), st.sampled_from("abc"), st.none()), max_size=8)
_kinds = st.sampled_from([OrderedSet, OrderedFrozenSet, set, frozenset])
_ours = st.sampled_from([OrderedSet, OrderedFrozenSet])
_others = st.sampled_from([OrderedSet, OrderedFrozenSet, set, frozenset, list, tuple, dict.fromkeys])
_BUILT_IN = {OrderedSet: set, OrderedFrozenSet: frozenset}

OPERATORS = [operator.or_, operator.and_, operator.sub, operator.xor]
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
METHODS = ["union", "intersection", "difference"]
CHANGES = ["update", "intersection_update", "difference_update", "symmetric_difference_update"]


def unordered(value: object) -> object:
    """What Python's own sets would have given."""
    if isinstance(value, OrderedSet):
        return set(value)
    return frozenset(value) if isinstance(value, OrderedFrozenSet) else value


def first_seen(*parts) -> list:
    return list(dict.fromkeys(item for part in parts for item in part))


@given(_items, _items, _ours, _kinds)
def test_6_1_operators_give_what_built_in_sets_give(left, right, kind, other):
    a, b = kind(left), other(right)
    x, y = _BUILT_IN[kind](left), frozenset(right)
    for operate in OPERATORS:
        assert unordered(operate(a, b)) == operate(x, y)
        assert type(operate(a, b)) is kind
        assert unordered(operate(b, a)) == operate(y, x)
        assert isinstance(operate(b, a), (OrderedSet, OrderedFrozenSet))
    for compare in COMPARISONS:
        assert compare(a, b) == compare(x, y)
        assert compare(b, a) == compare(y, x)


@given(_items, _items, _ours)
def test_6_1_the_order_is_that_of_insertion(left, right, kind):
    a, b = kind(left), kind(right)
    assert list(a) == first_seen(left)
    assert list(a | b) == list(a.union(b)) == first_seen(left, right)
    assert list(a & b) == list(a.intersection(b)) == [x for x in first_seen(left) if x in right]
    assert list(a - b) == list(a.difference(b)) == [x for x in first_seen(left) if x not in right]
    only_right = [x for x in first_seen(right) if x not in left]
    assert list(a ^ b) == list(a.symmetric_difference(b)) == list(a - b) + only_right


@given(_items, st.lists(_items, max_size=3), _others, _ours)
def test_6_1_methods_take_any_number_of_iterables(first, rest, other, kind):
    a, x = kind(first), _BUILT_IN[kind](first)
    others = [other(items) for items in rest]
    for method in METHODS:
        result = getattr(a, method)(*others)
        assert unordered(result) == getattr(x, method)(*rest)
        assert result is not a or kind is OrderedFrozenSet
    for items, made in zip(rest, others, strict=True):
        assert unordered(a.symmetric_difference(made)) == x.symmetric_difference(items)
        for method in ("isdisjoint", "issubset", "issuperset"):
            assert getattr(a, method)(made) == getattr(x, method)(items)
    assert list(a) == first_seen(first)


@given(_items, st.lists(st.tuples(st.sampled_from(CHANGES), _items), max_size=4), _others)
def test_6_1_changes_in_place_are_those_of_built_in_sets(first, changes, other):
    a, x = OrderedSet(first), set(first)
    for method, items in changes:
        assert getattr(a, method)(other(items)) is None
        getattr(x, method)(items)
        assert a == x
    same = a
    for operate in (operator.ior, operator.iand, operator.isub, operator.ixor):
        for _, items in changes:
            a, x = operate(a, OrderedSet(items)), operate(x, set(items))
            assert a is same
            assert a == x


@given(_items, st.lists(st.tuples(st.sampled_from(["add", "discard", "remove"]), st.integers(-5, 5)), max_size=9))
def test_6_1_elements_come_and_go_in_order(first, steps):
    a, model = OrderedSet(first), first_seen(first)
    for method, item in steps:
        if method == "remove" and item not in model:
            with pytest.raises(KeyError) as caught:
                a.remove(item)
            assert caught.value.args == (item,)
            continue
        assert getattr(a, method)(item) is None
        if method == "add" and item not in model:
            model.append(item)
        elif method != "add" and item in model:
            model.remove(item)
        assert list(a) == model
        assert len(a) == len(model)
        assert bool(a) == bool(model)
    while model:
        assert a.pop() == model.pop()  # the last one first
    with pytest.raises(KeyError, match="pop from an empty set"):
        a.pop()


def test_6_1_operators_refuse_what_is_no_set():
    for operate in OPERATORS:
        for left, right in ((OrderedSet([1]), [1]), ([1], OrderedSet([1])), (OrderedFrozenSet(), "a")):
            with pytest.raises(TypeError, match="unsupported operand"):
                operate(left, right)
    changed = OrderedSet()
    with pytest.raises(TypeError, match="unsupported operand"):
        changed |= [1]  # type: ignore[assignment]
    with pytest.raises(TypeError, match="not supported between"):
        _ = OrderedSet() < [1]
    assert OrderedSet([1]) != [1]


def test_6_1_built_in_sets_are_put_into_a_fixed_order():
    mixed = {"b", "a", 3, -1, 2.5, None, b"x", True, ("b", 1), ("a", 2), frozenset({2, 1})}
    expected = [None, True, b"x", 2.5, frozenset({1, 2}), -1, 3, "a", "b", ("a", 2), ("b", 1)]
    assert list(OrderedSet(mixed)) == list(OrderedFrozenSet(mixed)) == expected
    assert list(OrderedSet(["z"]) | mixed) == ["z", *expected]
    assert list(mixed | OrderedSet(["z"])) == [*expected, "z"]
    assert list(OrderedSet([9]) ^ {8, 0}) == [9, 0, 8]
    assert repr(OrderedSet({float("nan"), 1.0})) == "{1.0, nan}"


def test_6_1_a_built_in_set_without_an_order_is_refused():
    with pytest.raises(DeterminismError) as caught:
        OrderedSet({object(), object()})
    assert str(caught.value) == (
        "expected a set whose elements can be put into an order, got a built-in set that holds a object: built-in "
        "sets, which library code makes, have none; sort it first: sorted(items, key=...)"
    )
    only = object()
    assert list(OrderedSet({only})) == [only]


def test_6_1_sets_inside_of_sets():
    inner = OrderedSet([1, 2])
    outer = OrderedSet([OrderedFrozenSet([2, 1]), "x"])
    assert inner in outer
    assert {1, 2} in outer
    assert frozenset({1, 2}) in outer
    outer.discard(inner)
    assert list(outer) == ["x"]
    with pytest.raises(TypeError, match="unhashable"):
        outer.add(inner)
    with pytest.raises(TypeError, match="unhashable"):
        _ = [] in outer


def test_6_1_frozen_sets_have_the_hashes_of_what_they_equal():
    assert hash(OrderedFrozenSet("ab")) == hash(OrderedFrozenSet("ba")) == hash(frozenset("ab"))
    assert {OrderedFrozenSet("ab"): 1}[frozenset("ba")] == 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(OrderedSet())


def test_6_1_sets_look_like_sets():
    assert repr(OrderedSet()) == "set()"
    assert repr(OrderedSet(["b", "a"])) == "{'b', 'a'}"
    assert repr(OrderedFrozenSet()) == "frozenset()"
    assert repr(OrderedFrozenSet([2, 1])) == "frozenset({2, 1})"
    assert type(OrderedSet()).__name__ == "set"
    assert isinstance(OrderedSet(), AbstractSet)
    assert not isinstance(OrderedSet(), dict)
    assert set_display((2, 1, 2)) == OrderedSet([2, 1])
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps(OrderedSet())
    with pytest.raises(TypeError, match="not reversible"):
        reversed(OrderedSet())
    assert OrderedSet[int].__origin__ is OrderedSet


@pytest.mark.parametrize("kind", [OrderedSet, OrderedFrozenSet])
def test_6_1_copies_keep_the_order(kind):
    original = kind(["b", "a", (1, 2)])
    for made in (original.copy(), copy.copy(original), copy.deepcopy(original), pickle.loads(pickle.dumps(original))):
        assert list(made) == list(original)
        assert type(made) is kind
    other = original.copy()
    if kind is OrderedSet:
        other.add("c")
        assert "c" not in original


@given(st.dictionaries(st.integers(), st.integers(), max_size=5), st.lists(st.integers(), max_size=5))
def test_6_1_algebra_of_dict_views_has_the_order_of_its_left_side(data, other):
    for symbol, operate in (("|", operator.or_), ("&", operator.and_), ("-", operator.sub), ("^", operator.xor)):
        result = view_set(data.keys(), symbol, other)
        assert type(result) is OrderedSet
        assert result == operate(data.keys(), other)
        assert list(result) == list(view_set(OrderedSet(data), symbol, dict.fromkeys(other).keys()))
    assert view_set(6, "&", 3) == 2
    assert view_set({1}, "|", {2}) == {1, 2}
