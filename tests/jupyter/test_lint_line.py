"""The line under a cell that defines a model, in a real IPython shell."""

from __future__ import annotations

from typing import Any

import pytest

from msq_jupyter.jupyter import lint_line

POLL = """\
import time
from msq_jupyter import Model

class Poll(Model):
    def vote(self, choice):
        self.at = time.time()
        self.key = id(choice)
"""
CLEAN = POLL.replace("time.time()", "self.now()").replace("id(choice)", "choice")
LINE = (
    "Poll: MSQ101 line 6: time.time asks for the time of day, and a model only has the session's time; "
    "MSQ201 line 7: id() is an address in the memory of one process  (msq lint --explain MSQ101)\n"
)


def said(shell: Any, capsys: pytest.CaptureFixture[str], cell: str) -> str:
    capsys.readouterr()
    shell.run_cell(cell, store_history=True).raise_error()
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_6_1_a_cell_with_a_bad_model_gets_one_line(shell: Any, capsys: pytest.CaptureFixture[str]):
    assert said(shell, capsys, POLL) == LINE


def test_a_good_model_gets_none(shell: Any, capsys: pytest.CaptureFixture[str]):
    assert said(shell, capsys, CLEAN) == ""


def test_an_unchanged_cell_gets_no_second_line_and_a_changed_one_does(shell: Any, capsys: pytest.CaptureFixture[str]):
    assert said(shell, capsys, POLL) == LINE
    assert said(shell, capsys, POLL) == ""
    assert said(shell, capsys, "x = Poll") == ""
    assert said(shell, capsys, POLL + "\n    def more(self, data):\n        input()\n") == LINE.replace(
        "process  (", "process; MSQ110 line 10: input asks the person at one machine  ("
    )
    assert said(shell, capsys, CLEAN) == ""
    assert said(shell, capsys, POLL) == LINE


def test_what_is_found_in_another_cell_is_said_with_its_name(shell: Any, capsys: pytest.CaptureFixture[str]):
    assert said(shell, capsys, "def stamp(thing):\n    return id(thing)") == ""
    cell = "from msq_jupyter import Model\nclass Page(Model):\n    def turn(self, data):\n        self.at = stamp(data)"
    assert said(shell, capsys, cell) == (
        "Page: MSQ201 cell [1] line 2: id() is an address in the memory of one process  (msq lint --explain MSQ201)\n"
    )


def test_a_long_story_is_cut_short(shell: Any, capsys: pytest.CaptureFixture[str]):
    lines = "".join(f"        self.a{number} = id(data)\n" for number in range(9))
    text = said(shell, capsys, f"from msq_jupyter import Model\nclass Page(Model):\n    def turn(self, data):\n{lines}")
    assert text.count("\n") == 1
    assert text.count("MSQ201 line") == 3
    assert "; 6 more  (" in text


def test_models_of_modules_and_models_from_before_get_none(shell: Any, capsys: pytest.CaptureFixture[str]):
    assert said(shell, capsys, "from tests.session.models import Mistaken") == ""


def test_a_lint_that_fails_does_not_disturb_the_cell(
    shell: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def fail(_: type) -> Any:
        raise RuntimeError("broken lint")

    monkeypatch.setattr(lint_line, "lint_model", fail)
    assert said(shell, capsys, POLL) == ""
    assert "the lint of Poll failed" in caplog.text


def test_a_failing_cell_is_no_trouble(shell: Any, capsys: pytest.CaptureFixture[str]):
    shell.run_cell("class Poll(")
    shell.run_cell("1 / 0")
    assert said(shell, capsys, POLL) == LINE
