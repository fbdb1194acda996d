"""`SessionCore`: one participant's part in a session, on the main loop.

The replica moves between cells, never in the middle of one: the socket thread only wakes us. `widgets/session.py` adds
what a notebook shows.
"""

from __future__ import annotations

import asyncio
import base64
import os
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from msq_jupyter import protocol
from msq_jupyter.errors import EventTooLarge, JoinTimeout, MsqError, OutsideModelError, ReadOnlyMember, SessionClosed
from msq_jupyter.persistence.retention import EVERYTHING
from msq_jupyter.runtime import happenings
from msq_jupyter.runtime.assignment import check_assignable
from msq_jupyter.runtime.audit import Audited
from msq_jupyter.runtime.codehash import CodeIdentity, identify
from msq_jupyter.runtime.link import LinkedCode, link
from msq_jupyter.runtime.model import Model, running_replica
from msq_jupyter.runtime.pubsub import check_topic
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.runtime.snapshot import pack_value
from msq_jupyter.runtime.view import View, ViewEvents
from msq_jupyter.session import cells, farewell
from msq_jupyter.session import client as client_module
from msq_jupyter.session import follower as follower_module
from msq_jupyter.session.arguments import JoinArguments, OnCodeEdit, Status, checked
from msq_jupyter.session.branches import BranchNotice
from msq_jupyter.session.client import Client
from msq_jupyter.session.code_edits import CodeEdits
from msq_jupyter.session.company import Company
from msq_jupyter.session.connection import Connection
from msq_jupyter.session.crypto import Keys, derive_root_key
from msq_jupyter.session.curating import Curator
from msq_jupyter.session.discovery import Place, find_place
from msq_jupyter.session.follower import Blueprint, Follower
from msq_jupyter.session.keeping import Keeping
from msq_jupyter.session.listening import Listening
from msq_jupyter.session.mistakes import Mistakes
from msq_jupyter.session.peers import Peers
from msq_jupyter.session.questions import Questions
from msq_jupyter.session.reading import Reader
from msq_jupyter.session.restoring import Restorer
from msq_jupyter.session.root_view import make_root_view
from msq_jupyter.session.saving import Saver
from msq_jupyter.session.showing import Showing
from msq_jupyter.session.stepping import Stepper
from msq_jupyter.session.story import Story, migrated_text, show_log
from msq_jupyter.session.tending import Tender
from msq_jupyter.session.uploads import Uploads
from msq_jupyter.session.versions import VersionSealer
from msq_jupyter.session.waiting import Waiting

if TYPE_CHECKING:
    from typing_extensions import Self

#: How long leaving waits for what is still to be saved, in seconds.
LEAVE_S = 5.0


