"""MSQ2xx: identity, order and numbers, which differ between processes and processors."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from msq_jupyter.runtime.lint.classes import Site
from msq_jupyter.runtime.lint.finding import ERROR, WARNING
from msq_jupyter.runtime.lint.rule import Hit, Rule, called, handler, has_keyword, text_of

#: Library functions that return built-in sets, of packages that people use in models.
_SET_FUNCTIONS = frozenset(
    {
        *("networkx.descendants", "networkx.ancestors", "networkx.node_connected_component"),
        *("networkx.maximal_matching", "networkx.dominating_set", "networkx.min_edge_cover"),
    }
)
#: What takes the elements of a set in their order.
_ORDERED_USES = frozenset({"list", "tuple", "iter", "enumerate", "next", "zip", "map", "filter", "reversed"})
#: Formats of `strftime` that speak the user's language.
_LOCAL_FORMATS = re.compile(r"%[-#]?[aAbBcxXpE]")
_NUMBER_IN_LOCALE = re.compile(r"[\d,._+\- <>=^]*n\Z")


def _ordered(node: ast.AST, site: Site) -> ast.AST | None:
    """What a node takes elements of, in their order."""
    if isinstance(node, (ast.For, ast.comprehension)):
        return node.iter
    if isinstance(node, ast.Starred):
        return node.value
    if isinstance(node, ast.Call):
        name = site.names.qualified(node.func) or ""
        if name.startswith("builtins.") and name.partition(".")[2] in _ORDERED_USES and node.args:
            return node.args[0]
        if isinstance(node.func, ast.Attribute) and node.func.attr == "pop" and not node.args:
            return node.func.value
        if isinstance(node.func, ast.Attribute) and node.func.attr == "join" and node.args:
            return node.args[0]
    return None


def _library_set(node: ast.AST, site: Site) -> Iterator[Hit]:
    taken = _ordered(node, site)
    value = site.names.value(taken) if taken is not None else None
    if isinstance(value, ast.Call) and site.names.qualified(value.func) in _SET_FUNCTIONS:
        yield taken or node, f"the set that {text_of(value.func)}() returns"


def _global_set(node: ast.AST, site: Site) -> Iterator[Hit]:
    """A constant is made by Python, before linking: its order is gone when the replica sees it."""
    taken = _ordered(node, site)
    if not isinstance(taken, ast.Name) or not site.names.is_global(taken):
        return
    value = site.names.value(taken)
    is_set = isinstance(value, (ast.Set, ast.SetComp)) or (
        isinstance(value, ast.Call) and site.names.qualified(value.func) in ("builtins.set", "builtins.frozenset")
    )
    if is_set or isinstance(site.names.live(taken), (set, frozenset)):
        yield taken, taken.id


def _hash(node: ast.AST, site: Site) -> Iterator[Hit]:
    call = called(node, site)
    is_number = bool(call and call.args and isinstance(call.args[0], ast.Constant) and type(call.args[0].value) is int)
    if getattr(site.node, "name", "") != "__hash__" and not is_number:
        yield node, text_of(call or node)


def _identity(node: ast.AST, site: Site) -> Iterator[Hit]:
    assert isinstance(node, ast.Compare)
    sides = [node.left, *node.comparators]
    for left, operator, right in zip(sides, node.ops, sides[1:], strict=False):
        if isinstance(operator, (ast.Is, ast.IsNot)) and any(_is_plain_value(side, site) for side in (left, right)):
            yield node, text_of(node)


def _is_plain_value(node: ast.AST, site: Site) -> bool:
    value = site.names.value(node)
    if isinstance(value, ast.Constant):
        return value.value is not None and not isinstance(value.value, bool) and value.value is not Ellipsis
    is_named = isinstance(node, ast.Name) and value is not node  # a list with a name is one object
    return isinstance(value, (ast.JoinedStr, ast.Tuple)) or (
        isinstance(value, (ast.List, ast.Dict, ast.Set)) and not is_named
    )


def _matrix_product(node: ast.AST, site: Site) -> Iterator[Hit]:
    operator = node.op if isinstance(node, (ast.BinOp, ast.AugAssign)) else None
    if isinstance(operator, ast.MatMult):
        yield node, "the operator @"
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "dot":
        # The function numpy.dot has a name of its own; this is the method.
        is_method = site.names.qualified(node.func) is None and len(node.args) == 1
        yield from [(node, f"{text_of(node.func)}()")] if is_method else []


def _unstable_sort(node: ast.AST, site: Site) -> Iterator[Hit]:
    """`numpy.sort(...)` as a mention, `x.argsort()` as a call: lists have no such method."""
    if isinstance(node, ast.Call):
        function = node.func
        is_method = isinstance(function, ast.Attribute) and function.attr in ("argsort", "argpartition")
        if is_method and site.names.qualified(function) is None and not has_keyword(node, "kind"):
            yield node, f"{text_of(function)}()"
        return
    call = called(node, site)
    if call is None or not has_keyword(call, "kind"):
        yield node, site.names.qualified(node) or text_of(node)


def _numpy_sort_name(node: ast.AST, site: Site) -> Iterator[Hit]:
    if (site.names.qualified(node) or "") in ("numpy.sort", "numpy.argsort", "numpy.argpartition", "numpy.partition"):
        parent = site.names.parents.get(node)
        if not (isinstance(parent, ast.Attribute) and parent.value is node):
            yield from _unstable_sort(node, site)


def _sorting(node: ast.AST, site: Site) -> Iterator[Hit]:
    yield from _unstable_sort(node, site) if isinstance(node, ast.Call) else _numpy_sort_name(node, site)


def _local_format(node: ast.AST, site: Site) -> Iterator[Hit]:
    if isinstance(node, ast.FormattedValue):
        spec = (getattr(node.format_spec, "values", None) or [None])[-1]
        if isinstance(spec, ast.Constant) and _NUMBER_IN_LOCALE.match(str(spec.value)):
            yield node, f"the format {spec.value!r}"
        return
    assert isinstance(node, ast.Call)
    texts = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
    formats = [text for text in texts if isinstance(text, str)]
    if isinstance(node.func, ast.Attribute) and node.func.attr == "strftime":
        yield from ((node, f"the format {text!r}") for text in formats if _LOCAL_FORMATS.search(text))
    if site.names.qualified(node.func) == "builtins.format":
        yield from ((node, f"the format {text!r}") for text in formats if _NUMBER_IN_LOCALE.match(text))


RULES = (
    Rule(
        code="MSQ201",
        name="object-address",
        severity=ERROR,
        message="{what}() is an address in the memory of one process",
        remedy="use the model's self.id, or self.generate_id() for things that are no models",
        why="Addresses differ between replicas and after each restore.",
        bad=handler("self.key = id(choice)  # <-"),
        good=handler("self.key = self.generate_id()"),
        names=("builtins.id",),
    ),
    Rule(
        code="MSQ202",
        name="salted-hash",
        severity=ERROR,
        message="{what} differs between processes",
        remedy="use the value itself as a key, or zlib.crc32(text.encode()) for a number",
        why="Python salts the hash of strings, and of everything made of them, anew in every process.",
        bad=handler("self.bucket = hash(choice) % 8  # <-"),
        good=handler("self.bucket = zlib.crc32(choice.encode()) % 8", above="import zlib"),
        names=("builtins.hash",),
        check=_hash,
    ),
    Rule(
        code="MSQ203",
        name="library-set-order",
        severity=ERROR,
        message="{what} has another order on every replica",
        remedy="put sorted(...) around it",
        why="Sets that model code makes keep the order of insertion. Those that come out of a library are Python's.",
        bad=handler(
            "for node in networkx.descendants(self.graph(), choice):  # <-",
            "    self.visit(node)",
            above="import networkx",
        )
        + "\n    def graph(self):\n        return networkx.DiGraph(self.edges)\n\n    def visit(self, node):\n"
        "        self.seen.append(node)\n",
        good=handler(
            "for node in sorted(networkx.descendants(self.graph(), choice)):",
            "    self.visit(node)",
            above="import networkx",
        )
        + "\n    def graph(self):\n        return networkx.DiGraph(self.edges)\n\n    def visit(self, node):\n"
        "        self.seen.append(node)\n",
        nodes=(ast.For, ast.comprehension, ast.Starred, ast.Call),
        check=_library_set,
    ),
    Rule(
        code="MSQ204",
        name="constant-set-order",
        severity=ERROR,
        message="{what} is a set outside the model, with another order on every replica",
        remedy="make it a tuple, or put sorted(...) around it",
        why="Python makes constants before the model's code is linked; by then, the order of the set's text is lost.",
        bad=handler("for name in OPTIONS:  # <-", "    self.votes[name] = 0", above='OPTIONS = {"yes", "no", "maybe"}'),
        good=handler("for name in OPTIONS:", "    self.votes[name] = 0", above='OPTIONS = ("yes", "no", "maybe")'),
        nodes=(ast.For, ast.comprehension, ast.Starred, ast.Call),
        check=_global_set,
    ),
    Rule(
        code="MSQ205",
        name="identity-of-values",
        severity=ERROR,
        message="{what} asks whether two values are one object, and a snapshot does not keep that",
        remedy="use == and !=; `is` is for None, True, False, classes and models",
        why="Whether equal strings, numbers or tuples are one object is up to the interpreter.",
        bad=handler('if choice is "yes":  # <-', "    self.count += 1"),
        good=handler('if choice == "yes":', "    self.count += 1"),
        nodes=(ast.Compare,),
        check=_identity,
    ),
    Rule(
        code="MSQ206",
        name="garbage-collection",
        severity=ERROR,
        message="{what} depends on when memory is freed",
        remedy="keep a plain reference, and remove it in a method of the model, such as destroy",
        why="When an object goes away differs between replicas, and a weak reference is no state.",
        bad=handler("self.seen = weakref.WeakSet()  # <-", above="import weakref"),
        good=handler("self.seen = set()"),
        names=("weakref.*", "gc.*", "tracemalloc.*", "sys.getrefcount"),
    ),
    Rule(
        code="MSQ207",
        name="matrix-product",
        severity=ERROR,
        message="{what} gives other last digits on other processors",
        remedy="compute it in a view and publish the rounded result, or write it with elementwise + - * / and sums in "
        "a fixed order",
        why="The linear algebra of NumPy and SciPy picks its algorithm by the processor and the number of threads. "
        "Elementwise + - * / and square roots are the same everywhere.",
        bad=handler("self.total = np.dot(self.weights, choice)  # <-", above="import numpy as np"),
        good=handler("self.total = sum(w * x for w, x in zip(self.weights, choice))"),
        names=(
            *("numpy.dot", "numpy.vdot", "numpy.inner", "numpy.matmul", "numpy.tensordot", "numpy.einsum"),
            *("numpy.linalg.*", "numpy.fft.*", "numpy.convolve", "numpy.correlate", "numpy.cov", "numpy.corrcoef"),
            *("numpy.polyfit", "numpy.roots", "scipy.*", "sklearn.*", "torch.*", "tensorflow.*", "jax.*"),
        ),
    ),
    Rule(
        code="MSQ208",
        name="matrix-operator",
        severity=ERROR,
        message="{what} gives other last digits on other processors",
        remedy="compute it in a view and publish the rounded result",
        why="As for MSQ207: a product of matrices adds in an order that depends on the processor.",
        bad=handler("self.position = self.rotation @ choice  # <-"),
        good=handler("self.position = [sum(r * x for r, x in zip(row, choice)) for row in self.rotation]"),
        nodes=(ast.BinOp, ast.AugAssign, ast.Call),
        check=_matrix_product,
    ),
    Rule(
        code="MSQ209",
        name="numpy-functions",
        severity=ERROR,
        message="{what} gives other last digits on other processors",
        remedy="use the function of math, which is replaced by one that is the same everywhere",
        why="NumPy's sine, exponential, logarithm and powers come from the processor's and the system's libraries.",
        bad=handler("self.height = np.tanh(choice)  # <-", above="import numpy as np"),
        good=handler("self.height = math.tanh(choice)", above="import math"),
        names=(
            *("numpy.sin", "numpy.cos", "numpy.tan", "numpy.arcsin", "numpy.arccos", "numpy.arctan", "numpy.arctan2"),
            *("numpy.asin", "numpy.acos", "numpy.atan", "numpy.atan2", "numpy.sinh", "numpy.cosh", "numpy.tanh"),
            *(
                "numpy.arcsinh",
                "numpy.arccosh",
                "numpy.arctanh",
                "numpy.sinc",
                "numpy.exp",
                "numpy.exp2",
                "numpy.expm1",
            ),
            *("numpy.log", "numpy.log2", "numpy.log10", "numpy.log1p", "numpy.logaddexp", "numpy.power", "numpy.pow"),
            *("numpy.float_power", "numpy.cbrt"),
        ),
    ),
    Rule(
        code="MSQ210",
        name="unstable-sort",
        severity=ERROR,
        message="{what} puts equal elements into an order that depends on the processor",
        remedy='say kind="stable"',
        why="NumPy's default sort uses the vector instructions of the processor and is not stable.",
        bad=handler("self.ranks = np.argsort(choice)  # <-", above="import numpy as np"),
        good=handler('self.ranks = np.argsort(choice, kind="stable")', above="import numpy as np"),
        nodes=(ast.Call, ast.Name, ast.Attribute),
        check=_sorting,
    ),
    Rule(
        code="MSQ211",
        name="numpy-random",
        severity=ERROR,
        message="{what} draws other numbers on every replica",
        remedy="use self.random(), or random.gauss() and so on",
        why="NumPy's streams and generators belong to one process. Those of `random` are replaced by the session's.",
        bad=handler("self.noise = np.random.normal()  # <-", above="import numpy as np"),
        good=handler("self.noise = random.gauss()", above="import random"),
        names=("numpy.random.*",),
    ),
    Rule(
        code="MSQ212",
        name="language-of-the-user",
        severity=ERROR,
        message="{what} speaks the language of this machine",
        remedy="keep the number or date in the model and let the view format it",
        why="Names of days and months, and the marks in numbers, follow the user's locale.",
        bad=handler('self.title = f"{choice:n} votes"  # <-'),
        good=handler('self.title = f"{choice:,} votes"'),
        nodes=(ast.FormattedValue, ast.Call),
        check=_local_format,
    ),
    Rule(
        code="MSQ213",
        name="settings-of-the-process",
        severity=ERROR,
        message="{what} reads or changes a setting of the whole process",
        remedy="say it where it is needed: decimal.Context(prec=28), round(x, 2)",
        why="Participants set these in their notebooks, each for himself; and a model must not change them for others.",
        bad=handler("locale.setlocale(0, choice)  # <-", above="import locale"),
        good=handler("self.language = choice"),
        names=(
            *("locale.*", "gettext.*", "sys.setrecursionlimit", "sys.getrecursionlimit", "sys.set_int_max_str_digits"),
            *("decimal.getcontext", "decimal.setcontext", "warnings.simplefilter", "warnings.filterwarnings"),
            *("numpy.seterr", "numpy.geterr", "sys.settrace", "sys.setprofile", "sys._getframe"),
            *("inspect.*", "traceback.*", "faulthandler.*", "atexit.*"),
        ),
    ),
    Rule(
        code="MSQ214",
        name="namespace-of-the-notebook",
        severity=WARNING,
        message="{what}() is the namespace of one notebook",
        remedy="name what you need, or keep it in a dict on the model",
        why="What a notebook has defined, and in which order, differs between participants.",
        bad=handler("globals()[choice](self)  # <-"),
        good=handler("ACTIONS[choice](self)", above="ACTIONS = {}"),
        names=("builtins.globals", "builtins.locals"),
    ),
)
