"""What a session waits for: that events are executed, that saves are stored; and what it hands over when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from msq_jupyter.errors import MsqError
from msq_jupyter.session.part import Part


class Waiting(Part):
    """The part of `SessionCore` that waits."""

    async def saved(self, counter: int | None = None) -> None:
        """Wait until what was published here is executed, and what the model saved is stored and acknowledged.

        Args:
            counter: number of the last event that has to be executed; None for all so far.

        Raises:
            SessionClosed: the session ended before.
        """
        await self.synced(counter)
        await self._stored_while(lambda: self._has_pending_save)

    async def _kept_stored(self) -> None:
        def waits() -> bool:
            replica = self._replica_or_none
            return replica is not None and any(save.kept for save in replica.saves)

        await self._stored_while(waits)

    async def _stored_while(self, waits: Callable[[], bool]) -> None:
        while waits():
            self.require_open()
            self._upload_if_due(at_once=True)
            await self._next_step()

    async def synced(self, counter: int | None = None) -> None:
        """Wait until the model has executed everything this participant has published so far.

        Args:
            counter: number of the last event that has to be executed; None for all so far.

        Raises:
            SessionClosed: the session ended before.
        """
        self.require_open()
        target = self._sent_counter if counter is None else counter
        while self.executed_counter < target:
            await self._next_step()
            self.require_open()

    async def _next_step(self) -> None:
        self._changed.clear()
        # Not `wait_for`: up to Python 3.11 it loses a cancellation that comes when something happens, and goes on.
        changing = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait({changing}, timeout=0.5)
        finally:
            changing.cancel()

    async def finish(self, limit_s: float) -> None:
        """Have what was published executed, and what was saved stored; give up after `limit_s` seconds and say so."""
        if self.error is not None:
            return
        try:
            await asyncio.wait_for(self.saved(), limit_s)
        except (MsqError, asyncio.TimeoutError):
            lost = self._sent_counter - self.executed_counter if self._replica_or_none else 0
            if lost or self._has_pending_save:
                saving = " and a save" if self._has_pending_save else ""
                self._story.warning("%s: %d events%s may be lost: no answer in time", self.name, lost, saving)

    @property
    def _has_pending_save(self) -> bool:
        replica = self._replica_or_none
        return replica is not None and replica.pending_save is not None and not self._client.read_only

    def hand_over(self) -> bool:
        """The process ends: send what waits; whether there is nothing more to wait for."""
        if self._client.ended:
            return True
        self.step()
        self._sealer.wait_no_longer()
        self._upload_if_due(at_once=True)
        return not self._has_pending_save and self.executed_counter >= self._sent_counter

    def hang_up(self, limit_s: float) -> None:
        """The process ends: leave at once, without waiting longer than `limit_s` seconds."""
        if not self._client.ended:
            self._connection.call(self._client.leave)
            self._connection.wait_closed(limit_s)
            self.step()  # so that the badge says so
