"""What this participant uploads of the replica: versions that wait to be saved, and snapshots."""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial

from msq_jupyter import protocol
from msq_jupyter.errors import ContentTooLarge, StateError
from msq_jupyter.persistence.records import size_text
from msq_jupyter.runtime.audit import Audited
from msq_jupyter.runtime.happenings import SaveStored
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.session.client import Client, SaveRefused
from msq_jupyter.session.connection import Connection
from msq_jupyter.session.crypto import Keys
from msq_jupyter.session.mistakes import Mistakes
from msq_jupyter.session.questions import Questions
from msq_jupyter.session.saving import Saver
from msq_jupyter.session.versions import VersionSealer

logger = logging.getLogger("msq_jupyter")


class Uploads:
    """Seals and sends.

    Args:
        connection: what carries it.
        client: what sends it, on the connection's thread.
        keys: seals snapshots.
        sealer: seals versions.
        saver: knows when it is our turn.
        questions: asks for the version that ours are patches of.
        mistakes: what cannot be uploaded is told there.
    """

    def __init__(
        self,
        connection: Connection,
        client: Client,
        keys: Keys,
        sealer: VersionSealer,
        saver: Saver,
        questions: Questions,
        mistakes: Mistakes,
    ) -> None:
        self._connection = connection
        self._client = client
        self._keys = keys
        self._sealer = sealer
        self._questions = questions
        self._mistakes = mistakes
        self.saver = saver

    def save_if_due(self, replica: Replica, *, at_once: bool) -> None:
        """Upload what the replica has to save, if it is our turn and the time; until then as a draft.

        Args:
            replica: whose pending content.
            at_once: keep no distance to the last upload.
        """
        pending = replica.pending_save
        if pending is None:
            return
        parent = replica.last_save.number if replica.last_save else 0
        now_s = time.monotonic()
        is_ready = partial(self._sealer.is_ready, parent, now_s, self._fetch)
        upload = self.saver.begin(pending, parent, list(replica.views), now_s, at_once=at_once, is_ready=is_ready)
        if upload == "nothing":
            return
        self._connection.call(self._client.tell, self._sealer.seal(pending, parent, draft=upload == "draft"))
        logger.debug("uploading %s as %s %s", size_text(len(pending.content)), upload, pending.save_id)

    def _fetch(self, number: int) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # the process ends: nobody would hear the answer
            self._sealer.wait_no_longer()
            return
        self._questions.ask_for(partial(protocol.FetchVersion, number=number), self._sealer.fetched)

    def stored(self, stored: SaveStored) -> None:
        """A version is stored, ours or another one's."""
        self.saver.stored()
        self._sealer.stored(stored.entry, stored.content, is_ours=stored.entry.view_id == self._client.view_id)
        logger.info("[Multisynq] Persistent data saved (version %d)", stored.number)

    def refused(self, refused: SaveRefused) -> None:
        """The synchronizer could not store a version."""
        if self._sealer.refused(refused.missing):
            self.saver.reconnected()
            logger.info("saving again: %s", refused.reason)
            return
        self.saver.refused(refused.reason, time.monotonic())
        logger.warning("saving failed, trying again: %s", refused.reason)

    def differs(self, number: int) -> None:
        """Somebody stored as a version what our replica would not have saved."""
        logger.warning("version %d is not what this replica wanted to save, which is saved again", number)

    def snapshot(self, replica: Replica) -> None:
        """Upload the replica's state as it is."""
        try:
            state = replica.snapshot()
        except StateError as error:
            self._mistakes.report(type(replica.root).__qualname__, error.path, error)
            return
        self._send_snapshot(replica, replica.seq, replica.time_ms, state)

    def snapshot_of(self, audited: Audited, replica: Replica) -> None:
        """Upload the replica's state as it was at an audit."""
        if audited.error is not None:
            self._mistakes.report(type(replica.root).__qualname__, audited.error.path, audited.error)
        if audited.state is not None:
            self._send_snapshot(replica, audited.entry.seq, audited.entry.time_ms, audited.state)

    def _send_snapshot(self, replica: Replica, seq: int, time_ms: float, state: bytes) -> None:
        if len(state) > protocol.CONTENT_BYTES_MAX:
            too_large = ContentTooLarge("the snapshot of the models", len(state), protocol.CONTENT_BYTES_MAX)
            self._mistakes.report(type(replica.root).__qualname__, "snapshot", too_large)
            return
        sealed = self._keys.seal_snapshot(replica.run, seq, state)
        self._connection.call(self._client.tell_of, replica.run, protocol.Snapshot(seq, time_ms, sealed))
