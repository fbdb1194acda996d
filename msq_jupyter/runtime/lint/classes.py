"""The classes of a text, which of them are models, and what code models reach."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from msq_jupyter.runtime.lint.names import FUNCTIONS, Function, Names, outside_of
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.view import View

_OWN_PACKAGE = "msq_jupyter"
_MODEL_NAMES = {"Model", "PersistentModel"}
_VIEW_NAMES = {"View"}
#: Bases that bring no methods that a handler could be.
_EMPTY_BASES = ("builtins.object", "abc.ABC", "typing.Generic", "typing.Protocol")
_Definition: TypeAlias = "Function | ast.ClassDef"


@dataclass(eq=False)
class ClassInfo:
    """What a text says about one of its classes.

    `is_complete` tells whether all of its bases are known: then a method that is not in `method` does not exist.
    """

    node: ast.ClassDef
    bases: list[ClassInfo] = field(default_factory=list)
    is_model: bool = False
    is_view: bool = False
    is_complete: bool = True
    methods: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = field(default_factory=dict)
    attributes: dict[str, ast.AST | None] = field(default_factory=dict)
    stored: dict[str, list[ast.AST | None]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The class's name."""
        return self.node.name

    def family(self) -> Iterator[ClassInfo]:
        """The class and its bases in this text, nearest first."""
        seen: list[ClassInfo] = []
        waiting = [self]
        for kind in waiting:
            if kind not in seen:
                seen.append(kind)
                yield kind
                waiting += kind.bases

    def method(self, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
        """A method of the class or of a base in this text."""
        return next((kind.methods[name] for kind in self.family() if name in kind.methods), None)

    def has(self, name: str) -> bool:
        """Whether the class, or the class of all models, defines a name."""
        return any(name in kind.methods or name in kind.attributes for kind in self.family()) or hasattr(Model, name)

    def stores(self, name: str) -> list[ast.AST | None]:
        """What methods of the class and of its bases set `self.name` to; None for what is no plain assignment."""
        return [value for kind in self.family() for value in kind.stored.get(name, ())]

    @property
    def knows_all_methods(self) -> bool:
        """Whether no base is unknown."""
        return all(kind.is_complete for kind in self.family())


class Classes:
    """The classes of one text.

    Args:
        names: the names of the text.
        models: class statements that are known to be models, whatever their bases are called.
    """

    def __init__(self, names: Names, models: Collection[ast.AST] = ()) -> None:
        self._names = names
        self._known_models = models
        self._infos: dict[ast.ClassDef, ClassInfo] = {}
        self._made_by: dict[ClassInfo, set[ClassInfo | None]] | None = None
        self._monkeypatched = _attributes_set_from_outside(names.module.node)

    def of(self, node: ast.AST) -> ClassInfo | None:
        """What the text says about a class, given its statement or an expression that names it."""
        statement = node if isinstance(node, ast.ClassDef) else self._names.definition(node)
        if not isinstance(statement, ast.ClassDef):
            return None
        if statement not in self._infos:
            self._infos[statement] = info = ClassInfo(statement)
            self._fill(info)
        return self._infos[statement]

    def is_model(self, expression: ast.AST) -> bool:
        """Whether an expression names a class of models."""
        info = self.of(expression)
        return info.is_model if info else self._is_named(expression, _MODEL_NAMES, Model)

    def is_view(self, expression: ast.AST) -> bool:
        """Whether an expression names a class of views."""
        info = self.of(expression)
        return info.is_view if info else self._is_named(expression, _VIEW_NAMES, View)

    def enclosing(self, node: ast.AST) -> ClassInfo | None:
        """The class whose method or body a node stands in."""
        asked: ast.AST | None = node
        while asked is not None and not isinstance(asked, ast.ClassDef):
            asked = self._names.parents.get(asked)
        return self.of(asked) if asked else None

    def is_child(self, info: ClassInfo) -> bool:
        """Whether other models make models of a class, and nobody joins with it as the root."""
        if self._made_by is None:
            self._made_by = self._makers()
        makers = self._made_by.get(info, set())
        return None not in makers and any(info not in maker.family() for maker in makers if maker)

    def _makers(self) -> dict[ClassInfo, set[ClassInfo | None]]:
        """Which classes make models of which; None for a root, which a session makes."""
        makers: dict[ClassInfo, set[ClassInfo | None]] = {}
        for node in ast.walk(self._names.module.node):
            made: ClassInfo | None = None
            maker: ClassInfo | None = None
            if isinstance(node, ast.keyword) and node.arg == "model":
                made = self.of(node.value)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "create":
                made, maker = self.of(node.func.value), self.enclosing(node)
                if maker is None:
                    continue
            if made:
                makers.setdefault(made, set()).add(maker)
        return makers

    def _is_named(self, expression: ast.AST, wanted: set[str], live_base: type) -> bool:
        live = self._names.live(expression)
        if isinstance(live, type):
            return issubclass(live, live_base)
        qualified = self._names.qualified(expression)
        if qualified:
            return qualified.startswith(f"{_OWN_PACKAGE}.") and qualified.rpartition(".")[2] in wanted
        # A text without its imports, as of a cell that other cells prepared.
        if isinstance(expression, ast.Name):
            return expression.id in wanted and self._names.is_global(expression) and not self._is_bound(expression)
        return isinstance(expression, ast.Attribute) and ast.unparse(expression) in {
            f"{_OWN_PACKAGE}.{name}" for name in wanted
        }

    def _is_bound(self, name: ast.Name) -> bool:
        return self._names.bound(name.id, self._names.scope_of(name)) is not None

    def _fill(self, info: ClassInfo) -> None:
        info.is_model = info.node in self._known_models
        for expression in info.node.bases:
            base = expression.value if isinstance(expression, ast.Subscript) else expression
            known = self.of(base)
            if known:
                info.bases.append(known)
            info.is_model |= self.is_model(base)
            info.is_view |= self.is_view(base)
            name = self._names.qualified(base) or ast.unparse(base)
            is_plain_model = info.is_model and name.rpartition(".")[2] == "Model"
            is_empty = name.startswith(_EMPTY_BASES)
            info.is_complete &= bool(known) or is_plain_model or is_empty
        info.is_complete &= not info.node.decorator_list and not info.node.keywords
        info.attributes.update(dict.fromkeys(self._monkeypatched.get(info.name, ())))
        for statement in statements_of(info.node):
            self._note(info, statement)

    def _note(self, info: ClassInfo, statement: ast.stmt) -> None:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            info.methods[statement.name] = statement
            self._note_stores(info, statement)
        elif isinstance(statement, ast.ClassDef):
            info.attributes[statement.name] = None
        for target in ast.walk(statement) if isinstance(statement, (ast.Assign, ast.AnnAssign)) else ():
            if isinstance(target, ast.Name) and isinstance(target.ctx, ast.Store):
                is_declared_only = isinstance(statement, ast.AnnAssign) and statement.value is None
                if not is_declared_only:
                    info.attributes[target.id] = self._names.assigned(target)

    def _note_stores(self, info: ClassInfo, method: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        own = self_name(method)
        for node in ast.walk(method):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Store)
                and isinstance(node.value, ast.Name)
                and node.value.id == own
                and not isinstance(self._names.parents[node], ast.AugAssign)
            ):
                info.stored.setdefault(node.attr, []).append(self._names.assigned(node))


