"""Restoring a version: an event that replaces the root model, on every replica at the same moment.

The event carries the content, in parts that fit into events, so that executing the log needs nothing else:

    ["restore", restore_id, part, parts, number, content_id, some of the content, path]

A view's parts come one after the other. What is not whole yet is part of the state, so that who joins in between
executes the last part like everybody else. At the last part

1. the root saves what is there, if it has a method `save`; that becomes a version of its own;
2. all models, future messages and subscriptions go, and a new root is made as when a session starts:
   `init(options, persisted)`. Views, time, the random stream and the ids of models go on. Who is there already does not
   join again: `init` finds them in `view_count`;
3. the content is saved as a version of its own, which takes the head.

With a path, see `json_path`, only what is there in the version takes its place in what the root saved in the first
step: in that very event, so that nothing others did before is lost.

If `init` raises, everything is as it was after the first step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from msq_jupyter import protocol
from msq_jupyter.errors import ContentTooLarge, ProtocolError
from msq_jupyter.json_path import cut, transplanted
from msq_jupyter.runtime.happenings import RestoreFailed, RootReplaced
from msq_jupyter.runtime.model import has_method
from msq_jupyter.runtime.pubsub import TopicTable
from msq_jupyter.runtime.saves import PartialRestore, SaveQueue
from msq_jupyter.runtime.saving import WAITING_SAVES_MAX, collected
from msq_jupyter.runtime.snapshot import pack, read_value
from msq_jupyter.stable import bytes_digest, check_json, content_bytes, content_value

if TYPE_CHECKING:
    from msq_jupyter.runtime.replica import Replica

#: How much content one event carries; what stands around it in the event fits beside.
PART_BYTES = protocol.EVENT_PLAIN_BYTES_MAX - 20 * 1024
PARTS_MAX = -(-protocol.CONTENT_BYTES_MAX // PART_BYTES)
#: Longest path of what is restored, in characters.
PATH_CHARACTERS_MAX = 4_000

#: What of a replica is another one after a restore, or the same again if `init` raises.
_REPLACED = ("models", "well_known", "topics", "schedule", "next_model", "saves", "save_count", "content_id")

_Id = Annotated[str, msgspec.Meta(max_length=64)]


class _Part(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The event, as it is in the log."""

    kind: str
    restore_id: _Id
    part: Annotated[int, msgspec.Meta(ge=0)]
    parts: Annotated[int, msgspec.Meta(ge=1, le=PARTS_MAX)]
    number: Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
    content_id: _Id
    content: bytes
    path: Annotated[str, msgspec.Meta(max_length=PATH_CHARACTERS_MAX)] = ""


def encode_restore(restore_id: str, number: int, content: bytes, path: str = "") -> list[bytes]:
    """The payloads of the events that restore a version.

    Args:
        restore_id: not used before by this view, up to 64 characters.
        number: of the version, for people.
        content: canonical bytes of its data, see `stable.content_bytes`.
        path: of what is restored, "" for all of it.
    """
    parts = [content[start : start + PART_BYTES] for start in range(0, len(content), PART_BYTES)]
    content_id = bytes_digest(content)
    return [
        pack(["restore", restore_id, place, len(parts), number, content_id, part, path])
        for place, part in enumerate(parts)
    ]


def run_restore(replica: Replica, fields: list[Any]) -> None:
    """Execute an event of kind "restore"."""
    view_id = replica.event_view_id
    try:
        part = msgspec.convert(fields, _Part)
        partial = _collected(replica, part)
        if len(partial.content) < partial.parts:
            return
        replica.restores.pop(view_id)
        content = b"".join(partial.content)
        _replace_root(replica, partial, content, _checked_value(partial, content))
    except KeyboardInterrupt:
        raise  # the user's, and on this replica only
    except BaseException as error:  # of what came, or of the root's `save`
        replica.restores.pop(view_id, None)
        restore_id = str(fields[1]) if len(fields) > 1 else ""
        replica.happenings.append(RestoreFailed("session", "restore, dropped", error, view_id, restore_id))


