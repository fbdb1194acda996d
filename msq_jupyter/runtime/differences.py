"""Where two replicas differ first, by name and with both values. Pure."""

from __future__ import annotations

import dataclasses
from collections import Counter
from types import MethodType
from typing import Any, NamedTuple, TypeAlias

import msgspec

from msq_jupyter.runtime.model import FutureHandle, Model
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.runtime.state import differing_models
from msq_jupyter.stable import path_text

_SHOWN_CHARACTERS = 200
_MISSING = object()

_Found: TypeAlias = "tuple[list[str | int], Any, Any]"


class Difference(NamedTuple):
    """The first place at which two replicas differ, and what is there as text, shortened when it is long.

    `path` is for example `Poll.votes.yes`, or `Leaf#M17.size` when there is more than one model of the class.
    """

    path: str
    mine: str
    theirs: str


def twin_of(replica: Replica, snapshot: bytes) -> Replica:
    """Another replica with the code of this one, made from a snapshot."""
    twin = Replica(replica.session_id, replica.run, replica.classes, value_types=replica.value_types.kinds())
    twin.restore(snapshot)
    return twin


def first_difference(one: Replica, other: Replica) -> Difference | None:
    """The first place at which two replicas of one session differ.

    Args:
        one: a replica.
        other: another one.

    Returns:
        The first difference; None when their snapshots are equal byte for byte.
    """
    mine, theirs = one.snapshot(), other.snapshot()
    return None if mine == theirs else _locate(one, mine, other, theirs)


def difference_of_snapshots(replica: Replica, mine: bytes, theirs: bytes) -> Difference | None:
    """The first place at which two snapshots of one session differ; None when they are equal.

    Args:
        replica: any replica of the session, for its code; it is not touched.
        mine: a snapshot.
        theirs: another one.

    Raises:
        SealBroken: not snapshots of this session's code.
    """
    if mine == theirs:
        return None
    return _locate(twin_of(replica, mine), mine, twin_of(replica, theirs), theirs)


def _locate(one: Replica, mine: bytes, other: Replica, theirs: bytes) -> Difference:
    # Walking is slow, so only through the models whose bytes differ, if that is where the difference is.
    suspects = set(differing_models(mine, theirs))
    found = _Comparison().compare(_models(one, suspects), _models(other, suspects), []) if suspects else None
    if found is None:
        found = _Comparison().compare(_state(one), _state(other), [])
    if found is None:
        where = next(iter(_models(one, suspects)), "snapshot")
        return Difference(where, "the same values", "the same values, with other things in common")
    parts, my_value, their_value = found
    path = path_text(str(parts[0]), parts[1:]) if parts else "snapshot"
    return Difference(path, _text(my_value), _text(their_value))


def _models(replica: Replica, wanted: set[str] | None = None) -> dict[str, Any]:
    """The attributes of models by the models' names."""
    counts = Counter(type(model).__qualname__ for model in replica.models.values())
    models = [model for model in replica.models.values() if wanted is None or model.id in wanted]
    kinds = [type(model).__qualname__ for model in models]
    return {
        kind if counts[kind] == 1 else f"{kind}#{model.id}": _attributes(model)
        for kind, model in zip(kinds, models, strict=True)
    }


def _state(replica: Replica) -> dict[str, Any]:
    """Everything in a snapshot by name, what authors know first."""
    return {
        **_models(replica),
        "models": list(replica.models.values()),
        "next model": replica.next_model,
        "well known": replica.well_known,
        "subscriptions": [(entry.scope, entry.event, entry.owner_id, entry.handler) for entry in replica.topics],
        "future": [msgspec.structs.astuple(message) for message in replica.schedule.messages()],
        "random stream": replica.random.state,
        "views": replica.views,
        "counters": replica.counters,
        "saves": [replica.save_count, replica.content_id, [*map(repr, replica.saves)], repr(replica.last_save)],
        "restores": {view_id: repr(restore) for view_id, restore in replica.restores.items()},
        "options": replica.options,
        "seq": replica.seq,
        "time_ms": replica.time_ms,
    }


def _attributes(model: Model) -> dict[str, Any]:
    return {name: value for name, value in model.__dict__.items() if name not in model.transient}


class _Comparison:
    """One walk over two values at once."""

    def __init__(self) -> None:
        self._met: set[tuple[int, int]] = set()

    def compare(self, one: Any, other: Any, path: list[str | int]) -> _Found | None:
        """The first difference below a path, or None."""
        if type(one) is not type(other):
            return path, one, other
        mine, theirs = _parts(one), _parts(other)
        if mine is None or theirs is None:
            return None if _leaf(one) == _leaf(other) else (path, one, other)
        if (id(one), id(other)) in self._met:
            return None
        self._met.add((id(one), id(other)))
        for key in [*mine, *(key for key in theirs if key not in mine)]:
            found = self.compare(mine.get(key, _MISSING), theirs.get(key, _MISSING), [*path, key])
            if found:
                return found
        return None if list(mine) == list(theirs) else (path, list(mine), list(theirs))


def _parts(value: Any) -> dict[str | int, Any] | None:
    """What a value consists of, by key; None for one without parts."""
    if isinstance(value, dict):
        return {key if type(key) in (str, int) else repr(key): item for key, item in value.items()}
    if isinstance(value, list | tuple):
        return dict(enumerate(value))
    if isinstance(value, set | frozenset):
        return {f"{{{text}}}": text for text in sorted(map(_text, value))}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {part.name: getattr(value, part.name, _MISSING) for part in dataclasses.fields(value)}
    return None


def _leaf(value: Any) -> Any:
    """Something to compare: `==` takes True for 1, 0.0 for -0.0, and nan for something else."""
    if hasattr(value, "tobytes"):  # an array of NumPy
        return value.dtype.str, getattr(value, "shape", ()), value.tobytes()
    return repr(value) if isinstance(value, float) else _whole_text(value)


def _whole_text(value: Any) -> str:
    if value is _MISSING:
        return "nothing"
    if isinstance(value, MethodType):
        return f"{value.__self__!r}.{value.__name__}"
    if isinstance(value, FutureHandle):
        return f"<future message {value.handle_id} at {value.time} ms>"
    return repr(value)


def _text(value: Any) -> str:
    text = _whole_text(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
