"""What a cell hears of the models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msq_jupyter.runtime.view import Handling
from msq_jupyter.session import cells
from msq_jupyter.session.part import Part


class Listening(Part):
    """The part of `SessionCore` that subscribes."""

    def subscribe(self, scope: str, event: str, handler: Callable[..., Any], handling: Handling = "queued") -> None:
        """Have `handler(data)` called when a model, or a view of this kernel, publishes on a topic.

        A cell that runs again replaces the subscriptions it made before. Of each version that is stored,
        `(session.id, "persisted")` tells a dict: its "number", "author", "time_s" since 1970, and "size_bytes" of its
        data, 0 when that is not known here.

        Args:
            scope: any name without ":", or "*" for all.
            event: any name, or "*" for all.
            handler: what to call, on the main loop.
            handling: "queued" for every one, "once_per_frame" for the last one of a frame, "immediate" in the middle
                of the model's event.
        """
        undo = self.view_events.subscribe("session", scope, event, handler, handling)
        running_in = cells.current()
        if running_in is not None:
            running_in.note(undo)

    def unsubscribe(self, scope: str, event: str, handler: Callable[..., Any] | None = None) -> None:
        """End subscriptions of this session on a topic, all or those of one handler."""
        self.view_events.unsubscribe("session", scope, event, handler)
