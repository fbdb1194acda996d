"""The live model as rows: what is walked, what is told, what is found."""

from __future__ import annotations

import dataclasses
from collections import namedtuple
from typing import Any

import pytest

from msq_jupyter import Model
from msq_jupyter.widgets.panel_tree import copyable, mark_of, measured, opened_of, root_of, search, tree_rows

Point = namedtuple("Point", "x y")


@dataclasses.dataclass
class Card:
    title: str
    points: int


class Child(Model):
    def init(self, parent):
        self.parent = parent
        self.size = 3


class Board(Model):
    def init(self, options):
        self.title = "board"
        self.cells = list(range(1_000))
        self.by_name = {"d 1": {"text": "hello"}, 7: "seven"}
        self.tags = {"red"}
        self.card = Card("a card", 5)
        self.point = Point(1, 2)
        self.child = Child.create(self)
        self.subscribe("board", "set", self.set)

    def set(self, values):
        vars(self).update(values)


@pytest.fixture
async def board(join: Any) -> Any:
    return await join(model=Board)


def rows(board: Any, *opened: list[str], start: int = 0, count: int = 100) -> dict[str, Any]:
    root, replica = root_of(board.model)
    return tree_rows(root, replica, opened_of(opened), start, count)


def named(answer: dict[str, Any], name: str) -> dict[str, Any]:
    return next(row for row in answer["rows"] if row["name"] == name)


async def test_a_replica_made_anew_is_not_taken_for_the_one_before_that_has_moved_as_often(join: Any):
    ada, ben = await join(model=Board), await join(model=Board)
    before = mark_of(ada.model)
    root_of(ben.model)[1].moves = root_of(ada.model)[1].moves
    assert mark_of(ben.model) != before
    assert mark_of(ada.model) == before
    ada.publish("board", "set", {"title": "another"})
    await ada.synced()
    assert mark_of(ada.model) != before


async def test_the_root_is_open_and_the_rest_closed(board):
    answer = rows(board)
    assert [row["name"] for row in answer["rows"]] == [
        "session.model", "title", "cells", "by_name", "tags", "card", "point", "child"
    ]  # fmt: skip
    assert answer["total"] == 8
    assert named(answer, "cells") == {
        **named(answer, "cells"),
        "path": [".cells"],
        "copy": "session.model.cells",
        "type": "list",
        "count": 1_000,
        "open": False,
        "place": 1,
        "siblings": 7,
    }
    assert named(answer, "title")["preview"] == '"board"'
    assert named(answer, "title")["count"] == -1
    assert named(answer, "child")["preview"].startswith("Child M")


@pytest.mark.parametrize(
    ("opened", "expected"),
    [
        ([".by_name"], ['session.model.by_name["d 1"]', "session.model.by_name[7]"]),
        ([".by_name", '["d 1"]'], ['session.model.by_name["d 1"]["text"]']),
        ([".card"], ["session.model.card.title", "session.model.card.points"]),
        ([".point"], ["session.model.point.x", "session.model.point.y"]),
        ([".tags"], ["session.model.tags"]),
        ([".child"], ["session.model.child.parent", "session.model.child.size"]),
        # Models may know each other: what is open ends, the tree does not.
        ([".child", ".parent", ".child"], ["session.model.child.parent.child.size"]),
    ],
)
async def test_what_is_open_shows_what_a_cell_would_write(board, opened, expected):
    copies = [row["copy"] for row in rows(board, opened)["rows"]]
    assert set(expected) <= set(copies)
    assert all(eval(copy, {"session": board}) is not None for copy in copies)


async def test_only_the_rows_that_are_asked_for_are_described(board, monkeypatch):
    described = []
    monkeypatch.setattr("msq_jupyter.widgets.panel_tree.measured", lambda value, _: described.append(value) or (0, 0))
    answer = rows(board, [".cells"], start=900, count=10)
    assert answer["total"] == 1_008
    assert [row["copy"] for row in answer["rows"]] == [f"session.model.cells[{place}]" for place in range(897, 907)]
    assert described == list(range(897, 907))


async def test_rows_are_the_same_however_they_are_cut(board):
    opened = [".cells"], [".by_name", '["d 1"]'], [".child"]
    whole = rows(board, *opened, count=2_000)
    assert whole["total"] == len(whole["rows"]) == 1_013
    pieces = [row for start in range(0, 1_013, 100) for row in rows(board, *opened, start=start)["rows"]]
    assert pieces == whole["rows"]


async def test_an_open_node_that_is_gone_is_no_row(board):
    assert rows(board, [".nothing", "[3]"])["total"] == 8


async def test_a_digest_changes_with_what_is_inside(board):
    before = rows(board)
    board.publish("board", "set", {"by_name": {"d 1": {"text": "hello!"}, 7: "seven"}})
    await board.synced()
    after = rows(board)
    assert named(before, "by_name")["digest"] != named(after, "by_name")["digest"]
    assert named(before, "session.model")["digest"] != named(after, "session.model")["digest"]
    assert named(before, "cells")["digest"] == named(after, "cells")["digest"]
    assert named(after, "by_name")["size_bytes"] > 15


async def test_a_model_counts_what_is_its_own(board):
    root, replica = root_of(board.model)
    assert measured(root.child, replica)[0] < 40 < measured(root.cells, replica)[0]


async def test_the_root_row_is_the_whole_that_the_others_are_parts_of(board):
    whole, *parts = rows(board)["rows"]
    assert whole["size_bytes"] > sum(part["size_bytes"] for part in parts)
    root, replica = root_of(board.model)
    assert whole["size_bytes"] == sum(measured(model, replica)[0] for model in (root, root.child))


async def test_what_has_no_size_is_still_shown(board):
    _, replica = root_of(board.model)
    assert measured(iter([]), replica) == (-1, 0)


async def test_a_preview_costs_the_same_for_a_large_value(board):
    board.publish("board", "set", {"title": "x" * 10_000, "by_name": {"a" * 100: list(range(5_000))}})
    await board.synced()
    assert len(named(rows(board), "title")["preview"]) < 130
    assert named(rows(board), "by_name")["preview"].count("a") < 30


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("HELLO", ['by_name["d 1"]["text"]']),
        ("points", ["card.points"]),
        ("seven", ["by_name[7]"]),
        ("nothing like it", []),
    ],
)
async def test_a_search_finds_names_and_values(board, text, expected):
    root, replica = root_of(board.model)
    answer = await search(root, replica, text)
    assert [row["name"] for row in answer["rows"]] == expected
    assert answer["total"] == len(expected)
    assert not answer["more"]


async def test_a_search_ends_after_many_hits(board):
    root, replica = root_of(board.model)
    answer = await search(root, replica, "[")
    assert answer["total"] == 500
    assert answer["more"]


def test_the_way_to_a_member_of_a_set_is_the_way_to_the_set():
    assert copyable([".tags", "{0}", ".x"]) == "session.model.tags"
