"""What sessions cost that nothing happens in, and how long joining takes: thirty at once, and one that comes late.

The synchronizer is a process of its own, its log on the disk. What is measured, row by row, is in README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from fan_out import load
from websockets.asyncio.client import ClientConnection, connect

from msq_jupyter import Model, protocol
from msq_jupyter.session.session import SessionCore

IDLE_S = 10.0
EVENT_BYTES = 100


class Server:
    """A `msq serve`, and what it takes."""

    def __init__(self, data: Path) -> None:
        command = [sys.executable, "-m", "msq_jupyter.cli", "serve", "--data", str(data)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    def memory_mb(self) -> float:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


class Silent(load.Member):
    """Says nothing but that it is there."""

    PING, PONG = b"\x89\x00", b"\x8a\x80" + bytes(4)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if data.endswith(self.PING):
            self.transport.write(self.PONG)


# --- sessions that nothing happens in ----------------------------------------------------------------------------


def join_of(session: str, tick_rate: float, view_id: str = "view") -> protocol.Join:
    return protocol.Join(
        protocol_version=protocol.PROTOCOL_VERSION,
        session_id=session,
        persistent_id=session,
        view_id=view_id,
        password_check=bytes(32),
        view_data=b"",
        tick_rate=tick_rate,
        rejoin_limit_ms=1_000,
        persisted="latest",
        have_run="",
        have_seq=-1,
    )


async def open_sessions(server: Server, name: str, count: int, tick_rate: float) -> list[load.Member]:
    """So many sessions with one member each, who has heard its own join."""
    loop = asyncio.get_running_loop()
    port = int(server.url.rpartition(":")[2])
    members = []
    for number in range(count):
        greeting = load.frame_of(protocol.encode(join_of(f"{name}-{number}", tick_rate)))

        def make(greeting: bytes = greeting) -> Silent:
            return Silent(greeting, "/")

        _, member = await loop.create_connection(make, "127.0.0.1", port)
        members.append(member)
        if number % 200 == 199:
            await asyncio.gather(*(member.ready for member in members))
            await asyncio.sleep(0.05)
    await asyncio.gather(*(member.ready for member in members))
    return members


async def measure_idle(data: Path, count: int, idle_s: float) -> list[tuple[str, str]]:
    server = Server(data)
    try:
        await open_sessions(server, "first", 1, 1 / 30)
        empty_mb = server.memory_mb()
        members = await open_sessions(server, "session", count, 1 / 30)
        await asyncio.sleep(min(3.0, idle_s))
        before_s = server.cpu_s()
        await asyncio.sleep(idle_s)
        connected_mb, connected_s = server.memory_mb(), server.cpu_s() - before_s
        for member in members:
            member.is_done = True
            member.transport.close()
        await asyncio.sleep(min(20.0, idle_s * 2))  # until the last one has exited
        before_s = server.cpu_s()
        await asyncio.sleep(idle_s)
        left_mb, left_s = server.memory_mb(), server.cpu_s() - before_s
    finally:
        server.end()
    return [
        (f"{count:,} sessions, one silent member each: beyond the empty server", f"{connected_mb - empty_mb:.0f} MB"),
        ("the same: share of a processor, a tick each 30 s", f"{connected_s / idle_s:.1%}"),
        (f"{count:,} sessions that everybody has left: beyond the empty server", f"{left_mb - empty_mb:.0f} MB"),
        ("the same: share of a processor", f"{left_s / idle_s:.1%}"),
    ]


# --- joining -----------------------------------------------------------------------------------------------------


class Wall(Model):
    """What everybody wrote, and 10 MB to begin with."""

    def init(self, options: dict[str, int]) -> None:
        self.words = ["x" * 1_000 for _ in range(options["kilobytes"])]
        self.count = 0
        self.subscribe("wall", "write", self.write)

    def write(self, _: str) -> None:
        self.count += 1


async def join(server: Server, name: str, kilobytes: int) -> SessionCore[Wall]:
    return await SessionCore.join(
        app_id="benchmark",
        name=name,
        password="password",
        model=Wall,
        options={"kilobytes": kilobytes},
        synchronizer=server.url,
        join_timeout_s=120,
    )


async def come(server: Server, session: str, place: int) -> ClientConnection:
    """Join as bare frames, until everybody could know of it: the key and the replica are each participant's own."""
    connection = await connect(server.url, compression=None, max_size=None, proxy=None)
    view_id = f"view-{place}"
    await connection.send(protocol.encode(join_of(session, 20, view_id)))
    while True:
        message = protocol.decode_down(await connection.recv())
        if isinstance(message, protocol.Block):
            entries = protocol.decode_block(message)
            if any(isinstance(e, protocol.Membership) and view_id in dict(e.joins) for e in entries):
                return connection


