"""Pairs of notebooks for `test_codehash`, without pytest, so that bare interpreters of other versions can run them.

`tests.platforms` compares the digest of every notebook between interpreters.
"""

from __future__ import annotations

import itertools
import linecache
import random
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from msq_jupyter.runtime.codehash import CodeIdentity, capture_sources, identify


class Model:
    """Stands in for the model base, which these tests do not need."""


class Pair(NamedTuple):
    sentence: str
    one: list[str]
    other: list[str]


_cells = itertools.count(random.randrange(1_000_000))


@contextmanager
def notebook(cells: list[str], *, captured: bool = True) -> Iterator[types.ModuleType]:
    """A fresh `__main__` after running the cells, each under a file name of its own, as a kernel does."""
    undo = capture_sources() if captured else None
    before = sys.modules["__main__"]
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    main.__dict__["Model"] = Model
    try:
        for text in cells:
            name = f"/tmp/kernel_{next(_cells)}/{next(_cells)}.py"
            linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
            exec(compile(text, name, "exec", dont_inherit=True), main.__dict__)
        yield main
    finally:
        sys.modules["__main__"] = before
        if undo:
            undo()


def identity(cells: list[str], *, captured: bool = True) -> CodeIdentity:
    with notebook(cells, captured=captured) as main:
        return identify(main.Counter, model_base=Model)


CONSTANTS = "OFFSET = 2\nSPEED = 10\n"
HELPER = "def helper(x):\n    return x + OFFSET\n"
COUNTER = '''
class Counter(Model):
    """What it is."""
    step = 1

    def init(self, options=None):
        """What it does."""
        self.n = 0  # comment

    def tick(self):
        self.n += helper(self.n) + SPEED
'''
NOTEBOOK = [CONSTANTS, HELPER, COUNTER]


