"""The author's types and NumPy's in the codec; that both ways of writing agree; what hostile bytes can do (nothing)."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import gc
import math
import time
import tracemalloc
from collections import namedtuple
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from msq_jupyter.errors import SealBroken, StateError
from msq_jupyter.runtime import careful
from msq_jupyter.runtime import snapshot as snapshot_module
from msq_jupyter.runtime.extensions import Extension
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.runtime.snapshot import NoWorld, Reader, Writer, pack
from msq_jupyter.runtime.value_types import ValueTypes

RAN: list[str] = []


class Colour(enum.Enum):
    RED = 1
    CRIMSON = 1  # noqa: PIE796
    BLUE = "b"


class Size(enum.IntEnum):
    SMALL = 1


class Name(str, enum.Enum):
    ADA = "ada"


class Access(enum.Flag):
    READ = 1
    WRITE = 2
    BOTH = 3


class Odd(enum.Flag):
    ONE = 1
    TWO = 2

    @classmethod
    def _missing_(cls, value):
        RAN.append("_missing_")
        return super()._missing_(value)


Point = namedtuple("Point", "x y")


class Named(NamedTuple):
    label: str
    at: Any = None


class Wide(Named):
    """A subclass without `__slots__`: its instances can hold more than their fields."""


@dataclasses.dataclass
class Page:
    text: str
    parts: list[Any] = dataclasses.field(default_factory=list)
    next: Any = None

    def __post_init__(self):
        RAN.append("__post_init__")

    def __setattr__(self, name, value):
        RAN.append("__setattr__")
        object.__setattr__(self, name, value)

    def __getattribute__(self, name):
        if not name.startswith("__"):
            RAN.append(name)
        return object.__getattribute__(self, name)

    def __setstate__(self, state):
        RAN.append("__setstate__")

    def __reduce__(self):
        RAN.append("__reduce__")
        return object.__reduce__(self)


@dataclasses.dataclass(frozen=True)
class Place:
    x: float
    inside: Any = None


@dataclasses.dataclass(frozen=True, eq=False)
class Token:
    name: str


@dataclasses.dataclass
class Guarded:
    """A field that is a property: setting it runs code, filling the instance does not."""

    value: int = 0


def _set_value(self, value):
    RAN.append("setter")
    self.__dict__["value"] = value


Guarded.value = property(lambda self: self.__dict__["value"], _set_value)  # type: ignore[assignment]


@dataclasses.dataclass
class Slotted:
    __slots__ = ("a", "b")
    a: int
    b: int


@dataclasses.dataclass
class Trouble:
    """Not in any table."""


@dataclasses.dataclass(frozen=True)
class Hashed:
    """Its hash is the author's code, and fails on what it was not made for."""

    key: str

    def __hash__(self):
        return hash(self.key.upper())


@dataclasses.dataclass
class Final:
    """Something would run when it goes."""

    def __del__(self):
        RAN.append("__del__")


@dataclasses.dataclass
class Broken(Exception):
    """A dataclass that `object.__new__` cannot make."""

    code: int = 0


TYPES = [
    Colour,
    Size,
    Name,
    Access,
    Odd,
    Point,
    Named,
    Wide,
    Page,
    Place,
    Token,
    Guarded,
    Slotted,
    Hashed,
    Broken,
    Final,
]


class Table(NoWorld):
    value_types = ValueTypes({kind.__name__: kind for kind in TYPES})


def there_and_back(value: Any) -> Any:
    document = Writer(Table()).write(value, "doc")
    back = Reader(Table()).read(document)
    assert Writer(Table()).write(back, "doc") == document
    return back


def refused(document: bytes) -> SealBroken:
    with pytest.raises(SealBroken) as caught:
        Reader(Table()).read(document)
    return caught.value


def ext(code: int, *parts: Any) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(code, pack(list(parts)))


# --- enums and named tuples --------------------------------------------------------------------------------------

MEMBERS = [
    *(Colour.RED, Colour.CRIMSON, Colour.BLUE, Size.SMALL, Name.ADA),
    *(Access.READ, Access.BOTH, Access(0), Access.READ | Access.WRITE, Odd.ONE),
]


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
    back = Reader(Table()).read(document)["page"]
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
        (lambda: {Token("a")}, r"doc\[0\]: cannot store .*Token inside of a set: a set has no order"),
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


# --- NumPy -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def numpy():
    return pytest.importorskip("numpy")


