"""Setting what cells and widgets may set, by an event that sets it on every replica.

The event names a path from a model; each replica walks it when the event's turn comes. So of two who set the same thing
the later one counts, and what is set into something that is gone meanwhile is dropped, on every replica alike. A place
in a list is no path: it belongs to another item when somebody inserts before it.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from msq_jupyter.errors import AuthorError
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.paths import MISSING, field_names, key_of, split, step_into
from msq_jupyter.runtime.snapshot import read_value

if TYPE_CHECKING:
    from msq_jupyter.runtime.replica import Replica


def check_assignable(model: Model, path: str) -> None:
    """Let a path pass that cells and widgets may set.

    Args:
        model: where it begins.
        path: an attribute, or a way into what one holds, such as "settings.speed".

    Raises:
        AuthorError: not a public data attribute that the model has, or there is no such way; names the nearest.
        ArgumentError: not a path.
    """
    _place(model, split(path), path)


def run_assignment(replica: Replica, fields: list[Any]) -> None:
    """Execute an event of kind "assign"."""
    _, model_id, path, document = fields
    model = replica.models.get(model_id)
    if model is None:
        return  # destroyed since it was sent
    try:
        holder, step, owner = _place(model, split(path), path)
        value = read_value(document, replica)
        if isinstance(holder, dict):
            holder[key_of(holder, step)] = value
        else:
            setattr(holder, step, value)
    except BaseException as error:
        # A property's setter is the author's code; and others may have removed what the way leads through.
        replica.failed(model, path, error)
    else:
        replica.call(owner, "link_changed", path)


def _place(model: Model, steps: list[str], path: str) -> tuple[Any, str, Model]:
    """What holds the end of a path, the last step, and the model that owns both."""
    *way, last = steps
    holder: Any = model
    owner, done = model, type(model).__name__
    for step in way:
        if isinstance(holder, Model):
            _check_attribute(holder, step)
        inner = step_into(holder, step)
        if inner is MISSING:
            raise AuthorError(f"{path}: {done} has no {step!r}{_hint(step, _names(holder))}")
        holder, done = inner, f"{done}.{step}"
        owner = holder if isinstance(holder, Model) else owner
    if isinstance(holder, Model):
        _check_attribute(holder, last)
        made = getattr(type(holder), last, None)
        if isinstance(made, property) and made.fset is None:
            raise AuthorError(f"{type(holder).__name__}.{last} can only be read: call a method that changes it")
        if callable(getattr(holder, last)):
            raise AuthorError(
                f"{type(holder).__name__}.{last} is a method: link an attribute, or publish an event that calls it"
            )
    elif isinstance(holder, (list, tuple)) and not field_names(holder):
        raise AuthorError(
            f"{path}: {done} is a {_kind(holder)}, and a place in it is another item's when somebody inserts before "
            "it: keep the items in a dict by an id of their own"
        )
    elif not isinstance(holder, dict) and (isinstance(holder, tuple) or last not in field_names(holder)):
        raise AuthorError(f"{path}: nothing can be set in {done}, a {_kind(holder)}: link {done.partition('.')[2]}")
    return holder, last, owner


def _check_attribute(model: Model, attribute: str) -> None:
    kind = type(model).__name__
    if attribute.startswith("_") or attribute in Model.__dict__ or attribute == "id":
        raise AuthorError(f"{kind}.{attribute} belongs to the model itself: link a public attribute of your own")
    if not hasattr(model, attribute):
        names = [name for name in data_names(model) if not callable(getattr(model, name))]
        hint = _hint(attribute, names) or f": set self.{attribute} in init first"
        raise AuthorError(f"{kind} has no attribute {attribute!r}{hint}")


def data_names(model: Model) -> list[str]:
    """The public names of a model that `Model` does not have itself."""
    return [name for name in dir(model) if not name.startswith("_") and name not in Model.__dict__]


def _names(holder: Any) -> list[str]:
    if isinstance(holder, Model):
        return data_names(holder)
    return [*map(str, holder)] if isinstance(holder, dict) else list(field_names(holder))


def _hint(step: str, names: list[str]) -> str:
    close = difflib.get_close_matches(step, names, n=1)
    return f": did you mean {close[0]!r}?" if close else ""


def _kind(holder: Any) -> str:
    return "list" if isinstance(holder, list) else type(holder).__name__
