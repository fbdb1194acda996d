"""A replica as everybody sees it who is not model code: cells, widgets, views.

Model code has the models themselves. All others get facades, and copies that refuse to be changed, so that nothing they
do can make two replicas differ (SEMANTICS 6.2). A copy is made once and serves until the replica moves.

Linked code has classes of its own. What comes from it is told in the classes that the notebook knows, and the other
way round.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from types import MethodType
from typing import TYPE_CHECKING, Any

from msq_jupyter.errors import OutsideModelError, StateError
from msq_jupyter.runtime import read_only
from msq_jupyter.runtime.copies import Rules, Start, Walk, member_start, named_tuple_start, record_start
from msq_jupyter.runtime.facade import Facade, facade_kind, is_facade, make_facade, model_of, note_reads
from msq_jupyter.runtime.model import ID_SLOT, ROOT_NAME, FutureHandle, Model, get_id
from msq_jupyter.runtime.paths import MISSING
from msq_jupyter.runtime.reads import Read, What
from msq_jupyter.runtime.refusals import path_to, refusal
from msq_jupyter.runtime.snapshot import Writer, pack, read_value
from msq_jupyter.runtime.value_types import EnumShape, NamedTupleShape, RecordShape, shape_like

if TYPE_CHECKING:
    from msq_jupyter.runtime.replica import Replica


class Outside:
    """The outside of one replica; also what the codec knows of it for data that comes from there or goes there.

    Args:
        replica: whose outside.
        originals: the notebook's class for each linked one.
    """

    def __init__(self, replica: Replica, originals: Mapping[type, type]) -> None:
        self._replica = replica
        self._originals = originals
        self.value_types = replica.value_types.translated(originals)
        self.model_kinds: Collection[type] = ()
        self._facades: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self._kinds: dict[type, type] = {}
        self._rules = Rules(read_only=True, learn=self._learn)
        self.scalars = self._rules.scalars
        self._memory = _Memory(-1)
        self._reads: dict[Read, None] | None = None
        #: Sends the payload of an event; told what it is of. None for a replica that nobody can send to.
        self.send: Callable[[bytes, str], Any] | None = None

    # --- looking in ----------------------------------------------------------------------------------------------

    @property
    def root(self) -> Any:
        """The root model."""
        self._note("name", ROOT_NAME)
        return self.facade(self._replica.root)

    def facade(self, model: Model) -> Any:
        """What stands for a model: the same one as long as anybody has it."""
        facade = self._facades.get(id(model))
        if facade is None:
            kind = type(model)
            made = self._kinds.get(kind)
            if made is None:
                made = self._kinds.setdefault(kind, facade_kind(kind, self._originals.get(kind, kind), self))
                if self._reads is not None:
                    note_reads(made, self._note_attribute)
            # The facade keeps the model, so its id stays its own.
            facade = self._facades.setdefault(id(model), make_facade(made, model))
        return facade

    def seen(self, model: Model, attribute: str, value: Any) -> Any:
        """The value of an attribute as it stands outside; see `facade.Keeper`."""
        memory = self._memory
        moves = self._replica.moves
        if memory.moves != moves:
            memory = self._memory = _Memory(moves)
        copy = memory.copies.get(id(value))
        if copy is None:
            walk = Walk(self._rules, _Origin(self, model, attribute), memory.copies)
            copy = walk.copy(value)
            if self._replica.moves == moves:  # else another thread moves it meanwhile
                memory.sources += walk.sources
                memory.copies.update(walk.copies)
        return copy

    @contextmanager
    def recording(self) -> Iterator[Mapping[Read, None]]:
        """Note what is read through facades meanwhile, in the order of reading, each once.

        Who reads what is not told apart by thread. What is read in a recording inside another is noted there only.
        """
        before, self._reads = self._reads, {}
        try:
            if before is None:
                self._note_reads(self._note_attribute)
            yield self._reads
        finally:
            self._reads = before
            if before is None:
                self._note_reads(None)

    def _note_reads(self, note: Callable[[Model, str], None] | None) -> None:
        for kind in list(self._kinds.values()):
            note_reads(kind, note)

    def value_of(self, read: Read) -> Any:
        """What somebody would read now who has read it before."""
        replica = self._replica
        if read.what == "time":
            return replica.time_ms
        if read.what == "views":
            return dict(replica.views)
        model = (replica.well_known if read.what == "name" else replica.models).get(read.key)
        if model is None:
            return MISSING
        facade = self.facade(model)
        return getattr(facade, read.attribute, MISSING) if read.attribute else facade

    def _note(self, what: What, key: str = "", attribute: str = "") -> None:
        reads = self._reads
        if reads is not None:
            reads[Read(what, key, attribute)] = None

    def _note_attribute(self, model: Model, attribute: str) -> None:
        self._note("attribute", get_id(model), attribute)

    def attributes(self, model: Model) -> Any:
        """What `vars` shows of a model."""
        own = dict(_dict_of(model))
        seen = {"id": object.__getattribute__(model, ID_SLOT)}
        seen.update((name, self.seen(model, name, value)) for name, value in own.items())
        return read_only.new_dicts([seen], _Origin(self, model, ""))[0]

    def refusal(self, model: Model, attribute: str) -> Exception:
        """The error for a change of an attribute."""
        return refusal(self._replica.topics, model, attribute, [])

    def path_of(self, model: Model, attribute: str, copy: Any) -> list[Any] | None:
        """Where in an attribute a copy is; None when the replica has moved on since."""
        root = self._memory.copies.get(id(_dict_of(model).get(attribute)))
        return None if root is None else path_to(copy, root)

    # --- what model code asks of a replica, for methods that run outside ------------------------------------------

    @property
    def time_ms(self) -> float:
        """Session time."""
        self._note("time")
        return self._replica.time_ms

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self._replica.session_id

    @property
    def views(self) -> Any:
        """The views' ids."""
        return tuple(self.cards)

    @property
    def cards(self) -> dict[str, Any]:
        """What the views brought, by id."""
        self._note("views")
        return dict(self._replica.views)

    @property
    def well_known(self) -> _Facades:
        """Models by the names they are well known by."""
        return _Facades(self, self._replica.well_known, lambda name: self._note("name", name))

    @property
    def models(self) -> _Facades:
        """Models by id."""
        return _Facades(self, self._replica.models, lambda name: self._note("model", name))

    def request(self, model: Model, name: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        """Have an operation of a model run on every replica; see `operation`."""
        what = f"{type(model).__qualname__}.{name}"
        if self.send is None:
            raise OutsideModelError(f"{what}: this replica only looks, nothing can be sent from it")
        document = self.write([list(args), keywords], f"arguments of {what}")
        self.send(pack(["call", get_id(model), name, document]), what)

    # --- the codec's view of us ----------------------------------------------------------------------------------

    def write(self, data: Any, what: str) -> bytes:
        """The document of data that comes from outside.

        Raises:
            StateError: names the path of what cannot be stored.
        """
        try:
            return Writer(self).write(data, what)
        except StateError:
            # It may hold what was read here; that goes in as what it was.
            plain = changeable(data)
            return Writer(self).write(plain, what)

    def read(self, document: bytes) -> Any:
        """The data of a document, for the outside: facades for models, the notebook's classes for linked ones."""
        return read_value(document, self)

    def model_id(self, value: object) -> str | None:
        """The id of a model of this replica, or of one that a facade stands for."""
        return self._replica.model_id(model_of(value) if is_facade(value) else value)

    def model(self, model_id: str) -> Any:
        """The facade of the model with an id; raises KeyError."""
        return self.facade(self._replica.models[model_id])

    def handle_parts(self, value: object) -> tuple[int, float] | None:
        """Id and time of a handle for a future message, the replica's or one of `handle`."""
        if isinstance(value, FutureHandle) and value.replica in (self, self._replica):
            return value.handle_id, value.time
        return None

    def remedy(self, value: object) -> str | None:
        """What to do instead of storing a value that only looks like one of this replica's."""
        return self._replica.remedy(value)

    def handle(self, handle_id: int, time_ms: float) -> FutureHandle:
        """A handle for a future message, to look at."""
        return FutureHandle(self, handle_id, time_ms)  # type: ignore[arg-type]  # never the replica that runs

    # --- how each type stands outside ----------------------------------------------------------------------------

    def _learn(self, kind: type) -> Start | None:
        if issubclass(kind, Model) and not issubclass(kind, Facade):
            return lambda _, value: self.facade(value)
        if kind is MethodType:
            return self._start_method
        if kind is FutureHandle:
            return lambda _, value: self.handle(value.handle_id, value.time)
        shape = self._replica.value_types.by_type.get(kind) or shape_like(kind)
        if shape is None:
            return None
        target = self.value_types.by_key.get(shape.key, shape)
        if isinstance(shape, EnumShape) and isinstance(target, EnumShape):
            return None if target.kind is kind else member_start(shape, target)
        if isinstance(target, NamedTupleShape):
            return named_tuple_start(target)
        assert isinstance(shape, RecordShape)
        return record_start(shape, RecordShape(shape.key, read_only.read_only_kind(target.kind)))

    def _start_method(self, _: Walk, value: MethodType) -> Any:
        owner = value.__self__
        return MethodType(value.__func__, self.facade(owner)) if isinstance(owner, Model) else value


class _Memory:
    """Copies of one moment, by id of what they are copies of."""

    def __init__(self, moves: int) -> None:
        self.moves = moves
        self.copies: dict[int, Any] = {}
        self.sources: list[Any] = []


class _Facades:
    """Models by name or id, as a method that runs outside looks them up."""

    def __init__(self, outside: Outside, models: Mapping[str, Model], note: Callable[[str], None]) -> None:
        self._outside = outside
        self._models = models
        self._note = note

    def get(self, name: str) -> Any:
        """The facade, or None."""
        self._note(name)
        model = self._models.get(name)
        return None if model is None else self._outside.facade(model)


class _Origin:
    """What a copy knows of where it is from."""

    __slots__ = ("_attribute", "_model", "_outside")

    def __init__(self, outside: Outside, model: Model, attribute: str) -> None:
        # Weak: a copy that somebody keeps must not keep the whole replica.
        self._outside = weakref.ref(outside)
        self._model = weakref.ref(model)
        self._attribute = attribute

    def refusal(self, copy: Any, key: Any) -> Exception:
        """The error for a change of a copy."""
        outside, model = self._outside(), self._model()
        path: list[Any] | None = None
        if not self._attribute:
            path = []
        elif outside is not None and model is not None:
            path = outside.path_of(model, self._attribute, copy)
        parts = [*(path or ()), *([] if path is None or key is read_only.NO_KEY else [key])]
        return refusal(None if outside is None else outside._replica.topics, model, self._attribute, parts)

    def changeable(self, copy: Any) -> Any:
        """A copy of a copy that is plain all the way down."""
        return changeable(copy)


# --- inwards -----------------------------------------------------------------------------------------------------


def changeable(value: Any) -> Any:
    """A copy that is plain all the way down, of what was read outside; facades stay what they are."""
    return Walk(Rules(read_only=False, learn=_learn_plain), _NOWHERE).copy(value)


def _learn_plain(kind: type) -> Start | None:
    shape = shape_like(kind)
    if isinstance(shape, NamedTupleShape):
        return named_tuple_start(shape)
    if isinstance(shape, RecordShape):
        return record_start(shape, RecordShape(shape.key, read_only.plain_kind(kind)))
    return None


class _Nowhere:
    """Where plain copies are from."""

    def refusal(self, copy: Any, key: Any) -> Exception:
        return AssertionError("a plain copy refuses nothing")

    def changeable(self, copy: Any) -> Any:
        return copy


_NOWHERE = _Nowhere()


def _dict_of(model: Model) -> dict[str, Any]:
    own: dict[str, Any] = object.__getattribute__(model, "__dict__")
    return own
