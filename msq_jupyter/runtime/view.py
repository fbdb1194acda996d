"""`View` and the events of one kernel's views.

Views belong to one kernel: what they hear from the model is local, what they publish goes to everybody.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from msq_jupyter.errors import SubscriptionError
from msq_jupyter.runtime.pubsub import TopicTable, check_topic

logger = logging.getLogger("msq_jupyter")

Handling = Literal["queued", "once_per_frame", "immediate"]
_HANDLINGS = ("queued", "once_per_frame", "immediate")


@dataclass(frozen=True)
class Listener:
    """A handler of a view and when it is called."""

    call: Callable[..., Any]
    handling: Handling


class ViewEvents:
    """Subscriptions of one kernel's views, and what waits for the next frame.

    Attributes:
        topics: which handler of which view hears what.

    Order within a frame: queued events as they came, then the last one of each once-per-frame subscription.
    """

    def __init__(self) -> None:
        self.topics: TopicTable[Listener] = TopicTable()
        self._queued: list[tuple[Any, Any]] = []
        self._latest: dict[Any, Any] = {}

    def subscribe(
        self, owner_id: str, scope: str, event: str, handler: Callable[..., Any], handling: Handling = "queued"
    ) -> None:
        """Have `handler` called with the data of each publication on a topic.

        Raises:
            SubscriptionError: not a topic, not callable, or an unknown way of handling.
        """
        check_topic(scope, event)
        if not callable(handler):
            raise SubscriptionError(f"subscribe: expected something to call for {scope}:{event}, got {handler!r}")
        if handling not in _HANDLINGS:
            raise SubscriptionError(f"subscribe: expected handling to be one of {_HANDLINGS}, got {handling!r}")
        self.topics.add(scope, event, owner_id, Listener(handler, handling))

    def unsubscribe(self, owner_id: str, scope: str, event: str, handler: Callable[..., Any] | None = None) -> None:
        """End the subscriptions of an owner on a topic, all or those of one handler."""
        check_topic(scope, event)
        for entry in self.topics.find(scope, event, owner_id):
            if handler is None or entry.handler.call == handler:
                self.topics.discard(entry)

    def unsubscribe_all(self, owner_id: str) -> None:
        """End all subscriptions of an owner."""
        for entry in self.topics.owned_by(owner_id):
            self.topics.discard(entry)

    def wanted(self, scope: str, event: str) -> bool:
        """Whether anybody listens."""
        return bool(self.topics.hearers[scope, event])

    def publish(self, scope: str, event: str, data: Any) -> None:
        """Call immediate handlers now and note the others for the next frame."""
        for entry in self.topics.hearers[scope, event]:
            if entry.handler.handling == "immediate":
                self._call(entry, data)
            elif entry.handler.handling == "queued":
                self._queued.append((entry, data))
            else:
                self._latest[entry] = data

    def run_frame(self) -> None:
        """Call what waits, and what is queued meanwhile."""
        while self._queued:
            queued, self._queued = self._queued, []
            for entry, data in queued:
                self._call(entry, data)
        latest, self._latest = self._latest, {}
        for entry, data in latest.items():
            self._call(entry, data)

    def _call(self, entry: Any, data: Any) -> None:
        if not entry.is_live:
            return  # unsubscribed since
        try:
            entry.handler.call(data)
        except KeyboardInterrupt:
            raise
        except BaseException:
            # One view's mistake must neither stop the others nor the session, nor the model that publishes just now.
            logger.exception("a view's handler of %s:%s failed", entry.scope, entry.event)


class Port(Protocol):
    """What a view needs of its session."""

    view_id: str
    session_id: str
    view_events: ViewEvents

    def publish(self, scope: str, event: str, data: Any = None) -> None:
        """Send an event to the models of all replicas, and to this kernel's views."""


class View:
    """Base class of what a kernel shows of a model. Subclasses subscribe in `__init__`.

    Args:
        model: the root model, to read.
    """

    _port: Port

    def __init__(self, model: Any) -> None:
        self.model = model

    @property
    def view_id(self) -> str:
        """This participant's id in the session."""
        return self._port.view_id

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self._port.session_id

    def publish(self, scope: str, event: str, data: Any = None) -> None:
        """Send an event to the models of all replicas, and to this kernel's views."""
        self._port.publish(scope, event, data)

    def subscribe(self, scope: str, event: str, handler: Callable[..., Any], handling: Handling = "queued") -> None:
        """Have `handler` called with the data of each publication on a topic.

        Args:
            scope: any name without ":", or "*" for all.
            event: any name, or "*" for all.
            handler: what to call.
            handling: "queued" calls it for every one, in the next frame; "once_per_frame" with the last one of a
                frame; "immediate" at once, in the middle of the model's event.
        """
        self._port.view_events.subscribe(self._owner_id, scope, event, handler, handling)

    def unsubscribe(self, scope: str, event: str, handler: Callable[..., Any] | None = None) -> None:
        """End the subscriptions on a topic, all or those of one handler."""
        self._port.view_events.unsubscribe(self._owner_id, scope, event, handler)

    def unsubscribe_all(self) -> None:
        """End all subscriptions of this view."""
        self._port.view_events.unsubscribe_all(self._owner_id)

    def update(self, time_ms: float) -> None:
        """Called on the root view once in a frame, after all handlers; override it to draw."""

    def detach(self) -> None:
        """The view's end; an override calls `super().detach()`."""
        self.unsubscribe_all()

    @property
    def _owner_id(self) -> str:
        return f"view {id(self)}"


def make_view(view_class: type[View], model: Any, port: Port) -> View:
    """An attached view; its port is there before its `__init__` runs."""
    view = view_class.__new__(view_class)
    view._port = port
    view.__init__(model)  # type: ignore[misc]  # the port must precede __init__
    return view
