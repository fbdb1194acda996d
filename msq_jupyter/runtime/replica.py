"""The replica: one participant's copy of a session, moved only by the ordered log. Pure: no clock, no I/O.

Feed it entries of the log in order (`apply`) and the time that passed (`advance`); it runs the models' methods and
leaves what the outside must know in `happenings`. Two replicas fed the same entries are equal, whenever and in whatever
portions they were fed.

Time is an argument. Before an entry of time t, everything the models scheduled for t or earlier runs; so at equal time
internal messages come before external ones.
"""

from __future__ import annotations

import decimal
from collections import deque
from collections.abc import Callable, Mapping
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
from msq_jupyter.runtime import model as model_module
from msq_jupyter.runtime.assignment import run_assignment
from msq_jupyter.runtime.audit import audit
from msq_jupyter.runtime.constants import Constant, remedy_for
from msq_jupyter.runtime.decimals import MODEL_CONTEXT
from msq_jupyter.runtime.happenings import HandlerFailed, Happening
from msq_jupyter.runtime.model import REPLICA_ATTRIBUTE, ROOT_NAME, FutureCall, FutureHandle, Model
from msq_jupyter.runtime.operation import run_operation
from msq_jupyter.runtime.outside import Outside
from msq_jupyter.runtime.prng import RandomStream
from msq_jupyter.runtime.pubsub import TopicTable, check_topic
from msq_jupyter.runtime.restoring import run_restore
from msq_jupyter.runtime.saves import LastSave, PartialRestore, PendingSave, SaveQueue
from msq_jupyter.runtime.saving import run_saved
from msq_jupyter.runtime.schedule import Schedule
from msq_jupyter.runtime.snapshot import pack, read_value, unpack
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
        last_save: the newest stored version this run knows of.
        options: the session's, packed: a restored version is given to `init` with them.
        restores: what has come of restores that are not whole, by who restores.
        event_view_id: whose event is being executed, "" for nobody's.
        views: view data by view id, in the order of joining.
        counters: the last event of each view; a gap, a repetition or a swap would show here.
        happenings: what the outside has to know; whoever reads them clears them.
        moves: grows whenever models may have changed; not state.
        nesting: how many publications and creations are going on inside each other; 0 between entries.
        outside: the models for everybody who is not model code, to read.
        history_seq: entries up to this one are history, and audits among them over; not state.
    """

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
        self.restores: dict[str, PartialRestore] = {}
        self.last_save: LastSave | None = None
        self.happenings: list[Happening] = []
        self.moves = 0
        self.history_seq = 0
        self.save_digest = save_digest
        self.classes = dict(classes)
        self.class_keys = {kind: key for key, kind in self.classes.items()}
        self.value_types = ValueTypes(value_types or {})
        self.topics: TopicTable[str] = TopicTable()
        self.next_model = 1
        self.save_count = 0
        self.content_id = ""
        self.event_view_id = ""
        self.nesting = 0
        self._finishing = False
        self._notebook_decimals: decimal.Context = MODEL_CONTEXT
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
                    entry, time_ms = move, self._checked_time(move)
                # From here, and not from what runs entries: a recursion in a model ends at Python's limit.
                if self.schedule.is_due(time_ms) and not self._run_due(time_ms, pause):
                    return False
                if time_ms > self.time_ms:
                    self.time_ms = time_ms
                if entry is not None and not self._finishing:
                    self._run_entry(entry)
                    # future(0) of an external handler runs right after it. It is part of the entry: after entries,
                    # states are compared.
                    if self.schedule.is_due(time_ms) and not self._run_due(time_ms, pause):
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

    def register(self, model: Model) -> None:
        """Give a new model its id; the first one becomes the root."""
        if type(model) not in self.class_keys:
            raise ModelCreationError(
                f"{type(model).__qualname__} is not part of this session's code: name the class in the code of the "
                "root model, so that every kernel has the same one, and join again"
            )
        model.__dict__.update({REPLICA_ATTRIBUTE: self, "id": f"M{self.next_model}"})
        self.next_model += 1
        self.models[model.id] = model
        self.well_known.setdefault(ROOT_NAME, model)

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

    def go_deeper(self, verb: str, *what: str) -> None:
        """Count one more level of what may lead to itself; whoever comes back takes one off `nesting`.

        Raises:
            NestingTooDeep: there are too many, at the same depth on every replica.
        """
        if self.nesting >= NESTING_MAX:
            raise NestingTooDeep(
                f"{verb} {':'.join(what)}: this is {NESTING_MAX} levels deep inside of others, so it leads back to "
                "itself: end it, or go on after this event with self.future(0)"
            )
        self.nesting += 1

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
        check_topic(scope, event)
        self.go_deeper("publish", scope, event)
        try:
            self._dispatch(scope, event, data)
        finally:
            self.nesting -= 1
        if self.view_events.wanted(scope, event):
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
        if content_id == self.content_id:
            return
        self.want_saved(content, content_id, self.event_view_id)

    # --- what the outside asks for -------------------------------------------------------------------------------

    def hears(self, scope: str, event: str) -> bool:
        """Whether any model subscribes to a topic, wildcards included."""
        return bool(self.topics.matching(scope, event))

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
        if not isinstance(value, Model) or value.__dict__.get(REPLICA_ATTRIBUTE) is not self:
            return None
        model_id: str = value.__dict__["id"]
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
        return value.remedy if isinstance(value, FutureCall) else None

    def handle(self, handle_id: int, time_ms: float) -> FutureHandle:
        """A handle for a future message."""
        return FutureHandle(self, handle_id, time_ms)

    # --- running entries -----------------------------------------------------------------------------------------

    def _begin(self) -> Replica | None:
        """From here on model code runs, in a decimal context of its own."""
        self._notebook_decimals = decimal.getcontext()
        decimal.setcontext(MODEL_CONTEXT)
        return model_module.set_running_replica(self)

    def _end(self, previous: Replica | None) -> None:
        model_module.set_running_replica(previous)
        decimal.setcontext(self._notebook_decimals)

    def _checked_time(self, entry: protocol.Entry) -> float:
        expected = self.seq if self._finishing else self.seq + 1
        if entry.seq != expected or entry.time_ms < self.time_ms:
            raise ProtocolError(
                f"expected entry {expected} at {self.time_ms} ms or later, got {entry.seq} at {entry.time_ms} ms"
            )
        return entry.time_ms

    def _run_due(self, time_ms: float, pause: Callable[[], bool]) -> bool:
        while (message := self.schedule.take_due(time_ms)) is not None:
            if message.time_ms > self.time_ms:
                self.time_ms = message.time_ms
            model = self.models.get(message.model_id)
            if model is not None:
                self.call(model, message.method, *message.args)
            if decimal.getcontext() is not MODEL_CONTEXT:
                decimal.setcontext(MODEL_CONTEXT)  # what one message sets, a snapshot before the next would lose
            if pause():
                return False
        return True

    def _run_entry(self, entry: protocol.Entry) -> None:
        if isinstance(entry, protocol.Event):
            self._count(entry)
            self.event_view_id = entry.view_id
        self.seq = entry.seq
        try:
            _ENTRY_KINDS[type(entry)](self, entry)
        except Exception as error:
            # The entry is done, as it is on every other replica: nothing it holds may end a session for good.
            self.happenings.append(HandlerFailed("session", f"entry {entry.seq}", error))
        finally:
            self.event_view_id = ""
            if decimal.getcontext() is not MODEL_CONTEXT:
                decimal.setcontext(MODEL_CONTEXT)

    def _count(self, entry: protocol.Event) -> None:
        last = self.counters.get(entry.view_id, 0)
        if entry.counter != last + 1:
            raise SealBroken(
                f"expected event {last + 1} of view {entry.view_id}, got {entry.counter}: "
                "the synchronizer left out, repeated or reordered events"
            )
        self.counters[entry.view_id] = entry.counter

    def _run_event(self, entry: protocol.Event) -> None:
        fields = unpack(entry.payload)
        _EVENT_KINDS[fields[0]](self, fields)

    def _run_publication(self, fields: list[Any]) -> None:
        _, scope, event, document = fields
        try:
            data = read_value(document, self)
        except SealBroken as error:
            view_id = self.event_view_id
            self.happenings.append(HandlerFailed("session", f"event {scope}:{event}, dropped", error, view_id))
            return
        self._dispatch(scope, event, data)

    def _run_membership(self, entry: protocol.Membership) -> None:
        for view_id in entry.exits:
            if view_id in self.views:
                self.restores.pop(view_id, None)
                data = self.views.pop(view_id)
                self._dispatch(self.session_id, "view-exit", _view_event(view_id, data))
        for view_id, payload in entry.joins:
            self.views[view_id] = data = read_value(payload, self)
            self._dispatch(self.session_id, "view-join", _view_event(view_id, data))

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

    def _dispatch(self, scope: str, event: str, data: Any) -> None:
        for entry in self.topics.matching(scope, event):
            if entry.is_live:  # not unsubscribed by an earlier handler
                self.call(self.models[entry.owner_id], entry.handler, data)

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
        decimals = decimal.getcontext()
        try:
            decimal.setcontext(self._notebook_decimals)
            self.view_events.publish(scope, event, copy)
        finally:
            decimal.setcontext(decimals)
            model_module.set_running_replica(previous)

    def call(self, model: Model, method: str, *args: Any) -> None:
        """Call a method of a model; what it raises is reported."""
        try:
            getattr(model, method)(*args)
        except KeyboardInterrupt:
            raise  # the user's, and on this replica only
        except BaseException as error:
            self.happenings.append(HandlerFailed(type(model).__qualname__, method, error, self.event_view_id))
        finally:
            self.moves += 1

    def view_label(self, view_id: str) -> str:
        """The name of a participant for people, or ""."""
        card = self.views.get(view_id)
        return str(card.get("label", "")) if isinstance(card, dict) else ""


_ENTRY_KINDS: dict[type, Callable[..., None]] = {
    protocol.Event: Replica._run_event,
    protocol.Membership: Replica._run_membership,
    protocol.Saved: run_saved,
    protocol.Audit: Replica._run_audit,
}

_EVENT_KINDS: dict[str, Callable[..., None]] = {
    "publish": Replica._run_publication,
    "assign": run_assignment,
    "call": run_operation,
    "restore": run_restore,
}


def _view_event(view_id: str, data: Any) -> Any:
    """The data of "view-join" and "view-exit": the id, or a dict when the participant gave view data."""
    view_data = data.get("view_data") if isinstance(data, dict) else None
    return view_id if view_data is None else {"view_id": view_id, "view_data": view_data}
