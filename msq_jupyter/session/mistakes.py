"""Telling the author of a model what is wrong with it: once, with place and remedy, while the session goes on."""

from __future__ import annotations

import logging
import time

from msq_jupyter.errors import StateError
from msq_jupyter.runtime.replica import Replica

logger = logging.getLogger("msq_jupyter")

#: The state is checked for what cannot be replicated at most this often, and never for more than 2 % of the time.
CHECK_S = 2.0
CHECK_SHARE = 0.02


class Mistakes:
    """What went wrong in model code.

    Args:
        always_check: check the state after every step, whatever it costs.

    Attributes:
        notice: the last mistake in one line, or "".
    """

    def __init__(self, *, always_check: bool) -> None:
        self.notice = ""
        self._always_check = always_check
        self._known: set[tuple[str, str, str]] = set()
        self._checked_calls = 0
        self._check_after_s = 0.0

    def report(self, model: str, method: str, error: BaseException) -> None:
        """Tell of a mistake; a second time only in `notice`, because a timer can make one twenty times a second."""
        place = f"{model}.{method}" if method else model
        self.notice = f"{place}: {type(error).__name__}: {error}"
        mistake = (model, method, type(error).__name__)
        if mistake not in self._known:
            self._known.add(mistake)
            logger.error("%s", self.notice, exc_info=None if isinstance(error, StateError) else error)

    def check_state(self, replica: Replica) -> None:
        """Find what cannot be replicated soon after it was stored, and not first at the next snapshot."""
        now_s = time.monotonic()
        if self._checked_calls == replica.calls or (now_s < self._check_after_s and not self._always_check):
            return
        self._checked_calls = replica.calls
        try:
            replica.snapshot()
        except Exception as error:
            # Whatever it is, it is in the author's data, and the session goes on.
            self.report(type(replica.root).__qualname__, getattr(error, "path", "state"), error)
        self._check_after_s = now_s + max(CHECK_S, (time.monotonic() - now_s) / CHECK_SHARE)


def show_log() -> None:
    """Print what is logged about sessions, in notebooks under the running cell."""
    logger.setLevel(min(logger.level or logging.INFO, logging.INFO))
    if not any(isinstance(handler, logging.StreamHandler) for handler in logger.handlers):
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
