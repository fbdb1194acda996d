"""Where code comes from: user or library, and from a live object to the syntax tree it was made from.

`inspect.getsource` cannot find classes of notebook cells. Two things can: the line numbers in code objects together
with `linecache`, where IPython keeps the text of every cell, and, for classes, a hook on `__build_class__`, which sees
the code of each class body. What is found is compiled again and compared with the code that runs.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import contextlib
import copy
import dis
import functools
import importlib.metadata
import importlib.util
import linecache
import sys
import textwrap
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

from msq_jupyter.runtime.canonical_ast import (
    DEFINITIONS,
    Definition,
    Function,
    Mentions,
    canonical_text,
    constant_text,
    mentions_of,
    names_bound_in,
)
from msq_jupyter.runtime.marimo_files import as_it_runs

FUTURE_FLAGS = functools.reduce(
    int.__or__, (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
)
#: Parsed texts that are kept for the next identification: more than the cells of one notebook.
_TEXTS_MAX = 512
#: Further down than any real line, to tell apart definitions that share one.
FAR_LINE = 1_000_000

Place: TypeAlias = tuple[str, int]
Fingerprint: TypeAlias = tuple[Any, ...]


class SourceError(Exception):
    """There is no source, or not the right one. The message is the rest of a sentence about the object."""


class Located(NamedTuple):
    """A definition, and the text it stands in."""

    text: SourceText
    node: Any


# --- user or library ---------------------------------------------------------------------------------------------

#: The version of the protocol stands for all of this package; a test keeps it equal to the wire protocol's.
OWN_PACKAGE, OWN_VERSION = "msq_jupyter", "1"
READY_MODELS = f"{OWN_PACKAGE}.ready."
#: A notebook's or script's own namespace.
MAIN_MODULES = ("__main__", "__mp_main__")
_INSTALLED = {"site-packages", "dist-packages"}


class Library(NamedTuple):
    """A package that is not the user's code. The standard library has no version: its name says enough."""

    package: str
    version: str


def library_of(module: str) -> Library | None:
    """The library a module belongs to, or None for the user's own modules and editable installs."""
    top = module.partition(".")[0]
    if top == OWN_PACKAGE:
        # Ready-made models are models: with other code they are another session's.
        return None if module.startswith(READY_MODELS) else Library(OWN_PACKAGE, OWN_VERSION)
    if top in MAIN_MODULES:
        return None
    if top in sys.stdlib_module_names:
        return Library(top, "")
    return _installed(top) if _INSTALLED & set(_location(top).replace("\\", "/").split("/")) else None


def module_file(name: str) -> str | None:
    """The file of a module, loaded or not; "" for a package without one, None when there is no such module."""
    loaded = sys.modules.get(name)
    if loaded is not None:
        return getattr(loaded, "__file__", None) or ""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    return (spec.origin or "") if spec else None


def _location(top: str) -> str:
    path = getattr(sys.modules.get(top), "__path__", None)  # of a package without a file
    return module_file(top) or next(iter(path or ()), "")


@functools.cache
def _installed(top: str) -> Library:
    """The distributions that provide a top-level module: several for a shared namespace."""
    try:
        return Library(top, importlib.metadata.version(top))  # The usual case, without reading every distribution.
    except importlib.metadata.PackageNotFoundError:
        names = sorted(set(importlib.metadata.packages_distributions().get(top, ())))
        return Library(top, ",".join(f"{name.lower()}=={importlib.metadata.version(name)}" for name in names))


# --- class bodies ------------------------------------------------------------------------------------------------

#: Only code objects are kept: they refer to no class and no namespace, so nothing lives longer for it.
_bodies: WeakKeyDictionary[type, types.CodeType] = WeakKeyDictionary()
#: For classes that a decorator made from the one that was built, as `dataclass(slots=True)` does.
_latest_bodies: dict[tuple[str, str], types.CodeType] = {}
_undo: Callable[[], None] | None = None


