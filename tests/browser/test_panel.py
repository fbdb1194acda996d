"""The panel in JupyterLab, with two people: every tab, by keyboard, in the light and in the dark, narrow and wide.

One scenario in parts that build on each other, as in `test_two_people`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, expect

from tests.browser.lab import JupyterServer, NotebookPage

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "js" / "node_modules" / "axe-core" / "axe.min.js"

CELLS = {
    "load": "%load_ext msq_jupyter\nfrom msq_jupyter import Model, Session",
    "model": """
class Lesson(Model):
    def init(self, options, persisted=None):
        data = persisted or {"documents": {}, "votes": {"yes": 0, "no": 0}, "topics": ["trees", "graphs"]}
        self.documents, self.votes, self.topics = data["documents"], data["votes"], data["topics"]
        for event in ("write", "vote", "order"):
            self.subscribe("lesson", event, getattr(self, event))

    def write(self, document):
        self.documents[document["id"]] = document
        self.save()

    def vote(self, choice):
        self.votes[choice] += 1
        self.save()

    def order(self, topics):
        self.topics = topics
        self.save()

    def save(self):
        self.persist_session(
            lambda: {"version": 1, "documents": self.documents, "votes": self.votes, "topics": self.topics}
        )
""".strip(),
    "join": """
session = await Session.join(
    app_id="org.msq.lessons", name="trees-and-graphs", password="tea", model=Lesson, view_data={"name": "NAME"},
    persist_interval_ms=0,
)
session.panel()
""".strip(),
    "history": """
TEXT = (
    "A tree is a graph without circles: between any two of its nodes there is exactly one way. "
    "Take one edge away and it falls apart; add one, and there is a circle."
)
for event, data in [
    ("write", {"id": "d1", "title": "Trees", "text": TEXT, "tags": ["draft"]}),
    ("vote", "yes"), ("vote", "yes"), ("vote", "no"), ("vote", "yes"), ("vote", "yes"),
    ("write", {"id": "d2", "title": "Graphs", "text": "Nodes and edges.", "tags": []}),
    ("write", {"id": "d1", "title": "Trees", "text": TEXT.replace("exactly one way", "one path and no other"),
               "tags": ["draft"]}),
    ("order", ["graphs", "trees", "walks"]),
]:
    session.publish("lesson", event, data)
    await session.saved()
await session.pin(3)
""".strip(),
    "badge": "session",
}


def notebook_of(name: str) -> Any:
    cells = [nbformat.v4.new_code_cell(source.replace("NAME", name), id=cell_id) for cell_id, source in CELLS.items()]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return nbformat.v4.new_notebook(cells=cells, metadata=kernel)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    with JupyterServer("lab", tmp_path_factory.mktemp("lab")).running() as server:
        for name in ("Ada", "Ben"):
            nbformat.write(notebook_of(name), server.notebooks / f"{name}.ipynb")
        yield server


@pytest.fixture(scope="module")
def people(server: JupyterServer, browser: Browser) -> Iterator[tuple[NotebookPage, NotebookPage]]:
    people = NotebookPage(browser, server, "Ada.ipynb"), NotebookPage(browser, server, "Ben.ipynb")
    yield people
    for person in people:
        person.context.close()


@pytest.fixture(autouse=True)
def nobody_complains(people: tuple[NotebookPage, NotebookPage]) -> Iterator[None]:
    """No error on the console and none under a cell, in any part."""
    yield
    for person in people:
        assert person.complaints == []
        assert person.errors_in_cells() == []


def panel_of(person: NotebookPage) -> Locator:
    return person.cell("join").get_by_test_id("msq-panel")


def open_tab(person: NotebookPage, name: str) -> None:
    panel_of(person).get_by_role("tab", name=name).click()


def row_of(tree: Locator, text: str) -> Locator:
    """The row of a tree whose name begins with a text."""
    return tree.get_by_role("treeitem", name=re.compile(rf"^{re.escape(text)}(?!\w)"))


def open_row(row: Locator) -> None:
    if row.get_attribute("aria-expanded") == "false":
        row.click()
        expect(row).to_have_attribute("aria-expanded", "true")


def tab_to(target: Locator) -> None:
    """Press Tab until something has the focus."""
    for _ in range(100):
        if target.evaluate("target => target === document.activeElement"):
            return
        target.page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not come to {target}")


def until_restored(people: tuple[NotebookPage, NotebookPage], words: str) -> None:
    """Wait until everybody's replica has come so far: one of them knows before the other."""
    for person in people:
        expect(panel_of(person).get_by_test_id("msq-panel-saved")).to_contain_text(words)


