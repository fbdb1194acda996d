"""Models whose code hash must be the same everywhere: in cells and in modules, in all the syntax of all versions."""

from __future__ import annotations

import importlib
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from msq_jupyter.errors import CodeIdentityError
from msq_jupyter.runtime.codehash import CodeIdentity, identify
from msq_jupyter.runtime.model import Model
from tests.platforms.simulation import World
from tests.runtime import test_codehash_cases as cases
from tests.runtime.test_codehash_cases import counter, identity, uses


class Sample(NamedTuple):
    """Cells, and the first version of Python 3 that can run them."""

    cells: list[str]
    since: int = 10


#: How the outcome of code without an identity begins.
REFUSED = "refused:"

STRINGS = r"""f'{x!r:>{w}.{n}} {{}} {x=} {y = !s}' 'b' rf'\d{x}' f'''{
x}''' f'{x:%Y-%m}' f'{lambda_:{x}}' '\N{BULLET}'"""
COMPREHENSIONS = """\
def f(self, rows):
    k = 2
    a = [x + k + G for row in rows if (last := row) for x in row if x]
    b = {k: (lambda: (k, v, G)) for k, v in rows}
    c = [[y for y in x if y != k] for x in rows]
    return a, b, c, last
"""
ANNOTATIONS = """\
from typing import *
class Box:
    a: int = 1
    b: 'Later' = None
    if a:
        c: list[int] = []
    (d): float = 2
    def m(self, x: 'Later', *y: int, **z: Optional[int]) -> 'Box': return x, z
class Later: pass
"""
DATACLASSES = """\
from dataclasses import *
from typing import ClassVar
@dataclass(slots=True, kw_only=True)
class A:
    x: int
    _: KW_ONLY
    y: InitVar[int] = 3
    z: ClassVar[int] = 4
    def __post_init__(self, y): self.x += y
@dataclass(frozen=True, order=True, match_args=False)
class B:
    x: float = field(default=1, repr=False)
    def __hash__(self): return 1
@dataclass(weakref_slot=True, slots=True)
class D:
    x: int = 1
"""
ENUMS = """\
import enum
from enum import auto
class A(enum.IntFlag, boundary=enum.KEEP):
    X = auto()
    Y = auto()
    Z = X | Y
class B(enum.Enum):
    _ignore_ = 'k'
    P = 1, 'one'
    Q = 2, 'two'
    def __init__(self, number, word): self.word = word
    @property
    def loud(self): return self.word.upper()
class C(str, enum.Enum):
    S = 's'
    def __str__(self): return self.value
@enum.unique
class D(enum.IntEnum):
    M = 1
    N = 2
E = enum.IntEnum('E', {'A': 1})
"""
CALLED = """\
import collections, enum, typing
N = typing.NamedTuple('N', [('a', int), ('b', str)])
M = collections.namedtuple('M', 'x y', defaults=[3])
I = typing.NewType('I', int)
E = enum.Enum('E', 'A B')
F = enum.Flag('F', {'A': 1, 'B': 2})
A = list[N] | None
"""
HOOKS = """\
class Meta(type):
    def __new__(m, n, b, ns, **kw): return super().__new__(m, n, b, ns)
    def __prepare__(n, b, **kw): return {}
    def __call__(cls, *a): return super().__call__(*a)
class Field:
    def __set_name__(self, owner, name): self.name = name
    def __get__(self, o, t): return 1
class Base(metaclass=Meta, flag=1):
    f = Field()
    def __init_subclass__(cls, **k): super().__init_subclass__()
class Sub(Base):
    __slots__ = ('a',)
    def __class_getitem__(cls, k): return k
    x = [i for i in range(3)]
    del x
"""
NESTED_CLASSES = """\
def make(n):
    class Inner:
        size = n
        def get(self): return self.size + n, __class__
        class Deep:
            def get(self): return n
    return Inner
Made = make(3)
"""
OPERATORS = r"""a if b else c, a or b and not c, a < b <= c != d is not e not in f,
-a ** -b, ~a @ b // c % d << 1 >> 2 & 3 ^ 4 | 5,
a[1:], a[:, ..., ::2], a[()], (yield), *a, 1_000, 0xff, 0b1, 1e3, .5, 1j, 10**30, b'\x00' b'b', ..., None, -0.0"""
STATEMENTS = """\
def f(self, a, /, b=1, *c, d, e=2, **g):
    global G
    x: int
    y: int = 1
    a.b, (c[0], *d), [e] = b
    a.b += 1; a[0] @= 2; del a.b, a[0]
    for a.i in b:
        if a: continue
        elif b: break
    else: pass
    while a: break
    else: G = 1
    with a as (b, c), d: assert a, 'text'
    with (a as b, c as d,): pass
    try: raise a from b
    except A as z: raise
    except (B, C): pass
    else: a
    finally: b
    def h(): nonlocal x; x = 1; return x
    class K(A, m=1): y = x
    return h, lambda *a, k=1, **b: (a, k, b)
"""
PATTERNS = """\
def f(self, v):
    match v, 1:
        case 1 | 'a' | -2.5 | 1+2j | None | True: return 1
        case [a, *_] | {'m': a} if a: return a
        case {'k': x, 3: [y], **rest}: return rest
        case P(1, z=P.q) as u: return w
        case str() | int(): return 2
        case _: return G
"""
GENERICS = """\
class Box[T: (int, str), *Ts, **P](list[T]):
    x: T
    def m[U: T](self, a: U, f: 'Callable[P, T]') -> T: return a
type Alias[K] = dict[K, Box[int]]
def first[T](a: list[T]) -> T: return a[0]
"""

