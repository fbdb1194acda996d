"""Which object stands in for which: the table by identity, modules and all, from what the other files define.

Identity and not names: `from time import sleep as nap` and `import numpy.random as r` lead to the same objects.
Modules that are not loaded yet are entered when they are; nobody can hold a member of theirs before.
"""

from __future__ import annotations

import builtins
import posixpath
import sys
from collections.abc import Mapping
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, NoReturn

from msq_jupyter.errors import DeterminismError
from msq_jupyter.runtime.deterministic import arithmetic, averages, chance, clock, elementary
from msq_jupyter.runtime.deterministic.refusals import KEPT, REFUSED, refuse, refused_function, remedy_for
from msq_jupyter.runtime.deterministic.sets import OrderedFrozenSet, OrderedSet


def import_module(
    name: str,
    globals: Mapping[str, Any] | None = None,  # noqa: A002 (these are the names of `__import__`)
    locals: Mapping[str, Any] | None = None,  # noqa: A002
    fromlist: Any = (),
    level: int = 0,
) -> Any:
    """The builtin `__import__`: modules come as what stands in for them."""
    return substitute_for(builtins.__import__(name, globals, locals, fromlist, level))


def variables(*things: Any) -> Any:
    """The builtin `vars`, of something.

    Raises:
        DeterminismError: of nothing, which would be the names of local variables.
    """
    if not things:
        refuse("builtins", "vars without an argument", REFUSED["builtins"]["locals"])
    return vars(*things)


#: What stands in for members of modules, by the name of the module.
REPLACED: Mapping[str, Mapping[str, Any]] = {
    "builtins": {
        "set": OrderedSet,
        "frozenset": OrderedFrozenSet,
        "sum": arithmetic.left_fold_sum,
        "abs": arithmetic.absolute,
        "hash": arithmetic.number_hash,
        "pow": arithmetic.power,
        "vars": variables,
        "__import__": import_module,
    },
    "math": elementary.MATH,
    "cmath": elementary.CMATH,
    "statistics": averages.STATISTICS,
    "random": chance.RANDOM,
    "uuid": chance.UUID,
    "time": clock.TIME,
    "datetime": clock.DATETIME,
    "operator": {"pow": arithmetic.power, "ipow": arithmetic.power, "abs": arithmetic.absolute},
    "os": {"sep": "/", "altsep": None, "pathsep": ":", "linesep": "\n", "curdir": ".", "pardir": "..", "extsep": "."},
    "sys": {"maxsize": (1 << 63) - 1},
    # Paths are what they are on Linux and macOS, also on Windows.
    "ntpath": {name: getattr(posixpath, name) for name in KEPT["posixpath"] if hasattr(posixpath, name)},
}

#: Modules that lead to others by attribute, and would lead past what stands in for those.
_PARENTS = ("numpy", "concurrent", "urllib", "http", "xmlrpc", "logging")

#: Python's own names of modules that members say they are from.
_ORIGINS = {
    "os": ("posix", "nt"),
    "socket": ("_socket",),
    "ssl": ("_ssl",),
    "threading": ("_thread",),
    "io": ("_io",),
    "weakref": ("_weakref", "_weakrefset"),
    "contextvars": ("_contextvars",),
    "queue": ("_queue",),
    "sqlite3": ("_sqlite3",),
    "pickle": ("_pickle",),
    "ctypes": ("_ctypes",),
    "signal": ("_signal",),
    "locale": ("_locale",),
    "ntpath": ("nt", "genericpath"),
    "posixpath": ("posix", "genericpath"),
    "random": ("_random",),
    "secrets": ("hmac", "random"),
    "asyncio": ("_asyncio",),
}

_MEMBERS = (type, FunctionType, BuiltinFunctionType)
_PLAIN = (str, bytes, int, float, complex, bool, type(None), tuple, list, dict, set, frozenset)


class StandIn(ModuleType):
    """A module as model code sees it: what is replaced or refused in `changed`, all else that of the original."""

    def __init__(self, original: ModuleType, changed: Mapping[str, Any]) -> None:
        super().__init__(original.__name__, original.__doc__)
        vars(self).update(changed)
        vars(self)["__original__"] = original

    def __getattr__(self, name: str) -> Any:
        original = vars(self)["__original__"]
        if not name.startswith("__"):
            remedy = remedy_for(original.__name__, name)
            if remedy is not None and hasattr(original, name):
                refuse(original.__name__, name, remedy)
        value = substitute_for(getattr(original, name))
        if not isinstance(value, _PLAIN):
            vars(self)[name] = value
        return value

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise DeterminismError(
            f"{self.__name__}.{name} cannot be set in model code: modules are not replicated; keep it on a model"
        )

    def __delattr__(self, name: str) -> NoReturn:
        self.__setattr__(name, None)

    def __dir__(self) -> list[str]:
        return dir(vars(self)["__original__"])

    def __repr__(self) -> str:
        return f"<module {self.__name__!r} of model code>"


