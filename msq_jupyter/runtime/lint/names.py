"""What a name in a text means: which statement binds it, and which library name an expression stands for."""

from __future__ import annotations

import ast
import builtins
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Function: TypeAlias = "ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda"
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_METHODS = (types.MethodType, types.BuiltinMethodType)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
#: What binds its own `name`.
_NAMED = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef),
    *(ast.ExceptHandler, ast.MatchAs, ast.MatchStar),
)
#: Operators and contexts: one object for all trees of a process.
_SHARED = (ast.expr_context, ast.operator, ast.cmpop, ast.unaryop, ast.boolop)
_BUILTINS = frozenset(vars(builtins)) | {"display", "get_ipython"}  # IPython adds these
#: `a = b = c = ...`: further than anyone names a name.
_ALIASES_MAX = 8


@dataclass(eq=False)
class Scope:
    """Where names live. `bindings` has the nodes that bind a name, in order of the text."""

    node: ast.AST
    parent: Scope | None = None
    bindings: dict[str, list[ast.AST]] = field(default_factory=dict)
    global_names: set[str] = field(default_factory=set)
    nonlocal_names: set[str] = field(default_factory=set)

    @property
    def is_module(self) -> bool:
        """Whether this is the text's outermost scope."""
        return self.parent is None

    @property
    def is_class(self) -> bool:
        """Whether this is a class body, whose names its methods do not see."""
        return isinstance(self.node, ast.ClassDef)


class Names:
    """The names of one text.

    Args:
        tree: the text, parsed.
        live: the namespace the text ran in, if it did: what other cells have bound.
    """

    def __init__(self, tree: ast.Module, live: Mapping[str, Any] | None = None) -> None:
        self.module = Scope(tree)
        self.parents: dict[ast.AST, ast.AST] = {}
        self._live = live or {}
        self._scopes: dict[ast.AST, Scope] = {}
        self._read(tree)

    # --- asking --------------------------------------------------------------------------------------------------

    def scope_of(self, node: ast.AST) -> Scope:
        """The scope in which a node is evaluated."""
        return self._scopes[node]

    def bound(self, name: str, scope: Scope) -> tuple[Scope, list[ast.AST]] | None:
        """The scope that binds a name seen from `scope`, and the nodes that do; None when the text never binds it."""
        asked: Scope | None = scope
        while asked is not None:
            if name in asked.bindings and (asked is scope or not asked.is_class):
                return asked, asked.bindings[name]
            asked = asked.parent
        return None

    def is_global(self, name: ast.Name) -> bool:
        """Whether a name means something outside all functions and classes."""
        found = self.bound(name.id, self.scope_of(name))
        return found[0].is_module if found else name.id not in _BUILTINS

    def live(self, expression: ast.AST) -> Any:
        """The object that a name of another cell has now; None when unknown."""
        if isinstance(expression, ast.Name) and not self.bound(expression.id, self.scope_of(expression)):
            return self._live.get(expression.id)
        if isinstance(expression, ast.Attribute):
            owner = self.live(expression.value)
            return vars(owner).get(expression.attr) if isinstance(owner, types.ModuleType) else None
        return None

    def definition(self, expression: ast.AST) -> ast.AST | None:
        """The last function or class statement, or lambda, that a name stands for."""
        value = self.value(expression)
        return value if isinstance(value, (*FUNCTIONS, ast.ClassDef)) else None

    def value(self, expression: ast.AST) -> ast.AST:
        """What a name was set to, as far as the text says it; anything else is its own value."""
        for _ in range(_ALIASES_MAX):
            if not isinstance(expression, ast.Name):
                break
            found = self.bound(expression.id, self.scope_of(expression))
            binder = found[1][-1] if found else None
            if not isinstance(binder, ast.Name):
                return binder if isinstance(binder, (*FUNCTIONS, ast.ClassDef)) else expression
            # A name that is set twice may mean either.
            given = self.assigned(binder) if found and len(found[1]) == 1 else None
            if given is None:
                return expression
            expression = given
        return expression

    def assigned(self, target: ast.AST) -> ast.AST | None:
        """What an assignment gives to exactly this target."""
        parent = self.parents.get(target)
        if isinstance(parent, ast.Assign) and target in parent.targets:
            return parent.value
        if isinstance(parent, (ast.AnnAssign, ast.NamedExpr)) and target is parent.target:
            return parent.value
        return None

    def qualified(self, expression: ast.AST, deep: int = _ALIASES_MAX) -> str | None:
        """The full name of what an expression stands for: "time.time", "builtins.open"; None when it is no such name.

        A name of the text itself has none; a relative import begins with a dot.
        """
        value = self.value(expression)
        if isinstance(value, ast.Attribute):
            owner = self.qualified(value.value, deep - 1) if deep else None  # `node = node.next` has no end
            return f"{owner}.{value.attr}" if owner else None
        if not isinstance(value, ast.Name):
            return None
        found = self.bound(value.id, self.scope_of(value))
        if found:
            binder = found[1][-1]
            return self._imported(binder) if isinstance(binder, ast.alias) else None
        if value.id in self._live:
            return _live_name(self._live[value.id])
        return f"builtins.{value.id}" if value.id in _BUILTINS else None

    def _imported(self, alias: ast.alias) -> str:
        statement = self.parents[alias]
        if isinstance(statement, ast.ImportFrom):
            return f"{'.' * statement.level}{statement.module or ''}.{alias.name}"
        return alias.name if alias.asname else alias.name.partition(".")[0]

    # --- reading -------------------------------------------------------------------------------------------------

    def _read(self, tree: ast.Module) -> None:
        stack: list[tuple[ast.AST, Scope]] = [(tree, self.module)]
        while stack:
            node, scope = stack.pop()
            self._scopes[node] = scope
            self._bind(node, scope)
            children = [pair for pair in self._children(node, scope) if not isinstance(pair[0], _SHARED)]
            for child, _ in children:
                self.parents[child] = node
            stack.extend(reversed(children))

    def _children(self, node: ast.AST, scope: Scope) -> Iterator[tuple[ast.AST, Scope]]:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            inner = Scope(node, scope)
            inside = [node.body] if isinstance(node, ast.Lambda) else node.body
            outside = outside_of(node)
            if not isinstance(node, ast.ClassDef):
                arguments = node.args
                self.parents[arguments] = node
                for argument in _arguments(arguments):
                    inner.bindings[argument.arg] = [argument]
                    self.parents[argument] = arguments
            yield from ((child, scope) for child in outside)
            yield from ((child, inner) for child in inside)
        elif isinstance(node, _COMPREHENSIONS):
            inner = Scope(node, scope)
            # The loops first: they bind what the element mentions.
            loops = node.generators
            yield from (
                (child, inner) for child in (*loops, *(c for c in ast.iter_child_nodes(node) if c not in loops))
            )
        else:
            yield from ((child, scope) for child in ast.iter_child_nodes(node))

    def _bind(self, node: ast.AST, scope: Scope) -> None:
        name: str | None = None
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            name = node.id if isinstance(node.ctx, ast.Store) else None
            if isinstance(self.parents.get(node), ast.NamedExpr):
                while isinstance(scope.node, _COMPREHENSIONS) and scope.parent:
                    scope = scope.parent
        elif isinstance(node, _NAMED):
            name = node.name
        elif isinstance(node, ast.MatchMapping):
            name = node.rest
        elif isinstance(node, ast.alias):
            name = (node.asname or node.name).partition(".")[0]
        elif isinstance(node, ast.Global):
            scope.global_names.update(node.names)
        elif isinstance(node, ast.Nonlocal):
            scope.nonlocal_names.update(node.names)
        if name is None or name in scope.nonlocal_names:
            return
        if name in scope.global_names:
            scope = self.module
        scope.bindings.setdefault(name, []).append(node)


