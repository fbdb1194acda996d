"""`Model`: the class whose subclasses are a session's shared, replicated state.

A model is made by `create`, starts in `init`, changes only inside its own methods while the replica runs them, and
hears of the world by `subscribe`. Everything on it is state.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, MutableSequence, Sequence
from datetime import timedelta
from functools import partial
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from weakref import WeakKeyDictionary

import msgspec
from msgspec.structs import astuple

from msq_jupyter.errors import (
    ModelCreationError,
    OutsideModelError,
    ScheduleError,
    StateError,
    SubscriptionError,
)
from msq_jupyter.runtime.pubsub import check_name

if TYPE_CHECKING:
    from typing_extensions import Self

    from msq_jupyter.runtime.replica import Replica

T = TypeVar("T")
M = TypeVar("M", bound="Model")

#: What the first model of a session is well known as.
ROOT_NAME = "modelRoot"

#: What a replica tells a model of itself: slots, so that the model's `__dict__` is its state and nothing else.
REPLICA_SLOT, ID_SLOT = "_msq_replica", "_msq_id"


class _Running(threading.local):
    """Which replica runs model code at the moment; by thread, because a process may hold kernels in several threads."""

    replica: Replica | None = None


_running = _Running()

#: A later time than this could not be told from its neighbours, in milliseconds.
DELAY_MS_MAX = 2**52
#: The shortest period, in milliseconds: one too short to move the time would repeat for ever.
EVERY_MS_MIN = 1

#: What a model class must not define, and why.
_NOT_IN_A_MODEL = {
    "__init__": "which never runs when a snapshot is restored: write def init(self, options, persisted=None): instead",
    "__slots__": "whose attributes no snapshot would hold: leave it out",
    "id": "which is the model's name in its session: use another name",
}


def running_replica() -> Replica | None:
    """The replica whose model code this thread executes at the moment."""
    return _running.replica


def set_running_replica(replica: Replica | None) -> Replica | None:
    """Say whose model code this thread executes from now on; returns whose it was."""
    previous = _running.replica
    _running.replica = replica
    return previous


class Model:
    """Base class of everything that is shared.

    Subclasses define `init(self, options, persisted=None)` instead of `__init__`, and methods. Class attributes:

    * `transient`: names of attributes that are not state. They are absent after a snapshot is restored.
    """

    __slots__ = (REPLICA_SLOT, ID_SLOT, "__dict__", "__weakref__")

    transient: ClassVar[tuple[str, ...]] = ()

    _msq_replica: Replica
    _msq_id: str

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        """Refuse, and show the line that works."""
        raise ModelCreationError(
            f"models are made with create: inside a model write {cls.__name__}.create(), not {cls.__name__}(); a cell "
            f"joins with session = await Session.join(..., model={cls.__name__}), which makes the first one"
        )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, why in _NOT_IN_A_MODEL.items():
            if name in cls.__dict__:
                raise ModelCreationError(f"{cls.__qualname__} defines {name}, {why}")
        if not isinstance(cls.transient, tuple) or not all(isinstance(name, str) for name in cls.transient):
            raise ModelCreationError(
                f"{cls.__qualname__}.transient: expected a tuple of names such as ('cache',), got {cls.transient!r}"
            )

    @property
    def id(self) -> str:  # the reference's name for it
        """The model's name in its session: "M1", "M2", ..."""
        return self._msq_id

    @id.setter
    def id(self, value: object) -> None:
        kind = type(self).__name__
        raise StateError(f"{kind}.id is the model's name in its session: use another attribute for {value!r}")

    @classmethod
    def create(cls, options: Any = None, persisted: Any = None) -> Self:
        """Make a model of this class; only inside model code.

        Args:
            options: handed to `init`.
            persisted: saved data, handed to `init` when it takes a second parameter.

        Raises:
            ModelCreationError: outside model code, or the class is not part of the session's code.
        """
        replica = running_replica()
        if replica is None:
            raise ModelCreationError(
                f"{cls.__name__}.create() works inside a model's methods only. A cell joins a session with "
                f"session = await Session.join(..., model={cls.__name__}), which makes the root model"
            )
        return replica.create(cls, options, persisted)

    def init(self, options: Any, persisted: Any = None) -> None:
        """Set up the model; subclasses override it.

        Args:
            options: what `create`, or `Session.join` for the root model, was given.
            persisted: for the root model, the data of the newest saved version, or None.
        """

    def link_changed(self, path: str) -> None:
        """Called, on every replica, after a link has set something of this model; override it to check or to save.

        Args:
            path: from the root model, such as "speed" or "settings.speed".
        """

    def destroy(self) -> None:
        """End this model: its subscriptions, future messages and well-known names go with it."""
        self._host("destroy").destroy(self)

    # --- time ----------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Session time in milliseconds; constant within one event. Views and cells may ask, too."""
        return self._replica().time_ms

    def future(
        self,
        delay_ms: float | timedelta = 0,
        method: Callable[..., Any] | str | None = None,
        *args: Any,
        every: float | timedelta | None = None,
    ) -> Any:
        """Call a method of this model later: `self.future(1000).tick(1)` or `self.future(1000, self.tick, 1)`.

        Args:
            delay_ms: milliseconds of session time, 0 or more, or a `timedelta`.
            method: what to call; without it, the next attribute of the result is the method.
            args: what to call it with.
            every: instead of a delay: call it again and again, with this period in milliseconds, 1 or more.

        Returns:
            A handle with `.time` and `.cancel()`, which may be stored on the model; or, without `method`, an object
            whose methods return one.

        Raises:
            ScheduleError: a negative delay, both a delay and `every`, or the model has no such method.
            OutsideModelError: outside model code.
        """
        self._host("future")
        every_ms = 0.0
        if every is not None:
            if delay_ms:
                raise ScheduleError("future: give a delay or every=, not both; the first call comes after one period")
            delay_ms = every_ms = _milliseconds(every, "every")
            if every_ms < EVERY_MS_MIN:
                raise ScheduleError(f"future: expected every= of {EVERY_MS_MIN} ms or more, got {every_ms}")
        call = FutureCall(self, _milliseconds(delay_ms, "delay"), every_ms)
        if method is None:
            return call
        return getattr(call, _method_name(self, method, "future"))(*args)

    def cancel_future(self, what: FutureHandle | Callable[..., Any] | str) -> bool:
        """Cancel a handle, the earliest call of a method, or with `"*"` everything this model waits for.

        Returns:
            Whether there was anything to cancel.
        """
        replica = self._host("cancel_future")
        if isinstance(what, FutureHandle):
            return what.cancel()
        if what == "*":
            return replica.schedule.cancel_all(self.id)
        return replica.schedule.cancel_earliest(self.id, _method_name(self, what, "cancel_future"))

    # --- events --------------------------------------------------------------------------------------------------

    def publish(self, scope: str, event: str, data: Any = None) -> None:
        """Tell all subscribed models now, and this kernel's subscribed views after.

        Raises:
            SubscriptionError: not a topic.
            OutsideModelError: outside model code; a cell writes `session.publish(...)`.
        """
        self._host("publish").publish(scope, event, data)

    def subscribe(self, scope: str, event: str, handler: Callable[..., Any] | str) -> None:
        """Have a method of this model called with the data of each publication on a topic.

        Args:
            scope: any name without ":", or "*" for all.
            event: any name, or "*" for all.
            handler: a method of this model, or its name.

        Raises:
            SubscriptionError: not a topic, not a method of this model, or the same twice.
        """
        self._host("subscribe").subscribe(self, scope, event, _method_name(self, handler, "subscribe"))

    def unsubscribe(self, scope: str, event: str, handler: Callable[..., Any] | str | None = None) -> None:
        """End the subscription of one handler, or of all of this model's handlers on a topic."""
        name = None if handler is None else _method_name(self, handler, "unsubscribe")
        self._host("unsubscribe").unsubscribe(self, scope, event, name)

    def unsubscribe_all(self) -> None:
        """End all subscriptions of this model."""
        self._host("unsubscribe_all").unsubscribe_all(self)

    # --- names ---------------------------------------------------------------------------------------------------

    def be_well_known_as(self, name: str) -> None:
        """Let `well_known_model(name)` find this model. The first model of a session is "modelRoot"."""
        replica = self._host("be_well_known_as")
        check_name("be_well_known_as", name)
        if name == ROOT_NAME and replica.well_known.get(name) is not self:
            raise StateError(f'"{ROOT_NAME}" is the name of the first model, and stays with it: use another name')
        replica.well_known[name] = self

    def well_known_model(self, name: str) -> Any:
        """The model well known by this name, or None."""
        return self._replica().well_known.get(name)

    def get_model(self, model_id: str) -> Any:
        """The model with this id, or None."""
        return self._replica().models.get(model_id)

    @property
    def session_id(self) -> str:
        """The session's id: the scope of "view-join" and "view-exit"."""
        return self._replica().session_id

    @property
    def view_count(self) -> int:
        """How many views are in the session."""
        return len(self._replica().views)

    @property
    def event_view_id(self) -> str:
        """Whose event is being executed, or who joins or exits: a view id; "" for nobody's, as in future messages."""
        return self._host("event_view_id").event_view_id

    def view_label(self, view_id: str) -> str:
        """The name of a participant for people, "" for somebody who is not here."""
        return self._host("view_label").view_label(view_id)

    # --- random --------------------------------------------------------------------------------------------------

    def random(self) -> float:
        """A number in [0, 1), the same on every replica."""
        return self._host("random").random.random()

    def random_int(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included."""
        return self._host("random_int").random.random_int(low, high)

    def choice(self, items: Sequence[T]) -> T:
        """One of `items`."""
        return self._host("choice").random.choice(items)

    def shuffle(self, items: MutableSequence[Any]) -> None:
        """Put `items` into random order, in place."""
        self._host("shuffle").random.shuffle(items)

    def generate_id(self) -> str:
        """A name nobody else has: 22 characters."""
        return self._host("generate_id").random.generate_id()

    # --- persistence ---------------------------------------------------------------------------------------------

    def persist_session(self, collect: Callable[[], Any] | Any) -> None:
        """Save what must outlive the code. Only the root model may.

        Args:
            collect: the data, or a function that returns it: a JSON object or array with string keys. It comes back
                as `init(options, persisted)` in a session with edited code.

        Raises:
            PersistenceTypeError: not JSON; names the path and the remedy.
            OutsideModelError: from another model than the root, or outside model code.
        """
        self._host("persist_session").persist(self, collect)

    # --- inside --------------------------------------------------------------------------------------------------

    def _replica(self) -> Replica:
        return self._msq_replica

    def _host(self, name: str) -> Replica:
        """The replica, if it is running this model's code right now."""
        try:
            replica = self._msq_replica
        except AttributeError:
            replica = None  # of a facade
        if replica is None or _running.replica is not replica:
            raise OutsideModelError(
                f"{type(self).__name__}.{name}() works inside a model's methods only. From a cell, a widget or a view, "
                "publish an event that a method of the model subscribes to: session.publish(scope, event, data)"
            )
        if replica.models.get(self._msq_id) is not self:
            raise OutsideModelError(f"{type(self).__name__}.{name}() came too late: the model {self.id} was destroyed")
        return replica

    def __repr__(self) -> str:
        return f"<{type(self).__qualname__} {getattr(self, ID_SLOT, '?')}>"


class FutureHandle(msgspec.Struct, eq=False):
    """A scheduled call: `.time` is when it is due in session time, `.cancel()` forgets it."""

    replica: Replica
    handle_id: int
    time: float

    def cancel(self) -> bool:
        """Forget the call; whether it was still to come. Only inside model code."""
        if running_replica() is not self.replica:
            raise OutsideModelError("a future message can be cancelled inside a model's methods only")
        return self.replica.schedule.cancel(self.handle_id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FutureHandle) and other.handle_id == self.handle_id and other.replica is self.replica

    def __hash__(self) -> int:
        return hash(self.handle_id)


class FutureCall(msgspec.Struct, eq=False):
    """What `self.future(ms)` returns: its methods are those of the model, and schedule."""

    remedy: ClassVar[str] = "name the method to call: self.future(ms).method()"

    _model: Model
    _delay_ms: float
    _every_ms: float

    # Not `__getattr__`, which is asked after an AttributeError was made for it, and that takes long.
    def __getattribute__(self, name: str) -> Any:
        if name[:2] == "__":
            return object.__getattribute__(self, name)
        model, delay_ms, every_ms = astuple(self)
        return partial(_schedule, model, delay_ms, every_ms, _method_name(model, name, "future"))


def _schedule(model: Model, delay_ms: float, every_ms: float, method: str, *args: Any) -> FutureHandle:
    replica = model._host("future")  # it may have been destroyed, or its event may be over
    if delay_ms < 1:
        replica.schedule.rush(replica.time_ms, f"{type(model).__name__}.{method}")
    due_ms = replica.time_ms + delay_ms
    message = replica.schedule.add(due_ms, every_ms, model._msq_id, method, args)
    return FutureHandle(replica, message.handle_id, due_ms)


def new_model(kind: type[M], replica: Replica, model_id: str) -> M:
    """A model of a replica, still without a dict of attributes."""
    model = object.__new__(kind)
    set_replica(model, replica)
    set_id(model, model_id)
    return model


get_id: Callable[[Model], str] = vars(Model)[ID_SLOT].__get__
# Not `setattr`, which the author's classes may define.
set_replica: Callable[[Model, Replica], None] = vars(Model)[REPLICA_SLOT].__set__
set_id: Callable[[Model, str], None] = vars(Model)[ID_SLOT].__set__
#: Give a model the dict that holds its attributes. One of its own, and not the kind that instances of a class share
#: the keys of: once anybody looks at such a `__dict__`, model code takes twice as long for each attribute.
set_attributes: Callable[[Model, dict[str, Any]], None] = vars(Model)["__dict__"].__set__


def call_init(model: Model, options: Any, persisted: Any) -> None:
    """Call `init` with as many of (options, persisted) as it takes."""
    init = model.init
    function = getattr(init, "__func__", None)
    count = _taken_by.get(function) if type(function) is FunctionType else _taken(init)
    if count is None:
        count = _taken_by[function] = _taken(init)
    init(*(options, persisted)[:count])


#: What `_taken` says of each `init`. They are kept elsewhere: a session that has ended takes its code with it.
_taken_by: WeakKeyDictionary[Any, int] = WeakKeyDictionary()


def _taken(init: Callable[..., Any]) -> int:
    """How many arguments it takes by position, of the two there are."""
    parameters = inspect.signature(init).parameters.values()
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return 2
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(parameter.kind in positional for parameter in parameters)


def _milliseconds(delay: float | timedelta, name: str) -> float:
    if type(delay) is float and 0 <= delay <= DELAY_MS_MAX:
        return delay
    delay_ms = delay / timedelta(milliseconds=1) if isinstance(delay, timedelta) else delay
    if type(delay_ms) not in (int, float) or not 0 <= delay_ms <= DELAY_MS_MAX:
        raise ScheduleError(f"future: expected {name} of 0 or more milliseconds, or a timedelta, got {delay!r:.40}")
    return float(delay_ms)


def _method_name(model: Model, method: Callable[..., Any] | str, caller: str) -> str:
    """The name of a method of `model`; what a replica stores, because names survive snapshots and functions do not."""
    name: object = method
    if type(name) is str and has_method(model, name):
        return name
    if isinstance(method, MethodType) and getattr(model, method.__name__, None) == method:
        name = method.__name__
    if isinstance(name, str) and has_method(model, name):
        return name
    kind = type(model).__name__
    error = ScheduleError if caller.endswith("future") else SubscriptionError
    if isinstance(name, str):
        raise error(f"{caller}: {kind} has no method {name!r}")
    raise error(f"{caller}: expected a method of this {kind}, such as self.{_some_method(model)}, got {method!r}")


def has_method(model: Model, name: str) -> bool:
    """Whether a model has a public method of a name."""
    # One of the class: an attribute would be gone, or another one, when a snapshot is restored.
    is_method = type(getattr(type(model), name, None)) is FunctionType and name not in model.__dict__
    return name[:2] != "__" and (is_method or _has_callable(model, name))


def _has_callable(model: Model, name: str) -> bool:
    """Whether the class of a model has something of a name, whatever it is, and the model can call it."""
    return any(name in vars(kind) for kind in type(model).__mro__) and callable(getattr(model, name, None))


def _some_method(model: Model) -> str:
    own = [n for n, v in type(model).__dict__.items() if inspect.isfunction(v) and n != "init" and n[0] != "_"]
    return own[0] if own else "handler"
