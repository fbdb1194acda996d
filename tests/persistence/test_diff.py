"""What changed between two versions: found, applied, undone, and shown without harm."""

from __future__ import annotations

import copy
import difflib
import html.parser
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msq_jupyter.errors import ArgumentError
from msq_jupyter.json_path import Item
from msq_jupyter.persistence.diff import (
    apply,
    difference,
    invert,
    source_difference,
)
from msq_jupyter.persistence.harmless import word_pieces
from msq_jupyter.persistence.operations import Added, Changed, Moved, Operation, Removed
from msq_jupyter.persistence.unified import unified_lines
from msq_jupyter.stable import content_bytes

NAMES = st.sampled_from(["id", "key", "name", "a", "b", "x y", "é"])
LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, -0.0, 1.0, 2.5, "", "a", "b", "text"])


def _containers(inner: st.SearchStrategy) -> st.SearchStrategy:
    objects = st.dictionaries(NAMES, inner, max_size=4)
    keyed = st.lists(st.tuples(st.sampled_from(["id", "key", "name"]), st.integers(0, 5), inner), max_size=6).map(
        lambda rows: [{field: identity, "value": value} for field, identity, value in rows]
    )
    pairs = st.lists(st.tuples(st.text("abc", max_size=2), inner).map(list), max_size=5)
    return objects | st.lists(inner, max_size=6) | keyed | pairs


JSON = st.recursive(LEAVES, _containers, max_leaves=20)


@given(JSON, JSON)
def test_a_difference_leads_from_the_old_to_the_new_and_back(old, new):
    before = copy.deepcopy(old)
    changes = difference(old, new)
    assert content_bytes(apply(old, changes)) == content_bytes(new)
    assert content_bytes(apply(new, invert(changes))) == content_bytes(old)
    assert content_bytes(apply(old, invert(invert(changes)))) == content_bytes(new)
    assert bool(changes) == (content_bytes(old) != content_bytes(new))
    assert content_bytes(old) == content_bytes(before)
    assert sum(changes.counts.values()) == len(changes.operations)
    changes.text()
    changes.html()


@given(JSON, st.randoms(use_true_random=False))
def test_a_small_edit_of_anything_is_found_and_undone(old, dice):
    new = _edited(copy.deepcopy(old), dice)
    changes = difference(old, new)
    assert content_bytes(apply(old, changes)) == content_bytes(new)
    assert content_bytes(apply(new, invert(changes))) == content_bytes(old)


def _edited(value: object, dice: random.Random) -> object:
    if type(value) is list and value:
        place = dice.randrange(len(value))
        what = dice.choice(["in", "delete", "shuffle", "insert"])
        if what == "in":
            value[place] = _edited(value[place], dice)
        elif what == "delete":
            del value[place]
        elif what == "shuffle":
            dice.shuffle(value)
        else:
            value.insert(place, {"id": 99})
        return value
    if type(value) is dict and value and dice.random() < 0.8:
        key = dice.choice(list(value))
        value[key] = _edited(value[key], dice)
        return value
    return "edited"


def operations_of(old: object, new: object) -> list[Operation]:
    return list(difference(old, new).operations)


def test_dicts_are_compared_by_key():
    assert operations_of({"a": 1, "b": 2, "c": {"d": [1]}}, {"b": 3, "c": {"d": [1]}, "e": None}) == [
        Removed(("a",), 1, None),
        Changed(("b",), 2, 3),
        Added(("e",), None, None),
    ]


@pytest.mark.parametrize("field", ["id", "key", "name"])
def test_lists_of_objects_are_compared_by_identity(field):
    old = [{field: "d1", "title": "One"}, {field: "d2", "title": "Two"}, {field: "d3", "title": "Three"}]
    new = [{field: "d0", "title": "Zero"}, {field: "d1", "title": "Uno"}, {field: "d3", "title": "Three"}]
    assert operations_of({"documents": old}, {"documents": new}) == [
        Removed(("documents", Item(field, "d2")), old[1], 1),
        Added(("documents", Item(field, "d0")), new[0], 0),
        Changed(("documents", Item(field, "d1"), "title"), "One", "Uno"),
    ]
    assert difference({"documents": old}, {"documents": new}).operations[2].path_text == 'documents["d1"].title'


