"""Saving because somebody asks for it, and what an acknowledged save does to a replica.

Views hear of it: scope `session_id`, event `"persisted"`, with a dict of

* `number`: the version's,
* `author`: who caused the save, "" when that is not known,
* `time_s`: when it was stored, in seconds since 1970 by the synchronizer's clock,
* `size_bytes`: of the data; 0 when this replica never had it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from msq_jupyter import protocol
from msq_jupyter.errors import NothingCollected, ProtocolError, SaveMethodMissing
from msq_jupyter.runtime.happenings import SaveCollected, SaveDiffers, SaveStored
from msq_jupyter.runtime.model import has_method
from msq_jupyter.runtime.saves import LastSave
from msq_jupyter.runtime.snapshot import pack
from msq_jupyter.stable import bytes_digest

if TYPE_CHECKING:
    from msq_jupyter.runtime.replica import Replica

#: While more saves than this wait to be stored, nothing is restored, and no save is kept apart from what follows it.
WAITING_SAVES_MAX = 16


class _SaveEvent(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    kind: str
    request_id: Annotated[str, msgspec.Meta(max_length=64)]


def encode_save(request_id: str) -> bytes:
    """The payload of an event that has the root save, as a version of its own.

    Args:
        request_id: not used before by this view, up to 64 characters.
    """
    return pack(["save", request_id])


def run_save(replica: Replica, fields: list[Any]) -> None:
    """Execute an event of kind "save": what the root collects becomes a version, and nothing takes its place."""
    view_id, content_id, error = replica.event_view_id, "", None
    request_id = str(fields[1]) if len(fields) > 1 else ""
    try:
        msgspec.convert(fields, _SaveEvent)
        if len(replica.saves) > WAITING_SAVES_MAX:
            raise ProtocolError(f"{len(replica.saves)} saves wait to be stored: wait until they are, and save again")
        content_id = bytes_digest(collected(replica))
    except KeyboardInterrupt:
        raise  # the user's, and on this replica only
    except BaseException as failure:  # the model's, too, which has been reported
        error = failure
    waits = [save for save in replica.saves if save.content_id == content_id]
    if waits:
        replica.saves.keep()
    number = replica.last_save.number if replica.last_save and content_id and not waits else 0
    save_id = waits[-1].save_id if waits else ""
    replica.happenings.append(SaveCollected(view_id, request_id, content_id, save_id, number, error))


def collected(replica: Replica) -> bytes:
    """Have the root save; what it collected, whether that is stored already or not.

    Raises:
        SaveMethodMissing: it has no method for that.
        NothingCollected: it did not call `persist_session`.
        Exception: what its `save` raised, which has been reported.
    """
    root = replica.root
    kind = type(root).__qualname__
    if not has_method(root, "save"):
        raise SaveMethodMissing(kind)
    replica.collected = b""
    error = replica.call(root, "save")
    content, replica.collected = replica.collected, b""
    if error is not None:
        raise error
    if not content:
        raise NothingCollected(kind)
    return content


def run_saved(replica: Replica, entry: protocol.Saved) -> None:
    """Execute an entry that says that a version is stored."""
    author = replica.view_label(entry.view_id)
    content = None
    place = replica.saves.place_of(entry.save_id)
    size_bytes = replica.saves.size_of(entry.save_id)
    if place is not None:
        pending = replica.saves.pop(place)
        author = pending.author or author
        content = pending.content
        if entry.digest and entry.digest != replica.save_digest(entry.save_id, pending.content_id):
            # Another replica stored something else under this id. Every replica that is like this one does the same
            # now, so what they have in common becomes the next version. What waits behind it stays behind it.
            content = None
            later = replica.saves[place:]
            del replica.saves[place:]
            for save in (pending, *later):
                replica.saves.append(msgspec.structs.replace(save, save_id=replica.next_save_id()))
            replica.happenings.append(SaveDiffers(entry.number))
    if replica.last_save is None or entry.number > replica.last_save.number:
        replica.last_save = LastSave(entry.number, author, entry.time_s, entry.is_head)
    told = {"number": entry.number, "author": author, "time_s": entry.time_s, "size_bytes": size_bytes}
    replica.tell_views(replica.session_id, "persisted", told)
    is_history = entry.seq <= replica.history_seq
    replica.happenings.append(SaveStored(entry.number, entry, content, author, size_bytes, is_history))
