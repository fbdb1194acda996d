"""The walk over everything the code of a model can reach.

Everything the root model can reach is walked, as live objects: base classes, methods, the helpers, constants and
modules that methods mention, and what these mention in turn. Each piece becomes a `Record`; the hash is over their
texts. Live objects, because only they know what a name meant when a default was evaluated or a base class was bound;
texts of syntax trees, because bytecode differs between Python versions and source differs by comments.

* A function is its syntax tree, its defaults and closure by value, and what the names it uses at run time refer to.
* A class is its statement without the definitions in it, its bases, and what its namespace holds now.
* A module of the user that is mentioned whole is its syntax tree and its imports.
* The standard library enters by name, an installed package by name and version, `msq_jupyter` by protocol version.
* A constant is its value. Anything else that lives outside the model is refused: it would not be replicated.

No file name, process id, hash seed, unrelated global or order of definition leaves a trace.
"""

from __future__ import annotations

import ast
import builtins
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import re
import sys
import types
import typing
import zoneinfo
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.util import resolve_name
from typing import Any

from msq_jupyter.errors import CodeIdentityError
from msq_jupyter.runtime.canonical_ast import CONSTANT_TYPES, Import, Mentions, constant_text, imports_in
from msq_jupyter.runtime.sources import (
    MAIN_MODULES,
    OWN_PACKAGE,
    OWN_VERSION,
    Located,
    SourceError,
    Sources,
    SourceText,
    functions_of,
    is_filled,
    library_of,
    line_range,
    module_file,
)
from msq_jupyter.runtime.value_types import is_value_type


@dataclass(frozen=True)
class Record:
    """One reachable piece of code.

    `kind` is "class", "function", "module", "value" (a constant), "package", "root" or "stale" (an older class still
    in use). `name` is for people and unique within its kind: "Counter.vote", "helpers.clamp", "SPEED". `text` is what
    enters the hash; for "stale" it is a sentence, for "package" the version.
    """

    kind: str
    name: str
    text: str


# --- what things are made of -------------------------------------------------------------------------------------

#: The parts of a thing that make it what it is, by its exact type.
_PARTS: dict[type, Callable[[Any], Iterable[Any]]] = {
    tuple: iter,
    list: iter,
    bytearray: lambda thing: [bytes(thing)],
    range: lambda thing: (thing.start, thing.stop, thing.step),
    slice: lambda thing: (thing.start, thing.stop, thing.step),
    decimal.Decimal: lambda thing: [str(thing)],
    fractions.Fraction: lambda thing: (thing.numerator, thing.denominator),
    datetime.date: lambda thing: [thing.isoformat()],
    datetime.time: lambda thing: (thing.isoformat(), thing.fold, thing.tzinfo),
    datetime.datetime: lambda thing: (thing.isoformat(), thing.fold, thing.tzinfo),
    datetime.timedelta: lambda thing: (thing.days, thing.seconds, thing.microseconds),
    datetime.timezone: lambda thing: (thing.utcoffset(None), thing.tzname(None)),
    zoneinfo.ZoneInfo: lambda thing: [thing.key],
    re.Pattern: lambda thing: (thing.pattern, int(thing.flags)),
    collections.deque: lambda thing: (list(thing), thing.maxlen),
    collections.OrderedDict: lambda thing: [dict(thing)],
    collections.Counter: lambda thing: [dict(thing)],
    collections.defaultdict: lambda thing: (thing.default_factory, dict(thing)),
    types.MappingProxyType: lambda thing: [dict(thing)],
    property: lambda thing: (thing.fget, thing.fset, thing.fdel),
    classmethod: lambda thing: [thing.__func__],
    staticmethod: lambda thing: [thing.__func__],
    functools.partial: lambda thing: (thing.func, thing.args, thing.keywords),
    functools.partialmethod: lambda thing: (thing.func, thing.args, thing.keywords),
    functools.cached_property: lambda thing: [thing.func],
    functools.singledispatchmethod: lambda thing: (thing.func, dict(thing.dispatcher.registry)),
    type(functools.lru_cache(len)): lambda thing: (thing.__wrapped__, thing.cache_parameters()),
}
_ALIASES = (types.GenericAlias, types.UnionType, type(typing.List[int]))  # noqa: UP006
_DESCRIPTORS = (
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
)
#: Names every module has, and the cell of zero-argument `super`.
_MODULE_NAMES = frozenset(
    {
        *("__name__", "__file__", "__doc__", "__package__", "__spec__", "__loader__", "__builtins__", "__cached__"),
        *("__path__", "__debug__", "__class__", "__module__", "__qualname__"),
    }
)
#: What ABC and Protocol leave in a class.
_CLASS_PLUMBING = frozenset({"_abc_impl", "_is_protocol", "_is_runtime_protocol"})
_PLATFORM_NAMES = {"posixpath": "os.path", "ntpath": "os.path"}


