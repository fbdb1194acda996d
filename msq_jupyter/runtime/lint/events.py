"""MSQ4xx: handlers and future messages that do not work as they are written."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from msq_jupyter.runtime.lint.classes import Site, self_name
from msq_jupyter.runtime.lint.finding import ERROR
from msq_jupyter.runtime.lint.names import FUNCTIONS
from msq_jupyter.runtime.lint.rule import MARK, Hit, Rule, handler, model, text_of

_INIT = "def init(self, options):"


def _argument(call: ast.Call, place: int, name: str) -> ast.AST | None:
    """An argument by place or name; None when it is not given, or hidden in a `*`."""
    if any(isinstance(argument, ast.Starred) for argument in call.args):
        return None
    if len(call.args) > place:
        return call.args[place]
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _handler_of(node: ast.AST, site: Site) -> ast.AST | None:
    """What a call hands over to be called later."""
    name = site.own_call(node) if site.model else None
    if not isinstance(node, ast.Call) or name not in ("subscribe", "future"):
        return None
    return _argument(node, 2, "handler") if name == "subscribe" else _argument(node, 1, "method")


def _no_method(node: ast.AST, site: Site) -> Iterator[Hit]:
    given = _handler_of(node, site)
    if given is None:
        return
    value = site.names.value(given)
    is_function = isinstance(value, FUNCTIONS) and not site.is_own_attribute(given)
    is_called = isinstance(given, ast.Call) and site.own_call(given) is not None
    is_constant = isinstance(value, ast.Constant) and not isinstance(value.value, str)
    is_elsewhere = (
        isinstance(given, ast.Attribute) and not site.is_own_attribute(given) and _starts_at_self(given, site)
    )
    is_partial = isinstance(value, ast.Call) and site.names.qualified(value.func) == "functools.partial"
    if is_function or is_called or is_constant or is_elsewhere or is_partial:
        yield given, text_of(given)


def _starts_at_self(node: ast.Attribute, site: Site) -> bool:
    return isinstance(node.value, ast.Attribute) and site.is_own_attribute(node.value)


def _named_methods(node: ast.AST, site: Site) -> Iterator[tuple[ast.AST, str]]:
    """The methods that a call of `subscribe` or `future` names."""
    given = _handler_of(node, site)
    if isinstance(given, ast.Attribute) and site.is_own_attribute(given):
        yield given, given.attr
    elif isinstance(given, ast.Constant) and isinstance(given.value, str):
        yield given, given.value
    elif given is None and site.model and site.own_call(node) == "future":
        parent = site.names.parents.get(node)
        if isinstance(parent, ast.Attribute) and isinstance(site.names.parents.get(parent), ast.Call):
            yield parent, parent.attr


def _unknown_method(node: ast.AST, site: Site) -> Iterator[Hit]:
    kind = site.model
    for place, name in _named_methods(node, site):
        if kind and kind.knows_all_methods and not kind.has(name) and not kind.stores(name):
            yield place, f"{kind.name} has no method {name!r}"


def _generator(node: ast.AST, site: Site) -> Iterator[Hit]:
    for place, name in _named_methods(node, site):
        method = site.model.method(name) if site.model else None
        if method and not method.decorator_list and _yields(method, site):
            yield place, f"{name} has a yield"


def _yields(method: ast.AST, site: Site) -> bool:
    """Whether a method is a generator itself; a function in it may be one."""
    yields = (node for node in ast.walk(method) if isinstance(node, (ast.Yield, ast.YieldFrom)))
    return any(site.names.scope_of(node).node is method for node in yields)


def _wrong_parameters(node: ast.AST, site: Site) -> Iterator[Hit]:
    if site.own_call(node) != "subscribe":
        return
    for place, name in _named_methods(node, site):
        method = site.model.method(name) if site.model else None
        if method is None or method.decorator_list or self_name(method) is None:
            continue
        arguments = method.args
        positional = len(arguments.posonlyargs) + len(arguments.args) - 1
        required = positional - len(arguments.defaults)
        takes_one = (positional >= 1 or arguments.vararg) and required <= 1
        if not takes_one or any(default is None for default in arguments.kw_defaults):
            yield place, f"{name} takes {'no argument' if not positional else f'{required} arguments'}"


def _twice(node: ast.AST, site: Site) -> Iterator[Hit]:
    if node is not site.node:
        return
    calls = [
        inner for inner in ast.walk(node) if site.own_call(inner) in ("subscribe", "unsubscribe", "unsubscribe_all")
    ]
    if any(site.own_call(call) != "subscribe" for call in calls):
        return
    seen: set[tuple[int, str]] = set()
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):  # type: ignore[attr-defined]
        # In the same block, so that one is not instead of the other.
        statement = site.names.parents[call]
        around = site.names.parents[statement]
        blocks = (getattr(around, name, None) or [] for name in ("body", "orelse", "finalbody"))
        block = next((number for number, block in enumerate(blocks) if statement in block), -1)
        key = (id(around) * 4 + block, ast.dump(call))
        if key in seen:
            yield call, text_of(call)
        seen.add(key)


def _negative(node: ast.AST, site: Site) -> Iterator[Hit]:
    if site.own_call(node) != "future" or not isinstance(node, ast.Call):
        return
    for given in (_argument(node, 0, "delay_ms"), _argument(node, 3, "every")):
        value = site.names.value(given) if given is not None else None
        is_negated = isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub)
        if is_negated and isinstance(value.operand, ast.Constant) and value.operand.value:  # type: ignore[union-attr]
            yield node, text_of(given or node)


def _nothing_named(node: ast.AST, site: Site) -> Iterator[Hit]:
    if site.own_call(node) != "future" or _handler_of(node, site) is not None or site.model is None:
        return
    assert isinstance(node, ast.Call)
    if any(isinstance(argument, ast.Starred) for argument in node.args) or any(k.arg is None for k in node.keywords):
        return
    parent = site.names.parents.get(node)
    after = site.names.parents.get(parent) if parent is not None else None
    if isinstance(parent, ast.Attribute):
        named_only = not (isinstance(after, ast.Call) and after.func is parent)
        if named_only and isinstance(after, ast.Expr):
            yield parent, text_of(parent)
    elif isinstance(parent, (ast.Expr, ast.Call)) or (
        isinstance(parent, ast.Assign) and any(site.is_own_attribute(target) for target in parent.targets)
    ):
        yield node, text_of(node)


def _bad_scope(node: ast.AST, site: Site) -> Iterator[Hit]:
    if site.model is None or site.own_call(node) not in ("subscribe", "publish", "unsubscribe"):
        return
    assert isinstance(node, ast.Call)
    given = _argument(node, 0, "scope")
    if isinstance(given, ast.Constant) and isinstance(given.value, str) and ":" in given.value:
        yield given, repr(given.value)


RULES = (
    Rule(
        code="MSQ401",
        name="handler-is-no-method",
        severity=ERROR,
        message="{what} is no method of this model, and subscriptions are state",
        remedy="write a method, and name it: self.name",
        why="A snapshot keeps the name of the method; a function has none that others know.",
        bad=model(
            _INIT,
            f'    self.subscribe("poll", "vote", lambda choice: self.count(choice)){MARK}',
            "",
            "def count(self, choice):",
            "    self.last = choice",
        ),
        good=model(
            _INIT,
            '    self.subscribe("poll", "vote", self.count)',
            "",
            "def count(self, choice):",
            "    self.last = choice",
        ),
        nodes=(ast.Call,),
        check=_no_method,
    ),
    Rule(
        code="MSQ402",
        name="subscribed-twice",
        severity=ERROR,
        message="{what} was said before, and the second time raises",
        remedy="leave it out, or name another method",
        why="One handler on one topic is called once. The error would end `init`, and so the joining of the session.",
        bad=model(
            _INIT,
            '    self.subscribe("poll", "vote", self.vote)',
            f'    self.subscribe("poll", "vote", self.vote){MARK}',
            "",
            "def vote(self, choice):",
            "    self.last = choice",
        ),
        good=model(
            _INIT,
            '    self.subscribe("poll", "vote", self.vote)',
            '    self.subscribe("poll", "change", self.vote)',
            "",
            "def vote(self, choice):",
            "    self.last = choice",
        ),
        nodes=(ast.FunctionDef,),
        check=_twice,
    ),
    Rule(
        code="MSQ403",
        name="negative-delay",
        severity=ERROR,
        message="{what} ms lie in the past",
        remedy="give 0 or more milliseconds; 0 is right after this event",
        why="What has happened has happened on every replica.",
        bad=handler("self.future(-10).close()  # <-") + "\n    def close(self):\n        self.is_open = False\n",
        good=handler("self.future(0).close()") + "\n    def close(self):\n        self.is_open = False\n",
        nodes=(ast.Call,),
        check=_negative,
    ),
    Rule(
        code="MSQ404",
        name="future-without-method",
        severity=ERROR,
        message="{what} schedules nothing",
        remedy="name the method and call it: self.future(ms).method()",
        why="`self.future(ms)` only says when; the call on it says what.",
        bad=handler("self.timer = self.future(1000)  # <-"),
        good=handler("self.timer = self.future(1000).close()")
        + "\n    def close(self):\n        self.is_open = False\n",
        nodes=(ast.Call,),
        check=_nothing_named,
    ),
    Rule(
        code="MSQ405",
        name="unknown-method",
        severity=ERROR,
        message="{what}",
        remedy="correct the name, or write the method",
        why="Subscriptions and future messages name methods. An unknown name raises when it is said.",
        bad=model(
            _INIT,
            f'    self.subscribe("poll", "vote", self.vot){MARK}',
            "",
            "def vote(self, choice):",
            "    self.last = choice",
        ),
        good=model(
            _INIT,
            '    self.subscribe("poll", "vote", self.vote)',
            "",
            "def vote(self, choice):",
            "    self.last = choice",
        ),
        nodes=(ast.Call,),
        check=_unknown_method,
    ),
    Rule(
        code="MSQ406",
        name="generator-as-handler",
        severity=ERROR,
        message="{what}, so that calling it makes a generator and does nothing",
        remedy="write a plain method; continue later by self.future(ms).method()",
        why="A generator runs when somebody takes its elements. Nobody takes those of a handler.",
        bad=model(
            _INIT,
            f'    self.subscribe("poll", "vote", self.vote){MARK}',
            "",
            "def vote(self, choice):",
            "    yield choice",
        ),
        good=model(
            _INIT,
            '    self.subscribe("poll", "vote", self.vote)',
            "",
            "def vote(self, choice):",
            "    self.last = choice",
        ),
        nodes=(ast.Call,),
        check=_generator,
    ),
    Rule(
        code="MSQ407",
        name="handler-parameters",
        severity=ERROR,
        message="{what}, and a handler is called with one: the data of the event",
        remedy="give it one parameter after self; it is None when the event has no data",
        why="Every handler gets the data, also when there is none.",
        bad=model(
            _INIT,
            f'    self.subscribe("poll", "close", self.close){MARK}',
            "",
            "def close(self):",
            "    self.is_open = False",
        ),
        good=model(
            _INIT,
            '    self.subscribe("poll", "close", self.close)',
            "",
            "def close(self, _=None):",
            "    self.is_open = False",
        ),
        nodes=(ast.Call,),
        check=_wrong_parameters,
    ),
    Rule(
        code="MSQ408",
        name="colon-in-scope",
        severity=ERROR,
        message="the scope {what} has a colon, which separates scope and event",
        remedy='use another mark, such as "/"',
        why="Topics are written scope:event.",
        bad=handler('self.publish("poll:1", "voted", choice)  # <-'),
        good=handler('self.publish("poll/1", "voted", choice)'),
        nodes=(ast.Call,),
        check=_bad_scope,
    ),
)
