"""`%msq` in a real IPython shell, against a real synchronizer."""

from __future__ import annotations

import getpass
import logging
import shlex
from collections.abc import Callable
from typing import Any

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError

from msq_jupyter.jupyter.commands import COMMANDS
from msq_jupyter.jupyter.magics import MAGIC, Magics
from tests.conftest import SynchronizerThread
from tests.jupyter.conftest import Notebook
from tests.jupyter.test_code_edits import BROKEN, EDITED, MODEL
from tests.waiting import until


@pytest.fixture
async def ada(notebook: Callable[[], Notebook], synchronizer: SynchronizerThread) -> Any:
    """A notebook that has joined with the magic."""
    page = notebook()
    await page.run(MODEL, "model")
    session = await page.run(
        f"%msq join --app test --name room --password pw --synchronizer {synchronizer.url}", "join"
    )
    assert session is page["session"]
    yield page
    await session.leave()


async def test_joining_again_gives_the_same_session(ada, synchronizer):
    before = ada["session"]
    cell = f"%msq join --app test --name room --password pw --synchronizer {synchronizer.url}"
    assert await ada.run(cell, "join") is before
    assert ada["session"] is before


async def test_a_password_is_asked_for_once_and_is_not_in_the_cell(notebook, synchronizer, monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr(getpass, "getpass", lambda prompt: asked.append(prompt) or "secret")
    ada = notebook()
    await ada.run(MODEL, "model")
    cell = f"%msq join --app test --name room --password --synchronizer {synchronizer.url}"
    session = await ada.run(cell, "join")
    assert session.given.password == "secret"
    assert await ada.run(cell, "join") is session
    assert asked == ["Password of room: "]
    await session.leave()


async def test_the_line_and_the_link_of_an_invitation_let_somebody_in(ada, notebook):
    invitation = await ada.run("%msq invite --with-password")
    ben, eve = notebook(), notebook()
    for page, line in ((ben, invitation.line), (eve, f"%msq join {shlex.quote(invitation.link)} --variable s")):
        await page.run(MODEL, "model")
        await page.run(line, "join")
    await until(lambda: len(ada["session"].participants) == 3)
    for session in (ben["session"], eve["s"]):
        await session.leave()


async def test_the_address_of_a_jupyter_server_stands_in_place_of_a_link(notebook):
    ben = notebook()
    await ben.run(MODEL, "model")
    line = "%msq join http://127.0.0.1:9/user/ada/lab/tree/x.ipynb?token=secret --app test --name room --password pw"
    with pytest.raises(UsageError, match=r"no synchronizer answers at http://127.0.0.1:9/user/ada/msq \(") as caught:
        await ben.run(line, "join")
    assert "check the URL, and whether that Jupyter server runs" in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_an_invitation_shows_no_password_unless_asked(ada):
    invitation = await ada.run("%msq invite")
    shown = repr(invitation) + invitation._repr_html_()
    assert "pw" not in shown.replace("password", "")
    assert invitation.line.endswith("--password")
    assert "<svg" in invitation._repr_html_()
    assert "The password is not in here" in shown


async def test_versions_diff_restore_and_check(ada, capsys):
    for amount in (1, 2):
        ada["session"].publish("counter", "add", amount)
        await ada["session"].saved()
    assert [version.number for version in await ada.run("%msq versions")] == [1, 2]
    assert (await ada.run("found = %msq diff v1 2")) is None
    assert ada["found"].title == "version 1 → version 2: 1 changed"
    assert (await ada.run("%msq diff 1")).title == "version 1 → now: 1 changed"
    assert (await ada.run("%msq check")).ok
    assert [row.number for row in await ada.run("%msq check 2 --model Counter")] == [2]
    assert await ada.run("%msq restore 1") is None
    assert ada["session"].model.count == 1


async def test_follow_goes_on_with_edited_code(ada, capsys):
    old_id = ada["session"].id
    await ada.run(EDITED, "model")
    report = await ada.run("%msq follow")
    assert report.ok
    assert ada["session"].id != old_id
    ada["session"].publish("counter", "add", 1)
    await ada["session"].saved()
    await ada.run(BROKEN, "model")
    with pytest.raises(UsageError, match="%msq follow: Counter was edited: the data there is now cannot be loaded"):
        await ada.run("%msq follow")


async def test_status_people_synchronizer_and_doctor(ada, synchronizer, capsys):
    assert (await ada.run("%msq status")).link_state == "live"
    capsys.readouterr()
    await ada.run("%msq people")
    assert capsys.readouterr().out.endswith(" (you)\n")
    await until(lambda: ada["session"].latency_ms >= 0)
    await ada.run("%msq synchronizer")
    assert capsys.readouterr().out.startswith(f"{synchronizer.url}, ")
    diagnosis = await ada.run("%msq doctor")
    assert f"{synchronizer.url} answers after" in repr(diagnosis)


async def test_panel_shows_the_panel_of_the_session(ada):
    assert await ada.run("%msq panel") is ada["session"].panel()
    assert await ada.run("%msq panel --session session") is ada["session"].panel()


async def test_debug_shows_the_log_and_hides_it_again(ada):
    logger = logging.getLogger("msq_jupyter")
    await ada.run("%msq debug session state")
    try:
        assert [handler for handler in logger.handlers if isinstance(handler, logging.StreamHandler)]
        assert ada["session"]._mistakes.always_check
    finally:
        await ada.run("%msq debug")
    assert not [handler for handler in logger.handlers if isinstance(handler, logging.StreamHandler)]
    assert not ada["session"]._mistakes.always_check
    with pytest.raises(UsageError, match=r"%msq debug: debug: expected words of \['session', 'state'\], got \['all'\]"):
        await ada.run("%msq debug all")


async def test_leave_leaves(ada):
    await ada.run("%msq leave")
    assert ada["session"].link_state == "closed"
    with pytest.raises(UsageError, match="there is no open session in this notebook: %msq join"):
        await ada.run("%msq status")


# --- lines -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("%msq jion", "%msq: expected one of join, leave, .*; got jion"),
        ("%msq join --nmae x", "%msq join: unrecognized arguments: --nmae; %msq join --help says more"),
        ("%msq restore x", "argument N: expected the number of a version, or \"now\", got 'x'"),
        ("%msq restore now", "expected the number of a version, got 'now'"),
        ("%msq diff", "the following arguments are required: A"),
        ("%msq join 'https://h/join'", "expected a link such as https://host:port/join#"),
        ("%msq join --name 'x", "No closing quotation"),
        ("%msq join --app test", "expected a link, or --app and --name; --name is missing"),
        ("%msq join --app a --name b", "--model: expected a subclass of Model, whose cell has to be run before"),
        ("%msq status --session nobody", "--session: expected a session that is open, got nobody"),
    ],
)
async def test_a_line_that_says_nothing_sensible_is_told_what_is(notebook, line, message):
    with pytest.raises(UsageError, match=message):
        await notebook().run(line)


