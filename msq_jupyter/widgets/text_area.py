"""A text area in which many type at the same moment, and nobody's letters are lost.

Three have the text: the page, this widget, the model. Each may be ahead of the next by what is on its way. The page
sends its whole text; the widget finds the edit in it, moves it past what others did that the page has not shown yet,
and sends the model one edit at a time, the next when the last has come back. Edits are moved as in
`msq_jupyter.ready.sequence`. So the page needs no algorithm (`js/src/textArea.ts`): it shows a text of ours only if
nothing was typed since, and now and then says which one that is. A page that is too far behind is forgotten, and begins
anew with our text when it is heard of again.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import uuid
from html import escape
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import traitlets
from msgspec import Meta, Struct

from msq_jupyter.errors import ArgumentError, MsqError
from msq_jupyter.ready.sequence import Edit, after, difference, transform
from msq_jupyter.ready.text import SharedText
from msq_jupyter.runtime.paths import MISSING
from msq_jupyter.widgets.bindings import Binding, require_path
from msq_jupyter.widgets.one_way import OneWayWidget, built
from msq_jupyter.widgets.panel_requests import Count

if TYPE_CHECKING:
    from msq_jupyter.widgets.session import Session

logger = logging.getLogger("msq_jupyter")

#: A page that lacks more edits than this is forgotten. One that is open says a hundred times as often what it shows.
MISSED_MAX = 10_000


class _Said(Struct, forbid_unknown_fields=True):
    """A message of a page.

    Attributes:
        page: its own random name.
        number: of what was typed there, counted up; goes back in `shown`.
        seen: the number of our text that it shows, and that was typed into.
        text: its whole text when somebody has typed; None when it only says what it shows.
    """

    page: Annotated[str, Meta(min_length=1, max_length=40)]
    number: Count
    seen: Count
    text: str | None = None


class _Page:
    """What one page shows.

    Attributes:
        since: the number of our text that it began with.
        text: the text it had when it last said so, or took one of ours.
        missed: what others did since, oldest first, each `(number of the text that first had it, edit)`.
        acknowledged: the number of its last message.
    """

    def __init__(self, since: int, text: str, acknowledged: int) -> None:
        self.since = since
        self.text = text
        self.missed: list[tuple[int, Edit]] = []
        self.acknowledged = acknowledged

    def catch_up(self, seen: int) -> None:
        """It shows our text of this number."""
        while self.missed and self.missed[0][0] <= seen:
            self.text = after(self.text, self.missed.pop(0)[1])


class TextArea(OneWayWidget):
    """Shows a `SharedText` of a session's model and lets everybody type into it.

        TextArea(session, "notes")

    Running its cell again replaces it; it ends when the text is removed from the model.

    Args:
        session: the session.
        path: the way to a `msq_jupyter.ready.SharedText` from the root model, such as "notes" or "documents.d1";
            without one, the root itself.
        description: a line above it.
        rows: its height in lines.

    Raises:
        ArgumentError: there is no `SharedText`.
        AuthorError: the path leads to nothing.
        SessionClosed: the session has been left.
    """

    _esm = built("textArea.js")
    _css = built("textArea.css")
    description = traitlets.Unicode().tag(sync=True)
    rows = traitlets.Int(8, min=1).tag(sync=True)
    disabled = traitlets.Bool(False).tag(sync=True)
    shown = traitlets.Dict({"number": 0, "text": "", "acknowledged": {}}).tag(sync=True)

    def __init__(self, session: Session, path: str = "", *, description: str = "", rows: int = 8) -> None:
        session.require_open()
        super().__init__(description=description, rows=rows)
        self._typing = _Typing(session, path, self)
        self.on_msg(lambda _widget, content, _buffers: self._typing.take(content))

    @property
    def text(self) -> str:
        """The text as it is shown here."""
        return self._typing.text

    def snapshot(self) -> tuple[str, str]:
        """The text, below its description."""
        title = f"{self.description}\n" if self.description else ""
        return f"{title}{self.text}", f"{escape(title)}<pre>{escape(self.text)}</pre>"

    def close(self) -> None:
        """End it."""
        self._typing.end()
        super().close()


class _Typing(Binding):
    """The text between pages and model; see the top of this module."""

    def __init__(self, session: Session, path: str, area: TextArea) -> None:
        super().__init__(session)
        self._path = path
        self._area = area
        self._lock = threading.RLock()
        self._pages: dict[str, _Page] = {}
        self._number = 0
        self._revision = 0
        self._ours: list[tuple[str, Edit]] = []  # what the model does not have yet; the first is on its way
        self._is_flying = False
        self._told = ""
        self.text = ""
        self.begin()

    @property
    def things(self) -> tuple[Any, ...]:
        """See `Binding.things`."""
        return type(self), id(self._area)

    def attach(self) -> None:
        """See `Binding.attach`."""
        if self._path:
            require_path(self._session, self._path)
        held = self._held()
        if held is MISSING:
            raise ArgumentError(
                f"TextArea: expected the path of a SharedText, and {self._path or 'the root'} is none: write "
                "self.notes = SharedText.create() in init, with from msq_jupyter.ready import SharedText"
            )
        with self._lock:
            self._begin(held)

    def detach(self) -> None:
        """See `Binding.detach`."""
        self._area.disabled = True

    def look(self) -> None:
        """See `Binding.look`."""
        held = self._held()
        if held is MISSING or self._session.link_state in ("closed", "failed"):
            self.end()
            return
        with self._lock:
            newer = held.revision - self._revision
            if 0 < newer <= len(held.recent):
                with contextlib.suppress(ValueError):  # they are of another text: it was restored meanwhile
                    for edit_id, edit in held.recent[-newer:]:
                        self._follow(edit_id, edit)
                self._revision = held.revision
            if not self._agrees(held):
                self._begin(held)  # restored, or left behind
            elif newer:
                self._send()
                self._show()

    def _held(self) -> Any:
        held = self.value_at(self._path) if self._path else self._session.model
        return held if isinstance(held, SharedText) else MISSING

    def _agrees(self, held: Any) -> bool:
        """Whether our text is the model's and what the model does not have yet."""
        text: str = held.text
        try:
            for _, own in self._ours:
                text = after(text, own)
        except ValueError:
            return False
        return self._revision == held.revision and self.text == text

    def _begin(self, held: Any) -> None:
        """Begin with the text of the model."""
        self._revision = held.revision
        self._ours = []
        self._is_flying = False
        text = held.text
        self._note_missed(difference(self.text, text))
        self.text = text
        self._show()

    def _follow(self, edit_id: str, edit: Edit) -> None:
        """Somebody's edit, the next one of the model."""
        if self._is_flying and edit_id == self._ours[0][0]:
            del self._ours[0]
            self._is_flying = False
            return
        for place, (own_id, own) in enumerate(self._ours):
            edit, own = transform(edit, own)
            self._ours[place] = own_id, own
        self.text = after(self.text, edit)
        self._note_missed(edit)

    def _note_missed(self, edit: Edit, typist: _Page | None = None) -> None:
        """No page has it yet, but the one where it was typed."""
        for name, page in list(self._pages.items()):
            if page is not typist:
                page.missed.append((self._number + 1, edit))
            if len(page.missed) > MISSED_MAX:
                del self._pages[name]

    def take(self, content: Any) -> None:
        """A page tells its text; on any thread."""
        try:
            said = msgspec.convert(content, _Said)
        except msgspec.ValidationError as error:
            logger.debug("a message of a page that is none: %s", error)
            return
        with self._lock:
            if self._ended:
                return
            page = self._pages.get(said.page)
            if page is None or (said.text is not None and said.seen < page.since):
                self._pages[said.page] = _Page(self._number + 1, self.text, said.number)
                self._show()
                return
            page.catch_up(said.seen)
            if said.text is None:
                return
            edit = difference(page.text, said.text)
            page.text, page.acknowledged = said.text, said.number
            for place, (number, missed) in enumerate(page.missed):
                missed, edit = transform(missed, edit)
                page.missed[place] = number, missed
            if any(type(part) is str or part < 0 for part in edit):
                self.text = after(self.text, edit)
                self._note_missed(edit, page)
                self._ours.append((uuid.uuid4().hex, edit))
                self._send()
            self._show()

    def _send(self) -> None:
        held = self._held()
        if not self._ours or self._is_flying or held is MISSING:
            return
        edit_id, edit = self._ours[0]
        try:
            held.edit(self._revision, edit, edit_id)
        except MsqError as error:  # a page has nobody to raise to; it shows the model's text again
            if str(error) != self._told:  # a read-only member may type on
                self._told = str(error)
                logger.warning("what was typed into %r was not shared: %s", self, error)
            self._begin(held)
        else:
            self._is_flying = True
            self._told = ""

    def _show(self) -> None:
        self._number += 1
        acknowledged = {name: page.acknowledged for name, page in self._pages.items()}
        self._area.shown = {"number": self._number, "text": self.text, "acknowledged": acknowledged}

    def __repr__(self) -> str:
        return f"<TextArea of model.{self._path}>"
