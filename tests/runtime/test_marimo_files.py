"""A model in a notebook of marimo is the same one as in Jupyter."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from msq_jupyter.runtime.codehash import explain_difference, identify
from msq_jupyter.runtime.link import link
from msq_jupyter.runtime.marimo_files import as_it_runs
from msq_jupyter.runtime.model import Model
from tests.runtime.test_codehash_cases import notebook

NOTEBOOK = '''
import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium")

with app.setup:
    import math
    from msq_jupyter import Model


@app.function
def doubled(number):
    return 2 * number


@app.cell(hide_code=True)
def _(doubled):
    LIMIT = 10

    class Counter(Model):
        """Counts.

            As far as LIMIT.
        """

        def init(self, options, persisted=None):
            self.count = 0

        def add(self, amount):
            self.count = min(LIMIT, self.count + doubled(math.floor(amount)))

    Counter
    return (Counter,)


@app.class_definition
class Light(Model):
    def init(self, options, persisted=None):
        self.on = False


if __name__ == "__main__":
    app.run()
'''

CELLS = [
    "import math\nfrom msq_jupyter import Model\n",
    "def doubled(number):\n    return 2 * number\n",
    """
LIMIT = 10

class Counter(Model):
    def init(self, options, persisted=None):
        self.count = 0

    def add(self, amount):
        self.count = min(LIMIT, self.count + doubled(math.floor(amount)))
""",
]


@pytest.fixture
def definitions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the notebook defines when marimo runs it."""
    path = tmp_path / "lesson.py"
    path.write_text(NOTEBOOK)
    spec = importlib.util.spec_from_file_location("lesson", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "lesson", module)
    spec.loader.exec_module(module)
    return {**vars(module), **dict(module.app.run()[1])}


def test_1_3_a_model_in_a_cell_of_marimo_has_the_hash_it_has_in_jupyter(definitions: Any) -> None:
    in_marimo = identify(definitions["Counter"], model_base=Model)
    with notebook(CELLS) as main:
        in_jupyter = identify(main.Counter, model_base=Model)
    assert explain_difference(in_marimo.records, in_jupyter.records) == []
    assert in_marimo.code_hash == in_jupyter.code_hash
    assert link(in_marimo).root.__name__ == "Counter"


def test_a_model_that_is_a_cell_of_its_own_is_found(definitions: Any) -> None:
    assert "class Light(Model):\n    def init" in identify(definitions["Light"], model_base=Model).source


def test_cells_are_statements_of_one_module_at_their_lines() -> None:
    module, cells = as_it_runs(ast.parse(NOTEBOOK))
    assert [len(cell.body) for cell in cells] == [2, 1, 3, 1]
    assert [type(statement).__name__ for statement in module.body] == [
        *("Import", "ImportFrom", "FunctionDef", "Assign", "ClassDef", "Expr", "ClassDef")
    ]
    lines = NOTEBOOK.split("\n")
    first_lines = [lines[statement.lineno - 1].strip() for statement in module.body]
    assert first_lines[3:5] == ["LIMIT = 10", "class Counter(Model):"]


@pytest.mark.parametrize(
    "text", ["app = App()\n@app.cell\ndef f(): pass\n", "import marimo\nx = 1\n@cell\ndef f(): pass\n"]
)
def test_any_other_file_stays_as_it_is(text: str) -> None:
    tree = ast.parse(text)
    assert as_it_runs(tree) == (tree, [])
