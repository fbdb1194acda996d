"""What a replica tells the outside: values, in the order in which they happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from msq_jupyter import protocol
from msq_jupyter.runtime.audit import Audited


@dataclass(frozen=True)
class HandlerFailed:
    """A method of a model raised. The changes made until then stay, on every replica.

    `view_id` is whose event it was, "" when it was nobody's.
    """

    model: str
    method: str
    error: BaseException
    view_id: str = ""


@dataclass(frozen=True)
class RestoreFailed(HandlerFailed):
    """A version was not restored, and everything is as it was. `restore_id` is what who restores calls it."""

    restore_id: str = ""


@dataclass(frozen=True)
class RootReplaced:
    """Version `number` was restored: there are other models. `view_id` restored it and calls it `restore_id`."""

    number: int
    view_id: str
    restore_id: str


@dataclass(frozen=True)
class SaveStored:
    """A version is stored and acknowledged, as `entry` says; `content` is None when this replica does not have it."""

    number: int
    entry: protocol.Saved
    content: bytes | None


@dataclass(frozen=True)
class SaveDiffers:
    """What was stored as version `number` is not what this replica wanted to save; that is pending again."""

    number: int


Happening: TypeAlias = HandlerFailed | RestoreFailed | RootReplaced | SaveStored | SaveDiffers | Audited