def counter(body: str, before: str = "") -> list[str]:
    """A notebook whose root model has this body."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return [*([before] if before else []), f"class Counter(Model):\n{lines}"]


def uses(expression: str, before: str = "") -> list[str]:
    return counter(f"def f(self):\n    return {expression}", before)


def edited(old: str, new: str) -> list[str]:
    assert any(old in cell for cell in NOTEBOOK)
    return [cell.replace(old, new) for cell in NOTEBOOK]


FIELD = "from dataclasses import dataclass, field\n@dataclass\nclass P:\n    x: int = 0\n"
WRAPPER = (
    "import functools\ndef deco(f):\n    @functools.wraps(f)\n    def inner(*a): return f(*a) + 1\n    return inner\n"
)
MAKER = "def make(k):\n    def f(self): return k\n    return f\nV = 1\n"
RECURSION = "def a(n): return b(n - 1) if n else 0\ndef b(n): return a(n - 1) if n else 1\n"
BASE = "class B(Model):\n    def f(self): return 1\n"
SUB = "class Counter(B): pass\n"
SET = "NAMES = {'a', 'b', 'c'}\n"
ENUM = "import enum\nclass E(enum.Enum):\n    A = 1\n    def m(self): return 1\n"
PARTIAL = "from functools import partial\ndef h(a, b): return a + b\np = partial(h, 1)\n"
CACHED = "from functools import lru_cache\n@lru_cache\ndef h(a): return a\n"
MATCH = "def f(self, x):\n    match x:\n        case {'a': y, **r}: return y\n        case [1, *z] as w: return z\n"
LOCAL = "def f(self):\n    n = 2\n    return [n for n in (n,)]"
NESTED = "def f(self):\n    def g(): return sum(G for _ in range(3))\n    return g()"
LAMBDAS = ["class Counter(Model): pass\nCounter.f, Counter.g = (lambda s: 1), (lambda s: 2)\n"]
LAMBDA_IN_LAMBDA = [
    "class Counter(Model): pass\nCounter.f, Counter.g = lambda: lambda t: t + 1, lambda: lambda t: t + 2\n"
]

SAME = [
    Pair("the same cells", NOTEBOOK, NOTEBOOK),
    Pair("a comment changes", NOTEBOOK, edited("# comment", "# another\n\n")),
    Pair("docstrings change", NOTEBOOK, [cell.replace("What it", "Which") for cell in NOTEBOOK]),
    Pair("a docstring goes", NOTEBOOK, edited('    """What it is."""\n', "")),
    Pair("a docstring replaces pass", counter("def f(self): pass"), counter('def f(self):\n    """Nothing."""')),
    Pair("quotes change", uses("'a' + f'{1}b'"), uses('"a" + f"{1}b"')),
    Pair("parentheses and line breaks change", uses("1 + 2 * 3"), uses("(1 +\n        (2 * 3))")),
    Pair("strings are joined by the parser", uses("'a' 'b' f'{1}' 'c'"), uses("f'ab{1}c'")),
    Pair("numbers are written differently", uses("0x10 + 1_0"), uses("16 + 10")),
    Pair("cells are merged", NOTEBOOK, ["\n".join(NOTEBOOK)]),
    Pair("the cell of a base class runs again unchanged", [BASE, SUB], [BASE, SUB, BASE]),
    Pair("helpers come after the class", NOTEBOOK, [COUNTER, HELPER, CONSTANTS]),
    Pair("there is an unrelated global", NOTEBOOK, ["zz = object()\n", *NOTEBOOK]),
    Pair("an unchanged helper runs again", NOTEBOOK, [*NOTEBOOK, HELPER]),
    Pair("an unchanged model runs again", NOTEBOOK, [*NOTEBOOK, COUNTER]),
    Pair(
        "an unchanged helper runs again while a table has the old one",
        [HELPER + CONSTANTS, "T = {'a': helper}\n", *uses("T, helper")],
        [HELPER + CONSTANTS, "T = {'a': helper}\n", HELPER, *uses("T, helper")],
    ),
    Pair("a local has the name of a global", counter(LOCAL, "n = 1\n"), counter(LOCAL, "n = [object()]\n")),
    Pair(
        "a parameter has the name of a global",
        counter("def f(self, w): return w"),
        counter("def f(self, w): return w", "w = object()\n"),
    ),
    Pair(
        "set elements come in another order",
        uses("{'p', 'q'}, NAMES", SET),
        uses("{'p', 'q'}, NAMES", "NAMES = {'c', 'b', 'a'}\n"),
    ),
    Pair(
        "a module is imported under its own name",
        uses("math.pi", "import math\n"),
        uses("math.pi", "import math as math\n"),
    ),
    Pair(
        "a name in an annotation changes its meaning",
        counter("def f(self, x: W): return x", "W = int\n"),
        counter("def f(self, x: W): return x", "W = object()\n"),
    ),
    Pair(
        "a name in a default is bound to something else later",
        ["D = 1\n", *counter("def f(self, a=D): return a")],
        ["D = 1\n", *counter("def f(self, a=D): return a"), "D = object()\n"],
    ),
    Pair(
        "a class body uses its own name before a global",
        counter("n = 1\nm = n + 1"),
        counter("n = 1\nm = n + 1", "n = object()\n"),
    ),
    Pair("a model mentions itself", uses("Counter"), [*uses("Counter"), *uses("Counter")]),
]

DIFFERENT = [
    Pair("a method changes", NOTEBOOK, edited("+= helper", "-= helper")),
    Pair("a helper changes", NOTEBOOK, edited("x + OFFSET", "x - OFFSET")),
    Pair("a constant of a helper changes", NOTEBOOK, edited("OFFSET = 2", "OFFSET = 3")),
    Pair("a constant becomes a float", NOTEBOOK, edited("OFFSET = 2", "OFFSET = 2.0")),
    Pair("a literal becomes a float", uses("2"), uses("2.0")),
    Pair("a class attribute changes", NOTEBOOK, edited("step = 1", "step = 2")),
    Pair("a class attribute is assigned later", NOTEBOOK, [*NOTEBOOK, "Counter.step = 2\n"]),
    Pair("a local is renamed", uses("[a for a in 'x']"), uses("[b for b in 'x']")),
    Pair(
        "statements change places",
        counter("def f(self):\n    self.a = 1\n    self.b = 2"),
        counter("def f(self):\n    self.b = 2\n    self.a = 1"),
    ),
    Pair("a string that looks like a docstring is returned", uses("'''a'''"), uses("'''b'''")),
    Pair(
        "docstrings change and are data",
        [*uses("Counter.f.__doc__"), "def x(): 'a'\nCounter.x = x\n"],
        [*uses("Counter.f.__doc__"), "def x(): 'b'\nCounter.x = x\n"],
    ),
    Pair(
        "a default evaluated from a name changes",
        ["D = 1\n", *counter("def f(self, a=D): return a"), "D = 1\n"],
        ["D = 2\n", *counter("def f(self, a=D): return a"), "D = 1\n"],
    ),
    Pair("a keyword default changes", counter("def f(self, *, a=1): 0"), counter("def f(self, *, a=2): 0")),
    Pair("an annotation changes", counter("def f(self, a: int): 0"), counter("def f(self, a: float): 0")),
    Pair("a base class changes", [BASE, SUB], [BASE.replace("1", "2"), SUB]),
    Pair("a base class is redefined after its subclass", [BASE, SUB], [BASE, SUB, BASE.replace("1", "2")]),
    Pair(
        "one of two functions that call each other changes",
        uses("a(3)", RECURSION),
        uses("a(3)", RECURSION.replace("else 1", "else 2")),
    ),
    Pair(
        "a class defined later changes",
        [*uses("Other"), "class Other(Model):\n    x = 1\n"],
        [*uses("Other"), "class Other(Model):\n    x = 2\n"],
    ),
    Pair(
        "a decorator changes",
        counter("@deco\ndef f(self): return 1", WRAPPER),
        counter("@deco\ndef f(self): return 1", WRAPPER.replace("+ 1", "+ 2")),
    ),
    Pair(
        "a decorated method changes",
        counter("@deco\ndef f(self): return 1", WRAPPER),
        counter("@deco\ndef f(self): return 2", WRAPPER),
    ),
    Pair(
        "a context manager changes",
        uses("m()", "import contextlib\n@contextlib.contextmanager\ndef m(): yield 1\n"),
        uses("m()", "import contextlib\n@contextlib.contextmanager\ndef m(): yield 2\n"),
    ),
    Pair(
        "a closure has another value",
        [MAKER, *counter("f = make(V)"), "V = 0\n"],
        [MAKER.replace("V = 1", "V = 2"), *counter("f = make(V)"), "V = 0\n"],
    ),
    Pair("two lambdas on one line change places", LAMBDAS, [LAMBDAS[0].replace("f, Counter.g", "g, Counter.f")]),
    Pair(
        "lambdas inside each other on one line change places",
        LAMBDA_IN_LAMBDA,
        [LAMBDA_IN_LAMBDA[0].replace("t + 1, lambda: lambda t: t + 2", "t + 2, lambda: lambda t: t + 1")],
    ),
    Pair(
        "a lambda in a table changes",
        uses("T['a'](1)", "T = {'a': lambda x: x + 1}\n"),
        uses("T['a'](1)", "T = {'a': lambda x: x + 2}\n"),
    ),
    Pair("a method is replaced", NOTEBOOK, [*NOTEBOOK, "def tick(self): self.n -= 1\nCounter.tick = tick\n"]),
    Pair("a special method is added", NOTEBOOK, [*NOTEBOOK, "def go(self): return 1\nCounter.__len__ = go\n"]),
    Pair("a dataclass default changes", uses("P(1)", FIELD), uses("P(1)", FIELD.replace("= 0", "= 1"))),
    Pair("a dataclass annotation changes", uses("P(1)", FIELD), uses("P(1)", FIELD.replace("int", "float"))),
    Pair(
        "a dataclass factory changes",
        uses("P()", "def m(): return [1]\n" + FIELD.replace("= 0", "= field(default_factory=m)")),
        uses("P()", "def m(): return [2]\n" + FIELD.replace("= 0", "= field(default_factory=m)")),
    ),
    Pair(
        "a slotted dataclass changes",
        uses("P()", FIELD.replace("ass\nc", "ass(slots=True)\nc")),
        uses("P()", FIELD.replace("ass\nc", "ass(slots=True)\nc").replace("= 0", "= 1")),
    ),
    Pair(
        "a frozen dataclass constant changes",
        uses("O", FIELD.replace("ass\nc", "ass(frozen=True)\nc") + "O = P(1)\n"),
        uses("O", FIELD.replace("ass\nc", "ass(frozen=True)\nc") + "O = P(2)\n"),
    ),
    Pair("an enum member changes", uses("E.A", ENUM), uses("E.A", ENUM.replace("A = 1", "A = 2"))),
    Pair("an enum method changes", uses("E.A", ENUM), uses("E.A", ENUM.replace("return 1", "return 2"))),
    Pair(
        "an enum member is another", uses("M", ENUM + "    B = 2\nM = E.A\n"), uses("M", ENUM + "    B = 2\nM = E.B\n")
    ),
    Pair(
        "a functional enum changes",
        uses("E", "import enum\nE = enum.Enum('E', 'A B')\n"),
        uses("E", "import enum\nE = enum.Enum('E', 'A C')\n"),
    ),
    Pair(
        "a named tuple changes",
        uses("P", "from collections import namedtuple\nP = namedtuple('P', 'x y')\n"),
        uses("P", "from collections import namedtuple\nP = namedtuple('P', 'x z')\n"),
    ),
    Pair(
        "a typed named tuple changes",
        uses("P", "from typing import NamedTuple\nclass P(NamedTuple):\n    x: int = 1\n"),
        uses("P", "from typing import NamedTuple\nclass P(NamedTuple):\n    x: int = 2\n"),
    ),
    Pair(
        "a property changes", counter("@property\ndef f(self): return 1"), counter("@property\ndef f(self): return 2")
    ),
    Pair(
        "a static method changes",
        counter("@staticmethod\ndef f(): return 1"),
        counter("@staticmethod\ndef f(): return 2"),
    ),
    Pair(
        "an inner class changes",
        counter("class In:\n    def f(self): return 1"),
        counter("class In:\n    def f(self): return 2"),
    ),
    Pair(
        "a metaclass changes",
        ["class M(type):\n    x = 1\nclass Counter(Model, metaclass=M): pass\n"],
        ["class M(type):\n    x = 2\nclass Counter(Model, metaclass=M): pass\n"],
    ),
    Pair(
        "a generic base gets another method",
        [
            "from typing import Generic, TypeVar\nT = TypeVar('T')\n",
            "class Counter(Model, Generic[T]):\n    def f(self): return T\n",
        ],
        [
            "from typing import Generic, TypeVar\nT = TypeVar('T')\n",
            "class Counter(Model, Generic[T]):\n    def f(self): return 1\n",
        ],
    ),
    Pair("an f-string format changes", uses("f'{1:>{10}} a'"), uses("f'{1:>{11}} a'")),
    Pair("a global in a nested generator changes", counter(NESTED, "G = 1\n"), counter(NESTED, "G = 2\n")),
    Pair("an undefined name is defined", uses("LATE"), uses("LATE", "LATE = 1\n")),
    Pair("a partial changes", uses("p(2)", PARTIAL), uses("p(2)", PARTIAL.replace("(h, 1)", "(h, 2)"))),
    Pair("a cached helper changes", uses("h(2)", CACHED), uses("h(2)", CACHED.replace("return a", "return -a"))),
    Pair(
        "a name means another library function",
        uses("F(1)", "import math\nF = math.sin\n"),
        uses("F(1)", "import math\nF = math.cos\n"),
    ),
    Pair(
        "a name means another bound library function",
        uses("F(1)", "import random\nF = random.randint\n"),
        uses("F(1)", "import random\nF = random.random\n"),
    ),
    Pair(
        "super() calls another base",
        [BASE, "class Counter(B):\n    def f(self): return super().f()\n"],
        [BASE.replace("1", "2"), "class Counter(B):\n    def f(self): return super().f()\n"],
    ),
    Pair("a case pattern changes", counter(MATCH), counter(MATCH.replace("[1", "[2"))),
    Pair(
        "case None becomes case False",
        counter("def f(self, x):\n    match x:\n        case None: return 1"),
        counter("def f(self, x):\n    match x:\n        case False: return 1"),
    ),
    Pair("a dict is written in another order", uses("T", "T = {1: 2, 3: 4}\n"), uses("T", "T = {3: 4, 1: 2}\n")),
    Pair(
        "a pattern changes",
        uses("R", "import re\nR = re.compile('a')\n"),
        uses("R", "import re\nR = re.compile('b')\n"),
    ),
    Pair(
        "a decimal changes",
        uses("D", "from decimal import Decimal as N\nD = N('1.0')\n"),
        uses("D", "from decimal import Decimal as N\nD = N('1.00')\n"),
    ),
    Pair(
        "a time zone changes",
        uses("D", "from datetime import *\nD = datetime(2020, 1, 1, tzinfo=timezone.utc)\n"),
        uses("D", "from datetime import *\nD = datetime(2020, 1, 1)\n"),
    ),
    Pair(
        "a descriptor changes",
        counter(
            "x = D(1)", "class D:\n    def __init__(self, k): self.k = k\n    def __get__(self, o, t): return self.k\n"
        ),
        counter(
            "x = D(2)", "class D:\n    def __init__(self, k): self.k = k\n    def __get__(self, o, t): return self.k\n"
        ),
    ),
    Pair(
        "a type alias changes",
        uses("cast(A, 1)", "from typing import *\nA = Optional[list[int]]\n"),
        uses("cast(A, 1)", "from typing import *\nA = Optional[list[str]]\n"),
    ),
    Pair(
        "another function has the name in a class in a function",
        [
            "def make():\n    k = 1\n    class Counter(Model):\n        def f(self): return k\n    return Counter\n",
            "Counter = make()\n",
        ],
        [
            "def make():\n    k = 2\n    class Counter(Model):\n        def f(self): return k\n    return Counter\n",
            "Counter = make()\n",
        ],
    ),
]

#: Notebooks that use what Python and its library keep differently in different versions.
VERSATILE = {
    "enums with machinery": uses(
        "E.A, F.X | F.Y, G",
        "import enum\n"
        "class E(enum.Enum):\n    A = 1\n    def __new__(cls, v):\n        o = object.__new__(cls)\n"
        "        o._value_ = v\n        return o\n    @classmethod\n    def _missing_(cls, v): return cls.A\n"
        "class F(enum.Flag):\n    X = enum.auto()\n    Y = enum.auto()\nG = F.X | F.Y\n"
        "class H(enum.Enum):\n    def _generate_next_value_(name, *a): return name\n    Q = enum.auto()\n",
    ),
    "protocols, abstract and generic classes": [
        "import abc, typing, collections.abc\nT = typing.TypeVar('T')\n",
        "@typing.runtime_checkable\nclass P(typing.Protocol):\n    def f(self): ...\n",
        "class A(abc.ABC):\n    @abc.abstractmethod\n    def f(self): ...\n",
        "class D(typing.TypedDict):\n    x: int\nclass G(typing.Generic[T]): pass\n",
        "class M(collections.abc.Mapping): pass\nN = typing.NewType('N', int)\n",
        *uses("P, A, D, G[int], M, N, T, int | None, typing.Any"),
    ],
    "dataclasses with every option": uses(
        "P, Q(1)",
        "from dataclasses import dataclass, field\n@dataclass(order=True, slots=True, kw_only=True, frozen=True)\n"
        "class P:\n    x: list = field(default_factory=list)\n    y: int = 3\n    def m(self): return self.x\n"
        "@dataclass(unsafe_hash=True)\nclass Q:\n    x: int\n",
    ),
    "things of functools": [
        "from functools import *\n@singledispatch\ndef s(x): return 1\n@s.register(int)\ndef _(x): return 2\n",
        "@total_ordering\nclass Counter(Model):\n    def __lt__(self, o): return s(1)\n"
        "    def __eq__(self, o): return 1\n"
        "    @cached_property\n    def c(self): return lru(1)\n    def p(self, a): return a\n"
        "    q = partialmethod(p, 1)\n",
        "@lru_cache(maxsize=3)\ndef lru(x): return x\n",
    ],
    "names of the library": uses(
        "Path, join, ZoneInfo, chain, upper, keys, randint, random, MAP, bisect, A, S, B, R",
        "from pathlib import Path\nfrom os.path import join\nfrom zoneinfo import ZoneInfo\n"
        "from itertools import chain\n"
        "from random import randint, random\nfrom bisect import bisect\nfrom collections import *\n"
        "from types import MappingProxyType\nfrom typing import Any as A\nfrom fractions import Fraction\n"
        "upper = str.upper\nkeys = dict.fromkeys\nMAP = MappingProxyType({1: deque([1], 3)})\n"
        "S = {Fraction(1, 2), 'a', 1.5, (1, b'x')}\nB = defaultdict(list, a=bytearray(b'1'))\nR = range(3)\n",
    ),
    "statements of all kinds": counter(
        "async def g(self, *a, k: int = 1, **kw) -> None:\n    global G\n    async with a as b: await b\n"
        "    try:\n        import json, os.path as p\n    except (E1, E2) as e: raise e from None\n    else: del b\n"
        "    finally: assert a, f'{a=!r:>{k}} {{}}'\n"
        "    while (n := next(a)): yield n, *a, lambda x, /, y=G: x @ y[1:2, ..., ::3]\n"
        "    for i, [j, *l] in a: continue\n    return\n@staticmethod\ndef h(x):\n    y = 1\n    def z():\n"
        "        nonlocal y\n        y += 1\n        return {**x, 'a': -0.0, 1j: not y}\n"
        "    return z, 10**400, 'ä\\ud800'\n",
        "G = 1e400\n",
    ),
}


def digests() -> dict[str, str]:
    cells = {f"{pair.sentence}: before": pair.one for pair in SAME + DIFFERENT}
    cells.update({f"{pair.sentence}: after": pair.other for pair in SAME + DIFFERENT})
    return {name: identity(texts).code_hash for name, texts in {**cells, **VERSATILE}.items()}
