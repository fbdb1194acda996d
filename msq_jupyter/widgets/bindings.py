"""Two-way links between a trait of a widget and an attribute of the model.

A change of the widget becomes an event that sets the attribute on every replica; a change of the attribute, whoever
made it, sets the trait. Widget callbacks come on any thread, in the middle of a cell or not, so that side only reads
the replica and sends; traits are set on the main loop only.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import traitlets

from msq_jupyter.errors import ArgumentError, AuthorError, MsqError
from msq_jupyter.runtime.assignable import check_assignable
from msq_jupyter.runtime.outside import changeable
from msq_jupyter.session import cells

if TYPE_CHECKING:
    from msq_jupyter.session.session import SessionCore

logger = logging.getLogger("msq_jupyter")

#: At most this many events a second for each link; while a slider is dragged the last value always goes out.
RATE_PER_S = 30.0


class Link:
    """One link; made by `Session.link`.

    While values of ours are on their way, the model's older ones are not written back: the slider does not jump under
    the hand.
    """

    def __init__(self, session: SessionCore, widget: traitlets.HasTraits, trait: str, attribute: str) -> None:
        self._session = session
        self._widget = widget
        self._trait = trait
        self._attribute = attribute
        self._lock = threading.Lock()
        self._unsent: list[Any] = []  # the newest value that waits for its turn, or nothing
        self._sent_s = float("-inf")
        self._last_counter = 0
        self._timer_set = False
        self._setting_thread: int | None = None
        self._shown: Any = _NOTHING
        self._refresh()
        widget.observe(self._on_widget, trait)
        session.frame_hooks.append(self._refresh)

    def unlink(self) -> None:
        """End the link; both sides keep what they have."""
        if self._refresh in self._session.frame_hooks:
            self._widget.unobserve(self._on_widget, self._trait)
            self._session.frame_hooks.remove(self._refresh)

    def reattach(self) -> str:
        """The model is another one: go on with it, or end; a sentence that says why, "" when it goes on."""
        try:
            check_assignable(self._session.model, self._attribute)
        except AuthorError as error:
            self.unlink()
            return f"{self!r} has ended: {error}"
        self._refresh()
        return ""

    def __repr__(self) -> str:
        return f"<Link {type(self._widget).__name__}.{self._trait} and model.{self._attribute}>"

    # --- from the widget, on any thread --------------------------------------------------------------------------

    def _on_widget(self, change: Any) -> None:
        if threading.get_ident() == self._setting_thread:
            return  # our own writing
        with self._lock:
            self._unsent = [change["new"]]
            self._shown = _NOTHING  # the widget shows something else now than what the model last said
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
            self._last_counter = self._session.assign(self._attribute, value)
        except MsqError as error:
            # A callback has nobody to raise to; the next refresh shows the model's value again.
            logger.warning("%s.%s was not shared: %s", type(self._widget).__name__, self._trait, error)
            self._shown = _NOTHING

    # --- from the model, on the main loop ------------------------------------------------------------------------

    def _refresh(self) -> None:
        with self._lock:
            if self._unsent or self._session.executed_counter < self._last_counter:
                return
        value = getattr(self._session.model, self._attribute, None)
        if isinstance(value, _CONTAINERS):
            value = changeable(value)
        if type(value) is type(self._shown) and value == self._shown:
            return
        self._shown = value
        self._setting_thread = threading.get_ident()
        try:
            setattr(self._widget, self._trait, value)
        except traitlets.TraitError as error:
            logger.warning(
                "%s.%s cannot show model.%s: %s", type(self._widget).__name__, self._trait, self._attribute, error
            )
        finally:
            self._setting_thread = None


class _Nothing:
    """Equal to no value."""


_NOTHING = _Nothing()

#: What a widget gets a copy of that it may change.
_CONTAINERS = (list, dict, set)


def link(session: SessionCore, source: tuple[traitlets.HasTraits, str], attribute: str) -> Link:
    """Make a `Link`; see `Session.link`."""
    try:
        widget, trait = source
    except (TypeError, ValueError):
        raise ArgumentError(f'link: expected a pair such as (slider, "value"), got {source!r}') from None
    if not isinstance(widget, traitlets.HasTraits):
        raise ArgumentError(f"link: expected a widget or another object with traits, got {type(widget).__name__}")
    if not widget.has_trait(trait):
        raise ArgumentError(f"link: {type(widget).__name__} has no trait {trait!r}")
    check_assignable(session.model, attribute)

    def make() -> Callable[[], None]:
        made.append(Link(session, widget, trait, attribute))
        return made[0].unlink

    made: list[Link] = []
    cells.make(make)
    return made[0]