class _Table:
    """What stands in for what, by id. The originals are kept, so that no other object ever has their ids."""

    def __init__(self) -> None:
        self._by_id: dict[int, Any] = {}
        self._originals: list[Any] = []
        self._waiting = {*REPLACED, *REFUSED, *_PARENTS} - {"builtins"}
        self._enter_members(builtins)

    def find(self, thing: Any, default: Any) -> Any:
        """What stands in for a thing."""
        found = self._by_id.get(id(thing), default)
        if found is default and not sys.modules.keys().isdisjoint(self._waiting):
            self._enter_loaded()
            found = self._by_id.get(id(thing), default)
        if found is default and isinstance(thing, _MEMBERS):
            # A module that was entered may have got the member since, from a part of it.
            origin = thing.__module__ if isinstance(thing.__module__, str) else ""
            module = origin if origin in REFUSED else origin.rpartition(".")[0]
            remedy = remedy_for(module, thing.__name__)
            if remedy is not None and _is_own(thing, module):
                found = refused_function(module, thing.__name__, remedy)
                self._enter(thing, found)
        return found

    def _enter_loaded(self) -> None:
        for name in sorted(sorted(self._waiting & sys.modules.keys()), key=_is_private):
            module = sys.modules[name]
            self._waiting.discard(name)
            if isinstance(module, ModuleType):
                self._enter(module, StandIn(module, self._enter_members(module)))

    def _enter_members(self, module: ModuleType) -> dict[str, Any]:
        """Enter what is replaced or refused of a module, and say what that is, by name."""
        name = module.__name__
        changed = dict(REPLACED.get(name, {}))
        for member, original in sorted(vars(module).items(), key=lambda pair: _is_private(pair[0])):
            if member not in changed:
                remedy = remedy_for(name, member)
                is_named = member in REFUSED.get(name, ())
                if remedy is None or member.startswith("__") or not (is_named or _is_own(original, name)):
                    continue
                # What several modules have is refused by one of their names.
                changed[member] = self._by_id.get(id(original)) or refused_function(name, member, remedy)
            self._enter(original, changed[member])
        return changed

    def _enter(self, original: Any, stand_in: Any) -> None:
        if not isinstance(original, _PLAIN) and id(original) not in self._by_id and original is not stand_in:
            self._originals.append(original)
            self._by_id[id(original)] = stand_in


def _is_private(name: str) -> bool:
    """Sorts names so that a thing with several of them is known by one that authors write."""
    return name.startswith("_")


def _is_own(thing: Any, module: str) -> bool:
    """Whether something callable belongs to a module, and is not one it only uses."""
    if isinstance(thing, ModuleType) or not callable(thing):
        return False
    if isinstance(thing, type) and issubclass(thing, BaseException):
        return False  # what is never raised may be caught
    origin = getattr(thing, "__module__", None)
    if not isinstance(origin, str):
        return True
    if origin == "builtins" and module != "builtins":
        return not hasattr(builtins, getattr(thing, "__name__", ""))
    names = (module, *_ORIGINS.get(module, ()))
    return any(origin == name or origin.startswith(f"{name}.") for name in names)


#: What `site` and interactive Python add to the builtins.
_ADDED = frozenset(("_", "copyright", "credits", "license", "exit", "quit"))

_table = _Table()
_NONE = object()


def substitute_for(thing: Any) -> Any:
    """What model code gets instead of a module, a function or a class; the thing itself when it may have that."""
    return _table.find(thing, thing)


def has_substitute(thing: Any) -> bool:
    """Whether model code gets something else."""
    return _table.find(thing, _NONE) is not _NONE


def _builtins() -> dict[str, Any]:
    """The builtins of model code: Python's own, and not what a notebook adds to them."""
    python_s = {name: thing for name, thing in vars(builtins).items() if name not in _ADDED}
    refused = {name: refused_function("builtins", name, remedy) for name, remedy in REFUSED["builtins"].items()}
    return python_s | refused | dict(REPLACED["builtins"])


BUILTINS: dict[str, Any] = _builtins()
"""The `__builtins__` of model code."""
