"""A saved notebook that is opened again in JupyterLab: what is in it was live, and must not say that it is."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.sign import NotebookNotary
from playwright.sync_api import Browser, expect

from tests.browser.lab import JupyterServer, NotebookPage

pytestmark = pytest.mark.browser

CELLS = [
    """
%load_ext msq_jupyter
from msq_jupyter import Session
from msq_jupyter.ready import SharedCounter
session = await Session.join(app_id="org.msq.tests", name="static", password="tea", model=SharedCounter)
""".strip(),
    "session",
    "session.panel()",
]


def test_without_its_kernel_a_saved_notebook_says_so(
    browser: Browser, tmp_path: Path, artifacts: Path, local_synchronizer: Path
):
    cells = [nbformat.v4.new_code_cell(source, id=f"cell-{number}") for number, source in enumerate(CELLS)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=kernel)
    with ThreadPoolExecutor() as pool:  # this thread has Playwright's loop
        client = NotebookClient(notebook, timeout=120, kernel_name="python3")
        pool.submit(lambda: asyncio.run(client.async_execute())).result()
    server = JupyterServer("lab", tmp_path / "lab")
    with server.running():
        nbformat.write(notebook, server.notebooks / "saved.ipynb")
        person = NotebookPage(browser, server, "saved.ipynb")
        person.open()
        # Whoever does not trust it sees the snapshots.
        for number in (1, 2):
            expect(person.output(f"cell-{number}")).to_contain_text("static · live · 1 person")
        notary = NotebookNotary(data_dir=str(server.root / "data"))  # as `jupyter trust` does
        notary.sign(notebook)
        notary.store.close()
        person.open()
        expect(person.page.get_by_test_id("msq-badge")).to_have_attribute("data-state", "kernel gone")
        panel = person.page.get_by_test_id("msq-panel")
        expect(panel).to_have_attribute("data-state", "kernel gone")
        expect(panel.get_by_test_id("msq-panel-state-note")).to_contain_text("The kernel is gone.")
        person.screenshot(artifacts / "lab_saved.png")
        assert person.complaints == []
        person.context.close()