def found_by_axe(person: NotebookPage, part: str = ".msq-panel") -> list[str]:
    """What axe-core finds wrong in a part of the page."""
    page = person.page
    assert AXE.is_file(), "axe-core is not here: run `npm ci` in js/"
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    return page.evaluate(
        """async part => {
            const {violations} = await window.axe.run(part, {resultTypes: ['violations']});
            return violations.map(({id, help, nodes}) => `${id}: ${help}: ${nodes.map(n => n.html).join(' | ')}`);
        }""",
        part,
    )


def test_1_both_see_the_panel(people):
    for person in people:
        person.open()
    ada, ben = people
    for cell in ("load", "model", "join"):
        ada.run_cell(cell)
        ben.run_cell(cell)
    ada.run_cell("history")
    for person in people:
        expect(panel_of(person)).to_have_attribute("data-state", "live")
        expect(panel_of(person).get_by_test_id("msq-panel-saved")).to_contain_text("by Ada")
        expect(panel_of(person).get_by_role("group", name="2 people")).to_be_visible()


def test_2_the_live_model_is_a_tree_that_follows(people):
    ada, ben = people
    tree = panel_of(ada).get_by_test_id("msq-panel-tree")
    expect(tree.get_by_role("treeitem").first).to_contain_text("session.model")
    tree.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        tree.press(key)
    expect(row_of(tree, '"yes"')).to_contain_text("4")
    ben.evaluate("session.publish('lesson', 'vote', 'yes')")
    expect(row_of(tree, '"yes"')).to_contain_text("5")
    panel_of(ada).get_by_test_id("msq-panel-search").fill("exactly")
    expect(tree.get_by_role("treeitem")).to_have_count(0)
    panel_of(ada).get_by_test_id("msq-panel-search").fill("no other")
    expect(tree.get_by_role("treeitem")).to_have_count(1)
    expect(tree.get_by_role("treeitem")).to_contain_text('documents["d1"]["text"]')
    panel_of(ada).get_by_test_id("msq-panel-search").fill("")
    expect(row_of(tree, "votes")).to_be_visible()


def test_3_the_keyboard_walks_the_versions_and_restores_one(people):
    ada, _ = people
    panel = panel_of(ada)
    panel.get_by_role("tab", name="Inspect").focus()
    press = ada.page.keyboard.press
    press("ArrowRight")
    tree = panel.get_by_test_id("msq-panel-versions")
    expect(row_of(tree, "v10")).to_be_visible()
    tab_to(tree)
    press("Home")
    press("ArrowDown")
    details = panel.get_by_test_id("msq-panel-details")
    expect(details).to_contain_text("v10")
    details.get_by_test_id("msq-panel-label").fill("Before the lesson")
    press("Enter")
    expect(panel.get_by_test_id("msq-panel-done")).to_contain_text("v10 is named Before the lesson")
    expect(row_of(tree, "v10")).to_contain_text("Before the lesson")
    tree.focus()
    expect(details).to_contain_text("votes.yes")
    press("ArrowDown")  # automatic ones, folded
    press("ArrowRight")
    expect(row_of(tree, "v9")).to_be_visible()
    for _ in range(8):
        press("ArrowDown")
    expect(details).to_contain_text("v2")
    press("Enter")
    expect(panel.get_by_test_id("msq-panel-plan-text")).to_contain_text("for you and 1 other person")
    button = panel.get_by_test_id("msq-panel-restore")
    tab_to(button)
    press("Enter")
    expect(panel.get_by_test_id("msq-panel-confirm")).to_be_focused()
    press("Enter")
    expect(panel.get_by_test_id("msq-panel-done")).to_contain_text("v2 is restored")
    until_restored(people, "by Ada · v11")
    for person in people:
        assert person.evaluate("session.model.votes == {'yes': 1, 'no': 0}") == "True"


