"""What follows a session in one kernel: links, observers and live cells, and how they go on with edited code.

All of them look at the model on the main loop, after each step of the session.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from msq_jupyter.errors import AuthorError
from msq_jupyter.runtime.paths import MISSING, look_up, split
from msq_jupyter.session import cells

if TYPE_CHECKING:
    from msq_jupyter.widgets.session import Session

logger = logging.getLogger("msq_jupyter")


class Binding(ABC):
    """Something that follows a session. It belongs to the cell that made it; see `session.cells`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._ended = False
        self._cells = cells.current()

    def begin(self) -> None:
        """Follow the session from now on; a binding of the same things ends."""
        self.attach()
        for other in list(self._session.bindings):
            if other is not self and other.things and other.things == self.things:
                other.end()
        self._session.bindings.add(self)
        if self._cells is not None:
            self._cells.note(self.end)

    def end(self) -> None:
        """Follow it no longer; a second time does nothing."""
        if not self._ended:
            self._ended = True
            self._session.bindings.remove(self)
            if self._cells is not None:
                self._cells.drop(self.end)
            self.detach()

    @property
    def things(self) -> tuple[Any, ...]:
        """What is bound: no two bindings of one session have the same; () where that is no matter."""
        return ()

    @abstractmethod
    def attach(self) -> None:
        """Follow the session's model from now on, which may be another one than before.

        Raises:
            AuthorError: the model does not have what is bound.
        """

    @abstractmethod
    def look(self) -> None:
        """The session may have moved; on the main loop."""

    def detach(self) -> None:  # noqa: B027  # most have nothing to do
        """Give back what was taken outside of the session."""

    def value_at(self, path: str) -> Any:
        """What a path from the root model leads to, or `MISSING`."""
        return look_up(self._session.model, split(path))


class Bindings:
    """All bindings of one session.

    Args:
        session: the session.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._bindings: list[Binding] = []
        session.frame_hooks.append(self.look)

    def __iter__(self) -> Iterator[Binding]:
        return iter(self._bindings)

    def __len__(self) -> int:
        return len(self._bindings)

    def add(self, binding: Binding) -> None:
        """Let a binding follow the session."""
        self._bindings.append(binding)

    def remove(self, binding: Binding) -> None:
        """Let it follow no longer."""
        if binding in self._bindings:
            self._bindings.remove(binding)

    def look(self) -> None:
        """Let every binding look; on the main loop."""
        for binding in list(self._bindings):
            self._session.guard(binding.look)

    def reattach(self) -> list[str]:
        """Let everything follow the model that the session has now, of edited code.

        Returns:
            A sentence for each binding that has ended, because that model does not have what was bound.
        """
        lost = []
        for binding in list(self._bindings):
            try:
                binding.attach()
            except AuthorError as error:
                lost.append(f"{binding!r} has ended: {error}")
                logger.warning("%s", lost[-1])
                binding.end()
        return lost


def require_path(session: Session, path: str) -> None:
    """Let a path pass that leads to something.

    Raises:
        ArgumentError: not a path.
        AuthorError: it leads to nothing; names what is there.
    """
    steps = split(path)
    for count in range(1, len(steps) + 1):
        if look_up(session.model, steps[:count]) is MISSING:
            kind = type(session.model).__name__
            before = ".".join([kind, *steps[: count - 1]])
            holder = look_up(session.model, steps[: count - 1])
            shown = ", ".join(map(str, holder if isinstance(holder, dict) else getattr(holder, "__dict__", ())))
            raise AuthorError(f"{path}: {before} has no {steps[count - 1]!r}; it has {shown or 'nothing'}")
