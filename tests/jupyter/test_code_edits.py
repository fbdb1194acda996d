"""Cells that run again and cells that edit the code of a live session, in real IPython shells."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from msq_jupyter.errors import CodeEditRefused
from msq_jupyter.session.session import SessionCore
from tests.conftest import SynchronizerThread
from tests.jupyter.conftest import Notebook
from tests.objects import grown, kinds
from tests.waiting import until
from tests.widgets.test_panel import Browser

MODEL = """\
from msq_jupyter import Model
class Counter(Model):
    def init(self, options, persisted=None):
        self.count = persisted["count"] if persisted else 0
        self.subscribe("counter", "add", self.add)
    def add(self, amount):
        self.count += amount
        self.persist_session({"version": 1, "count": self.count})
        self.publish("counter", "changed", self.count)
"""
EDITED = MODEL.replace("self.count += amount", "self.count += 10 * amount").replace('"version": 1', '"version": 2')
BROKEN = MODEL.replace('persisted["count"] if persisted', 'persisted["amount"] if persisted')


def join_cell(url: str, **arguments: Any) -> str:
    given = {"app_id": "test", "name": "room", "password": "pw", "synchronizer": url, **arguments}
    return (
        "from msq_jupyter import Session\nsession = await Session.join(model=Counter, "
        + ", ".join(f"{name}={value!r}" for name, value in given.items())
        + ")"
    )


@pytest.fixture
async def opened(notebook: Callable[[], Notebook], synchronizer: SynchronizerThread) -> Any:
    """Opens a notebook that has joined."""
    async with AsyncExitStack() as stack:

        async def open_and_join(model: str = MODEL, **arguments: Any) -> tuple[Notebook, str]:
            page = notebook()
            cell = join_cell(synchronizer.url, **arguments)
            await page.run(model, "model")
            await page.run(cell, "join")
            stack.push_async_callback(page["session"].leave)
            return page, cell

        yield open_and_join


# --- edits -------------------------------------------------------------------------------------------------------


async def test_an_unchanged_cell_that_runs_again_changes_nothing(opened, capsys):
    ada, cell = await opened()
    before = ada["session"]
    await ada.run("# a remark\n" + MODEL, "model")
    await ada.run(cell, "join")
    assert ada["session"] is before
    assert before.edit is None
    assert capsys.readouterr().out == ""


async def test_an_edit_is_tried_out_and_waits_until_it_is_followed(opened, capsys):
    ada, _ = await opened()
    session, old_id = ada["session"], ada["session"].id
    session.publish("counter", "add", 1)
    await session.saved()
    await ada.run(EDITED, "model")
    assert capsys.readouterr().out == "room: Counter was edited: trying the new code out …\n"
    await until(lambda: session.edit.state == "ready")
    await until(lambda: "by %msq follow" in capsys.readouterr().out)
    assert session.id == old_id
    hooks = len(session.frame_hooks)
    await session.follow()
    assert ada["session"] is session
    assert session.edit is None
    assert "room: goes on with the edited Counter\n" in capsys.readouterr().out
    assert len(session.frame_hooks) == hooks - 1
    session.publish("counter", "add", 1)
    await session.synced()
    assert session.model.count == 11


async def test_with_follow_it_is_followed_at_once(opened, capsys):
    ada, _ = await opened(on_code_edit="follow")
    session, old_id = ada["session"], ada["session"].id
    heard: list[int] = []
    ada.shell.user_ns["heard"] = heard
    await ada.run('session.subscribe("counter", "changed", heard.append)')
    await ada.run(EDITED, "model")
    await until(lambda: session.id != old_id and session.is_live)
    await until(lambda: "goes on with the edited Counter, which loads the data" in capsys.readouterr().out)
    await ada.run('session.publish("counter", "add", 2)\nawait session.synced()')
    await until(lambda: heard == [20])


async def test_with_stay_nothing_happens_not_even_when_the_join_cell_runs_again(opened, capsys):
    ada, cell = await opened(on_code_edit="stay")
    session, old_id = ada["session"], ada["session"].id
    await ada.run(EDITED, "model")
    await ada.run(cell, "join")
    assert ada["session"] is session
    assert session.id == old_id
    assert session.edit is None
    assert capsys.readouterr().out == ""


async def test_code_that_cannot_load_the_data_changes_nothing_and_says_why(opened, capsys):
    ada, cell = await opened(on_code_edit="follow")
    session, old_id = ada["session"], ada["session"].id
    session.publish("counter", "add", 1)
    await session.saved()
    await ada.run(BROKEN, "model")
    await until(lambda: session.edit is not None and session.edit.state == "refused")
    await until(lambda: "the data there is now cannot be loaded: KeyError: 'amount'" in capsys.readouterr().out)
    with pytest.raises(CodeEditRefused, match=r"KeyError: 'amount' \(in Counter\.init, cell line 4\)"):
        await ada.run(cell, "join")
    assert session.id == old_id
    assert session.model.count == 1
    await ada.run(MODEL, "model")
    assert session.edit is None


async def test_what_fails_unexpectedly_is_told_below_the_cell_and_other_sessions_are_looked_at(opened, capsys, caplog):
    ada, cell = await opened()
    first = ada["session"]
    await ada.run(cell.replace("session =", "other =").replace("'room'", "'other'"), "another")

    def fails(*_: object) -> None:
        raise LookupError("what nobody thought of")

    first.look_for_edit = fails
    ada["other"].try_out = fails
    await ada.run(EDITED, "model")
    del first.look_for_edit
    said: list[str] = []
    await until(lambda: said.append(capsys.readouterr().out) or "was not tried out: what nobody" in "".join(said))
    assert "room: the edited code cannot be used: what nobody thought of\n" in "".join(said)
    assert "other: the edited code was not tried out: what nobody thought of\n" in "".join(said)
    assert caplog.text.count("LookupError: what nobody thought of") == 2
    await ada["other"].leave()


async def test_an_edit_that_is_undone_or_edited_again_says_so(opened, capsys):
    ada, _ = await opened()
    session = ada["session"]
    for cell, said in ((MODEL, "the edit of Counter was undone"), (BROKEN, "Counter was edited again")):
        await ada.run(EDITED, "model")
        await until(lambda: "by %msq follow" in capsys.readouterr().out)
        await ada.run(cell, "model")
        await until(lambda said=said: said in capsys.readouterr().out)
    await until(lambda: session.edit.state != "checking")


async def test_a_helper_and_a_constant_count(opened):
    ada, _ = await opened("STEP = 2\ndef step():\n    return STEP\n" + MODEL.replace("+= amount", "+= step()"))
    session = ada["session"]
    await ada.run("STEP = 3", "constant")
    assert session.edit is not None
    await ada.run("STEP = 2", "constant")
    assert session.edit is None
    await ada.run("def step():\n    return 5", "helper")
    assert session.edit is not None


async def test_running_the_join_cell_again_follows_the_edit(opened):
    ada, cell = await opened()
    session, old_id = ada["session"], ada["session"].id
    await ada.run(EDITED, "model")
    await ada.run(cell, "join")
    assert ada["session"] is session
    assert session.id != old_id
    await ada.run(MODEL, "model")
    await ada.run(cell, "join")
    assert session.id == old_id


async def test_after_one_edit_that_is_followed_everything_a_cell_made_goes_on(opened):
    ada, cell = await opened()
    session, shell = ada["session"], ada.shell
    shell.user_ns.update(told=[], seen=[], heard=[], shown=[])
    made = {
        "panel": "panel = session.panel()",
        "link": (
            "import traitlets\nclass Slider(traitlets.HasTraits):\n    value = traitlets.Int(0)\n"
            'slider = Slider()\nlink = session.link((slider, "value"), "count")'
        ),
        "observer": 'observer = session.observe("count", lambda change: seen.append(change.new))',
        "subscription": 'session.subscribe("counter", "changed", heard.append)',
        "live": "%%live session\nshown.append(session.model.count)",
    }
    for cell_id, source in made.items():
        await ada.run(source, cell_id)
    panel, code = ada["panel"], session.code_hash
    browser = Browser(panel)

    async def shows(count: int) -> None:
        await until(lambda: ada["slider"].value == count and ada["shown"][-1] == count)
        rows = (await browser.ask("tree", start=0, count=20))["rows"]
        assert f"count {count}" in [f"{row['name']} {row['preview']}" for row in rows]

    session.publish("counter", "add", 1)
    await session.saved()
    await shows(1)
    await ada.run(EDITED, "model")
    await ada.run(cell, "join")
    assert session.code_hash != code
    await until(lambda: panel.code == session.code_hash[:8])
    session.publish("counter", "add", 1)
    await session.synced()
    stamp = panel.model_stamp
    await shows(11)  # it asks, so that it is told when that is another
    assert ada["heard"] == [1, 11]
    assert ada["seen"] == [1, 11]
    assert session.panel() is panel
    ada["slider"].value = 20
    await until(lambda: session.model.count == 20 and ada["seen"] == [1, 11, 20] and panel.model_stamp > stamp)
    await shows(20)


async def test_5_7_two_kernels_one_edits_the_other_adopts_and_both_undo(opened):
    ada, _ = await opened(view_data={"name": "Ada"}, on_code_edit="follow")
    ben, cell = await opened(view_data={"name": "Ben"})
    first, second = ada["session"], ben["session"]
    assert first is not second
    assert first.id == second.id
    first.publish("counter", "add", 1)
    await first.saved()
    await ada.run(EDITED, "model")
    await until(lambda: first.id != second.id and first.is_live)
    await until(lambda: second.others)
    assert second.notice.startswith("Ada runs newer code of this model")
    assert "+        self.count += 10 * amount" in (await second.source_diff("Ada")).lines
    await ben.run(EDITED, "model")
    await ben.run(cell, "join")
    assert first.id == second.id
    first.publish("counter", "add", 1)
    await first.saved()
    await until(lambda: second.model.count == 11)
    await ben.run(MODEL, "model")
    await second.follow()
    await ada.run(MODEL, "model")
    await until(lambda: first.id == second.id and first.is_live)
    assert first.model.count == 11
    assert second.model.count == 11


# --- cells that run again ----------------------------------------------------------------------------------------


async def test_a_thousand_runs_of_the_join_cell_leave_as_much_as_one(opened):
    ada, cell = await opened()
    session, loop = ada["session"], asyncio.get_running_loop()
    cell += '\nsession.subscribe("counter", "changed", lambda data: None)'

    def counted() -> tuple[int, int, int]:
        gc.collect()
        sessions = sum(isinstance(thing, SessionCore) and thing.loop is loop for thing in gc.get_objects())
        return len(session.participants), sessions, len(session.view_events.topics)

    await ada.run(cell, "join")
    before = counted()
    assert before == (1, 1, 1)
    for _ in range(1000):
        await ada.run(cell, "join")
    assert ada["session"] is session
    assert counted() == before
    session.step()
    few = kinds()
    for _ in range(200):
        await ada.run(cell, "join")
    session.step()
    assert grown(few, 20) == {}


async def test_a_cell_that_runs_again_replaces_its_subscriptions_and_no_others(opened):
    ada, _ = await opened()
    heard: list[str] = []
    ada.shell.user_ns["heard"] = heard
    await ada.run('session.subscribe("counter", "changed", lambda _: heard.append("other"))', "other")
    for word in ("first", "second"):
        await ada.run(f'session.subscribe("counter", "changed", lambda _: heard.append("{word}"))', "same")
    await ada.run('session.publish("counter", "add", 1)\nawait session.synced()')
    await until(lambda: len(heard) >= 2)
    assert heard == ["other", "second"]


async def test_a_cell_that_runs_again_replaces_its_links(opened):
    ada, _ = await opened()
    session = ada["session"]
    cell = (
        "import traitlets\nclass Slider(traitlets.HasTraits):\n    value = traitlets.Int(0)\n"
        'slider = Slider()\nlink = session.link((slider, "value"), "count")'
    )
    await ada.run(cell, "widgets")
    hooks = len(session.frame_hooks)
    first = ada["slider"]
    for _ in range(20):
        await ada.run(cell, "widgets")
    assert len(session.frame_hooks) == hooks
    ada["slider"].value = 5
    await session.synced()
    assert session.model.count == 5
    assert first.value == 0


async def test_a_cell_that_fails_before_it_subscribes_keeps_what_it_had(opened):
    ada, _ = await opened()
    session = ada["session"]
    await ada.run('session.subscribe("counter", "changed", print)', "same")
    with pytest.raises(ZeroDivisionError):
        await ada.run('1 / 0\nsession.subscribe("counter", "changed", print)', "same")
    assert len(session.view_events.topics) == 1
    await ada.run("None", "same")
    assert len(session.view_events.topics) == 0


async def test_two_notebooks_in_one_process_keep_their_sessions_apart(opened):
    ada, cell = await opened()
    ben, _ = await opened()
    assert ada["session"] is not ben["session"]
    await ada.run(cell, "join")
    assert len(ada["session"].participants) == 2


async def test_another_argument_is_another_session_and_the_replaced_one_is_left(opened):
    ada, cell = await opened()
    first = ada["session"]
    await ada.run(cell.replace(")", ", view_data={'name': 'Ada'})"), "join")
    assert ada["session"] is not first
    await until(lambda: first.link_state == "closed")
    await ada["session"].leave()


async def test_a_session_that_was_left_is_joined_anew(opened):
    ada, cell = await opened()
    first = ada["session"]
    await first.leave()
    await ada.run(cell, "join")
    assert ada["session"] is not first
    await ada["session"].leave()