def test_3_one_place_of_a_version_is_restored_and_the_rest_stays(people):
    _, ben = people
    open_tab(ben, "Restore")
    panel = panel_of(ben)
    panel.get_by_test_id("msq-panel-restore-number").fill("v9")
    panel.get_by_test_id("msq-panel-restore-number").press("Enter")
    panel.get_by_test_id("msq-panel-place").select_option("topics")
    expect(panel.get_by_test_id("msq-panel-plan-text")).to_have_text("3 changes for you and 1 other person.")
    panel.get_by_test_id("msq-panel-restore").click()
    panel.get_by_test_id("msq-panel-confirm").click()
    expect(panel.get_by_test_id("msq-panel-done")).to_contain_text("topics is restored from v9")
    until_restored(people, "by Ben · v12")
    for person in people:
        assert person.evaluate("list(session.model.topics)") == "['graphs', 'trees', 'walks']"
        assert person.evaluate("session.model.votes['yes']") == "1"


def test_4_the_dry_run_checks_the_code_in_the_notebook(people):
    ada, _ = people
    open_tab(ada, "Check")
    panel = panel_of(ada)
    panel.get_by_test_id("msq-panel-check").click()
    expect(panel.get_by_test_id("msq-panel-checked")).to_contain_text("Lesson loads all")


def test_5_a_reload_shows_the_same_again(people):
    _, ben = people
    ben.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save').then(() => null)")
    ben.open()
    panel = panel_of(ben)
    expect(panel).to_have_attribute("data-state", "live")
    expect(row_of(panel.get_by_test_id("msq-panel-tree"), "votes")).to_be_visible()
    open_tab(ben, "Versions")
    expect(row_of(panel.get_by_test_id("msq-panel-versions"), "v12")).to_be_visible()


def test_5_the_badge_opens_a_panel_by_keyboard_and_one_only(people, artifacts):
    ada, _ = people
    ada.run_cell("badge")
    cell = ada.cell("badge")
    button, panel = cell.get_by_test_id("msq-open-panel"), cell.get_by_test_id("msq-panel")
    button.focus()
    for key, count in (("Enter", 1), ("Space", 0), ("Enter", 1)):
        ada.page.keyboard.press(key)
        expect(panel).to_have_count(count)
    expect(button).to_have_attribute("aria-expanded", "true")
    cell.get_by_test_id("msq-toggle").click()
    expect(row_of(panel.get_by_test_id("msq-panel-tree"), "votes")).to_be_visible()
    tab_to(panel.get_by_role("tab", name="Inspect"))
    ada.page.keyboard.press("ArrowRight")
    expect(row_of(panel.get_by_test_id("msq-panel-versions"), "v12")).to_be_visible()
    assert found_by_axe(ada, ".msq-badge") == []
    for width in ("280px", "100%"):
        ada.evaluate(f"setattr(session.badge().layout, 'width', '{width}')")
        expect(cell.get_by_test_id("msq-badge")).to_be_visible()
        cell.scroll_into_view_if_needed()
        ada.screenshot(artifacts / f"badge_panel_{width.rstrip('%px')}.png")
    ada.run_cell("badge")
    expect(panel).to_have_count(0)


def test_5_two_browsers_on_one_kernel_each_look_at_their_own(people, server, browser):
    _, ben = people
    other = NotebookPage(browser, server, "Ben.ipynb")
    other.open()
    expect(row_of(panel_of(other).get_by_test_id("msq-panel-tree"), "votes")).to_be_visible()
    panel_of(other).get_by_test_id("msq-panel-search").fill("no other")
    expect(panel_of(other).get_by_test_id("msq-panel-tree").get_by_role("treeitem")).to_have_count(0)
    expect(row_of(panel_of(ben).get_by_test_id("msq-panel-versions"), "v12")).to_be_visible()
    ben.evaluate("session.publish('lesson', 'vote', 'no')")
    for person in (ben, other):
        expect(panel_of(person).get_by_test_id("msq-panel-saved")).to_contain_text("by Ben · v13")
    assert other.complaints == []
    other.context.close()