class SessionCore(Listening, Waiting, Showing, Keeping, CodeEdits, Company):
    """A session as one participant has it; made by `join`.

    Attributes:
        id: the session's id: code, options, app and name.
        persistent_id: the saved data's id: app and name.
        code_hash: the code's part of `id`.
        app_id: as given to `join`.
        name: as given to `join`.
        view_id: this participant's id.
        view_events: what the views of this kernel subscribe to.
        loop: the main loop, on which the replica moves.
    """

    def __init__(self, arguments: JoinArguments, identity: CodeIdentity, root_key: bytes, place: Place) -> None:
        #: As they were given; what applies may differ once the code was edited.
        self.given = arguments
        self.app_id = arguments.app_id
        self.name = arguments.name
        self.persistent_id = arguments.persistent_id
        self.view_events = ViewEvents()
        self.loop = asyncio.get_running_loop()
        self._thread = threading.current_thread()
        self._root_key = root_key
        self._place = place
        self._story = Story()
        self._mistakes = Mistakes(self._story, always_check="state" in arguments.debug)
        self._changed = asyncio.Event()
        self._send_lock = threading.Lock()
        self._sent_counter = 0
        self._held: list[bytes] | None = None
        #: Called on the main loop after every step: what shows the model looks at it again.
        self.frame_hooks: list[Callable[[], None]] = []
        #: Called on the socket thread, a few times a second, also while a cell runs.
        self.watch_hooks: list[Callable[[], None]] = []
        self.view: View | None = None
        self._changing = asyncio.Lock()
        self._former_replica: Replica | None = None
        self._begin(arguments, identity, link(identity))

    def _begin(self, arguments: JoinArguments, identity: CodeIdentity, code: LinkedCode) -> None:
        """Make everything that belongs to one code: a session has one after the other when its code is edited."""
        self._arguments = arguments
        self._identity = identity
        self.code_hash = arguments.code_hash or identity.code_hash
        self.id = self.session_id = arguments.session_id(self.code_hash)
        self.view_id = base64.urlsafe_b64encode(os.urandom(16)).rstrip(b"=").decode()
        self._keys = Keys(self._root_key, self.persistent_id, self.id)
        card = self._keys.seal_view_data(self.view_id, pack_value(arguments.card(self.code_hash), "view_data"))
        hello = arguments.message(self.id, self.view_id, self._keys.password_check, card)
        self._client = Client(self._keys, hello)
        self._blueprint = Blueprint(self.id, self.persistent_id, code, arguments.options)
        story = self._story
        self._follower = Follower(self._client, self._keys, self._blueprint, self.view_events, story)
        interrupted = partial(self._begin_anew, self._follower.discard)
        self._stepper = Stepper(self._follower, self._handle, self._after_step, self._fail, interrupted)
        self._connection = connection = Connection(self._client, self._place, self._stepper.wake, self._watch)
        self._questions = Questions(connection, self._client, self.name)
        self._sealer = VersionSealer(self._keys, self.id, self.code_hash, identity.source, arguments.label)
        self._reader = Reader(self._keys, self._questions.ask)
        means = (self._blueprint, self._reader, lambda part: self._send(part, "a restore"))
        self._restorer = Restorer(self.view_id, *means, lambda: self._replica, self.synced, self._kept_stored, story)
        self._curator = Curator(self._keys, self._reader, arguments.label, story)
        self._asked_saves = {}
        keeps_all = arguments.retention == EVERYTHING
        tend = partial(self._curator.prune, arguments.retention, dry_run=False, as_of_newest=True)
        self._tender = Tender(None if keeps_all else tend, story)
        saver = Saver(self.view_id, arguments.persist_interval_ms / 1000)
        means_to_save = (self._sealer, saver, self._questions, self._mistakes, story)
        self._uploads = Uploads(connection, self._client, self._keys, *means_to_save)
        links = (self._keys, connection, self._client, identity, self.code_hash, self._uploads, self._mistakes)
        heal = partial(self._begin_anew, self._follower.abandon)
        self._peers = Peers(*links, lambda: self.participants, heal, arguments.edited_s)
        means_to_tell = (self.versions, self._tell_of_branch, self._mistakes.withdraw)
        ours = (self.code_hash, self.saves_itself, arguments.persisted)
        self._branch_notice = BranchNotice(*ours, *means_to_tell)
        self._joined: asyncio.Future[None] = self.loop.create_future()
        # Numbers of events go on, so that whoever waits for one of before does not wait for ever.
        self._sent_before = self._sent_counter - len(self._held or [])
        self._earlier_events = 0
        self.link_state: client_module.LinkState = "joining"
        self.error = None

    def _begin_with(self, arguments: JoinArguments, identity: CodeIdentity, code: LinkedCode) -> None:
        self.step()
        self._snapshot_if_last()
        with self._send_lock:
            left, client = self._connection, self._client
            self._stepper.end()
            self._questions.give_up()
            self._former_replica = self._replica_or_none or self._former_replica
            self._mistakes.notice = ""
            self._begin(arguments, identity, code)
        left.call(client.leave)

    def _hold_events(self) -> int:
        with self._send_lock:
            self._held = []
            return self._sent_counter

    def _release_events(self) -> None:
        with self._send_lock:
            held, self._held = self._held or [], None
            for payload in held:
                self._connection.call(self._client.send, payload)

    # --- joining and leaving -------------------------------------------------------------------------------------

    @classmethod
    async def join(
        cls,
        *,
        app_id: str,
        name: str,
        password: str | None = None,
        model: type[Model],
        view: type[View] | None = None,
        options: dict[str, Any] | None = None,
        persistent_options: Iterable[str] = (),
        synchronizer: str | None = None,
        view_data: Any = None,
        tick_rate: float = 20,
        debug: str | Iterable[str] = (),
        join_timeout_s: float = 30,
        rejoin_limit_ms: float = 1000,
        persist_interval_ms: float = 5000,
        persisted: str | int = "latest",
        on_code_edit: OnCodeEdit = "ask",
        code_hash: str | None = None,
        retention: str = EVERYTHING,
        progress: Callable[[float], object] | None = None,
    ) -> Self:
        """Take part in a session; the first one to come starts it.

        Args:
            app_id: names the application, for example "edu.school.demo"; 1 to 128 characters.
            name: names the session within it; 1 to 128 characters.
            password: everything is sealed with it; whoever has it may take part. Without one, everybody on the
                synchronizer may, which is allowed on a local one only.
            model: the root model's class.
            view: the root view's class, if cells and widgets are not enough.
            options: JSON data handed to the root model's `init`; part of the session's identity.
            persistent_options: keys of `options` that are part of the saved data's identity, too.
            synchronizer: its URL, "ws://host:port", with a token "ws://TOKEN@host:port", or that of a Jupyter server;
                without one, what the environment variable MSQ_SYNCHRONIZER says, else `c.Msq.synchronizer` in IPython's
                configuration, else a local one of this user, which starts by itself.
            view_data: JSON data about this participant, told to the models with "view-join"; its "name" is shown.
            tick_rate: how often time moves while nothing happens, 1/30 to 60 a second; the first participant's counts.
            debug: "session" prints what happens to the session and to what is saved, which `log` keeps in any case;
                "state" checks the models after every event.
            join_timeout_s: joining fails after so many seconds.
            rejoin_limit_ms: how long a lost connection may take to come back without the models noticing, 0 to 60000.
            persist_interval_ms: saves that follow each other faster become versions this far apart, the last one wins.
            persisted: what a session that does not exist yet starts from: "latest", "ignore", or a version's number.
            on_code_edit: what happens when a cell edits the model's code: "ask" tries the new code out and waits for a
                click or `follow()`; "follow" goes on with it at once if it can load the data; "stay" never does.
            code_hash: used instead of the hash of the model's code; you vouch that the code is the same.
            retention: which versions are kept, in the words of `prune`; the others are dropped, at most hourly, after
                a save of this participant, and `log` says which.
            progress: called with how much of the past is caught up with, 0 to 1, now and then until joined; without
                one, a notebook shows a bar if that takes long.

        Raises:
            ArgumentError: names the argument.
            CodeIdentityError: the model's code cannot be identified.
            DeterminismError: the model's code keeps something where no other replica sees it.
            WrongPassword: the name is in use with another password.
            SynchronizerUnreachable: nobody answers.
            ModelInitError: the root model's `init` failed; the cause is attached.
            PersistedDataError: it failed on persisted data; nothing was overwritten.
            JoinTimeout: none of these, and not joined, in time.
        """
        arguments = checked(
            **{key: value for key, value in locals().items() if key not in ("cls", "__class__")},
        )
        running_in = cells.current()
        if running_in is None:
            return await cls._join(arguments)
        async with running_in.joining:
            session = running_in.joined(arguments)
            if isinstance(session, cls):
                await session.joined_again(arguments)
            else:
                session = await cls._join(arguments)
                running_in.sessions.add(session)
            return session

    @classmethod
    async def _join(cls, arguments: JoinArguments) -> Self:
        started_s, limit_s = time.monotonic(), arguments.join_timeout_s
        place = find_place(arguments.synchronizer)
        place.check_password(arguments.password)
        if "session" in arguments.debug:
            show_log()
        identity = identify(arguments.model, model_base=Model)
        await farewell.finish_others(arguments.persistent_id, min(LEAVE_S, limit_s / 2))
        root_key = await asyncio.to_thread(derive_root_key, arguments.password, arguments.persistent_id)
        session = cls(arguments, identity, root_key, place)
        await session._arrive(limit_s - (time.monotonic() - started_s))
        return session

    async def leave(self) -> None:
        """Leave: what waits to be saved is saved, others are told. The model stays readable, and stands still."""
        async with self._changing:
            await self._leave()

    async def _leave(self) -> None:
        if self._client.ended:
            return
        self.edit = None
        await self.finish(LEAVE_S)
        self.step()
        self._snapshot_if_last()
        self._connection.call(self._client.leave)
        await asyncio.to_thread(self._connection.wait_closed, LEAVE_S)
        self.step()
        self._questions.give_up()
        if self.view is not None:
            self._mistakes.guard(self.view.detach)
        farewell.forget(self)

    def _snapshot_if_last(self) -> None:
        replica = self._replica_or_none
        if replica is not None and len(replica.views) <= 1 and self.error is None:
            self._uploads.snapshot(replica)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()

    # --- looking -------------------------------------------------------------------------------------------------

    @property
    def model(self) -> Any:
        """The root model, to read: writing raises ModelWriteError, and what its attributes hold are copies."""
        return self._replica.outside.root

    @property
    def is_live(self) -> bool:
        """Whether the session is connected and up to date."""
        return self.link_state == "live"

    @property
    def notice(self) -> str:
        """The last thing the user should know, one line, or ""."""
        return self._mistakes.notice

    @property
    def latency_ms(self) -> float:
        """Round trip to the synchronizer in milliseconds; nan while unknown."""
        return self._connection.latency_ms

    @property
    def status(self) -> Status:
        """How the session is doing."""
        waiting_ms = self._stepper.waiting_ms
        # While a cell keeps us from following, the client knows better.
        link_state = self._client.state if waiting_ms and self.error is None else self.link_state
        replica = self._replica_or_none
        on_branch = replica is not None and self._branch_notice.is_left_behind(replica.last_save)
        return self._uploads.status(link_state, waiting_ms, replica, on_branch=on_branch)

    @property
    def executed_counter(self) -> int:
        """How many events of this participant the replica has executed."""
        return self._sent_before + self._earlier_events + self._replica.counters.get(self.view_id, 0)

    def __repr__(self) -> str:
        people = len(self.participants)
        return f"<Session {self.name!r}: {self.link_state}, {people} {'person' if people == 1 else 'people'}>"

    # --- events --------------------------------------------------------------------------------------------------

    def publish(self, scope: str, event: str, data: Any = None) -> None:
        """Send an event to the models of every replica, in one order for all; from any cell, callback or thread.

        Args:
            scope: what the model's `subscribe` names; no ":" in it.
            event: what the model's `subscribe` names.
            data: anything a model may hold.

        Raises:
            EventTooLarge: with its size and the limit.
            StateError: the data cannot be sent; names the path.
            SubscriptionError: not a topic.
            SessionClosed: the session has been left.
            ReadOnlyMember: the access token allows no more than to look.
            OutsideModelError: from inside a model, which writes `self.publish(...)`.
        """
        if running_replica() is not None:
            raise OutsideModelError("inside a model write self.publish(scope, event, data), not session.publish")
        check_topic(scope, event)
        self.require_open()
        replica = self._replica
        heard_here = self.view_events.wanted(scope, event)
        if heard_here:
            copy = replica.copied(data, f"data of {scope}:{event}")
            self.loop.call_soon_threadsafe(self._tell_views, scope, event, copy)
        # A replica that lags may not know yet who listens.
        if replica.hears(scope, event) or self._follower.behind:
            self._send(replica.encode_publication(scope, event, data), f"{scope}:{event}")
        elif not heard_here:
            nearest = replica.nearest_topic(scope, event)
            hint = f"; did you mean {nearest}?" if nearest else ""
            self._story.warning("nothing subscribes to %s:%s, so it was not sent%s", scope, event, hint)

    def assign(self, path: str, value: Any) -> int:
        """Set what a path from the root model leads to, on every replica; from any thread.

        Returns:
            The number of the event, to compare with `executed_counter`.

        Raises:
            AuthorError: not a path that may be set; see `check_assignable`.
            StateError: the value cannot be sent.
            EventTooLarge: with its size and the limit.
        """
        self.require_open()
        replica = self._replica
        check_assignable(self.model, path)
        payload = replica.encode_assignment(replica.root.id, path, value)
        return self._send(payload, f"{type(replica.root).__name__}.{path}")

    def call_later(self, delay_s: float, function: Callable[[], None]) -> None:
        """Call something on the socket thread, later; it works while a cell runs."""
        self._connection.call_later(delay_s, function)

    def _send(self, payload: bytes, topic: str) -> int:
        if len(payload) > protocol.EVENT_PLAIN_BYTES_MAX:
            raise EventTooLarge(len(payload), protocol.EVENT_PLAIN_BYTES_MAX, topic)
        if self._client.read_only:
            raise ReadOnlyMember(topic)
        with self._send_lock:  # the numbers must be in the order in which the client gets the events
            self._sent_counter += 1
            if self._held is None:
                self._connection.call(self._client.send, payload)
            else:
                self._held.append(payload)
            return self._sent_counter

    def _send_request(self, payload: bytes, topic: str) -> int:
        self.require_open()
        return self._send(payload, topic)

    def _tell_views(self, scope: str, event: str, data: Any) -> None:
        self.view_events.publish(scope, event, data)
        self._stepper.wake()

    # --- saving --------------------------------------------------------------------------------------------------

    def _upload_if_due(self, *, at_once: bool = False) -> None:
        if self.link_state == "live":
            self._uploads.save_if_due(self._replica, at_once=at_once)

    # --- stepping ------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Catch up with the session now, inside a long cell; between cells it happens by itself.

        Raises:
            OutsideModelError: called from another thread than the one that joined.
        """
        self._stepper.step()

    def _after_step(self) -> None:
        replica = self._replica_or_none
        if replica is not None and self.error is None:
            if not self._joined.done():
                is_here = self.view_id in replica.views
                self._tell_progress(is_here)
                if is_here:
                    self._joined.set_result(None)
                    self._uploads.is_quiet = False
            self._upload_if_due()
            if self.link_state == "live":
                self._branch_notice.look(replica.last_save)
            self._mistakes.check_state(replica)
            self.view_events.run_frame()
            if self.view is not None:
                self._mistakes.guard(self.view.update, replica.time_ms)
        self._look_again()

    def _look_again(self) -> None:
        self._changed.set()
        for hook in list(self.frame_hooks):
            self._mistakes.guard(hook)

    def _watch(self) -> None:
        for hook in list(self.watch_hooks):
            self._mistakes.guard(hook)
        self._mistakes.tell_if_endless(self._stepper.running_s, lambda: self._stepper.running_method)
        if self._has_pending_save:
            self._stepper.wake()  # an upload that waits for its time must not wait for the next tick
        if farewell.is_deserted(self._thread):
            farewell.forget(self)
            self._connection.call(self._client.leave)

    # --- what happened -------------------------------------------------------------------------------------------

    def _begin_anew(self, give_up: Callable[[str], None], why: str) -> None:
        """Give the replica up and have another one made from the synchronizer's snapshot and log."""
        give_up(why)
        self._connection.call(self._client.forget_replica)
        self._connection.reconnect()

    def _handle(self, happening: follower_module.Happening) -> None:
        self._restorer.see(happening)
        _HANDLERS[type(happening)](self, happening)

    def _on_replica(self, _: follower_module.ReplicaMade | happenings.RootReplaced) -> None:
        self._replica.outside.send = self._send_request
        self._make_view()

    def _make_view(self) -> None:
        self.view, error = make_root_view(self.view, self._arguments.view, self.model, self, self._mistakes)
        if error is not None and not self._joined.done():
            self._fail(error)

    def _on_welcome(self, happening: client_module.Welcomed) -> None:
        self._earlier_events = happening.earlier_events
        self._uploads.saver.reconnected()
        self._sealer.welcomed(happening.welcome)
        self._branch_notice.welcomed(happening.welcome.head)
        self._peers.neighbours.forget_all()
        if self._replica_or_none is not None:
            self._peers.disputes.on_welcome(happening.welcome, self._replica)

    def _on_state(self, happening: client_module.StateChanged) -> None:
        self._story.info("[Multisynq] Session %s is %s", self.name, happening.state)
        self.link_state = happening.state

    def _on_handler_failed(self, happening: happenings.HandlerFailed) -> None:
        of_another = happening.view_id not in ("", self.view_id)
        self._mistakes.report(happening.model, happening.method, happening.error, of_another=of_another)

    def _fail(self, error: MsqError) -> None:
        self.error = error
        self.link_state = "failed"
        self._mistakes.notice = str(error)
        self._connection.call(self._client.fail, error)
        if not self._joined.done():
            self._joined.set_exception(error)
            self._story.info("[Multisynq] Session %s was not joined: %s", self.name, error)
        self._questions.give_up()
        if not self._joined.cancelled() and self._joined.exception() is None:
            self._story.error("the session %s ended: %s", self.name, error)
        self._look_again()

    # --- inside --------------------------------------------------------------------------------------------------

    async def _arrive(self, timeout_s: float) -> None:
        self._connection.start()
        try:
            await asyncio.wait_for(asyncio.shield(self._joined), timeout_s)
        except (asyncio.TimeoutError, TimeoutError):
            if not self._joined.done():  # a main loop that was busy finds both at once
                self._fail(self._join_timeout())
            if error := self._joined.exception():
                raise error from None
        except asyncio.CancelledError:
            self._joined.cancel()  # what is still on its way must not show that it goes on
            self._connection.call(self._client.leave)
            raise
        finally:
            self._end_progress()
        self._former_replica = None
        farewell.note(self)

    def _join_timeout(self) -> JoinTimeout:
        words = self._connection.last_words
        said = f", and the synchronizer said {words!r}" if words else ""
        return JoinTimeout(
            f"not joined after {self._arguments.join_timeout_s:g} seconds; the link is still {self.link_state!r}"
            f"{said}: check the network and the synchronizer, or allow more with join_timeout_s="
        )

    @property
    def _replica_or_none(self) -> Replica | None:
        return self._follower.replica

    @property
    def _replica(self) -> Replica:
        # While the session of edited code is being joined, the old code's models stay readable.
        replica = self._follower.replica or self._former_replica
        assert replica is not None  # nobody has a session before `join` has made its replica
        return replica

    def _tell_of_branch(self, notice: str, is_meant: bool) -> None:
        # Whoever sees that others have newer code sees why, and by running it comes to their data.
        if is_meant or any(other.is_newer for other in self.others):
            self._story.info("%s", notice)
        else:
            self._mistakes.warn(notice)

    @property
    def is_open(self) -> bool:
        """Whether the session is neither left nor ended."""
        return self.error is None and not self._client.ended

    def require_open(self) -> None:
        """Go on only with a session that is neither left nor ended; raises SessionClosed."""
        if self.error is not None:
            raise SessionClosed(f"the session {self.name!r} has ended: {self.error}") from self.error
        if self._client.ended:
            raise SessionClosed(f"the session {self.name!r} has been left: join again")


