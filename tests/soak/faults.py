"""What fails in a soak: connections, processes and clocks. Each fault ends by itself, or when it must be quiet.

What takes time here takes real time, drawn by lot: everything is real, and how long something is away is the subject.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from tests.soak.processes import frozen
from tests.soak.proxy import Link

if TYPE_CHECKING:
    from tests.soak.soak import Soak


#: Nothing else happens while a process stands still, so it is not for long.
FREEZE_S_MAX = 8


def _some_links(soak: Soak) -> list[Link]:
    links = list(soak.proxy.links)
    return soak.draw.sample(links, min(len(links), soak.draw.choice((1, 3, max(1, len(links) // 4)))))


def _freeze_s(soak: Soak) -> float:
    return min(soak.draw.choice(soak.scale.holds_s), FREEZE_S_MAX)


async def cut(soak: Soak) -> None:
    """Connections break."""
    for link in _some_links(soak):
        link.cut(is_reset=soak.draw.random() < 0.5)


async def silence(soak: Soak) -> None:
    """Connections fall silent, one way or both, and nobody is told; some break in the end."""
    links = _some_links(soak)
    pipes = [pipe for link in links for pipe in soak.draw.choice(((link.up,), (link.down,), (link.up, link.down)))]
    for pipe in pipes:
        pipe.is_open.clear()

    async def end() -> None:
        await soak.hold()
        for link in links:
            link.clear()
            if soak.draw.random() < 0.5:
                link.cut(is_reset=True)

    soak.errand(end())


async def lag(soak: Soak) -> None:
    """What passes comes late."""
    links = _some_links(soak)
    for link in links:
        link.up.delay_s, link.down.delay_s = soak.draw.uniform(0.02, 0.5), soak.draw.uniform(0.02, 0.5)
    soak.errand(_clear_later(soak, links))


async def slow(soak: Soak) -> None:
    """Some read slowly while somebody says much: more than the synchronizer keeps for them."""
    links = soak.draw.sample(list(soak.proxy.links), len(soak.proxy.links) // 3)
    for link in links:
        link.down.is_slow = True
    chair = soak.draw.choice(soak.taken())
    assert chair.process is not None
    await chair.process.ask("burst", chair.label)
    soak.errand(_clear_later(soak, links))


async def _clear_later(soak: Soak, links: list[Link]) -> None:
    await soak.hold()
    for link in links:
        link.clear()


async def kill_server(soak: Soak) -> None:
    """The synchronizer is killed with `kill -9`, and starts again."""
    await soak.note_all()
    await soak.server.end(signal.SIGKILL)
    await asyncio.sleep(soak.draw.choice((0, 0.5, 2)))
    await soak.server.start()


async def stop_server(soak: Soak) -> None:
    """It ends in good order, and starts again."""
    assert await soak.server.end(signal.SIGTERM) == 0
    await soak.server.start()


async def freeze_server(soak: Soak) -> None:
    """It stands still for a while."""
    await frozen(soak.server.process, _freeze_s(soak))


async def jump_clock(soak: Soak) -> None:
    """Its wall clock jumps by an hour."""
    soak.server.process.send_signal(signal.SIGUSR2)


async def turn_over(soak: Soak) -> None:
    """Members leave, and others come."""
    taken = soak.taken()
    for chair in soak.draw.sample(taken, min(len(taken), 3)):
        soak.errand(soak.replace(chair))


async def freeze_members(soak: Soak) -> None:
    """A process of members stands still for a while."""
    process = soak.draw.choice(soak.processes)
    await frozen(process.process, _freeze_s(soak))


async def kill_members(soak: Soak) -> None:
    """A process of members is killed with `kill -9`; others come in another one."""
    # The first process stays to the end: what it holds then is compared with what it held in the beginning.
    place = soak.draw.randrange(1, len(soak.processes))
    dead = soak.processes[place]
    await soak.note_all()
    await dead.end()
    process = soak.processes[place] = await soak.started()
    await process.ask("speak")
    for chair in soak.chairs:
        if chair.place == place:
            soak.errand(soak.fill(chair))


#: By the names that `lines` uses.
FAULTS: dict[str, Callable[[Soak], Awaitable[None]]] = {
    "cut": cut,
    "silence": silence,
    "lag": lag,
    "slow": slow,
    "turn over": turn_over,
    "freeze members": freeze_members,
    "kill members": kill_members,
    "freeze server": freeze_server,
    "jump clock": jump_clock,
    "stop server": stop_server,
    "kill server": kill_server,
}
