"""The text area: what several people type at the same moment is all there, wherever each is behind."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from msq_jupyter import Session, protocol
from msq_jupyter.errors import ArgumentError, AuthorError
from msq_jupyter.ready import SharedText
from msq_jupyter.widgets.text_area import TextArea
from tests.conftest import Join, SynchronizerThread, joining
from tests.waiting import until
from tests.widgets.models import Studio

CONTRACT = Path(__file__).parents[2] / "js" / "src" / "traits.ts"


class Page:
    """What the script in the browser does, with a line to the kernel that may be slow.

    Args:
        area: the widget it shows.
    """

    def __init__(self, area: TextArea, name: str) -> None:
        self.area, self.name = area, name
        self.sent, self.seen, self.told = 1, 0, 0
        self.text = ""
        self.coming: list[dict[str, Any]] = []
        self.going: list[dict[str, Any]] = [{"page": name, "number": 1, "seen": 0}]
        area.observe(lambda change: self.coming.append(change["new"]), "shown")

    def type(self, at: int, removed: int, text: str) -> None:
        self.text = self.text[:at] + text + self.text[at + removed :]
        self.sent += 1
        self.going.append({"page": self.name, "number": self.sent, "seen": self.seen, "text": self.text})

    def deliver(self) -> None:
        going, self.going = self.going, []
        for message in going:
            self.area._handle_custom_msg(message, [])
        coming, self.coming = self.coming, []
        for shown in coming:
            heard = shown["acknowledged"].get(self.name)
            if heard in (None, self.sent):
                self.seen, self.text = shown["number"], shown["text"]
            if heard is None or (heard == self.sent and self.seen - self.told >= 100):
                self.told = self.seen
                self.going.append({"page": self.name, "number": self.sent, "seen": self.seen})


@pytest.fixture
async def join(synchronizer: SynchronizerThread) -> AsyncIterator[Join]:
    async with joining(synchronizer, Session, model=Studio, name="area", password="pw") as join:
        yield join


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_is_lost_whoever_is_behind(join, seed):
    dice = random.Random(seed)
    ada, ben = await join(), await join()
    areas = [TextArea(ada, "notes"), TextArea(ben, "notes")]
    pages = [Page(areas[0], "a"), Page(areas[1], "b"), Page(areas[1], "c")]
    for page in pages:
        page.deliver()
    words: dict[str, list[str]] = {page.name: [] for page in pages}
    character = 0x4E00
    for _ in range(60):
        page = dice.choice(pages)
        word = chr(character) + chr(character + 1)
        character += 2
        page.type(dice.randint(0, len(page.text)), 0, word)
        words[page.name].append(word)
        if dice.random() < 0.5:
            dice.choice(pages).deliver()
        if dice.random() < 0.4:
            await asyncio.sleep(0)

    def agree() -> bool:
        for page in pages:
            page.deliver()
        return {page.text for page in pages} == {ada.model.notes.text} and ada.model.notes.text == ben.model.notes.text

    await until(lambda: agree() and len(ada.model.notes.text) == 120)
    text = ada.model.notes.text
    for word in (word for typed in words.values() for word in typed):
        assert text.count(word[0]) == text.count(word[1]) == 1, (seed, word)
        assert text.index(word[0]) < text.index(word[1]), (seed, word)


async def test_what_one_removes_while_another_types_is_removed_and_the_rest_stays(join):
    ada, ben = await join(), await join()
    ada.model.notes.insert(0, "The old house")
    await ada.synced()
    await ben.synced()
    pages = [Page(TextArea(ada, "notes"), "a"), Page(TextArea(ben, "notes"), "b")]
    for page in pages:
        page.deliver()
    assert pages[0].text == "The old house"
    pages[0].type(4, 4, "")
    pages[1].type(13, 0, " burns")
    for page in pages:
        page.deliver()
    await until(lambda: ada.model.notes.text == ben.model.notes.text == "The house burns")
    for page in pages:
        page.deliver()
        assert page.text == "The house burns"


async def test_what_cannot_be_sent_is_taken_back_and_said_and_typing_goes_on(join, caplog):
    ada = await join()
    page = Page(TextArea(ada, "notes"), "a")
    page.deliver()
    for _ in range(2):
        page.type(0, 0, "x" * protocol.EVENT_BYTES_MAX)
        page.deliver()
        assert page.text == page.area.text == ""
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert [record.getMessage().partition(": ")[0] for record in warnings] == [
        "what was typed into <TextArea of model.notes> was not shared"
    ], "once, however often"
    page.type(0, 0, "short")
    page.deliver()
    await until(lambda: ada.model.notes.text == "short")


class Rewritten(Studio):
    """Its text can become one of before at any moment, as by restoring."""

    def init(self, options, persisted=None):
        super().init(options, persisted)
        self.subscribe("rewritten", "begin", self.begin)

    def begin(self, text):
        self.notes = SharedText.create({"text": text})


@pytest.mark.parametrize("edits", [0, 3])
async def test_it_goes_on_with_a_text_that_was_restored_while_somebody_typed(synchronizer, edits):
    """The restored text has as many revisions as the one before, or more, and none of them is for the one before."""
    joined = await Session.join(
        app_id="test", name="rewritten", password="pw", model=Rewritten, synchronizer=synchronizer.url
    )
    async with joined as ada:
        page = Page(TextArea(ada, "notes"), "a")
        page.deliver()
        look, ada.bindings.look = ada.bindings.look, lambda: None
        ada.frame_hooks[ada.frame_hooks.index(look)] = lambda: ada.bindings.look()
        ada.publish("rewritten", "begin", "The old house")
        await ada.synced()
        page.type(0, 0, "word")
        page.deliver()
        for _ in range(edits):
            ada.model.notes.insert(0, "x")
        await ada.synced()
        ada.bindings.look = look
        await until(lambda: page.area.text == ada.model.notes.text == "x" * edits + "The old house")
        page.deliver()
        page.type(0, 0, "!")
        page.deliver()
        await until(lambda: ada.model.notes.text == "!" + "x" * edits + "The old house")


async def test_what_a_page_has_seen_is_not_kept_even_if_nobody_types_there(join):
    ada = await join()
    area = TextArea(ada, "notes")
    typing, reading = Page(area, "a"), Page(area, "b")
    for _ in range(350):
        typing.deliver()
        reading.deliver()
        typing.type(0, 0, "x")
    typing.deliver()
    reading.deliver()
    assert reading.text == area.text == "x" * 350
    assert [len(page.missed) < 110 for page in area._typing._pages.values()] == [True, True]


async def test_a_page_that_is_gone_is_forgotten_and_begins_anew_if_it_comes_again(join, monkeypatch):
    monkeypatch.setattr("msq_jupyter.widgets.text_area.MISSED_MAX", 10)
    ada = await join()
    area = TextArea(ada, "notes")
    typing, away = Page(area, "a"), Page(area, "b")
    for _ in range(20):
        typing.deliver()
        typing.type(0, 0, "x")
    typing.deliver()
    away.deliver()
    away.deliver()
    typing.type(0, 0, "x")
    typing.deliver()
    away.type(0, 0, "never seen here")
    for _ in range(12):
        typing.type(0, 0, "x")
        typing.deliver()
    assert list(area._typing._pages) == ["a"]
    away.type(0, 0, "and more: ")
    away.deliver()
    typing.deliver()
    assert away.text == typing.text == area.text == "x" * 33, "what others wrote is all there"
    away.deliver()
    away.type(33, 0, "!")
    away.deliver()
    await until(lambda: ada.model.notes.text == "x" * 33 + "!")


async def test_a_message_of_a_page_that_is_none_changes_nothing(join):
    ada = await join()
    area = TextArea(ada, "notes")
    before = area.shown
    good = {"page": "a", "number": 1, "seen": 0}
    for bad in (None, {}, {**good, "page": ""}, {**good, "number": "1"}, {**good, "text": 5}, {**good, "more": 1}):
        area._handle_custom_msg(bad, [])
    assert area.shown == before
    assert not area._typing._pages


async def test_it_shows_what_cells_write_and_ends_with_its_text(join):
    ada = await join()
    area = TextArea(ada, "notes", description="notes")
    ada.model.notes.rewrite("one 😀 two")
    await until(lambda: area.shown["text"] == area.text == "one 😀 two")
    page = Page(area, "a")
    page.deliver()
    page.type(6, 0, "and ")
    page.deliver()
    await until(lambda: ada.model.notes.text == "one 😀 and two")
    await ada.leave()
    assert area.disabled
    assert not area._typing._session.bindings


async def test_a_browser_can_neither_set_it_nor_its_code_and_readers_without_a_kernel_see_the_text(join):
    ada = await join()
    ada.model.notes.insert(0, "1 < 2")
    await ada.synced()
    area = TextArea(ada, "notes", description="<sums>")
    area.set_state({"_esm": "alert(1)", "shown": {"number": 99, "text": "gone", "acknowledged": {}}})
    assert area._esm != "alert(1)"
    assert area.shown["text"] == area.text == "1 < 2"
    data, _ = area._repr_mimebundle_()
    assert data["text/plain"] == "<sums>\n1 < 2"
    assert data["text/html"] == "&lt;sums&gt;\n<pre>1 &lt; 2</pre>"


@pytest.mark.skipif(not CONTRACT.is_file(), reason="the browser sources are not here: an installed package")
def test_the_browser_knows_the_same_traits():
    interface = re.search(r"interface TextAreaTraits \{(.*?)\n\}", CONTRACT.read_text(encoding="utf-8"), re.DOTALL)
    assert interface is not None
    own = {name for name in TextArea.class_own_traits(sync=True) if not name.startswith("_")}
    assert set(re.findall(r"^  readonly (\w+):", interface[1], re.MULTILINE)) == own


async def test_it_says_what_it_needs(join):
    ada = await join()
    with pytest.raises(ArgumentError, match=r"path of a SharedText, and speed is none: write self.notes = SharedText"):
        TextArea(ada, "speed")
    with pytest.raises(AuthorError, match="nots: Studio has no 'nots'"):
        TextArea(ada, "nots")
