"""Identity and canonical bytes of what is saved."""

from __future__ import annotations

import datetime
import math
from collections import defaultdict
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msq_jupyter.errors import ArgumentError, PersistenceTypeError
from msq_jupyter.stable import check_json, check_options, content_bytes, content_value, stable_json, text_digest


@pytest.mark.parametrize(
    ("options", "digest"),
    [
        ({}, "NGFDHgmU3xmPEvjTii74he91Hwn6TXDs8TqqBdRr5Uc"),
        ({"doc": "d1"}, "jIIutayUVUIfLeYVPv6X6mMbtuxWxAYBZoMvOb7eNkU"),
    ],
)
def test_1_1_the_vectors_of_the_reference(options, digest):
    assert text_digest("io.example.lab/n1" + stable_json(options)) == digest


class Level(IntEnum):
    ONE = 1


class Word(Enum):
    A = "a"


def _cycle() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


def _doubling() -> list[Any]:
    items: list[Any] = []
    for _ in range(150):
        items = [items, items]
    return items


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"documents": {"tags": {"a"}}}, "set at data.documents.tags is not JSON: sort it into a list"),
        ([math.nan], "nan at data[0] is not JSON"),
        ({"x": math.inf}, "inf at data.x is not JSON"),
        ({"x": 2**53}, "the integer 9007199254740992 at data.x is not JSON: JSON keeps 53 bits: save it as a string"),
        ({"x": {1: "a"}}, "the key 1 at data.x is not JSON: keys must be strings: use str(1)"),
        ({None: 1}, "the key None at data"),
        (["\ud800"], "a string with half a surrogate pair at data[0]"),
        ([b"x"], "bytes at data[0] is not JSON: encode it"),
        ([datetime.datetime(2026, 1, 1)], "datetime at data[0] is not JSON: use .isoformat()"),
        ([datetime.date(2026, 1, 1)], "date at data[0] is not JSON: use .isoformat()"),
        ([Decimal(1)], "Decimal at data[0] is not JSON: use str()"),
        ([print], "data[0] is not JSON: functions cannot be saved"),
        ([Level.ONE], "Level at data[0] is not JSON: convert it with int()"),
        ([Word.A], "Word at data[0] is not JSON: save its parts"),
        ({"d": defaultdict(int)}, "defaultdict at data.d is not JSON: convert it with dict()"),
        ({"the key": [{"a-b": object()}]}, "object at data['the key'][0]['a-b'] is not JSON"),
        (_cycle(), "more than 200 levels at data[0][0][0][0]"),
        (_doubling(), "one of more than"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_5_2_what_is_not_json_is_refused_with_path_and_remedy(monkeypatch, data, message):
    monkeypatch.setattr("msq_jupyter.stable.VALUES_MAX", 10_000)
    with pytest.raises(PersistenceTypeError) as caught:
        check_json(data)
    assert message in str(caught.value)
    assert caught.value.path.startswith("data")


_json = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**53) + 1, 2**53 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"])),
    ),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)),
)


@given(_json)
def test_5_2_json_passes_and_comes_back(data):
    check_json(data)
    assert content_value(content_bytes(data)) == data


def test_5_2_tuples_come_back_as_lists():
    check_json({"t": (1, (2,))})
    assert content_value(content_bytes({"t": (1, (2,))})) == {"t": [1, [2]]}


def test_5_2_content_bytes_do_not_depend_on_the_order_of_keys_but_on_types():
    assert content_bytes({"a": 1, "b": {"d": 1, "c": 2}}) == content_bytes({"b": {"c": 2, "d": 1}, "a": 1})
    assert len({content_bytes([value]) for value in (1, 1.0, True, "1")}) == 4


def test_1_2_options_are_copied_and_checked():
    options = {"a": [1]}
    copy = check_options(options)
    copy["a"].append(2)
    assert options == {"a": [1]}
    assert check_options(None) == {}
    with pytest.raises(ArgumentError, match="expected a dict of JSON data, got list"):
        check_options([])
    with pytest.raises(ArgumentError, match=r"set at options\.x is not JSON"):
        check_options({"x": set()})