#: The pictures that the documentation shows are made anew by a run with `MSQ_DOCS_IMAGES=1`.
TABS = ("inspect", "versions", "compare", "restore", "check", "log")
DOCS_IMAGES = Path(__file__).parents[2] / "docs" / "images"
IN_THE_DOCS = {
    **{f"{tab}_{theme}_100": f"{tab}-{theme}" for tab in TABS for theme in ("light", "dark")},
    "versions_light_280": "versions-narrow",
}


def keep_small(picture: Path, to: Path) -> None:
    """Keep a screenshot in 128 colours, the rare ones among them: a sign of one colour is a few pixels."""
    with Image.open(picture) as image:
        image.convert("RGB").quantize(128, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(to, optimize=True)


#: What to wait for in each tab before it is looked at.
READY = {
    "Inspect": lambda panel: (
        open_row(row_of(panel, "documents")),
        open_row(row_of(panel, '"d1"')),
        expect(row_of(panel, '"text"')).to_be_visible(),
    ),
    "Versions": lambda panel: (
        open_row(panel.get_by_role("treeitem", name="automatic versions")),
        row_of(panel, "v8").click(),
        expect(panel.get_by_test_id("msq-panel-details").get_by_role("listitem").first).to_be_visible(),
    ),
    "Compare": lambda panel: (
        panel.get_by_test_id("msq-panel-from").fill("1"),
        panel.get_by_test_id("msq-panel-from").press("Enter"),
        panel.get_by_test_id("msq-panel-to").fill("9"),
        panel.get_by_test_id("msq-panel-to").press("Enter"),
        expect(panel.get_by_role("listitem").first).to_be_visible(),
    ),
    "Restore": lambda panel: (
        panel.get_by_test_id("msq-panel-restore-number").fill("9"),
        panel.get_by_test_id("msq-panel-restore-number").press("Enter"),
        expect(panel.get_by_role("listitem").first).to_be_visible(),
    ),
    "Check": lambda panel: expect(panel.get_by_role("row").nth(3)).to_be_visible(),
    "Log": lambda panel: expect(panel.get_by_role("listitem").first).to_be_visible(),
}


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast"])
@pytest.mark.parametrize("width", ["280px", "100%"])
def test_6_every_tab_is_accessible_and_looks_right(people, artifacts, theme, width):
    ada, _ = people
    page = ada.page
    page.evaluate(
        "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme}).then(() => null)", theme
    )
    expect(page.locator("body")).to_have_attribute("data-jp-theme-name", theme)
    expect(page.locator("#jupyterlab-splash")).to_have_count(0)  # it fades while themes change
    ada.evaluate(f"setattr(session.panel().layout, 'width', '{width}')")
    panel = panel_of(ada)
    expect(panel).to_have_css("width", "280px") if width == "280px" else expect(panel).not_to_have_css("width", "280px")
    panel.scroll_into_view_if_needed()
    found = []
    for name in panel.get_by_role("tab").all_inner_texts():
        open_tab(ada, name)
        READY[name](panel)
        found += [f"{name}: {violation}" for violation in found_by_axe(ada)]
        page.mouse.move(0, 0)
        kind = f"{name}_{theme.removeprefix('JupyterLab ').replace(' ', '_')}_{width.rstrip('%px')}".lower()
        picture = artifacts / f"panel_{kind}.png"
        panel.screenshot(path=picture)
        if kind in IN_THE_DOCS and os.environ.get("MSQ_DOCS_IMAGES"):
            keep_small(picture, DOCS_IMAGES / f"panel-{IN_THE_DOCS[kind]}.png")
    assert found == []