def statements_of(node: ast.ClassDef) -> Iterator[ast.stmt]:
    """The statements of a class body, those under `if`, `try` and `with` too."""
    stack: list[Any] = list(reversed(node.body))
    while stack:
        statement = stack.pop()
        yield statement
        if not isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
            inner = [*ast.iter_child_nodes(statement)]
            inner += [deeper for child in inner if isinstance(child, ast.ExceptHandler) for deeper in child.body]
            stack.extend(reversed([child for child in inner if isinstance(child, ast.stmt)]))


def self_name(method: ast.FunctionDef | ast.AsyncFunctionDef) -> str | None:
    """What a method calls its object; None for static and class methods."""
    decorators = {decorator.id for decorator in method.decorator_list if isinstance(decorator, ast.Name)}
    parameters = [*method.args.posonlyargs, *method.args.args]
    return parameters[0].arg if parameters and not decorators & {"staticmethod", "classmethod"} else None


def _attributes_set_from_outside(tree: ast.AST) -> dict[str, list[str]]:
    """`Poll.close = close` at the top of a text."""
    found: dict[str, list[str]] = {}
    for statement in getattr(tree, "body", ()):
        for target in statement.targets if isinstance(statement, ast.Assign) else ():
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                found.setdefault(target.value.id, []).append(target.attr)
    return found


