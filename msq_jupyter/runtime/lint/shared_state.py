"""MSQ30x: state that is not on a model, or does not belong to one model alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from msq_jupyter.runtime.lint.classes import ClassInfo, Site
from msq_jupyter.runtime.lint.finding import ERROR, WARNING
from msq_jupyter.runtime.lint.names import root_of
from msq_jupyter.runtime.lint.rule import Hit, Rule, handler, model, text_of

MUTABLE_DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
MUTABLE_TYPES = frozenset(
    {
        *("builtins.list", "builtins.dict", "builtins.set", "builtins.bytearray", "collections.defaultdict"),
        *("collections.deque", "collections.Counter", "collections.OrderedDict"),
    }
)
_LIVE_MUTABLES = (list, dict, set, bytearray)
#: Methods that change what they are called on.
_CHANGING = frozenset(
    {
        *("append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse", "add", "discard", "update"),
        *("setdefault", "popitem", "appendleft", "popleft", "extendleft", "rotate", "difference_update"),
        *("intersection_update", "symmetric_difference_update", "subtract", "move_to_end"),
    }
)
#: Functions that change their first argument.
_CHANGING_FUNCTIONS = frozenset(
    {"heapq.heappush", "heapq.heappop", "heapq.heapify", "bisect.insort", "bisect.insort_left", "random.shuffle"}
)


def is_mutable(value: ast.AST | None, site: Site) -> bool:
    """Whether an expression makes a container that can change."""
    return isinstance(value, MUTABLE_DISPLAYS) or (
        isinstance(value, ast.Call) and site.names.qualified(value.func) in MUTABLE_TYPES
    )


def changed_by(node: ast.AST, site: Site) -> Iterator[tuple[ast.AST, bool]]:
    """What a node changes, and whether by a method or function, which may be no change at all."""
    if isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
        yield node.value, False
    elif isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGING:
            yield node.func.value, True
        elif node.args and site.names.qualified(node.func) in _CHANGING_FUNCTIONS:
            yield node.args[0], True


def _global_statement(node: ast.AST, site: Site) -> Iterator[Hit]:
    assert isinstance(node, ast.Global)
    yield node, ", ".join(node.names)


def _nonlocal_statement(node: ast.AST, site: Site) -> Iterator[Hit]:
    """A function inside a handler may change the handler's own variables."""
    assert isinstance(node, ast.Nonlocal)
    for name in node.names:
        found = site.names.bound(name, site.names.scope_of(node))
        asked: ast.AST | None = found[0].node if found else None
        while asked is not None and asked is not site.node:
            asked = site.names.parents.get(asked)
        if asked is None:
            yield node, name


def _changed_global(node: ast.AST, site: Site) -> Iterator[Hit]:
    for thing, is_call in changed_by(node, site):
        root = root_of(thing)
        if not isinstance(root, ast.Name) or not site.names.is_global(root) or site.classes.of(root):
            continue
        if _is_container(root, site) if is_call else not _is_class_or_function(root, site):
            yield node, text_of(thing)


def _is_container(root: ast.Name, site: Site) -> bool:
    """Whether a global is surely something that `append` and the like change: `np.append` is a function."""
    found = site.names.bound(root.id, site.names.scope_of(root))
    live = site.names.live(root)
    if found is None:
        return isinstance(live, _LIVE_MUTABLES) if live is not None else root.id.isupper()
    binder = found[1][-1]
    if isinstance(binder, ast.alias):
        return root.id.isupper() and isinstance(site.names.parents[binder], ast.ImportFrom)
    return is_mutable(site.names.value(root), site)


def _is_class_or_function(root: ast.Name, site: Site) -> bool:
    return site.names.definition(root) is not None or isinstance(site.names.live(root), type)


def _class_of(node: ast.AST, site: Site) -> ClassInfo | None:
    """The class that an expression means: by name, `type(self)`, `self.__class__`, or `cls` in a class method."""
    if isinstance(node, ast.Call) and site.names.qualified(node.func) == "builtins.type" and len(node.args) == 1:
        return site.owner if _is_self(node.args[0], site) else None
    if isinstance(node, ast.Attribute) and node.attr == "__class__":
        return site.owner if _is_self(node.value, site) else None
    if isinstance(node, ast.Name) and isinstance(site.node, ast.FunctionDef) and site.self_name is None:
        first = next(iter(site.node.args.args), None)
        is_class_method = any(getattr(d, "id", "") == "classmethod" for d in site.node.decorator_list)
        if is_class_method and first and node.id == first.arg:
            return site.owner
    return site.classes.of(node)


def _is_self(node: ast.AST, site: Site) -> bool:
    return isinstance(node, ast.Name) and node.id == site.self_name


