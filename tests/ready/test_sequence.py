"""Edits of a text, moved past each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msq_jupyter.ready.sequence import after, checked, difference, length_before, replacement, transform

TEXT = st.text(alphabet="abcd", max_size=12)


@st.composite
def edits(draw: st.DrawFn, text: str) -> list[int | str]:
    """Any edit of a text, with parts in any order."""
    edit: list[int | str] = []
    left = len(text)
    while left or draw(st.booleans()):
        kind = draw(st.sampled_from(["insert"] if not left else ["keep", "remove", "insert"]))
        if kind == "insert":
            edit.append(draw(st.text(alphabet="XYZ", min_size=1, max_size=4)))
        else:
            size = draw(st.integers(1, left))
            left -= size
            edit.append(size if kind == "keep" else -size)
    return edit


@st.composite
def texts_with_two_edits(draw: st.DrawFn) -> tuple[str, list[int | str], list[int | str]]:
    text = draw(TEXT)
    return text, draw(edits(text)), draw(edits(text))


@given(texts_with_two_edits())
def test_two_edits_end_the_same_in_either_order(case):
    text, first, second = case
    first_later, second_later = transform(first, second)
    assert after(after(text, first), second_later) == after(after(text, second), first_later)


@given(texts_with_two_edits())
def test_what_both_insert_is_there_and_what_either_removes_is_gone(case):
    text, first, second = case
    merged = after(after(text, first), transform(first, second)[1])
    inserted = "".join(part for edit in (first, second) for part in edit if isinstance(part, str))
    assert sorted(one for one in merged if one in "XYZ") == sorted(inserted)
    kept = [place for place in range(len(text)) if all(_keeps(edit, place) for edit in (first, second))]
    assert [one for one in merged if one not in "XYZ"] == [text[place] for place in kept]


def _keeps(edit, place: int) -> bool:
    at = 0
    for part in edit:
        if isinstance(part, int):
            if at <= place < at + abs(part):
                return part > 0
            at += abs(part)
    raise AssertionError(place)


@given(TEXT, TEXT)
def test_a_difference_leads_from_one_text_to_the_other(old, new):
    edit = difference(old, new)
    assert after(old, edit) == new
    assert length_before(edit) == len(old)
    assert edit == [] or checked(edit) is edit


def test_at_the_same_place_the_earlier_edit_comes_first():
    first, second = [1, "A", 1], [1, "B", 1]
    assert after(after("xy", first), transform(first, second)[1]) == "xABy"


def test_text_inserted_into_what_another_removes_survives():
    assert after(after("hello", [-5]), transform([-5], [2, "!", 3])[1]) == "!"


@pytest.mark.parametrize("edit", [None, "x", [0], [""], [1.0], [True], [[1]], ({})])
def test_what_is_no_edit_is_refused(edit):
    with pytest.raises(ValueError, match="expected an edit such as"):
        checked(edit)


def test_an_edit_of_another_text_is_refused():
    with pytest.raises(ValueError, match="for 2 characters, got one for 3"):
        after("ab", replacement(3, 0, 1, "x"))
    with pytest.raises(ValueError, match="expected edits of one text, got 2 and 3 long"):
        transform([2], [3])
