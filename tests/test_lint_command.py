"""`msq lint`: files, notebooks and folders; what it prints and how it ends.

Each notebook of `lint_reports` has its stored report; MSQ_WRITE_REPORTS=1 writes them anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from msq_jupyter.cli import main
from msq_jupyter.lint_command import python_of_cell
from msq_jupyter.runtime.lint.page import page
from msq_jupyter.runtime.lint.rules import RULES

ROOT = Path(__file__).parents[1]
REPORTS = ROOT / "tests" / "lint_reports"
BAD = "from msq_jupyter import Model\nclass Poll(Model):\n    def vote(self, choice):\n        self.key = id(choice)\n"
GOOD = "from msq_jupyter import Model\nclass Poll(Model):\n    def vote(self, choice):\n        self.key = choice\n"


@pytest.mark.parametrize("notebook", sorted(REPORTS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_report_about_a_notebook_is_the_stored_one(
    notebook: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(REPORTS)
    assert main(["lint", notebook.name]) == 1
    report = capsys.readouterr().out
    stored = notebook.with_suffix(".txt")
    if os.environ.get("MSQ_WRITE_REPORTS"):
        stored.write_text(report)
    assert report == stored.read_text()


def test_the_lessons_and_the_readme_s_models_are_clean(capsys: pytest.CaptureFixture[str]):
    assert main(["lint", str(ROOT / "notebooks")]) == 0
    assert capsys.readouterr().out.startswith("No findings in ")


def test_a_finding_is_a_place_a_sentence_and_a_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "lesson.py").write_text(BAD)
    assert main(["lint", str(tmp_path / "lesson.py")]) == 1
    assert capsys.readouterr().out == (
        f"{tmp_path}/lesson.py:4:20 MSQ201 Poll.vote: id() is an address in the memory of one process\n"
        "    use self.id of a model, or a counter (docs/lint.md#msq201)\n"
        "1 finding in 1 file.\n"
    )


def test_findings_are_data_with_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "lesson.py").write_text(BAD)
    assert main(["lint", "--json", str(tmp_path)]) == 1
    (row,) = json.loads(capsys.readouterr().out)
    place = {"path": str(tmp_path / "lesson.py"), "line": 4, "column": 20, "where": "Poll.vote"}
    said = {"severity": "error", "message": "id() is an address in the memory of one process"}
    assert row == place | said | {
        "code": "MSQ201",
        "remedy": "use self.id of a model, or a counter",
        "docs": "docs/lint.md#msq201",
    }
    (tmp_path / "lesson.py").write_text(GOOD)
    assert main(["lint", "--json", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("options", "codes"),
    [
        (["--select", "MSQ2"], ["MSQ201"]),
        (["--select", "msq102, MSQ201"], ["MSQ102", "MSQ201"]),
        (["--ignore", "MSQ201"], ["MSQ102", "MSQ409"]),
        (["--select", "MSQ2,MSQ1", "--ignore", "MSQ102"], ["MSQ201"]),
    ],
)
def test_rules_can_be_chosen(options: list[str], codes: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    text = BAD + "        self.token = secrets.token_hex()\n        self.publish('a:b', 'c')\n"
    (tmp_path / "lesson.py").write_text("import secrets\n" + text)
    assert main(["lint", "--json", str(tmp_path), *options]) == 1
    found = [row["code"] for row in json.loads(capsys.readouterr().out)]
    assert sorted(found) == [code.replace("MSQ409", "MSQ408") for code in codes]


def test_a_folder_is_searched_for_the_user_s_own_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for folder in ("course", ".ipynb_checkpoints", "node_modules", "env"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "lesson.py").write_text(BAD)
    (tmp_path / "env" / "pyvenv.cfg").touch()
    (tmp_path / "notes.txt").write_text("not Python")
    assert main(["lint", str(tmp_path)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "1 finding in 1 file."


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "expected a file, a notebook or a folder to look at, got none: msq lint lesson.ipynb"),
        (["gone.py"], "expected a file, a notebook or a folder, got gone.py, which does not exist"),
        (["notes.txt"], "expected a .py file, an .ipynb notebook or a folder, got notes.txt"),
        (["bad.ipynb"], "expected a notebook of format 4, got bad.ipynb: KeyError: 'cells'"),
        (["latin.py"], "expected a readable text file, got latin.py: 'utf-8' codec"),
        (["--select", "MSQ7", "bad.ipynb"], "--select: expected rules such as MSQ101 or MSQ3, got MSQ7"),
        (["--ignore", "E501", "bad.ipynb"], "--ignore: expected rules such as MSQ101 or MSQ3, got E501"),
        (["--explain", "MSQ777"], "--explain: expected a rule such as MSQ101, or 'all', got MSQ777"),
    ],
)
def test_what_cannot_be_looked_at_is_one_line_on_stderr(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").touch()
    (tmp_path / "bad.ipynb").write_text("{}")
    (tmp_path / "latin.py").write_bytes(b"x = '\xe4'")
    assert main(["lint", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"msq: {said}")
    assert err.count("\n") == 1


def test_rules_are_explained(capsys: pytest.CaptureFixture[str]):
    assert main(["lint", "--explain", "msq303"]) == 0
    assert "votes = {}  # MSQ303" in capsys.readouterr().out
    assert main(["lint", "--explain", "all"]) == 0
    text = capsys.readouterr().out
    assert text == page()
    assert all(f"### {rule.code}\n" in text for rule in RULES)


@pytest.mark.parametrize("with_ipython", [True, False])
@pytest.mark.parametrize(
    "cell",
    [
        "x = 1\n",
        "\n\n%load_ext msq_jupyter\nx = 1",
        "!ls -l\nx = 1",
        "%%time\nx = 1",
        "len?\nx = 1\n",
        "if True:\n    x = 1\n?len",
        "!ls \\\n  -l\nx = 1",
        "%%bash\nif [ ; then (",
        "files = 1\r\nx = 2",
    ],
)
def test_a_cell_is_python_with_every_line_where_it_was(cell: str, with_ipython: bool, monkeypatch: pytest.MonkeyPatch):
    if not with_ipython:
        monkeypatch.setitem(__import__("sys").modules, "IPython.core.inputtransformer2", None)
    text = python_of_cell(cell)
    assert text.count("\n") == cell.count("\n")
    compile(text, "cell", "exec")
    if "bash" not in cell:
        wanted = [number for number, line in enumerate(cell.splitlines()) if "x =" in line]
        assert [number for number, line in enumerate(text.splitlines()) if "x =" in line] == wanted