class Walk:
    """One walk from a root. A reference puts what it refers to into a queue, so nothing recurses but data."""

    def __init__(self, model_base: type, *, docstrings: bool) -> None:
        self.records: list[Record] = []
        self.models: dict[str, type] = {}
        self.value_types: dict[str, type] = {}
        self.segments: list[str] = []
        self._model_base = model_base
        self._docstrings = docstrings
        self._sources = Sources()
        self._queue: collections.deque[Callable[[], None]] = collections.deque()
        self._labels: dict[Any, str] = {}
        self._names: collections.Counter[tuple[str, str]] = collections.Counter()
        self._alive: list[Any] = []  # Keys hold ids, which must not be used again.
        self._open: set[int] = set()  # containers being written
        self._shown: dict[SourceText, list[tuple[int, int]]] = {}
        self._handlers: tuple[tuple[Any, Callable[[Any, str], str]], ...] = (
            (_ALIASES, self._alias),
            (type, self._class),
            (types.FunctionType, self._function),
            (types.ModuleType, lambda thing, path: self._module(thing.__name__, path)),
            ((types.BuiltinFunctionType, types.MethodType), self._bound),
            (_DESCRIPTORS, lambda thing, path: f"{self.reference(thing.__objclass__, path)}.{thing.__name__}"),
            (enum.Flag, lambda thing, path: f"{self.reference(type(thing), path)}({thing.value})"),
            (enum.Enum, lambda thing, path: f"{self.reference(type(thing), path)}.{thing.name}"),
        )

    def run(self, root: type) -> None:
        """Fill `records`, `models`, `value_types` and `segments`."""
        self._add("package", OWN_PACKAGE, OWN_VERSION)
        self._add("root", "model", self.reference(root, root.__qualname__))
        while self._queue:
            self._queue.popleft()()

    # --- references ----------------------------------------------------------------------------------------------

    def reference(self, thing: Any, path: str) -> str:
        """The text that stands for a thing: the value of a constant, the label of what has a record of its own."""
        if thing is self._model_base:
            return f"{OWN_PACKAGE}.Model"
        kind = type(thing)
        if _is_container(thing):
            return self._container(thing, path)
        if kind in CONSTANT_TYPES:
            return constant_text(thing)
        for kinds, handler in self._handlers:
            if isinstance(thing, kinds):
                return handler(thing, path)
        return self._instance(thing, path)

    def _container(self, thing: Any, path: str) -> str:
        if id(thing) in self._open:
            raise CodeIdentityError(f"{path} contains itself: make it in a method of the model instead")
        self._open.add(id(thing))
        parts = _PARTS.get(type(thing))
        if parts:
            inside = [self.reference(part, f"{path}[{n}]") for n, part in enumerate(parts(thing))]
        elif isinstance(thing, dict):
            inside = [f"{self.reference(k, path)}:{self.reference(v, f'{path}[{k!r}]')}" for k, v in thing.items()]
        else:
            inside = sorted(self.reference(element, path) for element in thing)
        self._open.discard(id(thing))
        return f"{type(thing).__name__}({','.join(inside)})"

    def _alias(self, thing: Any, path: str) -> str:
        """`list[int]`, `int | None`: the union of old and new spelling has two types up to Python 3.13."""
        origin = typing.get_origin(thing)
        name = "Union" if origin in (typing.Union, types.UnionType) else self.reference(origin, path)
        return f"{name}[{','.join(self.reference(argument, path) for argument in typing.get_args(thing))}]"

    def _bound(self, thing: Any, path: str) -> str:
        """A builtin or bound method. `random.randint` is a method of an object that its module hides."""
        owner = thing.__self__
        if owner is None or isinstance(owner, types.ModuleType):
            return self._library(thing.__module__ or "builtins", thing.__qualname__)
        module = type(owner).__module__
        if library_of(module) and getattr(sys.modules.get(module), thing.__name__, None) == thing:
            return self._library(module, thing.__name__)
        return f"{self.reference(owner, path)}.{thing.__name__}"

    def _instance(self, thing: Any, path: str) -> str:
        kind = type(thing)
        name, module = getattr(thing, "__name__", None), getattr(thing, "__module__", None) or kind.__module__
        if isinstance(name, str) and library_of(module) and getattr(sys.modules.get(module), name, None) is thing:
            # numpy.sin is no function but an object, with the name under which its package offers it.
            return self._library(module, name)
        if name and kind.__module__ in ("typing", "_typing"):
            meaning = getattr(thing, "__supertype__", None) or getattr(thing, "__value__", None)
            return f"typing.{kind.__name__} {name}={self.reference(meaning, path)}"
        if isinstance(thing, tuple) and hasattr(kind, "_fields"):
            return f"{self.reference(kind, path)}{self.reference(tuple(thing), path)}"
        parameters = getattr(kind, "__dataclass_params__", None)
        if parameters and parameters.frozen:
            values = {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing)}
            return f"{self.reference(kind, path)}{self.reference(values, path)}"
        if hasattr(kind, "__get__") and hasattr(thing, "__dict__") and not library_of(kind.__module__):
            return f"{self.reference(kind, path)}{self.reference(vars(thing), path)}"
        raise CodeIdentityError(
            f"{path} is a live {kind.__qualname__} outside the model, so it is not replicated: create it in a method "
            "of the model, pass what it is made from with options=, or use a plain constant"
        )

    def _library(self, module: str, name: str) -> str:
        """The text for a name of a library; the version of an installed one becomes a record."""
        library = library_of(module)
        if library and library.version:
            key = ("package", library.package)
            if not self._names[key]:
                self._add(*key, library.version)
        else:
            # Where the standard library keeps things inside differs by version and platform.
            first, *rest = _PLATFORM_NAMES.get(module, module).split(".")
            module = ".".join([first.lstrip("_"), *(part for part in rest if not part.startswith("_"))])
        return f"{module}.{name}" if name else f"module {module}"

    # --- records -------------------------------------------------------------------------------------------------

    def _add(self, kind: str, name: str, text: str) -> None:
        self._names[kind, name] += 1
        self.records.append(Record(kind, name, text))

    def _label(self, key: Any, kind: str, name: str, write: Callable[[str], str]) -> str:
        """The label of what is known under a key. What is new gets a unique name and is written when its turn comes."""
        if key not in self._labels:
            self._names[kind, name] += 1
            count = self._names[kind, name]
            unique = name if count == 1 else f"{name}~{count}"
            self._labels[key] = f"{kind} {unique}"
            place = len(self.records)
            self.records.append(Record(kind, unique, ""))

            def fill() -> None:
                self.records[place] = Record(kind, unique, write(unique))

            self._queue.append(fill)
        return self._labels[key]

    def _show(self, text: SourceText, node: Any) -> None:
        """Add a definition to the source for people, unless it is part of one that is there."""
        first, last = line_range(node) if hasattr(node, "lineno") else (1, len(text.lines))
        shown = self._shown.setdefault(text, [])
        if not any(start <= first and last <= end for start, end in shown):
            shown.append((first, last))
            self.segments.append(text.segment(node))

    # --- functions -----------------------------------------------------------------------------------------------

    def _function(self, function: types.FunctionType, path: str) -> str:
        module = function.__globals__.get("__name__", "__main__")
        if library_of(module):
            return self._library_function(function, module, path)
        if function in self._labels:
            return self._labels[function]
        try:
            located = self._sources.function(function)
        except SourceError as error:
            raise CodeIdentityError(f"{path}: the function {function.__qualname__} {error}") from None
        name = _full_name(module, function.__qualname__)
        self._labels[function] = self._label(
            self._function_key(function, located),
            "function",
            name,
            lambda _: self._function_text(function, located, path),
        )
        return self._labels[function]

    def _library_function(self, function: types.FunctionType, module: str, path: str) -> str:
        """A function of a library by name, with the user's functions that it wraps."""
        inside = [cell.cell_contents for cell in function.__closure__ or () if is_filled(cell)]
        inside += [getattr(function, "__wrapped__", None), *dict(getattr(function, "registry", {})).values()]
        users = [thing for thing in inside if isinstance(thing, types.FunctionType) and thing is not function]
        texts = [self.reference(thing, path) for thing in users if not library_of(thing.__globals__["__name__"])]
        return f"{self._library(module, function.__code__.co_name)}({','.join(dict.fromkeys(texts))})"

    def _function_key(self, function: types.FunctionType, located: Located) -> Any:
        """Functions with equal keys are one: those of a cell that ran again unchanged, while an old one is in use."""
        self._alive.append(function)
        if function.__closure__ or hasattr(function, "__wrapped__"):
            return id(function)
        try:
            defaults = constant_text((function.__defaults__, *(function.__kwdefaults__ or {}).items()))
        except TypeError:
            return id(function)
        text = located.text.canonical(located.node, self._docstrings)
        return function.__qualname__, id(function.__globals__), text, defaults

    def _function_text(self, function: types.FunctionType, located: Located, path: str) -> str:
        text, node = located
        self._show(text, node)
        lines = [text.canonical(node, self._docstrings)]
        for which in ("__defaults__", "__kwdefaults__", "__wrapped__"):
            value = getattr(function, which, None)
            if value:
                lines.append(f"{which} {self.reference(value, f'{path} {which}')}")
        mentions = text.mentions(node)
        lines += self._names_text(function, mentions, path)
        package = function.__globals__.get("__package__") or ""
        lines += self._imports_text(mentions.imports, package, path)
        return "\n".join(lines)

    def _names_text(self, function: types.FunctionType, mentions: Mentions, path: str) -> list[str]:
        closure = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        lines: list[str] = []
        for name in sorted(mentions.names - _MODULE_NAMES):
            there = f"{path} -> {name}"
            if name in closure:
                cell = closure[name]
                lines.append(f"{name} is {self.reference(cell.cell_contents, there) if is_filled(cell) else 'unset'}")
            elif name in function.__globals__:
                lines.append(f"{name} is {self._global(function.__globals__, name, there)}")
                lines += self._submodules_text(function.__globals__[name], name, mentions, path)
            elif not hasattr(builtins, name):
                lines.append(f"{name} is not defined")
        return lines

    def _global(self, namespace: dict[str, Any], name: str, path: str) -> str:
        """What a global refers to. Constants have records, so that a difference can name them."""
        thing = namespace[name]
        if not _is_container(thing) and type(thing) not in CONSTANT_TYPES:
            return self.reference(thing, path)
        self._alive.append(namespace)
        full_name = _full_name(namespace.get("__name__", "__main__"), name)
        key = (id(namespace), name)
        return self._label(key, "value", full_name, lambda _: self.reference(thing, path))

    # --- modules -------------------------------------------------------------------------------------------------

    def _submodules_text(self, thing: Any, name: str, mentions: Mentions, path: str) -> list[str]:
        """The modules a function reaches as attributes of a user's package, such as `package.module.function`."""
        lines: list[str] = []
        for chain in sorted(mentions.paths):
            first, *attributes = chain.split(".")
            reached = thing if first == name else None
            for attribute in attributes:
                if not isinstance(reached, types.ModuleType) or library_of(reached.__name__):
                    break
                reached = getattr(reached, attribute, None)
                if isinstance(reached, types.ModuleType):
                    lines.append(f"{chain} by {self.reference(reached, f'{path} -> {chain}')}")
        return lines

    def _imports_text(self, imports: Iterable[Import], package: str, path: str) -> list[str]:
        names: set[str] = set()
        for module, name, level in imports:
            try:
                base = resolve_name("." * level + module, package) if level and package else module
            except ImportError:
                continue  # more dots than packages: fails wherever it runs, and leads to no code
            names.add(base)
            if name and not library_of(base) and module_file(f"{base}.{name}") is not None:
                names.add(f"{base}.{name}")
            parents = base.split(".")
            names.update(".".join(parents[:n]) for n in range(1, len(parents)) if not library_of(base))
        return [f"imports {self._module(name, f'{path} -> {name}')}" for name in sorted(names)]

    def _module(self, name: str, path: str) -> str:
        if name in MAIN_MODULES:
            raise CodeIdentityError(f"{path} is the whole notebook: use the names of it that are needed, directly")
        if library_of(name):
            return self._library(name, "")
        file = module_file(name)
        if file is None:
            return f"module {name}, which is not found"
        return self._label(("module", name), "module", name, lambda _: self._module_text(name, file, path))

    def _module_text(self, name: str, file: str, path: str) -> str:
        if not file and hasattr(sys.modules.get(name), "__path__"):
            return "a package without code"
        loaded = sys.modules.get(name)
        try:
            text = self._sources.file(file)
            for thing in list(vars(loaded).values()) if loaded else []:
                own = [thing] if isinstance(thing, types.FunctionType) else []
                if isinstance(thing, type) and thing.__module__ == name:
                    self._add_to_tables(thing)
                    own = list(functions_of(thing))
                for function in own:
                    if function.__code__.co_filename == file:
                        text.definition(function.__code__)
        except SourceError as error:
            raise CodeIdentityError(f"{path}: the module {name} {error}") from None
        self._show(text, text.tree)
        package = name if hasattr(loaded, "__path__") or file.endswith("__init__.py") else name.rpartition(".")[0]
        imports = self._imports_text(imports_in(text.tree), package, path)
        return "\n".join([text.canonical(text.tree, self._docstrings), *imports])

    # --- classes -------------------------------------------------------------------------------------------------

    def _class(self, made: type, path: str) -> str:
        if library_of(made.__module__) and not _is_made_by_call(made):
            self._add_library_models(made)
            return self._library(made.__module__, made.__qualname__)
        name = _full_name(made.__module__, made.__qualname__)
        self._alive.append(made)
        if id(made) not in self._labels:
            self._label(id(made), "class", name, lambda unique: self._class_text(made, unique, path))
            self._add_to_tables(made)
        return self._labels[id(made)]

    def _class_text(self, made: type, name: str, path: str) -> str:
        lines = [f"base {self.reference(base, f'{path} base {base.__name__}')}" for base in made.__bases__]
        if not library_of(type(made).__module__):
            lines.append(f"metaclass {self.reference(type(made), f'{path} metaclass')}")
        facts = _generated_facts(made)
        lines += [f"{what} {self.reference(value, f'{path} {what}')}" for what, value in facts.items()]
        bound: set[str] = set()
        try:
            text, node = self._sources.made_class(made)
        except SourceError as error:
            if not {"fields", "members"} & facts.keys():
                raise CodeIdentityError(f"{path}: the class {made.__qualname__} {error}") from None
        else:
            self._show(text, node)
            lines.append(text.canonical(node, self._docstrings))
            bound = text.bound(node)
        own = self._own_attributes(made, bound, facts)
        lines += [f"{key} is {self.reference(own[key], f'{path}.{key}')}" for key in sorted(own)]
        if self._is_stale(made):
            newer = f"{path} is an older {made.__qualname__} than the one defined now"
            self._add("stale", name, f"{newer}: run the cell that uses it again")
        return "\n".join(lines)

    def _is_stale(self, made: type) -> bool:
        """Whether the name of a class now means another one, which does not build on it and says something else.

        A cell that ran again unchanged makes another class that says the same: nobody has to do anything about it.
        """
        current: Any = sys.modules.get(made.__module__)
        for part in made.__qualname__.split("."):
            current = getattr(current, part, None)
        # Not issubclass: some metaclasses refuse to answer.
        if not isinstance(current, type) or current.__qualname__ != made.__qualname__ or made in current.__mro__:
            return False
        try:
            statements = [ast.dump(self._sources.made_class(one)[1]) for one in (made, current)]
        except SourceError:
            return True
        return statements[0] != statements[1]

    def _own_attributes(self, made: type, bound: set[str], facts: Mapping[str, Any]) -> dict[str, Any]:
        """What a class statement, or an assignment since, put into the class; not what Python and decorators did.

        What they generate differs between Python versions, and follows from the statement, which is recorded.
        """
        elsewhere = {*facts.get("fields", ()), *facts.get("members", ()), *_CLASS_PLUMBING, "__doc__"}
        generated = bool({"fields", "members"} & facts.keys())
        own: dict[str, Any] = {}
        for name, value in vars(made).items():
            if name in elsewhere or isinstance(value, (types.GetSetDescriptorType, types.MemberDescriptorType)):
                continue
            if name in bound:
                keep = True
            elif name.startswith("__") and name.endswith("__"):
                keep = self._is_written(value)
            else:
                keep = not (generated and name.startswith("_"))
            if keep:
                own[name] = value
        return own

    def _is_written(self, value: Any) -> bool:
        """Whether a value is a function that the user wrote."""
        if not isinstance(value, types.FunctionType) or library_of(value.__globals__.get("__name__", "__main__")):
            return False
        try:
            self._sources.function(value)
        except SourceError:
            return False
        return True

    def _add_to_tables(self, made: type) -> None:
        if self._model_base in made.__mro__:
            self._add_model(made)
        elif is_value_type(made):
            _add_named(self.value_types, made)

    def _add_model(self, made: type) -> None:
        if made is not self._model_base:
            _add_named(self.models, made)

    def _add_library_models(self, made: type) -> None:
        """All models of a library of which one is used: its code is not walked, so any may be."""
        if self._model_base not in made.__mro__:
            return
        top = made.__module__.partition(".")[0]
        family: list[type] = [self._model_base]
        for parent in family:
            children: list[type] = parent.__subclasses__()
            family += [child for child in children if child not in family]
        mates = (m for m in family if m.__module__.partition(".")[0] == top and library_of(m.__module__))
        for model in sorted(mates, key=lambda model: _full_name(model.__module__, model.__qualname__)):
            self._add_model(model)


