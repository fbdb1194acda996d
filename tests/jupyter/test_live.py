"""`%%live` in a real IPython shell, with a session on the loop of the test."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import altair
import plotly.graph_objects
import plotly.io
import pytest
from matplotlib import pyplot

from msq_jupyter import Session
from msq_jupyter.jupyter import live as live_module
from tests.conftest import Join, SynchronizerThread, joining
from tests.objects import grown, kinds
from tests.waiting import until
from tests.widgets.models import EditedStudio, Studio

PNG = "image/png"


class Notebook:
    """A shell whose published outputs are kept by display id, as a browser does, and the session it joined."""

    def __init__(self, shell: Any, session: Session) -> None:
        self.shell = shell
        self.session = session
        self.outputs: dict[str, dict[str, Any]] = {}
        self.messages = 0
        shell.user_ns["session"] = session
        shell.display_pub.publish = self._publish

    def _publish(
        self, data: Any, metadata: Any = None, *, transient: Any = None, update: bool = False, **_: Any
    ) -> None:
        display_id = (transient or {}).get("display_id", str(len(self.outputs)))
        assert update == (display_id in self.outputs)
        self.outputs[display_id] = data
        self.messages += 1

    @property
    def text(self) -> str:
        return re.sub(r"\x1b\[[\d;]*m", "", "\n".join(data["text/plain"] for data in self.outputs.values()))

    def run(self, source: str, cell_id: str = "live") -> Any:
        return self.shell.run_cell(source, cell_id=cell_id)

    def live(self, source: str, cell_id: str = "live") -> None:
        self.run(f"%%live session\n{source}", cell_id).raise_error()


@pytest.fixture
async def join(synchronizer: SynchronizerThread) -> AsyncIterator[Join]:
    async with joining(synchronizer, Session, model=Studio, name="live") as join:
        yield join


@pytest.fixture
async def notebook(shell: Any, join: Callable[..., Any]) -> Notebook:
    return Notebook(shell, await join())


async def changed(notebook: Notebook, path: str, value: Any) -> None:
    notebook.session.assign(path, value)
    await notebook.session.synced()


def is_asked(notebook: Notebook) -> bool:
    """Whether a live cell is going to run."""
    return any(cell._waits for cell in notebook.session.bindings)


async def test_it_runs_at_once_and_when_what_it_read_has_changed(notebook):
    notebook.live("print(session.model.votes['yes'])")
    assert notebook.text == "0"
    await changed(notebook, "votes.yes", 5)
    await until(lambda: notebook.text == "5")
    assert len(notebook.outputs) == 1


async def test_what_others_change_counts_as_well(notebook, join):
    notebook.live("session.model.speed")
    ben = await join()
    ben.assign("speed", 12)
    await until(lambda: notebook.text == "12")


async def test_it_does_not_run_for_what_it_has_not_read(notebook):
    notebook.shell.user_ns["runs"] = runs = []
    notebook.live("runs.append(session.model.speed)")
    await changed(notebook, "votes.yes", 5)
    await changed(notebook, "settings.speed", 9)
    assert not is_asked(notebook)
    assert runs == [1]
    await changed(notebook, "speed", 2)
    await until(lambda: runs == [1, 2])


async def test_helpers_and_models_kept_by_other_cells_are_seen_through(notebook):
    notebook.run("part = session.model.part\ndef level():\n    return part.level", "helper")
    notebook.live("print(level())")
    await changed(notebook, "part.level", 30)
    await until(lambda: notebook.text == "30")


async def test_it_follows_who_is_there(notebook, join):
    notebook.live("print(len(session.participants))")
    ben = await join()
    await until(lambda: notebook.text == "2")
    await ben.leave()
    await until(lambda: notebook.text == "1")


async def test_what_decides_can_change_from_run_to_run(notebook):
    notebook.live("print(session.model.votes if session.model.speed > 1 else 'slow')")
    await changed(notebook, "speed", 2)
    await until(lambda: notebook.text == "{'yes': 0, 'no': 0}")
    await changed(notebook, "votes.yes", 1)
    await until(lambda: notebook.text == "{'yes': 1, 'no': 0}")


async def test_many_changes_become_few_runs_and_the_last_one_is_shown(notebook):
    notebook.shell.user_ns["runs"] = runs = []
    notebook.live("runs.append(session.model.speed)")
    began_s = time.monotonic()
    for value in range(2, 202):
        await changed(notebook, "speed", value)
    await until(lambda: runs[-1] == 201)
    assert len(runs) <= (time.monotonic() - began_s) / live_module.FRAME_S + 2


async def test_a_slow_cell_leaves_as_much_time_as_it_takes(notebook, monkeypatch):
    now = [100.0]
    waits: list[float] = []
    notebook.shell.user_ns["spend"] = lambda: now.__setitem__(0, now[0] + 2)
    with monkeypatch.context() as patched:
        patched.setattr(live_module.time, "monotonic", lambda: now[0])
        patched.setattr(notebook.session.loop, "call_later", lambda wait_s, call: waits.append(wait_s))
        notebook.live("spend(); session.model.speed")
        (cell,) = notebook.session.bindings
        cell._known = dict.fromkeys(cell._known)  # as if everything had changed
        for _ in range(5):
            cell.look()
    assert waits == [2.0]


async def test_outputs_are_replaced_in_place_and_grow_and_shrink(notebook):
    notebook.live("for one in session.model.queue:\n    display(one)\nprint('printed')")
    assert notebook.text == "printed\n'a'\n'b'"
    ids = list(notebook.outputs)
    await changed(notebook, "queue", ["c"])
    await until(lambda: notebook.text == "printed\n'c'\n")
    await changed(notebook, "queue", ["c", "d", "e"])
    await until(lambda: notebook.text == "printed\n'c'\n'd'\n'e'")
    assert list(notebook.outputs)[:3] == ids
    messages = notebook.messages
    await changed(notebook, "queue", ["c", "d", "f"])
    await until(lambda: notebook.text.endswith("'f'"))
    assert notebook.messages == messages + 1, "what is the same is not sent again"


async def test_an_error_is_shown_once_below_the_last_good_output_and_it_recovers(notebook):
    source = "%%live session\nprint(10 / session.model.speed)"
    ran = notebook.shell.run_cell(source, cell_id="live", store_history=True)
    await changed(notebook, "speed", 0)
    await until(lambda: "ZeroDivisionError" in notebook.text)
    assert f"Cell In[{ran.execution_count}], line 2" in notebook.text
    assert notebook.text.startswith("10.0")
    assert re.search(r"line 2\n-+> 2 print\(10 / session.model.speed\)", notebook.text)
    assert "live.py" not in notebook.text
    messages = notebook.messages
    for value in (0.0, False, 0):
        await changed(notebook, "speed", value)
        await until(lambda: not is_asked(notebook))
    assert notebook.text.count("ZeroDivisionError: ") <= 1
    assert notebook.messages <= messages + 2  # "division by zero" and "float division by zero"
    await changed(notebook, "speed", 5)
    await until(lambda: notebook.text == "2.0\n")


async def test_an_error_in_the_first_run_is_shown_and_it_recovers(notebook):
    notebook.live("print(session.model.votes['maybe'])")
    assert "KeyError" in notebook.text
    await changed(notebook, "votes.maybe", 1)
    await until(lambda: notebook.text == "1")


async def test_exit_ends_neither_the_kernel_nor_the_session(notebook):
    notebook.live("import sys\nif session.model.speed > 1:\n    sys.exit(3)")
    await changed(notebook, "speed", 2)
    await until(lambda: "SystemExit" in notebook.text)
    assert notebook.session.is_live


async def test_an_interrupt_between_cells_ends_it(notebook):
    notebook.live("if session.model.speed > 1:\n    raise KeyboardInterrupt\nprint('fine')")
    await changed(notebook, "speed", 2)
    await until(lambda: "this live cell has ended; run it to begin again" in notebook.text)
    assert len(notebook.session.bindings) == 0


async def test_it_never_runs_inside_of_another_cell(notebook):
    notebook.shell.user_ns["log"] = log = []
    notebook.live("log.append(session.model.speed)")
    (live,) = notebook.session.bindings
    notebook.shell.user_ns["is_put_off"] = lambda: bool(live._cells._when_idle)
    cell = "import asyncio\nsession.assign('speed', 2)\nwhile not is_put_off():\n    await asyncio.sleep(0)\n"
    cell += "log.append('cell ends')"
    result = await notebook.shell.run_cell_async(cell, transformed_cell=cell, cell_id="long")
    notebook.shell.events.trigger("post_run_cell", result)  # as a kernel does
    result.raise_error()
    await until(lambda: log[-1] == 2)
    assert log == [1, "cell ends", 2]


async def test_a_step_inside_of_a_cell_does_not_run_it_there(notebook):
    notebook.shell.user_ns["log"] = log = []
    notebook.live("log.append(session.model.speed)")
    notebook.session.assign("speed", 2)
    cell = "while session.model.speed == 1:\n    session.step()\nlog.append('cell ends')"
    notebook.run(cell, "long").raise_error()
    await until(lambda: log[-1] == 2)
    assert log == [1, "cell ends", 2]


async def test_running_the_cell_again_replaces_it(notebook):
    notebook.live("print('old', session.model.speed)")
    notebook.live("print('new', session.model.speed)")
    assert len(notebook.session.bindings) == 1
    notebook.live("print('other', session.model.speed)", "another cell")
    assert len(notebook.session.bindings) == 2
    await changed(notebook, "speed", 2)
    await until(lambda: notebook.text == "old 1\nnew 2\nother 2")
    notebook.run("'no longer live'")
    assert len(notebook.session.bindings) == 1


async def test_a_deleted_cell_ends(notebook):
    notebook.live("print(session.model.speed)", "c1")
    notebook.live("print(session.model.speed)", "c2")

    class Kernel:
        def get_parent(self) -> dict[str, Any]:
            return {"metadata": {"cellId": "c3", "deletedCells": ["c1", "c9"]}}

    notebook.shell.kernel = Kernel()
    notebook.run("1", "c3")
    del notebook.shell.kernel
    assert len(notebook.session.bindings) == 1


async def test_it_stands_still_when_the_session_is_left(notebook):
    notebook.shell.user_ns["log"] = log = []
    notebook.live("log.append(session.model.now())")
    await until(lambda: len(log) > 2)
    await notebook.session.leave()
    await until(lambda: not is_asked(notebook))
    count = len(log)
    notebook.session.bindings.look()
    assert not is_asked(notebook)
    assert len(log) == count
    assert "has been left" in str(notebook.run("%%live session\n1").error_in_exec)


async def test_it_goes_on_with_edited_code(notebook):
    notebook.live("print(session.model.speed)")
    (cell,) = notebook.session.bindings
    await notebook.session.follow(EditedStudio)
    await until(lambda: notebook.text == "4")
    await changed(notebook, "speed", 6)
    await until(lambda: notebook.text == "6")
    assert list(notebook.session.bindings) == [cell]


async def test_it_goes_on_when_the_extension_is_loaded_again(notebook):
    notebook.live("print(session.model.speed)")
    load = "import msq_jupyter\nfor do in (msq_jupyter.unload_ipython_extension, msq_jupyter.load_ipython_extension):\n"
    notebook.run(f"{load}    do(get_ipython())", "load").raise_error()
    await changed(notebook, "speed", 3)
    await until(lambda: notebook.text == "3")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nothing", "expected a session, as in %%live session, got nothing: name 'nothing' is not defined"),
        ("3", "expected a session, as in %%live session, got 3, a int"),
    ],
)
async def test_what_is_no_session_is_named(notebook, capsys, line, message):
    notebook.run(f"%%live {line}\n1")
    assert message in capsys.readouterr().err


async def test_without_a_name_it_takes_the_session_called_session(notebook):
    notebook.run("%%live\nprint(session.model.speed)").raise_error()
    assert notebook.text == "1"


@pytest.mark.parametrize("code", ["await x", "1 +"])
async def test_code_that_cannot_run_is_refused_at_once(notebook, capsys, code):
    assert isinstance(notebook.run(f"%%live session\n{code}").error_in_exec, SyntaxError)
    assert len(notebook.session.bindings) == 0


async def test_a_figure_of_matplotlib_is_shown_and_closed(notebook):
    notebook.shell.enable_gui = lambda *_: None  # as in a kernel
    notebook.run("%matplotlib inline", "setup").raise_error()
    notebook.live(
        "import matplotlib.pyplot as plt\n"
        "plt.bar(list(session.model.votes), session.model.votes.values())\nplt.ylim(0, 10);"
    )
    (first,) = notebook.outputs.values()
    assert len(first[PNG]) > 1000
    assert pyplot.get_fignums() == []
    await changed(notebook, "votes.yes", 7)
    await until(lambda: next(iter(notebook.outputs.values())) != first)
    assert pyplot.get_fignums() == []
    assert len(notebook.outputs) == 1


async def test_plots_of_plotly_are_shown(notebook):
    plotly.io.renderers.default = "plotly_mimetype"
    notebook.shell.user_ns["go"] = plotly.graph_objects
    notebook.live("go.Figure(go.Bar(y=list(session.model.votes.values()))).update_layout(height=220)")

    def heights() -> Any:
        (data,) = notebook.outputs.values()
        return json.loads(json.dumps(data["application/vnd.plotly.v1+json"]))["data"][0]["y"]

    assert heights() == [0, 0]
    updates: list[Any] = []
    publish = notebook.shell.display_pub.publish
    notebook.shell.display_pub.publish = lambda data, *args, **rest: (
        updates.append(data),
        publish(data, *args, **rest),
    )
    await changed(notebook, "votes.yes", 7)
    await until(lambda: heights() == [7, 0])
    # Plotly's part of JupyterLab draws a figure once: it has to be a new place, and of the same height meanwhile.
    assert [list(data) for data in updates] == [["text/html"], ["application/vnd.plotly.v1+json"]]
    assert "height: 220px" in updates[0]["text/html"]


async def test_charts_of_altair_are_shown(notebook):
    altair.renderers.enable("mimetype")
    notebook.shell.user_ns["alt"] = altair
    notebook.live(
        "alt.Chart(alt.Data(values=[{'n': n, 'c': c} for n, c in session.model.votes.items()]))"
        ".mark_bar().encode(x='n:N', y='c:Q')"
    )

    def values() -> Any:
        (data,) = notebook.outputs.values()
        (mime,) = [mime for mime in data if mime.startswith("application/vnd.vegalite")]
        return [one["c"] for one in data[mime]["data"]["values"]]

    assert values() == [0, 0]
    await changed(notebook, "votes.yes", 7)
    await until(lambda: values() == [7, 0])


@pytest.mark.parametrize(
    ("code", "first", "last"),
    [
        ("print(session.model.speed, session.model.votes)", 20, 1020),
        ("fig, ax = plt.subplots(figsize=(1, 1), dpi=30)\nax.set_axis_off()\nax.plot([0, 1]);", 60, 160),
    ],
    ids=["text", "figure"],
)
async def test_runs_leave_as_many_objects_as_a_few(notebook, code, first, last):
    notebook.shell.enable_gui = lambda *_: None  # as in a kernel
    notebook.shell.user_ns["plt"] = pyplot
    notebook.run("%matplotlib inline", "setup").raise_error()
    notebook.live(code)
    (live,) = notebook.session.bindings
    notebook.shell.display_pub.publish = lambda *_, **__: None
    for run in range(last):
        live._run(in_a_cell=True)
        if run + 1 == first:
            notebook.session.step()
            few = kinds()
    notebook.session.step()
    assert grown(few, 20) == {}


async def test_running_the_cell_a_thousand_times_leaves_as_many_objects_as_once(notebook):
    notebook.shell.display_pub.publish = lambda *_, **__: None
    for run in range(1020):
        notebook.live("print(session.model.speed)")
        if run == 19:
            notebook.session.step()
            few = kinds()
    notebook.session.step()
    assert len(notebook.session.bindings) == 1
    assert grown(few, 20) == {}


async def test_what_other_threads_print_and_display_meanwhile_is_not_the_cells(notebook, capsys):
    before = notebook.shell.display_pub

    def other() -> None:
        print("from elsewhere")
        assert notebook.shell.display_pub is before
        notebook.shell.display_pub.publish({"text/plain": "shown elsewhere"}, {})

    def aside() -> None:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    notebook.shell.user_ns["aside"] = aside
    notebook.live("aside()\nprint(session.model.speed)\ndisplay('own')")
    assert notebook.text == "shown elsewhere\n1\n'own'"
    assert "from elsewhere" in capsys.readouterr().out


async def test_a_display_that_is_updated_inside_is_updated(notebook):
    notebook.run("handle = display('a', display_id='mine')", "other")
    notebook.live("handle.update(session.model.speed)")
    assert notebook.text == "1"
