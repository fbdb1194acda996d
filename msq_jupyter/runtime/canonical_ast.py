"""One text for one meaning: canonical text of syntax trees, and what a function mentions from outside itself.

Everything ready-made moves between Python versions: `ast.dump` gained and lost fields, `ast.unparse` changed quotes
and parentheses, tokens changed with f-strings, bytecode changes always. A walk over the fields of the tree that drops
what is absent does not: a field that a later version adds is empty for code that an earlier version could parse.

Comments, blank lines, quotes, parentheses, line breaks and docstrings leave no trace in the text. Names, annotations,
defaults, constants with their type, and the order of statements do.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Definition: TypeAlias = Function | ast.ClassDef

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_DOCUMENTED = (*DEFINITIONS, ast.Module)

#: Fields that say how something was written, or repeat what its place in the tree says.
_IGNORED_FIELDS = frozenset({"ctx", "kind", "type_comment", "type_ignores"})

# --- constants ---------------------------------------------------------------------------------------------------

#: Text of a constant by its exact type. Strings carry their length, so that no text can pass for another structure;
#: integers are hexadecimal, because decimal text is limited to 4300 digits; floats are exact.
_CONSTANT_TEXTS: dict[type, Callable[[Any], str]] = {
    type(None): repr,
    bool: repr,
    type(Ellipsis): repr,
    int: lambda value: f"i{value:x}",
    float: lambda value: f"f{value.hex()}",
    complex: lambda value: f"c{value.real.hex()},{value.imag.hex()}",
    str: lambda value: f"s{len(value)}:{value}",
    bytes: lambda value: f"b{value.hex()}",
    tuple: lambda value: f"tuple({','.join(map(constant_text, value))})",
    frozenset: lambda value: f"frozenset({','.join(sorted(map(constant_text, value)))})",
    slice: lambda value: f"slice{constant_text((value.start, value.stop, value.step))}",
}

CONSTANT_TYPES = frozenset(_CONSTANT_TEXTS)


def constant_text(value: Any) -> str:
    """The text of a value that can stand in code or in the constants of a code object.

    Raises:
        TypeError: the value is of another type.
    """
    text = _CONSTANT_TEXTS.get(type(value))
    if text is None:
        raise TypeError(f"expected a constant, got {type(value).__qualname__}")
    return text(value)


# --- text of a tree ----------------------------------------------------------------------------------------------


def canonical_text(root: ast.AST, *, docstrings: bool = False) -> str:
    """The text of a tree: equal for equal meaning, on every Python version.

    The definitions inside a class appear by name only: live methods and inner classes have texts of their own.

    Args:
        root: a definition or a module.
        docstrings: whether docstrings are part of the meaning.
    """
    by_name_only = DEFINITIONS if isinstance(root, ast.ClassDef) else ()
    written: list[str] = []
    # A stack instead of recursion, so that a long chain of `elif` or `+` is no RecursionError.
    stack: list[Any] = [root]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            written.append(item)
        elif isinstance(item, by_name_only) and item is not root:
            written.append(f"(defined {item.name})")
        elif isinstance(item, ast.AST):
            stack.extend(reversed(_parts(item, docstrings)))
        elif isinstance(item, list):
            stack.append("]")
            for element in reversed(item):
                stack += (",", element)
            stack.append("[")
        else:
            written.append(constant_text(item))
    return "".join(written)


def _parts(node: ast.AST, docstrings: bool) -> list[Any]:
    """What to write for a node, in order: finished texts, and nodes, lists and constants that are still to do."""
    name = type(node).__name__
    if isinstance(node, (ast.Constant, ast.MatchSingleton)):
        return [f"({name} ", constant_text(node.value), ")"]
    parts: list[Any] = ["(", name]
    for field in node._fields:
        value = getattr(node, field, None)
        if field in _IGNORED_FIELDS:
            continue
        if field == "body" and not docstrings and isinstance(node, _DOCUMENTED):
            value = without_docstring(node.body)
        elif field == "values" and name in ("JoinedStr", "TemplateStr"):
            value = _merged_strings(value or [])
        elif field == "format_spec" and isinstance(value, ast.JoinedStr) and not _merged_strings(value.values):
            continue
        elif field == "str":  # The text of a t-string's expression, free text unlike every name in a tree.
            value = ast.Constant(value)
        # Absent is None, an empty list, or a flag that is off: later versions add fields in each of these ways.
        if value is not None and value != [] and value is not False and value != 0:
            parts += (f" {field}=", value if isinstance(value, (str, list, ast.AST)) else constant_text(value))
    parts.append(")")
    return parts


def without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements after the docstring; `pass` when there are none."""
    first = body[0] if body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return body[1:] or [ast.Pass()]
    return body


