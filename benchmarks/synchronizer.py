"""What it costs a server to bring an event to everybody: ours, with its log on the disk, beside those of others.

One load generator, in this process, plays the members of every server; all servers run at once, each in a process of
its own, and take turns, round by round. What is counted is the time of the processor that the server takes for each
event it delivers. What is measured, row by row, is in README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import random
import secrets
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from fan_out import load
from pycrdt import Array, Doc, TransactionEvent

from msq_jupyter import protocol

FOLDER = Path(__file__).parent / "fan_out"
MEMBERS = (10, 50)
#: Events that are under way at once when they are sent as fast as they come.
WINDOW = 64
PACE_PER_S = 1_000
ROUND_LIMIT_S = 300

#: Bytes that go over a connection, of a sender's place, the number of its event, and the event.
Wrap = Callable[[int, int, bytes], bytes]


@dataclass(frozen=True)
class Kind:
    """A server, and how to talk to it.

    Attributes:
        name: in the table.
        command: starts it; it prints its port, or a URL with it.
        path: what a member asks for, of a session's name; None for bare TCP.
        greeting: what a member says first, of the session's name and its place.
        wrap: makes what goes over the connection, of the session's name.
        is_node: it needs Node and its packages.
    """

    name: str
    command: list[str]
    path: Callable[[str], str | None]
    greeting: Callable[[str, int], bytes]
    wrap: Callable[[str], Wrap]
    is_node: bool = False


# --- ours --------------------------------------------------------------------------------------------------------


def our_greeting(session: str, place: int) -> bytes:
    join = protocol.Join(
        protocol_version=protocol.PROTOCOL_VERSION,
        session_id=session,
        persistent_id=session,
        view_id=f"view-{place}",
        password_check=bytes(32),
        view_data=b"",
        tick_rate=20,
        rejoin_limit_ms=1_000,
        persisted="latest",
        have_run="",
        have_seq=-1,
    )
    return load.frame_of(protocol.encode(join))


def our_wrap(_: str) -> Wrap:
    def wrap(place: int, number: int, event: bytes) -> bytes:
        return load.frame_of(protocol.encode(protocol.Send([(number, event)])))

    return wrap


# --- those of Yjs ------------------------------------------------------------------------------------------------


class Updates:
    """The updates of one document that a member of it sends: each appends an event to an array."""

    def __init__(self) -> None:
        self._document: Doc[Array[str]] = Doc(client_id=random.getrandbits(31))
        self._events = self._document.get("events", type=Array)
        self._subscription = self._document.observe(self._keep)

    def _keep(self, event: TransactionEvent) -> None:
        self._update = bytes(event.update)

    def append(self, event: bytes) -> bytes:
        self._events.append(event.decode())
        return self._update


def varint(number: int) -> bytes:
    """A number as lib0 writes it."""
    parts = []
    while number > 127:
        parts.append(0x80 | number & 0x7F)
        number >>= 7
    return bytes([*parts, number])


def sized(data: bytes) -> bytes:
    return varint(len(data)) + data


def wrap_updates(head: bytes) -> Wrap:
    documents: dict[int, Updates] = {}

    def wrap(place: int, _: int, event: bytes) -> bytes:
        update = documents.setdefault(place, Updates()).append(event)
        return load.frame_of(head + varint(0) + varint(2) + sized(update))  # sync, update

    return wrap


def hocuspocus_greeting(session: str, _: int) -> bytes:
    return load.frame_of(sized(session.encode()) + varint(2) + varint(0) + sized(b"token"))


# --- the servers -------------------------------------------------------------------------------------------------


def kinds(data: Path) -> list[Kind]:
    ours = [sys.executable, "-m", "msq_jupyter.cli", "serve", "--data", str(data)]
    return [
        Kind("ours, log on the disk", ours, lambda _: "/", our_greeting, our_wrap),
        Kind(
            "y-websocket",
            ["node", "y_websocket.mjs"],
            lambda session: f"/{session}",
            lambda *_: b"",
            lambda _: wrap_updates(b""),
            is_node=True,
        ),
        Kind(
            "hocuspocus",
            ["node", "hocuspocus.mjs"],
            lambda _: "/",
            hocuspocus_greeting,
            lambda session: wrap_updates(sized(session.encode())),
            is_node=True,
        ),
        Kind(
            "pycrdt-websocket",
            [sys.executable, "pycrdt_room.py"],
            lambda session: f"/{session}",
            lambda *_: b"",
            lambda _: wrap_updates(b""),
        ),
        Kind(
            "raw asyncio TCP",
            [sys.executable, "raw_tcp.py"],
            lambda _: None,
            lambda *_: b"",
            lambda _: lambda _place, _number, event: len(event).to_bytes(4, "big") + event,
        ),
    ]


@dataclass
class Server:
    """A server that runs, and what was measured: by number of members, one number a round."""

    kind: Kind
    process: subprocess.Popen[str]
    port: int
    cpu_us: dict[int, list[float]] = field(default_factory=dict)
    p50_ms: dict[int, list[float]] = field(default_factory=dict)
    p99_ms: dict[int, list[float]] = field(default_factory=dict)

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start(kind: Kind) -> Server:
    process = subprocess.Popen(kind.command, cwd=FOLDER, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line:
        raise SystemExit(f"{kind.name} did not start: {' '.join(kind.command)}, in {FOLDER}")
    return Server(kind, process, int(line.rsplit(":", 1)[-1]))


async def measure(server: Server, size: int, deliveries: int, paced: int) -> None:
    kind, session = server.kind, secrets.token_hex(8)
    members = await load.gather(server.port, size, kind.path(session), lambda place: kind.greeting(session, place))
    crowd = load.Crowd(members, kind.wrap(session))
    await crowd.send_as_fast_as_they_come(WINDOW * 4, WINDOW)  # warm
    before_s, before = server.cpu_s(), crowd.delivered
    await crowd.send_as_fast_as_they_come(deliveries // size, WINDOW)
    cpu_us = (server.cpu_s() - before_s) * 1e6 / (crowd.delivered - before)
    server.cpu_us.setdefault(size, []).append(cpu_us)
    if paced:
        latencies_ms = sorted(await crowd.send_evenly(paced, PACE_PER_S))
        server.p50_ms.setdefault(size, []).append(statistics.median(latencies_ms))
        server.p99_ms.setdefault(size, []).append(latencies_ms[int(len(latencies_ms) * 0.99)])
    crowd.close()
    await asyncio.sleep(0.2)


async def measure_all(servers: list[Server], options: argparse.Namespace) -> None:
    for number in range(options.rounds):
        for server in servers if number % 2 == 0 else servers[::-1]:
            for size in MEMBERS:
                measuring = measure(server, size, options.deliveries, options.paced)
                await asyncio.wait_for(measuring, ROUND_LIMIT_S)
                print(f"round {number + 1}: {server.kind.name}, {size} members", file=sys.stderr)


def print_table(servers: list[Server]) -> None:
    ours = servers[0]
    columns = [column for size in MEMBERS for column in (f"us, {size} members", "/ ours")]
    print(f"| CPU per delivered event | {' | '.join(columns)} | p50 ms, 10 members | p99 | p50 ms, 50 members | p99 |")
    print("|---|" + "---:|" * (len(columns) + 4))
    for server in servers:
        cells = []
        for size in MEMBERS:
            median = statistics.median(server.cpu_us[size])
            cells += [f"{median:.2f}", f"{median / statistics.median(ours.cpu_us[size]):.1f}"]
        for size in MEMBERS:
            for measured in (server.p50_ms, server.p99_ms):
                cells.append(f"{statistics.median(measured[size]):.1f}" if size in measured else "")
        print(f"| {server.kind.name} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--deliveries", type=int, default=200_000, help="how many events all members get in a round")
    parser.add_argument("--paced", type=int, default=1_000, help=f"events sent at {PACE_PER_S} a second in a round")
    parser.add_argument("--without-node", action="store_true", help="leave out the servers that need Node's packages")
    parser.add_argument("--quick", action="store_true", help="a tiny size, to see that it runs")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.deliveries, options.paced = 1, 10_000, 200
    with tempfile.TemporaryDirectory() as data:
        chosen = [kind for kind in kinds(Path(data)) if not (kind.is_node and options.without_node)]
        if any(kind.is_node for kind in chosen) and not (FOLDER / "node_modules").exists():
            raise SystemExit(
                f"expected the servers beside in {FOLDER}/node_modules: run npm ci there, or --without-node"
            )
        servers = []
        try:
            for kind in chosen:
                servers.append(start(kind))
            asyncio.run(measure_all(servers, options))
        finally:
            for server in servers:
                server.process.kill()
                server.process.wait()
    print_table(servers)
    print(
        f"\nPython {platform.python_version()}, websockets {version('websockets')}, "
        f"pycrdt-websocket {version('pycrdt-websocket')}; medians of {options.rounds} rounds, {os.cpu_count()} CPUs."
    )


if __name__ == "__main__":
    main()
