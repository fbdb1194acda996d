"""Dropping old versions now and then, in a session that was joined with rules for what is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from msq_jupyter.errors import MsqError
from msq_jupyter.session.story import Story

#: How long after one time the next one is, at least, in seconds.
INTERVAL_S = 3600.0


class Tender:
    """Prunes after one of our own saves is stored: so one participant does it, and one that is there.

    Args:
        prune: drops what may go, by the times of the synchronizer that stored it.
        story: what cannot be done is told there.
    """

    def __init__(self, prune: Callable[[], Awaitable[list[int]]] | None, story: Story) -> None:
        self._prune = prune
        self._story = story
        self._due_s = float("-inf")
        # Kept here, because asyncio itself does not keep a task alive.
        self._pruning: asyncio.Task[None] | None = None

    def stored(self, now_s: float, *, is_ours: bool) -> None:
        """A version is stored.

        Args:
            now_s: the time, in seconds of any steady clock.
            is_ours: whether this participant uploaded it.
        """
        if self._prune is not None and is_ours and now_s >= self._due_s:
            self._due_s = now_s + INTERVAL_S
            self._pruning = asyncio.get_running_loop().create_task(self._run(self._prune))

    async def _run(self, prune: Callable[[], Awaitable[list[int]]]) -> None:
        try:
            await prune()
        except MsqError as error:
            self._story.info("[Multisynq] Old versions were not dropped, the next save may do it: %s", error)
            self._due_s = float("-inf")
