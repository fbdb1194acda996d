"""Every lesson runs from top to bottom with two participants, each in a kernel of its own."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

README = Path(__file__).parent.parent / "README.md"
LESSONS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
async def test_a_lesson_runs_with_two_participants(lesson: Path, local_synchronizer: Path):
    notebooks = [nbformat.read(lesson, as_version=4) for _ in range(2)]
    clients = [NotebookClient(notebook, timeout=120, kernel_name="python3") for notebook in notebooks]
    for client in clients:
        client.create_kernel_manager()
    async with clients[0].async_setup_kernel(), clients[1].async_setup_kernel():
        for index, cell in enumerate(notebooks[0].cells):
            if cell.cell_type == "code":
                # Both run the same cell at the same time, as a class does.
                await asyncio.gather(
                    *(c.async_execute_cell(n.cells[index], index) for c, n in zip(clients, notebooks, strict=True))
                )
    for notebook in notebooks:
        check_outputs(notebook)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
async def test_a_lesson_runs_alone_and_a_second_time(lesson: Path, local_synchronizer: Path):
    notebook = nbformat.read(lesson, as_version=4)
    client = NotebookClient(notebook, timeout=120, kernel_name="python3")
    client.create_kernel_manager()
    async with client.async_setup_kernel():
        for _ in range(2):
            for index, cell in enumerate(notebook.cells):
                if cell.cell_type == "code":
                    await client.async_execute_cell(cell, index)
            check_outputs(notebook)


def check_outputs(notebook: nbformat.NotebookNode) -> None:
    """The badge is there where a session is joined, and nothing was printed: no warning, no error."""
    for cell in notebook.cells:
        if cell.id == "join":
            assert any("application/vnd.jupyter.widget-view+json" in o.get("data", {}) for o in cell.outputs)
        printed = [o.text for o in cell.get("outputs", []) if o.output_type == "stream"]
        if cell.id == "load":
            printed = [text for text in printed if "extension is already loaded" not in text]  # IPython's own
        assert not printed, (cell.id, printed)


async def test_the_code_of_the_readme_runs_as_it_stands(local_synchronizer: Path):
    cells = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
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
