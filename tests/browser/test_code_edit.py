"""Two people in JupyterLab; one edits the model's cell, follows with a click, the other adopts it by running it, undo.

One scenario in parts that build on each other, as each would have to start JupyterLab and two kernels again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.lab import JupyterServer, NotebookPage
from tests.browser.test_two_people import EDITED_MODEL, LESSON, Person

pytestmark = pytest.mark.browser

BROKEN_MODEL = EDITED_MODEL.replace('persisted["count"] if persisted', 'persisted["amount"] if persisted')


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    with JupyterServer("lab", tmp_path_factory.mktemp("lab")).running() as server:
        for name in ("ada", "ben"):
            shutil.copy(LESSON, server.notebooks / f"{name}.ipynb")
        yield server


@pytest.fixture(scope="module")
def people(server: JupyterServer, browser: Browser) -> Iterator[list[Person]]:
    people = [Person(NotebookPage(browser, server, f"{name}.ipynb")) for name in ("ada", "ben")]
    for person in people:
        person.notebook.open()
        person.notebook.run_all()
        expect(person.badge).to_have_attribute("data-state", "live")
    yield people
    for person in people:
        assert person.notebook.complaints == []
        assert person.notebook.errors_in_cells() == []
        person.notebook.context.close()


def look(person: Person, artifacts: Path, name: str) -> None:
    person.notebook.cell("join").scroll_into_view_if_needed()
    person.notebook.screenshot(artifacts / f"code_edit_{name}.png")


def test_the_edited_cell_says_what_it_means_and_nothing_changes_yet(people: list[Person], artifacts: Path):
    ada, _ = people
    expect(ada.badge).to_have_attribute("data-people", "2")
    before = ada.notebook.evaluate("session.id")
    ada.notebook.set_source("model", BROKEN_MODEL)
    ada.notebook.run_cell("model")
    expect(ada.notebook.output("model")).to_contain_text("cannot be loaded: KeyError: 'amount'")
    expect(ada.badge.get_by_test_id("msq-edit")).to_have_attribute("data-edit", "refused")
    look(ada, artifacts, "refused")
    ada.notebook.set_source("model", EDITED_MODEL)
    ada.notebook.run_cell("model")
    expect(ada.notebook.output("model")).to_contain_text("the new code loads the data there is now and")
    expect(ada.badge.get_by_test_id("msq-edit")).to_have_attribute("data-edit", "ready")
    look(ada, artifacts, "ready")
    assert ada.notebook.evaluate("session.id") == before


def test_5_7_a_click_goes_on_with_the_data_and_the_links_still_work(people: list[Person], artifacts: Path):
    ada, ben = people
    count = ada.kernel_count()
    ada.badge.get_by_test_id("msq-follow").click()
    expect(ada.badge.get_by_test_id("msq-edit")).to_have_count(0)
    expect(ada.badge).to_have_attribute("data-state", "live")
    expect(ada.badge).to_have_attribute("data-people", "1")
    assert ada.kernel_count() == count
    ada.plus.click()
    expect(ada.shown_count).to_have_value(str(count + int(ada.notebook.evaluate("speed.value"))))
    ada.notebook.wait_until("session.model.additions == 1")
    ada.slider.focus()
    ada.notebook.page.keyboard.press("ArrowRight")
    ada.notebook.wait_until("session.model.speed == 2")
    ada.notebook.evaluate("session.publish('counter', 'add', 1)")
    ada.notebook.wait_until("session.model.additions == 2")
    assert ben.kernel_count() == count
    look(ada, artifacts, "followed")


def test_the_other_sees_who_has_newer_code_and_the_difference(people: list[Person], artifacts: Path):
    _, ben = people
    expect(ben.badge.get_by_test_id("msq-notice")).to_contain_text("runs newer code of this model")
    toggle = ben.badge.get_by_test_id("msq-toggle")
    toggle.focus()
    ben.notebook.page.keyboard.press("Enter")
    expect(toggle).to_have_attribute("aria-expanded", "true")
    expect(ben.badge.get_by_test_id("msq-details-people")).to_contain_text("newer code")
    ben.badge.get_by_test_id("msq-show-difference").click()
    expect(ben.badge.get_by_test_id("msq-difference")).to_contain_text("+        self.additions += 1")
    ben.badge.get_by_test_id("msq-invite").click()
    expect(ben.badge.get_by_test_id("msq-invitation")).to_contain_text("--password")
    expect(ben.badge.get_by_test_id("msq-invitation")).not_to_contain_text("tea")
    look(ben, artifacts, "difference")


def test_the_other_adopts_it_by_running_it(people: list[Person], artifacts: Path):
    ada, ben = people
    ben.notebook.set_source("model", EDITED_MODEL)
    ben.notebook.run_cell("model")
    ben.notebook.run_cell("join")
    for person in people:
        expect(person.badge).to_have_attribute("data-people", "2")
    assert ben.kernel_count() == ada.kernel_count()
    expect(ben.badge.get_by_test_id("msq-notice")).to_have_count(0)
    ben.plus.click()
    ada.notebook.wait_until("session.model.additions == 3")
    look(ben, artifacts, "adopted")


def test_5_7_undoing_brings_both_back_to_the_newest_data(people: list[Person], artifacts: Path):
    ada, ben = people
    ada.notebook.wait_until("session.status.saved_state == 'saved'")
    count = ada.kernel_count()
    source = next("".join(cell["source"]) for cell in json.loads(LESSON.read_text())["cells"] if cell["id"] == "model")
    for person in people:
        person.notebook.set_source("model", source)
        person.notebook.run_cell("model")
        person.badge.get_by_test_id("msq-follow").click()
        person.notebook.wait_until("not hasattr(session.model, 'additions') and session.is_live")
    for person in people:
        expect(person.badge).to_have_attribute("data-people", "2")
        assert person.kernel_count() == count
    for person in people:
        expect(person.badge.get_by_test_id("msq-notice")).to_have_count(0)
        expect(person.notebook.output("model")).to_contain_text("goes on with the edited Counter")
    ben.plus.click()
    ada.notebook.wait_until(f"session.model.count > {count}")
    look(ada, artifacts, "undone")