def capture_sources() -> Callable[[], None]:
    """Remember, from now on, the code of each class body, so that classes of cells can be located.

    Calling it again changes nothing.

    Returns:
        The function that ends it.
    """
    global _undo
    if _undo is not None:
        return _undo
    original = builtins.__build_class__

    def build_class(body: Any, name: str, /, *bases: Any, **keywords: Any) -> Any:
        made = original(body, name, *bases, **keywords)
        if not ended:
            # Whatever a metaclass returns and however it compares: making classes must go on.
            with contextlib.suppress(Exception):
                _bodies[made] = _latest_bodies[made.__module__, made.__qualname__] = body.__code__
        return made

    def undo() -> None:
        global _undo
        ended.append(True)
        _undo = None
        # Another tool may have wrapped our wrapper since: then it stays, and does nothing.
        if builtins.__build_class__ is build_class:
            builtins.__build_class__ = original

    ended: list[bool] = []
    builtins.__build_class__ = build_class
    _undo = undo
    return undo


# --- texts -------------------------------------------------------------------------------------------------------


class SourceText:
    """One cell or file, parsed. Everything derived from it is made once, and kept as long as the text is."""

    def __init__(self, text: str) -> None:
        self.lines = text.splitlines(keepends=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.tree, self._cells = as_it_runs(ast.parse(text))
        self._definitions: dict[Place, list[Definition]] = {}
        self._classes: dict[str, list[ast.ClassDef]] = {}
        self._fingerprints: dict[int, dict[Place, list[Fingerprint]]] = {}
        self._texts: dict[tuple[ast.AST, bool], str] = {}
        self._mentions: dict[ast.AST, Mentions] = {}
        self.bound = functools.cache(names_bound_in)
        self._index()

    def canonical(self, node: ast.AST, docstrings: bool) -> str:
        """The canonical text of a node of this text."""
        key = (node, docstrings)
        if key not in self._texts:
            self._texts[key] = canonical_text(node, docstrings=docstrings)
        return self._texts[key]

    def mentions(self, function: Function) -> Mentions:
        """What a function of this text mentions."""
        if function not in self._mentions:
            self._mentions[function] = mentions_of(function)
        return self._mentions[function]

    def segment(self, node: ast.AST) -> str:
        """The lines of a definition or of the whole module, as they were written."""
        if isinstance(node, ast.Module):
            return "".join(self.lines).strip("\n")
        first, last = line_range(node)
        return textwrap.dedent("".join(self.lines[first - 1 : last])).rstrip()

    def definition(self, code: types.CodeType) -> Any:
        """The definition that compiles to `code`.

        Raises:
            SourceError: this text is not what `code` was compiled from.
        """
        place = (code.co_name, code.co_firstlineno)
        candidates = self._definitions.get(place, [])
        wanted = _fingerprint(code)
        if not candidates or (wanted not in self._compiled(code).get(place, []) and not _is_rewritten(code)):
            raise SourceError(
                "runs other code than its source has now: import its module again in a restarted kernel, or run its "
                "cell again"
            )
        if len(candidates) == 1:
            return candidates[0]
        return self._distinguish(candidates, code, wanted)

    def class_statement(self, qualname: str, lines: set[int]) -> ast.ClassDef | None:
        """The class statement of that name that holds one of the lines, or the only one."""
        candidates = self._classes.get(qualname, [])
        holding = [node for node in candidates if any(node.lineno <= n <= (node.end_lineno or 0) for n in lines)]
        certain = holding or (candidates if len(candidates) == 1 else [])
        return certain[-1] if certain else None

    def _index(self) -> None:
        stack: list[tuple[ast.AST, str]] = [(self.tree, "")]
        while stack:
            node, prefix = stack.pop()
            if isinstance(node, (*DEFINITIONS, ast.Lambda)):
                name = getattr(node, "name", "<lambda>")
                self._definitions.setdefault((name, line_range(node)[0]), []).append(node)
                if isinstance(node, ast.ClassDef):
                    self._classes.setdefault(prefix + name, []).insert(0, node)
                    prefix += f"{name}."
                else:
                    prefix += f"{name}.<locals>."
            stack.extend((child, prefix) for child in ast.iter_child_nodes(node))

    def _compiled(self, code: types.CodeType) -> dict[Place, list[Fingerprint]]:
        # Future imports of one cell hold in all later ones, so the flags are those of the running code.
        flags = code.co_flags & FUTURE_FLAGS
        if flags not in self._fingerprints:
            places: dict[Place, list[Fingerprint]] = {}
            for compiled in (code for unit in (self.tree, *self._cells) for code in _codes_of(unit, flags)):
                places.setdefault((compiled.co_name, compiled.co_firstlineno), []).append(_fingerprint(compiled))
            self._fingerprints[flags] = places
        return self._fingerprints[flags]

    def _distinguish(self, candidates: list[Definition], code: types.CodeType, wanted: Fingerprint) -> Any:
        """Which of several definitions on one line is running: each is moved to a line of its own and compiled."""
        order = {node: number for number, node in enumerate(ast.walk(self.tree))}
        far_line = code.co_firstlineno + FAR_LINE
        for candidate in candidates:
            moved = copy.deepcopy(self.tree)
            # All of it moves: what an instruction compiles to can depend on whether its neighbour shares its line.
            ast.increment_lineno(list(ast.walk(moved))[order[candidate]], FAR_LINE)
            for compiled in _codes_of(moved, code.co_flags & FUTURE_FLAGS):
                is_here = (compiled.co_firstlineno, compiled.co_name) == (far_line, code.co_name)
                if is_here and _fingerprint(compiled) == wanted:
                    return candidate
        raise SourceError("shares its line with others of its name: give each a line of its own")


_parsed = functools.lru_cache(maxsize=_TEXTS_MAX)(SourceText)


class Sources:
    """Finds sources for one identification; each file is looked at once."""

    def __init__(self) -> None:
        self._files: dict[str, SourceText] = {}

    def function(self, function: types.FunctionType) -> Located:
        """Where a function is defined.

        Raises:
            SourceError: nowhere, or with other code.
        """
        code = function.__code__
        text = self.file(code.co_filename, function.__globals__)
        return Located(text, text.definition(code))

    def made_class(self, made: type) -> Located:
        """Where a class is defined.

        Raises:
            SourceError: nowhere, or with other code.
        """
        if issubclass(made, tuple) and "_fields" in vars(made) and "__orig_bases__" not in vars(made):
            # namedtuple() made it; the class statement of the same name is often the one that builds on it.
            raise SourceError("has no class statement")
        body = _bodies.get(made)
        found = None if body else self._by_methods(made)
        if not found and _is_from_statement(made):
            body = body or _latest_bodies.get((made.__module__, made.__qualname__))
        if body:
            text = self.file(body.co_filename)
            found = Located(text, text.definition(body))
        found = found or self._by_module(made)
        if found:
            return found
        if "__dataclass_fields__" in vars(made):
            raise SourceError(
                "has no source: write it as a class statement and not with make_dataclass, or, when it is one, "
                "run %load_ext msq_jupyter before the cell that defines it, then run that cell again"
            )
        if made.__module__ == "__main__":
            raise SourceError(
                "has no source: run %load_ext msq_jupyter before the cell that defines it, then run that cell again"
            )
        raise SourceError("has no source: write it as a class statement in a cell or in a .py file")

    def file(self, name: str, namespace: dict[str, Any] | None = None) -> SourceText:
        """A cell or file, parsed.

        Raises:
            SourceError: it is not there, or not Python.
        """
        if name not in self._files:
            linecache.checkcache(name)
            lines = linecache.getlines(name, namespace)
            if not lines:
                raise SourceError(
                    "has no source: write it in a cell (no exec, no %%time) or in a .py file, and run it again"
                )
            try:
                self._files[name] = _parsed("".join(lines))
            except (SyntaxError, ValueError) as error:
                raise SourceError(f"runs other code than its source has now, which is not Python: {error}") from None
        return self._files[name]

    def name_of(self, text: SourceText) -> str:
        """The name of the cell or file of a text that was found here."""
        return next(name for name, known in self._files.items() if known is text)

    def _by_methods(self, made: type) -> Located | None:
        places: dict[str, set[int]] = {}
        for function in functions_of(made):
            if function.__qualname__.startswith(f"{made.__qualname__}."):
                places.setdefault(function.__code__.co_filename, set()).add(function.__code__.co_firstlineno)
        for name, lines in places.items():
            with contextlib.suppress(SourceError):
                text = self.file(name)
                node = text.class_statement(made.__qualname__, lines)
                if node:
                    return Located(text, node)
        return None

    def _by_module(self, made: type) -> Located | None:
        name = getattr(sys.modules.get(made.__module__), "__file__", None)
        if not name:
            return None
        text = self.file(name)
        node = text.class_statement(made.__qualname__, {getattr(made, "__firstlineno__", 0)})
        return Located(text, node) if node else None


def _is_from_statement(made: type) -> bool:
    """Whether a class comes from a class statement, and not from a call such as `make_dataclass`."""
    own = vars(made)
    # Until Python 3.12 the order tells: a statement begins with the module, a call ends with it.
    return "__firstlineno__" in own if sys.version_info >= (3, 13) else next(iter(own)) == "__module__"


def functions_of(made: type) -> Iterator[types.FunctionType]:
    """The functions in the namespace of a class, taken out of properties, class methods and the like."""
    for value in vars(made).values():
        inside = [value, *(getattr(value, name, None) for name in ("fget", "fset", "fdel", "func", "__func__"))]
        yield from (function for function in inside if isinstance(function, types.FunctionType))


def is_filled(cell: types.CellType) -> bool:
    """Whether a variable of a closure has a value yet."""
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def line_range(node: Any) -> tuple[int, int]:
    """First and last line of a definition, decorators included: where its code object says it begins."""
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)]), node.end_lineno


