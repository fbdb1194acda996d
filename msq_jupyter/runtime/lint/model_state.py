"""MSQ32x: what a model is made of, and what it holds."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from msq_jupyter.runtime.lint.classes import Site
from msq_jupyter.runtime.lint.finding import ERROR, WARNING
from msq_jupyter.runtime.lint.names import FUNCTIONS, root_of
from msq_jupyter.runtime.lint.rule import Hit, Rule, handler, model, text_of

#: Methods that a model class has another way for, and that way.
_NOT_IN_A_MODEL = {
    "__init__": "def init(self, options, persisted=None)",
    "__new__": "def init(self, options, persisted=None)",
    "__del__": "def destroy(self)",
    "__slots__": "nothing, as snapshots hold what is in the model's __dict__",
    "__getattribute__": "methods",
    "__setattr__": "methods that set what belongs together",
    "__getstate__": 'transient = ("name",) for what is no state',
    "__setstate__": 'transient = ("name",) for what is no state',
    "__reduce__": 'transient = ("name",) for what is no state',
}
#: Things of one process, by how they are made. They cannot be in a snapshot.
_LIVE_MAKERS = {
    "an iterator": (
        *(
            "builtins.iter",
            "builtins.map",
            "builtins.filter",
            "builtins.zip",
            "builtins.enumerate",
            "builtins.reversed",
        ),
        *("itertools.count", "itertools.cycle", "itertools.repeat", "itertools.chain", "itertools.accumulate"),
    ),
    "an open file": ("builtins.open", "io.open", "io.StringIO", "io.BytesIO"),
    "a lock": ("threading.Lock", "threading.RLock", "threading.Event", "threading.Condition"),
    "a partial function": ("functools.partial",),
}
_MAKERS = {name: what for what, names in _LIVE_MAKERS.items() for name in names}
_ADDING = frozenset({"append", "add", "insert", "setdefault", "appendleft"})
#: Packages whose objects show something to one person.
_SHOWING = ("ipywidgets.", "anywidget.", "IPython.display.", "matplotlib.", "traitlets.")


def _forbidden_method(node: ast.AST, site: Site) -> Iterator[Hit]:
    if site.model is None or site.model.node is not node:
        return
    for name, instead in _NOT_IN_A_MODEL.items():
        if name in site.model.methods:
            yield site.model.methods[name], f"{name}: write {instead}"
        elif name in site.model.attributes:
            yield site.model.attributes[name] or node, f"{name}: write {instead}"


def _transient_read(node: ast.AST, site: Site) -> Iterator[Hit]:
    assert isinstance(node, ast.Attribute)
    kind = site.model
    if kind is None or not isinstance(node.ctx, ast.Load) or not site.is_own_attribute(node):
        return
    declared = [base.attributes.get("transient") for base in kind.family()]
    names = {
        element.value
        for value in declared
        if isinstance(value, (ast.Tuple, ast.List))
        for element in value.elts
        if isinstance(element, ast.Constant)
    }
    has_default = any(node.attr in base.attributes for base in kind.family())
    if node.attr in names and not has_default and not _is_cared_for(node, site):
        yield node, f"self.{node.attr}"


def _is_cared_for(read: ast.Attribute, site: Site) -> bool:
    """Whether the method asks first if the attribute is there, catches its absence, or sets it before."""
    for node in ast.walk(site.node):
        if isinstance(node, ast.Constant) and node.value == read.attr:
            return True  # hasattr, getattr with a default, vars(self)
        if isinstance(node, ast.ExceptHandler) and node.type and "AttributeError" in ast.unparse(node.type):
            return True
        is_set = isinstance(node, ast.Attribute) and node.attr == read.attr and isinstance(node.ctx, ast.Store)
        if is_set and (node.lineno, node.col_offset) < (read.lineno, read.col_offset):  # type: ignore[attr-defined]
            return True
    return False


def _made_by_hand(node: ast.AST, site: Site) -> Iterator[Hit]:
    assert isinstance(node, ast.Call)
    if isinstance(node.func, (ast.Name, ast.Attribute)) and site.classes.is_model(node.func):
        yield node, text_of(node.func)


def _stores(node: ast.AST, site: Site) -> Iterator[ast.AST]:
    """The values that a statement puts into the model: `self.x = v`, `self.x[k] = v`, `self.x.append(v)`."""
    own = site.self_name
    if own is None or site.model is None:
        return
    targets: list[ast.AST] = []
    value: ast.AST | None = None
    if isinstance(node, ast.Assign):
        targets, value = list(node.targets), node.value
    elif isinstance(node, (ast.AnnAssign, ast.AugAssign)):
        targets, value = [node.target], node.value
    elif (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _ADDING and node.args
    ):
        targets, value = [node.func.value], node.args[-1]
    for target in targets:
        root = root_of(target)
        if value is not None and root is not target and isinstance(root, ast.Name) and root.id == own:
            yield value


def _parts(value: ast.AST) -> Iterator[ast.AST]:
    """A value, and what displays and conditions in it hold."""
    yield value
    inside: list[ast.AST | None] = []
    if isinstance(value, (ast.List, ast.Tuple, ast.Set)):
        inside += value.elts
    elif isinstance(value, ast.Dict):
        inside += value.values
    elif isinstance(value, ast.IfExp):
        inside += [value.body, value.orelse]
    elif isinstance(value, ast.BoolOp):
        inside += value.values
    elif isinstance(value, (ast.ListComp, ast.SetComp)):
        inside.append(value.elt)
    elif isinstance(value, ast.DictComp):
        inside.append(value.value)
    for part in inside:
        if part is not None:
            yield from _parts(part)


def _shown_thing(node: ast.AST, site: Site) -> Iterator[Hit]:
    for value in _stores(node, site):
        for part in _parts(value):
            made = site.names.value(part)
            if isinstance(made, ast.Await):
                made = made.value
            if not isinstance(made, ast.Call):
                continue
            name = site.names.qualified(made.func) or ""
            is_join = name.endswith("Session.join")
            if site.classes.is_view(made.func) or name.startswith(_SHOWING) or is_join:
                yield part, text_of(part)


def _session_mentioned(node: ast.AST, site: Site) -> Iterator[Hit]:
    assert isinstance(node, ast.Name)
    if not isinstance(node.ctx, ast.Load) or not site.names.is_global(node):
        return
    made = site.names.value(node)
    joined = made.value if isinstance(made, ast.Await) else None
    if isinstance(joined, ast.Call) and ast.unparse(joined.func).endswith("Session.join"):
        yield node, node.id


def _live_thing(node: ast.AST, site: Site) -> Iterator[Hit]:
    for value in _stores(node, site):
        for part in _parts(value):
            what = _live_kind(part, site)
            if what:
                yield part, f"{text_of(part)} is {what}"


def _live_kind(part: ast.AST, site: Site) -> str | None:
    value = site.names.value(part)
    if isinstance(value, ast.Lambda):
        return "a function without a name"
    if isinstance(value, ast.GeneratorExp):
        return "a generator"
    if isinstance(value, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return "a function and no method of a model"
    if isinstance(value, ast.Call):
        definition = site.names.definition(value.func)
        if isinstance(definition, FUNCTIONS) and _is_generator(definition):
            return "a generator"
        return _MAKERS.get(site.names.qualified(value.func) or "")
    return None


def _is_generator(function: ast.AST) -> bool:
    return any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in ast.walk(function))


def _stored_message(node: ast.AST, site: Site) -> Iterator[Hit]:
    assert isinstance(node, ast.ExceptHandler)
    for inner in (inner for statement in node.body for inner in ast.walk(statement)):
        for value in _stores(inner, site):
            for part in ast.walk(value):
                if _is_text_of_error(part, node.name, site):
                    yield part, text_of(part)


def _is_text_of_error(part: ast.AST, name: str | None, site: Site) -> bool:
    def is_error(node: ast.AST) -> bool:
        return name is not None and isinstance(node, ast.Name) and node.id == name

    if isinstance(part, ast.Call):
        function = site.names.qualified(part.func) or ""
        is_text = function in ("builtins.str", "builtins.repr", "builtins.format") and bool(part.args)
        return (is_text and is_error(part.args[0])) or function == "traceback.format_exc"
    if isinstance(part, ast.FormattedValue):
        return is_error(part.value)
    return isinstance(part, ast.Attribute) and part.attr == "args" and is_error(part.value)


def _catches_all(node: ast.AST, site: Site) -> Iterator[Hit]:
    assert isinstance(node, ast.ExceptHandler)
    kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    names = ["" if kind is None else site.names.qualified(kind) for kind in kinds]
    raises = any(isinstance(inner, ast.Raise) and inner.exc is None for inner in ast.walk(node))
    if not raises and any(name in ("", "builtins.BaseException", "builtins.KeyboardInterrupt") for name in names):
        yield node, f"except {ast.unparse(node.type)}" if node.type else "except:"


def _model_id(node: ast.AST, site: Site) -> Iterator[Hit]:
    assert isinstance(node, ast.Attribute)
    is_set = node.attr in ("id", "session_id", "view_count") and not isinstance(node.ctx, ast.Load)
    if is_set and site.model and site.is_own_attribute(node):
        yield node, f"self.{node.attr}"


RULES = (
    Rule(
        code="MSQ306",
        name="special-method",
        severity=ERROR,
        message="a model has no {what}",
        remedy="snapshots restore a model without running any of its code",
        why="Whoever joins later gets the model's attributes and nothing else: no constructor runs. And when Python "
        "frees an object is up to the interpreter.",
        bad=model("def __init__(self, title):  # <-", "    self.title = title"),
        good=model("def init(self, options, persisted=None):", '    self.title = options["title"]'),
        nodes=(ast.ClassDef,),
        check=_forbidden_method,
        at_definition=True,
    ),
    Rule(
        code="MSQ307",
        name="name-of-the-model",
        severity=ERROR,
        message="{what} belongs to the session and cannot be set",
        remedy="use another name, such as self.key",
        why="Every model has an `id`, by which views and other replicas find it.",
        bad=handler("self.id = choice  # <-"),
        good=handler("self.key = choice"),
        nodes=(ast.Attribute,),
        check=_model_id,
    ),
    Rule(
        code="MSQ308",
        name="transient-without-default",
        severity=ERROR,
        message="{what} is transient, and absent after a restore",
        remedy='read it by getattr(self, "name", None), or give the class a default: name = None',
        why="What `transient` lists is in no snapshot: whoever joins later gets an AttributeError where others do not.",
        bad=model(
            'transient = ("cache",)',
            "",
            "def init(self, options):",
            "    self.cache = {}",
            "",
            "def vote(self, choice):",
            "    self.cache[choice] = 1  # <-",
        ),
        good=model(
            'transient = ("cache",)',
            "",
            "def vote(self, choice):",
            '    self.cache = getattr(self, "cache", None) or {}',
            "    self.cache[choice] = 1",
        ),
        nodes=(ast.Attribute,),
        check=_transient_read,
    ),
    Rule(
        code="MSQ309",
        name="create",
        severity=ERROR,
        message="{what}() does not make a model",
        remedy="write {what}.create(options)",
        why="`create` gives the model its id and registers it with the session; then it calls `init`.",
        bad=handler("self.child = Poll()  # <-"),
        good=handler("self.child = Poll.create()"),
        nodes=(ast.Call,),
        check=_made_by_hand,
    ),
    Rule(
        code="MSQ310",
        name="view-in-a-model",
        severity=ERROR,
        message="{what} shows something to one person, and a model is everybody's",
        remedy="let the view read the model, and tell it by self.publish(scope, event, data)",
        why="Views, widgets and sessions live in one kernel. A model that held one could not be replicated.",
        bad=handler("self.slider = ipywidgets.IntSlider()  # <-", above="import ipywidgets"),
        good=handler("self.speed = 1"),
        nodes=(ast.Assign, ast.AnnAssign, ast.Call),
        check=_shown_thing,
    ),
    Rule(
        code="MSQ311",
        name="session-in-a-model",
        severity=ERROR,
        message="{what} is one kernel's session, which model code does not have",
        remedy="use self.publish, self.session_id, self.view_count and self.well_known_model",
        why="A model is the same in all kernels; a session is one kernel's way to it.",
        bad='from msq_jupyter import Model, Session\n\nsession = await Session.join(app_id="a", name="b", model=None)\n'
        '\n\nclass Poll(Model):\n    def vote(self, choice):\n        session.publish("poll", "voted", choice)  # <-\n',
        good=handler('self.publish("poll", "voted", choice)'),
        nodes=(ast.Name,),
        check=_session_mentioned,
    ),
    Rule(
        code="MSQ312",
        name="live-object-in-a-model",
        severity=ERROR,
        message="{what}, which no snapshot can hold",
        remedy="keep the data it is made from; for a function, its name or a method of a model",
        why="Everything on a model is state. Functions, generators, iterators and handles are not data.",
        bad=handler("self.rule = lambda votes: max(votes)  # <-"),
        good=handler('self.rule = "max"'),
        nodes=(ast.Assign, ast.AnnAssign, ast.Call),
        check=_live_thing,
    ),
    Rule(
        code="MSQ313",
        name="stored-error-text",
        severity=ERROR,
        message="{what} reads differently in other versions of Python",
        remedy="store a text of your own, or type(error).__name__",
        why="Python changes the wording of its errors between versions; replicas may run different ones.",
        bad=handler(
            "try:", "    self.count = int(choice)", "except ValueError as error:", "    self.problem = str(error)  # <-"
        ),
        good=handler("try:", "    self.count = int(choice)", "except ValueError:", '    self.problem = "not a number"'),
        nodes=(ast.ExceptHandler,),
        check=_stored_message,
    ),
    Rule(
        code="MSQ314",
        name="catches-everything",
        severity=WARNING,
        message="{what} also catches what ends the work of one kernel",
        remedy="write except Exception, or name the error",
        why="KeyboardInterrupt and its like happen to one participant. A model that goes on as if nothing "
        "happened is another model from then on.",
        bad=handler("try:", "    self.count = int(choice)", "except:  # <-", "    self.count = 0"),
        good=handler("try:", "    self.count = int(choice)", "except ValueError:", "    self.count = 0"),
        nodes=(ast.ExceptHandler,),
        check=_catches_all,
    ),
)
