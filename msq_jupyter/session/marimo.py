"""What marimo knows of its cells.

It has no events for them, but disposes of what a cell has made before it runs again or is deleted. None of this is part
of marimo's public interface: where it is missing, cells are what they are in a script.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def kernel_here() -> Any:
    """What marimo notes about the kernel that this thread runs; None when it runs none."""
    types: Any = sys.modules.get("marimo._runtime.context.types")
    context = types.safe_get_context() if hasattr(types, "safe_get_context") else None
    return context if hasattr(context, "cell_lifecycle_registry") else None


def made_by_cell(kernel: Any, undo: Callable[[], None]) -> None:
    """Have `undo` called before the cell that runs now, if one does, runs again."""
    if kernel_here() is kernel:  # callbacks come on any thread, and belong to no cell
        kernel.cell_lifecycle_registry.add(_Made(undo))


class _Made:
    """Something that a cell has made, as marimo wants to see it."""

    def __init__(self, undo: Callable[[], None]) -> None:
        self._undo = undo

    def create(self, context: Any) -> None:
        """It is there already."""

    def dispose(self, context: Any, deletion: bool) -> bool:
        """The cell runs again, or is deleted; whether this has ended."""
        self._undo()
        return True