def outside_of(node: Function | ast.ClassDef) -> list[ast.expr]:
    """The parts of a definition that are evaluated where it stands, when it is made: decorators, defaults, bases."""
    if isinstance(node, ast.ClassDef):
        return [*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)]
    arguments = node.args
    defaults = [*arguments.defaults, *(default for default in arguments.kw_defaults if default)]
    if isinstance(node, ast.Lambda):
        return defaults
    annotations = [argument.annotation for argument in _arguments(arguments)] + [node.returns]
    return [*node.decorator_list, *defaults, *(annotation for annotation in annotations if annotation)]


def root_of(expression: ast.AST) -> ast.AST:
    """What an attribute or element is of, all the way: the `self` of `self.pages[0].title`."""
    while isinstance(expression, (ast.Attribute, ast.Subscript, ast.Starred)):
        expression = expression.value
    return expression


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return named + [extra for extra in (arguments.vararg, arguments.kwarg) if extra]


def _live_name(thing: Any) -> str | None:
    if isinstance(thing, types.ModuleType):
        return thing.__name__
    owner = getattr(thing, "__self__", None) if isinstance(thing, _METHODS) else None
    if isinstance(owner, type):
        return f"{owner.__module__}.{owner.__qualname__}.{thing.__name__}"
    if owner is not None and not isinstance(owner, types.ModuleType):
        # `random.randint` is a method of an object that its module hides.
        return f"{type(owner).__module__}.{thing.__name__}"
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    return f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) else None
