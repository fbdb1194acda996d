"""Paths into saved data: read as they are written, followed, and what is there taken elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msq_jupyter.errors import ArgumentError
from msq_jupyter.json_path import parse_path, transplanted
from msq_jupyter.persistence.diff import difference
from msq_jupyter.persistence.operations import Added, Moved

OLD = {
    "documents": {"d1": {"title": "one", "pages": [1, 2]}, "d 2": 5},
    "pairs": [["a", {"x": 1}], ["b", 2]],
    "people": [{"id": 7, "name": "Ada"}, {"id": 8, "name": "Ben"}],
    "rows": [[1, 2], [3, 4]],
}


def moved(path: str, target: Any, source: Any = OLD) -> Any:
    return transplanted(target, source, path, target_name="now", source_name="version 3")


@pytest.mark.parametrize(
    ("path", "target", "expected"),
    [
        ("documents.d1", {"documents": {"d1": 0, "x": 1}}, {"documents": {"d1": OLD["documents"]["d1"], "x": 1}}),
        ("documents.d1.title", {"documents": {"d1": {}}}, {"documents": {"d1": {"title": "one"}}}),
        ('documents["d 2"]', {"documents": {}}, {"documents": {"d 2": 5}}),
        (
            '["documents"]["d1"].pages[1]',
            {"documents": {"d1": {"pages": [9]}}},
            {"documents": {"d1": {"pages": [9, 2]}}},
        ),
        (
            'pairs["a"].x',
            {"pairs": [["b", 0], ["a", {"x": 5, "y": 6}]]},
            {"pairs": [["b", 0], ["a", {"x": 1, "y": 6}]]},
        ),
        ('pairs["b"]', {"pairs": [["b", {}]]}, {"pairs": [["b", 2]]}),
        ("pairs.b", {"pairs": []}, {"pairs": [["b", 2]]}),
        ("people[#8]", {"people": [{"id": 9}]}, {"people": [{"id": 9}, {"id": 8, "name": "Ben"}]}),
        ("people[#7].name", {"people": [{"id": 7, "name": "x"}]}, {"people": [{"id": 7, "name": "Ada"}]}),
        ('people["Ada"]', {"people": [{"name": "Ada"}]}, {"people": [{"id": 7, "name": "Ada"}]}),
        ("rows[1][0]", {"rows": [[0], [0, 4]]}, {"rows": [[0], [3, 4]]}),
    ],
)
def test_what_is_at_a_path_replaces_or_is_added_and_nothing_else_changes(path, target, expected):
    before = repr(target)
    assert moved(path, target) == expected
    assert repr(target) == before


@pytest.mark.parametrize(
    ("path", "target", "told"),
    [
        ("documents.d9", {}, "path: version 3 has no documents.d9; did you mean documents.d1?"),
        ("document", {}, "path: version 3 has no document; did you mean documents?"),
        ("people[#9]", {}, "path: version 3 has no people[#9]; in people there are [#7], [#8]"),
        ("rows[5]", {}, "path: version 3 has no rows[5]; in rows there are [0], [1]"),
        (
            "documents.d1.title.x",
            {},
            "path: version 3 has no documents.d1.title.x: documents.d1.title is a single value",
        ),
        (
            "documents.d1.title",
            {"documents": {"d2": {}}},
            "path: now has no documents.d1; did you mean documents.d2?: restore what holds it, with a shorter path",
        ),
        ("documents.d1", {"documents": []}, "path: now has no documents.d1: documents is empty"),
        ("", {}, """path: expected one such as documents["d1"].title or pages[3], got ''"""),
        ("documents..d1", {}, "path: cannot read '..d1' in 'documents..d1': expected one such as"),
        ("a[1", {}, "path: cannot read '[1' in 'a[1': expected one such as"),
        (".a", {}, "path: cannot read '.a' in '.a'"),
        ('["\\x"]', {}, "expected a quoted name as in JSON"),
    ],
)
def test_5_10_what_is_not_there_is_named_with_its_nearest_relative(path, target, told):
    with pytest.raises(ArgumentError) as raised:
        moved(path, target)
    assert told in str(raised.value)


names = st.text('ab"\\é .', max_size=3)
json_values = st.recursive(
    st.none() | st.integers(-5, 5) | names,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(names, inner, max_size=4)
        | st.lists(
            st.fixed_dictionaries({"id": st.integers(0, 4), "x": inner}), max_size=4, unique_by=lambda it: it["id"]
        )
        | st.dictionaries(names, inner, max_size=4).map(lambda it: [list(pair) for pair in it.items()])
    ),
    max_leaves=12,
)


@given(json_values)
def test_every_path_leads_to_what_it_was_written_for(data):
    changes = difference({"it": None}, {"it": data}).operations
    for operation in changes:
        assert "".join(way.text for way in parse_path(operation.path_text)) == operation.path_text
    assert moved("it", {"it": 1}, {"it": data}) == {"it": data}


@given(json_values, json_values)
def test_a_difference_s_paths_can_be_restored(old, new):
    """One path taken back from the old data leaves no difference at that path."""
    old, new = {"it": old}, {"it": new}
    for operation in difference(old, new).operations:
        # Places in a list mean other elements after a change, and what was added is not in the old data.
        if isinstance(operation, Added | Moved) or any(way.kind == "place" for way in parse_path(operation.path_text)):
            continue
        back = transplanted(new, old, operation.path_text, target_name="new", source_name="old")
        left = [one for one in difference(old, back).operations if not isinstance(one, Moved)]
        assert operation.path not in [one.path for one in left]
