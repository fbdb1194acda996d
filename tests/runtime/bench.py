"""A replica on the bench: entries go in, one after the other, as the log would bring them."""

from __future__ import annotations

from typing import Any

from msq_jupyter import protocol
from msq_jupyter.runtime.happenings import HandlerFailed
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.runtime.snapshot import pack_value


class Bench:
    """One replica and the log it is fed."""

    def __init__(
        self,
        *models: type[Model],
        options: Any = None,
        persisted: Any = None,
        start: bool = True,
        value_types: tuple[type, ...] = (),
    ) -> None:
        self.models = models
        self.value_types = {kind.__qualname__: kind for kind in value_types}
        self.log: list[protocol.Entry] = []
        self.time_ms = 0.0
        self.counters: dict[str, int] = {}
        self.replica = self.new_replica()
        if start:
            self.replica.start(models[0], options, persisted)

    def new_replica(self) -> Replica:
        classes = {model.__qualname__: model for model in self.models}
        return Replica("session", "run", classes, value_types=self.value_types)

    @property
    def root(self) -> Any:
        return self.replica.root

    def feed(self, entry: protocol.Entry) -> None:
        self.log.append(entry)
        assert self.replica.apply(entry)

    def publish(self, scope: str, event: str, data: Any = None, *, view: str = "ada", after_ms: float = 1) -> None:
        self.time_ms += after_ms
        self.counters[view] = self.counters.get(view, 0) + 1
        payload = self.replica.encode_publication(scope, event, data)
        self.feed(protocol.Event(self.replica.seq + 1, self.time_ms, view, self.counters[view], payload))

    def assign(self, attribute: str, value: Any, *, view: str = "ada") -> None:
        self.counters[view] = self.counters.get(view, 0) + 1
        payload = self.replica.encode_assignment(self.root.id, attribute, value)
        self.feed(protocol.Event(self.replica.seq + 1, self.time_ms, view, self.counters[view], payload))

    def members(self, exits: list[str] = (), joins: dict[str, Any] | None = None) -> None:
        cards = [(v, pack_value({"label": v, "view_data": data}, "")) for v, data in (joins or {}).items()]
        self.feed(protocol.Membership(self.replica.seq + 1, self.time_ms, list(exits), cards))

    def saved(self, save_id: str, number: int, view: str = "ada") -> None:
        self.feed(protocol.Saved(self.replica.seq + 1, self.time_ms, save_id, number, view, 1.5))

    def advance(self, by_ms: float) -> None:
        self.time_ms += by_ms
        assert self.replica.advance(self.time_ms)

    def failures(self) -> list[str]:
        return [
            f"{h.model}.{h.method}: {type(h.error).__name__}: {h.error}"
            for h in self.replica.happenings
            if isinstance(h, HandlerFailed)
        ]

    def twin(self) -> Replica:
        """A replica restored from this one's snapshot."""
        replica = self.new_replica()
        replica.restore(self.replica.snapshot())
        return replica
