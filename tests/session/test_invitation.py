"""Invitations: a line, a link and a QR code that say the same, and the page behind the link."""

from __future__ import annotations

import urllib.request
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msq_jupyter.errors import ArgumentError
from msq_jupyter.session.invitation import PATH, Invitation, parse_link
from msq_jupyter.synchronizer import invitation_page
from tests.conftest import SynchronizerThread

INVITATION = Invitation("edu.school", "lesson 1", "wss://sync.example:8443", True, "t&#a?", "tok")
names = st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable())


def test_8_1_password_and_token_stand_behind_the_hash_which_no_server_sees():
    link = INVITATION.link
    before, _, after = link.partition("#")
    assert before == "https://sync.example:8443/join"
    assert after == "app=edu.school&name=lesson%201&password=t%26%23a%3F&token=tok"


def test_without_secrets_line_and_link_have_none():
    plain = Invitation("edu.school", "lesson 1", "wss://sync.example", True)
    assert plain.line == "%msq join --app edu.school --name 'lesson 1' --synchronizer wss://sync.example --password"
    assert plain.link == "https://sync.example/join#app=edu.school&name=lesson%201"


def test_what_only_this_machine_can_reach_has_a_line_and_no_link():
    local = Invitation("a", "b", "", False)
    assert local.line == "%msq join --app a --name b"
    assert local.link == local.qr_svg == ""
    assert "Only this machine can reach this session" in repr(local)


@given(names, names, names, st.booleans())
def test_a_link_says_what_it_was_made_of(app_id, name, password, has_password):
    made = Invitation(app_id, name, "ws://h:1/prefix", has_password, password if has_password else "")
    assert parse_link(made.link) == made


@pytest.mark.parametrize(
    "link",
    ["", "nonsense", "ftp://h/join#app=a&name=b", "https://h/x#app=a&name=b", "https://h/join#app=a", "http://[/"],
)
def test_what_is_no_link_is_refused_without_its_secrets(link):
    with pytest.raises(ArgumentError, match="expected a link such as") as caught:
        parse_link(link + "&password=secret" if "#" in link else link)
    assert "secret" not in str(caught.value)


def test_the_qr_code_is_svg():
    assert ElementTree.fromstring(INVITATION.qr_svg).tag.endswith("svg")


def test_the_page_is_there_for_everybody_and_says_nothing_of_sessions(synchronizer: SynchronizerThread):
    assert PATH == invitation_page.PATH
    with urllib.request.urlopen(synchronizer.url.replace("ws", "http", 1) + PATH, timeout=10) as response:
        assert response.headers.get_all("Content-Type") == ["text/html; charset=utf-8"]
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        assert response.read().decode() == invitation_page.PAGE
