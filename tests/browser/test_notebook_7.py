"""The same lesson in Notebook 7."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.lab import JupyterServer, NotebookPage

pytestmark = pytest.mark.browser

LESSON = Path(__file__).parents[2] / "notebooks" / "01_shared_counter.ipynb"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    with JupyterServer("notebook", tmp_path_factory.mktemp("notebook")).running() as server:
        for name in ("ada", "ben"):
            shutil.copy(LESSON, server.notebooks / f"{name}.ipynb")
        yield server


def test_the_lesson_is_live_for_two_people(server: JupyterServer, browser: Browser, artifacts: Path):
    people = [NotebookPage(browser, server, f"{name}.ipynb") for name in ("ada", "ben")]
    for person in people:
        person.open()
        person.run_all()
    ada, ben = people
    for person in people:
        badge = person.cell("join").get_by_test_id("msq-badge")
        expect(badge).to_have_attribute("data-state", "live")
        expect(badge).to_have_attribute("data-people", "2")
    before = int(ada.evaluate("session.model.count"))
    ben.cell("widgets").get_by_role("button", name="+ speed").click()
    expect(ada.cell("widgets").locator("input[type=number]")).to_have_value(str(before + 1))
    ada.cell("join").scroll_into_view_if_needed()
    ada.screenshot(artifacts / "notebook_7.png")
    for person in people:
        assert person.complaints == []
        assert person.errors_in_cells() == []
        person.context.close()
