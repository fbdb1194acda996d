"""One simulated participant: a real client, follower, replica and saver, driven by virtual time."""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from msq_jupyter import protocol
from msq_jupyter.errors import EventTooLarge, MsqError, SessionClosed, VersionMissing
from msq_jupyter.runtime.assignment import check_assignable
from msq_jupyter.runtime.audit import Audited
from msq_jupyter.runtime.happenings import HandlerFailed, RootReplaced, SaveDiffers, SaveStored
from msq_jupyter.runtime.pubsub import check_topic
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.runtime.restoring import encode_restore
from msq_jupyter.runtime.snapshot import pack_value
from msq_jupyter.runtime.view import View, ViewEvents, make_view
from msq_jupyter.session import client as client_module
from msq_jupyter.session import follower as follower_module
from msq_jupyter.session.agreement import Agreement
from msq_jupyter.session.client import Client
from msq_jupyter.session.connection import RETRY_ASKED_S, RETRY_FIRST_S, RETRY_LONGEST_S, WATCH_S
from msq_jupyter.session.crypto import Keys, derive_root_key
from msq_jupyter.session.drafts import DraftSender, WaitingDraft
from msq_jupyter.session.follower import Blueprint, Follower
from msq_jupyter.session.saving import Saver
from msq_jupyter.session.story import Story
from msq_jupyter.session.talk import Talk
from msq_jupyter.session.versions import VersionSealer, open_content
from msq_jupyter.testing.faults import HandlerRaised, InvariantBroken, NotConverged
from msq_jupyter.testing.flips import flip
from msq_jupyter.testing.ledger import Witness
from msq_jupyter.testing.network import Link
from msq_jupyter.testing.plan import Plan, World
from msq_jupyter.testing.timeline import Timer

logger = logging.getLogger("msq_jupyter.testing")


