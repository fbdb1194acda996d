"""The replica: one participant's copy of a session, moved only by the ordered log. Pure: no clock, no I/O.

Feed it entries of the log in order (`apply`) and the time that passed (`advance`); it runs the models' methods and
leaves what the outside must know in `happenings`. Two replicas fed the same entries are equal, whenever and in whatever
portions they were fed.

Time is an argument. Before an entry of time t, everything the models scheduled for t or earlier runs; so at equal time
internal messages come before external ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from decimal import Context, getcontext, setcontext
from types import MappingProxyType
from typing import Any

from msq_jupyter import protocol
from msq_jupyter.errors import (
    ContentTooLarge,
    ModelCreationError,
    NestingTooDeep,
    OutsideModelError,
    PersistenceTypeError,
    ProtocolError,
    SealBroken,
    StateError,
    SubscriptionError,
)
from msq_jupyter.protocol import Event
from msq_jupyter.runtime import model as model_module
from msq_jupyter.runtime.audit import audit
from msq_jupyter.runtime.constants import Constant, remedy_for
from msq_jupyter.runtime.decimals import MODEL_CONTEXT
from msq_jupyter.runtime.entries import run_event, run_membership
from msq_jupyter.runtime.happenings import HandlerFailed, Happening, SaveSkipped
from msq_jupyter.runtime.model import (
    ID_SLOT,
    ROOT_NAME,
    FutureCall,
    FutureHandle,
    M,
    Model,
    call_init,
    new_model,
    set_attributes,
)
from msq_jupyter.runtime.outside import Outside
from msq_jupyter.runtime.prng import RandomStream
from msq_jupyter.runtime.pubsub import Subscription, TopicTable, check_topic
from msq_jupyter.runtime.saves import LastSave, PartialRestore, PendingSave, SaveQueue
from msq_jupyter.runtime.saving import run_saved
from msq_jupyter.runtime.schedule import Schedule
from msq_jupyter.runtime.snapshot import pack
from msq_jupyter.runtime.state import read_state, write_state
from msq_jupyter.runtime.value_types import ValueTypes
from msq_jupyter.runtime.view import ViewEvents
from msq_jupyter.stable import bytes_digest, check_json, content_bytes


def _plain_digest(save_id: str, content_id: str) -> bytes:
    return bytes_digest(f"{save_id}|{content_id}".encode()).encode()


#: How deep publishing and creating may go inside each other. Without it Python's own limit would end a recursion, and
#: at another depth in every kernel.
NESTING_MAX = 100


def _never() -> bool:
    return False


class Replica:
    """One copy of a session's models.

    Args:
        session_id: seeds the random stream and is the scope of "view-join" and "view-exit".
        run: name of this run of the session, part of the ids of saves.
        classes: every model class of the session by its key.
        view_events: who hears what models publish.
        value_types: every enum, named tuple and dataclass of the session by its key.
        originals: for classes that were made for this session, those that cells and views know in their place.
        save_digest: what stands for a content under a save's id on the wire, the same for every replica.

    Attributes:
        seq: the last entry applied.
        time_ms: session time.
        models: every model by id, in the order of creation.
        well_known: models by the names they are well known by.
        topics: which method of which model hears what; the owner of a subscription is a model's id.
        content_id: of what was saved or loaded last; saving it again unchanged is skipped.
        saves: what waits to be stored.
        collected: what `persist_session` collected last, stored already or not; not state, so for one event only.
        last_save: the newest stored version this run knows of.
        options: the session's, packed: a restored version is given to `init` with them.
        restores: what has come of restores that are not whole, by who restores.
        event_view_id: whose event is being executed, or who comes or goes; "" for nobody's.
        views: view data by view id, in the order of joining.
        counters: the last event of each view; a gap, a repetition or a swap would show here.
        happenings: what the outside has to know; whoever reads them clears them.
        moves: grows whenever models may have changed; not state.
        nesting: how many publications and creations are going on inside each other; 0 between entries.
        outside: the models for everybody who is not model code, to read.
        history_seq: entries up to this one are history, and audits among them over; not state.
    """

    __slots__ = (
        *(
            "session_id",
            "run",
            "classes",
            "class_keys",
            "model_kinds",
            "value_types",
            "save_digest",
            "view_events",
            "outside",
        ),
        *("seq", "time_ms", "counters", "event_view_id", "nesting", "happenings", "moves", "history_seq"),
        *("models", "well_known", "next_model", "topics", "schedule", "random", "views", "options"),
        *("save_count", "content_id", "collected", "saves", "last_save", "restores"),
        *("_finishing", "_notebook_decimals", "__weakref__"),
    )

    def __init__(
        self,
        session_id: str,
        run: str,
        classes: Mapping[str, type[Model]],
        view_events: ViewEvents | None = None,
        value_types: Mapping[str, type] | None = None,
        originals: Mapping[type, type] = MappingProxyType({}),
        save_digest: Callable[[str, str], bytes] = _plain_digest,
    ) -> None:
        self.session_id = session_id
        self.run = run
        self.view_events = view_events or ViewEvents()
        self.seq = 0
        self.time_ms = 0.0
        self.models: dict[str, Model] = {}
        self.well_known: dict[str, Model] = {}
        self.schedule = Schedule()
        self.random = RandomStream(session_id)
        self.views: dict[str, Any] = {}
        self.counters: dict[str, int] = {}
        self.options = b""
        self.saves = SaveQueue()
        self.collected = b""
        self.restores: dict[str, PartialRestore] = {}
        self.last_save: LastSave | None = None
        self.happenings: list[Happening] = []
        self.moves = 0
        self.history_seq = 0
        self.save_digest = save_digest
        self.classes = dict(classes)
        self.class_keys = {kind: key for key, kind in self.classes.items()}
        self.model_kinds: Collection[type] = self.class_keys.keys()
        self.value_types = ValueTypes(value_types or {})
        self.topics: TopicTable[str] = TopicTable()
        self.next_model = 1
        self.save_count = 0
        self.content_id = ""
        self.event_view_id = ""
        self.nesting = 0
        self._finishing = False
        self._notebook_decimals: Context = MODEL_CONTEXT
        self.outside = Outside(self, originals)

    # --- beginning -----------------------------------------------------------------------------------------------

    def start(self, root_class: type[Model], options: Any, persisted: Any = None) -> None:
        """Make the root model, at time 0. Set `last_save` and `content_id` before, if a version is what it starts from.

        Args:
            root_class: its class.
            options: the session's options.
            persisted: data of the version this run starts from, or None.

        Raises:
            Exception: whatever `init` raises.
            StateError: `init` stored something that cannot be replicated.
        """
        self.options = self.outside.write(options, "options")
        previous = self._begin()
        try:
            root_class.create(options, persisted)
        finally:
            self.moves += 1
            self._end(previous)
        self.snapshot()

    @property
    def pending_save(self) -> PendingSave | None:
        """What is to be stored next."""
        return self.saves[0] if self.saves else None

    @property
    def root(self) -> Model:
        """The root model itself; for cells and views there is `outside.root`."""
        return self.well_known[ROOT_NAME]

    # --- moving --------------------------------------------------------------------------------------------------

    def follow(self, moves: deque[protocol.Entry | float], pause: Callable[[], bool] = _never) -> bool:
        """Move by entries of the log and by times, as `apply` and `advance` do, and take off what is done.

        Args:
            moves: entries and times in the order of the log, the first one on the left.
            pause: asked after each message and each move; when it says True, the rest waits for the next call.

        Returns:
            Whether all of it is done.

        Raises:
            ProtocolError: a gap in the log, or time running backwards.
            SealBroken: an event of a view is missing, repeated or out of order.
        """
        previous = self._begin()
        try:
            while moves:
                move = moves[0]
                entry: protocol.Entry | None
                if isinstance(move, float):
                    entry, time_ms = None, move
                else:
                    entry, time_ms = move, move.time_ms
                    if entry.seq != self.seq + 1 or time_ms < self.time_ms:
                        self._check_place(entry)
                # From here, and not from what runs entries: a recursion in a model ends at Python's limit.
                if self.schedule.next_ms <= time_ms and not self._run_due(time_ms, pause):
                    return False
                if time_ms > self.time_ms:
                    self.time_ms = time_ms
                if entry is not None and not self._finishing:
                    self._run_entry(entry)
                    # future(0) of an external handler runs right after it. It is part of the entry: after entries,
                    # states are compared.
                    if self.schedule.next_ms <= time_ms and not self._run_due(time_ms, pause):
                        self._finishing = True
                        return False
                self._finishing = False
                moves.popleft()
                if pause():
                    break
        finally:
            self._end(previous)
        return not moves

    def apply(self, entry: protocol.Entry, pause: Callable[[], bool] = _never) -> bool:
        """Move by one entry of the log, whose payloads have been unsealed.

        Args:
            entry: the entry after `seq`.
            pause: asked between internal messages; when it says True, the rest waits for the next call.

        Returns:
            Whether the entry is done. If not, call again with the same entry.

        Raises:
            ProtocolError: a gap in the log, or time running backwards.
            SealBroken: an event of a view is missing, repeated or out of order.
        """
        return self.follow(deque([entry]), pause)

    def advance(self, time_ms: float, pause: Callable[[], bool] = _never) -> bool:
        """Run what is due up to `time_ms`; whether all of it is done.

        Args:
            time_ms: session time; earlier than now is no error and does nothing.
            pause: as in `apply`.
        """
        return self.follow(deque([float(time_ms)]), pause)

    # --- snapshots -----------------------------------------------------------------------------------------------

    def snapshot(self) -> bytes:
        """The whole state as bytes; equal replicas give equal bytes.

        Raises:
            StateError: names the path of a value that cannot be stored.
        """
        return write_state(self)

    def restore(self, snapshot: bytes) -> None:
        """Become the replica that `snapshot` was taken from. No code of the models runs.

        Raises:
            SealBroken: not a snapshot of this session's code.
        """
        self.moves += 1
        read_state(self, snapshot)

    # --- what models ask for -------------------------------------------------------------------------------------

    def create(self, kind: type[M], options: Any, persisted: Any) -> M:
        """Make a model and run its `init`; the first one becomes the root."""
        if self.nesting >= NESTING_MAX:
            raise _nested_too_deep(f"create {kind.__name__}")
        if kind not in self.class_keys:
            raise ModelCreationError(
                f"{kind.__qualname__} is not part of this session's code: name the class in the code of the "
                "root model, so that every kernel has the same one, and join again"
            )
        model_id = f"M{self.next_model}"
        self.next_model += 1
        self.models[model_id] = model = new_model(kind, self, model_id)
        set_attributes(model, {})
        self.well_known.setdefault(ROOT_NAME, model)
        self.nesting += 1
        try:
            call_init(model, options, persisted)
        finally:
            self.nesting -= 1
        return model

    def destroy(self, model: Model) -> None:
        """Forget a model and everything that leads to it.

        Raises:
            StateError: it is the root, without which there is no session.
        """
        if model is self.well_known.get(ROOT_NAME):
            raise StateError("the root model cannot be destroyed: the session begins with it")
        self.unsubscribe_all(model)
        self.schedule.cancel_all(model.id)
        self.models.pop(model.id, None)
        self.well_known = {name: known for name, known in self.well_known.items() if known is not model}

    def subscribe(self, model: Model, scope: str, event: str, method: str) -> None:
        """Note a model's handler."""
        check_topic(scope, event)
        if self.topics.find(scope, event, model.id, method):
            raise SubscriptionError(f"{type(model).__name__}.{method} is subscribed to {scope}:{event} already")
        self.topics.add(scope, event, model.id, method)

    def unsubscribe(self, model: Model, scope: str, event: str, method: str | None) -> None:
        """Forget a model's handlers of a topic."""
        check_topic(scope, event)
        for entry in self.topics.find(scope, event, model.id, method):
            self.topics.discard(entry)

    def unsubscribe_all(self, model: Model) -> None:
        """Forget all handlers of a model."""
        for entry in self.topics.owned_by(model.id):
            self.topics.discard(entry)

    def publish(self, scope: str, event: str, data: Any) -> None:
        """Call the subscribed models now, and leave a copy for this kernel's views."""
        if not (type(scope) is type(event) is str):
            check_topic(scope, event)
        hearers = self.topics.hearers[scope, event]
        if self.nesting >= NESTING_MAX:
            raise _nested_too_deep(f"publish {scope}:{event}")
        if hearers:
            self.nesting += 1
            try:
                self.dispatch(hearers, data)
            finally:
                self.nesting -= 1
        if self.view_events.topics.hearers[scope, event]:
            self.tell_views(scope, event, data)

    def persist(self, model: Model, collect: Callable[[], Any] | Any) -> None:
        """Collect what is to be saved, on every replica alike."""
        if model is not self.root:
            raise OutsideModelError(
                f"only the root model saves, and this is a {type(model).__name__}: give the root a method that "
                f'collects everything, and call self.well_known_model("{ROOT_NAME}").save()'
            )
        data = collect() if callable(collect) else collect
        check_json(data, "data")
        if type(data) not in (dict, list, tuple):
            kind = type(data).__name__
            raise PersistenceTypeError(f"data: expected a dict or a list, got {kind}: put it into a dict", "data")
        content = content_bytes(data)
        if len(content) > protocol.CONTENT_BYTES_MAX:
            raise ContentTooLarge("the saved data", len(content), protocol.CONTENT_BYTES_MAX)
        content_id = bytes_digest(content)
        self.collected = content
        if content_id == self.content_id:
            self.happenings.append(SaveSkipped(is_pending=bool(self.saves)))
            return
        self.want_saved(content, content_id, self.event_view_id)

    # --- what the outside asks for -------------------------------------------------------------------------------

    def hears(self, scope: str, event: str) -> bool:
        """Whether any model subscribes to a topic, wildcards included."""
        return bool(self.topics.hearers[scope, event])

    def nearest_topic(self, scope: str, event: str) -> str | None:
        """The subscribed topic that looks most like this one."""
        return self.topics.nearest(scope, event)

    def copied(self, data: Any, what: str) -> Any:
        """A copy for the outside that shares nothing with `data`; for models it holds facades."""
        return self.outside.read(self.outside.write(data, what))

    def encode_publication(self, scope: str, event: str, data: Any) -> bytes:
        """The payload of an event that publishes.

        Raises:
            StateError: the data cannot be replicated.
        """
        return pack(["publish", scope, event, self.outside.write(data, f"data of {scope}:{event}")])

    def encode_assignment(self, model_id: str, path: str, value: Any) -> bytes:
        """The payload of an event that sets what a path from a model leads to, on every replica, in order.

        Raises:
            StateError: the value cannot be replicated.
        """
        return pack(["assign", model_id, path, self.outside.write(value, path)])

    # --- the codec's view of us ----------------------------------------------------------------------------------

    def model_id(self, value: object) -> str | None:
        """The id of a model of this replica; None for anything else."""
        if type(value) not in self.class_keys:
            return None
        model_id: str = getattr(value, ID_SLOT, "")
        return model_id if self.models.get(model_id) is value else None

    def model(self, model_id: str) -> Model:
        """The model with an id; raises KeyError."""
        model = self.models.get(model_id)
        if model is None:
            raise KeyError(f"the model {model_id} is gone, it was destroyed meanwhile")
        return model

    def handle_parts(self, value: object) -> tuple[int, float] | None:
        """Id and time of a handle for a future message; None for anything else."""
        if isinstance(value, FutureHandle) and value.replica is self:
            return value.handle_id, value.time
        return None

    def remedy(self, value: object) -> str | None:
        """What to do instead of storing a model that is not in this session, or half a future message."""
        if isinstance(value, Model):
            return "it was destroyed, or is a model of another session: drop the reference"
        if isinstance(value, FutureHandle):
            return "it belongs to another session: drop the reference"
        if isinstance(value, Constant):
            return remedy_for(value)
        return FutureCall.remedy if isinstance(value, FutureCall) else None

    def handle(self, handle_id: int, time_ms: float) -> FutureHandle:
        """A handle for a future message."""
        return FutureHandle(self, handle_id, time_ms)

    # --- running entries -----------------------------------------------------------------------------------------

    def _begin(self) -> Replica | None:
        """From here on model code runs, in a decimal context of its own."""
        self._notebook_decimals = getcontext()
        setcontext(MODEL_CONTEXT)
        return model_module.set_running_replica(self)

    def _end(self, previous: Replica | None) -> None:
        model_module.set_running_replica(previous)
        setcontext(self._notebook_decimals)

    def _check_place(self, entry: protocol.Entry) -> None:
        expected = self.seq if self._finishing else self.seq + 1
        if entry.seq != expected or entry.time_ms < self.time_ms:
            raise ProtocolError(
                f"expected entry {expected} at {self.time_ms} ms or later, got {entry.seq} at {entry.time_ms} ms"
            )

    def _run_due(self, time_ms: float, pause: Callable[[], bool]) -> bool:
        while (message := self.schedule.take_due(time_ms)) is not None:
            due_ms, model_id, method, args = message
            if due_ms > self.time_ms:
                self.time_ms = due_ms
            model = self.models.get(model_id)
            if model is not None:
                self.call(model, method, *args)
            if getcontext() is not MODEL_CONTEXT:
                setcontext(MODEL_CONTEXT)  # what one message sets, a snapshot before the next would lose
            if pause():
                return False
        return True

    def _run_entry(self, entry: protocol.Entry) -> None:
        if isinstance(entry, Event):
            view_id, counter = entry.view_id, entry.counter
            if counter != self.counters.get(view_id, 0) + 1:
                raise self._miscounted(entry)
            self.counters[view_id] = counter
            self.event_view_id = view_id
        self.seq = entry.seq
        try:
            _ENTRY_KINDS[type(entry)](self, entry)
        except Exception as error:
            # The entry is done, as it is on every other replica: nothing it holds may end a session for good.
            self.happenings.append(HandlerFailed("session", f"entry {entry.seq}", error))
        finally:
            self.moves += 1
            self.event_view_id = ""
            if getcontext() is not MODEL_CONTEXT:
                setcontext(MODEL_CONTEXT)

    def _miscounted(self, entry: Event) -> SealBroken:
        return SealBroken(
            f"expected event {self.counters.get(entry.view_id, 0) + 1} of view {entry.view_id}, got {entry.counter}: "
            "the synchronizer left out, repeated or reordered events"
        )

    def want_saved(self, content: bytes, content_id: str, view_id: str, **details: Any) -> None:
        """Have content stored that a view's event caused; `details` are what else `PendingSave` takes."""
        self.content_id = content_id
        author = self.view_label(view_id)
        self.saves.want(PendingSave(self.next_save_id(), content, content_id, view_id, author, **details))

    def next_save_id(self) -> str:
        """The id of one more save."""
        self.save_count += 1
        return f"{self.run}.{self.save_count}"

    def _run_audit(self, entry: protocol.Audit) -> None:
        # Everything due until now is done, because `apply` has come as far as this entry.
        if entry.seq > self.history_seq:
            self.happenings.append(audit(self, entry))

    def dispatch(self, hearers: list[Subscription[str]], data: Any) -> None:
        """Call who hears a publication, in order; what they raise is reported."""
        for hearer in hearers:
            if hearer.is_live:  # not unsubscribed by an earlier handler
                model = self.models[hearer.owner_id]
                try:
                    getattr(model, hearer.handler)(data)
                except BaseException as error:
                    self.failed(model, hearer.handler, error)

    def tell_views(self, scope: str, event: str, data: Any) -> None:
        """Give this kernel's views a copy, so that nothing they do to it reaches the model."""
        try:
            copy = self.copied(data, f"data of {scope}:{event}")
        except Exception as error:
            # Not raised: a replica without views would not raise, and the two would part.
            self.happenings.append(HandlerFailed("session", f"publish to views of {scope}:{event}", error))
            return
        self.moves += 1  # the event is not over, and views may look already
        previous = model_module.set_running_replica(None)
        decimals = getcontext()
        try:
            setcontext(self._notebook_decimals)
            self.view_events.publish(scope, event, copy)
        finally:
            setcontext(decimals)
            model_module.set_running_replica(previous)

    def call(self, model: Model, method: str, *args: Any) -> BaseException | None:
        """Call a method of a model; what it raises is reported, and returned."""
        try:
            getattr(model, method)(*args)
        except BaseException as error:
            self.failed(model, method, error)
            return error
        finally:
            self.moves += 1
        return None

    def failed(self, model: Model, what: str, error: BaseException) -> None:
        """Report what came of a method of a model, or of setting something in it; called where it is caught."""
        if isinstance(error, KeyboardInterrupt):
            raise error  # the user's, and on this replica only
        self.happenings.append(HandlerFailed(type(model).__qualname__, what, error, self.event_view_id))

    def view_label(self, view_id: str) -> str:
        """The name of a participant for people, or ""."""
        card = self.views.get(view_id)
        return str(card.get("label", "")) if isinstance(card, dict) else ""


_ENTRY_KINDS: dict[type, Callable[..., None]] = {
    protocol.Event: run_event,
    protocol.Membership: run_membership,
    protocol.Saved: run_saved,
    protocol.Audit: Replica._run_audit,
}


def _nested_too_deep(what: str) -> NestingTooDeep:
    """What ends a recursion, at the same depth on every replica."""
    return NestingTooDeep(
        f"{what}: this is {NESTING_MAX} levels deep inside of others, so it leads back to itself: end it, or go on "
        "after this event with self.future(0)"
    )
