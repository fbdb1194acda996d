"""Does a model behave the same in every kernel? One log, three replicas, compared after every step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeAlias

from msq_jupyter import protocol
from msq_jupyter.errors import ArgumentError
from msq_jupyter.runtime.differences import first_difference, twin_of
from msq_jupyter.runtime.happenings import HandlerFailed
from msq_jupyter.runtime.link import LinkedCode
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.runtime.snapshot import pack_value
from msq_jupyter.stable import check_json, content_bytes, content_value
from msq_jupyter.testing.faults import HandlerRaised, NotConverged
from msq_jupyter.testing.plan import code_of

#: What happens: (scope, event), (scope, event, data), a function that is given the root model as cells have it and
#: calls its operations, or a number of milliseconds that pass.
Step: TypeAlias = "tuple[str, str] | tuple[str, str, Any] | Callable[[Any], object] | float"

_RUN, _SESSION, _VIEW = "run", "session", "ada"


def check_determinism(
    model: type[Model],
    events: Iterable[Step],
    *,
    options: Mapping[str, Any] | None = None,
    persisted: Any = None,
) -> Any:
    """Run a model three times over one log, and compare the whole state after every step.

    The first replica just runs. The second one runs again, time coming to it in other portions: it differs when the
    code depends on the clock, on real randomness, on `id()`, or on what is outside the model. The third one is made
    from a snapshot before every step: it differs when the code depends on what no snapshot holds, such as `transient`
    attributes or the order of a set.

    Args:
        model: the root model's class.
        events: what happens, in order: `("poll", "vote", "yes")` publishes, `lambda model: model.vote("yes")` calls an
            operation, `500` lets so many milliseconds pass.
        options: what `init` is given.
        persisted: what `init` is given as saved data, for example what an older version of the code saved.

    Returns:
        The root model at the end, to read.

    Raises:
        NotConverged: names the path that differs first, both values, and the step.
        HandlerRaised: a method of the model raised.
        StateError: the model holds something that cannot be replicated; names the path.
        PersistenceTypeError: `persisted` is not JSON.
        ArgumentError: a step is none.
    """
    code = code_of(model).linked
    first, again, restored = (_Bench(code, options or {}, persisted) for _ in range(3))
    _compare("init", first, again, restored)
    for number, step in enumerate([None, *events]):
        what = "the participant joins" if step is None else f"step {number}, {step!r}"
        restored.restore()
        work = _work(step, first)
        for bench in (first, again, restored):
            bench.take(work, halves=bench is again)
        _compare(what, first, again, restored)
    return first.replica.outside.root


_Work: TypeAlias = "list[Callable[[_Bench], protocol.Entry]] | float"


class _Bench:
    """One replica, fed by hand."""

    def __init__(self, code: LinkedCode, options: Mapping[str, Any], persisted: Any) -> None:
        self.replica = Replica(_SESSION, _RUN, code.models, value_types=code.value_types, originals=code.originals)
        self.time_ms = 0.0
        self.counter = 0
        data = None
        if persisted is not None:
            check_json(persisted, "persisted")
            data = content_value(content_bytes(persisted))
        self.replica.start(code.root, dict(options), data)

    def restore(self) -> None:
        """Become a replica made from its own snapshot."""
        self.replica = twin_of(self.replica, self.replica.snapshot())

    def sent_by(self, step: Callable[[Any], object]) -> list[bytes]:
        """The payloads of the events that a function sends which is given the root model."""
        sent: list[bytes] = []
        outside = self.replica.outside
        outside.send = lambda payload, _: sent.append(payload)
        try:
            step(outside.root)
        finally:
            outside.send = None
        return sent

    def take(self, work: _Work, *, halves: bool) -> None:
        """Do a step; `halves` lets time pass in two portions."""
        if isinstance(work, list):
            for entry in work:
                self.time_ms += 1.0
                self.replica.apply(entry(self))
        else:
            if halves:
                self.replica.advance(self.time_ms + work / 2)
            self.time_ms += work
            self.replica.advance(self.time_ms)
        for happening in self.replica.happenings:
            if isinstance(happening, HandlerFailed):
                error = happening.error
                raise HandlerRaised(
                    f"{happening.model}.{happening.method} raised {type(error).__name__}: {error}"
                ) from error
        self.replica.happenings.clear()


def _work(step: Step | None, first: _Bench) -> _Work:
    if step is None:
        return [_joining]
    if callable(step):
        # Called once: what a cell does may depend on chance, what the model does with it may not.
        return [partial(_event, payload=payload) for payload in first.sent_by(step)]
    if isinstance(step, tuple) and len(step) in (2, 3) and all(isinstance(part, str) for part in step[:2]):
        scope, event, *data = step
        payload = first.replica.encode_publication(scope, event, data[0] if data else None)
        return [partial(_event, payload=payload)]
    if isinstance(step, int | float) and step >= 0:
        return float(step)
    raise ArgumentError(
        "events: expected (scope, event), (scope, event, data), a function that is given the model, or milliseconds, "
        f"got {step!r}"
    )


def _joining(bench: _Bench) -> protocol.Entry:
    card = pack_value({"label": _VIEW, "view_data": None}, "card")
    return protocol.Membership(bench.replica.seq + 1, bench.time_ms, [], [(_VIEW, card)])


def _event(bench: _Bench, payload: bytes) -> protocol.Entry:
    bench.counter += 1
    return protocol.Event(bench.replica.seq + 1, bench.time_ms, _VIEW, bench.counter, payload)


def _compare(what: str, first: _Bench, again: _Bench, restored: _Bench) -> None:
    for other, why in (
        (again, "run twice, the code does not do the same: it depends on a clock, on chance, or on the kernel"),
        (restored, "after a restore the code does not do the same: it depends on what no snapshot holds"),
    ):
        difference = first_difference(first.replica, other.replica)
        if difference:
            path, mine, theirs = difference
            raise NotConverged(f"{path} differs after {what}: {mine} and then {theirs}; {why}", path)
