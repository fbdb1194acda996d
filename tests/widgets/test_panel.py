"""The Python half of the panel, between a real session and a comm that the test plays the browser on."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from msq_jupyter import Model, Session
from msq_jupyter.errors import WrongPassword
from msq_jupyter.widgets import panel_requests
from msq_jupyter.widgets.presence import Presence
from tests.conftest import SynchronizerThread
from tests.session import models
from tests.session.models import Counter, EditedCounter
from tests.waiting import until

CONTRACT = Path(__file__).parents[2] / "js" / "src" / "messages.ts"


class Silent(Model):
    def init(self, options):
        self.count = 0  # nobody calls persist_session


class Board(Model):
    def init(self, options, persisted=None):
        self.a, self.b = (persisted["a"], persisted["b"]) if persisted else (0, 0)
        self.subscribe("board", "set", self.set)

    def set(self, values):
        self.a, self.b = values["a"], values["b"]
        self.save()

    def save(self):
        self.persist_session(lambda: {"version": 1, "a": self.a, "b": self.b})


class Browser:
    """One browser in front of one panel, or badge."""

    def __init__(self, panel: Presence, name: str = "chrome") -> None:
        self.panel = panel
        self.name = name
        self.updates: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []
        self.asked = 0
        panel.comm.publish_msg = self._receive

    def _receive(self, _: str, data: Any = None, **rest: Any) -> None:
        if data["method"] == "custom":
            self.answers.append(data["content"])
        elif data["method"] == "update":
            self.updates.append(data["state"])

    def send(self, content: Any) -> None:
        message = {"content": {"data": {"method": "custom", "content": content}}, "buffers": []}
        self.panel._handle_msg(message)

    async def ask(self, kind: str, **question: Any) -> Any:
        self.asked += 1
        asked = self.asked
        self.send({"ask": kind, "client": self.name, "id": asked, **question})
        answers = self.answers
        await until(lambda: any(answer["id"] == asked and answer["client"] == self.name for answer in answers))
        answer = next(one for one in answers if one["id"] == asked and one["client"] == self.name)
        return answer["answer"] if answer["ok"] else answer["error"]


@pytest.fixture
async def join(synchronizer: SynchronizerThread) -> AsyncIterator[Callable[..., Any]]:
    async with AsyncExitStack() as stack:

        async def join(name: str = "Ada", **arguments: Any) -> Session:
            given = {"app_id": "test", "name": "panel", "password": "pw", "persist_interval_ms": 0, **arguments}
            session = await Session.join(
                **{"model": Counter, "view_data": {"name": name}, "synchronizer": synchronizer.url, **given}
            )
            return await stack.enter_async_context(session)

        yield join


async def saved(session: Session, *amounts: int) -> None:
    for amount in amounts:
        session.publish("counter", "add", amount)
        await session.saved()


# --- the contract ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not CONTRACT.is_file(), reason="the browser sources are not here: an installed package")
def test_the_browser_asks_the_same_questions():
    source = CONTRACT.read_text(encoding="utf-8")
    tables = "".join(re.findall(r"interface (?:Listings|Actions) \{(.*?)\n\}", source, re.DOTALL))
    kinds = re.findall(r'^  "?([a-z][a-z ]*)"?: \{', tables, re.MULTILINE)
    tags = [kind.__struct_config__.tag for kind in panel_requests.AnyRequest.__args__]
    assert sorted(kinds) == sorted(tags)


async def test_every_style_rule_starts_with_the_root_class(join):
    css = re.sub(
        r"@keyframes[^{]*\{(?:[^{}]*\{[^{}]*\})*\}|/\*.*?\*/", "", str((await join()).panel()._css), flags=re.S
    )
    selectors = [one.strip() for group in re.findall(r"([^{}@;]+)\{", css) for one in group.split(",")]
    rules = [one for one in selectors if not one.startswith(("container", "media", "("))]
    assert rules
    assert [one for one in rules if not one.startswith((".msq-presence", ".msq-panel"))] == []


# --- state -------------------------------------------------------------------------------------------------------


async def test_a_session_has_one_panel_that_shows_how_it_is_doing(join):
    ada = await join()
    panel = ada.panel()
    assert ada.panel() is panel
    await join("Ben")
    await saved(ada, 1)
    await until(lambda: panel.saved_state == "saved" and len(panel.people) == 2)
    assert [person["label"] for person in panel.people] == ["Ada", "Ben"]
    assert panel.saved_number == ada.status.saved_number
    assert (panel.name, panel.model_name, panel.code, panel.has_hook) == ("panel", "Counter", ada.code_hash[:8], True)
    assert panel.others == []
    assert "panel" in dir(ada)


async def test_a_model_that_saves_nothing_is_known(join):
    assert not (await join(model=Silent)).panel().has_hook


async def test_whoever_runs_other_code_is_named_and_explained(join):
    ada = await join()
    browser = Browser(ada.panel())
    ben = await join("Ben", model=Silent)
    await until(lambda: ada.panel().others)
    assert ada.panel().others == [{"view_id": ben.view_id, "label": "Ben", "differs_in": "other code"}]
    sentences = (await browser.ask("explain", view_id=ben.view_id))["sentences"]
    assert any("Counter" in sentence for sentence in sentences)


async def test_many_changes_are_few_messages_each_whole_and_numbered(join, monkeypatch):
    ada = await join()
    panel = ada.panel()
    browser = Browser(panel)
    writer = ada._writer
    writer.write()
    await until(lambda: not writer._timer_set)
    first = panel.seq
    monkeypatch.setattr("msq_jupyter.widgets.writer.RATE_PER_S", 1 / 3_600)
    browser.updates.clear()
    for number in range(3):
        for repeat in range(100):
            ada._mistakes.notice = f"{number} {repeat}"
            ada._look_again()
        assert len(browser.updates) == number
        writer._write_late()  # the time has come
    assert [(update["seq"], update["notice"]) for update in browser.updates] == [
        (first + 1, "0 99"),
        (first + 2, "1 99"),
        (first + 3, "2 99"),
    ]


async def test_a_stamp_moves_once_for_each_time_somebody_asks(join):
    ada = await join()
    panel, browser = ada.panel(), Browser(ada.panel())
    await saved(ada, 1)
    await asyncio.sleep(0.1)
    assert (panel.model_stamp, panel.versions_stamp) == (0, 0)
    await browser.ask("tree", count=10)
    await saved(ada, 1, 1, 1)
    await until(lambda: panel.model_stamp == 1)
    assert panel.versions_stamp == 0
    await browser.ask("versions", count=10)
    await saved(ada, 1)
    await until(lambda: panel.versions_stamp == 1)
    assert panel.model_stamp == 1


async def test_what_a_browser_writes_is_ignored(join):
    panel = (await join()).panel()
    panel._handle_msg(
        {"content": {"data": {"method": "update", "state": {"name": "x", "_esm": "evil()"}}}, "buffers": []}
    )
    assert panel.name == "panel"
    assert "evil" not in str(panel._esm)


async def test_the_end_of_a_session_is_shown(join):
    ada = await join()
    panel = ada.panel()
    await ada.leave()
    assert panel.link_state == "closed"
    assert panel.people == []
    ben = await join("Ben")
    ben.panel()
    ben._fail(WrongPassword("the name is in use with another password"))
    assert ben.panel().link_state == "failed"
    assert (ben.panel().error_type, ben.panel().error) == ("WrongPassword", "the name is in use with another password")


async def test_the_snapshot_holds_no_secret_and_no_markup_of_others(join):
    ada = await join(name="<b>Ada</b>")
    await saved(ada, 1)
    ada.panel()._repr_mimebundle_()
    await until(lambda: ada.panel().saved_state == "saved")
    data, _ = ada.panel()._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == ada.panel().model_id
    assert "run this cell again" in data["text/html"]
    assert "&lt;b&gt;Ada&lt;/b&gt;" in data["text/html"]
    assert "pw" not in data["text/html"] + data["text/plain"]


async def test_the_panel_below_the_badge_is_at_the_same_desk(join):
    ada = await join()
    badge, browser, other = ada.badge(), Browser(ada.badge()), Browser(ada.panel(), "firefox")
    await saved(ada, 1, 2, 3)
    await browser.ask("checked", count=5)
    await other.ask("check", newest=3)
    await until(lambda: badge.check_stamp and ada.panel().check_stamp)
    while (answer := await browser.ask("checked", count=5))["running"]:
        pass
    assert answer["begun"]
    assert answer["of"] == answer["total"] == 3
    assert not [one for one in other.answers if one["client"] == "chrome"], "each answer goes where it was asked for"
    assert len(ada.frame_hooks) == len(ada.watch_hooks) == 1


# --- questions ---------------------------------------------------------------------------------------------------


async def test_a_question_from_any_thread_is_answered_on_the_main_loop(join):
    ada = await join()
    browser = Browser(ada.panel())
    threads = []
    ada.panel().comm.publish_msg = lambda _, data=None, **rest: (
        threads.append(threading.get_ident()),
        browser._receive(_, data),
    )
    question = {"ask": "tree", "client": "chrome", "id": 7, "count": 10}
    for sent in (question, {**question, "id": 8, "count": -1}):
        subshell = threading.Thread(target=browser.send, args=(sent,))
        subshell.start()
        subshell.join()
    assert browser.answers == []
    await until(lambda: len(browser.answers) == 2)
    answers = {answer["id"]: answer for answer in browser.answers}
    assert answers[7]["answer"]["rows"][0]["copy"] == "session.model"
    assert not answers[8]["ok"]
    assert set(threads) == {threading.get_ident()}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"ask": "format disk"}, "Invalid value 'format disk'"),
        ({"ask": "tree", "start": -1}, "Expected `int` >= 0 - at `$.start`"),
        ({"ask": "tree", "count": 100_000}, "Expected `int` <= 200 - at `$.count`"),
        ({"ask": "restore", "number": "3"}, "Expected `int`, got `str` - at `$.number`"),
        ({"ask": "restore", "number": 3, "extra": 1}, "contains unknown field `extra`"),
    ],
)
async def test_what_is_no_question_is_refused_and_changes_nothing(join, content, text):
    browser = Browser((await join()).panel())
    error = await browser.ask(**{("kind" if key == "ask" else key): value for key, value in content.items()})
    assert error["type"] == "ArgumentError"
    assert text in error["text"]


@pytest.mark.parametrize("content", [None, 3, {"ask": "tree"}, {"client": "", "id": 1}, {"client": "a", "id": -1}])
async def test_nobody_is_answered_who_does_not_say_who_asks(join, content):
    browser = Browser((await join()).panel())
    browser.send(content)
    await browser.ask("tree")
    assert len(browser.answers) == 1


async def test_two_browsers_get_their_own_answers(join):
    ada = await join()
    one, other = Browser(ada.panel(), "one"), Browser(ada.panel(), "other")
    ada.panel().comm.publish_msg = lambda _, data=None, **rest: (one._receive(_, data), other._receive(_, data))
    first, second = await asyncio.gather(one.ask("tree", count=1), other.ask("tree", count=3))
    assert (len(first["rows"]), len(second["rows"])) == (1, 3)


async def test_a_question_that_nobody_waits_for_any_more_is_dropped(join, monkeypatch):
    browser = Browser((await join()).panel())
    searched = []

    async def search(_root: Any, _replica: Any, text: str) -> Any:
        searched.append(text)
        return await asyncio.Future() if text == "a" else {"total": 0, "rows": [], "more": False}

    monkeypatch.setattr("msq_jupyter.widgets.panel_desk.search", search)
    first = asyncio.ensure_future(browser.ask("tree", text="a", count=5))
    await until(lambda: searched == ["a"])
    assert (await browser.ask("tree", text="ab", count=5))["total"] == 0
    assert await first is None


async def test_a_browser_cannot_make_the_kernel_keep_too_many_questions(join, monkeypatch):
    ada = await join()
    browser = Browser(ada.panel())
    monkeypatch.setattr(ada, "versions", asyncio.Future)
    for number in range(70):
        browser.send({"ask": "versions", "client": "flood", "id": number, "count": 1})
    await until(lambda: len(browser.answers) == 6)
    assert {answer["error"]["type"] for answer in browser.answers} == {"ArgumentError"}
    assert (await browser.ask("tree", count=1))["total"] > 0


async def test_versions_come_in_portions_and_are_listed_once(join, monkeypatch):
    ada = await join()
    browser = Browser(ada.panel())
    await saved(ada, 1, 2, 3, 4, 5)
    listed = []
    versions = ada.versions
    monkeypatch.setattr(ada, "versions", lambda: listed.append(1) or versions())
    pages = [await browser.ask("versions", start=start, count=2) for start in (0, 2)]
    assert [row["kind"] for page in pages for row in page["rows"]] == ["day", "version", "fold"]
    assert pages[0]["total"] == 3
    assert (pages[0]["versions"], pages[0]["newest"]) == (5, 5)
    assert len(listed) == 1
    await saved(ada, 6)
    opened = await browser.ask("versions", count=20, opened=[1])
    assert [row.get("number") for row in opened["rows"]] == [None, 6, 5, 5, 4, 3, 2, 1]
    assert len(listed) == 2


async def test_differences_of_data_and_code_come_in_portions(join):
    ada = await join()
    browser = Browser(ada.panel())
    await saved(ada, 1, 2)
    answer = await browser.ask("changes", a=1, b=2, count=10)
    assert answer["counts"] == {"added": 0, "removed": 0, "changed": 1, "moved": 0}
    assert answer["rows"] == [{"mark": "~", "path": "count", "pieces": [("old", "1"), ("new", "3")]}]
    assert (await browser.ask("changes", a=0, b=2, count=10))["a"] == 1
    assert (await browser.ask("changes", a=0, b=1, count=10))["a"] == 0
    assert (await browser.ask("changes", a=2, b="now", count=10))["total"] == 0
    assert (await browser.ask("changes", a=1, b=2, part="code", count=10))["total"] == 0
    missing = await browser.ask("changes", a=1, b=99, count=10)
    assert missing["type"] == "VersionMissing"
    assert "99" in missing["text"]


async def test_a_restore_says_what_it_changes_and_for_whom_and_then_does_it(join):
    ada, ben = await join(), await join("Ben")
    browser = Browser(ada.panel())
    await saved(ada, 1, 2)
    plan = await browser.ask("plan", number=1)
    assert (plan["changes"], plan["people"], plan["places"]) == (1, 2, [{"path": "count", "count": 1}])
    assert plan["version"]["number"] == 1
    assert ada.model.count == 3
    assert await browser.ask("restore", number=1) == {}
    await until(lambda: ada.model.count == ben.model.count == 1)
    assert (await browser.ask("plan", number=99))["type"] == "VersionMissing"
    assert (await browser.ask("restore", number=99))["type"] == "VersionMissing"


async def test_one_place_of_a_version_is_restored(join):
    ada = await join(model=Board)
    browser = Browser(ada.panel())
    for values in ({"a": 1, "b": 1}, {"a": 2, "b": 2}):
        ada.publish("board", "set", values)
        await ada.saved()
    plan = await browser.ask("plan", number=1, place="a")
    assert (plan["changes"], plan["counts"]["changed"]) == (1, 2)
    assert [place["path"] for place in plan["places"]] == ["a", "b"]
    assert await browser.ask("restore", number=1, place="a") == {}
    assert (ada.model.a, ada.model.b) == (1, 2)


async def test_a_version_is_named_and_pinned_and_everybody_sees_it(join):
    ada, ben = await join(), await join("Ben")
    await saved(ada, 1, 2)
    browser, other = Browser(ada.panel()), Browser(ben.panel())
    await other.ask("versions", count=10)
    assert await browser.ask("label", number=1, text="before the exam") == {}
    await until(lambda: ben.panel().versions_stamp == 1)
    assert await browser.ask("pin", number=1, pinned=True) == {}

    async def first(of: Browser) -> dict[str, Any]:
        return (await of.ask("versions", count=10))["rows"][-1]

    for one in (browser, other):
        row = await first(one)
        while not row["pinned"]:
            row = await first(one)
        assert (row["number"], row["label"], row["reason"]) == (1, "before the exam", "named")
    assert (await browser.ask("label", number=99, text="x"))["type"] == "VersionMissing"


async def test_names_of_versions_are_seen_after_an_edit_of_the_code_too(join):
    ada, ben = await join(), await join("Ben")
    browser = Browser(ada.panel())
    await saved(ada, 1)
    await ada.follow(EditedCounter)

    async def labels() -> list[str]:
        return [row.get("label") for row in (await browser.ask("versions", count=10))["rows"]]

    assert "before the edit" not in await labels()
    await ben.label(1, "before the edit")

    async def is_seen() -> bool:
        return "before the edit" in await labels()

    await until(is_seen)  # the list is kept in memory until something is heard


async def test_a_version_is_saved_at_once_and_by_name(join):
    ada = await join()
    browser = Browser(ada.panel())
    await saved(ada, 1)
    assert await browser.ask("save", label="now") == {}
    assert (await browser.ask("versions", count=10))["rows"][1]["label"] == "now"


async def test_a_check_goes_on_while_its_rows_are_read(join):
    ada = await join()
    browser = Browser(ada.panel())
    await saved(ada, *range(1, 13))
    assert not (await browser.ask("checked", count=20))["begun"]
    await browser.ask("check", newest=11)
    await until(lambda: ada.panel().check_stamp > 0)
    answer = await browser.ask("checked", count=20)
    while answer["running"]:
        answer = await browser.ask("checked", count=20)
    assert [row["number"] for row in answer["rows"]] == list(range(12, 1, -1))
    assert (answer["title"], answer["failed"], answer["of"]) == ("Counter loads all 11 versions", 0, 11)
    assert answer["same_code"]


async def test_a_check_says_which_code_it_is_of(join, monkeypatch):
    ada = await join()
    browser = Browser(ada.panel())
    await saved(ada, 1)

    async def checked() -> tuple[bool, bool]:
        answer = await browser.ask("checked", count=5)
        while answer["running"]:
            answer = await browser.ask("checked", count=5)
        return answer["same_code"], answer["is_old"]

    assert await checked() == (True, False)
    monkeypatch.setattr(models, "Counter", EditedCounter)
    ada.look_for_edit({})
    await browser.ask("check", newest=5)
    assert await checked() == (False, False)
    monkeypatch.undo()
    ada.look_for_edit({})

    async def is_told() -> bool:
        return await checked() == (False, True)

    await until(is_told)
    await browser.ask("check", newest=5)
    assert await checked() == (True, False)


async def test_a_check_can_be_stopped(join):
    ada = await join()
    browser = Browser(ada.panel())
    await saved(ada, *range(1, 13))
    await browser.ask("check", newest=100)
    await browser.ask("stop check")
    answer = await browser.ask("checked", count=20)
    assert not answer["running"]
    assert answer["total"] < 12


async def test_the_log_is_read_newest_first_and_filtered(join):
    ada = await join()
    browser = Browser(ada.panel())
    await saved(ada, 1)
    whole = await browser.ask("log", count=200)
    assert whole["total"] == len(whole["rows"]) == len(ada.log)
    assert [row["time_s"] for row in whole["rows"]] == sorted((row["time_s"] for row in whole["rows"]), reverse=True)
    assert "[Multisynq]" in ada.log[-1].text
    assert whole["rows"][0]["text"] in ada.log[-1].text
    assert not any(row["text"].startswith("[") for row in whole["rows"])
    found = await browser.ask("log", count=200, text="VERSION 1,")
    assert 0 < found["total"] < whole["total"]
    assert all("version 1," in row["text"] for row in found["rows"])
    before = ada.panel().log_stamp
    await saved(ada, 1)
    await until(lambda: ada.panel().log_stamp == before + 1)


async def test_3_3_a_failing_handler_is_shown_in_the_badge_and_in_the_log_of_the_panel(join):
    ada, ben = await join(), await join("Ben")
    browser = Browser(ada.panel())
    ada.publish("counter", "fail", "oops")
    ada.publish("counter", "add", 1)
    await until(lambda: ada.model.count == ben.model.count == 1)
    await until(lambda: ada.badge().notice == ben.badge().notice == "Counter.fail: RuntimeError: oops")
    (row,) = (await browser.ask("log", count=200, text="RuntimeError"))["rows"]
    assert row["text"] == "Counter.fail: RuntimeError: oops"


async def test_a_session_that_was_left_answers_what_it_can(join):
    ada = await join()
    browser = Browser(ada.panel())
    await ada.leave()
    assert (await browser.ask("tree", count=3))["total"] > 1
    assert (await browser.ask("versions", count=3))["type"] == "SessionClosed"
