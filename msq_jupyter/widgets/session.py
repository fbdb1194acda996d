"""`Session`: what a notebook shows and binds of a session, on top of `SessionCore`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from msq_jupyter.errors import ArgumentError
from msq_jupyter.ready import SharedDict
from msq_jupyter.runtime.model import Model
from msq_jupyter.session.session import SessionCore
from msq_jupyter.widgets.bindings import Bindings
from msq_jupyter.widgets.links import (
    DirectedLink,
    Link,
    Scope,
    Transform,
    checked_pair,
    checked_transform,
    shared_pairs,
)
from msq_jupyter.widgets.observers import Change, Observer
from msq_jupyter.widgets.presence import Badge, Panel, Presence
from msq_jupyter.widgets.progress import ProgressBar, is_notebook

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import traitlets

    from msq_jupyter.widgets.writer import Writer


Widget = TypeVar("Widget", bound=Presence)


class Session(SessionCore):
    """A session as one participant has it; made by `await Session.join(...)`.

    As the last line of a cell it shows its badge.
    """

    _badge: Badge | None = None
    _panel: Panel | None = None
    _writer: Writer | None = None
    _bindings: Bindings | None = None
    _bar: ProgressBar | None = None

    def __dir__(self) -> list[str]:
        # What Tab shows: the words of the documentation, and not what the inside needs.
        return sorted(_FOR_USERS)

    def _show_progress(self, share: float) -> None:
        if self._arguments.progress is None and self._bar is None and is_notebook():
            from IPython.display import display

            self._bar = ProgressBar(self.name, display)
        if self._bar is not None:
            self._bar.show(share)
        super()._show_progress(share)

    def _end_progress(self) -> None:
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()

    def badge(self) -> Badge:
        """The line that says how the session is doing: name, link, people, saved state. The same one each time."""
        if self._badge is None:
            self._badge = self._shown(Badge(name=self.name, app_id=self.app_id))
        return self._badge

    def panel(self) -> Panel:
        """The persistence panel: the live model, its versions, what differs, restoring. The same one each time."""
        if self._panel is None:
            self._panel = self._shown(Panel(name=self.name, app_id=self.app_id))
        return self._panel

    def _shown(self, widget: Widget) -> Widget:
        """The same widget, kept up to date from now on."""
        if self._writer is None:
            from msq_jupyter.widgets.writer import Writer  # a script shows nothing

            self._writer = Writer(self)
        self._writer.show(widget)
        return widget

    @property
    def model_class(self) -> type[Model]:
        """The root model's class, as given to `join`."""
        return self._arguments.model

    @classmethod
    async def share(
        cls, widgets: traitlets.HasTraits | Mapping[str, traitlets.HasTraits], *, name: str, **join: Any
    ) -> Session:
        """Share widgets with everybody who shares under the same name: no model needed.

        Who is first gives the values they begin with. Each widget's `value` is shared; what is shared is saved, too.

        Args:
            widgets: one widget, or several by names that all participants use: `{"speed": slider, "title": text}`.
            name: names the session.
            join: whatever else `join` takes; `app_id` is "msq-jupyter.share" unless given.

        Returns:
            The session. Its model is a `msq_jupyter.ready.SharedDict`: `session.model.data["speed"]`.

        Raises:
            ArgumentError: not a widget with a value, or a name with a "." in it.
            MsqError: whatever `join` raises.
        """
        pairs = shared_pairs(widgets)
        session = await cls.join(**{"app_id": "msq-jupyter.share", "name": name, "model": SharedDict, **join})
        try:
            for key, (widget, trait) in pairs.items():
                session.model.offer(key, getattr(widget, trait))
            await session.synced()
            for key, pair in pairs.items():
                session.link(pair, f"data.{key}")
        except BaseException:
            await session.leave()
            raise
        return session

    @property
    def bindings(self) -> Bindings:
        """Links, observers and live cells of this session."""
        if self._bindings is None:
            self._bindings = Bindings(self)
        return self._bindings

    def link(
        self,
        source: tuple[traitlets.HasTraits, str],
        path: str,
        transform: tuple[Transform, Transform] | None = None,
        *,
        scope: Scope = "shared",
    ) -> Link:
        """Bind a trait of a widget to a part of the root model, both ways, for everybody.

        The trait takes the model's value first: others may have been there before. Of two who change it at the same
        moment the later one in the order of events counts, for all. While a slider is dragged at most 30 events a
        second are sent, and always the last value.

        Args:
            source: the widget, or any other object with traits, and the name of its trait, such as
                `(slider, "value")`. A trait that holds a list or a dict must be given a new one: what changes inside
                the old one is not seen.
            path: a public attribute that the model's `init` has set, or a way into one, such as "settings.speed":
                keys of dicts, fields of dataclasses, attributes of child models. The model's `link_changed(path)` is
                called after each change.
            transform: two functions, `(to_widget, to_model)`.
            scope: "shared" is one value for all; "user" gives each participant one of their own. What the path leads to
                is a `msq_jupyter.ready.PerUser` then, and holds the values of all, for all to see.

        Returns:
            The link; `unlink()` ends it, running its cell again replaces it.

        Raises:
            ArgumentError: not a widget, or no such trait, path, transform or scope.
            AuthorError: the model has no such attribute; names the nearest.
            SessionClosed: the session has been left.
        """
        self.require_open()
        if scope not in ("shared", "user"):
            raise ArgumentError(f'link: expected scope="shared" or scope="user", got {scope!r}')
        return Link(self, checked_pair("link", source), path, checked_transform(transform), scope)

    def dlink(
        self, path: str, target: tuple[traitlets.HasTraits, str], transform: Transform | None = None
    ) -> DirectedLink:
        """Have a trait of a widget follow a part of the root model: from the model to the trait, never back.

        The source comes first, as in `traitlets.dlink`: `session.dlink("votes.yes", (label, "value"), str)`.

        Args:
            path: an attribute of the root model, or a way into one, such as "votes.yes" or "queue.0". If it leads to
                nothing later, the trait keeps what it has.
            target: the widget and the name of its trait.
            transform: a function from the model's value to the trait's.

        Returns:
            The link; `unlink()` ends it, running its cell again replaces it.

        Raises:
            ArgumentError: not a widget, or no such trait.
            AuthorError: the path leads to nothing; names what is there.
            SessionClosed: the session has been left.
        """
        self.require_open()
        if not isinstance(path, str):
            raise ArgumentError(f'dlink: the source comes first, as in dlink("speed", (label, "value")), got {path!r}')
        if transform is not None and not callable(transform):
            raise ArgumentError(f"dlink: expected a function as transform, got {transform!r}")
        return DirectedLink(self, path, checked_pair("dlink", target), transform)

    def observe(self, path: str, callback: Callable[[Change], Any], *, initial: bool = False) -> Observer:
        """Have a function called when a part of the root model has changed, on the main loop, between events.

        Args:
            path: an attribute of the root model, or a way into one: "votes", "votes.yes", "documents.d1.title". With
                "*" as its last step, "votes.*", there is a call for each key that has changed.
            callback: called with a `Change`: `change.path`, `change.old`, `change.new`, `change.kind`. What it raises
                is told, and ends nothing. It may publish.
            initial: whether it is called at once, too, with what is there now: old is None then, kind "added".

        Returns:
            The observer; `unobserve()` ends it, running its cell again replaces it.

        Raises:
            ArgumentError: not a path, or nothing to call.
            AuthorError: the model has no such attribute.
            SessionClosed: the session has been left.
        """
        self.require_open()
        return Observer(self, path, callback, initial)

    async def leave(self) -> None:
        """Leave: what waits to be saved is saved, others are told. The model stays readable, and stands still."""
        await super().leave()
        for hook in list(self.frame_hooks):
            hook()

    def _reattach(self) -> list[str]:
        if self._writer is not None:
            self._writer.attach()
        return [] if self._bindings is None else self._bindings.reattach()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self.badge()._repr_mimebundle_(**kwargs)


_FOR_USERS = {
    *("app_id", "badge", "check", "code_hash", "debug", "diff", "dlink", "edit", "explain_code", "follow", "id"),
    *("invite", "is_live", "join", "label", "latency_ms", "leave", "link", "log", "model", "name", "observe", "others"),
    *("panel", "participants", "persistent_id", "pin", "prune", "publish", "restore", "save", "saved", "share"),
    *("source_diff", "source_of", "status", "step", "subscribe", "synced", "synchronizer", "unsubscribe", "versions"),
    *("view", "view_id"),
}
