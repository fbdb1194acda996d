"""Ports of servers that are told theirs before they start, or come back where they were."""

from __future__ import annotations

import contextlib
import random
import socket

#: Below those that systems give away (Linux from 32768, others from 49152): nobody gets one while its server is away.
PORTS = range(20_000, 32_000)


def free_port() -> int:
    """A port on which nothing listens."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