CELLS: dict[str, Sample] = {
    "strings": Sample(uses(STRINGS)),
    "comprehensions": Sample(counter(COMPREHENSIONS, "G = 5\n")),
    "annotations": Sample([ANNOTATIONS, *uses("Box, Later")]),
    "annotations as text": Sample([f"from __future__ import annotations\n{ANNOTATIONS}{uses('Box, Later')[0]}"]),
    "dataclasses": Sample([DATACLASSES.partition("@dataclass(weakref")[0], *uses("A, B")]),
    "dataclasses of 3.11": Sample([DATACLASSES, *uses("A, B, D")], 11),
    "enums": Sample([ENUMS.replace(", boundary=enum.KEEP", ""), *uses("A, B, C, D, E, A.X | A.Y")]),
    "enums of 3.11": Sample([ENUMS, *uses("A, B, C, D, E, A.X | A.Y")], 11),
    "classes by call": Sample([CALLED, *uses("N, M, I, E, F, A")]),
    "hooks of classes": Sample([HOOKS, *uses("Sub, Base")]),
    "classes in functions": Sample([NESTED_CLASSES, *uses("Made, make")]),
    "operators": Sample(uses(f"({OPERATORS})")),
    "statements": Sample(counter(STATEMENTS)),
    "patterns": Sample(counter(PATTERNS, "G = 1\nclass P: q = 1\n")),
    "a coroutine": Sample(counter("async def f(self, a): return [x async for x in a if await x]")),
    "odd identifiers": Sample(uses("ﬁ, µ, ª", "fi = 1\nμ = 2\na = 3\n")),
    "an unpacked index": Sample(uses("a[*b]"), 11),
    "groups of exceptions": Sample(counter("def f(self):\n    try: pass\n    except* (A, B) as e: e"), 11),
    "nested quotes": Sample(uses("f'{a['b']}' f'{f'{f'{1}'}'}' f'{a!r:{'>'}{w}}'"), 12),
    "type parameters": Sample([GENERICS, *uses("Box, Alias, first")], 12),
    "defaults of type parameters": Sample(["class Box[T = int, *Ts = *tuple[int]]: pass\n", *uses("Box")], 13),
    "exceptions without parentheses": Sample(counter("def f(self):\n    try: pass\n    except A, B: return 1"), 14),
    "template strings": Sample(uses("t'{a!r:>{w}} b' t'{c}'"), 14),
}

#: A project of the user's own, by path; a model in it reaches all of it.
PROJECT = {
    "birds/__init__.py": b"from .nest import Counter\nfrom . import eggs as boxes\nLIMIT = 3\n",
    "birds/nest.py": (
        b"from __future__ import annotations\nimport sys\nfrom msq_jupyter.runtime.model import Model\n"
        b"from . import eggs\nfrom .eggs import hatch as open_egg\ntry:\n    import nothing_of_that_name as fast\n"
        b"except ImportError:\n    fast = None\n\n"
        b"class Counter(Model):\n    def f(self, n: eggs.Egg):\n        from birds import LIMIT\n"
        b"        return open_egg(n), eggs.SIZES, fast, LIMIT, late()\n\ndef late():\n    from .eggs import loop\n"
        b"    return loop\n"
    ),
    "birds/eggs.py": (
        "\N{ZERO WIDTH NO-BREAK SPACE}import birds.nest as nest\r\nSIZES = ('é', 2)\r\nclass Egg:\r\n\tsize = 1\r\n"
        "\tdef open(self):\r\n\t\treturn '''a\r\nb'''\r\n\r\ndef hatch(n):\r\n\treturn Egg().open(), n\r\n\r\n"
        "def loop(): return nest.Counter\r\n"
    ).encode(),
    "old.py": (
        b"# -*- coding: latin-1 -*-\nfrom msq_jupyter.runtime.model import Model\nclass Counter(Model):\n"
        b"    def f(self): return 'gr\xfc\xdf', helper()\ndef helper(): return 1\n"
    ),
}


def code_samples() -> Iterator[tuple[str, str]]:
    """Names and hashes. What this version of Python cannot run is left out."""
    yield "the world", _text(World().identity)
    for name, digest in cases.digests().items():
        yield name, digest
    for name, sample in CELLS.items():
        if sys.version_info >= (3, sample.since):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)
                yield name, _outcome(sample.cells)
    yield from _modules()


def _modules() -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        for path, content in PROJECT.items():
            file = Path(folder, path)
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)
        sys.path.insert(0, folder)
        try:
            for name in ("birds", "old"):
                yield f"module {name}", _text(identify(importlib.import_module(name).Counter, model_base=Model))
        finally:
            sys.path.remove(folder)


def _text(found: CodeIdentity) -> str:
    return " ".join([found.code_hash, *found.models, *found.value_types])


def refusals() -> Iterator[tuple[str, str]]:
    """Names and messages of what has no identity."""
    refused = {
        "a live object": uses("t", "class Thing: pass\nt = Thing()\n"),
        "a class without source": ["exec('class Counter(Model):\\n    def f(self): return 1\\n')\n"],
        "a dataclass made by call": uses("C", "import dataclasses\nC = dataclasses.make_dataclass('C', ['x'])\n"),
        "the whole notebook": uses("m.x", "import __main__ as m\n"),
        "a list in itself": uses("L", "L = []\nL.append(L)\n"),
    }
    yield from ((name, _outcome(cells)) for name, cells in refused.items())


def _outcome(cells: list[str]) -> str:
    try:
        return _text(identity(cells))
    except CodeIdentityError as error:
        return f"{REFUSED} {error}"