async def measure_crowd(server: Server, size: int, rounds: int) -> list[tuple[str, str]]:
    took_ms, alone_ms, processor_ms = [], [], []
    for number in range(rounds):
        begin_s, processor_s = time.perf_counter(), time.process_time()
        session = await join(server, f"alone {number}", 1)
        alone_ms.append((time.perf_counter() - begin_s) * 1_000)
        processor_ms.append((time.process_time() - processor_s) * 1_000)
        await session.leave()
        begin_s = time.perf_counter()
        came = await asyncio.gather(*(come(server, f"crowd {number}", place) for place in range(size)))
        took_ms.append((time.perf_counter() - begin_s) * 1_000)
        await asyncio.gather(*(connection.close() for connection in came))
    return [
        ("one joins a new session, with its key and its replica", f"{statistics.median(alone_ms):.0f} ms"),
        ("the same: time of the processor", f"{statistics.median(processor_ms):.0f} ms"),
        (
            f"{size} join one session at once, without: until each hears its own join",
            f"{statistics.median(took_ms):.0f} ms",
        ),
    ]


async def measure_latecomer(
    server: Server, events: int, kilobytes: int, rounds: int, settle_s: float
) -> list[tuple[str, str]]:
    first = await join(server, "wall", kilobytes)
    payload = "y" * EVENT_BYTES
    for number in range(events):
        first.publish("wall", "write", payload)
        if number % 1_000 == 999:
            await first.synced()
    await asyncio.sleep(min(5.0, settle_s))  # for an audit, and with it a snapshot, of the last ones
    took_ms, processor_ms = [], []
    for _ in range(rounds):
        begin_s, processor_s = time.perf_counter(), time.process_time()
        late = await join(server, "wall", kilobytes)
        took_ms.append((time.perf_counter() - begin_s) * 1_000)
        processor_ms.append((time.process_time() - processor_s) * 1_000)
        assert late.model.count == events
        await late.leave()
    await first.leave()
    name = f"one comes to a session of {events:,} events and {kilobytes / 1_000:g} MB: until it is live"
    return [
        (name, f"{statistics.median(took_ms):.0f} ms"),
        ("the same: time of the processor", f"{statistics.median(processor_ms):.0f} ms"),
    ]


async def measure(options: argparse.Namespace, data: Path) -> list[tuple[str, str]]:
    rows = await measure_idle(data / "idle", options.sessions, options.idle)
    server = Server(data / "joining")
    try:
        rows += await measure_crowd(server, 30, options.rounds)
        rows += await measure_latecomer(server, options.events, options.kilobytes, options.rounds, options.idle)
    finally:
        server.end()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--idle", type=float, default=IDLE_S, help="how many seconds idleness is watched")
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--kilobytes", type=int, default=10_000, help="size of the model that somebody comes late to")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tiny size, to see that it runs")
    options = parser.parse_args()
    if options.quick:
        options.sessions, options.idle, options.events, options.kilobytes, options.rounds = 50, 0.5, 2_000, 100, 1
    with tempfile.TemporaryDirectory() as data:
        rows = asyncio.run(measure(options, Path(data)))
    print("| what | |")
    print("|---|---:|")
    for name, value in rows:
        print(f"| {name} | {value} |")
    print(f"\nPython {platform.python_version()}, msgspec {msgspec.__version__}, {os.cpu_count()} CPUs.")


if __name__ == "__main__":
    main()
