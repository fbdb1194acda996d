"""Each rule of `docs/rules.md` is shown by tests that have its number in their name, and no test has another number."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "rules.md"

RULE = re.compile(r"^### (\d+\.\d+) \S", re.MULTILINE)
#: "test_4_6_an_event_...", and of several rules "test_1_1_and_1_2_nothing_...".
NUMBERED = re.compile(r"test_(\d+_\d+)_(?:and_(\d+_\d+)_)?[a-z]")


def rules_of(page: str) -> list[str]:
    """The numbers of the rules on a page, such as "4.6"."""
    return RULE.findall(page)


def shown_by(name: str) -> list[str]:
    """The numbers of the rules that a test shows by its name."""
    found = NUMBERED.match(name)
    return [number.replace("_", ".") for number in found.groups() if number] if found else []


def names_in(source: str) -> Iterator[str]:
    """The names of the tests that a module has, in classes too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name


def missing(rules: list[str], names: list[str]) -> tuple[list[str], list[str]]:
    """The rules that no test shows, and the tests that show what is no rule."""
    shown = {number for name in names for number in shown_by(name)}
    return (
        [rule for rule in rules if rule not in shown],
        [name for name in names if not set(shown_by(name)) <= set(rules)],
    )


@pytest.fixture(scope="module")
def rules() -> list[str]:
    return rules_of(PAGE.read_text())


@pytest.fixture(scope="module")
def names() -> list[str]:
    return [name for file in sorted(TESTS.rglob("test_*.py")) for name in names_in(file.read_text())]


def test_each_rule_has_a_test_and_no_test_names_a_rule_that_is_none(rules, names):
    untested, unknown = missing(rules, names)
    assert not untested, "no test shows these rules of docs/rules.md: name those that do by number, test_4_6_..."
    assert not unknown, "these tests name no rule of docs/rules.md: correct the number, or write the rule down"


def test_the_rules_are_numbered_without_a_gap(rules):
    """A number that was given once stays: tests, and messages to people, refer to it."""
    sections = {rule.partition(".")[0] for rule in rules}
    assert sorted(map(int, sections)) == list(range(1, len(sections) + 1))
    for section in sections:
        numbers = [int(rule.partition(".")[2]) for rule in rules if rule.startswith(f"{section}.")]
        assert numbers == list(range(1, len(numbers) + 1))


def test_numbers_are_read_from_names_of_both_kinds_and_of_classes():
    source = "def test_4_6_a(): ...\nclass TestIt:\n async def test_1_1_and_1_2_b(self): ...\ndef test_1_slider(): ..."
    assert [shown_by(name) for name in sorted(names_in(source))] == [["1.1", "1.2"], [], ["4.6"]]


def test_what_is_missing_is_found():
    page = "### 1.1 One\ntext\n### 1.2 Two\n"
    assert missing(rules_of(page), ["test_1_1_a", "test_other"]) == (["1.2"], [])
    assert missing(rules_of(page), ["test_1_1_a", "test_1_2_b", "test_9_1_c"]) == ([], ["test_9_1_c"])
