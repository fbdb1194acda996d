"""A replica's whole state as one document, and back. Equal replicas give equal bytes.

Order is state: of models, of a model's attributes, of the keys of dicts, of sets, of subscriptions. Nothing is sorted,
except the elements of built-in sets, which have no order of their own.

What the document says of the replica itself is read into typed fields. Everything models hold is in `values`, which
`snapshot` writes and reads: the attributes of each model, then the arguments of each future message, then view data.
"""

from __future__ import annotations

import gc
import math
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from msq_jupyter.errors import SealBroken, StateError
from msq_jupyter.runtime.model import ID_SLOT, REPLICA_SLOT, Model, new_model, set_attributes
from msq_jupyter.runtime.saves import LastSave, PartialRestore, PendingSave, SaveQueue
from msq_jupyter.runtime.schedule import FutureMessage
from msq_jupyter.runtime.snapshot import Reader, Writer
from msq_jupyter.stable import DEPTH_MAX

if TYPE_CHECKING:
    from msq_jupyter.runtime.replica import Replica

FORMAT = 3

_Count = Annotated[int, msgspec.Meta(ge=0)]
_RandomState = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
#: The model's `__dict__`, whatever its class says about attributes.
_dict_of: Callable[[Model], dict[str, Any]] = vars(Model)["__dict__"].__get__
#: What a model has in other places than its `__dict__`.
_OWN_NAMES = frozenset(("id", REPLICA_SLOT, ID_SLOT))


class _Any(msgspec.Struct):
    """What documents of all formats have in common."""

    format: int


class _State(msgspec.Struct):
    """The document. Field by field what `Replica` says; `kinds` are places in `classes`, one for each of `models`."""

    format: int
    seq: _Count
    time_ms: float
    models: list[str]
    classes: list[str]
    kinds: list[_Count]
    next_model: _Count
    well_known: dict[str, str]
    topics: list[tuple[str, str, str, str]]
    future: list[tuple[int, float, int, float, str, str]]
    future_counters: tuple[int, int]
    random: _RandomState
    views: list[str]
    counters: dict[str, _Count]
    save_count: _Count
    content_id: str
    saves: list[PendingSave]
    restores: dict[str, PartialRestore]
    options: bytes
    last_save: LastSave | None
    values: bytes
    rushed: tuple[_Count, _Count] = (0, 0)