def _full_name(module: str, name: str) -> str:
    return name if module in MAIN_MODULES else f"{module}.{name}"


def _add_named(table: dict[str, type], made: type) -> None:
    if any(made is known for known in table.values()):
        return
    name = unique = _full_name(made.__module__, made.__qualname__)
    count = 1
    while unique in table:
        count += 1
        unique = f"{name}~{count}"
    table[unique] = made


def _is_made_by_call(made: type) -> bool:
    """Whether a class says that it is of `types`, as what `new_class` makes does, and before 3.12 `make_dataclass`."""
    return made.__module__ == "types" and getattr(types, made.__qualname__, None) is not made


def _is_container(thing: Any) -> bool:
    return type(thing) in _PARTS or type(thing) in (dict, set, frozenset)


def _generated_facts(made: type) -> dict[str, Any]:
    """What makes up an enum, a named tuple or a dataclass besides its namespace."""
    own = vars(made)
    if issubclass(made, enum.Enum):
        return {"members": {name: member.value for name, member in made.__members__.items()}}
    if issubclass(made, tuple) and "_fields" in own:
        return {"fields": own["_fields"], "defaults": own["_field_defaults"]}
    if "__dataclass_params__" in own:
        flags = ("init", "repr", "eq", "order", "unsafe_hash", "frozen")
        fields = own["__dataclass_fields__"].values()
        defaults = {field.name: field.default for field in fields}
        factories = {field.name: field.default_factory for field in fields}
        return {
            "flags": [flag for flag in flags if getattr(own["__dataclass_params__"], flag)],
            "defaults": {name: value for name, value in defaults.items() if value is not dataclasses.MISSING},
            "factories": {name: value for name, value in factories.items() if value is not dataclasses.MISSING},
        }
    return {}
