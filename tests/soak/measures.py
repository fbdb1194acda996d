"""What a process holds: what leaks shows here."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections import Counter
from pathlib import Path
from typing import ClassVar

_MALLINFO_FIELDS = (
    *("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
)


class _Mallinfo(ctypes.Structure):
    """`struct mallinfo2` of the C library."""

    _fields_: ClassVar = [(name, ctypes.c_size_t) for name in _MALLINFO_FIELDS]


def resources() -> dict[str, int]:
    """What this process holds.

    Returns:
        `memory_kb`, of which the allocators keep some for later; `malloc_kb`, what of that is in use by `malloc`: all
        that is large or not Python's; `blocks`, how many small pieces Python uses; open `files` and sockets; `threads`.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    library = ctypes.CDLL(None)
    library.mallinfo2.restype = _Mallinfo
    info = library.mallinfo2()
    return {
        "memory_kb": int(fields["VmRSS"].split()[0]),
        "malloc_kb": (info.uordblks + info.hblkhd) // 1024,
        "blocks": sys.getallocatedblocks(),
        "files": len(os.listdir("/proc/self/fd")),
        "threads": int(fields["Threads"]),
    }


def alive(*kinds: type) -> dict[str, int]:
    """How many objects of some classes this process has; garbage has to be collected before."""
    counts = Counter(type(thing) for thing in gc.get_objects())
    return {kind.__name__: counts[kind] for kind in kinds}
