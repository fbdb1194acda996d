"""`Session`: what a notebook shows and binds of a session, on top of `SessionCore`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.persistent_model import PersistentModel
from msq_jupyter.session.session import SessionCore
from msq_jupyter.widgets.bindings import Link, link
from msq_jupyter.widgets.presence import Badge

if TYPE_CHECKING:
    import traitlets

    from msq_jupyter.widgets.panel import Panel


class Session(SessionCore):
    """A session as one participant has it; made by `await Session.join(...)`.

    As the last line of a cell it shows its badge.
    """

    _badge: Badge | None = None
    _panel: Panel | None = None

    def __dir__(self) -> list[str]:
        # What Tab shows: the words of the documentation, and not what the inside needs.
        return sorted(_FOR_USERS)

    def badge(self) -> Badge:
        """The line that says how the session is doing: name, link, people, saved state. The same one each time."""
        if self._badge is None:
            self._badge = Badge(name=self.name, app_id=self.app_id)
            writer = _BadgeWriter(self, self._badge)
            self.frame_hooks.append(writer.write)
            self.watch_hooks.append(writer.write_if_waiting)
            writer.write()
        return self._badge

    def panel(self) -> Panel:
        """The persistence panel: the live model, its versions, what differs, restoring. The same one each time."""
        if self._panel is None:
            from msq_jupyter.widgets.panel import Panel, PanelWriter  # most sessions have none

            self._panel = Panel(
                name=self.name,
                app_id=self.app_id,
                model_name=self.model_class.__name__,
                code=self.code_hash[:8],
                has_hook=self._has_hook,
            )
            writer = PanelWriter(self, self._panel, self._presence)
            self.frame_hooks.append(writer.write)
            self.watch_hooks.append(writer.write_if_waiting)
            writer.write()
        return self._panel

    @property
    def model_class(self) -> type[Model]:
        """The root model's class, as given to `join`."""
        return self._arguments.model

    @property
    def _has_hook(self) -> bool:
        """Whether the model's code saves anything at all."""
        return issubclass(self.model_class, PersistentModel) or "persist_session" in self._sealer.source

    def link(self, source: tuple[traitlets.HasTraits, str], attribute: str) -> Link:
        """Bind a trait of a widget to an attribute of the root model, both ways, for everybody.

        The trait takes the model's value first: others may have been there before.

        Args:
            source: the widget and the name of its trait, such as `(slider, "value")`.
            attribute: a public attribute that the model's `init` has set.

        Returns:
            The link; `unlink()` ends it.

        Raises:
            ArgumentError: not a widget, or no such trait.
            AuthorError: the model has no such attribute; names the nearest.
            SessionClosed: the session has been left.
        """
        self.require_open()
        return link(self, source, attribute)

    def _presence(self) -> dict[str, Any]:
        """The values of the traits that badge and panel share."""
        status = self.status
        people = [] if status.link_state in ("closed", "failed") else self.participants
        return {
            "people": [{"view_id": one.view_id, "label": one.label, "is_me": one.is_me} for one in people],
            "link_state": status.link_state,
            "saved_state": status.saved_state,
            "saved_number": status.saved_number,
            "saved_at_s": status.saved_at_s,
            "saved_by": status.saved_by,
            "saved_error": status.save_error,
            "next_save_s": status.next_save_s,
            "waiting_ms": 0,
            "notice": self.notice,
        }

    async def leave(self) -> None:
        """Leave: what waits to be saved is saved, others are told. The model stays readable, and stands still."""
        await super().leave()
        for hook in list(self.frame_hooks):
            hook()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.badge()._repr_mimebundle_(**kwargs)


_FOR_USERS = {
    *("app_id", "badge", "check", "code_hash", "diff", "explain_code", "id", "is_live", "join", "latency_ms", "leave"),
    *(
        "link",
        "log",
        "model",
        "name",
        "others",
        "panel",
        "participants",
        "persistent_id",
        "publish",
        "restore",
        "saved",
        "status",
    ),
    *("step", "subscribe", "synced", "unsubscribe", "versions", "view", "view_id"),
}


class _BadgeWriter:
    """The one writer of a badge's traits; only what differs is sent.

    The main loop writes after each step. While a cell keeps it busy the socket thread writes what it knows.
    """

    def __init__(self, session: Session, badge: Badge) -> None:
        self._session = session
        self._badge = badge
        self._lock = threading.Lock()

    def write(self) -> None:
        self._set(self._session._presence())

    def write_if_waiting(self) -> None:
        status = self._session.status
        if status.waiting_ms:
            # Rounded, so that the line changes once a second and not four times.
            self._set({"link_state": status.link_state, "waiting_ms": max(status.waiting_ms // 1000 * 1000, 1)})

    def _set(self, values: dict[str, Any]) -> None:
        with self._lock:
            for name, value in values.items():
                if getattr(self._badge, name) != value:
                    setattr(self._badge, name, value)