@contextmanager
def _collector_waits() -> Iterator[None]:
    """Keep the garbage collector from looking again and again through what is only now being made, in vain."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@_collector_waits()
def write_state(replica: Replica) -> bytes:
    """The document.

    Raises:
        StateError: names the path of a value that cannot be stored.
    """
    models = list(replica.models.values())
    messages = replica.schedule.messages()
    kinds = [*map(type, models)]
    classes = {kind: place for place, kind in enumerate(dict.fromkeys(kinds))}
    values = [*(message.args for message in messages), *replica.views.values()]

    def root(place: int) -> str:
        if place < len(models):
            return type(models[place]).__qualname__
        if place < len(models) + len(messages):
            message = messages[place - len(models)]
            return f"future message {type(replica.models.get(message.model_id)).__qualname__}.{message.method}"
        return "view data"

    packed = _write_values(replica, models, values, root)
    return msgspec.msgpack.encode(
        _State(
            format=FORMAT,
            seq=replica.seq,
            time_ms=replica.time_ms,
            models=list(replica.models),
            classes=[replica.class_keys[kind] for kind in classes],
            kinds=[*map(classes.__getitem__, kinds)],
            next_model=replica.next_model,
            well_known={name: model.id for name, model in replica.well_known.items()},
            topics=[(entry.scope, entry.event, entry.owner_id, entry.handler) for entry in replica.topics],
            future=[(m.handle_id, m.time_ms, m.order, m.every_ms, m.model_id, m.method) for m in messages],
            future_counters=(replica.schedule.next_handle_id, replica.schedule.next_order),
            random=replica.random.state,
            views=list(replica.views),
            counters=replica.counters,
            save_count=replica.save_count,
            content_id=replica.content_id,
            saves=replica.saves,
            restores=replica.restores,
            options=replica.options,
            last_save=replica.last_save,
            values=packed,
            rushed=replica.schedule.rushed,
        )
    )


def write_models(replica: Replica, models: list[Model]) -> bytes:
    """The attributes of some models; equal ones of equal replicas give equal bytes.

    Raises:
        StateError: names the path of a value that cannot be stored.
    """
    return _write_values(replica, models, [], lambda place: type(models[place]).__qualname__)


def differing_models(one: bytes, other: bytes) -> list[str]:
    """Ids of models whose own bytes differ in two documents; empty when it is something else that differs.

    Raises:
        SealBroken: not documents.
    """
    try:
        states = [msgspec.msgpack.decode(document, type=_State) for document in (one, other)]
        mine, theirs = (msgspec.msgpack.decode(state.values, type=list[msgspec.Raw]) for state in states)
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise SealBroken(f"a snapshot does not decode: {error}") from error
    if states[0].models != states[1].models:
        return []
    return [
        name
        for name, row, other_row in zip(states[0].models, mine, theirs, strict=False)
        if bytes(row) != bytes(other_row)
    ]


def _write_values(replica: Replica, models: list[Model], others: list[Any], root: Callable[[int], str]) -> bytes:
    """The attributes of models, then other values."""
    attributes = _attributes(models)
    if not all(map(_is_plain, set().union(*attributes))):
        _refuse_names(models)
    # The attributes of a model are a level of their own.
    return Writer(replica, DEPTH_MAX + 1).write_all([*attributes, *others], root, named=len(models))


@_collector_waits()
def read_state(replica: Replica, document: bytes) -> None:
    """Fill a new replica from a document. No code of the models runs.

    Raises:
        SealBroken: not a state of this session's code.
    """
    try:
        found = msgspec.msgpack.decode(document, type=_Any).format
        if found != FORMAT:
            raise SealBroken(f"expected a snapshot of format {FORMAT}, got {found}")
        _fill(replica, msgspec.msgpack.decode(document, type=_State))
    except (LookupError, TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise SealBroken(f"a snapshot does not fit this session's code: {type(error).__name__}: {error}") from error


def _fill(replica: Replica, state: _State) -> None:
    replica.seq, replica.time_ms = state.seq, _time(state.time_ms)
    _make_models(replica, state)
    values = Reader(replica).read_all(state.values, len(state.models) + len(state.future) + len(state.views))
    _set_attributes(replica, values)
    _restore_schedule(replica, state, values[len(state.models) :])
    replica.views = dict(zip(state.views, values[len(state.models) + len(state.future) :], strict=True))
    replica.next_model = state.next_model
    replica.well_known = {name: replica.models[model_id] for name, model_id in state.well_known.items()}
    for scope, event, model_id, method in state.topics:
        _check_method(replica.models[model_id], method)
        replica.topics.add(scope, event, model_id, method)
    replica.random.state = state.random
    replica.counters = state.counters
    replica.save_count, replica.content_id = state.save_count, state.content_id
    replica.saves, replica.last_save = SaveQueue(state.saves), state.last_save
    replica.restores, replica.options = state.restores, state.options


def _make_models(replica: Replica, state: _State) -> None:
    """All models, still without attributes, because they refer to each other."""
    classes = [replica.classes[key] for key in state.classes]
    for model_id, kind in zip(state.models, state.kinds, strict=True):
        replica.models[model_id] = new_model(classes[kind], replica, model_id)
    if len(replica.models) != len(state.models):
        raise ValueError("two models have one id")


def _set_attributes(replica: Replica, values: list[Any]) -> None:
    rows = values[: len(replica.models)]
    strange = set(map(type, rows)) - {dict}
    if strange:
        raise TypeError(f"expected the attributes of each model, got {strange.pop().__name__}")
    wrong = [name for name in set().union(*rows) if not _is_plain(name)]
    if wrong:
        raise ValueError(f"no model has an attribute {wrong[0]!r}")
    deque(map(set_attributes, replica.models.values(), rows), maxlen=0)


def _restore_schedule(replica: Replica, state: _State, values: list[Any]) -> None:
    messages = []
    for (handle_id, time_ms, order, every_ms, model_id, method), args in zip(state.future, values, strict=False):
        _check_method(replica.models[model_id], method)
        if type(args) is not tuple:
            raise TypeError(f"expected the arguments of {method}, got {type(args).__name__}")
        messages.append(FutureMessage(handle_id, _time(time_ms), order, _time(every_ms), model_id, method, args))
    replica.schedule.restore(messages, *state.future_counters, state.rushed)


def _check_method(model: Model, name: str) -> None:
    """Let a handler's name pass that live code could have given, without running any of it."""
    if name.startswith("__") or not any(name in vars(kind) for kind in type(model).__mro__):
        raise ValueError(f"{type(model).__qualname__} has no method {name!r}")


def _time(time_ms: float) -> float:
    if not math.isfinite(time_ms) or time_ms < 0:
        raise ValueError(f"{time_ms} is no time")
    return time_ms


def _attributes(models: list[Model]) -> list[dict[str, Any]]:
    """What each model holds, without what is not state."""
    kinds: set[type[Model]] = set(map(type, models))
    left_out = {kind: set(kind.transient) for kind in kinds if kind.transient}
    everything = [*map(_dict_of, models)]
    if left_out:
        # Here and not later: what only such an attribute shares is not shared after a restore.
        for place, model in enumerate(models):
            names = left_out.get(type(model))
            if names:
                everything[place] = {name: value for name, value in everything[place].items() if name not in names}
    return everything


def _refuse_names(models: list[Model]) -> None:
    """Say which attribute has a name that no restored model can have."""
    model, name = next((model, name) for model in models for name in _dict_of(model) if not _is_plain(name))
    place = f"{type(model).__qualname__}.{name}"
    raise StateError(f"{place}: cannot store an attribute of this name: use another one", path=place)


def _is_plain(name: object) -> bool:
    """Whether a name may be that of a model's attribute: those with two underscores first are Python's."""
    return type(name) is str and not name.startswith("__") and name not in _OWN_NAMES
