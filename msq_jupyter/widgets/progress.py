"""The bar of a join that takes long: it shows how much of the past is caught up with, and goes when that is done."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import ipywidgets  # type: ignore[import-untyped]

#: Whoever joins within this sees no bar, in seconds.
SHOWN_AFTER_S = 0.5


def is_notebook() -> bool:
    """Whether there is a front end to show something in."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


class ProgressBar:
    """Shown once something is left to do after `SHOWN_AFTER_S`.

    Args:
        name: of the session.
        display: shows the bar in the output of the cell.
        clock: seconds, of no particular origin.
    """

    def __init__(
        self, name: str, display: Callable[[Any], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = name
        self._display = display
        self._clock = clock
        self._began_s = clock()
        self._bar: Any = None

    def show(self, share: float) -> None:
        """So much is done, 0 to 1."""
        if self._bar is None and share < 1 and self._clock() - self._began_s >= SHOWN_AFTER_S:
            self._bar = _new_bar(self._name)
            self._display(self._bar)
        if self._bar is not None:
            self._bar.value = share

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()


def _new_bar(name: str) -> Any:
    bar = ipywidgets.FloatProgress(description=f"joining {name}", min=0.0, max=1.0)
    bar.style.description_width = "initial"
    bar.layout.width = "min(100%, 40em)"
    return bar
