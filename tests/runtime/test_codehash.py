"""The code hash changes when behaviour can, and at no other time."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from msq_jupyter import protocol
from msq_jupyter.errors import CodeIdentityError
from msq_jupyter.runtime import sources
from msq_jupyter.runtime.codehash import CodeIdentity, Record, capture_sources, explain_difference, identify
from msq_jupyter.runtime.model import Model as BaseModel
from tests.runtime import test_codehash_cases as cases
from tests.runtime.test_codehash_cases import BASE, COUNTER, DIFFERENT, NOTEBOOK, SAME, SUB, Pair, identity, uses
from tests.shells import a_shell


@pytest.mark.parametrize("pair", SAME, ids=lambda pair: pair.sentence)
def test_1_3_the_hash_stays_when(pair: Pair) -> None:
    assert explain_difference(identity(pair.one).records, identity(pair.other).records) == []
    assert identity(pair.one).code_hash == identity(pair.other).code_hash


@pytest.mark.parametrize("pair", DIFFERENT, ids=lambda pair: pair.sentence)
def test_1_3_the_hash_changes_when(pair: Pair) -> None:
    assert identity(pair.one).code_hash != identity(pair.other).code_hash
    assert explain_difference(identity(pair.one).records, identity(pair.other).records) != []


REFUSED = {
    "a live object is a global": (
        uses("t", "class Thing: pass\nt = Thing()\n"),
        "Counter.f -> t is a live Thing outside the model",
    ),
    "a live object is in a table": (
        uses("T", "T = {'a': [object()]}\n"),
        r"Counter.f -> T\['a'\]\[0\] is a live object",
    ),
    "a live object is a class attribute": (cases.counter("lock = open"), None),
    "an open file is a class attribute": (
        ["import io\n", *cases.counter("log = io.StringIO()")],
        "Counter.log is a live StringIO outside the model",
    ),
    "a library object is a global": (uses("L", "import logging\nL = logging.getLogger('x')\n"), "L is a live Logger"),
    "a list contains itself": (uses("L", "L = []\nL.append(L)\n"), r"Counter.f -> L\[0\] contains itself"),
    "a class comes from exec": (["exec('class Counter(Model):\\n    def f(self): return 1\\n')\n"], "has no source"),
    "a helper comes from exec": (uses("h()", "exec('def h(): return 1')\n"), "-> h: the function h has no source"),
    "a dataclass comes from make_dataclass": (
        uses("C", "from dataclasses import make_dataclass\nC = make_dataclass('C', ['x'])\n"),
        "-> C: the class C has no source: write it as a class statement and not with make_dataclass",
    ),
    "a dataclass from make_dataclass has the name of an earlier class": (
        [
            "class C:\n    x: int\n",
            *uses("C", "from dataclasses import make_dataclass\nC = make_dataclass('C', ['x'])\n"),
        ],
        "-> C: the class C has no source: write it as a class statement and not with make_dataclass",
    ),
    "a class comes from new_class": (
        uses("C", "import types\nC = types.new_class('C')\n"),
        "-> C: the class C has no source: write it as a class statement",
    ),
    "the notebook is reached whole": (uses("m.x", "import __main__ as m\n"), "-> m is the whole notebook"),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_1_3_the_model_is_refused_when(sentence: str) -> None:
    cells, message = REFUSED[sentence]
    if message is None:
        assert identity(cells).code_hash  # a builtin is just a name
        return
    with pytest.raises(CodeIdentityError, match=message):
        identity(cells)


def test_an_object_nobody_mentions_is_not_refused() -> None:
    assert identity(["session = object()\n", *NOTEBOOK]).code_hash == identity(NOTEBOOK).code_hash


# --- the same everywhere -----------------------------------------------------------------------------------------

GOLDEN = "cO5X7la69uleJUMuRaYDPQ0Ak_pTcsdslBzvRfx7pQ8"


def test_the_format_has_not_changed_unnoticed() -> None:
    assert identity(NOTEBOOK).code_hash == GOLDEN


def test_the_protocol_version_of_the_hash_is_that_of_the_wire() -> None:
    assert str(protocol.PROTOCOL_VERSION) == sources.OWN_VERSION


# --- what an identity says ---------------------------------------------------------------------------------------


def test_models_are_all_reachable_subclasses_with_the_root_first() -> None:
    items = "class Item(Model):\n    pass\nclass Unused(Model):\n    pass\n"
    assert list(identity([items, *uses("Item.create()")]).models) == ["Counter", "Item"]


def test_value_types_are_the_reachable_enums_named_tuples_and_dataclasses() -> None:
    kinds = (
        "import enum, http\nfrom dataclasses import dataclass\nfrom collections import namedtuple\n"
        "from typing import NamedTuple\n"
        "class Colour(enum.Enum):\n    RED = 1\nclass Unused(enum.Enum):\n    RED = 1\n"
        "class Pair(NamedTuple):\n    a: int\nPoint = namedtuple('Point', 'x y')\n"
        "@dataclass\nclass Page:\n    colour: Colour\nclass Other:\n    pass\n"
    )
    found = identity([kinds, *uses("Page(Colour.RED), Pair(1), Point(1, 2), http.HTTPStatus.OK, Other")])
    assert sorted(found.value_types) == ["Colour", "Page", "Pair", "Point"]
    assert list(found.models) == ["Counter"]
    assert all(kind.__qualname__ == key for key, kind in found.value_types.items())


def test_the_source_shows_what_was_found_in_order() -> None:
    source = identity(NOTEBOOK).source
    assert source == f"{COUNTER.strip()}\n\n{cases.HELPER.strip()}"


def test_records_have_names_for_people() -> None:
    named = [(record.kind, record.name) for record in identity(NOTEBOOK).records]
    assert {("class", "Counter"), ("function", "Counter.tick"), ("function", "helper"), ("value", "SPEED")} <= {*named}
    assert len(set(named)) == len(named)


def test_1_3_a_difference_is_one_sentence_for_each_piece() -> None:
    ours = identity(NOTEBOOK).records
    theirs = identity(cases.edited("OFFSET = 2", "OFFSET = 3")).records
    assert explain_difference(ours, theirs) == ["the constant OFFSET differs."]
    theirs = identity(cases.edited("+= helper(self.n)", "+= 1")).records
    assert explain_difference(ours, theirs) == [
        "the function Counter.tick differs.",
        "only ours uses the function helper.",
        "only ours uses the constant OFFSET.",
    ]
    assert explain_difference([Record("package", "numpy", "1")], [Record("package", "numpy", "2")]) == [
        "the package numpy is 1 in ours and 2 in theirs."
    ]


def test_an_older_base_class_is_named() -> None:
    sentences = explain_difference(identity([BASE, SUB, BASE.replace("1", "2")]).records, identity([BASE, SUB]).records)
    assert sentences == [
        "ours: Counter base B is an older B than the one defined now: run the cell that uses it again."
    ]


# --- finding sources ---------------------------------------------------------------------------------------------


def test_a_class_with_methods_is_found_without_the_hook() -> None:
    assert identity(NOTEBOOK, captured=False).code_hash == identity(NOTEBOOK).code_hash


def test_a_class_without_methods_needs_the_hook_and_the_message_says_so() -> None:
    sources._latest_bodies.clear()
    with pytest.raises(CodeIdentityError, match="run %load_ext msq_jupyter before the cell that defines it, then run"):
        identity(["class Counter(Model): pass\n"], captured=False)


def test_the_hook_is_put_in_once_and_taken_out() -> None:
    original: Any = __build_class__
    undo = capture_sources()
    assert capture_sources() is undo
    undo()
    assert __build_class__ is original


def test_the_hook_lets_odd_classes_pass() -> None:
    undo = capture_sources()
    try:
        three: Any = lambda *_: 3  # noqa: E731

        class Unhashable(type):
            __hash__ = None  # type: ignore[assignment]

        class Odd(metaclass=Unhashable):
            pass

        class Three(metaclass=three):  # type: ignore[metaclass]
            pass

        not_a_class: Any = Three
        assert not_a_class == 3
        assert isinstance(Odd, Unhashable)
    finally:
        undo()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of the user's modules, forgotten afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    importlib.invalidate_caches()


def fresh(cells: list[str], *modules: str) -> CodeIdentity:
    """An identity in a kernel that has not imported these modules yet."""
    for name in modules:
        sys.modules.pop(name, None)
    return identity(cells)


def test_1_3_a_function_of_an_own_module_is_followed(project: Path) -> None:
    cells = uses("go()", "from first_helpers import go\n")
    write(project / "first_helpers.py", "K = 1\ndef go(): return K\ndef other(): return 1\n")
    one = fresh(cells)
    write(project / "first_helpers.py", "# new\nK = 1\ndef go(): return K\ndef other(): return 234\n")
    assert fresh(cells, "first_helpers").code_hash == one.code_hash
    write(project / "first_helpers.py", "K = 23\ndef go(): return K\n")
    theirs = fresh(cells, "first_helpers")
    assert explain_difference(one.records, theirs.records) == ["the constant first_helpers.K differs."]


@pytest.mark.parametrize(
    "cells",
    [
        uses("pack.part.go()", "import pack.part\n"),
        uses("pack.go()", "import pack\n"),
        cases.counter("def f(self):\n    from pack import part\n    return part.go()"),
        cases.counter("def f(self):\n    import pack.part as p\n    return p.go()"),
    ],
    ids=["an attribute of a package", "an import of a package", "an import in a method", "a dotted import in a method"],
)
def test_1_3_a_module_of_an_own_package_is_followed_by(cells: list[str], project: Path) -> None:
    write(project / "pack" / "__init__.py", "from .part import go\n")
    write(project / "pack" / "part.py", "from . import deep\ndef go(): return deep.X\n")
    write(project / "pack" / "deep.py", "from pack import part\nX = 1\n")
    names = ("pack", "pack.part", "pack.deep")
    one = fresh(cells)
    write(project / "pack" / "deep.py", "from pack import part\nX = 234\n")
    theirs = fresh(cells, *names)
    assert one.code_hash != theirs.code_hash
    assert explain_difference(one.records, theirs.records) == ["the module pack.deep differs."]


def test_an_import_with_more_dots_than_packages_leads_nowhere(project: Path) -> None:
    text = "def go():\n    from ..pack import part\n    return part\n"
    write(project / "pack" / "__init__.py", text)
    one = fresh(uses("pack.go()", "import pack\n"))
    assert [record.name for record in one.records if record.kind == "module"] == ["pack"]


def test_1_3_a_module_edited_and_not_imported_again_is_refused(project: Path) -> None:
    cells = uses("go()", "from third_helpers import go\n")
    write(project / "third_helpers.py", "def go(): return 1\n")
    fresh(cells)
    write(project / "third_helpers.py", "def go(): return 2345\n")
    with pytest.raises(
        CodeIdentityError, match=r"Counter\.f -> go: the function go runs other code than its source has"
    ):
        identity(cells)
    with pytest.raises(CodeIdentityError, match="the module third_helpers runs other code"):
        identity(uses("third_helpers.go()", "import third_helpers\n"))


def test_1_3_an_installed_package_is_a_version() -> None:
    records = identity(uses("msgspec.json.encode(1), Struct", "import msgspec\nfrom msgspec import Struct\n")).records
    versions = {record.name: record.text for record in records if record.kind == "package"}
    assert versions == {"msgspec": importlib.import_module("importlib.metadata").version("msgspec"), "msq_jupyter": "1"}


def test_code_that_pytest_rewrote_is_taken_as_it_is() -> None:
    class Tested(cases.Model):
        def check(self) -> None:
            assert self is not None

    assert list(identify(Tested, model_base=cases.Model).models) == [f"{__name__}.{Tested.__qualname__}"]


class Lively(BaseModel):
    def act(self) -> int:
        return len(Lively.__name__)


def test_1_3_code_that_was_read_once_is_not_parsed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs an unchanged cell again does not wait for it."""
    parsed: list[str] = []

    def parse(text: str, *given: Any, **named: Any) -> Any:
        parsed.append(text)
        return whole(text, *given, **named)

    whole = ast.parse
    sources._parsed.cache_clear()
    monkeypatch.setattr(ast, "parse", parse)
    one = identify(Lively, model_base=BaseModel)
    assert parsed
    assert len(parsed) == len(set(parsed))
    parsed.clear()
    assert identify(Lively, model_base=BaseModel) == one
    assert parsed == []


