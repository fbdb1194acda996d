"""Two people work through a lesson in a real browser, each with a kernel of their own, and their picture is taken.

    python -m tests.browser.lesson_pictures 2 3    # without numbers: all lessons

The pictures are those of the documentation, `docs/images/lessons/NN.png`. `DRIVES` has what the two people do, after
both have run all cells: one function for each lesson. It ends with an error if the browser or a cell reports one.
"""

from __future__ import annotations

import ast
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, expect, sync_playwright

from tests.browser.lab import BROWSER_FLAGS, CHROMIUM, JupyterServer, NotebookPage

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "images" / "lessons"
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)
GAP = 20


class Person:
    """Somebody at work on a lesson.

    Args:
        page: their browser.
        lesson: the notebook.
        name: how others see them.
    """

    def __init__(self, page: NotebookPage, lesson: Path, name: str) -> None:
        self.page, self.lesson, self.name = page, lesson, name
        self.pictured = ["view"]  # the cells whose outputs are in the picture

    @property
    def view(self) -> Locator:
        """What the cell "view" shows."""
        return self.page.output("view").last

    def button(self, name: str) -> Locator:
        return self.view.get_by_role("button", name=name, exact=True)

    def picture(self) -> Image.Image:
        """What the cells in `pictured` show, one below the other."""
        images = [self._picture(self.page.output(cell_id).last) for cell_id in self.pictured]
        joined = Image.new("RGB", (max(i.width for i in images), sum(i.height for i in images)), "white")
        for number, image in enumerate(images):
            joined.paste(image, (0, sum(above.height for above in images[:number])))
        return joined

    def _picture(self, output: Locator) -> Image.Image:
        """What an output shows, once it rests: when cells far away come into view, their places move at first."""
        before = None
        for _ in range(20):
            output.scroll_into_view_if_needed()
            box = output.bounding_box()
            if box == before:
                break
            before = box
            self.page.page.wait_for_timeout(250)  # JupyterLab tells nobody that it has moved cells to their places
        expect(output).to_be_in_viewport(ratio=0.9)
        return Image.open(io.BytesIO(output.screenshot())).convert("RGB")

    def edit(self, cell_id: str) -> None:
        """Put into a cell what the lesson's text says, and run it."""
        cell = next(cell for cell in json.loads(self.lesson.read_text())["cells"] if cell["id"] == f"edit-{cell_id}")
        (code,) = CODE.findall("".join(cell["source"]))
        self.page.set_source(cell_id, code.strip())
        self.page.run_cell(cell_id)

    def drag(self, canvas: Locator, points: list[tuple[float, float]]) -> None:
        """Press the mouse at the first point of a canvas, move it through the others, let go."""
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        assert box is not None
        mouse = self.page.page.mouse
        for number, (x, y) in enumerate(points):
            mouse.move(box["x"] + x, box["y"] + y, steps=3)
            if number == 0:
                mouse.down()
        mouse.up()


def editor(ada: Person, ben: Person) -> None:
    """Both type into one line; one adds a page, the other deletes it."""
    areas = [person.view.locator("textarea").first for person in (ada, ben)]
    texts = ["The kettle sings, ", "and the cups are warm. "]
    before = ast.literal_eval(ada.page.evaluate("session.model.pages['welcome'].text"))
    for area in areas:
        expect(area).to_have_js_property("readOnly", False)
        area.click()
        area.press("Control+Home")
    for letters in zip(texts[0].ljust(30, "~"), texts[1].ljust(30, "~"), strict=True):
        for area, letter in zip(areas, letters, strict=True):
            if letter != "~":
                area.press_sequentially(letter)
    length = len(before) + sum(map(len, texts))
    ada.page.wait_until(f"len(session.model.pages['welcome'].text) == {length}")
    for area in areas:
        expect(area).to_have_value(ast.literal_eval(ada.page.evaluate("session.model.pages['welcome'].text")))
    ben.view.get_by_placeholder("title of a new page").fill("Shopping")
    ben.button("add").click()
    tabs = [person.view.get_by_role("tab", name="Shopping") for person in (ada, ben)]
    for tab in tabs:
        expect(tab).to_be_visible()
    assert areas[0].evaluate("area => document.activeElement === area")
    tabs[1].click()
    ben.view.locator("textarea").nth(1).press_sequentially("Milk\nTea")
    tabs[0].click()
    expect(ada.view.locator("textarea").nth(1)).to_have_value("Milk\nTea")
    ada.button("delete this page").click()
    expect(tabs[1]).to_have_count(0)
    ben.view.get_by_placeholder("title of a new page").fill("Shopping")
    ben.button("add").click()
    expect(tabs[0]).to_be_visible()