_HANDLERS: dict[type, Callable[[SessionCore, Any], None]] = {
    follower_module.ReplicaMade: SessionCore._on_replica,
    client_module.Welcomed: SessionCore._on_welcome,
    client_module.StateChanged: SessionCore._on_state,
    client_module.FellBehind: lambda session, behind: session._mistakes.warn(
        f"this kernel did not keep up with the session, was cut off ({behind.words}) and is catching up: publish less "
        "at a time, or use a faster network"
    ),
    client_module.Failed: lambda session, failed: session._fail(failed.error),
    client_module.Judged: lambda session, judged: session._peers.disputes.on_judged(judged, session._follower.run),
    client_module.Spoken: lambda session, spoken: session._peers.on_spoken(spoken),
    client_module.Answered: lambda session, answered: session._questions.on_answer(answered),
    Audited: lambda session, audited: session._peers.disputes.on_audited(audited, session._replica),
    happenings.SaveCollected: lambda session, collected: session._on_save_collected(collected),
    client_module.VersionsChanged: lambda session, changed: session._on_versions_changed(changed),
    happenings.SaveDiffers: lambda session, differs: session._uploads.differs(differs.number),
    client_module.SaveRefused: lambda session, refused: session._uploads.refused(refused),
    happenings.SaveStored: SessionCore._on_stored,
    happenings.SaveSkipped: lambda session, skipped: session._uploads.skipped(skipped),
    happenings.Migrated: lambda session, migrated: session._story.info("%s", migrated_text(migrated)),
    happenings.HandlerFailed: SessionCore._on_handler_failed,
    happenings.RestoreFailed: SessionCore._on_handler_failed,
    happenings.RootReplaced: SessionCore._on_replica,
}
