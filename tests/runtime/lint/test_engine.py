"""What is model code and what is not, and what a comment lets pass."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from textwrap import dedent

import pytest

from msq_jupyter.runtime.deterministic.refusals import KEPT, REFUSED
from msq_jupyter.runtime.deterministic.stand_ins import REPLACED
from msq_jupyter.runtime.lint import Finding, lint_text

ROOT = Path(__file__).parents[3]


def lint(text: str) -> list[Finding]:
    return lint_text(dedent(text))


def found(text: str) -> list[str]:
    return [f"{finding.code} {finding.line} {finding.where}" for finding in lint(text)]


# --- nothing about good code -------------------------------------------------------------------------------------


def test_the_tutorial_in_python_is_clean():
    texts = [path.read_text() for path in (ROOT / "tests" / "persistence").glob("test_tutorial*.py")]
    assert sum(text.count("(Model):") for text in texts) >= 13
    assert [lint_text(text) for text in texts] == [[], []]


def test_the_models_of_the_readme_are_clean():
    cells = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    text = "\n".join(re.sub(r"^%+", "# ", cell) for cell in cells)
    assert "class Poll(Model)" in text
    assert lint_text(text) == []


def test_of_the_models_of_the_tests_only_the_mistaken_has_findings():
    text = (ROOT / "tests" / "session" / "models.py").read_text()
    assert [(finding.where, finding.code) for finding in lint_text(text)] == [
        ("Mistaken.set_id", "MSQ307"),
        ("Mistaken.half_a_future", "MSQ404"),
        ("Child.listen", "MSQ407"),
    ]


GOOD = {
    "views, cells and functions that no model uses": """
        import random, time
        from msq_jupyter import Model, View
        def wait():
            time.sleep(random.random())
        class Show(View):
            def __init__(self, model):
                self.started = time.perf_counter()
        class Poll(Model):
            def vote(self, choice):
                self.last = choice
        """,
    "Model of another library": """
        import time
        from keras import Model
        class Net(Model):
            def __init__(self):
                self.started = time.time()
        """,
    "a local name like a library's": """
        import time
        from msq_jupyter import Model
        class Poll(Model):
            def vote(self, time, open, id, hash):
                self.last = [time.sleep, open(1), id(2), hash("x")]
        """,
    "random and uuid4, which linking replaces": """
        import random, uuid
        from msq_jupyter import Model
        class Poll(Model):
            def vote(self, choice):
                self.last = random.choice([1, 2]), uuid.uuid4().hex
                random.shuffle(self.names)
        """,
    "sets that the model makes": """
        from msq_jupyter import Model
        class Poll(Model):
            def init(self, options):
                self.names = set()
            def vote(self, choice):
                for name in self.names | {choice}:
                    self.last = name
                self.first = list({1, 2}), self.names.pop()
                shared = self.votes.keys() & self.names
                for name in shared:
                    self.last = name
        """,
    "a table of constants": """
        from msq_jupyter import Model
        COLORS = ["red", "green"]
        class Poll(Model):
            SIZES = {"small": 1}
            names = ("a", "b")
            def vote(self, choice):
                self.color = COLORS[self.SIZES[choice]]
                mine = COLORS.copy()
                mine.append(choice)
        """,
    "a class attribute that init sets for each model": """
        from msq_jupyter import Model
        class Poll(Model):
            votes: dict = {}
            def init(self, options):
                self.votes = {}
            def vote(self, choice):
                self.votes[choice] = 1
        """,
    "identity of models, classes and singletons": """
        from msq_jupyter import Model
        class Poll(Model):
            def vote(self, choice):
                if choice is None or self.child is not self or type(choice) is int or choice is True or choice is ...:
                    self.last = None
        """,
    "all errors, raised again": """
        from msq_jupyter import Model
        class Poll(Model):
            def vote(self, choice):
                try:
                    self.last = int(choice)
                except BaseException:
                    self.failed = True
                    raise
        """,
    "text of errors for people": """
        from msq_jupyter import Model
        class Poll(Model):
            def vote(self, choice):
                try:
                    self.last = int(choice)
                except ValueError as error:
                    print(f"no number: {error}")
                    self.kind = type(error).__name__
        """,
    "functions of a module with names like methods": """
        import heapq, numpy as np
        from msq_jupyter import Model
        class Poll(Model):
            def vote(self, choice):
                self.row = np.append(self.row, choice)
                heapq.heappush(self.queue, choice)
                self.order = np.sort(self.row, kind="stable"), sorted(self.queue)
        """,
    "a handler that is another model's method, by that model": """
        from msq_jupyter import Model
        class Poll(Model):
            def init(self, options):
                self.subscribe("poll", "vote", self.vote)
                self.subscribe("poll", "other", "vote")
                self.subscribe("poll", "end", self.destroy_all)
                self.future(every=1000).tick()
                self.future(10, self.vote, "yes")
                handle = self.future(20)
                handle.tick()
            def vote(self, choice, weight=1): pass
            def destroy_all(self, *_): pass
            def tick(self): pass
        """,
    "methods of a base that the text does not show": """
        from msq_jupyter import Model
        from course import Base
        class Poll(Base, Model):
            def init(self, options):
                self.subscribe("poll", "vote", self.vote)
        """,
    "one subscription or another": """
        from msq_jupyter import Model
        class Poll(Model):
            def init(self, options):
                if options:
                    self.subscribe("poll", "vote", self.vote)
                else:
                    self.subscribe("poll", "vote", self.vote)
                for name in options:
                    self.subscribe(name, "vote", self.vote)
            def vote(self, choice): pass
        """,
    "variables of a handler that its inner function changes": """
        from msq_jupyter import Model
        class Poll(Model):
            def vote(self, choices):
                total = 0
                def add(choice):
                    nonlocal total
                    total += choice
                for choice in choices:
                    add(choice)
                self.total = total
                self.votes = sorted(choices, key=lambda choice: -choice)
        """,
    "saved data of many shapes": """
        from msq_jupyter import Model
        class Poll(Model):
            def init(self, options):
                self.tags = set()
                self.tags = []
            def save(self):
                data = self.collect()
                self.persist_session(data)
                self.persist_session(self.collect)
                self.persist_session([{"a": 1.5, "b": None}, float("1e3"), *self.tags])
            def collect(self):
                def unused():
                    return {1}
                return {"tags": self.tags, "names": [name for name in self.tags], "n": {str(k): 1 for k in self.tags}}
        """,
    "__hash__ of a value, and the hash of a number": """
        from dataclasses import dataclass
        from msq_jupyter import Model
        @dataclass(frozen=True)
        class Point:
            x: int
            def __hash__(self):
                return hash(self.x)
        class Poll(Model):
            def vote(self, choice):
                self.point = Point(choice), hash(7)
        """,
    "formats without a language": """
        from msq_jupyter import Model
        class Poll(Model):
            def vote(self, choice):
                self.title = f"{choice:,} {choice:>10} {choice!r:n>3} {choice:}" + format(choice, ".2f")
                self.month = choice.strftime("%Y-%m")
        """,
}


@pytest.mark.parametrize("name", GOOD)
def test_nothing_is_said_about(name: str):
    assert [str(finding) for finding in lint(GOOD[name])] == []


# --- what is reached ---------------------------------------------------------------------------------------------


def test_helpers_classes_and_constants_that_a_model_uses_are_model_code():
    assert found("""
        import time as clock
        from time import sleep as pause
        from msq_jupyter import Model
        def now():
            return stamp()
        def stamp(at=clock.time()):
            return clock.time()
        class Stopwatch:
            def start(self):
                pause(1)
        TABLE = {"key": lambda thing: id(thing)}
        alias = clock.monotonic
        class Poll(Model):
            def vote(self, choice):
                self.at = now(), Stopwatch(), TABLE["key"](choice), alias()
    """) == [
        "MSQ113 7 module",
        "MSQ101 8 stamp",
        "MSQ109 11 Stopwatch.start",
        "MSQ201 12 module",
        "MSQ101 16 Poll.vote",
    ]


@pytest.mark.parametrize(
    ("imports", "base"),
    [
        ("from msq_jupyter import Model", "Model"),
        ("from msq_jupyter import Model as M", "M"),
        ("import msq_jupyter", "msq_jupyter.Model"),
        ("import msq_jupyter as msq", "msq.Model"),
        ("from msq_jupyter import PersistentModel", "PersistentModel"),
        ("from msq_jupyter.runtime.model import Model", "Model"),
        ("", "Model"),
        ("", "PersistentModel"),
        ("", "msq_jupyter.Model"),
        ("from msq_jupyter import Model\nclass Base(Model): pass\nclass Middle(Base): pass", "Middle"),
        ("from msq_jupyter import Model\nMine = Model", "Mine"),
        ("from msq_jupyter import Model\nfrom typing import Generic", "Generic[int], Model"),
    ],
)
def test_a_model_is_known_by_its_base(imports: str, base: str):
    text = f"{imports}\nclass Poll({base}):\n    def vote(self, choice):\n        self.key = id(choice)\n"
    assert [finding.code for finding in lint_text(text)] == ["MSQ201"]


def test_methods_do_not_see_the_names_of_their_class():
    assert found("""
        from msq_jupyter import Model
        class Poll(Model):
            input = "a line of text"
            default = input
            def vote(self, choice):
                self.last = input(), self.input
    """) == ["MSQ110 7 Poll.vote"]


def test_models_inside_functions_and_classes_are_looked_at():
    assert found("""
        from msq_jupyter import Model
        def lesson():
            def helper(thing):
                return id(thing)
            class Poll(Model):
                class Page(Model):
                    def read(self, _):
                        input()
                def vote(self, choice):
                    self.key = helper(choice)
            return Poll
    """) == ["MSQ201 5 helper", "MSQ110 9 Page.read"]


def test_a_finding_says_all_there_is_to_say():
    (finding,) = lint_text("class Poll(Model):\n    def vote(self, ä):\n        self.ö = id(ä)\n", "lesson.py")
    assert finding == Finding(
        *("lesson.py", 3, 18, "MSQ201", "Poll.vote", "error"),
        message="id() is an address in the memory of one process",
        remedy="use self.id of a model, or a counter",
    )
    assert str(finding) == f"lesson.py:3: MSQ201 Poll.vote: {finding.message}; {finding.remedy}"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("self.at = datetime.datetime.now()", "MSQ101"),
        ("self.at = datetime.date.today()", "MSQ101"),
        ("self.rng = random.Random()", "MSQ102"),
        ("random.seed(7)", "MSQ102"),
        ("self.key = os.urandom(4)", "MSQ102"),
        ("os.listdir('.')", "MSQ103"),
        ("with open(choice) as file: pass", "MSQ103"),
        ("self.host = sys.platform", "MSQ106"),
        ("await choice", "MSQ108"),
        ("exec(choice)", "MSQ111"),
        ("self.votes = {(name): 1 for name in WORDS}", "MSQ204"),
        ("self.names = [*WORDS]", "MSQ204"),
        ("self.text = ','.join(WORDS)", "MSQ204"),
        ("self.same = choice is STATE", "MSQ205"),
        ("self.same = choice is (1, 2)", "MSQ205"),
        ("self.x = numpy.linalg.solve(choice, choice)", "MSQ207"),
        ("self.x = self.matrix.dot(choice)", "MSQ208"),
        ("self.x = choice.argsort()", "MSQ210"),
        ("self.x = numpy.random.rand()", "MSQ211"),
        ("self.x = numpy.random.default_rng().normal()", "MSQ211"),
        ("self.x = format(choice, 'n')", "MSQ212"),
        ("self.x = choice.strftime('%A')", "MSQ212"),
        ("CACHE[choice] = 1", "MSQ302"),
        ("CACHE.setdefault(choice, []).append(1)", "MSQ302"),
        ("del CACHE[choice]", "MSQ302"),
        ("CACHE[choice] += 1", "MSQ302"),
        ("random.shuffle(ORDER)", "MSQ302"),
        ("settings.speed = 3", "MSQ302"),
        ("type(self).count += 1", "MSQ304"),
        ("self.__class__.names.append(choice)", "MSQ304"),
        ("self.pages.append(Poll())", "MSQ309"),
        ("self.chart = matplotlib.pyplot.figure()", "MSQ310"),
        ("self.rules = {'max': lambda votes: 1}", "MSQ312"),
        ("self.rules.append(helper)", "MSQ312"),
        ("self.numbers = (n for n in choice)", "MSQ312"),
        ("self.numbers = numbers()", "MSQ312"),
        ("self.pairs = zip(choice, choice)", "MSQ312"),
        ("self.future(10)", "MSQ404"),
        ("self.future(10).vote", "MSQ404"),
        ("self.future(10).vot()", "MSQ405"),
        ("self.future(10, self.vote())", "MSQ401"),
        ("self.subscribe('a', 'b', helper)", "MSQ401"),
        ("self.subscribe('a', 'b', self.child.vote)", "MSQ401"),
        ("self.subscribe('a', 'b', 'vot')", "MSQ405"),
        ("self.persist_session(b'x')", "MSQ501"),
        ("self.persist_session('text')", "MSQ501"),
        ("self.persist_session({1: 'one'})", "MSQ501"),
        ("self.persist_session({'a': {'b': [{1, 2}]}})", "MSQ501"),
        ("self.persist_session(lambda: {'a': self.votes.keys()})", "MSQ501"),
        ("self.persist_session(self.bad_data)", "MSQ501"),
        ("self.persist_session({'at': datetime.datetime(2024, 1, 1)})", "MSQ501"),
        ("self.persist_session({'x': float('nan')})", "MSQ501"),
    ],
)
def test_6_1_a_handler_with(line: str, code: str):
    text = """
