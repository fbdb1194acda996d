"""`Session`: what a notebook shows and binds of a session, on top of `SessionCore`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from msq_jupyter.session.session import SessionCore
from msq_jupyter.widgets.bindings import Link, link
from msq_jupyter.widgets.presence import Badge

if TYPE_CHECKING:
    import traitlets


class Session(SessionCore):
    """A session as one participant has it; made by `await Session.join(...)`.

    As the last line of a cell it shows its badge.
    """

    _badge: Badge | None = None

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
        status = self._session.status
        people = [
            {"view_id": person.view_id, "label": person.label, "is_me": person.is_me}
            for person in ([] if status.link_state in ("closed", "failed") else self._session.participants)
        ]
        self._set(
            people=people,
            link_state=status.link_state,
            saved_state=status.saved_state,
            saved_number=status.saved_number,
            saved_at_s=status.saved_at_s,
            saved_by=status.saved_by,
            saved_error=status.save_error,
            next_save_s=status.next_save_s,
            waiting_ms=0,
            notice=self._session.notice,
        )

    def write_if_waiting(self) -> None:
        status = self._session.status
        if status.waiting_ms:
            # Rounded, so that the line changes once a second and not four times.
            self._set(link_state=status.link_state, waiting_ms=max(status.waiting_ms // 1000 * 1000, 1))

    def _set(self, **values: Any) -> None:
        with self._lock:
            for name, value in values.items():
                if getattr(self._badge, name) != value:
                    setattr(self._badge, name, value)
