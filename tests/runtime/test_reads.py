"""What is read outside is noted while somebody records, and only then."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from msq_jupyter import Model
from msq_jupyter.runtime.paths import MISSING, same
from msq_jupyter.runtime.reads import Read
from msq_jupyter.runtime.replica import Replica


class Leaf(Model):
    def init(self, options, persisted=None):
        self.size = 1


class Tree(Model):
    age = 0

    def init(self, options, persisted=None):
        self.leaf = Leaf.create()
        self.names = {"a": [1]}
        self.other = 2
        self.leaf.be_well_known_as("leaf")

    @property
    def total(self):
        return self.leaf.size + self.other

    def both(self):
        return self.names, self.well_known_model("leaf")


def tree() -> Replica:
    replica = Replica("session", "run", {"Tree": Tree, "Leaf": Leaf})
    replica.start(Tree, {})
    return replica


def reads_of(replica, look) -> list[tuple[str, str, str]]:
    with replica.outside.recording() as reads:
        look(replica.outside.root)
    return [tuple(read) for read in reads]


ROOT = ("name", "modelRoot", "")


def test_attributes_are_noted_where_they_are_read():
    replica = tree()
    old = replica.outside.root.leaf  # made before anybody records
    assert reads_of(replica, lambda root: (root.names["a"], old.size)) == [
        ROOT,
        ("attribute", "M1", "names"),
        ("attribute", "M2", "size"),
    ]


def test_methods_and_properties_note_what_they_read():
    replica = tree()
    assert reads_of(replica, lambda root: root.total)[1:] == [
        ("attribute", "M1", "leaf"),
        ("attribute", "M2", "size"),
        ("attribute", "M1", "other"),
    ]
    assert reads_of(replica, lambda root: root.both())[1:] == [("attribute", "M1", "names"), ("name", "leaf", "")]


def test_time_people_ids_and_all_attributes_are_noted():
    replica = tree()
    found = reads_of(replica, lambda root: (root.now(), root.view_count, root.get_model("M2"), vars(root), root.id))
    assert found[1:] == [("time", "", ""), ("views", "", ""), ("model", "M2", ""), ("attribute", "M1", "__dict__")]


def test_what_is_missing_and_what_has_a_default_is_noted():
    replica = tree()
    found = reads_of(replica, lambda root: (hasattr(root, "gone"), root.age))
    assert found[1:] == [("attribute", "M1", "gone"), ("attribute", "M1", "age")]
    assert replica.outside.value_of(Read("attribute", "M1", "gone")) is MISSING
    assert replica.outside.value_of(Read("attribute", "M9", "gone")) is MISSING


def test_nothing_is_noted_after_recording_and_reading_is_as_fast_as_before():
    replica = tree()
    kind = type(replica.outside.root)
    plain = vars(kind)["__getattribute__"]
    with replica.outside.recording() as reads:
        assert replica.outside.root.names == {"a": [1]}
        assert vars(kind)["__getattribute__"] is not plain
    before = list(reads)
    assert replica.outside.root.other == 2
    assert list(reads) == before
    assert vars(kind)["__getattribute__"] is plain


def test_a_recording_inside_another_notes_its_own_and_lets_the_outer_one_go_on():
    outside = tree().outside
    with outside.recording() as outer:
        outside.root.names["a"]
        with outside.recording() as inner:
            assert outside.root.leaf.size == 1
        assert outside.root.other == 2
    assert [read.attribute for read in outer if read.attribute] == ["names", "other"]
    assert [read.attribute for read in inner if read.attribute] == ["leaf", "size"]


def test_values_are_what_would_be_read_now():
    replica = tree()
    read = Read("attribute", "M1", "names")
    before = replica.outside.value_of(read)
    replica.root.names["a"].append(2)
    replica.moves += 1
    assert not same(before, replica.outside.value_of(read))
    assert same(replica.outside.value_of(Read("name", "leaf")), replica.outside.root.leaf)


def test_same_tells_numbers_of_different_types_apart_and_knows_nan():
    nan = float("nan")
    assert same({"a": [1, nan]}, {"a": [1, float("nan")]})
    for one, other in ((1, True), (1, 1.0), ({"a": 1}, {"a": True}), ([1], [2]), ({"a": 1, "b": 2}, {"b": 2, "a": 1})):
        assert not same(one, other)


@dataclasses.dataclass
class Box:
    things: Any


def test_same_looks_into_dataclasses():
    assert same(Box(np.zeros(2)), Box(np.zeros(2)))
    for one, other in ((1, True), (np.zeros(2), np.ones(2)), ([1], [1.0])):
        assert not same(Box(one), Box(other))


def test_what_holds_itself_is_not_the_same_when_read_again():
    one, other = [1], [1]
    one.append(one)
    other.append(other)
    assert same(one, one)
    assert not same(one, other)