def whiteboard(ada: Person, ben: Person) -> None:
    """Both draw, the code gets layers, both go on drawing, one hides a layer."""

    def draw(person: Person, tool: str, points: list[tuple[float, float]]) -> None:
        person.button(tool).click()
        person.drag(person.view.locator("canvas"), points)

    count = int(ada.page.evaluate("len(session.model.shapes)"))
    draw(ada, "box", [(330, 190), (480, 300)])
    draw(ben, "line", [(330, 190), (405, 130)])
    draw(ada, "line", [(405, 130), (480, 190)])
    draw(ben, "circle", [(530, 60), (560, 60)])
    for person in (ada, ben):
        person.page.wait_until(f"len(session.model.shapes) == {count + 4} == len(board.shapes)")
    draw(ben, "eraser", [(420, 190)])
    ada.page.wait_until(f"len(session.model.shapes) == {count + 3}")
    ben.page.evaluate("session.model.add({'kind': 'box', 'color': 'seagreen', 'points': [[330, 190], [480, 300]]})")
    for person in (ada, ben):
        person.edit("model")
        person.page.cell("join").get_by_role("button", name="Use the new code").click()
    for person in (ada, ben):
        person.page.wait_until("hasattr(session.model, 'visible')")
        person.page.wait_until("len(session.participants) == 2")
        person.edit("view")
        person.page.wait_until(f"len(board.shapes) == {count + 4}")
    wave = [(40 + 4 * step, 250 + (12 if step % 4 < 2 else -12)) for step in range(60)]
    draw(ada, "pen", wave)
    ben.page.wait_until("session.model.shapes[-1]['layer'] == 'front'")
    ben.view.get_by_label("show the back").click()
    expect(ada.view.get_by_label("show the back")).not_to_be_checked()
    ada.page.wait_until("len(board.shapes) == 1")
    ada.view.get_by_label("show the back").click()
    ben.page.wait_until(f"len(board.shapes) == {count + 5}")


def pong(ada: Person, ben: Person) -> None:
    """Each takes a side and moves the paddle; the ball moves more smoothly than the model."""
    positions = """(view) => new Promise((resolve) => {
        const seen = new Set(), arc = CanvasRenderingContext2D.prototype.arc;
        CanvasRenderingContext2D.prototype.arc = function (...place) { seen.add(place[0]); arc.apply(this, place); };
        setTimeout(() => { CanvasRenderingContext2D.prototype.arc = arc; resolve(seen.size / 3); }, 3000);
    })"""
    ada.page.wait_until("len(session.participants) == 2")
    for person, side in ((ada, "left"), (ben, "right")):
        if ada.page.evaluate(f"'{side}' in session.model.players") == "False":
            person.button(f"play {side}").click()
            ada.page.wait_until(f"'{side}' in session.model.players")
    for person in (ada, ben):
        expect(ada.button(person.name)).to_be_disabled()
    canvases = [person.view.locator("canvas") for person in (ada, ben)]
    canvases[0].hover(position={"x": 300, "y": 60})
    canvases[1].hover(position={"x": 300, "y": 210})
    for side, place in ("left", 20), ("right", 70):
        ada.page.wait_until(f"abs(session.model.paddles['{side}'] - {place}) < 1")
    smooth = canvases[0].evaluate(positions)
    ada.view.get_by_label("smooth").click()
    jerky = canvases[0].evaluate(positions)
    ada.view.get_by_label("smooth").click()
    print(f"pictures a second: {smooth:.0f} smooth, {jerky:.0f} not")
    assert jerky < 25 < smooth
    for canvas in canvases:
        canvas.scroll_into_view_if_needed()
    ada.page.wait_until("sum(session.model.score.values()) > 0", limit_s=60)


