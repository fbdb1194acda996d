"""Which attributes of a model cells and widgets may set, by an event that sets them on every replica."""

from __future__ import annotations

import difflib

from msq_jupyter.errors import AuthorError
from msq_jupyter.runtime.model import Model


def check_assignable(model: Model, attribute: str) -> None:
    """Let an attribute pass that cells and widgets may set.

    Raises:
        AuthorError: not a public data attribute that the model has.
    """
    kind = type(model).__name__
    if attribute.startswith("_") or attribute in Model.__dict__ or attribute == "id":
        raise AuthorError(f"{kind}.{attribute} belongs to the model itself: link a public attribute of your own")
    if not hasattr(model, attribute):
        names = [name for name in dir(model) if not name.startswith("_") and not callable(getattr(model, name))]
        close = difflib.get_close_matches(attribute, names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"set self.{attribute} in init first"
        raise AuthorError(f"{kind} has no attribute {attribute!r}: {hint}")
    if callable(getattr(model, attribute)):
        raise AuthorError(f"{kind}.{attribute} is a method: link an attribute, or publish an event that calls it")
