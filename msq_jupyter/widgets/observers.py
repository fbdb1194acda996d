"""Observers: functions of a notebook that are called when something in the model has changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from msq_jupyter.errors import ArgumentError
from msq_jupyter.runtime.paths import MISSING, same, split
from msq_jupyter.widgets.bindings import Binding, require_path

if TYPE_CHECKING:
    from msq_jupyter.widgets.session import Session

#: The last step of a path that stands for every key.
ANY = "*"


@dataclass(frozen=True)
class Change:
    """What an observer is called with.

    Attributes:
        path: what has changed; for "votes.*" the path with the key, such as "votes.yes".
        old: the value it had when the observer last looked, None if it was not there.
        new: the value it has, None if it is gone.
        kind: "changed", "added" or "removed".
    """

    path: str
    old: Any
    new: Any
    kind: Literal["changed", "added", "removed"]


class Observer(Binding):
    """One observer; made by `Session.observe`. Several events between two looks are one change."""

    def __init__(self, session: Session, path: str, callback: Callable[[Change], Any], initial: bool) -> None:
        super().__init__(session)
        if not callable(callback):
            raise ArgumentError(f"observe: expected a function to call with the change, got {callback!r}")
        steps = split(path)
        if ANY in steps[:-1]:
            raise ArgumentError(f'observe: expected "{ANY}" as the last step only, got {path!r}')
        self._path = path
        self._holder = ".".join(steps[:-1]) if steps[-1] == ANY else ""
        self._callback = callback
        self._known: dict[str, Any] = {}
        self.begin()
        if initial:
            self._tell({})

    def unobserve(self) -> None:
        """End it: there are no more calls."""
        self.end()

    def attach(self) -> None:
        """See `Binding.attach`."""
        if self._path != ANY:
            # What is further in may come and go.
            require_path(self._session, self._path.partition(".")[0])
        self._known = self._values()

    def look(self) -> None:
        """See `Binding.look`."""
        before, self._known = self._known, self._values()
        self._tell(before)

    def _tell(self, before: dict[str, Any]) -> None:
        for path in [*self._known, *(path for path in before if path not in self._known)]:
            if self._ended:
                return
            old, new = before.get(path, MISSING), self._known.get(path, MISSING)
            if not same(old, new):
                self._session.guard(self._callback, _change(path, old, new))

    def _values(self) -> dict[str, Any]:
        """What is there now, by path."""
        if self._path == ANY:
            return dict(vars(self._session.model))
        if not self._holder:
            value = self.value_at(self._path)
            return {} if value is MISSING else {self._path: value}
        holder = self.value_at(self._holder)
        if isinstance(holder, dict):
            return {f"{self._holder}.{key}": value for key, value in holder.items()}
        if isinstance(holder, (list, tuple)):
            return {f"{self._holder}.{place}": value for place, value in enumerate(holder)}
        return {} if holder is MISSING else {f"{self._holder}.{name}": value for name, value in vars(holder).items()}

    def __repr__(self) -> str:
        return f"<Observer of model.{self._path}>"


def _change(path: str, old: Any, new: Any) -> Change:
    kind: Literal["changed", "added", "removed"] = "changed"
    if old is MISSING:
        old, kind = None, "added"
    elif new is MISSING:
        new, kind = None, "removed"
    return Change(path, old, new, kind)
