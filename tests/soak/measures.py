"""What a process holds: what leaks shows here."""

from __future__ import annotations

import gc
import os
from collections import Counter
from pathlib import Path


def resources_of(process: int | str) -> dict[str, int]:
    """What Linux says of a process, or of "self": memory in kB, open files and sockets, threads."""
    directory = Path("/proc", str(process))
    fields = dict(line.split(":", 1) for line in (directory / "status").read_text().splitlines())
    memory_kb = int(fields["VmRSS"].split()[0])
    return {"memory_kb": memory_kb, "files": len(os.listdir(directory / "fd")), "threads": int(fields["Threads"])}


def alive(*kinds: type) -> dict[str, int]:
    """How many objects of some classes this process has; garbage has to be collected before."""
    counts = Counter(type(thing) for thing in gc.get_objects())
    return {kind.__name__: counts[kind] for kind in kinds}
