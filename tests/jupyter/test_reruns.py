"""Cells that run again and again in a shell: what they leave is as much as after a few runs.

A thousand runs are in `test_live`, in `test_code_edits` (cells that join) and, without a shell, in
`tests/widgets/test_paths`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from tests.conftest import SynchronizerThread
from tests.jupyter.conftest import Notebook
from tests.objects import grown, kinds
from tests.widgets.models import Studio

FEW, MANY = 20, 220

CELLS = {
    "badge": "session",
    "panel": "session.panel()",
    "magic": "%msq panel",
    "link": "session.link((slider, 'value'), 'speed')\n"
    "session.dlink('votes.yes', (slider, 'max'), lambda votes: votes + 100)\nslider",
    "observe": "session.observe('votes', lambda change: None, initial=True)",
}


@pytest.fixture
async def page(notebook: Callable[[], Notebook], synchronizer: SynchronizerThread) -> AsyncIterator[Notebook]:
    """A notebook that has joined; nobody looks at its outputs, and IPython keeps none."""
    page = notebook()
    page.shell.display_pub.publish = lambda *_, **__: None
    page.shell.displayhook.do_full_cache = False
    page.shell.user_ns.update(Studio=Studio, url=synchronizer.url)
    join = "await Session.join(app_id='test', name='reruns', model=Studio, synchronizer=url)"
    await page.run(f"from msq_jupyter import Session\nsession = {join}", "join")
    await page.run("from ipywidgets import IntSlider\nslider = IntSlider()", "widgets")
    yield page
    await page["session"].leave()


@pytest.mark.parametrize("name", CELLS)
async def test_a_cell_that_runs_again_and_again_leaves_as_much_as_after_a_few_runs(page, name):
    for run in range(MANY):
        await page.run(CELLS[name], name)
        if run + 1 == FEW:
            page["session"].step()
            few = kinds()
    page["session"].step()
    assert grown(few, FEW) == {}
