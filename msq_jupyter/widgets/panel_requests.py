"""What a badge or panel in a browser may ask of the kernel: typed, bounded, checked before anything happens.

`js/src/messages.ts` names the same fields. Every request says who asks (`client`, a browser's own random name:
answers go to all that show the notebook) and which of its questions it is (`id`). Answers are messages, too, and no
traits: what is secret is not stored in the notebook.
"""

from __future__ import annotations

import datetime
import zoneinfo
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from msq_jupyter.errors import ArgumentError
from msq_jupyter.persistence.harmless import shortened
from msq_jupyter.widgets.panel_versions import Filter

Count = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Text = Annotated[str, Meta(max_length=2_000)]
Number = Annotated[int, Meta(ge=1, le=1_000_000_000)]
_MESSAGE_CHARACTERS = 1_000
Side: TypeAlias = "Number | Literal['now']"


class Request(Struct, frozen=True, forbid_unknown_fields=True, tag_field="ask", kw_only=True):
    """Any request."""

    client: Annotated[str, Meta(min_length=1, max_length=40)]
    id: Count


class Rows(Request, frozen=True, kw_only=True):
    """Any request for some rows of a long list."""

    start: Count = 0
    count: Annotated[int, Meta(ge=0, le=200)] = 0


class Tree(Rows, frozen=True, tag="tree"):
    """Rows of the live model; of a search, when there is a text."""

    opened: Annotated[list[list[Text]], Meta(max_length=2_000)] = []
    text: Text = ""


class Versions(Rows, frozen=True, tag="versions"):
    """Rows of the list of versions."""

    filter: Filter = Filter()
    opened: Annotated[list[Number], Meta(max_length=10_000)] = []
    zone: Text = "UTC"
    offset_min: Annotated[int, Meta(ge=-1_500, le=1_500)] = 0


class Changes(Rows, frozen=True, tag="changes"):
    """Rows of the difference of two versions; 0 for `a` is the version that `b` grew from."""

    a: Count | Literal["now"]
    b: Side
    part: Literal["data", "code"] = "data"
    place: Text = ""


class Checked(Rows, frozen=True, tag="checked"):
    """Rows of the dry run that runs or ran last."""


class Log(Rows, frozen=True, tag="log"):
    """Lines of the log, newest first."""

    text: Text = ""


class Plan(Request, frozen=True, tag="plan"):
    """What restoring a version would change."""

    number: Number
    place: Text = ""


class Restore(Request, frozen=True, tag="restore"):
    """Restore a version, or one place of it."""

    number: Number
    place: Text = ""


class Check(Request, frozen=True, tag="check"):
    """Begin a dry run of the newest versions."""

    newest: Number


class StopCheck(Request, frozen=True, tag="stop check"):
    """End the dry run that runs."""


class Explain(Request, frozen=True, tag="explain"):
    """Why somebody's code is other code."""

    view_id: Text


class Save(Request, frozen=True, tag="save"):
    """Save now, perhaps under a name."""

    label: Text = ""


class Label(Request, frozen=True, tag="label"):
    """Name a version."""

    number: Number
    text: Text


class Pin(Request, frozen=True, tag="pin"):
    """Pin a version, or let it go."""

    number: Number
    pinned: bool


class Invite(Request, frozen=True, tag="invite"):
    """What others need to join."""

    with_password: bool = False
    page: Text = ""


class Difference(Request, frozen=True, tag="difference"):
    """How our source becomes somebody's."""

    view_id: Text


class Follow(Request, frozen=True, tag="follow"):
    """Go on with edited code."""


_Read: TypeAlias = Tree | Versions | Changes | Checked | Log | Plan | Explain | Invite | Difference
_Act: TypeAlias = Restore | Check | StopCheck | Save | Label | Pin | Follow
AnyRequest: TypeAlias = _Read | _Act


def request_of(content: Any) -> AnyRequest:
    """The request in a message of a browser.

    Raises:
        ArgumentError: it is none; says what is wrong with it.
    """
    try:
        request: AnyRequest = msgspec.convert(content, AnyRequest)
    except msgspec.ValidationError as error:
        raise ArgumentError(f"a browser asked for something that is no request: {error}") from None
    return request


def sender_of(content: Any) -> tuple[str, int] | None:
    """Who asked and with which number, also of a request that is none; None when there is nobody to answer."""
    try:
        sender = msgspec.convert(content, Sender)
    except msgspec.ValidationError:
        return None
    return sender.client, sender.id


class Sender(Struct, frozen=True):
    """The part of a request that says who asks."""

    client: Annotated[str, Meta(min_length=1, max_length=40)]
    id: Count


def zone_of(name: str, offset_min: int) -> datetime.tzinfo:
    """A browser's time zone, by name; by its offset in minutes east of Greenwich where this machine knows no names."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return datetime.timezone(datetime.timedelta(minutes=max(-1_439, min(offset_min, 1_439))))


def answered(request: Request, answer: dict[str, Any]) -> dict[str, Any]:
    """The message with the answer to a request."""
    return {"client": request.client, "id": request.id, "ok": True, "answer": answer}


def failed(client: str, number: int, error: Exception | None) -> dict[str, Any]:
    """The message that a request has no answer, and why; without an error it is one that nobody waits for any more."""
    told = None if error is None else {"type": type(error).__name__, "text": shortened(str(error), _MESSAGE_CHARACTERS)}
    return {"client": client, "id": number, "ok": False, "error": told}
