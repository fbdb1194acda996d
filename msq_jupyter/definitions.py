"""What a file or a notebook defines, without what it does: no session is joined, nothing is drawn, no cell waits.

Imports, functions, classes and plain assignments run, one statement after the other; everything else is left out and
told. The text of what ran is where the interpreter looks for sources, so that the code of a model can be identified.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import contextlib
import linecache
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msq_jupyter.errors import ArgumentError
from msq_jupyter.lint_command import cell_sources, decoded, python_of_cell
from msq_jupyter.persistence.harmless import shortened
from msq_jupyter.runtime.codehash import capture_sources
from msq_jupyter.runtime.model import Model

_ALWAYS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Pass)
#: A plain assignment calls nothing but these, which make values or types and do nothing else.
_MAKERS = {
    *(
        "Decimal",
        "Enum",
        "Fraction",
        "IntEnum",
        "MappingProxyType",
        "NamedTuple",
        "NewType",
        "TypeVar",
        "bool",
        "bytes",
    ),
    *("compile", "date", "datetime", "dict", "enumerate", "float", "frozenset", "int", "len", "list", "max", "min"),
    *("namedtuple", "range", "reversed", "round", "set", "sorted", "str", "sum", "timedelta", "tuple", "zip"),
}


@dataclass(frozen=True)
class LeftOut:
    """A statement that did not run, or failed.

    Attributes:
        place: `lesson.py line 12`, `lesson.ipynb cell 3 line 1`.
        text: its first line.
        error: why it failed, "" when it was left out on purpose.
    """

    place: str
    text: str
    error: str = ""


@dataclass
class Definitions:
    """What there is after the definitions have run.

    Attributes:
        path: of the file or notebook.
        names: what it defines, by name.
        left_out: what did not run, in order.
        joined: names that it gives as `model=` to something, such as `Session.join`.
    """

    path: Path
    names: dict[str, Any] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    joined: set[str] = field(default_factory=set)

    def model(self, name: str | None) -> type[Model]:
        """A root model's class.

        Args:
            name: its name; None for the one that is joined, or the only one.

        Raises:
            ArgumentError: there is no such model, or several; names those there are, and what failed.
        """
        models = {
            key: value
            for key, value in self.names.items()
            if isinstance(value, type) and issubclass(value, Model) and not value.__module__.startswith("msq_jupyter")
        }
        if name is None:
            choice = [key for key in models if key in self.joined] or list(models)
            name = choice[0] if len(choice) == 1 else "several" if choice else "none"
        if name in models:
            return models[name]
        there = f"one of {', '.join(sorted(models))}" if models else "a subclass of Model"
        failures = "".join(f"; {one.place}: {one.error}" for one in self.left_out if one.error)
        raise ArgumentError(f"--model: expected {there} in {self.path}, got {name}{failures}")


@contextlib.contextmanager
def definitions_of(path: Path) -> Iterator[Definitions]:
    """Run the definitions of a file or notebook, as `__main__`; while the context lasts, models of it can run.

    Args:
        path: a .py file or an .ipynb notebook. What it imports is found beside it, too.

    Raises:
        ArgumentError: it cannot be read, or is not Python.
    """
    module = types.ModuleType("__main__")
    found = Definitions(path, vars(module))
    main, paths, build_class = sys.modules["__main__"], list(sys.path), builtins.__build_class__
    end_capturing = capture_sources()
    was_capturing = builtins.__build_class__ is build_class
    sys.modules["__main__"] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        _run(path, found)
        yield found
    finally:
        sys.modules["__main__"] = main
        sys.path[:] = paths
        if not was_capturing:
            end_capturing()


def _run(path: Path, found: Definitions) -> None:
    flags = 0
    for place, text in _texts(path):
        linecache.cache[place] = (len(text), None, text.splitlines(keepends=True), place)
        try:
            tree = ast.parse(text, place)
        except (SyntaxError, ValueError) as error:
            raise ArgumentError(f"expected Python, got {place}: {error}") from error
        found.joined |= _joined_in(tree)
        for statement in tree.body:
            where = f"{place} line {statement.lineno}"
            first_line = shortened(ast.unparse(statement).split("\n")[0], 100)
            if not _is_definition(statement):
                if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
                    found.left_out.append(LeftOut(where, first_line))
                continue
            flags |= _future_flags(statement)
            # A library that draws may be missing here, and the model not need it: what comes after runs all the same.
            try:
                code = compile(ast.Module([statement], []), place, "exec", flags=flags, dont_inherit=True)
                exec(code, found.names)  # the user asked for it: these are the file's definitions
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # sys.exit() in a module
                found.left_out.append(LeftOut(where, first_line, f"{type(error).__name__}: {error}"))


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    """The file, or each code cell: what errors call it, and its text."""
    try:
        if path.suffix == ".py":
            yield str(path), decoded(path.read_bytes())
            return
        if path.suffix != ".ipynb":
            raise ArgumentError(f"expected a .py file or an .ipynb notebook, got {path}")
        document = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(f"expected a readable file or notebook, got {path}: {error}") from error
    for number, source in enumerate(cell_sources(document, str(path)), 1):
        place = f"{path} cell {number}"
        try:
            yield place, python_of_cell(source)
        except (SyntaxError, ValueError) as error:
            raise ArgumentError(f"expected Python, got {place}: {error}") from error


def _is_definition(statement: ast.stmt) -> bool:
    if isinstance(statement, _ALWAYS):
        return True
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return all(map(_is_name, targets)) and (statement.value is None or _is_plain(statement.value))
    if isinstance(statement, ast.If):
        return _is_plain(statement.test) and all(map(_is_definition, [*statement.body, *statement.orelse]))
    if isinstance(statement, ast.Try):
        handled = [inner for handler in statement.handlers for inner in handler.body]
        parts = [*statement.body, *handled, *statement.orelse, *statement.finalbody]
        return all(map(_is_definition, parts))
    return type(statement).__name__ == "TypeAlias"


def _is_name(target: ast.expr) -> bool:
    if isinstance(target, ast.Tuple | ast.List):
        return all(map(_is_name, target.elts))
    return isinstance(target, ast.Name) or (isinstance(target, ast.Starred) and _is_name(target.value))


def _is_plain(value: ast.expr) -> bool:
    if isinstance(value, ast.Lambda):  # what its body does, it does when it is called
        return all(map(_is_plain, _expressions(value.args)))
    if isinstance(value, ast.Await | ast.Yield | ast.YieldFrom):
        return False
    if isinstance(value, ast.Call):
        function = value.func
        name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
        if name not in _MAKERS:
            return False
    inner = (child for node in ast.iter_child_nodes(value) for child in _expressions(node))
    return all(map(_is_plain, inner))


def _expressions(node: ast.AST) -> Iterator[ast.expr]:
    """A node that is an expression, or those right inside of it: of a keyword, or a loop in a comprehension."""
    if isinstance(node, ast.expr):
        yield node
    else:
        for child in ast.iter_child_nodes(node):
            yield from _expressions(child)


def _joined_in(tree: ast.Module) -> set[str]:
    return {
        keyword.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "model" and isinstance(keyword.value, ast.Name)
    }


def _future_flags(statement: ast.stmt) -> int:
    flags = 0
    if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
        for alias in statement.names:
            flags |= getattr(__future__, alias.name).compiler_flag
    return flags
