"""Widgets that lessons write in a cell, by finger, mouse and key on a small screen, without a kernel."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"

#: Shows a widget on an empty page, with a model that notes in `told` what the view says.
_SHOW = """async ([source, values]) => {
    const module = await import(URL.createObjectURL(new Blob([source], {type: "text/javascript"})));
    window.told = [];
    const model = {
        get: name => values[name],
        set: (name, value) => { values[name] = value; },
        save_changes: () => told.push(values.hand),
        send: message => told.push(message),
        on: () => undefined,
    };
    document.body.replaceChildren();
    document.body.style.margin = 0;
    module.default.render({model, el: document.body});
}"""

#: What the view said last, twenty pictures later: more time than it needs to say it.
_AFTER_FRAMES = """() => new Promise(resolve => {
    let frames = 0;
    const next = () => { (frames += 1) < 20 ? requestAnimationFrame(next) : resolve(told.at(-1)); };
    next();
})"""


class Phone:
    """A page 300 pixels wide that a lesson's widget is on, half as large as it wants to be."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._input = page.context.new_cdp_session(page)

    def show(self, lesson: str, cell_id: str, **values: Any) -> None:
        (cell,) = (cell for cell in json.loads((NOTEBOOKS / lesson).read_text())["cells"] if cell["id"] == cell_id)
        found = re.search(r'_esm = """(.*?)"""', "".join(cell["source"]), re.DOTALL)
        assert found is not None
        self.page.evaluate(_SHOW, [found[1], values])

    def touch(self, kind: str, *places: tuple[float, float]) -> None:
        """Put down fingers, move them, or take all away; the first one is number 0."""
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        self._input.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})

    @property
    def told(self) -> list[Any]:
        told: list[Any] = self.page.evaluate("told")
        return told


@pytest.fixture
def phone(browser: Browser) -> Iterator[Phone]:
    page = browser.new_page(viewport={"width": 300, "height": 400}, has_touch=True)
    yield Phone(page)
    page.close()


def test_a_finger_draws_on_the_whiteboard_where_it_is_and_a_second_one_does_not(phone: Phone):
    phone.show("03_whiteboard.ipynb", "board", shapes=[], tool="pen", color="red")
    phone.touch("Start", (50, 50))
    phone.touch("Start", (50, 50), (200, 100))
    phone.touch("Move", (60, 52), (210, 110))
    phone.touch("End")
    (drawn,) = phone.told
    assert (drawn["add"]["kind"], drawn["add"]["color"]) == ("pen", "red")
    scale = 600 / phone.page.evaluate("document.querySelector('canvas').clientWidth")
    assert scale > 2
    left, top = phone.page.evaluate("(({x, y}) => [x, y])(document.querySelector('canvas').getBoundingClientRect())")
    expected = [[(x - left) * scale, (y - top) * scale] for x, y in ((50, 50), (60, 52))]
    assert [drawn["add"]["points"][place] for place in (0, -1)] == [pytest.approx(at, abs=2) for at in expected]


def test_the_whiteboard_keeps_a_line_that_the_system_takes_the_finger_away_from(phone: Phone):
    phone.show("03_whiteboard.ipynb", "board", shapes=[], tool="line", color="red")
    phone.page.mouse.click(20, 20, button="right")
    phone.touch("Start", (50, 50))
    phone.touch("Move", (90, 60))
    phone.touch("Cancel")
    phone.page.mouse.move(200, 20)
    assert [len(drawn["add"]["points"]) for drawn in phone.told] == [2]


def test_keys_and_fingers_move_the_paddle_of_pong(phone: Phone):
    step = {"time": 0, "ball": [50, 50], "left": 50, "right": 50, "score": [0, 0]}
    phone.show("04_pong.ipynb", "court", step=step, side="left", smooth=True)
    height = phone.page.evaluate("document.querySelector('canvas').clientHeight")
    phone.touch("Start", (150, height * 0.8))
    phone.touch("End")
    phone.page.wait_for_function("Math.abs(told.at(-1) - 80) < 1.5")
    # The notebook around it would take the keys for its own.
    assert phone.page.evaluate("document.activeElement.dataset.lmSuppressShortcuts") == "true"
    phone.page.keyboard.down("ArrowUp")
    phone.page.wait_for_function("told.at(-1) === 0")
    phone.page.keyboard.up("ArrowUp")
    phone.page.keyboard.down("ArrowDown")
    phone.page.wait_for_function("told.at(-1) > 10")
    phone.page.keyboard.up("ArrowDown")
    first, second = (phone.page.evaluate(_AFTER_FRAMES) for _ in range(2))
    assert first == second < 100
