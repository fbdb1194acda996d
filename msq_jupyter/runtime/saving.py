"""What an acknowledged save does to a replica."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from msq_jupyter import protocol
from msq_jupyter.runtime.happenings import SaveDiffers, SaveStored
from msq_jupyter.runtime.saves import LastSave

if TYPE_CHECKING:
    from msq_jupyter.runtime.replica import Replica


def run_saved(replica: Replica, entry: protocol.Saved) -> None:
    """Execute an entry that says that a version is stored."""
    author = replica.view_label(entry.view_id)
    content = None
    place = replica.saves.place_of(entry.save_id)
    if place is not None:
        pending = replica.saves.pop(place)
        author = pending.author or author
        content = pending.content
        if entry.digest and entry.digest != replica.save_digest(entry.save_id, pending.content_id):
            # Another replica stored something else under this id. Every replica that is like this one does the same
            # now, so what they have in common becomes the next version.
            content = None
            replica.saves.insert(place, msgspec.structs.replace(pending, save_id=replica.next_save_id()))
            replica.happenings.append(SaveDiffers(entry.number))
    if replica.last_save is None or entry.number > replica.last_save.number:
        replica.last_save = LastSave(entry.number, author, entry.time_s, entry.is_head)
    replica.tell_views(replica.session_id, "persisted", {"version": entry.number, "time_s": entry.time_s})
    replica.happenings.append(SaveStored(entry.number, entry, content))