def chat(ada: Person, ben: Person) -> None:
    """Both take a nickname and talk; what looks like HTML stays text; a nickname that is taken is taken."""

    def enter(person: Person, what: str, text: str) -> None:
        person.view.get_by_placeholder(what).fill(text)
        person.view.get_by_placeholder(what).press("Enter")

    enter(ada, "nickname", "Captain")
    expect(ben.view).to_contain_text("Nicknames: Captain")
    enter(ben, "nickname", "Captain")
    enter(ada, "say something", "Who is on deck?")
    expect(ben.view).to_contain_text("Captain Who is on deck?")
    enter(ben, "say something", "It is me, <i>the cook</i>.")
    expect(ada.view).to_contain_text("Ben It is me, <i>the cook</i>.")
    enter(ben, "nickname", "Cook")
    expect(ada.view).to_contain_text("Nicknames: Captain, Cook")
    for number in range(5):
        enter(ada, "say something", f"{number + 1} o'clock and all is well.")
        enter(ben, "say something", "Soup is ready." if number == 4 else "Soup is not ready.")
    for person in (ada, ben):
        expect(person.view).to_contain_text("Cook Soup is ready.")
    assert ada.view.locator("b").all_inner_texts() == ben.view.locator("b").all_inner_texts()


def moles(ada: Person, ben: Person) -> None:
    """Both hit moles, the game is updated, scores and settings are there, both go on."""

    def play() -> None:
        ada.page.wait_until("session.model.moles_left == 0 and session.model.hole is None", limit_s=90)
        ada.button("start").click()
        for _ in range(3):
            for person in (ada, ben):
                person.view.get_by_role("button", name=re.compile("[●★]")).click()

    def best() -> dict[str, int]:
        found: dict[str, int] = ast.literal_eval(ada.page.evaluate("dict(session.model.best)"))
        return found

    ada.page.wait_until("session.model.moles_left == 0 and session.model.hole is None", limit_s=90)
    ada.page.evaluate("session.assign('settings.pace_ms', 2000)")
    expect(ben.view.locator(".widget-readout")).to_have_text("2000")
    play()
    before = best()
    assert set(before) == {"Ada", "Ben"}
    for person in (ada, ben):
        person.edit("model")
        person.page.cell("join").get_by_role("button", name="Use the new code").click()
    for person in (ada, ben):
        person.page.wait_until("'gold' in session.model.settings")
        person.page.wait_until("len(session.participants) == 2")
        expect(person.view.locator(".widget-readout")).to_have_text("2000")
    assert all(best()[name] >= points for name, points in before.items())
    play()
    ada.page.wait_until("session.model.hole is not None")


def library(ada: Person, ben: Person) -> None:
    """Ada adds a book, Ben borrows it; code that cannot load the books is not taken, and the books stay."""
    ada.view.get_by_placeholder("title, author").fill("Kim, Rudyard Kipling")
    ada.view.get_by_placeholder("title, author").press("Enter")
    expect(ben.view).to_contain_text("Kim by Rudyard Kipling")
    ben.button("borrow").last.click()
    expect(ada.view).to_contain_text("Kim by Rudyard Kipling, lent to Ben")
    ada.button("borrow").first.click()
    expect(ben.view).to_contain_text("Momo by Michael Ende, lent to Ada")
    for person in (ada, ben):
        expect(person.page.output("check_hasty").last).to_contain_text("KeyError")
    ada.pictured = ["view", "check_hasty"]


def quiz(ada: Person, ben: Person) -> None:
    """Ada teaches: she asks, both answer, she alone sees who said what; closed, everybody sees how many said what."""
    desk, no_desk = ada.page.output("desk").last, ben.page.output("desk").last
    ben.page.wait_until("len(session.participants) == 2")
    if ada.page.evaluate("session.model.teacher") != ada.page.evaluate("session.view_id"):
        desk.get_by_role("button", name="I am the teacher").click()
    expect(desk).to_contain_text("Ben")
    expect(no_desk).to_contain_text("Only the teacher")
    no_desk.get_by_role("button", name="ask: next").click()  # it is not his to ask
    for key, choices in {"moons": ("2", "0"), "water": ("71", "71"), "next": ("build", "sing")}.items():
        desk.get_by_role("button", name=f"ask: {key}").click()
        for person, choice in zip((ada, ben), choices, strict=True):
            person.button(choice).click()
        for person, choice in zip((ada, ben), choices, strict=True):
            expect(person.view).to_contain_text(f"Answers: 2. Yours: {choice}.")
        if key == "moons":
            assert ada.page.evaluate("list(session.model.questions)") == "['ready', 'moons']"
        if key == "water":
            desk.get_by_role("button", name="close").click()
            expect(ben.view).to_contain_text("71: 2")
            expect(ben.button("50")).to_be_disabled()
    desk.get_by_role("button", name="close").click()
    expect(ben.view).to_contain_text("sing: 1")
    expect(desk).to_contain_text("71 ✓")
    expect(desk).not_to_contain_text("0 ✓")
    ada.pictured = ["desk"]