import datetime, os, random, sys, numpy, matplotlib.pyplot, settings
from msq_jupyter import Model
CACHE = {}
ORDER = [1, 2]
WORDS = {"a", "b"}
STATE = "open"
def helper(data): pass
def numbers():
    yield 1
class Poll(Model):
    def vote(self, choice):
        LINE
    def bad_data(self):
        return {"tags": set(self.votes)}
"""
    findings = lint_text(text.replace("LINE", line))
    assert {finding.code for finding in findings} == {code}, [str(finding) for finding in findings]


def test_defaults_and_class_attributes_are_part_of_the_identity():
    assert found("""
        import random, time, os
        from msq_jupyter import Model
        class Poll(Model):
            started = time.time()
            after = time.time
            debug = os.environ.get("DEBUG")
            rng = lambda self: random.random()
            def vote(self, choice, at=time.time()):
                self.at = at
    """) == ["MSQ113 5 Poll", "MSQ113 7 Poll", "MSQ113 9 Poll"]


def test_a_transient_attribute_may_have_a_default_or_be_asked_for():
    text = """
        from msq_jupyter import Model
        class Poll(Model):
            transient = ("a", "b", "c", "d", "e")
            a = None
            def vote(self, choice):
                self.last = self.a, getattr(self, "b", None), hasattr(self, "c") and self.c
                self.d = choice
                self.last = self.d
                try:
                    self.last = self.e
                except AttributeError:
                    self.e = 1
            def other(self, _):
                self.last = self.e
    """
    assert found(text) == ["MSQ308 15 Poll.other"]


# --- what linking does -------------------------------------------------------------------------------------------

REFUSED_NAMES = [
    (module, member if member != "*" else "anything", remedy)
    for module, members in REFUSED.items()
    for member, remedy in members.items()
]


def using(module: str, member: str) -> str:
    name = "os.path" if module == "posixpath" else module
    top, used = ("", member) if module == "builtins" else (f"import {name}\n", f"{name}.{member}")
    return f"{top}class Poll(Model):\n    def vote(self, choice):\n        print({used})\n"


@pytest.mark.parametrize(("module", "member", "remedy"), REFUSED_NAMES, ids=lambda value: value[:20])
def test_6_1_what_linking_refuses_is_found_with_the_same_remedy(module: str, member: str, remedy: str):
    findings = lint_text(using(module, member))
    assert [(finding.severity, remedy.endswith(finding.remedy)) for finding in findings] == [("error", True)]


@pytest.mark.parametrize("module", KEPT)
def test_6_1_what_linking_keeps_passes(module: str):
    assert [lint_text(using(module, member)) for member in KEPT[module]] == [[]] * len(KEPT[module])


@pytest.mark.parametrize("module", sorted(REPLACED.keys() - {"time", "datetime", "builtins"}))
def test_6_1_what_linking_replaces_passes(module: str):
    assert {member for member in REPLACED[module] if lint_text(using(module, member))} == set()


# --- what may pass -----------------------------------------------------------------------------------------------


def test_a_comment_lets_pass_what_it_names_on_its_line_and_nothing_else():
    text = """\