def _merged_strings(values: Iterable[ast.expr]) -> list[ast.expr]:
    """The parts of an f-string as if its text between two expressions were always in one piece."""
    merged: list[ast.expr] = []
    for value in values:
        if isinstance(value, ast.JoinedStr):
            pieces = _merged_strings(value.values)
        elif isinstance(value, ast.Constant) and value.value == "":
            pieces = []
        else:
            pieces = [value]
        for piece in pieces:
            previous = merged[-1] if merged else None
            if isinstance(piece, ast.Constant) and isinstance(previous, ast.Constant):
                merged[-1] = ast.Constant(str(previous.value) + str(piece.value))
            else:
                merged.append(piece)
    return merged


# --- names from outside ------------------------------------------------------------------------------------------


class Import(NamedTuple):
    """`import module` (`name` is empty), or `from module import name` with `level` leading dots."""

    module: str
    name: str
    level: int


@dataclass(frozen=True)
class Mentions:
    """What the body of a function takes from outside when it runs.

    `names` resolve in an enclosing function, the globals or the builtins. `paths` are dotted chains such as
    "package.module.attribute", which may begin with a name of any scope. Decorators, defaults and annotations of the
    function itself are not in it: they were evaluated when it was defined.
    """

    names: frozenset[str]
    paths: frozenset[str]
    imports: frozenset[Import]


def mentions_of(function: Function) -> Mentions:
    """What the body of a function mentions, by the scoping rules of Python."""
    collector = _Collector()
    names = collector.function(function)
    return Mentions(frozenset(names | collector.globals), frozenset(collector.paths), frozenset(collector.imports))


def names_bound_in(statement: ast.ClassDef) -> set[str]:
    """The names that the body of a class statement assigns, defines or imports."""
    body = _Scope(is_class=True)
    _Collector().block(body, statement.body)
    return body.bound


def imports_in(tree: ast.AST) -> set[Import]:
    """Every import anywhere in a tree."""
    return {found for node in ast.walk(tree) for found in _imports_of(node)}


