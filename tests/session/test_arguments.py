"""Rules 1.1, 1.2 and 1.5: what identifies a session, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from msq_jupyter.session.arguments import JoinArguments, checked
from tests.session.models import Counter, EditedCounter

USUAL: dict[str, Any] = {
    "app_id": "io.example.lab",
    "name": "n1",
    "password": "pw",
    "model": Counter,
    "view": None,
    "options": None,
    "persistent_options": (),
    "synchronizer": None,
    "view_data": None,
    "tick_rate": 20,
    "debug": (),
    "join_timeout_s": 30,
    "rejoin_limit_ms": 1000,
    "persist_interval_ms": 5000,
    "persisted": "latest",
    "code_hash": None,
}


def given(**changes: Any) -> JoinArguments:
    return checked(**{**USUAL, **changes})


def test_1_1_join_gives_the_vectors_of_the_reference():
    assert given().persistent_id == "NGFDHgmU3xmPEvjTii74he91Hwn6TXDs8TqqBdRr5Uc"
    chosen = given(options={"doc": "d1", "other": 2}, persistent_options=["doc"])
    assert chosen.persistent_id == "jIIutayUVUIfLeYVPv6X6mMbtuxWxAYBZoMvOb7eNkU"


@pytest.mark.parametrize(
    "changes",
    [
        {"password": "another"},
        {"model": EditedCounter},
        {"tick_rate": 1},
        {"view_data": {"name": "Ben"}},
        {"rejoin_limit_ms": 0},
        {"persist_interval_ms": 0},
        {"debug": "session state"},
        {"join_timeout_s": 1},
        {"persisted": "ignore"},
        {"synchronizer": "ws://127.0.0.1:1"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_1_1_and_1_2_nothing_else_enters_the_ids(changes):
    assert given(**changes).persistent_id == given().persistent_id
    assert given(**changes).session_id("code") == given().session_id("code")


def test_1_1_only_persistent_options_are_part_of_the_saved_datas_identity():
    one = given(options={"doc": 1, "x": 1}, persistent_options=["doc"])
    other = given(options={"doc": 1, "x": 2}, persistent_options=["doc"])
    assert one.persistent_id == other.persistent_id
    assert one.session_id("code") != other.session_id("code")
    assert given(options={"doc": 2}, persistent_options=["doc"]).persistent_id != one.persistent_id


def test_1_1_neither_the_order_of_options_nor_that_of_their_names_matters():
    one = given(options={"a": 1, "b": {"c": 1, "d": 2}, "e": 3}, persistent_options=["a", "b"])
    other = given(options={"e": 3, "b": {"d": 2, "c": 1}, "a": 1}, persistent_options=["b", "a"])
    assert (one.persistent_id, one.session_id("code")) == (other.persistent_id, other.session_id("code"))


def test_1_2_code_options_app_and_name_enter_the_session_id():
    different = [
        given().session_id("code"),
        given().session_id("edited code"),
        given(options={"x": 1}).session_id("code"),
        given(options={"x": 1.5}).session_id("code"),
        given(options={"x": "1"}).session_id("code"),
        given(options={"x": True}).session_id("code"),
        given(options={"x": 1}, persistent_options=["x"]).session_id("code"),
        given(name="n2").session_id("code"),
        given(app_id="io.example").session_id("code"),
    ]
    assert len(set(different)) == len(different)


@pytest.mark.parametrize(
    "name",
    [
        "m",
        "myapp",
        "a.b",
        "x" * 128,
        "日" * 128,
        "lesson 1",
        "a/b",
        "a:b",
        "..",
        "🙂",
        "ä",
        "e\u0301",
        "\u200b",
        "\U0001fae9",
    ],
)
def test_1_5_any_name_of_1_to_128_characters_is_accepted(name):
    one = given(app_id=name, name=name)
    assert (one.app_id, one.name) == (name, name)
    assert len(one.session_id("code")) == len(one.persistent_id) == 43