# --- in a notebook -----------------------------------------------------------------------------------------------


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A real IPython shell whose names are `__main__`, with the hook in."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    undo = capture_sources()
    with a_shell() as shell:
        shell.user_ns["Model"] = cases.Model
        yield shell
    undo()


def identity_in(shell: Any, *cells: str) -> CodeIdentity:
    for cell in cells:
        shell.run_cell(cell).raise_error()
    return identify(shell.user_ns["Counter"], model_base=cases.Model)


def test_1_3_cells_of_a_notebook_are_found_and_compared(shell: Any) -> None:
    one = identity_in(shell, *NOTEBOOK)
    assert one.code_hash == identity(NOTEBOOK).code_hash
    assert identity_in(shell, COUNTER.replace("# comment", "# other\n")).code_hash == one.code_hash
    assert identity_in(shell, "session = object()\n", COUNTER).code_hash == one.code_hash
    helper = identity_in(shell, cases.HELPER.replace("+", "-"))
    assert explain_difference(one.records, helper.records) == ["the function helper differs."]
    assert identity_in(shell, cases.HELPER).code_hash == one.code_hash


def test_a_class_without_methods_is_found_in_a_notebook(shell: Any) -> None:
    one = identity_in(shell, "class Counter(Model):\n    step = 1\n")
    assert identity_in(shell, "class Counter(Model):\n\n    step = 1  # one\n").code_hash == one.code_hash
    assert identity_in(shell, "class Counter(Model):\n    step = 2\n").code_hash != one.code_hash


