"""What this participant uploads of the replica: versions that wait to be saved, and snapshots."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

from msq_jupyter import protocol
from msq_jupyter.errors import ContentTooLarge, StateError
from msq_jupyter.runtime.audit import Audited
from msq_jupyter.runtime.happenings import SaveSkipped, SaveStored
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.session.arguments import Status
from msq_jupyter.session.client import Client, LinkState, SaveRefused
from msq_jupyter.session.connection import Connection
from msq_jupyter.session.crypto import Keys
from msq_jupyter.session.drafts import DraftSender, WaitingDraft
from msq_jupyter.session.mistakes import Mistakes
from msq_jupyter.session.questions import Questions
from msq_jupyter.session.saving import Saver
from msq_jupyter.session.story import Story, clock_text, compact_size, saved_text
from msq_jupyter.session.versions import VersionSealer


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
        story: what became of saves is told there.

    Attributes:
        is_quiet: saves are not told, because they happened before this participant came.
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
        story: Story,
    ) -> None:
        self._connection = connection
        self._client = client
        self._keys = keys
        self._sealer = sealer
        self._questions = questions
        self._mistakes = mistakes
        self._story = story
        self.saver = saver
        seal_draft = partial(sealer.seal, draft=True)
        self._drafts = DraftSender(client, seal_draft, time.monotonic, self._later, self._draft_sent)
        self.is_quiet = True
        self._newest_number = 0
        self._told_waiting = self._told_skipped = False
        self._next: tuple[float, float] = (0.0, 0.0)

    # --- saves ---------------------------------------------------------------------------------------------------

    def save_if_due(self, replica: Replica, *, at_once: bool) -> None:
        """Upload what the replica has to save, if it is our turn and the time; until then as a draft.

        Args:
            replica: whose pending content.
            at_once: keep no distance to the last upload.
        """
        pending = replica.pending_save
        if pending is None or self._client.read_only:
            return
        parent = replica.last_save.number if replica.last_save else 0
        in_flight, now_s = self.saver.in_flight, time.monotonic()
        is_ready = partial(self._sealer.is_ready, parent, now_s, self._fetch)
        upload = self.saver.begin(pending, parent, list(replica.views), now_s, at_once=at_once, is_ready=is_ready)
        if upload == "save":
            self._connection.call(self._drafts.drop)
            self._connection.call(self._client.tell, self._sealer.seal(pending, parent))
            self._story.debug("[Multisynq] Uploading %s of persistent data", compact_size(len(pending.content)))
        elif upload == "draft":
            self._tell_waiting()
            draft = WaitingDraft(replica.run, pending, parent, in_flight, self.saver.draft_at_s)
            self._connection.call(self._drafts.put, draft)

    def _fetch(self, number: int) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # the process ends: nobody would hear the answer
            self._sealer.wait_no_longer()
            return
        self._questions.ask_for(partial(protocol.FetchVersion, number=number), self._sealer.fetched)

    def next_save_s(self) -> float:
        """When what waits is uploaded or tried again, in seconds since 1970; 0 when nothing keeps it."""
        steady_s, now_s = self.saver.next_s, time.monotonic()
        if steady_s <= now_s:
            return 0.0
        if self._next[0] != steady_s:  # reckoned once, so that it is one number and does not tremble
            self._next = (steady_s, time.time() + steady_s - now_s)
        return self._next[1]

    def status(self, link_state: LinkState, waiting_ms: int, replica: Replica | None, *, on_branch: bool) -> Status:
        """How the session is doing.

        Args:
            link_state: of its client.
            waiting_ms: see `Status`.
            replica: its own, None before it has one.
            on_branch: see `Status`.
        """
        last = None if replica is None else replica.last_save
        saved_state = self.saver.state(replica, time.monotonic(), is_live=link_state == "live")
        return Status(
            link_state=link_state,
            saved_state=saved_state,
            saved_number=last.number if last else 0,
            saved_at_s=last.time_s if last else 0.0,
            saved_by=last.author if last else "",
            save_error=self.saver.error,
            on_branch=on_branch,
            next_save_s=self.next_save_s() if saved_state in ("dirty", "failed") else 0.0,
            waiting_ms=waiting_ms,
        )

    def stored(self, saved: SaveStored) -> None:
        """A version is stored, ours or another one's."""
        self.saver.stored(time.monotonic(), is_history=saved.is_history)
        self._sealer.stored(saved.entry, saved.content, is_ours=saved.entry.view_id == self._client.view_id)
        is_new = saved.number > self._newest_number  # a replica that was made again repeats what it did
        self._newest_number = max(self._newest_number, saved.number)
        self._told_waiting = self._told_skipped = False
        if is_new and not self.is_quiet:
            size = f" ({compact_size(saved.size_bytes)})" if saved.size_bytes else ""
            self._story.info("[Multisynq] Persistent data saved%s", size)
            self._story.info("[Multisynq] It is %s", saved_text(saved.number, saved.author, saved.entry.time_s))

    def skipped(self, skipped: SaveSkipped) -> None:
        """The model saved what it had saved already; told once until something else is saved."""
        if not self.is_quiet and not self._told_skipped:
            self._told_skipped = True
            same = "waits to be saved already" if skipped.is_pending else "is saved already"
            self._story.info("[Multisynq] Save skipped: the same data %s", same)

    def refused(self, refused: SaveRefused) -> None:
        """The synchronizer could not store a version."""
        if self._sealer.refused(refused.missing):
            self.saver.reconnected()
            self._story.info("[Multisynq] Saving again: %s", refused.reason)
            return
        self.saver.refused(refused.reason, time.monotonic())
        retry_s = self.saver.next_s - time.monotonic()
        self._story.warning("saving failed, trying again in %.0f s: %s", max(retry_s, 0), refused.reason)

    def _later(self, delay_s: float, function: Callable[[], None]) -> None:
        self._connection.call_later(delay_s, lambda: self._connection.call(function))

    def _tell_waiting(self) -> None:
        next_s = self.next_save_s()
        if next_s and not self._told_waiting:
            self._told_waiting = True
            distance = f"versions are at least {self.saver.interval_s:g} s apart"
            self._story.info("[Multisynq] Save waits until %s: %s", clock_text(next_s), distance)

    def _draft_sent(self, draft: WaitingDraft) -> None:
        size = compact_size(len(draft.pending.content))
        self._story.info("[Multisynq] Draft of %s uploaded: it is kept if this kernel dies", size)

    def differs(self, number: int) -> None:
        """Somebody stored as a version what our replica would not have saved."""
        self._story.warning("version %d is not what this replica wanted to save, which is saved again", number)

    # --- snapshots -----------------------------------------------------------------------------------------------

    def snapshot(self, replica: Replica) -> None:
        """Upload the replica's state as it is."""
        if self._client.read_only:
            return
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