def _collected(replica: Replica, part: _Part) -> PartialRestore:
    """What has come of a restore with its newest part."""
    view_id = replica.event_view_id
    partial = replica.restores.get(view_id)
    if part.part == 0:  # a new one; what the view began before will not be whole any more
        partial = PartialRestore(part.restore_id, part.parts, part.number, part.content_id, [], part.path)
    expected = partial and [
        *(partial.restore_id, len(partial.content), partial.parts),
        *(partial.number, partial.content_id, partial.path),
    ]
    found = [part.restore_id, part.part, part.parts, part.number, part.content_id, part.path]
    if partial is None or expected != found:
        raise ProtocolError(
            f"expected the parts of a restore in order, got part {part.part + 1} of {part.parts} of "
            f"{part.restore_id!r}, version {part.number}, after {expected}: restore the version again"
        )
    size = sum(map(len, partial.content)) + len(part.content)
    if size > protocol.CONTENT_BYTES_MAX:
        raise ContentTooLarge("the restored data", size, protocol.CONTENT_BYTES_MAX)
    partial.content.append(part.content)
    replica.restores[view_id] = partial
    return partial


def _checked_value(partial: PartialRestore, content: bytes) -> Any:
    """The data that is restored; it may come from anybody who has the key."""
    if bytes_digest(content) != partial.content_id:
        raise ProtocolError(f"expected the content of version {partial.number}, got bytes with another digest")
    try:
        value = content_value(content)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ProtocolError(f"expected the content of version {partial.number}, got what does not decode") from error
    check_json(value)
    if type(value) not in (dict, list) or content_bytes(value) != content:
        raise ProtocolError(f"expected the content of version {partial.number}, got what nobody can have saved")
    return value


def with_path(now: Any, version: Any, path: str, number: int) -> Any:
    """The data as it is now, with what a version has at a path; raises ArgumentError when one of them has no place."""
    return transplanted(now, version, path, target_name="the data as it is now", source_name=f"version {number}")


def _replace_root(replica: Replica, partial: PartialRestore, content: bytes, value: Any) -> None:
    if len(replica.saves) > WAITING_SAVES_MAX:
        raise ProtocolError(
            f"version {partial.number} was not restored: {len(replica.saves)} saves wait to be stored; wait until "
            "they are, and restore it again"
        )
    view_id, root = replica.event_view_id, replica.root
    if partial.path:
        content = content_bytes(with_path(content_value(collected(replica)), value, partial.path, partial.number))
        value = content_value(content)
        if len(content) > protocol.CONTENT_BYTES_MAX:
            raise ContentTooLarge("the restored data", len(content), protocol.CONTENT_BYTES_MAX)
    elif has_method(root, "save"):
        replica.call(root, "save")
    before = {name: getattr(replica, name) for name in _REPLACED}
    random_state = replica.random.state
    replica.saves = SaveQueue(replica.saves)
    replica.saves.keep()
    what = f"{cut(partial.path)} " if partial.path else ""
    label = f"{what}restored from version {partial.number}"
    replica.want_saved(content, bytes_digest(content), view_id, label=label, kept=True, takes_head=True)
    replica.models, replica.well_known, replica.topics = {}, {}, TopicTable()
    replica.schedule = replica.schedule.emptied()
    try:
        type(root).create(read_value(replica.options, replica), value)
        replica.snapshot()
    except KeyboardInterrupt:
        raise  # the user's, and on this replica only
    except BaseException as error:
        for name, value in before.items():
            setattr(replica, name, value)
        replica.random.state = random_state
        kind = type(root).__qualname__
        replica.happenings.append(RestoreFailed(kind, "init", error, view_id, partial.restore_id))
    else:
        replica.happenings.append(RootReplaced(partial.number, view_id, partial.restore_id))
    finally:
        replica.moves += 1
