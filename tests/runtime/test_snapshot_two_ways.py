"""That the fast way and the careful way to write values agree."""

from __future__ import annotations

from sys import getrefcount
from sysconfig import get_config_var
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msq_jupyter.errors import SealBroken, StateError
from msq_jupyter.runtime import careful, census
from msq_jupyter.runtime import snapshot as snapshot_module
from msq_jupyter.runtime.deterministic import OrderedFrozenSet, OrderedSet
from msq_jupyter.runtime.snapshot import Reader, Writer, read_value
from tests.runtime.samples import (
    MEMBERS,
    Page,
    Place,
    Point,
    Table,
    Token,
)

_scalars = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.binary(max_size=8), st.decimals(allow_nan=False)),
    st.text(st.characters(), max_size=6),
    st.integers(2**63 - 2, 2**64 + 2),
    *(st.dates(), st.times(), st.datetimes(), st.timedeltas(), st.sampled_from(MEMBERS)),
)
_keys = st.one_of(st.integers(), st.text(max_size=4), st.sampled_from(MEMBERS), st.tuples(st.integers(), st.text()))


def _around(inner):
    return st.one_of(
        *(st.lists(inner, max_size=4), st.tuples(inner, inner), st.builds(Point, inner, inner)),
        *(st.dictionaries(st.text(max_size=4), inner, max_size=4), st.dictionaries(_keys, inner, max_size=4)),
        *(st.builds(Page, st.text(max_size=3), st.lists(inner, max_size=2), inner), st.builds(Place, inner, inner)),
        *(st.sets(_keys, max_size=4), st.frozensets(_keys, max_size=4), st.binary(max_size=4).map(bytearray)),
        *(st.lists(_keys, max_size=4).map(kind) for kind in (OrderedSet, OrderedFrozenSet)),
    )


@st.composite
def graphs(draw):
    """Values, some of which are put into several places, and into themselves."""
    values = draw(st.lists(st.recursive(_scalars, _around, max_leaves=12), min_size=1, max_size=4))
    places = [value for value in values if type(value) in (list, dict)]
    for _ in range(draw(st.integers(0, 3)) if places else 0):
        place, what = draw(st.sampled_from(range(len(places)))), draw(st.sampled_from(range(len(values))))
        if type(places[place]) is list:
            places[place].append(values[what])
        else:
            places[place]["again"] = values[what]
    return values


def write_with_care(values):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Writer, "_packed", lambda *_: None)
        return Writer(Table()).write_all(values, lambda _: "doc")