@pytest.mark.parametrize(
    "items",
    [
        [{"key": 1}, {"key": 1}],  # not unique
        [{"key": 1}, {"name": 2}],  # not everywhere
        [{"id": True}, {"id": 0.5}],  # not an identity
        [{"id": [1]}, {"id": {}}],  # not even hashable
        [["a", 1], ["a", 2]],
        [[1, 2], [3, 4]],  # points, not pairs
    ],
)
def test_lists_without_a_unique_identity_are_compared_by_position(items):
    assert operations_of(items, [*items, None]) == [Added((2,), None, 2)]
    assert operations_of(items, [items[0], "other"]) == [Changed((1,), items[1], "other")]


def test_the_items_of_a_saved_dict_are_compared_by_their_key():
    old = {"documents": list({"d1": {"title": "One"}, "d2": {"title": "Two"}}.items())}
    new = {"documents": [["d0", {}], ["d1", {"title": "Uno"}], ["d2", {"title": "Two"}]]}
    changes = difference(old, new)
    assert [operation.path_text for operation in changes.operations] == ['documents["d0"]', 'documents["d1"].title']
    assert "+ documents" in changes.text()
    assert content_bytes(apply(old, changes)) == content_bytes(new)


def test_what_changed_places_is_moved_and_nothing_else():
    items = [{"id": number} for number in range(6)]
    new = [items[5], *items[:5]]
    assert operations_of(items, new) == [Moved((Item("id", 5),), 5, 0)]
    assert difference(items, new).counts == {"added": 0, "removed": 0, "changed": 0, "moved": 1}


def test_other_lists_show_what_came_and_went():
    assert operations_of([1, 2, 3, 4], [2, 3, 4, 5]) == [Removed((0,), 1, 0), Added((3,), 5, 3)]
    assert operations_of(list("abcdef"), list("abXcdf")) == [Removed((4,), "e", 4), Added((2,), "X", 2)]
    assert operations_of([1, 2], [2, 3]) == [Changed((0,), 1, 2), Changed((1,), 2, 3)]


def test_values_that_only_look_equal_to_python_differ():
    assert operations_of({"a": 1, "b": [1, 0.0]}, {"a": True, "b": [1.0, -0.0]}) == [
        Changed(("a",), 1, True),
        Changed(("b", 0), 1, 1.0),
        Changed(("b", 1), 0.0, -0.0),
    ]
    assert not difference({"a": (1, (2,))}, {"a": [1, [2]]})
    assert not difference({"a": 1, "b": 2}, {"b": 2, "a": 1})


def test_big_lists_take_no_quadratic_time():
    dice = random.Random(7)
    numbers = [dice.randrange(10**9) for _ in range(20_000)]
    other = numbers[:]
    dice.shuffle(other)
    assert apply(numbers, difference(numbers, other)) == other
    few = [number % 3 for number in numbers]
    assert apply(few, difference(few, few[::-1])) == few[::-1]
    items = [{"id": number} for number in range(20_000)]
    assert difference(items, items[::-1]).counts["moved"] == 19_999


def test_a_difference_refuses_another_base():
    changes = difference({"a": [1, 2, 3]}, {"a": [1, 2]})
    for other in ({}, [], {"a": 1}, {"a": []}, None, "a"):
        with pytest.raises(ArgumentError, match="old: expected the value that the difference was made from"):
            apply(other, changes)
    with pytest.raises(ArgumentError, match="another one"):
        apply({"a": 2}, difference({"a": 1}, {"a": 3}))


# --- showing -----------------------------------------------------------------------------------------------------


