"""What each participant has of their own, for all to see; and a chat."""

from __future__ import annotations

from typing import Any

from msq_jupyter.ready.shared import Ready
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.operation import operation

#: How many people who left are remembered.
AWAY_MAX = 1000


class PerUser(Model):
    """A value for each participant: cursors, raised hands, a slider of one's own.

    `self.speed = PerUser.create({"default": 1})` in the `init` of another model; `session.link((slider, "value"),
    "speed", scope="user")` or `session.model.speed.set(3)` in a cell.

    A value stays while its participant is in the session, short losses of the connection included. Who leaves is not in
    `values` any more; the value is kept under their name and is theirs again when they come back, with another kernel,
    too. With `keep=False`, for cursors and the like, it is forgotten.

    Options: `default`, what a participant has before setting anything, None unless given; `keep`, True unless given.

    Attributes:
        values: by view id, of those who are here and have set one.
        names: by view id, the names of those.
        away: by name, of those who left.
    """

    def init(self, options: Any, persisted: Any = None) -> None:
        """Begin with the options, and with what was saved."""
        options = options or {}
        self.default = options.get("default")
        self.keep = options.get("keep", True)
        self.values: dict[str, Any] = {}
        self.names: dict[str, str] = {}
        self.away = dict(persisted["values"]) if persisted else {}
        self.subscribe(self.session_id, "view-join", self._came)
        self.subscribe(self.session_id, "view-exit", self._went)

    def to_save_data(self) -> dict[str, Any]:
        """What a root may save of it: the values by name."""
        here = {self.names.get(view_id, view_id): value for view_id, value in self.values.items()}
        return {"values": {**self.away, **here}}

    def value_of(self, view_id: str) -> Any:
        """The value of a participant."""
        return self.values.get(view_id, self.default)

    @operation
    def set(self, value: Any) -> None:
        """Set one's own value."""
        self.values[self.event_view_id] = value
        self.link_changed("values")

    def link_changed(self, path: str) -> None:
        """A participant has set a value."""
        if self.event_view_id in self.values:
            self.names[self.event_view_id] = self.view_label(self.event_view_id) or self.event_view_id

    def _came(self, _: Any) -> None:
        view_id = self.event_view_id
        name = self.view_label(view_id) or view_id
        if name in self.away:
            self.values[view_id] = self.away.pop(name)
            self.names[view_id] = name

    def _went(self, _: Any) -> None:
        view_id = self.event_view_id
        name = self.names.pop(view_id, view_id)
        if view_id in self.values:
            value = self.values.pop(view_id)
            if self.keep:
                self.away[name] = value
                while len(self.away) > AWAY_MAX:
                    del self.away[next(iter(self.away))]


class Chat(Ready):
    """Messages: `session.model.post("Hello")`, `session.model.messages`.

    Options: `limit`, how many are kept, 1000 unless given.

    Attributes:
        messages: oldest first, each a dict with `number`, `name` (of the author), `view_id`, `text` and `time_ms`
            (session time).
    """

    def defaults(self, options: Any) -> None:
        """Begin with the options."""
        self.limit = (options or {}).get("limit", 1000)
        self.messages: list[Any] = []
        self.next_number = 1

    def to_save_data(self) -> dict[str, Any]:
        """What outlives the code."""
        return {"limit": self.limit, "messages": self.messages, "next_number": self.next_number}

    def from_save_data(self, data: Any) -> None:
        """Begin with what was saved."""
        self.limit, self.messages, self.next_number = data["limit"], data["messages"], data["next_number"]

    @operation
    def post(self, text: Any) -> None:
        """Say something, under one's own name."""
        author = self.event_view_id
        self.messages.append(
            {
                "number": self.next_number,
                "name": self.view_label(author),
                "view_id": author,
                "text": str(text),
                "time_ms": self.now(),
            }
        )
        self.next_number += 1
        del self.messages[: max(len(self.messages) - self.limit, 0)]
        self.changed()