def _imports_of(node: ast.AST) -> list[Import]:
    if isinstance(node, ast.Import):
        return [Import(alias.name, "", 0) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [Import(node.module or "", alias.name, node.level) for alias in node.names]
    return []


class _Scope:
    """The names of one block. In a class, what counts as bound is what statements so far have bound."""

    def __init__(self, home: _Scope | None = None, *, is_class: bool = False) -> None:
        self.home = home or self  # where := binds: a comprehension's is the block around it
        self.is_class = is_class
        self.bound: set[str] = set()
        self.used: set[str] = set()
        self.inner: set[str] = set()  # free in blocks inside this one
        self.elsewhere: set[str] = set()  # declared global or nonlocal

    def use(self, name: str) -> None:
        if not (self.is_class and name in self.bound):
            self.used.add(name)

    def free(self) -> set[str]:
        if self.is_class:  # Blocks inside a class do not see its names.
            return self.used | self.inner
        return (self.used | self.inner) - (self.bound - self.elsewhere)


class _Collector:
    """Visits blocks from the inside out. A visit returns the children that still belong to the same block."""

    def __init__(self) -> None:
        self.globals: set[str] = set()
        self.paths: set[str] = set()
        self.imports: set[Import] = set()
        self._visits: dict[type, Callable[[_Scope, Any], list[ast.AST]]] = {
            ast.Name: self._name,
            ast.Attribute: self._attribute,
            ast.AugAssign: self._augmented,
            ast.NamedExpr: self._walrus,
            ast.FunctionDef: self._definition,
            ast.AsyncFunctionDef: self._definition,
            ast.Lambda: self._lambda,
            ast.ClassDef: self._class,
            ast.ListComp: self._comprehension,
            ast.SetComp: self._comprehension,
            ast.DictComp: self._comprehension,
            ast.GeneratorExp: self._comprehension,
            ast.Import: self._import,
            ast.ImportFrom: self._import,
            ast.Global: self._global,
            ast.Nonlocal: self._nonlocal,
        }

    def function(self, node: Function) -> set[str]:
        scope = _Scope()
        scope.bound.update(argument.arg for argument in _arguments(node.args))
        scope.bound.update(_type_parameter_names(node))
        self.block(scope, node.body if isinstance(node.body, list) else [node.body])
        return scope.free()

    def block(self, scope: _Scope, nodes: Iterable[ast.AST]) -> None:
        stack = list(nodes)[::-1]
        while stack:
            node = stack.pop()
            visit = self._visits.get(type(node))
            stack.extend(reversed(visit(scope, node) if visit else _bind_captures(scope, node)))

    def _name(self, scope: _Scope, node: ast.Name) -> list[ast.AST]:
        if isinstance(node.ctx, ast.Load):
            scope.use(node.id)
        else:
            scope.bound.add(node.id)
        return []

    def _attribute(self, scope: _Scope, node: ast.Attribute) -> list[ast.AST]:
        path: list[str] = []
        base: ast.expr = node
        while isinstance(base, ast.Attribute):
            path.append(base.attr)
            base = base.value
        if isinstance(base, ast.Name):
            self.paths.add(".".join([base.id, *reversed(path)]))
        return [base]

    def _augmented(self, scope: _Scope, node: ast.AugAssign) -> list[ast.AST]:
        if isinstance(node.target, ast.Name):
            scope.use(node.target.id)
        return [node.value, node.target]

    def _walrus(self, scope: _Scope, node: ast.NamedExpr) -> list[ast.AST]:
        scope.home.bound.add(node.target.id)
        return [node.value]

    def _definition(self, scope: _Scope, node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.AST]:
        scope.inner |= self.function(node)
        annotations = [argument.annotation for argument in _arguments(node.args) if argument.annotation]
        signature = [*annotations, *([node.returns] if node.returns else [])]
        outside = self._generic(scope, node, signature)
        return [*node.decorator_list, *_defaults(node.args), *outside, ast.Name(node.name, ast.Store())]

    def _lambda(self, scope: _Scope, node: ast.Lambda) -> list[ast.AST]:
        scope.inner |= self.function(node)
        return _defaults(node.args)

    def _class(self, scope: _Scope, node: ast.ClassDef) -> list[ast.AST]:
        body = _Scope(is_class=True)
        self.block(body, node.body)
        scope.inner |= body.free() - _type_parameter_names(node)
        outside = self._generic(scope, node, [*node.bases, *node.keywords])
        return [*node.decorator_list, *outside, ast.Name(node.name, ast.Store())]

    def _generic(self, scope: _Scope, node: ast.AST, header: list[Any]) -> list[ast.AST]:
        """What of a header belongs to the block around it; with type parameters it is a block of its own."""
        parameters = getattr(node, "type_params", [])
        if not parameters:
            return header
        own = _Scope()
        own.bound |= _type_parameter_names(node)
        self.block(own, [*parameters, *header])
        scope.inner |= own.free()
        return []

    def _comprehension(self, scope: _Scope, node: Any) -> list[ast.AST]:
        own = _Scope(scope.home)
        first: ast.comprehension = node.generators[0]
        results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self.block(own, [first.target, *first.ifs, *node.generators[1:], *results])
        scope.inner |= own.free()
        return [first.iter]

    def _import(self, scope: _Scope, node: ast.Import | ast.ImportFrom) -> list[ast.AST]:
        self.imports.update(_imports_of(node))
        scope.bound.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        return []

    def _global(self, scope: _Scope, node: ast.Global) -> list[ast.AST]:
        self.globals.update(node.names)
        scope.elsewhere.update(node.names)
        return []

    def _nonlocal(self, scope: _Scope, node: ast.Nonlocal) -> list[ast.AST]:
        scope.elsewhere.update(node.names)
        scope.used.update(node.names)
        return []


def _bind_captures(scope: _Scope, node: ast.AST) -> list[ast.AST]:
    """Visit any other node: some bind a name that is a plain string, in `except` and `case`."""
    names = (getattr(node, "name", None), getattr(node, "rest", None))
    scope.bound.update(name for name in names if isinstance(name, str) and not isinstance(node, ast.alias))
    children: list[ast.AST] = []
    for field in _as_evaluated(node._fields):
        value = getattr(node, field, None)
        if isinstance(value, ast.AST):
            children.append(value)
        elif isinstance(value, list):
            children.extend(child for child in value if isinstance(child, ast.AST))
    return children


@cache
def _as_evaluated(fields: tuple[str, ...]) -> list[str]:
    """What is assigned or iterated over is evaluated before the target, though the tree has it after."""
    return sorted(fields, key=lambda field: field not in ("value", "iter"))


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    variable = [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *variable]


def _defaults(arguments: ast.arguments) -> list[ast.AST]:
    return [default for default in (*arguments.defaults, *arguments.kw_defaults) if default]


def _type_parameter_names(node: ast.AST) -> set[str]:
    return {parameter.name for parameter in getattr(node, "type_params", [])}
