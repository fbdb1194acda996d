"""Operations: methods of a model that cells and widgets may call, and that then run on every replica.

    class Poll(Model):
        @operation
        def vote(self, choice):
            self.votes[choice] += 1

    session.model.vote("yes")       # in a cell: sent, ordered, run by every replica

Inside of a model an operation is a method like any other. Outside, where a model can only be read, the call becomes an
event: it returns nothing, and its effect is there when the event has come back.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from msq_jupyter.errors import ArgumentError, ProtocolError
from msq_jupyter.runtime.facade import is_facade, model_of
from msq_jupyter.runtime.snapshot import read_value

if TYPE_CHECKING:
    from msq_jupyter.runtime.replica import Replica

F = TypeVar("F", bound=Callable[..., Any])

#: What `operation` leaves on a function.
_MARK = "_msq_is_operation"


def operation(method: F) -> F:
    """Let cells and widgets call a method of a model; it then runs on every replica, in the order of events.

    Args:
        method: a method whose arguments are of types that a model may hold.

    Raises:
        ArgumentError: not a function.
    """
    if not callable(method):
        raise ArgumentError(f"operation: expected a method, got {method!r}: @operation stands above def name(self):")

    @functools.wraps(method)
    def call(self: Any, *args: Any, **keywords: Any) -> Any:
        if is_facade(self):
            return self._replica().request(model_of(self), method.__name__, args, keywords)
        return method(self, *args, **keywords)

    setattr(call, _MARK, True)
    return call  # type: ignore[return-value]  # it takes what the method takes


def run_operation(replica: Replica, fields: list[Any]) -> None:
    """Execute an event of kind "call"."""
    _, model_id, name, document = fields
    model = replica.models.get(model_id)
    if model is None:
        return  # destroyed since it was sent
    kind = type(model)
    try:
        if not getattr(getattr(kind, name, None), _MARK, False):
            raise ProtocolError(f"expected an operation of {kind.__qualname__}, got {name!r}")
        args, keywords = read_value(document, replica)
        getattr(model, name)(*args, **keywords)
    except BaseException as error:
        replica.failed(model, name, error)
