"""Links between a trait of a widget and what a path of the model leads to: two-way, and from the model to the trait.

A change of the widget becomes an event that sets the model on every replica; a change of the model, whoever made it,
sets the trait. Widget callbacks come on any thread, in the middle of a cell or not, so that side only reads the replica
and sends; traits are set on the main loop only.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import traitlets

from msq_jupyter.errors import ArgumentError, AuthorError, MsqError
from msq_jupyter.runtime.assignment import check_assignable
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.outside import changeable
from msq_jupyter.runtime.paths import MISSING, same
from msq_jupyter.widgets.bindings import Binding, require_path

if TYPE_CHECKING:
    from msq_jupyter.widgets.session import Session

logger = logging.getLogger("msq_jupyter")

#: At most this many events a second for each link; while a slider is dragged the last value always goes out.
RATE_PER_S = 30.0
#: Floats that differ by no more than this part of them are one value for a link.
ROUNDING = 1e-12
#: What a widget gets a copy of that it may change.
_CONTAINERS = (list, dict, set)

Scope = Literal["shared", "user"]
Transform = Callable[[Any], Any]


def _unchanged(value: Any) -> Any:
    return value


class DirectedLink(Binding):
    """A trait that follows the model; made by `Session.dlink`."""

    def __init__(
        self, session: Session, path: str, target: tuple[traitlets.HasTraits, str], transform: Transform | None
    ) -> None:
        super().__init__(session)
        self._path = path
        self._widget, self._trait = target
        self._to_widget = transform or _unchanged
        self._shown: Any = MISSING
        self._setting_thread: int | None = None
        self.begin()

    def unlink(self) -> None:
        """End the link; the trait keeps what it shows."""
        self.end()

    @property
    def things(self) -> tuple[Any, ...]:
        """See `Binding.things`."""
        return type(self), id(self._widget), self._trait, self._path

    def attach(self) -> None:
        """See `Binding.attach`."""
        require_path(self._session, self._path)
        self.look()

    def look(self) -> None:
        """See `Binding.look`."""
        self._show(self.value_at(self._path))

    def _show(self, value: Any) -> None:
        if value is MISSING or same(value, self._shown):
            return
        self._shown = value
        if isinstance(value, _CONTAINERS):
            value = changeable(value)
        self._setting_thread = threading.get_ident()
        try:
            setattr(self._widget, self._trait, self._to_widget(value))
        except Exception as error:
            if not isinstance(error, traitlets.TraitError) and self._to_widget is _unchanged:
                raise
            logger.warning("%s cannot show model.%s: %s", self._name, self._path, _words(error))
        finally:
            self._setting_thread = None

    @property
    def _name(self) -> str:
        return f"{type(self._widget).__name__}.{self._trait}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name} and model.{self._path}>"


class Link(DirectedLink):
    """A trait and a part of the model that are one; made by `Session.link`.

    While values of ours are on their way, the model's older ones are not written back: the slider does not jump under
    the hand.
    """

    def __init__(
        self,
        session: Session,
        source: tuple[traitlets.HasTraits, str],
        path: str,
        transform: tuple[Transform, Transform] | None,
        scope: Scope,
    ) -> None:
        self._scope = scope
        self._to_model = transform[1] if transform else _unchanged
        self._lock = threading.Lock()
        self._unsent: list[Any] = []  # the newest value that waits for its turn, or nothing
        self._sent_s = float("-inf")
        self._last_counter = 0
        self._timer_set = False
        self._told = ""
        super().__init__(session, path, source, transform[0] if transform else None)

    def attach(self) -> None:
        """See `Binding.attach`."""
        if self._scope == "user":
            require_per_user(self._session, self._path)
        else:
            check_assignable(self._session.model, self._path)
            held = self.value_at(self._path)
            if isinstance(held, Model) and self._to_model is _unchanged:
                kind = type(held).__name__
                raise AuthorError(
                    f"{self._path} is a {kind}, a model of its own, which a widget's value would replace: link an "
                    f"attribute of it, such as {self._path}.name, or call what changes it, such as an operation"
                )
        self.look()
        self._widget.observe(self._on_widget, self._trait)

    def detach(self) -> None:
        """See `Binding.detach`."""
        self._widget.unobserve(self._on_widget, self._trait)

    # --- from the widget, on any thread --------------------------------------------------------------------------

    def _on_widget(self, change: Any) -> None:
        if threading.get_ident() == self._setting_thread:
            return  # our own writing
        if _differs_by_rounding(change["old"], change["new"]):
            return  # a browser's slider answers 0.9999999999999999 when it is to show 1.0
        with self._lock:
            self._unsent = [change["new"]]
            self._shown = MISSING  # the widget shows something else now than what the model last said
            if self._timer_set:
                return
            wait_s = self._sent_s + 1 / RATE_PER_S - time.monotonic()
            if wait_s > 0:
                self._timer_set = True
                self._session.call_later(wait_s, self._on_timer)
                return
            self._send()

    def _on_timer(self) -> None:
        with self._lock:
            self._timer_set = False
            self._send()

    def _send(self) -> None:
        if not self._unsent:
            return
        value = self._unsent.pop()
        self._sent_s = time.monotonic()
        try:
            value = self._to_model(value)
            in_flight = self._session.executed_counter < self._last_counter
            if in_flight or not same(value, self.value_at(self._own_path)):
                # Else it is the model's own value, come back through another widget.
                self._last_counter = self._session.assign(self._own_path, value)
        except Exception as error:
            if not isinstance(error, MsqError) and self._to_model is _unchanged:
                raise
            # A callback has nobody to raise to; the next look shows the model's value again.
            if _words(error) != self._told:  # a slider can be refused thirty times a second
                self._told = _words(error)
                logger.warning("%s was not shared: %s", self._name, self._told)
            self._shown = MISSING
        else:
            self._told = ""

    # --- from the model, on the main loop ------------------------------------------------------------------------

    def look(self) -> None:
        """See `Binding.look`."""
        with self._lock:
            if self._unsent or self._session.executed_counter < self._last_counter:
                return
        value = self.value_at(self._own_path)
        if value is MISSING and self._scope == "user":
            value = self.value_at(f"{self._path}.default")
        self._show(value)

    @property
    def _own_path(self) -> str:
        """Where the value is; another place when this participant has another id, after an edit of the code."""
        return self._path if self._scope == "shared" else f"{self._path}.values.{self._session.view_id}"


def _differs_by_rounding(old: Any, new: Any) -> bool:
    """Whether two values of a trait are floats, or tuples of them, that nobody can tell apart by moving a slider."""
    if isinstance(old, tuple) and isinstance(new, tuple):
        return len(old) == len(new) and all(a == b or _differs_by_rounding(a, b) for a, b in zip(old, new, strict=True))
    return isinstance(old, float) and isinstance(new, float) and math.isclose(old, new, rel_tol=ROUNDING)


def require_per_user(session: Session, path: str) -> None:
    """Let a path pass that leads to a `PerUser`.

    Raises:
        AuthorError: there is no `PerUser`.
    """
    for part in ("values", "default"):
        try:
            require_path(session, f"{path}.{part}")
        except AuthorError as error:
            raise AuthorError(
                f'link: scope="user" needs a PerUser at {path!r}: write self.{path} = PerUser.create({{"default": 1}}) '
                "in init, with from msq_jupyter.ready import PerUser"
            ) from error


def checked_pair(what: str, pair: Any) -> tuple[traitlets.HasTraits, str]:
    """A widget and the name of its trait.

    Args:
        what: who asks, for messages.
        pair: what should be such a pair.

    Raises:
        ArgumentError: it is none; says what it is.
    """
    try:
        widget, trait = pair
    except (TypeError, ValueError):
        raise ArgumentError(f'{what}: expected a pair such as (slider, "value"), got {pair!r}') from None
    if not isinstance(widget, traitlets.HasTraits):
        raise ArgumentError(f"{what}: expected a widget or another object with traits, got {type(widget).__name__}")
    if not widget.has_trait(trait):
        raise ArgumentError(f"{what}: {type(widget).__name__} has no trait {trait!r}")
    return widget, trait


def shared_pairs(widgets: Any) -> dict[str, tuple[traitlets.HasTraits, str]]:
    """Widgets to share, by the key of the shared dict.

    Args:
        widgets: one widget, or several by name.

    Raises:
        ArgumentError: something else.
    """
    named = dict(widgets) if isinstance(widgets, Mapping) else {"value": widgets}
    for key in named:
        if not isinstance(key, str) or not key or "." in key:
            raise ArgumentError(f'share: expected names without "." for widgets, got {key!r}')
    return {key: checked_pair("share", (widget, "value")) for key, widget in named.items()}


def checked_transform(transform: Any) -> tuple[Transform, Transform] | None:
    """Two functions, or None.

    Raises:
        ArgumentError: neither.
    """
    if transform is None:
        return None
    try:
        to_widget, to_model = transform
    except (TypeError, ValueError):
        to_widget = to_model = None
    if not (callable(to_widget) and callable(to_model)):
        raise ArgumentError(f"link: expected transform=(to_widget, to_model), two functions, got {transform!r}")
    return to_widget, to_model


def _words(error: BaseException) -> str:
    return str(error) if isinstance(error, (MsqError, traitlets.TraitError)) else f"{type(error).__name__}: {error}"