def arrays(numpy):
    grid = numpy.arange(24, dtype="int32").reshape(2, 3, 4)
    return [
        *(grid, grid[:, ::2], grid.T, numpy.asfortranarray(grid[0]), grid[::-1], grid.astype(">i4")),
        *(numpy.array(1.5), numpy.zeros((0, 3)), numpy.zeros((2, 0)), numpy.array([], dtype="S1")),
        *(numpy.array([True, False]), numpy.array([-0.0, math.nan, math.inf]), numpy.array([1 + 2j], "complex64")),
        *(numpy.array(["ä", "xyz"]), numpy.array([b"a", b"bc"]), numpy.array([1, 2], dtype="float16")),
        *(numpy.array(["2026-01-02"], dtype="M8[ns]"), numpy.array([5], dtype="m8[D]")),
        *(numpy.array([2**64 - 1], "uint64"), numpy.arange(5, dtype=">f8")[::2]),
    ]


def test_2_5_arrays_come_back(numpy):
    for array in arrays(numpy):
        back = there_and_back({"a": array})["a"]
        assert type(back) is numpy.ndarray
        assert (back.dtype, back.shape) == (array.dtype, array.shape)
        assert back.tobytes() == array.tobytes()
        assert back.flags.owndata
        assert back.flags.writeable == array.flags.writeable
        assert back.flags.f_contiguous == array.flags.f_contiguous or not array.flags.forc


def test_2_5_arrays_keep_identity_and_being_read_only(numpy):
    array = numpy.arange(3)
    array.flags.writeable = False
    back = there_and_back([array, {"again": array}, numpy.arange(3)])
    assert back[0] is back[1]["again"]
    assert back[0] is not back[2]
    assert not back[0].flags.writeable
    assert back[2].flags.writeable


def test_2_5_numpy_scalars_keep_their_type(numpy):
    for scalar in (numpy.float64(0.1), numpy.int8(-3), numpy.bool_(True), numpy.str_("ä"), numpy.datetime64("2026")):
        back = there_and_back([scalar, {scalar: 1}])
        assert type(back[0]) is type(scalar)
        assert back == [scalar, {scalar: 1}]


def test_2_5_arrays_that_mean_something_else_elsewhere_are_refused(numpy):
    base = numpy.arange(4)
    for value, message in [
        (numpy.array([object()]), r"doc\[0\]: cannot store an array of object: use numbers"),
        (numpy.zeros(1, dtype=[("a", "i4")]), "cannot store an array of "),
        (numpy.zeros(1, dtype="longdouble"), "cannot store an array of "),
        (numpy.ma.array([1]), "cannot store numpy"),
        (numpy.frombuffer(bytearray(8)), "in the memory of a .*: store a .copy"),
    ]:
        with pytest.raises(StateError, match=message):
            there_and_back([value])
    with pytest.raises(StateError, match=r"doc\[1\]: cannot store an array that shares its memory with another one"):
        there_and_back([base[:2], base[2:]])


def array_ext(*parts: Any) -> bytes:
    return pack([ext(Extension.ARRAY, *parts)])


@pytest.mark.parametrize(
    "parts",
    [
        ("|O", [1], "C", True, b"12345678"),
        ("O", [1], "C", True, b"12345678"),
        ("<i4,<i4", [1], "C", True, b"12345678"),
        ("[('a', '<i8')]", [1], "C", True, b"12345678"),
        ([["a", "<i8"]], [1], "C", True, b"12345678"),
        ("|V8", [1], "C", True, b"12345678"),
        ("<i8", [-1], "C", True, b"12345678"),
        ("<i8", [-1, -1], "C", True, b"12345678"),
        ("<i8", [True], "C", True, b"12345678"),
        ("<i8", [1.0], "C", True, b"12345678"),
        ("<i8", [2**62], "C", True, b"12345678"),
        ("<i8", [2**40, 2**40], "C", True, b""),
        ("<i8", [0, 2**63], "C", True, b""),
        ("<i8", [1] * 100, "C", True, b"12345678"),
        ("<i8", [2], "C", True, b"12345678"),
        ("<i8", [1], "K", True, b"12345678"),
        ("<i8", [1], "C", 1, b"12345678"),
        ("<i8", [1], "C", True, "12345678"),
        ("<i8", 1, "C", True, b"12345678"),
        ("<i8", [1], "C", True),
        ("|b1", [1], "C", True, b"\x02"),
        ("<U1", [1], "C", True, b"\xff\xff\xff\xff"),
        ("<U0", [10**9], "C", True, b""),
        ("|S999999999", [10**9], "C", True, b""),
        ("<f16", [1], "C", True, b"1234567812345678"),
        ("<M8[parsec]", [1], "C", True, b"12345678"),
    ],
    ids=str,
)
def test_8_4_hostile_arrays_are_refused(numpy, parts):
    refused(array_ext(*parts))
    refused(pack([ext(Extension.SCALAR, *parts)]))


