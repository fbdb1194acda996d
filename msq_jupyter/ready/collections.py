"""A number, a dict and a list that everybody may change at the same moment, and nothing is lost."""

from __future__ import annotations

from typing import Any

from msq_jupyter.ready.shared import Ready
from msq_jupyter.runtime.operation import operation


class SharedCounter(Ready):
    """A number: `session.model.add(1)`, `session.model.value`. Additions at the same moment all count.

    Options: `start`, the number it begins with, 0 unless given.
    """

    def defaults(self, options: Any) -> None:
        """Begin with the options."""
        self.value = (options or {}).get("start", 0)

    def to_save_data(self) -> dict[str, Any]:
        """What outlives the code."""
        return {"value": self.value}

    def from_save_data(self, data: Any) -> None:
        """Begin with what was saved."""
        self.value = data["value"]

    @operation
    def add(self, amount: Any = 1) -> None:
        """Add to it."""
        self.value += amount
        self.changed()

    @operation
    def reset(self, value: Any = 0) -> None:
        """Begin again with this number."""
        self.value = value
        self.changed()


class SharedDict(Ready):
    """A dict of JSON data by string keys: `session.model.set("speed", 3)`, `session.model.data["speed"]`.

    Changes of different keys never meet; of one key the later counts. A widget links to "data.speed".
    """

    def defaults(self, options: Any) -> None:
        """Begin with the options."""
        self.data = dict(options or {})

    def to_save_data(self) -> dict[str, Any]:
        """What outlives the code."""
        return {"data": self.data}

    def from_save_data(self, data: Any) -> None:
        """Begin with what was saved."""
        self.data = data["data"]

    @operation
    def set(self, key: str, value: Any) -> None:
        """Set a key."""
        self.data[key] = value
        self.changed()

    @operation
    def offer(self, key: str, value: Any) -> None:
        """Set a key that is not there yet; of several offers the first counts."""
        if key not in self.data:
            self.data[key] = value
            self.changed()

    @operation
    def update(self, items: dict[str, Any]) -> None:
        """Set several keys at the same moment."""
        self.data.update(items)
        self.changed()

    @operation
    def add(self, key: str, amount: Any = 1) -> None:
        """Add to the number under a key, 0 if there is none yet. Additions at the same moment all count."""
        self.data[key] = self.data.get(key, 0) + amount
        self.changed()

    @operation
    def append(self, key: str, item: Any) -> None:
        """Append to the list under a key, a new one if there is none yet."""
        self.data.setdefault(key, []).append(item)
        self.changed()

    @operation
    def remove(self, key: str) -> None:
        """Remove a key, if it is there."""
        if key in self.data:
            del self.data[key]
            self.changed()


class SharedList(Ready):
    """A list of JSON data: `session.model.append("milk")`, `session.model.values()`.

    Each item has an id of its own, so that a change means the item and not the place it had: `items` is a dict from id
    to item, in the order of the list. A widget links to "items.i3".
    """

    def defaults(self, options: Any) -> None:
        """Begin with the options."""
        self.items: dict[str, Any] = {}
        self.next_id = 1

    def to_save_data(self) -> dict[str, Any]:
        """What outlives the code."""
        return {"items": [[item_id, item] for item_id, item in self.items.items()], "next_id": self.next_id}

    def from_save_data(self, data: Any) -> None:
        """Begin with what was saved."""
        self.items = dict(data["items"])
        self.next_id = data["next_id"]

    def values(self) -> list[Any]:
        """The items in their order."""
        return list(self.items.values())

    @operation
    def append(self, item: Any) -> None:
        """Add an item at the end. Items added at the same moment are all there."""
        self.items[f"i{self.next_id}"] = item
        self.next_id += 1
        self.changed()

    @operation
    def replace(self, item_id: str, item: Any) -> None:
        """Put another item in the place of one, if that is still there."""
        if item_id in self.items:
            self.items[item_id] = item
            self.changed()

    @operation
    def remove(self, item_id: str) -> None:
        """Remove an item, if it is still there."""
        if item_id in self.items:
            del self.items[item_id]
            self.changed()

    @operation
    def move(self, item_id: str, before_id: str | None = None) -> None:
        """Move an item before another one, or to the end."""
        if item_id not in self.items or item_id == before_id:
            return
        moved = self.items.pop(item_id)
        items = {}
        for other_id, item in self.items.items():
            if other_id == before_id:
                items[item_id] = moved
            items[other_id] = item
        items.setdefault(item_id, moved)
        self.items = items
        self.changed()
