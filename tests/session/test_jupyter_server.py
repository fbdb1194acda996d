"""Addresses of rooms behind a Jupyter server: what people copy, what is sent where, and what invitations say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from msq_jupyter.errors import ArgumentError, SynchronizerRefused
from msq_jupyter.session.connection import explained, open_socket
from msq_jupyter.session.discovery import Address, find_place
from msq_jupyter.session.invitation import Invitation, parse_link
from msq_jupyter.session.jupyter_server import DATA_VARIABLE, URL_VARIABLE, refusal, rooms_of
from msq_jupyter.session.session import SessionCore
from tests.session.models import Counter

HUB = "https://hub.example.org/user/ada/msq"


@pytest.mark.parametrize(
    ("shown", "rooms", "token"),
    [
        ("http://127.0.0.1:8888/lab?token=abc", "http://127.0.0.1:8888/msq", "abc"),
        ("http://127.0.0.1:8888/?token=abc", "http://127.0.0.1:8888/msq", "abc"),
        ("http://localhost:8888", "http://localhost:8888/msq", ""),
        ("https://h/lab/workspaces/a/tree/lab/x.ipynb?reset&token=a%2Fb#cell", "https://h/msq", "a/b"),
        ("https://hub.example.org/user/ada/lab/tree/user/lab.ipynb", HUB, ""),
        ("https://hub.example.org/user/ada/notebooks/x.ipynb?token=t", HUB, "t"),
        ("https://hub.example.org/user/ada/msq/join?token=t#app=a&name=b", HUB, "t"),
        (HUB, HUB, ""),
        ("https://h/hub/user/lab/lab/tree/x", "https://h/hub/user/lab/msq", ""),
        ("https://h/user/ada/gpu/tree", "https://h/user/ada/gpu/msq", ""),
        ("https://[::1]:8888/a%40b/tree", "https://[::1]:8888/a%40b/msq", ""),
    ],
)
def test_whatever_the_browser_shows_leads_to_the_rooms(shown, rooms, token):
    assert rooms_of(shown) == (rooms, token)
    assert rooms_of(rooms) == (rooms, "")


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_any_text_leads_to_rooms_or_is_refused(text):
    try:
        rooms, _ = rooms_of("https://" + text)
    except ValueError:
        return
    assert rooms_of(rooms) == (rooms, "")


def test_the_token_is_in_the_address_for_the_header_and_shown_nowhere():
    place = find_place("https://hub.example.org/user/ada/lab/tree/x.ipynb?token=secret")
    assert place.locate() == Address("wss://hub.example.org/user/ada/msq", "secret", "token")
    assert place.name == place.url == HUB
    assert "secret" not in repr(place) + repr(place.locate())


@pytest.mark.parametrize(
    "url",
    ["http://", "https://[/?token=secret", "https://h:0/?token=secret", "https://me:secret@h/", "http:h?token=secret"],
)
def test_what_is_no_address_is_refused_without_its_secrets(url):
    with pytest.raises(ArgumentError, match=r'or "https://host/user/ada/msq\?token=TOKEN" for a') as caught:
        find_place(url)
    assert "secret" not in str(caught.value)


def test_who_comes_through_a_jupyter_server_needs_a_password():
    for url in ("https://hub.example.org/user/ada/", "http://127.0.0.1:8888/"):  # the latter may well be a tunnel
        with pytest.raises(ArgumentError, match=r"password: .*/msq is not on this machine"):
            find_place(url).check_password(None)
        find_place(url).check_password("pw")


class Header:
    """A server that notes what a client sends, and answers as it is told."""

    def __init__(self, status: int = 101, **headers: str) -> None:
        self.status, self.headers = status, headers
        self.seen: list[Request] = []

    def __call__(self, connection: ServerConnection, request: Request) -> Response | None:
        self.seen.append(request)
        if self.status == 101:
            return None
        response = connection.respond(self.status, "")
        response.headers.update(self.headers)
        return response


async def open_at(server: Header, path: str) -> None:
    async with serve(lambda _: None, "127.0.0.1", 0, process_request=server) as listening:
        port = listening.sockets[0].getsockname()[1]
        place = find_place(f"http://127.0.0.1:{port}{path}")
        try:
            await (await open_socket(place.locate())).close()
        except Exception as error:
            raise explained(error, place) from error


async def test_the_token_travels_in_the_header_as_jupyterhub_wants_it():
    server = Header()
    await open_at(server, "/user/ada/lab?token=secret")
    assert server.seen[0].headers["Authorization"] == "token secret"
    assert server.seen[0].path == "/user/ada/msq"


async def test_the_token_follows_no_redirect():
    server = Header(302, Location="/hub/user/ada/msq")
    with pytest.raises(SynchronizerRefused, match="status 302: it lets in those who show a token of their own"):
        await open_at(server, "/user/ada/lab?token=secret")
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (302, "token of their own"),
        (401, 'if it is a synchronizer of its own, its address is "wss://TOKEN@host:port"'),
        (403, "https://hub.example.org/hub/token, with the scope access:servers!server=ada/ and no other"),
        (404, "install msq_jupyter where that server runs"),
        (503, "it is not running, or cannot reach its synchronizer"),
        (500, "check the URL"),
    ],
)
def test_each_refusal_says_what_to_do(status, words):
    assert words in refusal(HUB, status)


def test_a_server_without_a_hub_and_one_with_a_name_are_told_apart():
    assert "Whoever runs that server has the token" in refusal("http://127.0.0.1:8888/msq", 403)
    assert "access:servers!server=ada/gpu and" in refusal("https://h/prefix/user/ada/gpu/msq", 403)
    assert "https://h/prefix/hub/token" in refusal("https://h/prefix/user/ada/gpu/msq", 403)


# --- invitations -------------------------------------------------------------------------------------------------


def test_an_invitation_through_a_jupyter_server_never_has_its_token():
    invitation = Invitation("edu.school", "lesson 1", HUB, True, "pw")
    assert invitation.line == f"%msq join --app edu.school --name 'lesson 1' --synchronizer {HUB} --password pw"
    assert invitation.link == f"{HUB}/join#app=edu.school&name=lesson%201&password=pw&jupyter=1"
    assert "needs a token of their own for this Jupyter server" in invitation.remark
    assert parse_link(invitation.link) == invitation


def test_a_guest_puts_a_token_into_the_link_and_does_not_hand_it_on():
    guest = parse_link(f"{HUB}/join?token=of%2Fben#app=a&name=b&jupyter=1")
    assert (guest.synchronizer, guest.token) == (HUB, "of/ben")
    assert guest.address == f"{HUB}?token=of%2Fben"
    assert find_place(guest.address).locate().token == "of/ben"
    assert "of" not in guest.link.partition("msq")[2]
    with pytest.raises(ArgumentError) as caught:
        parse_link(f"{HUB}/x?token=secret#app=a&name=b&jupyter=1")
    assert "secret" not in str(caught.value)


def test_a_synchronizer_behind_a_proxy_may_be_at_the_same_path():
    plain = Invitation("a", "b", "wss://host/msq", True)
    assert parse_link(plain.link) == plain


@pytest.fixture
def in_a_server(local_synchronizer, monkeypatch):
    """As in a kernel of a Jupyter server with the extension."""

    def start(url: str) -> None:
        monkeypatch.setenv(URL_VARIABLE, url)
        monkeypatch.setenv(DATA_VARIABLE, str(local_synchronizer))

    monkeypatch.setenv("PYTHONPATH", ".")
    return start


async def test_who_is_at_a_jupyter_server_invites_there_and_goes_the_short_way(in_a_server):
    in_a_server(HUB)
    session = await SessionCore.join(app_id="test", name="room", password="pw", model=Counter)
    assert session.synchronizer == "the local synchronizer"
    assert session.invite().link == f"{HUB}/join#app=test&name=room&jupyter=1"
    # The browser knows better than the server what others see.
    seen = session.invite(page="https://proxy.example.org/ada/lab/tree/x.ipynb?token=secret")
    assert seen.link == "https://proxy.example.org/ada/msq/join#app=test&name=room&jupyter=1"
    assert session.invite(page="vscode-webview://x").link == session.invite().link
    assert session.invite(page="http://127.0.0.1:8888/").link == session.invite().link  # a tunnel's end
    await session.leave()
    again = await SessionCore.join(app_id="test", name="room", password="pw", model=Counter, synchronizer=HUB)
    assert again.synchronizer == "the local synchronizer"  # the line of the invitation works at the same server, too
    await again.leave()


async def test_without_a_password_nobody_is_invited_from_elsewhere(in_a_server):
    in_a_server(HUB)
    session = await SessionCore.join(app_id="test", name="open", model=Counter)
    assert session.invite().link == ""
    assert "others need a password for it, and a synchronizer that theirs can reach" in session.invite().remark
    await session.leave()


def test_a_server_that_only_this_machine_reaches_is_in_no_invitation(in_a_server):
    in_a_server("http://127.0.0.1:8888/msq")
    assert find_place(None).url_for_others() == ""
    assert find_place(None).url_for_others("http://localhost:8888/lab") == ""
    assert find_place(None).url_for_others("https://h/lab") == "https://h/msq"


def test_the_rooms_of_another_data_directory_are_not_invited_to(in_a_server, monkeypatch, tmp_path):
    in_a_server(HUB)
    assert find_place(None).url_for_others() == HUB
    monkeypatch.setenv("MSQ_DATA_DIR", str(tmp_path / "other"))
    assert find_place(None).url_for_others() == ""
