"""Lints a class that exists, with everything it reaches in other cells and modules."""

from __future__ import annotations

import ast
import contextlib
import functools
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from msq_jupyter.errors import CodeIdentityError
from msq_jupyter.runtime.codehash import identify
from msq_jupyter.runtime.lint.engine import lint_tree
from msq_jupyter.runtime.lint.finding import Finding
from msq_jupyter.runtime.lint.names import Names
from msq_jupyter.runtime.lint.rules import NO_IDENTITY, OWN_CODES
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.sources import Located, SourceError, Sources, SourceText, functions_of, library_of
from msq_jupyter.runtime.view import View


@dataclass
class _Reached:
    """What is reached in one text."""

    path: str
    namespace: Mapping[str, Any]
    names: Names
    roots: list[ast.AST] = field(default_factory=list)
    models: list[ast.AST] = field(default_factory=list)


def lint_model(model_class: type[Model]) -> list[Finding]:
    """Lint a model class and everything it reaches: base classes, other models, helpers in other cells and modules.

    Args:
        model_class: a subclass of `Model`, defined in a cell or a .py file.

    Returns:
        The findings by place; none is good. One of code MSQ902 says that and why the code cannot be identified, so
        that no session could be joined with it. The lines of a finding are those of its `path`: a file, or "cell [3]".
    """
    reach = _Reach()
    reach.follow(model_class)
    findings = {
        finding
        for text, part in reach.texts.items()
        for finding in lint_tree(
            text.tree,
            [line.rstrip("\r\n") for line in text.lines],
            part.path,
            roots=part.roots,
            models=part.models,
            live=part.namespace,
        )
    }
    try:
        identify(model_class, model_base=Model)
    except CodeIdentityError as error:
        findings.add(_without_identity(model_class, error, reach))
    return sorted(findings)


def _without_identity(model_class: type, error: CodeIdentityError, reach: _Reach) -> Finding:
    message, _, remedy = str(error).rpartition(": ")
    path, line = "", 1
    with contextlib.suppress(SourceError):
        located = reach.sources.made_class(model_class)
        path, line = reach.texts[located.text].path, located.node.lineno
    return Finding(
        *(path, line, 1, NO_IDENTITY, model_class.__qualname__, OWN_CODES[NO_IDENTITY]),
        message or str(error),
        remedy,
    )


class _Reach:
    """Follows live objects from a class to the definitions of all it mentions."""

    def __init__(self) -> None:
        self.texts: dict[SourceText, _Reached] = {}
        self.sources = Sources()
        self._seen: dict[int, Any] = {}  # The objects too, so that no id is used again.

    def follow(self, root: type) -> None:
        """Fill `texts`."""
        waiting: list[Any] = [root]
        for thing in waiting:
            for part in _unwrapped(thing):
                if id(part) not in self._seen and _is_users(part):
                    self._seen[id(part)] = part
                    waiting += self._further(part)

    def _further(self, thing: Any) -> Iterator[Any]:
        is_class = isinstance(thing, type)
        if is_class:
            yield from thing.__bases__
            yield from functions_of(thing)
            namespace = vars(sys.modules.get(thing.__module__) or types.ModuleType("gone"))
        else:
            namespace = thing.__globals__
            yield from (cell.cell_contents for cell in thing.__closure__ or () if _is_filled(cell))
        try:
            located = self.sources.made_class(thing) if is_class else self.sources.function(thing)
        except SourceError:
            return  # The identity will say so.
        part = self._part(located, namespace)
        part.roots.append(located.node)
        if is_class and issubclass(thing, Model):
            part.models.append(located.node)
        yield from _mentioned(located.node, part)

    def _part(self, located: Located, namespace: Mapping[str, Any]) -> _Reached:
        text = located.text
        if text not in self.texts:
            path = _cell_name("".join(text.lines)) or self.sources.name_of(text)
            self.texts[text] = _Reached(path, namespace, Names(text.tree, namespace))
        return self.texts[text]


def _mentioned(node: ast.AST, part: _Reached) -> Iterator[Any]:
    """What the global names in a definition, and the attributes of the user's modules in it, are now."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load) and part.names.is_global(inner):
            yield part.namespace.get(inner.id)
        elif isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name):
            owner = part.namespace.get(inner.value.id) if part.names.is_global(inner.value) else None
            if isinstance(owner, types.ModuleType) and not library_of(owner.__name__):
                yield vars(owner).get(inner.attr)


def _unwrapped(thing: Any) -> Iterable[Any]:
    """The functions and classes in a thing: a decorated function, a table of functions."""
    if isinstance(thing, (types.FunctionType, type)):
        wrapped = vars(thing).get("__wrapped__")
        return [thing] if wrapped is None else [thing, wrapped]
    if isinstance(thing, dict):
        return [value for value in thing.values() if isinstance(value, (types.FunctionType, type))]
    if isinstance(thing, (list, tuple)):
        return [value for value in thing if isinstance(value, (types.FunctionType, type))]
    if isinstance(thing, functools.partial):
        return [thing.func]
    wrapped = getattr(thing, "__wrapped__", None) if type(thing).__module__ == "functools" else None
    return [wrapped] if isinstance(wrapped, types.FunctionType) else []


def _is_users(thing: Any) -> bool:
    """Whether a function or class is the user's own, and not a view's."""
    if isinstance(thing, type):
        return not library_of(thing.__module__) and not issubclass(thing, View)
    return isinstance(thing, types.FunctionType) and not library_of(thing.__globals__.get("__name__", "__main__"))


def _is_filled(cell: types.CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _cell_name(text: str) -> str | None:
    """How IPython numbers the cell with this text; None for files. It keeps the texts of all cells in `In`."""
    cells = getattr(sys.modules.get("__main__"), "In", None)
    if not isinstance(cells, list):
        return None
    numbers = (n for n in range(len(cells) - 1, 0, -1) if str(cells[n]).strip() == text.strip())
    return next((f"cell [{number}]" for number in numbers), None)
