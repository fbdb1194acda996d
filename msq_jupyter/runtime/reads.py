"""What somebody outside has read of a replica, so that they can be told when it is another."""

from __future__ import annotations

from typing import Literal, NamedTuple

#: An attribute of a model, a model by the name it is well known by, a model by id, session time, or who is there.
What = Literal["attribute", "name", "model", "time", "views"]


class Read(NamedTuple):
    """One thing that was read.

    Attributes:
        what: which kind of thing.
        key: the model's id, or the name it is well known by; "" for the others.
        attribute: its name, "__dict__" for all of them; "" for the others.
    """

    what: What
    key: str = ""
    attribute: str = ""
