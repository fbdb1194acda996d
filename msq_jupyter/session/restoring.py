"""Restoring a version: tried out here, then sent to everybody as events that carry it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

from msq_jupyter.errors import (
    ArgumentError,
    MsqError,
    NoAnswer,
    NothingCollected,
    PersistedDataError,
    RestoreTimeout,
    SaveMethodMissing,
)
from msq_jupyter.json_path import parse_path
from msq_jupyter.runtime.happenings import RestoreFailed, RootReplaced
from msq_jupyter.runtime.model import has_method
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.runtime.restoring import PATH_CHARACTERS_MAX, encode_restore, with_path
from msq_jupyter.runtime.view import ViewEvents
from msq_jupyter.session.dry_run import content_now
from msq_jupyter.session.follower import Blueprint
from msq_jupyter.session.reading import Reader
from msq_jupyter.session.story import Story, compact_size
from msq_jupyter.stable import content_bytes, content_value


class Restorer:
    """Restores versions for one participant, one after the other.

    Args:
        view_id: who we are.
        blueprint: how to make a replica to try a version out.
        reader: gets versions.
        send: sends an event's payload.
        replica: the newest one.
        executed: waits until all events sent here are executed here.
        stored: waits until all saves that are kept are stored.
        story: what is restored is told there.
    """

    def __init__(
        self,
        view_id: str,
        blueprint: Blueprint,
        reader: Reader,
        send: Callable[[bytes], object],
        replica: Callable[[], Replica],
        executed: Callable[[], Awaitable[None]],
        stored: Callable[[], Awaitable[None]],
        story: Story,
    ) -> None:
        self._story = story
        self._view_id = view_id
        self._blueprint = blueprint
        self._reader = reader
        self._send = send
        self._replica = replica
        self._executed = executed
        self._stored = stored
        self._turn = asyncio.Lock()
        self._outcomes: dict[str, RootReplaced | RestoreFailed] = {}

    def see(self, happening: object) -> None:
        """Something happened; what came of restores is noted."""
        if isinstance(happening, RootReplaced | RestoreFailed) and happening.view_id == self._view_id:
            self._outcomes[happening.restore_id] = happening
        if isinstance(happening, RootReplaced):
            self._story.info("[Multisynq] Version %d of persistent data restored, for everybody", happening.number)

    async def restore(self, number: int, path: str | None, timeout_s: float) -> None:
        """Restore a version, or what it has at a path; see `SessionCore.restore`."""
        if type(number) is not int or number < 1:
            raise ArgumentError(
                f"version: expected the number of a version, such as 3 for v3 in versions(), got {number!r}"
            )
        if path is not None:
            parse_path(path)
            if len(path) > PATH_CHARACTERS_MAX:
                raise ArgumentError(f"path: expected at most {PATH_CHARACTERS_MAX:,} characters, got {len(path):,}")
        try:
            await asyncio.wait_for(self._restore_in_turn(number, path), timeout_s)
        except (asyncio.TimeoutError, TimeoutError) as error:
            if isinstance(error, MsqError):
                raise
            raise RestoreTimeout(
                f"version {number}: restoring it is not done after {timeout_s:g} seconds; it may still happen, which "
                "versions() shows: check the network and the synchronizer, or allow more with timeout_s="
            ) from None

    async def _restore_in_turn(self, number: int, path: str | None) -> None:
        async with self._turn:  # the parts of two restores must not mix
            self._outcomes.clear()
            content = await self._reader.content(number)
            self._try_out(content if path is None else self._with_path(content, path, number), number)
            self._story.info("[Multisynq] Restoring %s of persistent data", compact_size(len(content)))
            restore_id = os.urandom(12).hex()
            for payload in encode_restore(restore_id, number, content, path or ""):
                self._send(payload)
            await self._executed()
            self._check_outcome(restore_id, number)
            await self._stored()

    def _with_path(self, content: bytes, path: str, number: int) -> bytes:
        """What the root would save now, with what the version has at a path."""
        replica = self._replica()
        if not has_method(replica.root, "save"):
            raise SaveMethodMissing(type(replica.root).__qualname__)
        now = content_now(self._blueprint, replica)
        if now is None:
            raise NothingCollected(type(replica.root).__qualname__)
        return content_bytes(with_path(content_value(now), content_value(content), path, number))

    def _try_out(self, content: bytes, number: int) -> None:
        """Give the content to `init` in a replica of its own, whose mistakes nobody else sees."""
        scratch = self._blueprint.replica("dry run", ViewEvents())
        try:
            self._blueprint.start(scratch, content_value(content))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # sys.exit() in a model must not end the kernel
            raise self._init_failed(number, error, "Nothing was sent") from error

    def _check_outcome(self, restore_id: str, number: int) -> None:
        outcome = self._outcomes.get(restore_id)
        if outcome is None:
            raise NoAnswer(
                f"version {number}: the connection was lost while it was being restored, and what came of it was not "
                "seen here: versions() shows whether it was; if not, restore it again"
            )
        if isinstance(outcome, RestoreFailed) and outcome.method != "init":
            raise outcome.error  # before the root was replaced
        if isinstance(outcome, RestoreFailed):
            raise self._init_failed(number, outcome.error, "Everything is as it was") from outcome.error

    def _init_failed(self, number: int, error: BaseException, so: str) -> PersistedDataError:
        return PersistedDataError(
            f"{self._blueprint.code.root.__name__}.init failed on version {number} of the persisted data with "
            f"{type(error).__name__}: {error}. {so}. Restore another version, or mend init and join again",
            number,
        )
