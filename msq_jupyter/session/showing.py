"""What whoever shows a session builds on: the models to read, the people, and a guard for mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msq_jupyter.runtime.outside import Outside
from msq_jupyter.session.arguments import Participant, participants_of
from msq_jupyter.session.part import Part


class Showing(Part):
    """The part of `SessionCore` that badges, links and live cells look at."""

    @property
    def outside(self) -> Outside:
        """The models for everybody who is not model code; another one after the replica was made anew."""
        return self._replica.outside

    @property
    def participants(self) -> list[Participant]:
        """Everybody in the session, in the order of joining."""
        replica = self._replica_or_none
        return [] if replica is None else participants_of(replica.outside.cards, self.view_id)

    def _tell_progress(self, is_here: bool) -> None:
        share = 1.0 if is_here else self._follower.share_done
        if is_here or share < 1.0:  # 1 is told once, and then it is joined
            self._mistakes.guard(self._show_progress, share)

    def _show_progress(self, share: float) -> None:
        """While joining: how much of the past is caught up with, 0 to 1; the notebook's session has a bar for it."""
        if self._arguments.progress is not None:
            self._arguments.progress(share)

    def _end_progress(self) -> None:
        """Joined, or not going to be."""

    def guard(self, function: Callable[..., Any], *args: Any) -> None:
        """Call what shows the model, on the main loop: its mistakes are told, and end nothing."""
        self._mistakes.guard(function, *args)
