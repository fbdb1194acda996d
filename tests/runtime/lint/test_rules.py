"""Every rule finds its bad sample, at the marked line and nothing else, and passes its good one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from msq_jupyter.runtime.lint import lint_text
from msq_jupyter.runtime.lint.finding import ERROR, WARNING
from msq_jupyter.runtime.lint.page import page
from msq_jupyter.runtime.lint.rule import MARK, Rule, marked_line
from msq_jupyter.runtime.lint.rules import CODES, OWN_CODES, RULES, SUBJECTS

DOCS = Path(__file__).parents[3] / "docs" / "lint.md"
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.code}-{rule.name}")


@each_rule
def test_6_1_a_rule_finds_its_bad_sample(rule: Rule):
    assert [(finding.code, finding.line) for finding in lint_text(rule.bad)] == [(rule.code, marked_line(rule.bad))]


@each_rule
def test_6_1_a_rule_passes_its_good_sample(rule: Rule):
    assert lint_text(rule.good) == []


@each_rule
def test_a_rule_is_silent_when_the_line_says_so(rule: Rule):
    assert lint_text(rule.bad.replace(MARK, f"  # msq: ignore[{rule.code}]")) == []


@each_rule
def test_a_rule_is_complete(rule: Rule):
    assert rule.code[:4] in SUBJECTS
    assert rule.severity in (ERROR, WARNING)
    assert bool(rule.nodes) == (not rule.names)
    assert rule.check or rule.names
    assert rule.bad.count(MARK) == 1
    finding = lint_text(rule.bad)[0]
    assert "{" not in finding.message + finding.remedy or "{" in rule.bad
    assert finding.docs == f"docs/lint.md#{rule.code.lower()}"
    assert f"\n### {rule.code}\n" in DOCS.read_text()
    for text in (rule.message, rule.remedy):
        assert not text.endswith(".")


def test_numbers_and_names_are_given_once_and_in_order():
    codes = [rule.code for rule in RULES]
    assert codes == sorted(set(codes))
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(re.fullmatch(r"MSQ[1-5]\d\d", code) for code in codes)
    assert set(codes) | OWN_CODES.keys() == CODES
    for at_definition in (True, False):
        names = [name for rule in RULES if rule.at_definition is at_definition for name in rule.names]
        assert len(names) == len(set(names))


def test_the_page_is_written_from_the_table():
    assert DOCS.read_text() == page(), "write it anew: msq lint --explain all > docs/lint.md"


def test_the_samples_are_python_that_a_newcomer_can_read():
    for rule in RULES:
        for sample in (rule.bad, rule.good):
            ast.parse(sample)
            assert all(len(line) <= 110 for line in sample.splitlines())
