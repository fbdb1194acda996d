"""A text that many may edit at the same moment."""

from __future__ import annotations

from typing import Any

from msq_jupyter.ready.sequence import Edit, after, checked, difference, replacement, transform
from msq_jupyter.ready.shared import Ready
from msq_jupyter.runtime.operation import operation

#: How many edits a newer one can be moved past. Who edits a text that is older reads it again first.
RECENT_MAX = 1000


class SharedText(Ready):
    """A text: `session.model.insert(0, "Hello")`, `session.model.text`.

    An edit says which revision of the text it was made for, and is moved past the edits that came between. So what one
    types stays, wherever others type or delete at the same moment.

    Options: `text`, what it begins with, "" unless given.

    Attributes:
        revision: how many edits there have been.
        recent: the last of them, oldest first, each `[edit_id, edit]` as it was executed.
    """

    def defaults(self, options: Any) -> None:
        """Begin with the options."""
        self._begin((options or {}).get("text", ""))

    def to_save_data(self) -> dict[str, Any]:
        """What outlives the code."""
        return {"text": self._text}

    def from_save_data(self, data: Any) -> None:
        """Begin with what was saved."""
        self._begin(data["text"])

    def _begin(self, text: str) -> None:
        self._text = text
        self.revision = 0
        self.recent: list[Any] = []

    @property
    def text(self) -> str:
        """The text as it is."""
        return self._text

    def insert(self, at: int, text: str) -> None:
        """Insert at a place of the text as it is read here."""
        self.replace(at, 0, text)

    def delete(self, at: int, count: int) -> None:
        """Delete characters from a place on of the text as it is read here."""
        self.replace(at, count, "")

    def replace(self, at: int, count: int, text: str) -> None:
        """Replace characters from a place on of the text as it is read here.

        Raises:
            ValueError: the text is not that long.
        """
        length = len(self._text)
        if at < 0 or count < 0 or at + count > length:
            raise ValueError(f"expected a part of {length} characters, got {count} from {at}")
        self.edit(self.revision, replacement(length, at, count, text))

    def rewrite(self, text: str) -> None:
        """Make it another text, by the smallest edit of the one that is read here."""
        self.edit(self.revision, difference(self._text, text))

    @operation
    def edit(self, revision: int, edit: Edit, edit_id: str = "") -> None:
        """Execute an edit; see `sequence` for what it looks like.

        Args:
            revision: the revision of the text it was made for. An edit for one that is older than `recent` is dropped.
            edit: the edit.
            edit_id: by which its author finds it in `recent`.
        """
        checked(edit)
        newer = self.revision - revision
        if newer < 0 or newer > len(self.recent):
            raise ValueError(f"expected an edit for one of the revisions up to {self.revision}, got {revision}")
        for _, earlier in self.recent[len(self.recent) - newer :]:
            edit = transform(earlier, edit)[1]
        self._text = after(self._text, edit)
        self.revision += 1
        self.recent.append([edit_id, edit])
        del self.recent[:-RECENT_MAX]
        self.changed()
