"""The same notebook, for two people with a kernel each, in every place it can be opened in."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.hosts import HOSTS

pytestmark = pytest.mark.browser

CELLS = [
    """
import anywidget
import traitlets
from msq_jupyter import Model, Session
""",
    """
class Lesson(Model):
    def init(self, options, persisted=None):
        data = persisted or {"speed": 1, "notes": "A tree"}
        self.speed, self.notes = data["speed"], data["notes"]

    def link_changed(self, path):
        self.save()

    def save(self):
        self.persist_session(lambda: {"version": 1, "speed": self.speed, "notes": self.notes})
""",
    """
session = await Session.join(
    app_id="org.msq.tests", name="hosts", password="tea", model=Lesson, persist_interval_ms=0
)
session
""",
    """
class Board(anywidget.AnyWidget):
    _esm = '''
        function render({ model, el }) {
            const speed = document.createElement("input");
            Object.assign(speed, { type: "range", min: 1, max: 10 });
            const notes = document.createElement("textarea");
            speed.dataset.testid = "speed";
            notes.dataset.testid = "notes";
            const show = () => { speed.value = model.get("speed"); notes.value = model.get("notes"); };
            const tell = (name, value) => { model.set(name, value); model.save_changes(); };
            speed.addEventListener("input", () => tell("speed", Number(speed.value)));
            notes.addEventListener("input", () => tell("notes", notes.value));
            model.on("change:speed", show);
            model.on("change:notes", show);
            show();
            el.append(speed, notes);
        }
        export default { render };
    '''
    speed = traitlets.Int(1).tag(sync=True)
    notes = traitlets.Unicode().tag(sync=True)


board = Board()
session.link((board, "speed"), "speed")
session.link((board, "notes"), "notes")
board
""",
    "session.panel()",
]


@pytest.mark.parametrize("host", HOSTS)
def test_a_notebook_is_live_for_two_people(host: str, browser: Browser, tmp_path: Path, artifacts: Path):
    with HOSTS[host].running(tmp_path, [cell.strip() for cell in CELLS]) as there:
        people = ada, ben = [there.person(browser, name) for name in ("ada", "ben")]
        for person in people:
            badge = person.page.get_by_test_id("msq-badge")
            expect(badge).to_have_attribute("data-state", "live")
            expect(badge).to_have_attribute("data-people", "2")

        ada.page.get_by_test_id("speed").fill("5")
        expect(ben.page.get_by_test_id("speed")).to_have_value("5")

        ben.page.get_by_test_id("notes").press("End")
        # As fast as a person: of values set within a few milliseconds, marimo may not bring the last one to the kernel.
        ben.page.get_by_test_id("notes").press_sequentially(" has no circles", delay=60)
        expect(ada.page.get_by_test_id("notes")).to_have_value("A tree has no circles")
        expect(ben.page.get_by_test_id("notes")).to_have_value("A tree has no circles")

        panel = ada.page.get_by_test_id("msq-panel")
        expect(panel.get_by_test_id("msq-panel-tree").get_by_role("treeitem", name="speed")).to_contain_text("5")
        panel.get_by_role("tab", name="Versions").click()
        expect(panel.get_by_test_id("msq-panel-versions").get_by_role("treeitem").first).to_be_visible()
        panel.get_by_role("button", name="Save now").click()
        for person in people:
            expect(person.page.get_by_test_id("msq-panel-saved")).to_contain_text("saved")
        panel.scroll_into_view_if_needed()
        ada.screenshot(artifacts / f"host_{host.replace(' ', '_').lower()}.png")

        for person in people:
            assert person.complaints == []
            assert person.errors_in_cells() == []
            person.context.close()
