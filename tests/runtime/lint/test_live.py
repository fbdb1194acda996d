"""`lint_model`: a live class and everything it reaches, in other cells and modules too."""

from __future__ import annotations

import importlib
import linecache
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from msq_jupyter import Model, lint_model
from msq_jupyter.runtime.codehash import capture_sources
from tests.persistence import test_tutorial, test_tutorial_versions
from tests.session.models import Counter, EditedCounter
from tests.shells import a_shell


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Writes modules, and imports the last of them."""
    monkeypatch.syspath_prepend(tmp_path)
    known = set(sys.modules)

    def write(**texts: str) -> Any:
        for name, text in texts.items():
            (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield write
    for name in set(sys.modules) - known:
        del sys.modules[name]
    linecache.clearcache()


def said(findings: list[Any]) -> list[str]:
    return [f"{Path(one.path).name}:{one.line} {one.code} {one.where}" for one in findings]


def test_good_models_have_no_findings():
    things = [*vars(test_tutorial).values(), *vars(test_tutorial_versions).values(), Counter, EditedCounter]
    models = [thing for thing in things if isinstance(thing, type) and issubclass(thing, Model) and thing is not Model]
    assert len(models) >= 20
    assert [lint_model(model) for model in models] == [[]] * len(models)


def test_6_1_helpers_in_other_modules_are_covered_with_file_and_line(modules: Any):
    lesson = modules(
        clocks="import time\n\n\ndef stamp():\n    return now()\n\n\ndef now():\n    return time.time()\n",
        shapes="import random\n\n\nclass Shape:\n    def move(self):\n        self.rng = random.Random()\n\n\n"
        "def unused():\n    return open('x')\n",
        bases="from msq_jupyter import Model as M\n\n\nclass Base(M):\n    def at(self, _):\n        print(id(self))\n",
        lesson="import shapes\nfrom bases import Base\nfrom clocks import stamp\n\n\nclass Poll(Base):\n"
        "    def vote(self, choice):\n        self.last = stamp(), shapes.Shape()\n",
    )
    assert said(lint_model(lesson.Poll)) == [
        "bases.py:6 MSQ201 Base.at",
        "clocks.py:9 MSQ101 now",
        "shapes.py:6 MSQ102 Shape.move",
    ]


def test_tables_decorators_and_closures_lead_on(modules: Any):
    lesson = modules(
        tables="def one(x):\n    return id(x)\n\n\ndef two(x):\n    return hash(x)\n\n\nTABLE = {'one': one}\n\n\n"
        "def twice(f):\n    def wrapped(self, x):\n        f(self, x)\n        input()\n    return wrapped\n",
        lesson="from functools import partial\nfrom msq_jupyter import Model\nfrom tables import TABLE, twice, two\n\n"
        "three = partial(two)\n\n\nclass Poll(Model):\n    @twice\n    def vote(self, choice):\n"
        "        self.last = TABLE['one'](choice), three(choice)\n        open('x')\n",
    )
    assert said(lint_model(lesson.Poll)) == [
        "lesson.py:12 MSQ103 Poll.vote",
        "tables.py:2 MSQ201 one",
        "tables.py:6 MSQ202 two",
        "tables.py:15 MSQ110 wrapped",
    ]


def test_a_base_that_a_function_gives_is_covered(modules: Any):
    lesson = modules(
        bases="from msq_jupyter import Model\n\n\nclass Base(Model):\n    def at(self, _):\n        print(id(self))\n",
        kinds="import bases\n\nKINDS = {}\nKINDS.update(base=bases.Base)\nchosen = KINDS.get\n",
        lesson="from kinds import chosen\n\n\nclass Poll(chosen('base')):\n    pass\n",
    )
    assert "bases.py:6 MSQ201 Base.at" in said(lint_model(lesson.Poll))


def test_a_class_without_identity_gets_a_finding_and_the_others_too(modules: Any):
    lesson = modules(
        lesson="from msq_jupyter import Model\n\n\nclass Thing:\n    pass\n\n\nthing = Thing()\n\n\n"
        "class Poll(Model):\n    def vote(self, choice):\n        self.last = thing, id(choice)\n"
    )
    without, other = lint_model(lesson.Poll)
    assert said([without, other]) == ["lesson.py:11 MSQ902 Poll", "lesson.py:13 MSQ201 Poll.vote"]
    assert without.message.startswith("Poll.vote -> thing is a live Thing outside the model, so it is not replicated")
    assert without.remedy.startswith("create it in a method of the model, ")


def test_a_class_without_source_gets_a_finding():
    namespace: dict[str, Any] = {"Model": Model, "__name__": "__main__"}
    exec("class Poll(Model):\n    def vote(self, choice):\n        pass\n", namespace)
    (finding,) = lint_model(namespace["Poll"])
    assert (finding.code, finding.path, finding.where) == ("MSQ902", "", "Poll")
    assert "has no source" in finding.message


# --- in a notebook -----------------------------------------------------------------------------------------------


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    undo = capture_sources()
    with a_shell() as shell:
        yield shell
    undo()


def test_findings_name_the_cell(shell: Any):
    for cell in (
        "import time as clock\nfrom msq_jupyter import Model",
        "def stamp():\n    return clock.time()",
        "class Poll(Model):\n    def vote(self, choice):\n        self.last = stamp(), clock.sleep(1)",
    ):
        shell.run_cell(cell, store_history=True).raise_error()
    assert [
        str(finding).partition(" Poll.")[0].partition(" stamp:")[0] for finding in lint_model(shell.user_ns["Poll"])
    ] == [
        "cell [2]:2: MSQ101",
        "cell [3]:3: MSQ109",
    ]
