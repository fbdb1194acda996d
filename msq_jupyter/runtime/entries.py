"""What entries of the log do to a replica: events of views, and who comes and goes.

The payload of an event is MessagePack, `document` is what `Writer` makes of a value:

    ["publish", scope, event, document]
    ["assign", model_id, path, document], see `assignment`
    ["call", ...], see `operation`
    ["restore", ...], see `restoring`
    ["save", ...], see `saving`
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from msq_jupyter import protocol
from msq_jupyter.errors import SealBroken
from msq_jupyter.runtime.assignment import run_assignment
from msq_jupyter.runtime.happenings import HandlerFailed
from msq_jupyter.runtime.operation import run_operation
from msq_jupyter.runtime.restoring import run_restore
from msq_jupyter.runtime.saving import run_save
from msq_jupyter.runtime.snapshot import read_value, unpack

if TYPE_CHECKING:
    from msq_jupyter.runtime.replica import Replica


class _Publication(msgspec.Struct, array_like=True, tag="publish", forbid_unknown_fields=True, gc=False):
    """What most events are; typed, because that decodes in half of the time."""

    scope: str
    event: str
    document: bytes


_decode_publication = msgspec.msgpack.Decoder(_Publication).decode


def run_event(replica: Replica, entry: protocol.Event) -> None:
    """Execute an event of a view."""
    try:
        publication = _decode_publication(entry.payload)
    except msgspec.ValidationError:
        fields = unpack(entry.payload)
        _OTHER_EVENTS[fields[0]](replica, fields)
        return
    scope, event = publication.scope, publication.event
    try:
        data = read_value(publication.document, replica)
    except SealBroken as error:
        failed = HandlerFailed("session", f"event {scope}:{event}, dropped", error, entry.view_id)
        replica.happenings.append(failed)
        return
    replica.dispatch(replica.topics.hearers[scope, event], data)


_OTHER_EVENTS: dict[str, Callable[[Replica, list[Any]], None]] = {
    "assign": run_assignment,
    "call": run_operation,
    "restore": run_restore,
    "save": run_save,
}


def run_membership(replica: Replica, entry: protocol.Membership) -> None:
    """Execute an entry that says who left and who came."""
    for view_id in entry.exits:
        if view_id in replica.views:
            replica.restores.pop(view_id, None)
            data = replica.views.pop(view_id)
            _tell(replica, "view-exit", view_id, data)
    for view_id, payload in entry.joins:
        replica.views[view_id] = data = _card(replica, view_id, payload)
        _tell(replica, "view-join", view_id, data)


def _card(replica: Replica, view_id: str, payload: bytes) -> Any:
    """What a participant says of itself; None where it makes no sense, which must not keep others from coming."""
    try:
        return read_value(payload, replica)
    except SealBroken as error:
        replica.happenings.append(HandlerFailed("session", f"data of the view {view_id}, dropped", error, view_id))
        return None


def _tell(replica: Replica, event: str, view_id: str, data: Any) -> None:
    """Tell models the id of a view, or a dict when the participant gave view data."""
    view_data = data.get("view_data") if isinstance(data, dict) else None
    told = view_id if view_data is None else {"view_id": view_id, "view_data": view_data}
    replica.event_view_id = view_id
    replica.dispatch(replica.topics.hearers[replica.session_id, event], told)