def test_8_4_a_scalar_with_a_shape_is_refused(numpy):
    refused(pack([ext(Extension.SCALAR, "<i8", [1], "C", True, b"12345678")]))


# --- both ways of writing ----------------------------------------------------------------------------------------

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


@settings(deadline=None)
@given(graphs(), st.integers(1, 3))
def test_2_4_the_fast_and_the_careful_way_give_the_same_bytes(values, chunk):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot_module, "_CHUNK", chunk)
        document = Writer(Table()).write_all(values, lambda _: "doc")
    assert write_with_care(values) == document
    back = Reader(Table()).read_all(document, len(values))
    assert Writer(Table()).write_all(back, lambda _: "doc") == document
    assert write_with_care(back) == document


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: (v,), lambda v: {"a": v}, lambda v: {1: v}, Place, Token])
def test_both_ways_have_the_same_limit_of_depth(wrap):
    value: Any = wrap(1)
    for _ in range(199):
        value = wrap(value)
    document = Writer(Table()).write(value, "doc")
    assert write_with_care([value]) == document
    assert Writer(Table()).write(Reader(Table()).read(document), "doc") == document
    with pytest.raises(StateError, match="more than 200 levels"):
        Writer(Table()).write(wrap(value), "doc")
    with pytest.raises(SealBroken):
        Reader(Table()).read(Writer(Table(), depth=210).write(wrap(value), "doc"))


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


# --- models ------------------------------------------------------------------------------------------------------


class Doc(Model):
    transient = ("cache",)

    def init(self, options):
        self.page = Page("a", [Colour.RED])
        self.same = self.page
        self.marks = {1: {Size.SMALL, Size.SMALL}, (2, "b"): bytearray(b"c")}
        self.cache = self.marks[1]
        self.parts = [Part.create(number) for number in range(3)]
        self.future(10).hear([self.page])
        self.subscribe("a", "b", self.hear)
        self.wait = self.future(20).hear(None)

    def hear(self, data):
        self.heard = data

    @property
    def expensive(self):
        RAN.append("property")

    def __getattr__(self, name):
        RAN.append(name)
        raise AttributeError(name)


class Part(Model):
    def init(self, number):
        self.number = number
        self.near = Place(number, None)


def new_replica() -> Replica:
    return Replica("session", "run", {"Doc": Doc, "Part": Part}, None, {kind.__name__: kind for kind in TYPES})


def lived() -> Replica:
    replica = new_replica()
    replica.start(Doc, None)
    replica.views["ada"] = {"data": [replica.root.page, "_msq_replica"], "_msq_replica": 1}
    return replica


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
def test_attributes_with_the_names_of_python_are_refused(name):
    replica = lived()
    vars(replica.root)[name] = 1
    with pytest.raises(StateError, match=f"Doc.{name}: cannot store an attribute of this name"):
        replica.snapshot()


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
        lambda s: s.update(saves=1, save_count="x"),
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
    ids=str,
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
    ids=str,
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
    "a large array": array_ext("<f8", [2**31, 2**31], "C", True, b""),
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
        Reader(Table()).read(document)
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


@settings(deadline=None, max_examples=400)
@given(st.binary(max_size=300))
@example(b"\x92\x00\xd4\x11\x90")
def test_8_4_random_bytes_are_read_or_refused(data):
    read_or_refuse(data)


@settings(deadline=None, max_examples=600)
@given(st.sampled_from(SEEDS), _changes)
def test_8_4_mutated_documents_are_read_or_refused(seed, changes):
    read_or_refuse(mutate(seed, changes))


@settings(deadline=None, max_examples=400)
@given(_changes)
def test_8_4_mutated_states_are_restored_or_refused(changes):
    try:
        new_replica().restore(mutate(LIVED, changes))
    except SealBroken:
        return


LIVED = lived().snapshot()


def read_or_refuse(data: bytes) -> None:
    try:
        Reader(Table()).read(data)
    except SealBroken:
        return