def write_by_ids(values, named=0):
    """Without trusting the count of references anywhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(census, "_ONCE", census._NEVER)
        return Writer(Table()).write_all(values, lambda _: "doc", named=named)


@given(graphs(), st.integers(1, 3))
def test_2_4_the_fast_and_the_careful_way_give_the_same_bytes(values, chunk):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot_module, "_CHUNK", chunk)
        document = Writer(Table()).write_all(values, lambda _: "doc")
    assert write_with_care(values) == document
    assert write_by_ids(values) == document
    back = Reader(Table()).read_all(document, len(values))
    assert Writer(Table()).write_all(back, lambda _: "doc") == document
    assert write_with_care(back) == document


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: (v,), lambda v: {"a": v}, lambda v: {1: v}, Place, Token])
def test_2_5_both_ways_have_the_same_limit_of_depth(wrap):
    value: Any = wrap(1)
    for _ in range(199):
        value = wrap(value)
    document = Writer(Table()).write(value, "doc")
    assert write_with_care([value]) == document
    assert Writer(Table()).write(read_value(document, Table()), "doc") == document
    with pytest.raises(StateError, match="more than 200 levels"):
        Writer(Table()).write(wrap(value), "doc")
    with pytest.raises(SealBroken):
        read_value(Writer(Table(), depth=210).write(wrap(value), "doc"), Table())


def test_a_frozen_dataclass_made_to_hold_itself_is_refused():
    place = Place(1.0)
    object.__setattr__(place, "inside", place)
    with pytest.raises(StateError, match="more than 200 levels"):
        Writer(Table()).write([place], "doc")


def test_tuples_that_double_at_every_level_are_refused(monkeypatch):
    monkeypatch.setattr(careful, "VALUES_MAX", 10_000)
    value: Any = (1,)
    for _ in range(100):
        value = (value, value)
    with pytest.raises(StateError, match="more than 10,000 containers"):
        Writer(Table()).write(value, "doc")


def test_2_5_what_two_chunks_share_stays_shared():
    shared = [1]
    values = [[number, shared if number in (3, 700) else None] for number in range(1000)]
    back = Reader(Table()).read_all(Writer(Table()).write_all(values, lambda _: "doc"), 1000)
    assert back == values
    assert back[3][1] is back[700][1]


def _apart(one, other):
    return [one, *({"x": number} for number in range(600)), other]


#: Makers of rows in which something is in two places, and of which nothing but the rows refers to anything.
SHARING = {
    "a list in two rows": lambda held: [{"a": held}, {"a": held}],
    "in two attributes": lambda held: [{"a": held, "b": held}, {"a": 1, "b": 2}],
    "in rows of two lengths": lambda held: [{"a": held}, {"a": 1, "b": held}],
    "in two chunks": lambda held: _apart({"a": held}, {"a": held}),
    "deep in two chunks": lambda held: _apart({"a": [[held]]}, {"b": {"c": {"d": held}}}),
    "beside something else": lambda held: [{"a": held}, {"a": 1}, {"a": (held,)}],
    "a tuple that holds it": lambda held: (lambda pair: [{"a": pair}, {"a": pair}])((held, 1)),
    "a tuple in two chunks": lambda held: (lambda pair: _apart({"a": [pair]}, {"b": pair}))((held, 1)),
    "a frozen instance that holds it": lambda held: (lambda place: _apart({"a": place}, {"a": place}))(Place(held)),
    "an instance": lambda held: (lambda page: _apart({"a": page}, {"b": [page]}))(Page("p", held, None)),
    "itself": lambda held: held.append(held) or [{"a": held}],
    "a row in a row": lambda held: (lambda row: [{"a": row}, row, {"a": held}])({"a": 1}),
    "a row in an earlier chunk": lambda held: (lambda row: _apart({"a": row}, row))({"a": held}),
    "a row twice": lambda held: (lambda row: _apart(row, row))({"a": held}),
}


@pytest.mark.parametrize("make", SHARING.values(), ids=SHARING)
@pytest.mark.parametrize("are_named", [True, False])
def test_2_5_what_is_in_two_places_is_found_though_nothing_else_refers_to_it(make, are_named):
    rows = make([1])
    named = len(rows) * are_named
    document = Writer(Table()).write_all(rows, lambda _: "doc", named=named)
    assert len(msgspec.msgpack.decode(document, type=list[msgspec.Raw])) > len(rows)
    assert write_by_ids(rows, named) == document


# --- where counts of references say nothing ------------------------------------------------------------------------


def test_counts_are_trusted_on_the_pythons_that_were_tried():
    is_free_threaded = bool(get_config_var("Py_GIL_DISABLED"))
    assert (census.count_of_one_place() != census._NEVER) is not is_free_threaded


@pytest.mark.parametrize(
    "counting",
    [lambda _: 1, lambda value: min(getrefcount(value), 2), lambda value: getrefcount(value) % 2],
    ids=["of one", "up to two", "odd and even"],
)
def test_2_5_counts_that_do_not_tell_two_places_are_not_trusted(counting, monkeypatch):
    """A future Python may count less: what is shared is found all the same."""
    monkeypatch.setattr(census, "getrefcount", counting)
    assert census.count_of_one_place() == census._NEVER
    monkeypatch.setattr(census, "_ONCE", census.count_of_one_place())
    for make in SHARING.values():
        rows = make([1])
        back = Reader(Table()).read_all(Writer(Table()).write_all(rows, lambda _: "doc"), len(rows))
        assert Writer(Table()).write_all(back, lambda _: "doc") == Writer(Table()).write_all(rows, lambda _: "doc")
        assert len(msgspec.msgpack.decode(Writer(Table()).write_all(rows, lambda _: "doc"), type=list)) > len(rows)


def test_counts_are_not_trusted_without_a_global_lock(monkeypatch):
    monkeypatch.setattr(census, "get_config_var", lambda name: int(name == "Py_GIL_DISABLED"))
    assert census.count_of_one_place() == census._NEVER