def test_a_difference_as_text():
    old = {"documents": [{"id": "d1", "title": "Old"}, {"id": "d2"}], "theme": "light"}
    new = {"documents": [{"id": "d1", "title": "New"}, {"id": "d3", "n": [1, None]}], "theme": "light"}
    changes = difference(old, new, old_name="v3", new_name="v4")
    assert str(changes).splitlines() == [
        "v3 → v4: 1 added, 1 removed, 1 changed",
        '- documents["d2"]: {"id": "d2"}',
        '+ documents["d3"]: {"id": "d3", "n": [1, null]}',
        '~ documents["d1"].title: "Old" → "New"',
    ]
    assert repr(changes) == str(changes)
    assert str(difference(1, 1)) == "old → new: no difference"
    assert str(difference(1, None)) == "old → new: 1 changed\n~ (all): 1 → null"


def test_colour_only_when_asked():
    changes = difference({"a": 1}, {"a": 2, "b": "\x1b[2J"})
    assert "\x1b" not in changes.text()
    assert "\x1b[31m1\x1b[0m → \x1b[32m2\x1b[0m" in changes.text(colour=True)
    assert "\x1b[2J" not in changes.text(colour=True)


def test_a_long_text_is_shown_by_the_words_that_changed():
    old = "the quick brown fox " * 30 + "jumps over the lazy dog " + "and sleeps " * 30
    new = old.replace("jumps", "leaps")
    (line,) = difference({"text": old}, {"text": new}).text().splitlines()[1:]
    assert line.startswith("~ text: …")
    assert "fox [-jumps-]{+leaps+} over" in line
    assert len(line) < 200


def test_output_is_bounded():
    old, new = {str(n): n for n in range(1_078)}, {str(n): -n - 1 for n in range(1_078)}
    lines = difference(old, new).text().splitlines()
    assert (len(lines), lines[-1]) == (42, "and 1,038 more")
    assert difference(old, new).html(5).count("<tr>") == 5
    assert "and 1,073 more" in difference(old, new).html(5)
    with pytest.raises(ArgumentError, match="limit: expected a number of lines of 1 or more, got 0"):
        difference(old, new).text(0)


HUGE = "x" * 3_000_000
DEEP: list = []
for _ in range(190):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"a": HUGE}, {"a": HUGE + "y"}),
        ({"a": HUGE}, {"a": "y" * 3_000_000}),
        ({"a": "a b " * 500_000}, {"a": "b a " * 500_000}),
        ({}, {HUGE: HUGE}),
        ({}, {"a": [HUGE] * 1_000}),
        ({}, {"a": {str(n): n for n in range(100_000)}}),
        ([], [DEEP]),
    ],
    ids=["grown", "replaced", "all words", "key", "list", "dict", "deep"],
)
def test_huge_values_are_shown_short(old, new):
    changes = difference(old, new)
    assert len(changes.text()) < 1_500
    assert len(changes.html()) < 3_000
    assert "more" in changes.text() or "…" in changes.text()


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "\x1b[2J\x1b]0;owned\x07",
    "user\u202etxt.exe\u2066",
    "a\u200bb\ufeff\u2028c\x00\x9b31m",
    "\r\nfake line",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_content_is_shown_harmlessly(text):
    long = "word " * 40 + text + " word" * 40
    old = {"plain": "x", "long": "word " * 80, text: 1, "list": [{"id": "x"}]}
    new = {"plain": text, "long": long, "list": [{"id": text, "deep": [text]}]}
    changes = difference(old, new, old_name=text, new_name=text)
    for shown in (changes.text(), changes.html()):
        assert all(line.isprintable() for line in shown.split("\n"))
    assert len(changes.text().split("\n")) == len(changes.operations) + 1
    tags = _tags_of(changes.html())
    assert tags <= {"div", "p", "strong", "table", "tbody", "tr", "td", "th", "ins", "del", "span", "bdi"}
    sources = source_difference("a = 1\n", f"a = 1\n# {text}\n", old_name=text, new_name=text)
    assert all(line.isprintable() for line in sources.text().split("\n") + sources.html().split("\n"))
    assert _tags_of(sources.html()) <= tags | {"span", "td"}


