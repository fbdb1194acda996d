"""Linking: model code with globals, builtins and classes of its own.

Every function that the code of a model can reach is made again, with globals that hold just the names it mentions, as
they are at that moment, and with builtins in which what differs between kernels is replaced or refused
(`deterministic`). Every class is made again with these functions. So

* a replica never changes because a cell was run again, a module was reloaded, or a global was assigned;
* two sessions of one kernel share neither classes nor class attributes;
* the notebook's own modules and classes stay as they are;
* what is not replaced costs nothing.

It is no sandbox: library code does what it does, and tricks with attributes reach everything. What linking cannot see,
the comparison of replicas finds.

What was made keeps file names and lines, so tracebacks show the author's text. Functions are made empty first and
filled in from a queue, so neither cycles nor depth matter.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import operator
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import resolve_name
from typing import Any

from msq_jupyter.errors import DeterminismError
from msq_jupyter.runtime import rewrite
from msq_jupyter.runtime.canonical_ast import CONSTANT_TYPES, Import
from msq_jupyter.runtime.codehash import CodeIdentity
from msq_jupyter.runtime.constants import CONTAINERS, constant
from msq_jupyter.runtime.deterministic import BUILTINS, OrderedSet, power, set_display, substitute_for, view_set
from msq_jupyter.runtime.link_classes import ClassMaker
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.sources import (
    MAIN_MODULES,
    Located,
    SourceError,
    Sources,
    assigned_globals,
    is_filled,
    library_of,
)

_in_place: Callable[[Any, Any], Any] = operator.ipow


def power_in_place(x: Any, y: Any) -> Any:
    """`x **= y`: numbers get a new value; anything else may know how to change itself."""
    return power(x, y) if isinstance(x, (int, float, complex)) else _in_place(x, y)


#: Besides them, each linking has an `__import__` of its own.
_BUILTINS = {
    **BUILTINS,
    rewrite.SET_DISPLAY: set_display,
    rewrite.VIEW_SET: view_set,
    rewrite.POWER: power,
    rewrite.POWER_IN_PLACE: power_in_place,
}


@dataclass(frozen=True)
class LinkedCode:
    """The code of one session, as its replica runs it.

    Attributes:
        root: the root model's class.
        models: all model classes by the keys of the identity.
        value_types: all enums, named tuples and dataclasses by the keys of the identity.
        originals: of each class that was made again, the one it was made from.
    """

    root: type[Model]
    models: Mapping[str, type[Model]]
    value_types: Mapping[str, type]
    originals: Mapping[type, type]


def link(identity: CodeIdentity) -> LinkedCode:
    """Link the code of a model.

    Args:
        identity: of the code; the first of its models is the root.

    Raises:
        DeterminismError: code assigns to a global; names the function and the remedy.
    """
    linker = Linker()
    models = {key: linker.value(made, key) for key, made in identity.models.items()}
    value_types = {key: linker.value(made, key) for key, made in identity.value_types.items()}
    linker.finish()
    return LinkedCode(next(iter(models.values())), models, value_types, linker.classes.originals)


class Linker:
    """One linking. What it makes is whole after `finish`."""

    def __init__(self) -> None:
        self._sources = Sources()
        self._rewriter = rewrite.Rewriter()
        self._made: dict[int, Any] = {}
        self._alive: list[Any] = []  # keys are ids, which must not be used again
        self._queue: collections.deque[Callable[[], None]] = collections.deque()
        self._namespaces: dict[int, dict[str, Any]] = {}
        self._builtins = {**_BUILTINS, "__import__": self._import}
        self.classes = ClassMaker(self.value, self.is_written, self._queue.append)
        self._makers: tuple[tuple[Any, Callable[[Any, str], Any]], ...] = (
            (types.FunctionType, self._function),
            (type, self.classes.made),
            (types.ModuleType, self._module),
            (types.CellType, self._cell),
            (types.MethodType, lambda method, name: types.MethodType(*self._parts(method, "__func__", "__self__"))),
            (property, self._property),
            ((classmethod, staticmethod), lambda made, name: type(made)(*self._parts(made, "__func__"))),
            ((functools.partial, functools.partialmethod), self._partial),
            (functools.cached_property, self._cached_property),
            (functools.singledispatchmethod, self._single_dispatch_method),
            (type(functools.lru_cache(len)), self._cache),
            (enum.Enum, self.classes.member),
            (tuple, self._tuple),
            ((set, frozenset), self._set),
            (tuple(CONTAINERS), self._container),
            (types.MappingProxyType, lambda made, name: types.MappingProxyType(self.value(dict(made), name))),
            (object, self._instance),
        )

    def finish(self) -> None:
        """Fill in everything that was made, and what that needs."""
        while self._queue:
            self._queue.popleft()()
        self.classes.seal()

    def value(self, thing: Any, name: str) -> Any:
        """What linked code has in place of a thing; the thing itself when it is the same everywhere.

        Args:
            thing: anything that code can reach.
            name: what the author calls it, for messages.
        """
        if type(thing) in CONSTANT_TYPES and type(thing) not in (tuple, frozenset):
            return thing
        if id(thing) in self._made:
            return self._made[id(thing)]
        stand_in = substitute_for(thing)
        if stand_in is not thing:
            return stand_in
        for kinds, make in self._makers:
            if isinstance(thing, kinds):
                return self._note(thing, make(thing, name))
        raise AssertionError("everything is an object")

    def is_written(self, function: Any) -> bool:
        """Whether the author wrote a function, and no library or decorator."""
        return self._located(function) is not None

    # --- functions -----------------------------------------------------------------------------------------------

    def _located(self, function: Any) -> Located | None:
        if not isinstance(function, types.FunctionType) or library_of(_module_of(function)):
            return None
        try:
            return self._sources.function(function)
        except SourceError:
            return None  # generated: the identity of the code has refused what has no source and should have one

    def _function(self, function: types.FunctionType, name: str) -> Any:
        if hasattr(function, "registry") and hasattr(function, "dispatch"):
            return self._single_dispatch(function, name)
        located = self._located(function)
        if located is None:
            return self._wrapper(function, name)
        namespace = self._namespace(function.__globals__)
        made = self._remade(function, self._rewriter.code(located.text, located.node, function.__code__), namespace)
        assigned = assigned_globals(function.__code__)
        if assigned:
            raise DeterminismError(
                f"{function.__qualname__} assigns to the global {assigned[0]}, which no snapshot holds and no other "
                f"replica sees: keep it on the model, for example self.{assigned[0].lower()}"
            )

        def fill() -> None:
            for mentioned in located.text.mentions(located.node).names:
                if mentioned in function.__globals__ and mentioned not in namespace:
                    namespace[mentioned] = self.value(function.__globals__[mentioned], mentioned)
            for found in located.text.mentions(located.node).imports:
                self._import_now(found, function.__globals__.get("__package__") or "")

        self._queue.append(fill)
        return made

    def _wrapper(self, function: types.FunctionType, name: str) -> Any:
        """A library's or a generated function: made again only if it has the author's code inside."""
        cells = function.__closure__ or ()
        inside = [*cells, function.__dict__.get("__wrapped__"), *(function.__defaults__ or ())]
        if all(self._is_same(thing, name) for thing in inside):
            return function
        return self._remade(function, function.__code__, function.__globals__)

    def _is_same(self, thing: Any, name: str) -> bool:
        if isinstance(thing, types.CellType):
            return not is_filled(thing) or self._is_same(thing.cell_contents, name)
        return self.value(thing, name) is thing

    def _remade(self, function: types.FunctionType, code: types.CodeType, namespace: dict[str, Any]) -> Any:
        closure = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        name = function.__qualname__
        cells = tuple(self.value(closure[free], free) for free in code.co_freevars)
        made = types.FunctionType(code, namespace, function.__name__, None, cells)
        self._note(function, made)
        made.__module__, made.__qualname__, made.__doc__ = function.__module__, name, function.__doc__
        annotations = "__annotate__" if hasattr(function, "__annotate__") else "__annotations__"
        setattr(made, annotations, getattr(function, annotations))

        def fill() -> None:
            # Not through `value`: these two belong to the function, and nobody else has them.
            made.__defaults__ = function.__defaults__ and tuple(
                self.value(default, f"a default of {name}") for default in function.__defaults__
            )
            made.__kwdefaults__ = function.__kwdefaults__ and {
                key: self.value(default, f"the default {key} of {name}")
                for key, default in function.__kwdefaults__.items()
            }
            made.__dict__.update({key: self.value(held, f"{name}.{key}") for key, held in vars(function).items()})

        self._queue.append(fill)
        return made

    def _cell(self, cell: types.CellType, name: str) -> types.CellType:
        made = types.CellType()

        def fill() -> None:
            if is_filled(cell):
                made.cell_contents = self.value(cell.cell_contents, name)

        self._queue.append(fill)
        return made

    def _single_dispatch(self, function: Any, name: str) -> Any:
        made = functools.singledispatch(self.value(function.registry[object], name))
        for kind, handler in function.registry.items():
            made.register(self.value(kind, name), self.value(handler, name))
        return made

    def _single_dispatch_method(self, method: Any, name: str) -> Any:
        made = functools.singledispatchmethod(self.value(method.func, name))
        made.dispatcher = self.value(method.dispatcher, name)
        return made

    def _property(self, made: property, name: str) -> property:
        fget, fset, fdel = self._parts(made, "fget", "fset", "fdel")
        return property(fget, fset, fdel, made.__doc__)

    def _cached_property(self, made: Any, name: str) -> Any:
        remade = functools.cached_property(self.value(made.func, name))
        remade.__set_name__(object, made.attrname or name.rpartition(".")[2])
        return remade

    def _cache(self, cache: Any, name: str) -> Any:
        parameters = cache.cache_parameters()
        return functools.lru_cache(parameters["maxsize"], parameters["typed"])(self.value(cache.__wrapped__, name))

    def _partial(self, made: Any, name: str) -> Any:
        args, keywords = [self.value(arg, name) for arg in made.args], made.keywords
        return type(made)(self.value(made.func, name), *args, **{k: self.value(v, name) for k, v in keywords.items()})

    def _parts(self, thing: Any, *names: str) -> list[Any]:
        return [self.value(getattr(thing, part), part) for part in names]

    # --- values --------------------------------------------------------------------------------------------------

    def _tuple(self, value: tuple[Any, ...], name: str) -> Any:
        parts = [self.value(part, f"{name}[{place}]") for place, part in enumerate(value)]
        kind = self.value(type(value), name)
        if kind is type(value) and all(part is old for part, old in zip(parts, value, strict=True)):
            return value
        return tuple.__new__(kind, parts)

    def _set(self, value: Any, name: str) -> Any:
        # In a fixed order first; then what the elements stand for.
        elements = [self.value(element, name) for element in OrderedSet(value)]
        if isinstance(value, frozenset):
            return BUILTINS["frozenset"](elements)
        return constant(OrderedSet, (elements,), name)

    def _container(self, value: Any, name: str) -> Any:
        kind = type(value)
        if kind not in CONTAINERS:
            return value
        if kind is bytearray:
            return constant(kind, (value,), name)
        if isinstance(value, dict):
            content: Any = {self.value(k, name): self.value(v, f"{name}[{k!r}]") for k, v in value.items()}
        else:
            content = [self.value(part, f"{name}[{place}]") for place, part in enumerate(value)]
        if kind is collections.defaultdict:
            return constant(kind, (self.value(value.default_factory, name), content), name)
        return constant(kind, (content, value.maxlen) if kind is collections.deque else (content,), name)

    def _instance(self, thing: Any, name: str) -> Any:
        """An instance of the author's class: a frozen dataclass or a descriptor, else it would have been refused."""
        kind = type(thing)
        made_kind = kind if library_of(kind.__module__) else self.value(kind, name)
        if made_kind is kind:
            return thing
        made = self._note(thing, object.__new__(made_kind))
        held = dict(getattr(thing, "__dict__", {}))
        if dataclasses.is_dataclass(thing):
            held |= {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing)}
        for attribute, value in held.items():
            object.__setattr__(made, attribute, self.value(value, f"{name}.{attribute}"))
        return made

    # --- namespaces ----------------------------------------------------------------------------------------------

    def _module(self, module: types.ModuleType, name: str) -> types.ModuleType:
        """The author's own module, when it is mentioned as a whole; a library's is the same for everybody."""
        if library_of(module.__name__):
            return module
        made = types.ModuleType(module.__name__, module.__doc__)
        plain = ("__file__", "__package__", "__path__")
        made.__dict__.update({key: vars(module)[key] for key in plain if key in vars(module)})

        def fill() -> None:
            for key, value in list(vars(module).items()):
                if not key.startswith("__"):
                    made.__dict__[key] = self.value(value, f"{module.__name__}.{key}")

        self._queue.append(fill)
        return made

    def _import(self, name: str, *details: Any, **keywords: Any) -> Any:
        """What `import` inside a function gives: the author's own modules linked, like those imported above it."""
        module = BUILTINS["__import__"](name, *details, **keywords)
        linked = self.value(module, name)
        self.finish()
        return linked

    def _import_now(self, found: Import, package: str) -> None:
        """Link what a function is going to import, if it is there, so that it is frozen like everything else."""
        name = resolve_name("." * found.level + found.module, package) if found.level and package else found.module
        for full_name in (name, f"{name}.{found.name}"):
            if full_name in sys.modules:
                self.value(sys.modules[full_name], full_name)

    def _namespace(self, original: dict[str, Any]) -> dict[str, Any]:
        if id(original) not in self._namespaces:
            self._alive.append(original)
            names = ("__name__", "__package__", "__spec__")
            own = {name: original[name] for name in names if name in original}
            self._namespaces[id(original)] = {"__builtins__": self._builtins, **own}
        return self._namespaces[id(original)]

    def _note(self, thing: Any, made: Any) -> Any:
        self._alive += (thing, made)
        self._made[id(thing)] = self._made[id(made)] = made
        return made


def _module_of(function: types.FunctionType) -> str:
    module: str = function.__globals__.get("__name__", MAIN_MODULES[0])
    return module
