"""MSQ5xx: what is saved, and who may save it."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator

from msq_jupyter.runtime.lint.classes import Site
from msq_jupyter.runtime.lint.finding import ERROR
from msq_jupyter.runtime.lint.rule import MARK, Hit, Rule, handler, model, text_of

#: Expressions that are no JSON, and what to save instead.
_NO_JSON_NODES: dict[type[ast.AST], str] = {
    ast.Set: "a set: sort it into a list",
    ast.SetComp: "a set: sort it into a list",
    ast.GeneratorExp: "a generator: make a list of it",
    ast.Lambda: "a function: save the data it is made from",
}
_NO_JSON_CALLS = {
    "builtins.set": "a set: sort it into a list",
    "builtins.frozenset": "a set: sort it into a list",
    "builtins.bytes": "bytes: write them with .hex() or base64",
    "builtins.bytearray": "bytes: write them with .hex() or base64",
    "builtins.complex": "a complex number: save its two parts",
    "builtins.object": "no data",
    "builtins.map": "an iterator: make a list of it",
    "builtins.filter": "an iterator: make a list of it",
    "builtins.zip": "an iterator: make a list of it",
    "builtins.range": "a range: make a list of it",
    "collections.deque": "a deque: make a list of it",
    "datetime.datetime": "a datetime: write it with .isoformat()",
    "datetime.datetime.now": "a datetime: write it with .isoformat()",
    "datetime.datetime.fromtimestamp": "a datetime: write it with .isoformat()",
    "datetime.date": "a date: write it with .isoformat()",
    "datetime.date.today": "a date: write it with .isoformat()",
    "datetime.timedelta": "a timedelta: save its .total_seconds()",
    "decimal.Decimal": "a Decimal: write it with str()",
    "fractions.Fraction": "a Fraction: save its two parts",
    "uuid.uuid4": "a UUID: write it with str()",
    "numpy.array": "an array: use .tolist()",
    "numpy.zeros": "an array: use .tolist()",
    "numpy.ones": "an array: use .tolist()",
    "numpy.arange": "an array: use .tolist()",
}
_VIEW_METHODS = {"keys", "values", "items"}
#: `collect` may call a method that calls a method, ...
_METHODS_DEEP = 4
_Wrong = Iterator["tuple[ast.AST, str]"]


def _not_json(node: ast.AST, site: Site) -> Iterator[Hit]:
    if site.model is None or site.own_call(node) != "persist_session":
        return
    assert isinstance(node, ast.Call)
    given = [*node.args, *(keyword.value for keyword in node.keywords)][:1]
    for data in given:
        for value in _collected(data, site, _METHODS_DEEP):
            if isinstance(value, ast.Constant) and value.value is not Ellipsis:
                yield value, f"{text_of(value)} is {type(value.value).__name__}: save a dict or a list"
            else:
                yield from ((place, f"{text_of(place)} is {what}") for place, what in _wrong_parts(value, site))


def _collected(data: ast.AST, site: Site, deep: int) -> Iterator[ast.AST]:
    """The expressions whose values are saved, as far as the text tells: through lambdas, methods and local names."""
    value = site.names.value(data)
    if not deep:
        return
    method: ast.AST | None = None
    if isinstance(value, ast.Lambda):
        yield from _collected(value.body, site, deep - 1)
    elif isinstance(value, ast.FunctionDef):
        method = value
    elif site.is_own_attribute(value) and site.model:
        method = site.model.method(value.attr)  # type: ignore[attr-defined]
    elif (name := site.own_call(value)) and site.model:
        method = site.model.method(name)
    else:
        yield value
    for statement in ast.walk(method) if method else ():
        if isinstance(statement, ast.Return) and statement.value and site.names.scope_of(statement).node is method:
            yield from _collected(statement.value, site, deep - 1)


def _wrong_parts(value: ast.AST, site: Site) -> _Wrong:
    """The parts of saved data that are surely no JSON."""
    if isinstance(value, ast.Dict):
        for key, part in zip(value.keys, value.values, strict=True):
            if key is not None and _is_no_string(key):
                yield key, 'a key that is no string: write it with str(), or as "name"'
            yield from _wrong_parts(part, site)
    elif isinstance(value, (ast.List, ast.Tuple)):
        for part in value.elts:
            yield from _wrong_parts(part, site)
    elif isinstance(value, ast.ListComp):
        yield from _wrong_parts(value.elt, site)
    elif isinstance(value, ast.DictComp):
        yield from _wrong_parts(value.value, site)
    elif isinstance(value, ast.IfExp):
        yield from _wrong_parts(value.body, site)
        yield from _wrong_parts(value.orelse, site)
    else:
        what = _why_no_json(value, site) or _why_attribute_is_no_json(value, site)
        if what:
            yield value, what


def _is_no_string(key: ast.AST) -> bool:
    return isinstance(key, ast.Tuple) or (isinstance(key, ast.Constant) and not isinstance(key.value, str))


def _why_no_json(value: ast.AST, site: Site) -> str | None:
    if type(value) in _NO_JSON_NODES:
        return _NO_JSON_NODES[type(value)]
    if isinstance(value, ast.Constant):
        if isinstance(value.value, bytes):
            return "bytes: write them with .hex() or base64"
        return "a complex number: save its two parts" if isinstance(value.value, complex) else None
    if not isinstance(value, ast.Call):
        return None
    if isinstance(value.func, ast.Attribute) and value.func.attr in _VIEW_METHODS and not value.args:
        return "a view of a dict: make a list of it"
    if (
        isinstance(value.func, ast.Attribute)
        and value.func.attr == "create"
        and site.classes.is_model(value.func.value)
    ):
        return "a model: save data made from it"
    name = site.names.qualified(value.func) or ""
    if name == "builtins.float" and len(value.args) == 1 and isinstance(value.args[0], ast.Constant):
        return None if _is_finite(value.args[0].value) else "no number in JSON: use None"
    return _NO_JSON_CALLS.get(name)


def _is_finite(value: object) -> bool:
    try:
        return math.isfinite(float(str(value)))
    except ValueError:
        return True


def _why_attribute_is_no_json(value: ast.AST, site: Site) -> str | None:
    """`self.tags`, when every assignment to it gives it something that is no JSON."""
    if not site.is_own_attribute(value) or site.model is None:
        return None
    given = site.model.stores(value.attr)  # type: ignore[attr-defined]
    reasons = [_why_no_json(one, site) if one is not None else None for one in given]
    return reasons[0] if reasons and all(reasons) else None


def _not_the_root(node: ast.AST, site: Site) -> Iterator[Hit]:
    if site.model and site.own_call(node) == "persist_session" and site.classes.is_child(site.model):
        yield node, site.model.name


RULES = (
    Rule(
        code="MSQ501",
        name="no-json",
        severity=ERROR,
        message="{what}",
        remedy="saved data is dicts with string keys, lists, strings, numbers, booleans and None",
        why="What is saved outlives the code, so it is plain data that other code can read.",
        bad=model(
            "def init(self, options):",
            "    self.tags = set()",
            "",
            "def save(self):",
            f'    self.persist_session(lambda: {{"version": 1, "tags": self.tags}}){MARK}',
        ),
        good=model(
            "def init(self, options):",
            "    self.tags = set()",
            "",
            "def save(self):",
            '    self.persist_session(lambda: {"version": 1, "tags": sorted(self.tags)})',
        ),
        nodes=(ast.Call,),
        check=_not_json,
    ),
    Rule(
        code="MSQ502",
        name="saved-by-a-child",
        severity=ERROR,
        message="{what} is made by another model, and only the root model saves",
        remedy='call self.well_known_model("modelRoot").save(), and let the root collect everything',
        why="There is one saved state for the whole session, and the root is whom it is given to when it begins.",
        bad=handler("self.page = Page.create()")
        + "\n\nclass Page(Model):\n    def save(self):\n        self.persist_session({})  # <-\n",
        good=handler("self.page = Page.create()") + "\n    def save(self):\n        self.persist_session(lambda: {})\n"
        '\n\nclass Page(Model):\n    def save(self):\n        self.well_known_model("modelRoot").save()\n',
        nodes=(ast.Call,),
        check=_not_the_root,
    ),
)
