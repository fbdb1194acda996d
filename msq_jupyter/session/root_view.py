"""The view that `join` was given; it is made again whenever there are other models."""

from __future__ import annotations

from typing import Any

from msq_jupyter.errors import ViewInitError
from msq_jupyter.runtime.view import Port, View, make_view
from msq_jupyter.session.mistakes import Mistakes


def make_root_view(
    old: View | None, kind: type[View], model: Any, session: Port, mistakes: Mistakes
) -> tuple[View | None, ViewInitError | None]:
    """Detach a root view and make another one.

    Args:
        old: the one there was.
        kind: its class.
        model: the root model, to read.
        session: what it is a view of.
        mistakes: what it raises is told there.

    Returns:
        The new view, None if it could not be made, and why.
    """
    if old is not None:
        mistakes.guard(old.detach)
    try:
        return make_view(kind, model, session), None
    except Exception as error:
        mistakes.report(kind.__name__, "__init__", error)
        failure = ViewInitError(f"{kind.__name__}.__init__ failed with {type(error).__name__}: {error}")
        failure.__cause__ = error
        return None, failure