def assigned_globals(code: types.CodeType) -> list[str]:
    """The globals that a function, or one inside it, assigns or deletes, by name."""
    everything = [code, *codes_in(code)]
    found = {
        str(instruction.argval)
        for inner in everything
        for instruction in dis.get_instructions(inner)
        if instruction.opname in ("STORE_GLOBAL", "DELETE_GLOBAL")
    }
    return sorted(found)


# --- comparing code ----------------------------------------------------------------------------------------------


def compile_tree(tree: ast.Module, flags: int, file: str = "<source>") -> types.CodeType:
    """The code of a module or cell.

    Args:
        tree: what to compile.
        flags: of the future imports that hold there.
        file: where it comes from, for tracebacks.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Cells may await at top level.
        code: types.CodeType = compile(
            tree, file, "exec", flags=flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
        )
        return code


def _codes_of(tree: ast.Module, flags: int) -> Iterator[types.CodeType]:
    """All code in a text, as a module runs it and as IPython does, which compiles each statement by itself.

    It makes a difference: a call of a name that the same unit imports is compiled in another way.
    """
    yield from codes_in(compile_tree(tree, flags))
    for statement in tree.body:
        yield from codes_in(compile_tree(ast.Module([statement], []), flags))


def codes_in(code: types.CodeType) -> Iterator[types.CodeType]:
    """All code inside a code object, in the order of its constants."""
    stack = [code]
    while stack:
        inner = [constant for constant in stack.pop().co_consts if isinstance(constant, types.CodeType)]
        yield from inner
        stack.extend(inner)


def _fingerprint(code: types.CodeType) -> Fingerprint:
    """What a code object does, without where it stands."""
    constants = tuple(
        _fingerprint(constant) if isinstance(constant, types.CodeType) else constant_text(constant)
        for constant in code.co_consts
    )
    return code.co_code, constants, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars


def _is_rewritten(code: types.CodeType) -> bool:
    """Whether a tool rewrote the code at import, as pytest does with `assert`: nobody can write a name with "@"."""
    return any(name.startswith("@") for part in (code, *codes_in(code)) for name in (*part.co_names, *part.co_varnames))
