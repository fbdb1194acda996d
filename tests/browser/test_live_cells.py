"""Two people in JupyterLab: one drags a slider, the other's slider and plot follow, without flicker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, expect

from tests.browser.lab import JupyterServer, NotebookPage

pytestmark = pytest.mark.browser

CELLS = {
    "load": "%load_ext msq_jupyter\nimport matplotlib.pyplot as plt\nfrom ipywidgets import IntSlider",
    "model": """\
from msq_jupyter import Model, Session, operation
from msq_jupyter.ready import PerUser

class Poll(Model):
    def init(self, options, persisted=None):
        self.speed = 1
        self.votes = {"yes": 1, "no": 2}
        self.own = PerUser.create({"default": 5})

    @operation
    def vote(self, choice):
        self.votes[choice] += 1""",
    "join": 'session = await Session.join(app_id="test", name="live", password="pw", model=Poll)\nsession',
    "slider": """\
slider = IntSlider(min=0, max=100)
session.link((slider, "value"), "speed")
slider""",
    "live": """\
%%live session
fig, ax = plt.subplots(figsize=(5, 2))
ax.bar([*session.model.votes, "speed"], [*session.model.votes.values(), session.model.speed])
ax.set_ylim(0, 100)
print("speed", session.model.speed)""",
    "plotly": "",
    "failing": """\
%%live session
print("ratio", 100 // (session.model.speed - 50))""",
}

PLOTLY = """\
%%live session
import plotly.graph_objects as go
speed = session.model.speed
go.Figure(go.Bar(x=["speed"], y=[speed])).update_layout(height=200, yaxis={"tickvals": [speed]})"""

#: Notes the height of a cell's output and whether its image is there and decoded, in each frame of the browser.
_WATCH = """id => {
    const content = window.jupyterapp.shell.currentWidget.content;
    const area = content.widgets.find(w => w.model.id === id).node.querySelector('.jp-OutputArea');
    window.seen = {heights: [], missing: 0, sources: new Set()};
    const look = () => {
        if (window.seen.stop) return;
        const image = area.querySelector('img');
        window.seen.heights.push(area.offsetHeight);
        if (!image || image.offsetHeight < 50 || !image.complete || !image.naturalWidth) window.seen.missing += 1;
        else window.seen.sources.add(image.src.length + image.src.slice(-200));
        requestAnimationFrame(look);
    };
    look();
}"""
_STOP = """() => {
    window.seen.stop = true;
    const {heights, missing, sources} = window.seen;
    return {frames: heights.length, least: Math.min(...heights), most: Math.max(...heights), missing,
            images: sources.size};
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    with JupyterServer("lab", tmp_path_factory.mktemp("live")).running() as server:
        notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
        for cell_id, source in CELLS.items():
            notebook.cells.append(nbformat.v4.new_code_cell(source, id=cell_id))
        for name in ("ada", "ben"):
            nbformat.write(notebook, server.notebooks / f"{name}.ipynb")
        yield server


def handle(person: NotebookPage):
    return person.cell("slider").locator(".noUi-handle").first


def test_a_slider_and_a_live_plot_follow_another_persons_hand(server, browser: Browser, artifacts: Path):
    ada, ben = (NotebookPage(browser, server, f"{name}.ipynb") for name in ("ada", "ben"))
    for person in (ada, ben):
        person.open()
        person.run_all()
        expect(person.cell("join").get_by_test_id("msq-badge")).to_have_attribute("data-state", "live")
        expect(person.output("live").locator("img")).to_have_count(1)
        expect(person.output("live").first).to_have_text("speed 1")

    ben.cell("live").scroll_into_view_if_needed()
    ben.page.evaluate(_WATCH, "live")
    box = handle(ada).bounding_box()
    track = ada.cell("slider").locator(".noUi-base").bounding_box()
    assert box is not None
    assert track is not None
    y = box["y"] + box["height"] / 2
    ada.page.mouse.move(box["x"] + box["width"] / 2, y)
    ada.page.mouse.down()
    for step in range(60):
        ada.page.mouse.move(track["x"] + track["width"] * step / 60, y)
        ada.page.wait_for_timeout(30)
    ada.page.mouse.up()
    last = ada.cell("slider").locator(".widget-readout").inner_text()
    assert int(last) > 80
    expect(ben.cell("slider").locator(".widget-readout")).to_have_text(last)
    expect(ben.output("live").first).to_have_text(f"speed {last}")
    expect(ada.output("live").first).to_have_text(f"speed {last}")
    seen = ben.page.evaluate(_STOP)
    assert seen["images"] >= 3, seen
    assert seen["least"] == seen["most"], f"the output jumps: {seen}"
    assert seen["missing"] == 0, f"the plot vanishes: {seen}"
    sent, executed = (int(ada.evaluate(f"session.{name}")) for name in ("_sent_counter", "executed_counter"))
    assert sent == executed <= 70
    assert ben.evaluate("session._sent_counter") == "0"
    ben.screenshot(artifacts / "live_plot.png")
    ben.set_source("plotly", PLOTLY)
    ticks = ben.run_cell("plotly").locator(".ytick text")
    expect(ticks).to_have_text(last)

    ada.evaluate("session.model.vote('yes')")
    ben.wait_until("session.model.votes['yes'] == 2")
    expect(ben.cell("live").locator(".jp-OutputArea-output")).to_have_count(2)

    ada.evaluate("session.assign('speed', 50)")
    expect(ben.cell("failing")).to_contain_text("ZeroDivisionError")
    expect(ben.cell("failing")).to_contain_text("ratio")
    expect(ticks).to_have_text("50")  # its renderer alone would draw once only
    ben.screenshot(artifacts / "live_error.png")
    ada.evaluate("session.assign('speed', 60)")
    expect(ben.cell("failing")).to_contain_text("ratio 10")
    expect(ben.cell("failing")).not_to_contain_text("ZeroDivisionError")

    ben.run_cell("live")
    assert ben.evaluate("len(session.bindings)") == "4"
    expect(ben.cell("live").locator("img")).to_have_count(1)
    ben.page.evaluate(
        """() => {
            const content = window.jupyterapp.shell.currentWidget.content;
            content.activeCellIndex = content.widgets.findIndex(w => w.model.id === 'failing');
            return window.jupyterapp.commands.execute('notebook:delete-cell').then(() => null);
        }"""
    )
    ben.run_cell("slider")
    assert ben.evaluate("len(session.bindings)") == "3"
    for person in (ada, ben):
        assert person.complaints == []
        assert person.errors_in_cells() == []
        person.context.close()
