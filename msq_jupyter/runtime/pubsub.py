"""Topics and who listens: one table for a replica's models, one for a kernel's views.

A topic is a scope and an event; `"*"` stands for any in either part. For one publication, subscribers with a wildcard
come first, then those of the exact topic, each group in the order of subscribing.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from msq_jupyter.errors import SubscriptionError

H = TypeVar("H")

ANY = "*"

#: Of how many topics a table remembers who hears them. A session may make up topics without end.
_REMEMBERED_MAX = 1024


@dataclass(eq=False, slots=True)
class Subscription(Generic[H]):
    """One handler on one topic.

    Attributes:
        owner_id: the model's or view's id.
        order: grows with each subscribing.
        is_live: False from the moment it is unsubscribed.
    """

    scope: str
    event: str
    owner_id: str
    handler: H
    order: int
    is_live: bool = True


class _Hearers(dict[tuple[str, str], list[Subscription[H]]]):
    """Who hears a topic, in order, looked up when first asked for. Neither these lists nor what is in here changes.

    A publication costs one look into a dict. A change of the table leaves these memories to whoever had them before,
    on whatever thread.
    """

    def __init__(self, find: Callable[[str, str], list[Subscription[H]]]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, topic: tuple[str, str]) -> list[Subscription[H]]:
        check_topic(*topic)
        if len(self) >= _REMEMBERED_MAX:
            self.clear()
        found = self[topic] = self._find(*topic)
        return found


class TopicTable(Generic[H]):
    """Subscriptions by topic. Iteration is in the order of subscribing.

    Attributes:
        hearers: who hears a publication on `(scope, event)`, in order; raises SubscriptionError for what is no topic.
            A later change of the table does not change the list.
    """

    def __init__(self) -> None:
        self._topics: dict[tuple[str, str], dict[int, Subscription[H]]] = {}
        self._next_order = 1
        self._count = 0
        self._forget_hearers()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Subscription[H]]:
        # Copies: a publisher on another thread may look while the replica changes the table.
        everything = [entry for topic in list(self._topics.values()) for entry in list(topic.values())]
        return iter(sorted(everything, key=lambda entry: entry.order))

    def add(self, scope: str, event: str, owner_id: str, handler: H) -> Subscription[H]:
        """Subscribe `handler`; the topic must have passed `check_topic`."""
        entry = Subscription(scope, event, owner_id, handler, self._next_order)
        self._next_order += 1
        self._topics.setdefault((scope, event), {})[entry.order] = entry
        self._count += 1
        self._forget_hearers()
        return entry

    def find(self, scope: str, event: str, owner_id: str, handler: H | None = None) -> list[Subscription[H]]:
        """The subscriptions of an owner on exactly this topic, all or those of one handler."""
        entries = self._topics.get((scope, event), {}).values()
        return [e for e in entries if e.owner_id == owner_id and (handler is None or e.handler == handler)]

    def owned_by(self, owner_id: str) -> list[Subscription[H]]:
        """Every subscription of an owner, wildcards too."""
        return [entry for entry in self if entry.owner_id == owner_id]

    def discard(self, entry: Subscription[H]) -> None:
        """Unsubscribe; nothing happens when it is gone already."""
        if not entry.is_live:
            return
        entry.is_live = False
        self._count -= 1
        topic = self._topics[entry.scope, entry.event]
        del topic[entry.order]
        if not topic:
            del self._topics[entry.scope, entry.event]
        self._forget_hearers()

    def _forget_hearers(self) -> None:
        self.hearers = _Hearers(self._find_hearers)

    def _find_hearers(self, scope: str, event: str) -> list[Subscription[H]]:
        topics = self._topics
        wild: list[Subscription[H]] = []
        for topic in ((ANY, ANY), (scope, ANY), (ANY, event)):
            if topic in topics:
                wild.extend(topics[topic].values())
        wild.sort(key=lambda entry: entry.order)
        exact = topics.get((scope, event))
        return [*wild, *exact.values()] if exact else wild

    def nearest(self, scope: str, event: str) -> str | None:
        """The subscribed topic that looks most like this one, written `scope:event`, or None."""
        names = [f"{entry.scope}:{entry.event}" for entry in list(self)]
        close = difflib.get_close_matches(f"{scope}:{event}", names, n=1, cutoff=0.4)
        return close[0] if close else None


def check_name(what: str, name: object) -> None:
    """Let a name pass that a snapshot and the wire can carry.

    Raises:
        SubscriptionError: no string, an empty one, or one with half a surrogate pair in it.
    """
    if not isinstance(name, str) or not name or not (name.isascii() or _is_text(name)):
        raise SubscriptionError(f"{what}: expected a non-empty string without half characters, got {name!r:.80}")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_topic(scope: str, event: str) -> None:
    """Let a topic pass.

    Raises:
        SubscriptionError: a part is no string or empty, or the scope has a ":" in it.
    """
    check_name("scope", scope)
    check_name("event", event)
    if ":" in scope:
        raise SubscriptionError(f'scope: "{scope}" has a ":" in it, which separates scope and event: use another sign')