def _changed_class(node: ast.AST, site: Site) -> Iterator[Hit]:
    for thing, _ in changed_by(node, site):
        asked = thing
        while isinstance(asked, (ast.Attribute, ast.Subscript)) and not _class_of(asked, site):
            asked = asked.value
        if _class_of(asked, site) is not None and not (asked is thing and isinstance(node, ast.Call)):
            yield node, text_of(node.func.value if isinstance(node, ast.Call) else node)  # type: ignore[attr-defined]


def _shared_default(node: ast.AST, site: Site) -> Iterator[Hit]:
    """`votes = {}` in the class, unless `init` gives each model its own, or nobody changes it."""
    kind = site.model
    if kind is None or kind.node is not node:
        return
    changed = {name for method in kind.methods.values() for name in _changed_attributes(method, site)}
    for name, value in kind.attributes.items():
        if value is None or not is_mutable(value, site) or kind.stores(name):
            continue
        is_empty = not (getattr(value, "elts", None) or getattr(value, "keys", None) or getattr(value, "args", None))
        if name in changed or (is_empty and not isinstance(value, (ast.ListComp, ast.DictComp, ast.SetComp))):
            yield value, name


def _changed_attributes(method: ast.AST, site: Site) -> Iterator[str]:
    for node in ast.walk(method):
        for thing, _ in changed_by(node, site):
            while isinstance(thing, (ast.Attribute, ast.Subscript)):
                if isinstance(thing, ast.Attribute) and isinstance(thing.value, ast.Name):
                    yield thing.attr
                thing = thing.value


RULES = (
    Rule(
        code="MSQ301",
        name="global-statement",
        severity=ERROR,
        message="global {what} keeps state outside the model",
        remedy="keep it on the model: self.name",
        why="Globals are not in snapshots: whoever joins later starts with another value. Linked code has globals of "
        "its own, so the notebook does not see the change either.",
        bad=handler("global count  # <-", "count = choice", above="count = 0"),
        good=handler("self.count = choice"),
        nodes=(ast.Global,),
        check=_global_statement,
    ),
    Rule(
        code="MSQ302",
        name="changed-global",
        severity=ERROR,
        message="{what} is outside the model, and this changes it",
        remedy="keep it on the model: self.name, set in init",
        why="What lives outside models is not in snapshots: whoever joins later does not have the change.",
        bad=handler("HISTORY.append(choice)  # <-", above="HISTORY = []"),
        good=model(
            "def init(self, options):",
            "    self.history = []",
            "",
            "def vote(self, choice):",
            "    self.history.append(choice)",
        ),
        nodes=(ast.Attribute, ast.Subscript, ast.Call),
        check=_changed_global,
    ),
    Rule(
        code="MSQ303",
        name="shared-class-attribute",
        severity=ERROR,
        message="{what} belongs to the class, so that all models share it and no snapshot holds it",
        remedy="set self.{what} in init, for each model",
        why="A mutable class attribute is one object for all models of the class. It is not state.",
        bad=model("votes = {}  # <-", "", "def vote(self, choice):", "    self.votes[choice] = 1"),
        good=model(
            "def init(self, options):",
            "    self.votes = {}",
            "",
            "def vote(self, choice):",
            "    self.votes[choice] = 1",
        ),
        nodes=(ast.ClassDef,),
        check=_shared_default,
        at_definition=True,
    ),
    Rule(
        code="MSQ304",
        name="changed-class-attribute",
        severity=ERROR,
        message="{what} is on a class, and this changes it for one kernel only",
        remedy='keep it on a model: on the root, self.well_known_model("modelRoot").name',
        why="Attributes of classes are code and not state: they are not in snapshots.",
        bad=model("count = 0", "", "def vote(self, choice):", "    Poll.count += 1  # <-"),
        good=model("count = 0", "", "def vote(self, choice):", "    self.count += 1"),
        nodes=(ast.Attribute, ast.Subscript, ast.Call),
        check=_changed_class,
    ),
    Rule(
        code="MSQ305",
        name="nonlocal-state",
        severity=WARNING,
        message="nonlocal {what} of a function outside the model keeps state that no snapshot holds",
        remedy="keep it on the model: self.name",
        why="As for globals: variables that a function encloses are frozen when the code is linked.",
        bad="from msq_jupyter import Model\n\n\ndef make():\n    count = 0\n\n    class Poll(Model):\n"
        "        def vote(self, choice):\n            nonlocal count  # <-\n            count += 1\n",
        good=handler("self.count += 1"),
        nodes=(ast.Nonlocal,),
        check=_nonlocal_statement,
    ),
)
