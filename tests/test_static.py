"""What a notebook shows where no kernel is: on GitHub, in nbconvert and nbviewer. Nothing in the file is secret."""

from __future__ import annotations

import ast
import base64
import binascii
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter, MarkdownExporter

from msq_jupyter.session.crypto import Keys, derive_root_key
from msq_jupyter.synchronizer.server import Synchronizer
from msq_jupyter.synchronizer.tokens import Gate, plain_token

PASSWORD, TOKEN = "biscuits-after-four", "token-of-the-school"

CELLS = [
    "%load_ext msq_jupyter\nfrom msq_jupyter import Model, Session",
    """
class Poll(Model):
    def init(self, options, persisted=None):
        self.votes = {"yes": 0}
        self.subscribe("poll", "vote", self.vote)

    def vote(self, choice):
        self.votes[choice] += 1
        self.persist_session(lambda: {"votes": self.votes})
""".strip(),
    """
import os
session = await Session.join(
    app_id="org.msq.tests", name="static", password=os.environ.pop("LESSON_PASSWORD"), model=Poll,
    view_data={"name": "Ada <b>"}, persist_interval_ms=0,
)
session.publish("poll", "vote", "yes")
await session.saved()
session
""".strip(),
    "session.panel()",
    "await session.versions()",
    "session.log",
    "session.status",
    "%msq invite",
    "%msq people",
    "session.persistent_id",
    "await session.leave()",
]


@pytest.fixture
async def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nbformat.NotebookNode:
    """A notebook that was run and saved, at a synchronizer with a token; neither token nor password stand in a cell."""
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    gate = Gate([plain_token(TOKEN)])
    async with Synchronizer(data_directory=tmp_path / "synchronizer", gate=gate) as synchronizer:
        monkeypatch.setenv("MSQ_SYNCHRONIZER", synchronizer.url.replace("ws://", f"ws://{TOKEN}@"))
        monkeypatch.setenv("LESSON_PASSWORD", PASSWORD)
        await NotebookClient(notebook, timeout=120, kernel_name="python3").async_execute()
    return notebook


async def test_a_saved_notebook_shows_what_there_was_to_see_and_holds_no_secret(notebook: nbformat.NotebookNode):
    bundles = [output.data for cell in notebook.cells for output in cell.outputs if "data" in output]
    badge, panel = (one for one in bundles if "application/vnd.jupyter.widget-view+json" in one)
    line = r"static · live · 1 person · saved \d{4}-\d\d-\d\d \d\d:\d\d UTC by Ada <b> · v1"
    for shown in (badge, panel):
        assert re.fullmatch(line, shown["text/plain"])
        assert "Ada &lt;b&gt; · v1" in shown["text/html"]

    assert "widget-state+json" in nbformat.writes(notebook), "the state of the widgets is in the file, too"
    for secret in secrets_of(notebook):
        assert secret not in nbformat.writes(notebook)


async def test_nbconvert_shows_the_snapshots(notebook: nbformat.NotebookNode):
    del notebook.metadata["widgets"]  # with them, a page asks the web for the widgets' code instead
    for exporter in (HTMLExporter(), MarkdownExporter()):
        page, _ = exporter.from_notebook_node(notebook)
        assert page.count("Ada &lt;b&gt; · v1") == 2
        assert "The persistence panel needs a running kernel" in page


def secrets_of(notebook: nbformat.NotebookNode) -> list[str]:
    """The password, the token, and the keys, in each way they could be written down."""
    persistent_id = ast.literal_eval(notebook.cells[-2].outputs[0].data["text/plain"])
    root_key = derive_root_key(PASSWORD, persistent_id)
    keys = [root_key, Keys(root_key, persistent_id, "").password_check]
    written = [
        way(key).decode() for key in keys for way in (base64.b64encode, base64.urlsafe_b64encode, binascii.b2a_hex)
    ]
    return [PASSWORD, TOKEN, *(text.rstrip("=") for text in written)]
