"""What a click on the badge does in the kernel, with a browser that the test plays."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
import traitlets

from msq_jupyter import Session
from msq_jupyter.session.jupyter_server import DATA_VARIABLE, URL_VARIABLE
from tests.conftest import Join, SynchronizerThread, joining
from tests.session import models
from tests.session.models import Counter, EditedCounter, Picky
from tests.waiting import until


@pytest.fixture
async def join(synchronizer: SynchronizerThread) -> AsyncIterator[Join]:
    """Join a session that has a badge; all are left at the end."""
    async with joining(synchronizer, Session, model=Counter, password="pw!") as join:
        yield join


BROWSER = {"client": "ada's browser", "id": 7}


def clicks(session: Session, **content: Any) -> list[Any]:
    """A message of the browser, on another thread as JupyterLab's are; what the kernel sends comes into the list."""
    badge, sent = session.badge(), []
    badge.send = lambda answer, buffers=None: sent.append(answer)
    thread = threading.Thread(target=badge._msg_callbacks, args=(badge, {**BROWSER, **content}, []))
    thread.start()
    thread.join()
    return sent


@pytest.mark.parametrize("with_password", [False, True])
async def test_8_1_an_invitation_has_the_password_only_when_asked_and_is_in_no_trait(join, with_password):
    ada = await join()
    sent = clicks(ada, ask="invite", with_password=with_password)
    await until(lambda: sent)
    (message,) = sent
    answer = message.pop("answer")
    assert message == {**BROWSER, "ok": True}
    assert answer["qr"].startswith("<svg")
    assert ("pw!" in str(answer)) is with_password
    assert "pw!" not in str(ada.badge().get_state())


async def test_an_invitation_leads_to_the_server_that_the_browser_sees(join, local_synchronizer, monkeypatch):
    monkeypatch.setenv(URL_VARIABLE, "http://127.0.0.1:8888/user/ada/msq")
    monkeypatch.setenv(DATA_VARIABLE, str(local_synchronizer))
    ada = await join(synchronizer=None)
    for page, link in (("https://hub.example.org/user/ada/", "https://hub.example.org/user/ada/msq/join#"), ("", "")):
        sent = clicks(ada, ask="invite", page=page)
        await until(lambda sent=sent: sent)
        assert sent[0]["answer"]["link"].startswith(link)
        assert bool(sent[0]["answer"]["link"]) is bool(link)


async def test_the_difference_to_somebodys_code_is_told(join):
    ada, ben = await join(), await join(EditedCounter, view_data={"name": "Ben"})
    await until(lambda: ada.badge().others)
    (other,) = ada.badge().others
    assert other == {"view_id": ben.view_id, "label": "Ben", "differs_in": "other code"}
    sent = clicks(ada, ask="difference", view_id=other["view_id"])
    await until(lambda: sent)
    assert "+class EditedCounter(Model):" in sent[0]["answer"]["lines"]
    sent = clicks(ada, ask="difference", view_id="ghost")
    await until(lambda: sent)
    assert sent == [
        {
            **BROWSER,
            "ok": False,
            "error": {
                "type": "ArgumentError",
                "text": "'ghost': expected somebody who is here with other code; there is 'Ben'",
            },
        }
    ]


async def test_a_click_follows_an_edit_and_the_badge_says_how_far_it_is(join, monkeypatch):
    ada = await join()
    assert ada.badge().edit_state == ""
    monkeypatch.setattr(models, "Counter", EditedCounter)
    ada.look_for_edit({})
    await until(lambda: ada.badge().edit_state == "checking")
    await ada.try_out()
    await until(lambda: ada.badge().edit_state == "ready")
    clicks(ada, ask="follow")
    await until(lambda: hasattr(ada.model, "additions") and ada.is_live)
    await until(lambda: ada.badge().edit_state == "")


async def test_a_refused_edit_says_why_on_the_badge(join, monkeypatch):
    ada = await join()
    ada.publish("counter", "add", 1)
    await ada.saved()
    monkeypatch.setattr(models, "Counter", Picky)
    ada.look_for_edit({})
    await ada.try_out()
    await until(lambda: ada.badge().edit_state == "refused")
    assert "the data there is now cannot be loaded" in ada.badge().edit_title


@pytest.mark.parametrize("content", [{}, {"ask": 3}, {"ask": "nothing"}, {"ask": "follow"}, {"ask": "difference"}])
async def test_a_message_that_makes_no_sense_does_nothing(join, caplog, content):
    ada = await join()
    clicks(ada, client="", **content)
    sent = clicks(ada, **content)
    await until(lambda: sent)
    assert [message["ok"] for message in sent] == [content == {"ask": "follow"}]
    await ada.synced()
    assert ada.is_live
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_links_go_on_with_edited_code_and_one_that_cannot_ends_and_is_told(join):
    ada = await join()
    count, speed = Slider(), Slider()
    ada.link((count, "value"), "count")
    ada.link((speed, "value"), "speed")
    await ada.follow(EditedCounter)
    assert ada.notice == (
        "<Link Slider.value and model.speed> has ended: "
        "EditedCounter has no attribute 'speed': set self.speed in init first"
    )
    count.value = 7
    await ada.synced()
    assert ada.model.count == 7
    speed.value = 9
    ada.publish("counter", "add", 1)
    await until(lambda: count.value == 8)


class Slider(traitlets.HasTraits):
    value = traitlets.Int(0)