def test_magics_and_display_in_the_cell_do_no_harm(shell: Any) -> None:
    cell = f"%who_ls\n{COUNTER}\n!true\n1 + 1\n"
    assert identity_in(shell, *NOTEBOOK[:2], cell).code_hash == identity(NOTEBOOK).code_hash


def test_a_future_import_in_another_cell_does_no_harm(shell: Any) -> None:
    cells = cases.counter("def f(self, a: int): return a")
    assert identity_in(shell, "from __future__ import annotations\n", *cells).code_hash == identity(cells).code_hash


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("import math", "math.floor(1.5)"),
        ("import datetime", "datetime.date(2020, 1, 1)"),
        ("import statistics as st", "st.mean([1, 2])"),
        ("from math import floor", "floor(1.5)"),
        ("import os.path", "os.path.join('a', 'b')"),
    ],
)
def test_an_import_in_the_cell_of_the_class_makes_no_difference(shell: Any, line: str, call: str) -> None:
    """Python compiles a call of an imported name in another way where it sees the import."""
    model = f"class Counter(Model):\n    def f(self):\n        return {call}, [{call} for _ in 'a']\n"
    together = identity_in(shell, f"{line}\n{model}")
    apart = identity_in(shell, line, model)
    assert together.code_hash == apart.code_hash
