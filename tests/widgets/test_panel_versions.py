"""The list of versions as rows, and what a restore would change: pure, so tested without a session."""

from __future__ import annotations

import datetime

import pytest

from msq_jupyter.persistence.diff import difference
from msq_jupyter.persistence.records import Version
from msq_jupyter.widgets.panel_changes import data_rows, places_of, source_rows, within
from msq_jupyter.widgets.panel_versions import Filter, matching, reason_of, rows_of, told

UTC = datetime.timezone.utc
MORNING = datetime.datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def version(
    number: int, label: str = "", *, author: str = "Ada", code: str = "c" * 40, hours: float = 0, schema=1, pinned=False
):
    time = MORNING + datetime.timedelta(hours=hours, seconds=number)
    return Version(
        number=number,
        parent=number - 1,
        time=time,
        author=author,
        label=label,
        session_id="session",
        code_hash=code,
        schema_version=schema,
        size_bytes=1_000,
        stored_bytes=100,
        source_id="",
        pinned=pinned,
    )


def shown(rows):
    names = {"day": lambda row: row.key, "fold": lambda row: f"v{row.oldest}..v{row.version.number}"}
    return [names.get(row.kind, lambda row: f"v{row.version.number}")(row) for row in rows]


def newest_first(*versions):
    return sorted(versions, key=lambda one: -one.number)


def test_automatic_versions_are_folded_and_the_newest_is_not():
    versions = newest_first(*(version(number) for number in range(1, 6)), version(6, "exam"), version(7), version(8))
    assert shown(rows_of(versions, UTC, [], {})) == ["day 2026-11-23", "v8", "v7", "v6", "v1..v5"]
    assert shown(rows_of(versions, UTC, [1], {})) == [
        "day 2026-11-23",
        "v8",
        "v7",
        "v6",
        "v1..v5",
        "v5",
        "v4",
        "v3",
        "v2",
        "v1",
    ]


def test_a_fold_stays_open_while_it_grows():
    versions = newest_first(*(version(number) for number in range(1, 8)))
    assert shown(rows_of(versions, UTC, [1], {}))[:3] == ["day 2026-11-23", "v7", "v1..v6"]
    assert next(row for row in rows_of(versions, UTC, [1], {}) if row.kind == "fold").is_open


def test_a_pinned_version_is_not_folded():
    versions = newest_first(*(version(number, pinned=number == 4) for number in range(1, 9)))
    assert shown(rows_of(versions, UTC, [], {})) == ["day 2026-11-23", "v8", "v5..v7", "v4", "v1..v3"]
    assert [one.number for one in matching(versions, Filter(named=True), "Ada")] == [4]


def test_where_lines_part_is_not_folded():
    versions = newest_first(*(version(number) for number in range(1, 11)))
    assert shown(rows_of(versions, UTC, [], {10: "head", 5: "branch", 6: "from v4", 1: ""})) == [
        *("day 2026-11-23", "v10", "v7..v9", "v6", "v5", "v1..v4")
    ]


def test_days_begin_where_the_reader_is():
    versions = newest_first(version(1, hours=0), version(2, hours=16))
    assert shown(rows_of(versions, UTC, [], {})) == ["day 2026-11-24", "v2", "day 2026-11-23", "v1"]
    west = datetime.timezone(datetime.timedelta(hours=-5))
    assert shown(rows_of(versions, west, [], {})) == ["day 2026-11-23", "v2", "v1"]


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (Filter(), [4, 3, 2, 1]),
        (Filter(text="EXAM"), [3]),
        (Filter(text="v2"), [2]),
        (Filter(text="2"), [2]),
        (Filter(text="ben"), [2]),
        (Filter(text="dddd"), [4]),
        (Filter(mine=True), [4, 3, 1]),
        (Filter(named=True), [3]),
        (Filter(code="d" * 40), [4]),
        (Filter(text="exam", code="d" * 40), []),
    ],
)
def test_filters(wanted, numbers):
    versions = [version(1), version(2, author="Ben"), version(3, "before the exam"), version(4, code="d" * 40)]
    assert [one.number for one in matching(versions, wanted, "Ada")] == numbers


def test_a_row_says_what_is_new_about_a_version():
    versions = [version(1), version(2), version(3, code="d" * 40, schema=2)]
    earlier = {one.number: one for one in versions}
    lines = {3: "head"}
    rows = {row.version.number: told(row, earlier, lines) for row in rows_of(newest_first(*versions), UTC, [], {})[1:]}
    assert [rows[number]["is_new_code"] for number in (1, 2, 3)] == [False, False, True]
    assert [rows[number]["is_new_schema"] for number in (1, 2, 3)] == [False, False, True]
    assert rows[3]["schema"] == "2"
    assert [rows[number]["line"] for number in (1, 2, 3)] == ["", "", "head"]
    assert rows[3]["code"] == "dddddddd"


def test_what_people_wrote_is_made_harmless():
    row = rows_of([version(1, "a\x1b[31m\u202eb", author="\u200b" + "x" * 500)], UTC, [], {})[1]
    data = told(row, {}, {})
    assert data["label"] == "a\\x1b[31m\\u202eb"
    assert len(data["author"]) < 130


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("", "automatic"),
        ("exam", "named"),
        ("restored from version 3", "restored"),
        ("topics restored from version 3", "restored"),
        ("restored from version 3, and then some", "named"),
    ],
)
def test_the_reason_of_a_version(label, reason):
    assert reason_of(version(1, label)) == reason


OLD = {"documents": {"d1": {"title": "a", "text": "x"}, "d2": {"title": "b"}}, "count": 1}
NEW = {"documents": {"d1": {"title": "A", "text": "y"}, "d3": {"title": "c"}}, "count": 2}


def test_the_places_of_a_restore_are_counted_that_the_version_has():
    changes = difference(OLD, NEW).operations
    assert places_of(changes) == [
        {"path": "documents", "count": 4},
        {"path": "documents.d1", "count": 2},
        {"path": "count", "count": 1},
        {"path": "documents.d3", "count": 1},
    ]
    assert len(within(changes, "documents.d1")) == 2
    assert len(within(changes, "")) == 5
    assert within(changes, "doc") == []


def test_rows_of_changes_come_in_portions():
    changes = difference(OLD, NEW).operations
    whole = data_rows(changes, 0, 100)
    assert [row["mark"] for row in whole] == ["~", "~", "~", "-", "+"]
    assert [*data_rows(changes, 0, 2), *data_rows(changes, 2, 2), *data_rows(changes, 4, 2)] == whole
    assert whole[0]["pieces"] == [("old", "1"), ("new", "2")]


def test_rows_of_code_keep_their_marks():
    from msq_jupyter.persistence.diff import Difference, source_difference

    sources = source_difference("a\nb\n", "a\nc\n")
    rows = source_rows(Difference(None, "a", "b", sources), 0, 10)
    assert [(row["mark"], row["pieces"][0]) for row in rows[1:]] == [
        (" ", ["same", "a"]),
        ("-", ["old", "b"]),
        ("+", ["new", "c"]),
    ]
    assert source_rows(Difference(None), 0, 10) == []