def laboratories(ada: Person, ben: Person) -> None:
    """Ada drags a slider; Ben's slider and curve follow, his data stay, and both misfits are told."""
    sliders = [person.page.output("sliders").last for person in (ada, ben)]
    for person in (ada, ben):
        expect(person.page.cell("view").locator("img")).to_have_count(1)
        person.page.wait_until("len(session.model.misfits.values) == 2")
    before = [person.page.evaluate("measured.tolist()") for person in (ada, ben)]
    assert before[0] != before[1]
    good = float(ben.page.evaluate("misfit(session.model.numbers)"))
    plot = ben.page.cell("view").locator("img").get_attribute("src")
    for number in (1, 2):  # how long, how calm: a little off, so that the curve misses the points
        track, handle = (sliders[0].locator(part).nth(number) for part in (".noUi-base", ".noUi-handle"))
        handle.scroll_into_view_if_needed()
        bounds, box = track.bounding_box(), handle.bounding_box()
        assert bounds is not None
        assert box is not None
        mouse, y = ada.page.page.mouse, box["y"] + box["height"] / 2
        mouse.move(box["x"] + box["width"] / 2, y)
        mouse.down()
        for step in range(1, 13):
            mouse.move(box["x"] + box["width"] / 2 + bounds["width"] * 0.003 * step, y)
        mouse.up()
    for number in range(3):
        readout = sliders[0].locator(".widget-readout").nth(number).inner_text()
        expect(sliders[1].locator(".widget-readout").nth(number)).to_have_text(readout)
    for person in (ada, ben):
        person.page.wait_until(f"min(session.model.misfits.values.values()) > {1.1 * good}")
        assert person.page.evaluate("session.model.misfits.value_of(session.view_id) == misfit(session.model.numbers)")
    assert ben.page.cell("view").locator("img").get_attribute("src") != plot
    assert [person.page.evaluate("measured.tolist()") for person in (ada, ben)] == before
    for person in (ada, ben):
        person.pictured = ["sliders", "view"]


def epidemic(ada: Person, ben: Person) -> None:
    """One town for both, smooth; one moves a slider and skips days for both; both see the same two worlds."""
    positions = """(view) => new Promise((resolve) => {
        const seen = new Set(), box = CanvasRenderingContext2D.prototype.fillRect;
        CanvasRenderingContext2D.prototype.fillRect = function (x, ...rest) {
            if (x < 300) seen.add(x);
            box.call(this, x, ...rest);
        };
        setTimeout(() => { CanvasRenderingContext2D.prototype.fillRect = box; resolve(seen.size / 2000); }, 2000);
    })"""
    ada.page.wait_until("len(session.participants) == len(masks.participants) == 2")
    ada.button("begin again").click()
    ada.page.wait_until("session.model.hours < 50")
    smooth = ada.view.locator("canvas").evaluate(positions)
    print(f"pictures a second: {smooth:.0f}")
    assert smooth > 15
    handle = ben.view.locator(".noUi-handle").first
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    assert box is not None
    mouse = ben.page.page.mouse
    mouse.move(box["x"] + 5, box["y"] + 5)
    mouse.down()
    mouse.move(box["x"] + 45, box["y"] + 5, steps=5)
    mouse.up()
    ada.page.wait_until("session.model.chance > 10 and chance.value == session.model.chance")
    ben.button("skip 10 days").click()
    for person in (ada, ben):
        person.page.wait_until("len(session.model.curve) > 10")
    curves = [person.page.evaluate("[one.model.curve for one in (without, masks)]") for person in (ada, ben)]
    assert curves[0] == curves[1]
    for person in (ada, ben):
        person.pictured = ["worlds"]


