"""Every lesson runs from top to bottom, for one and for two people with a kernel each, edits of its code included.

A lesson is a notebook in `notebooks/`; whatever is there is tested. Its asserts hold for one participant and for more.
Where its text has the reader edit a cell, the text's cell has the id "edit-" and that of the edited cell, and the code
stands in it. Cells with the id "join" show a badge.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

README = Path(__file__).parent.parent / "README.md"
LESSONS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)


class Participant:
    """Somebody who works through a lesson in a kernel of their own."""

    def __init__(self, lesson: Path) -> None:
        self.notebook = nbformat.read(lesson, as_version=4)
        self.client = NotebookClient(self.notebook, timeout=120, kernel_name="python3")
        self.client.create_kernel_manager()

    def cell(self, cell_id: str) -> Any:
        return next(cell for cell in self.notebook.cells if cell.id == cell_id)

    async def run(self, cell: Any) -> None:
        if cell.cell_type == "code":
            await self.client.async_execute_cell(cell, 0)
        elif cell.id.startswith("edit-"):
            edited = self.cell(cell.id.removeprefix("edit-"))
            (edited.source,) = CODE.findall(cell.source)
            await self.run(edited)
            # What a click on "Use the new code" does, if there is such a button.
            await self.run(nbformat.v4.new_code_cell("if session.edit:\n    await session.follow()"))

    def check_outputs(self) -> None:
        """The badge is there where a session is joined, and no cell printed anything: no warning, no error."""
        for cell in self.notebook.cells:
            if cell.id == "join":
                assert any("application/vnd.jupyter.widget-view+json" in o.get("data", {}) for o in cell.outputs)
            printed = [o.text for o in cell.get("outputs", []) if o.output_type == "stream"]
            if cell.id == "load":
                printed = [text for text in printed if "extension is already loaded" not in text]  # IPython's own
            assert not printed, (cell.id, printed)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
async def test_a_lesson_runs_with_two_participants_and_again_for_one_who_stays(lesson: Path, local_synchronizer: Path):
    ada, ben = Participant(lesson), Participant(lesson)
    async with ada.client.async_setup_kernel():
        async with ben.client.async_setup_kernel():
            for cells in zip(ada.notebook.cells, ben.notebook.cells, strict=True):
                # Both run the same cell at the same time, as a class does.
                await asyncio.gather(ada.run(cells[0]), ben.run(cells[1]))
            count = nbformat.v4.new_code_cell("len(session.participants)")
            await ada.run(count)
        assert count.outputs[0].data["text/plain"] == "2"  # both have edited, and are together again
        for participant in (ada, ben):
            participant.check_outputs()
        for cell in ada.notebook.cells:
            await ada.run(cell)  # with the edited cells
        ada.check_outputs()


async def test_the_code_of_the_readme_runs_as_it_stands(local_synchronizer: Path):
    cells = CODE.findall(README.read_text())
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    assert len(notebook.cells) >= 3
    await NotebookClient(notebook, timeout=120, kernel_name="python3").async_execute()
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "stream"]
    assert any("{'yes': 1, 'no': 0}" in output.get("data", {}).get("text/plain", "") for output in outputs)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_is_stored_without_outputs(lesson: Path):
    notebook = nbformat.read(lesson, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