class Poll(Model):
    def vote(self, choice):
        self.a = id(choice), hash(choice)  # msq: ignore[MSQ201]
        self.b = id(choice), hash(choice)  # msq: ignore[MSQ201, MSQ202]  (kept within one kernel)
        self.c = "# msq: ignore[MSQ201]", id(choice)
"""
    assert [(finding.line, finding.code) for finding in lint_text(text)] == [(3, "MSQ202"), (5, "MSQ201")]


def test_a_comment_that_names_no_rule_lets_nothing_pass_and_is_reported():
    text = """\
class Poll(Model):
    def vote(self, choice):
        self.a = id(choice)  # msq: ignore[MSQ999]
        self.b = id(choice)  # msq: ignore
"""
    findings = lint_text(text)
    assert [(finding.line, finding.code) for finding in findings] == [
        (3, "MSQ201"),
        (3, "MSQ900"),
        (4, "MSQ201"),
        (4, "MSQ900"),
    ]
    assert findings[1].message == "msq: ignore names MSQ999, which is no rule"
    assert findings[3].message == "msq: ignore names nothing, which is no rule"


@pytest.mark.parametrize("text", ["class Poll(Model:\n    pass\n", "\0", "x = " + "(" * 500, "x = 1\n  y = 2\n"])
def test_what_is_not_python_is_a_finding(text: str):
    (finding,) = lint_text(text, "lesson.py")
    assert (finding.code, finding.path) == ("MSQ901", "lesson.py")
    assert finding.message.startswith("not Python: ")


@pytest.mark.parametrize("part", ["+x", ".a", "[0]", "()", " if x else x"])
@pytest.mark.parametrize("line", ["self.last = x%s", "self.persist_session(x%s)", "self.future(10, x%s)", "x%s is 'x'"])
def test_an_expression_of_a_thousand_parts_is_no_trouble(line: str, part: str):
    findings = lint_text(f"class Poll(Model):\n    def vote(self, x):\n        {line % (part * 3000)}\n")
    assert {finding.code for finding in findings} <= {"MSQ901", "MSQ205"}


def test_any_python_can_be_looked_at():
    """Texts of the standard library, each with all of its classes taken for models."""
    folder = Path(ast.__file__).parent
    codes = set()
    for name in ("dataclasses.py", "enum.py", "typing.py", "argparse.py", "asyncio/base_events.py", "ast.py"):
        text = re.sub(
            r"^class (\w+)(\([\w.]+\))?:", r"class \1(Model):", (folder / name).read_text(), flags=re.MULTILINE
        )
        codes |= {finding.code for finding in lint_text(text)}
    assert {"MSQ108", "MSQ306", "MSQ314"} <= codes
    assert "MSQ901" not in codes
