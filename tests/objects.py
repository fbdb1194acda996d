"""What is there in this process, counted by kind: for tests of what stays behind."""

from __future__ import annotations

import gc
from collections import Counter
from types import FunctionType, MethodType

#: Whose objects count. Others come and go with what earlier tests have left, with threads, and with IPython's history.
OWNERS = ("msq_jupyter", "tests", "ipywidgets", "anywidget", "comm", "traitlets", "asyncio", "matplotlib")


def kinds() -> Counter[str]:
    """How many objects there are of each kind that may stay behind; functions by where they are defined."""
    gc.collect()
    found: Counter[str] = Counter()
    for thing in gc.get_objects():
        kind = thing if isinstance(thing, FunctionType | MethodType) else type(thing)
        module = str(getattr(kind, "__module__", ""))
        if module.partition(".")[0] in (*OWNERS, "__main__"):
            found[f"{module}.{getattr(kind, '__qualname__', kind)}"] += 1
    return found


def grown(before: Counter[str], most: int) -> dict[str, int]:
    """The kinds of which there are by more than `most` more than before, and by how many."""
    return {kind: count for kind, count in (kinds() - before).items() if count > most}
