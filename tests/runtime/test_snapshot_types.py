"""The author's types in the codec, and models that hold them."""

from __future__ import annotations

from typing import Any

import pytest

from msq_jupyter.errors import StateError
from msq_jupyter.runtime.extensions import Extension
from msq_jupyter.runtime.snapshot import Writer, pack, read_value
from tests.runtime.samples import (
    MEMBERS,
    RAN,
    Broken,
    Final,
    Guarded,
    Named,
    Odd,
    Page,
    Place,
    Point,
    Slotted,
    Table,
    Token,
    Trouble,
    Wide,
    ext,
    lived,
    new_replica,
    refused,
    there_and_back,
)

# --- enums and named tuples --------------------------------------------------------------------------------------


@pytest.mark.parametrize("member", MEMBERS, ids=repr)
def test_2_5_a_member_of_an_enum_comes_back_as_itself(member):
    assert there_and_back(member) is member
    back = there_and_back({member: [member, (member, {member})]})
    assert list(back) == [member]
    assert back[member] == [member, (member, {member})]


def test_2_5_flags_combine_without_the_authors_code():
    three = Odd(3)
    RAN.clear()
    with pytest.raises(StateError, match=r"doc: cannot store .*Odd"):
        there_and_back(three)
    refused(pack([ext(Extension.ENUM, "Odd", 3)]))
    assert RAN == []


@pytest.mark.parametrize(
    "value",
    [Point(1, [2]), Named("a"), Named("b", Point(1, 2)), Wide("c", None), {Point(1, 2): 3}, {Named("k")}],
    ids=repr,
)
def test_2_5_a_named_tuple_comes_back(value):
    back = there_and_back(value)
    assert back == value
    assert repr(back) == repr(value)


def test_2_5_a_named_tuple_with_more_than_its_fields_is_refused():
    wide = Wide("a")
    wide.extra = 1
    with pytest.raises(StateError, match=r"doc\[0\]: cannot store .*Wide with more than its fields: make it a datacl"):
        there_and_back([wide])


# --- dataclasses -------------------------------------------------------------------------------------------------


def test_2_5_a_dataclass_comes_back_without_running_its_code():
    page = Page("a", [1, {"b": 2}], Place(0.5, (1, 2)))
    RAN.clear()
    document = Writer(Table()).write({"page": page}, "doc")
    back = read_value(document, Table())["page"]
    assert RAN == []
    assert type(back) is Page
    assert vars(back) == vars(page)
    guarded = Guarded(3)
    RAN.clear()
    assert vars(there_and_back(guarded)) == {"value": 3}
    assert RAN == []


def test_2_5_dataclasses_keep_identity_and_cycles():
    page = Page("a")
    page.next = Page("b", page.parts, page)
    token = Token("t")
    back = there_and_back([page, page.next, {"token": token}, {token: 1}])
    assert back[0].next is back[1]
    assert back[1].next is back[0]
    assert back[0].parts is back[1].parts
    assert back[3][back[2]["token"]] == 1


def test_2_5_frozen_dataclasses_are_values_like_tuples():
    place = Place(1.0, [2])
    twice, copies = [place, place], [Place(1.0, place.inside), Place(1.0, place.inside)]
    assert Writer(Table()).write(twice, "") == Writer(Table()).write(copies, "")
    back = there_and_back(twice)
    assert back == twice
    assert back[0].inside is back[1].inside


def test_2_5_what_tuples_in_several_places_hold_stays_shared():
    held: list[Any] = [1]
    pair = (held, (held,))
    back = there_and_back([pair, pair, {"deep": [(pair, 1)]}])
    assert back[0][0] is back[1][0] is back[1][1][0] is back[2]["deep"][0][0][0]


def test_2_5_slots_and_unset_fields_are_kept():
    full, half = Slotted(1, 2), object.__new__(Slotted)
    half.b = 5
    back = there_and_back([full, half])
    assert (back[0].a, back[0].b, back[1].b) == (1, 2, 5)
    assert not hasattr(back[1], "a")


def test_2_5_the_order_of_attributes_is_state():
    page = object.__new__(Page)
    vars(page).update({"parts": [], "text": "a"})
    assert list(vars(there_and_back(page))) == ["parts", "text"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: {"a": [Trouble()]}, r"doc\.a\[0\]: cannot store .*\.Trouble: store the data"),
        (lambda: Page("a", [object()]), r"doc\.parts\[0\]: cannot store object"),
        (lambda: [Point(1, Point(2, object))], r"doc\[0\]\[1\]\[1\]: cannot store type: store its name"),
        (lambda: Broken(), r"doc: cannot store .*Broken"),
        (lambda: Final(), r"doc: cannot store .*Final"),
        (lambda: {Token("a")}, r"doc\[0\]: cannot store .*Token inside of a set: a built-in set has no order"),
        (lambda: {Place(1, Place(2, Token("a")))}, r"doc\[0\]\.inside\.inside: cannot store .*Token inside of a set"),
    ],
    ids=["no table", "field", "item", "exception", "finaliser", "identity in a set", "deep in a set"],
)
def test_2_5_what_cannot_be_stored_is_named_with_its_path(make, message):
    with pytest.raises(StateError, match=message):
        there_and_back(make())


def test_2_5_an_attribute_that_is_no_field_is_refused():
    page = Page("a")
    page.cache = 1
    with pytest.raises(StateError, match=r"doc\[1\]\.cache: cannot store an attribute that is no field: declare it"):
        there_and_back([0, page])


def test_2_5_what_is_shared_is_named_where_it_was_met_first():
    shared = {"bad": [0, object()]}
    with pytest.raises(StateError, match=r"doc\.a\.bad\[1\]: cannot store object"):
        there_and_back({"a": shared, "b": [shared]})


# --- models ------------------------------------------------------------------------------------------------------


def test_2_5_a_replica_with_such_values_is_restored_whole():
    replica, twin = lived(), new_replica()
    snapshot = replica.snapshot()
    RAN.clear()
    twin.restore(snapshot)
    assert RAN == []
    assert twin.snapshot() == snapshot
    root = twin.root
    assert root.same is root.page is twin.views["ada"]["data"][0]
    twin.advance(15)
    assert root.heard == [root.page]
    assert root.heard[0] is root.page
    assert twin.views["ada"]["_msq_replica"] == 1
    assert "cache" not in vars(root)


def test_2_5_the_keys_of_view_data_are_looked_into():
    replica, twin, token = lived(), new_replica(), Token("t")
    replica.views = {"ada": {(token, 1): token}, "bob": {1: token}}
    twin.restore(replica.snapshot())
    (key,) = twin.views["ada"]
    assert key[0] is twin.views["ada"][key] is twin.views["bob"][1]


def test_2_5_the_dict_of_an_object_is_a_dict_like_others():
    class Anything:
        pass

    thing = Anything()
    thing.a = thing.b = [1]
    thing.c = bytearray(b"x")
    back = there_and_back([vars(thing)])[0]
    assert back["a"] is back["b"]
    assert type(back["c"]) is bytearray


@pytest.mark.parametrize("name", ["__class__", "__dict__", "__x"])
def test_8_4_attributes_with_the_names_of_python_are_refused(name):
    replica = lived()
    vars(replica.root)[name] = 1
    with pytest.raises(StateError, match=f"Doc.{name}: cannot store an attribute of this name"):
        replica.snapshot()
