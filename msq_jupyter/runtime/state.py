"""A replica's whole state as one document, and back. Equal replicas give equal bytes.

Order is state: of models, of a model's attributes, of the keys of dicts, of subscriptions. Nothing is sorted, except
the elements of sets, which have no order of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from msq_jupyter.errors import SealBroken
from msq_jupyter.runtime.model import REPLICA_ATTRIBUTE, Model
from msq_jupyter.runtime.saves import LastSave, PendingSave
from msq_jupyter.runtime.schedule import FutureMessage
from msq_jupyter.runtime.snapshot import Reader, Writer, pack, unpack

if TYPE_CHECKING:
    from msq_jupyter.runtime.replica import Replica

FORMAT = 1


def write_state(replica: Replica) -> bytes:
    """The document.

    Raises:
        StateError: names the path of a value that cannot be stored.
    """
    writer = Writer(replica)
    schedule = replica.schedule
    return pack(
        {
            "format": FORMAT,
            "seq": replica.seq,
            "time_ms": replica.time_ms,
            "models": [
                [model.id, replica.class_keys[type(model)], _attributes(writer, model)]
                for model in replica.models.values()
            ],
            "next_model": replica.next_model,
            "well_known": {name: model.id for name, model in replica.well_known.items()},
            "topics": [[entry.scope, entry.event, entry.owner_id, entry.handler] for entry in replica.topics],
            "future": [_future(writer, replica, message) for message in schedule.messages()],
            "future_counters": [schedule.next_handle_id, schedule.next_order],
            "random": replica.random.state,
            "views": [[view_id, writer.write(data, "view data")] for view_id, data in replica.views.items()],
            "counters": replica.counters,
            "saves": [replica.save_count, replica.content_id, replica.pending_save, replica.last_save],
        }
    )


def read_state(replica: Replica, document: bytes) -> None:
    """Fill a new replica from a document. No code of the models runs.

    Raises:
        SealBroken: not a state of this session's code.
    """
    state = unpack(document)
    try:
        if state["format"] != FORMAT:
            raise SealBroken(f"expected a snapshot of format {FORMAT}, got {state['format']}")
        _fill(replica, state)
    except (KeyError, TypeError, ValueError, AttributeError, msgspec.MsgspecError) as error:
        raise SealBroken(f"a snapshot does not fit this session's code: {type(error).__name__}: {error}") from error


def _fill(replica: Replica, state: dict[str, Any]) -> None:
    replica.seq, replica.time_ms = state["seq"], state["time_ms"]
    # All models first, because they refer to each other.
    for model_id, key, _ in state["models"]:
        model = object.__new__(replica.classes[key])
        model.__dict__.update({REPLICA_ATTRIBUTE: replica, "id": model_id})
        replica.models[model_id] = model
    reader = Reader(replica)
    for model_id, _, attributes in state["models"]:
        reader.read_into(replica.models[model_id].__dict__, attributes)
    replica.next_model = state["next_model"]
    replica.well_known = {name: replica.models[model_id] for name, model_id in state["well_known"].items()}
    for scope, event, model_id, method in state["topics"]:
        replica.topics.add(scope, event, model_id, method)
    messages = [FutureMessage(*[*fields, reader.read(args)]) for *fields, args in state["future"]]
    replica.schedule.restore(messages, *state["future_counters"])
    replica.random.state = state["random"]
    replica.views = {view_id: reader.read(data) for view_id, data in state["views"]}
    replica.counters = state["counters"]
    replica.save_count, replica.content_id, pending, last = state["saves"]
    replica.pending_save = None if pending is None else msgspec.convert(pending, PendingSave)
    replica.last_save = None if last is None else msgspec.convert(last, LastSave)


def _attributes(writer: Writer, model: Model) -> dict[str, Any]:
    left_out = {"id", REPLICA_ATTRIBUTE, *model.transient}
    kind = type(model).__qualname__
    return {
        name: writer.write(value, f"{kind}.{name}") for name, value in model.__dict__.items() if name not in left_out
    }


def _future(writer: Writer, replica: Replica, message: FutureMessage) -> list[Any]:
    model = replica.models.get(message.model_id)
    place = f"future message {type(model).__qualname__}.{message.method}"
    return [
        *(message.handle_id, message.time_ms, message.order, message.every_ms, message.model_id, message.method),
        writer.write(message.args, place),
    ]