# --- what is reached ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Site:
    """A piece of model code that is looked at as one.

    Attributes:
        node: a function, a lambda, a class statement without its functions, or the value of a constant.
        owner: the class it belongs to.
        names: the names of its text.
        classes: the classes of its text.
    """

    node: ast.AST
    owner: ClassInfo | None
    names: Names
    classes: Classes

    @property
    def is_run_by_replicas(self) -> bool:
        """Whether replicas run it; else Python does, once, when the definition is made."""
        return isinstance(self.node, FUNCTIONS)

    @property
    def where(self) -> str:
        """The class and method, for people."""
        own = getattr(self.node, "name", "")
        if self.owner is None or self.owner.node is self.node:
            return own or "module"
        return f"{self.owner.name}.{own}" if own else self.owner.name

    @property
    def self_name(self) -> str | None:
        """What the object is called in a method of a class."""
        is_method = self.owner and isinstance(self.node, (ast.FunctionDef, ast.AsyncFunctionDef))
        return self_name(self.node) if is_method else None  # type: ignore[arg-type]

    @property
    def model(self) -> ClassInfo | None:
        """The owner, when it is a model."""
        return self.owner if self.owner and self.owner.is_model else None

    def nodes(self) -> Iterator[ast.AST]:
        """The nodes that belong here, in the order of the text; other sites' are left out."""
        is_function = self.is_run_by_replicas
        yield self.node
        stack = list(reversed(self._first()))
        while stack:
            node = stack.pop()
            yield node
            if isinstance(node, ast.ClassDef) or (not is_function and isinstance(node, FUNCTIONS)):
                # Functions of a class body, and classes inside functions, are sites of their own.
                stack.extend(reversed(outside_of(node)))
            else:
                stack.extend(reversed(list(ast.iter_child_nodes(node))))

    def _first(self) -> list[ast.AST]:
        if isinstance(self.node, FUNCTIONS):
            return list(self.node.body) if isinstance(self.node.body, list) else [self.node.body]
        if isinstance(self.node, ast.ClassDef):
            return [*outside_of(self.node), *self.node.body]
        return [self.node]

    def is_own_attribute(self, node: ast.AST) -> bool:
        """Whether a node is `self.name`."""
        own = self.self_name
        return (
            own is not None
            and isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == own
        )

    def own_call(self, node: ast.AST) -> str | None:
        """The method's name when a node is `self.name(...)`."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and self.is_own_attribute(node.func):
            return node.func.attr
        return None


def sites_of(roots: Collection[ast.AST], names: Names, classes: Classes) -> list[Site]:
    """Everything in a text that some definitions reach by name, in the order of the text.

    Args:
        roots: class statements and functions.
        names: the names of the text.
        classes: the classes of the text.
    """
    reached: dict[ast.AST, None] = dict.fromkeys(roots)
    waiting = list(reached)
    sites: list[Site] = []
    for node in waiting:
        info = classes.of(node) if isinstance(node, ast.ClassDef) else None
        if info and info.is_view:
            continue
        sites += _sites_in(node, names, classes)
        for name in ast.walk(node):
            further = _reached_by(name, names) if isinstance(name, ast.Name) else None
            if further is not None and not any(part in reached for part in _around(further, names)):
                reached[further] = None
                waiting.append(further)
    unique = {site.node: site for site in sites}
    return sorted(unique.values(), key=lambda site: (site.node.lineno, site.node.col_offset))  # type: ignore[attr-defined]


def _sites_in(node: ast.AST, names: Names, classes: Classes) -> Iterator[Site]:
    if isinstance(node, ast.ClassDef):
        yield Site(node, classes.of(node), names, classes)
    elif isinstance(node, FUNCTIONS):
        yield Site(node, classes.enclosing(node), names, classes)
        if not isinstance(names.parents.get(node), ast.ClassDef):
            yield from (Site(part, None, names, classes) for part in outside_of(node))
    else:
        yield Site(node, None, names, classes)
    stack = list(ast.iter_child_nodes(node))
    while stack:
        inner = stack.pop()
        # What a function defines runs with it; only its classes are looked at as classes.
        if isinstance(inner, ast.ClassDef if isinstance(node, FUNCTIONS) else (*FUNCTIONS, ast.ClassDef)):
            yield from _sites_in(inner, names, classes)
        else:
            stack.extend(ast.iter_child_nodes(inner))


def _around(node: ast.AST, names: Names) -> Iterator[ast.AST]:
    """A node and everything it stands in."""
    asked: ast.AST | None = node
    while asked is not None:
        yield asked
        asked = names.parents.get(asked)


def _reached_by(name: ast.Name, names: Names) -> ast.AST | None:
    """The function, class or constant of the same text that a name leads to."""
    if not isinstance(name.ctx, ast.Load):
        return None
    found = names.bound(name.id, names.scope_of(name))
    if not found:
        return None
    binder = found[1][-1]
    if isinstance(binder, (*FUNCTIONS, ast.ClassDef)):
        return binder
    return names.assigned(binder) if found[0].is_module else None
