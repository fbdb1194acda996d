"""Two people, two browsers, two kernels, one notebook in JupyterLab: everything a user gets, in the order of a lesson.

One scenario in parts that build on each other, as a class of tests would have to start JupyterLab, two kernels and
the session again for each.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.browser.lab import JupyterServer, NotebookPage

pytestmark = pytest.mark.browser

LESSON = Path(__file__).parents[2] / "notebooks" / "01_shared_counter.ipynb"

EDITED_MODEL = """
class Counter(Model):
    def init(self, options, persisted=None):
        self.count = persisted["count"] if persisted else 0
        self.additions = persisted.get("additions", 0) if persisted else 0
        self.speed = 1
        self.subscribe("counter", "add", self.add)

    def add(self, amount):
        self.count += amount
        self.additions += 1
        self.save()

    def save(self):
        self.persist_session(lambda: {"version": 2, "count": self.count, "additions": self.additions})
""".strip()


@dataclass
class Person:
    """Somebody at work on the lesson."""

    notebook: NotebookPage

    @property
    def badge(self) -> Locator:
        return self.notebook.cell("join").get_by_test_id("msq-badge")

    @property
    def slider(self) -> Locator:
        return self.notebook.cell("widgets").locator(".noUi-handle").first

    @property
    def slider_readout(self) -> Locator:
        return self.notebook.cell("widgets").locator(".widget-readout")

    @property
    def plus(self) -> Locator:
        return self.notebook.cell("widgets").get_by_role("button", name="+ speed")

    @property
    def shown_count(self) -> Locator:
        return self.notebook.cell("widgets").locator("input[type=number]")

    def kernel_count(self) -> int:
        return int(self.notebook.evaluate("session.model.count"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    with JupyterServer("lab", tmp_path_factory.mktemp("lab")).running() as server:
        for name in ("ada", "ben"):
            (server.notebooks / name).mkdir()
            shutil.copy(LESSON, server.notebooks / name / LESSON.name)
        yield server


@pytest.fixture(scope="module")
def people(server: JupyterServer, browser: Browser) -> Iterator[tuple[Person, Person]]:
    ada = Person(NotebookPage(browser, server, f"ada/{LESSON.name}"))
    ben = Person(NotebookPage(browser, server, f"ben/{LESSON.name}"))
    yield ada, ben
    for person in (ada, ben):
        person.notebook.context.close()


@pytest.fixture(autouse=True)
def nobody_complains(people: tuple[Person, Person]) -> Iterator[None]:
    """No error on the console and none under a cell, in any part."""
    yield
    for person in people:
        assert person.notebook.complaints == []
        assert person.notebook.errors_in_cells() == []


def expect_same_count(people: tuple[Person, Person], count: int) -> None:
    for person in people:
        expect(person.shown_count).to_have_value(str(count))
        assert person.kernel_count() == count


def test_1_both_join_and_see_each_other(people, artifacts):
    for person in people:
        person.notebook.open()
        person.notebook.run_all()
    for person in people:
        expect(person.badge).to_have_attribute("data-state", "live")
        expect(person.badge).to_have_attribute("data-people", "2")
    expect_same_count(people, 20)
    people[0].badge.scroll_into_view_if_needed()
    people[0].notebook.screenshot(artifacts / "lab_joined.png")


def test_2_a_slider_moves_for_both(people):
    ada, ben = people
    ada.slider.focus()
    for _ in range(4):
        ada.slider.press("ArrowRight")
    expect(ben.slider_readout).to_have_text("5")
    ben.slider.focus()
    ben.slider.press("ArrowLeft")
    expect(ada.slider_readout).to_have_text("4")
    expect(ben.slider_readout).to_have_text("4")
    ada.slider.focus()
    ada.slider.press("Home")
    expect(ben.slider_readout).to_have_text("1")


def test_3_presses_at_the_same_moment_all_count(people):
    ada, ben = people
    before = ada.kernel_count()
    for _ in range(20):
        # Neither click waits for the other: both are on their way before an answer comes.
        ada.plus.evaluate("button => button.click()")
        ben.plus.evaluate("button => button.click()")
    expect_same_count(people, before + 40)


def test_4_data_outlives_an_edit_of_the_code_in_both_kernels(people, artifacts):
    ada, ben = people
    ada.notebook.evaluate("session")
    count = ada.kernel_count()
    old_id, persistent_id = (ada.notebook.evaluate(f"session.{name}") for name in ("id", "persistent_id"))
    ada.notebook.run_cell("versions")
    for person in people:
        person.notebook.set_source("model", EDITED_MODEL)
        for cell in ("model", "join", "widgets"):
            person.notebook.run_cell(cell)
        expect(person.badge).to_have_attribute("data-state", "live")
    for person in people:
        assert person.notebook.evaluate("session.id") not in ("", old_id)
        assert person.notebook.evaluate("session.persistent_id") == persistent_id
        assert person.notebook.evaluate("session.model.additions") == "0"
        expect(person.badge).to_have_attribute("data-people", "2")
    expect_same_count(people, count)
    ben.plus.click()
    expect_same_count(people, count + 1)
    assert ada.notebook.evaluate("session.model.additions") == "1"
    table = ada.notebook.run_cell("versions").locator("table")
    expect(table.locator("tbody tr").first).to_contain_text("v")
    heads = table.locator("th").all_inner_texts()
    schemas = table.locator(f"tbody tr td:nth-child({heads.index('schema') + 1})").all_inner_texts()
    assert schemas[0] == "2"
    assert schemas[-1] == "1"
    codes = table.locator("tbody tr td:nth-child(7)").all_inner_texts()
    assert len(set(codes)) == 2
    table.scroll_into_view_if_needed()
    ada.notebook.screenshot(artifacts / "lab_versions.png")


def test_5_a_kernel_restart_loses_nothing(people):
    ada, ben = people
    count = ben.kernel_count()
    ada.notebook.restart_kernel()
    for cell in ("load", "model", "join", "widgets"):
        ada.notebook.run_cell(cell)
    expect(ada.badge).to_have_attribute("data-state", "live")
    expect(ben.badge).to_have_attribute("data-people", "2")
    expect_same_count(people, count)
    ada.plus.click()
    expect_same_count(people, count + 1)


def test_5_a_browser_reload_loses_nothing(people):
    _, ben = people
    count = ben.kernel_count()
    ben.notebook.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save').then(() => null)")
    ben.notebook.open()
    expect(ben.badge).to_have_attribute("data-state", "live")
    expect_same_count(people, count)
    ben.plus.click()
    expect_same_count(people, count + 1)


def test_5_killing_the_synchronizer_loses_nothing_that_was_acknowledged(people, server):
    ada, ben = people
    count = ada.kernel_count() + 1
    ada.plus.click()
    expect_same_count(people, count)
    ada.notebook.wait_until("session.status.saved_state == 'saved'")
    first = server.kill_synchronizer(signal.SIGKILL)
    assert first is not None
    ada.plus.click()
    ben.plus.click()
    expect_same_count(people, count + 2)
    for person in people:
        expect(person.badge).to_have_attribute("data-state", "live")
        expect(person.badge).to_have_attribute("data-people", "2")
    ada.plus.click()
    expect_same_count(people, count + 3)


def test_6_a_busy_cell_keeps_the_session_and_catches_up(people, artifacts):
    ada, ben = people
    count = ada.kernel_count()
    ada.notebook.set_source(
        "publish",
        "import time\nend = time.monotonic() + 60\nwhile time.monotonic() < end:\n    sum(range(10_000))\n'awake'",
    )
    ada.notebook.start_cell("publish")
    expect(ada.notebook.cell("publish").locator(".jp-InputPrompt")).to_contain_text("*")
    for _ in range(5):
        ben.plus.click()
    expect(ben.shown_count).to_have_value(str(count + 5))
    expect(ada.badge.get_by_test_id("msq-state")).to_have_text("catching up when this cell ends")
    ada.badge.scroll_into_view_if_needed()
    ada.notebook.screenshot(artifacts / "lab_busy.png")
    expect(ada.notebook.output("publish")).to_contain_text("awake", timeout=120_000)
    expect_same_count(people, count + 5)
    expect(ada.badge.get_by_test_id("msq-state")).to_have_text("live")
    expect(ben.badge).to_have_attribute("data-people", "2")


@pytest.mark.parametrize(("theme", "width"), [("JupyterLab Dark", 1100), ("JupyterLab Light", 420)])
def test_7_it_looks_right_in_the_dark_and_narrow(people, artifacts, theme, width):
    ada, _ = people
    page = ada.notebook.page
    page.evaluate(
        "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme}).then(() => null)", theme
    )
    page.set_viewport_size({"width": width, "height": 1400})
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", str("Light" in theme).lower())
    expect(page.locator("#jupyterlab-splash")).to_have_count(0)  # it fades while themes change
    ada.badge.scroll_into_view_if_needed()
    expect(ada.badge).to_be_visible()
    ada.notebook.screenshot(artifacts / f"lab_{theme.split()[-1].lower()}_{width}.png")
