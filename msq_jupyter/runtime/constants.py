"""Constants of model code that could be changed, as linked code sees them: the same, but nobody can change them.

A list among the notebook's globals or in a class is part of the code: its value at the time of joining is in the code
hash. A change of it would be on one replica only and in no snapshot, so it is refused, and what to do instead is said.
Copies are plain and can be changed.
"""

from __future__ import annotations

import collections
import copy
from collections.abc import Callable
from typing import Any

from msq_jupyter.errors import DeterminismError
from msq_jupyter.runtime import mutators
from msq_jupyter.runtime.deterministic import OrderedSet

#: Of each kind what changes it, and how a plain copy is made.
_KINDS: dict[type, tuple[tuple[str, ...], Callable[[Any], Any]]] = {
    list: (mutators.LIST, list),
    dict: (mutators.DICT, dict),
    OrderedSet: (mutators.SET, OrderedSet),
    bytearray: (mutators.LIST, bytearray),
    collections.deque: (
        (*mutators.LIST, "appendleft", "extendleft", "popleft", "rotate"),
        lambda constant: collections.deque(constant, constant.maxlen),
    ),
    collections.OrderedDict: ((*mutators.DICT, "move_to_end"), collections.OrderedDict),
    collections.Counter: ((*mutators.DICT, "subtract", "__iadd__", "__iand__", "__isub__"), collections.Counter),
    # A missing key is refused, too: to look at it would add it.
    collections.defaultdict: (
        (*mutators.DICT, "__missing__"),
        lambda constant: collections.defaultdict(constant.default_factory, constant),
    ),
}


class Constant:
    """What all constants are instances of, besides their own kind."""

    #: What the author calls it, for messages; absent while it is being made.
    constant_name: str


def constant(kind: type, arguments: tuple[Any, ...], name: str) -> Any:
    """A container that cannot be changed.

    Args:
        kind: a list, dict, ordered set or another kind of `CONTAINERS`.
        arguments: what `kind` is called with to make one.
        name: what the author calls it.
    """
    made = _CLASSES[kind](*arguments)
    made.constant_name = name
    return made


def remedy_for(value: Constant) -> str:
    """What to write instead of using a constant as if it were the model's."""
    kind = next(kind for kind, of in _CLASSES.items() if type(value) is of)
    name = value.constant_name
    call = "set" if kind is OrderedSet else kind.__name__
    copied = f"a {call} of its own" if " " in name else f"{call}({name})"
    return f"it is the constant {name} of the code: keep a copy on the model, {copied}"


def _refused(kind: type, method: str) -> Callable[..., Any]:
    own = getattr(kind, method)

    def refuse(self: Any, *args: Any, **kwargs: Any) -> Any:
        name = getattr(self, "constant_name", None)
        if name is None:
            return own(self, *args, **kwargs)
        raise DeterminismError(
            f"{name} cannot be changed ({method}), because no snapshot would hold the change: {remedy_for(self)}"
        )

    refuse.__name__ = refuse.__qualname__ = method
    return refuse


def _class_of(kind: type, changes: tuple[str, ...], plain: Callable[[Any], Any]) -> type:
    def plain_copy(self: Any) -> Any:
        return plain(self)

    def reduce(self: Any, protocol: Any) -> Any:
        return plain(self).__reduce_ex__(protocol)

    def deep_copy(self: Any, memo: Any) -> Any:
        return copy.deepcopy(plain(self), memo)

    own: dict[str, Any] = {name: _refused(kind, name) for name in changes if hasattr(kind, name)}
    own |= {"copy": plain_copy, "__copy__": plain_copy, "__deepcopy__": deep_copy, "__reduce_ex__": reduce}
    own |= {"__slots__": ("constant_name",), "__doc__": f"A {kind.__name__} that cannot be changed.", "__hash__": None}
    return type(f"Constant{kind.__name__.capitalize()}", (kind, Constant), own)


_CLASSES = {kind: _class_of(kind, *row) for kind, row in _KINDS.items()}

#: The kinds there are.
CONTAINERS = frozenset(_CLASSES)
