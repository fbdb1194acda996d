"""What an acknowledged save does to a replica.

Views hear of it: scope `session_id`, event `"persisted"`, with a dict of

* `number`: the version's,
* `author`: who caused the save, "" when that is not known,
* `time_s`: when it was stored, in seconds since 1970 by the synchronizer's clock,
* `size_bytes`: of the data; 0 when this replica never had it.
"""

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