class Participant:
    """Somebody in a simulated session, made by `Room.join`.

    Attributes:
        name: for people; also the view's id.
        view: the root view, None without a view class or before the first welcome.
        view_events: what views of this participant subscribe to.
        errors: what its models' methods raised, oldest first.
        is_gone: it left, or was killed.
        talk: questions to others, and news of them.
        flipped_path: what was changed in its replica by `flip`; None when it has another one by now.
    """

    def __init__(self, world: World, plan: Plan, name: str) -> None:
        self.name = self.view_id = name
        self.session_id = plan.session_id
        self._world = world
        self._plan = plan
        arguments = plan.arguments
        identity, code = plan.code
        self._keys = Keys(derive_root_key(None, arguments.persistent_id), arguments.persistent_id, self.session_id)
        card = self._keys.seal_view_data(name, pack_value({"label": name, "view_data": arguments.view_data}, "card"))
        self.client = Client(self._keys, arguments.message(self.session_id, name, self._keys.password_check, card))
        blueprint = Blueprint(self.session_id, arguments.persistent_id, code, arguments.options)
        self.view_events = ViewEvents()
        self.follower = Follower(self.client, self._keys, blueprint, self.view_events, Story())
        self._sealer = VersionSealer(self._keys, self.session_id, identity.code_hash, identity.source, name)
        self._saver = Saver(name, arguments.persist_interval_ms / 1_000)
        seal_draft = partial(self._sealer.seal, draft=True)
        self._drafts = DraftSender(self.client, seal_draft, lambda: self._now_s, self._later, self._draft_sent)
        self._agreement = Agreement(self._keys, name)
        self.talk = Talk(self._keys, name, self._tell)
        self.talk.hears["diverged"] = self._on_diverged
        self.flipped_path: str | None = None
        self.view: View | None = None
        self.errors: deque[HandlerFailed] = deque(maxlen=1_000)
        self.is_gone = False
        self._link: Link | None = None
        self._retry_s = RETRY_FIRST_S
        self._earlier_events = 0
        self._restored = 0
        self._was_flipped: str | None = None
        self._witness = Witness(name)
        self._step_timer: Timer | None = None
        self._watch_timer: Timer | None = None
        self._busy_until_ms = 0.0
        self._paused = False
        self._interrupted = False
        self._collected = ""
        self._answers: dict[int, Callable[[Any], None]] = {}
        self._connect()

    # --- what an author sees -------------------------------------------------------------------------------------

    @property
    def replica(self) -> Replica:
        """This participant's copy of the session.

        Raises:
            SessionClosed: there is none yet.
        """
        if self.follower.replica is None:
            raise SessionClosed(f"{self.name} has not joined yet: let time pass with run()")
        return self.follower.replica

    @property
    def has_replica(self) -> bool:
        """Whether there is a copy of the session."""
        return self.follower.replica is not None

    @property
    def model(self) -> Any:
        """The root model, to read and to call operations of."""
        outside = self.replica.outside
        outside.send = self._send_operation
        return outside.root

    @property
    def is_live(self) -> bool:
        """Whether it is connected, has the whole log, and its replica did everything that is in it."""
        if self.client.state != "live" or self.follower.behind or self._interrupted:
            return False
        return self.view_id in self.replica.views

    @property
    def executed_events(self) -> int:
        """How many of its events its replica has executed."""
        return self._earlier_events + self.replica.counters.get(self.view_id, 0)

    @property
    def published_events(self) -> int:
        """How many events it has published."""
        return len(self._world.ledger.published.get(self.view_id, ()))

    @property
    def has_pending_save(self) -> bool:
        """Whether its replica waits for something to be stored."""
        return self.has_replica and self.replica.pending_save is not None

    def publish(self, scope: str, event: str, data: Any = None) -> None:
        """Send an event to the models of every replica, as `Session.publish` does: not when nothing subscribes.

        Raises:
            EventTooLarge: with its size and the limit.
            StateError: the data cannot be sent; names the path.
            SubscriptionError: not a topic.
            SessionClosed: it left, or has not joined yet.
        """
        check_topic(scope, event)
        replica = self._open_replica()
        if self.view_events.wanted(scope, event):
            self.view_events.publish(scope, event, replica.copied(data, f"data of {scope}:{event}"))
            self.wake()
        if not (replica.hears(scope, event) or self.follower.behind):
            logger.warning("nothing subscribes to %s:%s, so it was not sent", scope, event)
            return
        self._send(replica.encode_publication(scope, event, data), f"{scope}:{event}")

    def assign(self, attribute: str, value: Any) -> None:
        """Set an attribute of the root model on every replica, as a linked widget does.

        Raises:
            AuthorError: not a public attribute the model has.
            StateError: the value cannot be sent.
            EventTooLarge: with its size and the limit.
            SessionClosed: it left, or has not joined yet.
        """
        root = self._open_replica().root
        check_assignable(self.model, attribute)
        self._send(self.replica.encode_assignment(root.id, attribute, value), f"{type(root).__name__}.{attribute}")

    def _send_operation(self, payload: bytes, what: str) -> None:
        self._open_replica()
        self._send(payload, what)

    def ask(self, question: Callable[[int], protocol.Message], answer: Callable[[Any], None]) -> None:
        """Ask the synchronizer for versions; asked again after every reconnect until it is answered.

        Args:
            question: makes `ListVersions` or `FetchVersion` of a request id.
            answer: called with the `Versions` or `VersionContent`.
        """
        request_id = max(self._answers, default=0) + 1
        self._answers[request_id] = answer
        self.client.request(request_id, question(request_id))
        self._pump()

    def restore(self, number: int) -> None:
        """Restore a version as `Session.restore` does, as soon as the synchronizer has delivered it.

        Raises:
            SessionClosed: it left, or has not joined yet.
        """
        self._open_replica()
        self.ask(lambda request_id: protocol.FetchVersion(request_id, number), self._on_version)

    def _on_version(self, answer: protocol.VersionContent) -> None:
        if answer.version is None:
            raise VersionMissing(f"there is no version of the number that {self.name} wants to restore")
        content = open_content(self._keys, answer.version, answer.base)
        self._restored += 1
        for payload in encode_restore(str(self._restored), answer.version.number, content):
            self._send(payload, "a restore")

    # --- what happens to it --------------------------------------------------------------------------------------

    def cut(self) -> None:
        """Cut the connection; it connects again by itself."""
        if self._link is not None:
            self._world.ledger.counters["cuts"] += 1
            self._link.cut()

    def be_busy(self, duration_ms: float) -> None:
        """Run a long cell: the replica does not move meanwhile, the connection does."""
        self._world.ledger.counters["long cells"] += 1
        self._busy_until_ms = max(self._busy_until_ms, self._world.timeline.now_ms + duration_ms)

    def interrupt(self) -> None:
        """Interrupt the kernel in the middle of an event: the replica is thrown away and made again."""
        if self._link is None or not self.has_replica:
            return
        self._world.ledger.counters["interrupts"] += 1
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._interrupted = True
        self.follower.discard()
        self.client.forget_replica()
        if self._link is not None:
            self._link.cut()

    def flip(self) -> str | None:
        """Change one small value of its replica, and of no other; returns its path, None when there is nothing."""
        self.flipped_path = flip(self.replica, self._world.dice.random)
        if self.flipped_path:
            self._world.ledger.counters["flips"] += 1
        return self.flipped_path

    def leave(self) -> None:
        """Leave properly: what waits to be saved is uploaded, the others hear of it at once."""
        if self.is_gone:
            return
        self._busy_until_ms = 0.0
        self._step()
        self._sealer.wait_no_longer()
        self._upload_if_due(at_once=True)
        if self.has_replica and len(self.replica.views) <= 1:
            self._upload_snapshot(self.replica, self.replica.seq, self.replica.time_ms, self.replica.snapshot())
        self.client.leave()
        self._pump()
        self._end()

    def kill(self, *, delivered: bool = False) -> None:
        """Die without a word; what it sent before is lost, unless it is `delivered`."""
        if not self.is_gone:
            self._world.ledger.counters["kills"] += 1
            if self._link is not None:
                (self._link.close_up if delivered else self._link.cut)()
            self._end()

    def _end(self) -> None:
        self.is_gone = True
        self._link = None
        for timer in (self._step_timer, self._watch_timer):
            if timer is not None:
                timer.cancel()
        if self.view is not None:
            self.view.detach()

    # --- the connection ------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        world = self._world
        if self.is_gone:
            return
        if not world.synchronizer.is_up:
            self._retry(0.0)
            return
        self._link = Link(world.timeline, world.dice, self, world.synchronizer)
        self.client.connected()
        self._pump()

    def _retry(self, away_ms: float) -> None:
        dice = self._world.dice
        asked_s = min(self.client.retry_after_ms / 1_000, RETRY_ASKED_S)
        self.client.retry_after_ms = 0.0
        wait_s = max(self._retry_s * (0.5 + dice.random.random()), asked_s)
        self._retry_s = min(self._retry_s * 2, RETRY_LONGEST_S)
        self._world.timeline.after(wait_s * 1_000 + away_ms, self._connect)

    def received(self, link: Link, frame: bytes) -> None:
        """A frame arrived."""
        if link is not self._link:
            return
        known = len(self.client.happenings)
        self.client.received(frame)
        for happening in itertools.islice(self.client.happenings, known, None):
            self._world.ledger.see(self._witness, happening)
        self._pump()
        self.wake()

    def lost(self, link: Link) -> None:
        """The connection is gone."""
        if link is not self._link:
            return
        self._link = None
        if self.client.state in ("live", "catching up"):
            self._retry_s = RETRY_FIRST_S
        self.client.disconnected()
        self.wake()
        if not self.client.ended:
            self._retry(self._world.dice.between(self._world.dice.weather.away_ms))

    def _pump(self) -> None:
        link = self._link
        if link is None:
            return
        self.client.flush()
        while self.client.outgoing:
            link.up(self.client.outgoing.popleft())
        if self.client.ended:
            link.close_up()

    def _send(self, payload: bytes, topic: str) -> None:
        if len(payload) > protocol.EVENT_PLAIN_BYTES_MAX:
            raise EventTooLarge(len(payload), protocol.EVENT_PLAIN_BYTES_MAX, topic)
        self._world.ledger.publish(self.view_id, payload)
        self.client.send(payload)
        self._pump()

    def _open_replica(self) -> Replica:
        if self.is_gone:
            raise SessionClosed(f"{self.name} has left")
        return self.replica

    # --- the replica ---------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Let the replica move as soon as no cell keeps it from it."""
        if self._step_timer is None and not self.is_gone:
            self._step_timer = self._world.timeline.at(self._busy_until_ms, self._step)

    def _step(self) -> None:
        self._step_timer = None
        if self._world.timeline.now_ms < self._busy_until_ms:
            self.wake()
            return
        self._paused = False
        try:
            done = self.follower.step(self._pause)
        except MsqError as error:
            self.client.fail(error)
            self._pump()
            self._end()
            raise
        while self.follower.happenings and not self.is_gone:
            self._handle(self.follower.happenings.popleft())
        if not self.is_gone:
            self._after_step()
        if not done:
            self.wake()

    def _pause(self) -> bool:
        paused = self._world.dice.pause()
        self._paused |= paused
        return paused

    def _after_step(self) -> None:
        replica = self.follower.replica
        if replica is None or self._interrupted:
            return
        is_sound = self.flipped_path is None
        for pending in replica.saves if is_sound else ():
            self._world.ledger.check_save(self.name, pending.save_id, pending.content_id)
        if is_sound and not self._paused and not self.follower.behind and self.client.state == "live":
            self._world.ledger.check_state(self.name, replica)
        self._upload_if_due(at_once=False)
        self.view_events.run_frame()
        if self.view is not None:
            self.view.update(replica.time_ms)

    def _handle(self, happening: follower_module.Happening) -> None:
        if isinstance(happening, follower_module.ReplicaMade):
            self._interrupted = False
            self._was_flipped, self.flipped_path = self.flipped_path, None
            self._make_view()
        elif isinstance(happening, RootReplaced):
            self._world.ledger.counters["restores"] += 1
            self._make_view()
        elif isinstance(happening, client_module.Welcomed):
            self._earlier_events = happening.earlier_events
            self._saver.reconnected()
            self._sealer.welcomed(happening.welcome)
            self._on_welcome(happening.welcome)
        elif isinstance(happening, Audited):
            self._on_audited(happening)
        elif isinstance(happening, client_module.Judged):
            if happening.run == self.follower.run and self._agreement.accuses_us(happening.verdict):
                self._begin_anew()
        elif isinstance(happening, client_module.Spoken):
            if isinstance(happening.message, protocol.Told):
                self.talk.on_told(happening.message)
        elif isinstance(happening, SaveDiffers):
            self._world.ledger.counters["saves that differ"] += 1
        elif isinstance(happening, client_module.SaveRefused):
            self._world.ledger.counters["refused saves"] += 1
            if self._sealer.refused(happening.missing):
                self._saver.reconnected()
            else:
                self._saver.refused(happening.reason, self._now_s)
        elif isinstance(happening, SaveStored):
            self._reach("acknowledged")
            self._saver.stored(self._now_s, is_history=happening.is_history)
            self._sealer.stored(happening.entry, happening.content, is_ours=happening.entry.view_id == self.view_id)
        elif isinstance(happening, HandlerFailed):
            self._on_error(happening)
        elif isinstance(happening, client_module.Answered):
            self._answers.pop(happening.request_id)(happening.answer)
        elif isinstance(happening, client_module.Failed):
            self._end()
            raise happening.error

    def _make_view(self) -> None:
        view_class = self._plan.arguments.view
        if self.view is not None:
            self.view.detach()
        self.view = None if view_class is View else make_view(view_class, self.model, self)

    def _on_error(self, failed: HandlerFailed) -> None:
        self.errors.append(failed)
        self._world.ledger.counters["errors in handlers"] += 1
        if self._plan.raise_errors:
            what = f"{type(failed.error).__name__}: {failed.error}"
            raise HandlerRaised(
                f"{failed.model}.{failed.method} raised {what}, at {self.replica.time_ms:g} ms of session time, for "
                f"{self.name}. Mend it, or make the room with raise_errors=False if it is meant to"
            ) from failed.error

    # --- uploads -------------------------------------------------------------------------------------------------

    @property
    def _now_s(self) -> float:
        return self._world.timeline.now_ms / 1_000

    def _upload_if_due(self, *, at_once: bool) -> None:
        if not self.has_replica or self.client.state != "live":
            return
        replica = self.replica
        pending = replica.pending_save
        if pending is None:
            return
        if pending.save_id != self._collected:
            self._collected = pending.save_id
            self._reach("collected")
            if self.is_gone:
                return
        self._watch()
        parent = replica.last_save.number if replica.last_save else 0
        in_flight, now_s = self._saver.in_flight, self._now_s
        is_ready = partial(self._sealer.is_ready, parent, now_s, self._fetch)
        views = list(replica.views)
        upload = self._saver.begin(pending, parent, views, now_s, at_once=at_once, is_ready=is_ready)
        if upload == "save":
            self._drafts.drop()
            self.client.tell(self._sealer.seal(pending, parent))
            self._pump()
            self._reach("uploaded")
        elif upload == "draft":
            self._drafts.put(WaitingDraft(replica.run, pending, parent, in_flight, self._saver.draft_at_s))
            self._pump()

    def _draft_sent(self, _: WaitingDraft) -> None:
        self._pump()
        self._reach("draft uploaded")

    def _reach(self, step: str) -> None:
        self._world.synchronizer.reach(step, self.name)

    def _later(self, delay_s: float, call: Callable[[], None]) -> None:
        """The socket thread's timer: it goes off also while a cell runs."""

        def on_time() -> None:
            if not self.is_gone:
                call()
                self._pump()

        self._world.timeline.after(delay_s * 1_000, on_time)

    def _fetch(self, number: int) -> None:
        self._world.ledger.counters["fetched keyframes"] += 1
        self.ask(partial(protocol.FetchVersion, number=number), self._sealer.fetched)

    def _watch(self) -> None:
        """An upload that waits for its time must not wait for the next tick."""
        if self._watch_timer is None:
            self._watch_timer = self._world.timeline.after(WATCH_S * 1_000, self._on_watch)

    def _on_watch(self) -> None:
        self._watch_timer = None
        self.wake()

    def _upload_snapshot(self, replica: Replica, seq: int, time_ms: float, state: bytes) -> None:
        sealed = self._keys.seal_snapshot(replica.run, seq, state)
        self.client.tell_of(replica.run, protocol.Snapshot(seq, time_ms, sealed))
        self._pump()

    # --- agreement -----------------------------------------------------------------------------------------------

    def _on_audited(self, audited: Audited) -> None:
        replica, entry = self.replica, audited.entry
        self.client.tell_of(replica.run, self._agreement.report(replica.run, audited))
        self._pump()
        if entry.uploader == self.view_id and audited.state is not None:
            self._upload_snapshot(replica, entry.seq, entry.time_ms, audited.state)

    def _on_welcome(self, welcome: protocol.Welcome) -> None:
        if welcome.resumed:
            return
        divergence = self._agreement.compare(welcome, self.replica)
        if divergence is None:
            return
        if divergence.was_equal:
            raise InvariantBroken(f"{self.name} was said to differ from {divergence.right_view_id}, and did not")
        path, mine, theirs = divergence.difference or ("an unknown place", "something", "something else")
        if self._was_flipped is None:
            raise NotConverged(f"{path} differs: {mine} for {self.name}, {theirs} for {divergence.right_view_id}", path)
        counters = self._world.ledger.counters
        counters["healed"] += 1
        counters["located"] += divergence.difference is not None
        counters["located where it was flipped"] += path == self._was_flipped
        for view_id in divergence.others:
            self.talk.tell(view_id, "diverged", [path, mine, theirs, divergence.right_view_id])

    def _on_diverged(self, view_id: str, data: Any) -> None:
        self._world.ledger.counters["told of a difference"] += 1

    def _tell(self, tell: protocol.Tell) -> None:
        self.client.tell(tell)
        self._pump()

    def __repr__(self) -> str:
        return f"<Participant {self.name}: {'gone' if self.is_gone else self.client.state}>"
