"""The words for a change that was refused: what it was of, who tried, and the event that does it right."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from types import CodeType, FrameType
from typing import Any, NamedTuple

from msq_jupyter.errors import ModelWriteError
from msq_jupyter.runtime.facade import is_facade, model_of
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.pubsub import ANY, TopicTable
from msq_jupyter.runtime.view import View
from msq_jupyter.stable import path_text

_OURS = "msq_jupyter.runtime."


class _Attempt(NamedTuple):
    """Who tried: the outermost method of a model, if any, and whether a view is behind it."""

    model: Model | None
    method: str
    is_view: bool


def refusal(topics: TopicTable[str] | None, model: Model | None, attribute: str, parts: Iterable[Any]) -> Exception:
    """The error for a change from outside.

    Args:
        topics: what the models subscribe to; None when the replica is gone.
        model: whose value it is; None when it is gone.
        attribute: in which attribute; "" for all of them.
        parts: keys and places from there.
    """
    attempt = _attempt()
    kind = "The model" if model is None else type(model).__qualname__
    keys = [part if type(part) in (str, int) else repr(part) for part in parts]
    path = path_text(kind, [attribute, *keys] if attribute else keys)
    who, publish = ("a view", "self.publish") if attempt.is_view else ("a cell", "session.publish")
    method = attempt.method
    if attempt.model is None:
        what = f"{path} is the model's and cannot be changed from {who}"
    else:
        what = f"{type(attempt.model).__qualname__}.{method} changes {path}, which {who} cannot do"
    owner = attempt.model or model
    topics_of_owner = [] if topics is None or owner is None else _topics_of(topics, owner, method, attribute)
    distance, scope, event = min(topics_of_owner, default=(_UNRELATED, "", ""))
    call = f'{publish}("{scope}", "{event}", data)'
    if distance == _ITSELF:
        remedy = f"publish the event that this method subscribes to: {call}"
    elif distance > _CALLS_IT and method and not method.startswith("__"):
        name = type(owner).__name__.lower()
        remedy = (
            f'have an event call it: self.subscribe("{name}", "{method}", self.{method}) in init, and here '
            f'{publish}("{name}", "{method}", data)'
        )
    elif event:
        remedy = f"publish an event that a method of the model subscribes to, for example {call}"
    else:
        remedy = f"publish an event that a method of the model subscribes to: {publish}(scope, event, data)"
    return ModelWriteError(f"{what}: {remedy}", path)


#: How far a subscription is from what was tried.
_ITSELF, _CALLS_IT, _HAS_THE_ATTRIBUTE, _UNRELATED = range(4)


def _topics_of(topics: TopicTable[str], model: Model, method: str, attribute: str) -> list[tuple[int, str, str]]:
    """What a model subscribes to, and how far each is from what was tried."""
    found = []
    session_id = model.session_id
    for entry in topics.owned_by(model.id):
        if ANY in (entry.scope, entry.event) or entry.scope == session_id:
            continue
        code = getattr(getattr(type(model), entry.handler, None), "__code__", None)
        names = getattr(code, "co_names", ())
        distance = _CALLS_IT if method in names else _HAS_THE_ATTRIBUTE if attribute in names else _UNRELATED
        found.append((_ITSELF if method == entry.handler else distance, entry.scope, entry.event))
    return found


def _attempt() -> _Attempt:
    model: Model | None = None
    method = ""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        if code.co_argcount and not str(frame.f_globals.get("__name__")).startswith(_OURS):
            first = frame.f_locals.get(code.co_varnames[0])
            if is_facade(first):
                if _is_method(type(first), code):
                    model, method = model_of(first), code.co_name
            elif issubclass(type(first), View):
                return _Attempt(model, method, True)
        frame = frame.f_back
    return _Attempt(model, method, False)


def _is_method(kind: type, code: CodeType) -> bool:
    """Whether code is that of a method or property of a class, and not of a function that was handed a model."""
    for base in kind.__mro__:
        function = vars(base).get(code.co_name)
        while function is not None:
            if getattr(function, "__code__", None) is code:
                return True
            # What a property, a class method or a decorator with `functools.wraps` is made of.
            inner = (getattr(function, name, None) for name in ("fget", "__func__", "__wrapped__"))
            function = next((one for one in inner if one is not None), None)
    return False


def path_to(copy: Any, root: Any) -> list[Any] | None:
    """The keys and places that lead from a value to something in it, the shortest way; None when nothing does."""
    layer: list[tuple[Any, list[Any]]] = [(root, [])]
    met: set[int] = set()
    while layer:
        below: list[tuple[Any, list[Any]]] = []
        for value, path in layer:
            if value is copy:
                return path
            if id(value) not in met:
                met.add(id(value))
                below += [(part, [*path, key]) for key, part in _parts(value)]
        layer = below
    return None


def _parts(value: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, dict):
        return value.items()
    if isinstance(value, list | tuple):
        return enumerate(value)
    if is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name, None)) for field in fields(value)]
    return ()