def birds(ada: Person, ben: Person) -> None:
    """Both click as fast as they can, and no bird is lost; the report of pytest is there."""

    def sparrows() -> int:
        return int(ada.page.evaluate("session.model.counts['sparrow']"))

    ada.page.wait_until("len(session.participants) == 2")
    before = sparrows()
    for _ in range(5):
        for person in (ada, ben):
            person.button("sparrow").click()
    for person in (ada, ben):
        person.page.wait_until(f"session.model.counts['sparrow'] == {before + 10}")
        expect(person.view.locator("b").first).to_have_text(str(before + 10))
        expect(person.page.output("pytest").last).to_contain_text("repeat it with")
    ada.button("robin").click()
    ben.page.wait_until("session.model.counts['robin'] == 3")
    ada.pictured = ["pytest"]


def plane(ada: Person, ben: Person) -> None:
    """Each has a laptop of their own; what is written in class comes to both; a second landing brings the page."""
    boards = [person.view.get_by_placeholder("title: text").first for person in (ada, ben)]
    classes = [person.view.get_by_placeholder("title: text").last for person in (ada, ben)]
    ada.page.wait_until("len(session.participants) == 2 and len(flight.participants) == 1")
    classes[0].fill("Porto: Port, and a bridge.")
    classes[0].press("Enter")
    ben.page.wait_until("'Porto' in session.model.pages and 'Porto' not in flight.model.pages")
    boards[1].fill(ast.literal_eval(ben.page.evaluate("mine")) + ": Grey, with <i>lightning</i>.")
    boards[1].press("Enter")
    expect(ben.view.locator(".widget-html").first).to_contain_text("Grey, with <i>lightning</i>.")
    for cell_id in ("land", "heads", "compare", "restore"):
        ben.page.run_cell(cell_id)
    mine = ben.page.evaluate("mine")
    ada.page.wait_until(f"'Grey' in session.model.pages[{mine}]")
    for person in (ada, ben):
        expect(person.view.locator(".widget-html").last).to_contain_text("Grey, with <i>lightning</i>.")
    ben.pictured = ["view", "heads"]


DRIVES: dict[int, Callable[[Person, Person], None]] = {
    2: editor,
    3: whiteboard,
    4: pong,
    5: chat,
    6: moles,
    7: library,
    8: quiz,
    9: laboratories,
    10: epidemic,
    11: birds,
    12: plane,
}


def main(numbers: list[int]) -> None:
    """Drive lessons, one after another."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=BROWSER_FLAGS)
        for number in numbers or DRIVES:
            (lesson,) = (ROOT / "notebooks").glob(f"{number:02}_*.ipynb")
            server = JupyterServer("lab", Path(tempfile.mkdtemp()))
            with server.running():
                people = [Person(opened(browser, server, lesson, name), lesson, name) for name in ("Ada", "Ben")]
                for person in people:
                    person.page.run_all()
                try:
                    DRIVES[number](*people)
                except Exception:
                    for person in people:
                        person.page.screenshot(server.root / f"failed_{person.name}.png")
                        print(*person.page.errors_in_cells(), sep="\n", file=sys.stderr)
                    print(f"what they saw is in {server.root}", file=sys.stderr)
                    raise
                side_by_side([person.picture() for person in people]).save(PICTURES / f"{number:02}.png")
                for person in people:
                    assert person.page.errors_in_cells() == []
                    assert person.page.complaints == []
                    person.page.context.close()
            print(f"{lesson.name}: {(PICTURES / f'{number:02}.png').stat().st_size / 1000:.0f} kB")


def opened(browser: object, server: JupyterServer, lesson: Path, name: str) -> NotebookPage:
    """A lesson in a browser of its own, with the name of its reader put in where the lesson says so."""
    notebook = json.loads(lesson.read_text())
    for cell in notebook["cells"]:
        cell["source"] = re.sub(r'# (view_data=\{"name": |my_name = )"Ada"', rf'\1"{name}"', "".join(cell["source"]))
    path = server.notebooks / name / lesson.name
    path.parent.mkdir()
    path.write_text(json.dumps(notebook))
    page = NotebookPage(browser, server, f"{name}/{lesson.name}", viewport={"width": 900, "height": 1000})
    page.open()
    return page


def side_by_side(images: list[Image.Image]) -> Image.Image:
    """What two people see, in one picture of few colors."""
    joined = Image.new("RGB", (sum(i.width for i in images) + GAP, max(i.height for i in images)), "white")
    joined.paste(images[0], (0, 0))
    joined.paste(images[1], (images[0].width + GAP, 0))
    return joined.quantize(64)


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = str(ROOT)
    PICTURES.mkdir(parents=True, exist_ok=True)
    main([int(argument) for argument in sys.argv[1:]])
