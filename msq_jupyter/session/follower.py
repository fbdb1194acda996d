"""Keeps a replica in step with what the client received, in portions; on the main loop.

It makes the replica when the synchronizer welcomes us: new with `init`, from a snapshot, or the one we have, which goes
on. Then it applies entries and ticks in order. What else happened it hands on, in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from msq_jupyter import protocol
from msq_jupyter.errors import EventNeverEnds, InternalError, ModelInitError, MsqError, PersistedDataError, SealBroken
from msq_jupyter.runtime import happenings as replica_happenings
from msq_jupyter.runtime.link import LinkedCode
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.runtime.saves import LastSave
from msq_jupyter.runtime.view import ViewEvents
from msq_jupyter.session import client as client_module
from msq_jupyter.session.client import Client
from msq_jupyter.session.crypto import Keys
from msq_jupyter.session.story import Story, compact_size, saved_text
from msq_jupyter.session.versions import open_content, open_meta
from msq_jupyter.stable import content_value


@dataclass(frozen=True)
class ReplicaMade:
    """There is another replica: views and links begin again from its models."""


Happening: TypeAlias = ReplicaMade | client_module.Happening | replica_happenings.Happening


@dataclass(frozen=True)
class Blueprint:
    """What it takes to make the replica.

    Attributes:
        session_id: the session.
        persistent_id: for messages.
        code: the session's code, linked.
        options: the session's options.
    """

    session_id: str
    persistent_id: str
    code: LinkedCode
    options: Mapping[str, Any]

    def replica(self, run: str, view_events: ViewEvents | None = None, **details: Any) -> Replica:
        """A replica of the session without models yet.

        Args:
            run: which run of the session.
            view_events: who hears what models publish; nobody unless given.
            details: what else `Replica` takes.
        """
        code = self.code
        details = {"value_types": code.value_types, "originals": code.originals, **details}
        return Replica(self.session_id, run, code.models, view_events, **details)

    def start(self, replica: Replica, persisted: Any) -> None:
        """Make the root model, with options of its own; raises whatever its `init` raises."""
        options = msgspec.msgpack.decode(msgspec.msgpack.encode(dict(self.options)))
        replica.start(self.code.root, options, persisted)


_FOR_THE_REPLICA = (client_module.Received, client_module.Ticked, client_module.Judged)


class Follower:
    """Steps a replica.

    Args:
        client: where entries come from.
        keys: opens snapshots and versions.
        blueprint: how to make the replica.
        view_events: who hears what models publish; outlives replicas.
        story: what it loads is told there.

    Attributes:
        replica: the newest one, None before the first welcome.
        run: which run of the session it belongs to.
        happenings: what the session has to know, in order; it removes them.
    """

    def __init__(self, client: Client, keys: Keys, blueprint: Blueprint, view_events: ViewEvents, story: Story) -> None:
        self._client = client
        self._keys = keys
        self._blueprint = blueprint
        self._view_events = view_events
        self._story = story
        self._moves: deque[protocol.Entry | float] = deque()
        self.replica: Replica | None = None
        self.run = ""
        self.happenings: deque[Happening] = deque()
        self._discarded = False
        self._interrupted_at: tuple[str, int, float] | None = None
        self._first_seq = 0

    @property
    def behind(self) -> bool:
        """Whether something waits to be applied or handled."""
        return bool(self._moves or self._client.happenings)

    @property
    def share_done(self) -> float:
        """How much of what happened before we came the replica has been through: 0 to 1."""
        if self.replica is None:
            return 0.0
        past = self.replica.history_seq - self._first_seq
        return min(1.0, (self.replica.seq - self._first_seq) / past) if past > 0 else 1.0

    def discard(self, method: str = "") -> None:
        """The replica stopped in the middle of an event: take nothing for it any more, until there is another one.

        Args:
            method: which method of a model was interrupted; "" when none was, and then it is no sign of an endless one.

        Raises:
            EventNeverEnds: the same event was interrupted before.
        """
        if self._discarded:
            return
        place = ("", 0, 0.0) if self.replica is None else (self.run, self.replica.seq, self.replica.time_ms)
        if method and place == self._interrupted_at:
            raise EventNeverEnds(
                f"{method} was interrupted twice in the same event, which may never end. Everybody who has this code "
                "is stuck there: mend the method, run its cell, and join again; a session with edited code starts from "
                "what was saved last. If the event only takes long, join again and let it work"
            )
        self._interrupted_at = place
        what = method or "the model"
        self.abandon(f"{what} was interrupted in the middle of an event: the model is being restored")

    def abandon(self, reason: str) -> None:
        """The replica is of no use, and `reason` says why: take nothing for it, until there is another one."""
        self._story.warning("%s", reason)
        self._discarded = self.replica is not None
        self._moves.clear()

    def step(self, pause: Callable[[], bool]) -> bool:
        """Apply what has come, until `pause` says True; whether everything is done.

        Raises:
            MsqError: the session cannot go on.
        """
        while True:
            if self._moves:
                if not self._move(pause):
                    return False
            elif self._client.happenings:
                self._absorb(self._client.happenings.popleft())
            else:
                return True

    def _move(self, pause: Callable[[], bool]) -> bool:
        assert self.replica is not None  # a Welcome comes before any entry
        try:
            return self.replica.follow(self._moves, pause)
        finally:
            self.happenings.extend(self.replica.happenings)
            self.replica.happenings.clear()

    def _absorb(self, happening: client_module.Happening) -> None:
        if self._discarded and isinstance(happening, _FOR_THE_REPLICA):
            return
        if isinstance(happening, client_module.Received):
            self._moves.extend(happening.entries)
        elif isinstance(happening, client_module.Ticked):
            self._moves.append(happening.time_ms)
        elif isinstance(happening, client_module.Welcomed):
            self._welcome(happening.welcome)
            self.happenings.append(happening)
        else:
            self.happenings.append(happening)

    def _welcome(self, welcome: protocol.Welcome) -> None:
        if welcome.resumed:
            # The replica we have goes on; a discarded one waits for the next welcome.
            if self.replica is not None:
                self.replica.history_seq = welcome.live_seq
            return
        replica = self._blueprint.replica(welcome.run, self._view_events, save_digest=self._keys.save_digest)
        replica.history_seq = welcome.live_seq
        if welcome.snapshot is not None:
            replica.restore(self._keys.open_snapshot(welcome.run, welcome.snapshot.seq, welcome.snapshot.payload))
        else:
            self._start(replica, welcome.origin, welcome.origin_base)
        self.replica = replica
        self._first_seq = replica.seq
        self._discarded = False
        self.run = welcome.run
        self.happenings.append(ReplicaMade())
        self.happenings.extend(replica.happenings)
        replica.happenings.clear()

    def _start(
        self, replica: Replica, origin: protocol.StoredVersion | None, base: protocol.StoredVersion | None
    ) -> None:
        plan = self._blueprint
        if origin is None:
            try:
                plan.start(replica, None)
            except (MsqError, KeyboardInterrupt):
                raise
            except BaseException as error:  # sys.exit() in a model must not end the kernel
                what = f"{plan.code.root.__name__}.init failed with {type(error).__name__}: {error}"
                raise ModelInitError(f"{what}; the traceback above shows where") from error
            return
        try:
            plan.start(replica, self._opened(replica, origin, base))
        except (InternalError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise _unloadable(plan.code.root.__name__, origin.number, error) from error

    def _opened(self, replica: Replica, origin: protocol.StoredVersion, base: protocol.StoredVersion | None) -> Any:
        """What was saved as a version; the replica knows from here on that it starts from it."""
        content = open_content(self._keys, origin, base)
        meta = open_meta(self._keys, origin)
        persisted = content_value(content)
        replica.content_id = meta.content_id
        replica.last_save = LastSave(origin.number, meta.author, origin.time_s)
        tell = self._story.info
        tell("[Multisynq] Session loaded from persistent data (persistentId: %s)", self._blueprint.persistent_id)
        tell("[Multisynq] Restoring %s of persistent data", compact_size(len(content)))
        tell("[Multisynq] It is %s", saved_text(origin.number, meta.author, origin.time_s))
        return persisted


def _unloadable(root: str, number: int, error: BaseException) -> PersistedDataError:
    """What `join` raises when a version cannot be loaded, and the ways on."""
    what = f"{type(error).__name__}: {error}"
    failed = f"version {number} of the persisted data cannot be read: {what}"
    remedy = "J"
    if not isinstance(error, SealBroken):
        failed = f"{root}.init failed on version {number} of the persisted data with {what}"
        remedy = "Mend init and join again, or j"
    return PersistedDataError(
        f"{failed}. Nothing was overwritten. {remedy}oin with persisted=<number of an older version>, or with "
        'persisted="ignore" to start empty. Which versions the code can load, await session.check(model) says in a '
        "session that runs, and msq check about an exported file",
        number,
    )