def _tags_of(text: str) -> set[str]:
    found: set[str] = set()

    class Parser(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            found.add(tag)
            assert not [name for name, _ in attrs if name.startswith("on") or name in ("src", "href")]

    Parser(convert_charrefs=True).feed(text)
    return found


def test_a_path_keeps_its_width_beside_long_values():
    changes = difference({"days": ["-" * 300], "x" * 100: 1}, {"days": ["+" * 300], "x" * 100: 2})
    widths = [int(part.partition("ch;")[0]) for part in changes.html().split("min-width:")[1:]]
    assert widths == [len("days[0]"), 30]
    assert "table-layout:auto" in changes.html()  # JupyterLab's is fixed, and then there is no least width


def test_html_needs_nothing_from_outside_and_suits_both_themes():
    shown = difference({"a": 1}, {"a": 2})._repr_html_()
    assert not re.search(r"https?:|url\(|<style|<link|<script", shown)
    assert "var(--jp-content-font-color1,inherit)" in shown
    assert not re.search(r"[;\"]color:\s*(#|rgb|black|white)", shown)
    assert "<del" in shown
    assert "<ins" in shown
    bundle = difference({"a": 1}, {"a": 2})._repr_mimebundle_()
    assert bundle == {"text/plain": "old → new: 1 changed\n~ a: 1 → 2", "text/html": shown}


# --- sources -----------------------------------------------------------------------------------------------------


def test_sources_are_compared_by_lines():
    changes = source_difference("a\nb\nc\n", "a\nB\nc\nd\n", old_name="v1", new_name="v2")
    assert str(changes).splitlines() == [
        "v1 → v2: 2 lines added, 1 line removed",
        "@@ -1,3 +1,4 @@",
        " a",
        "-b",
        "+B",
        " c",
        "+d",
    ]
    assert changes.counts == {"added": 2, "removed": 1}
    assert not source_difference("a\n", "a\n")
    assert str(source_difference("a", "a")) == "old → new: no difference"


LINES = st.lists(st.sampled_from(["a", "b", "c", "def f():", "    return 1", "", "é"]), max_size=30)


@given(LINES, LINES)
def test_a_unified_difference_says_all_that_is_needed(old, new):
    """Taken as a patch, it makes the new lines from the old ones, and the old ones from the new."""
    lines = list(unified_lines(old, new))
    assert _patched(old, lines, "-", "+", 1) == new
    assert _patched(new, lines, "+", "-", 2) == old


def _patched(lines: list[str], changes: list[str], gone: str, come: str, side: int) -> list[str]:
    result, place = [], 0
    for change in changes:
        if change.startswith("@@"):
            start, _, length = change.split()[side][1:].partition(",")
            begin = int(start) - (length != "0")
            result += lines[place:begin]
            place = begin
        elif change[0] in (gone, " "):
            assert lines[place] == change[1:]
            place += 1
            if change[0] == " ":
                result.append(change[1:])
        else:
            assert change[0] == come
            result.append(change[1:])
    return result + lines[place:]


@given(LINES, LINES)
def test_short_texts_differ_as_difflib_says_when_nothing_is_unique(old, new):
    doubled = [[line for line in lines for _ in range(2)] for lines in (old, new)]
    ours = list(unified_lines(*doubled))
    theirs = list(difflib.unified_diff(*doubled, lineterm=""))[2:]
    assert bool(ours) == bool(theirs)


def test_texts_of_few_different_lines_take_no_cubic_time():
    dice = random.Random(5)
    old, new = ([dice.choice("abcdefgh") for _ in range(20_000)] for _ in range(2))
    assert _patched(old, list(unified_lines(old, new)), "-", "+", 1) == new
    words = " ".join(dice.choices("ab", k=119))
    assert word_pieces(words, " ".join(dice.choices("ab", k=119)))