@pytest.mark.parametrize("name", COMMANDS)
async def test_each_command_has_help_and_it_names_its_options(notebook, capsys, name):
    await notebook().run(f"%msq {name} --help")
    out = capsys.readouterr().out
    assert out.startswith(f"usage: %msq {name}")
    for flags, _ in COMMANDS[name].arguments:
        if flags[0].startswith("--"):
            assert flags[0] in out


async def test_the_overview_names_every_command(notebook, capsys):
    await notebook().run("%msq")
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in COMMANDS)


async def test_commands_are_awaited_wherever_await_may_stand(ada, capsys):
    await ada.run(
        "import asyncio\né = %msq status\nfor _ in range(1):\n    second = %msq status\nawait asyncio.sleep(0)\n"
    )
    assert ada["é"].link_state == ada["second"].link_state == "live"


async def test_inside_of_a_function_a_command_goes_on_by_itself_and_is_shown_later(ada, capsys):
    await ada.run("def look():\n    %msq status\n    %msq restore 99\nlook()")
    await until(lambda: "link_state='live'" in capsys.readouterr().out)


async def test_a_command_that_fails_in_a_function_is_told(ada, capsys):
    await ada.run("def look():\n    %msq restore 99\nlook()")
    await until(lambda: "expected a saved version, and there is none yet, got 99" in capsys.readouterr().out)


async def test_braces_and_dollars_stay_what_they_are(ada, monkeypatch):
    ada.shell.user_ns["pw"] = "expanded"
    with pytest.raises(UsageError, match=r"--session: expected session, got \$pw\{pw\}"):
        await ada.run("%msq status --session '$pw{pw}'")


def test_loading_twice_and_unloading_leaves_no_trace(notebook):
    import msq_jupyter

    shell = notebook().shell
    msq_jupyter.load_ipython_extension(shell)
    assert MAGIC in shell.magics_manager.magics["line"]
    msq_jupyter.unload_ipython_extension(shell)
    assert MAGIC not in shell.magics_manager.magics["line"]
    assert shell.Completer.custom_matchers == []
    assert not [t for t in shell.input_transformers_post if isinstance(getattr(t, "__self__", None), Magics)]
    assert shell.transform_cell("%msq status") == "get_ipython().run_line_magic('msq', 'status')\n"
    msq_jupyter.load_ipython_extension(shell)


# --- completion --------------------------------------------------------------------------------------------------


async def test_tab_completes_commands_options_and_what_they_take(ada):
    def offered(line: str) -> list[str]:
        with provisionalcompleter():
            return [completion.text for completion in ada.shell.Completer.completions(line, len(line))]

    ada.shell.user_ns["pages"] = ada.shell.user_ns["versus"] = 1
    assert offered("%msq ") == list(COMMANDS)
    assert offered("x = 1\n%msq ve") == ["versions"]
    assert offered("found = %msq ve") == ["versions"]
    assert offered("%msq panel --s") == ["--session"]
    assert offered("%msq panel --") == ["--help", "--session"]
    assert offered("%msq join --pa") == ["--password"]
    assert "pages" in offered("pa")
    assert offered("%msq join --on-code-edit f") == ["follow"]
    assert offered("%msq status --session s") == ["session"]
    assert offered("%msq join --model C") == ["Counter"]
    assert offered("%msq debug st") == ["state"]


async def test_save_saves_what_is_there_under_a_name(notebook, synchronizer, capsys):
    page = notebook()
    await page.run(
        MODEL.replace(
            "self.persist_session", "self.save()\n    def save(self):\n        self.persist_session", 1
        ).replace('        self.publish("counter", "changed", self.count)\n', ""),
        "model",
    )
    session = await page.run(f"%msq join --app test --name room --password pw --synchronizer {synchronizer.url}")
    await page.run("%msq save 'the first'")
    assert capsys.readouterr().out.endswith("saved as version 1\n")
    assert [version.label for version in await session.versions()] == ["the first"]
    await session.leave()
