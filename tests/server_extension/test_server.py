"""A real Jupyter server: people meet in its rooms, from its kernels and from elsewhere."""

from __future__ import annotations

import asyncio
import signal
import urllib.request
from collections.abc import Iterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from msq_jupyter.errors import SynchronizerRefused
from msq_jupyter.local_registry import read_note
from msq_jupyter.session.session import SessionCore
from tests.session.models import Counter
from tests.waiting import until

from .processes import BASE_URL, ReverseProxy, RunningServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    server = RunningServer(tmp_path_factory.mktemp("jupyter"))
    server.start()
    yield server
    server.stop()
    server.kill_synchronizer(signal.SIGTERM)


async def join(url: str, name: str) -> SessionCore:
    return await SessionCore.join(app_id="test", name=name, password="pw", model=Counter, synchronizer=url)


def test_installing_is_enabling(server: RunningServer):
    assert "msq_jupyter.server_extension | extension was successfully loaded" in server.log.read_text()


async def test_two_people_meet_at_the_address_that_the_browser_shows(server: RunningServer):
    ada = await join(server.with_token("lab/tree/lesson.ipynb"), "room")
    ben = await join(server.with_token("msq"), "room")
    ada.publish("counter", "add", 3)
    ben.publish("counter", "add", 4)
    await until(lambda: ada.model.count == ben.model.count == 7)
    assert ada.synchronizer == ben.synchronizer == server.url + "msq"
    await ada.leave()
    await ben.leave()


IN_THE_KERNEL = """
import asyncio
from msq_jupyter.session.session import SessionCore
from tests.session.models import Counter
session = await SessionCore.join(app_id="test", name="kernel", password="pw", model=Counter)
counted = asyncio.Event()
session.subscribe("counter", "changed", lambda count: counted.set())
print(session.invite())
"""
COUNTED = """
await counted.wait()
print(session.model.count)
"""


async def test_a_kernel_of_the_server_finds_the_rooms_by_itself_and_invites_to_them(server: RunningServer):
    async with server.kernel() as kernel:
        invitation = await kernel.run(IN_THE_KERNEL)
        line, link, remark = invitation.splitlines()
        assert line.endswith("--synchronizer https://hub.example.org/user/ada/msq --password")
        assert link == "https://hub.example.org/user/ada/msq/join#app=test&name=kernel&jupyter=1"
        assert "needs a token of their own for this Jupyter server" in remark
        assert server.token not in invitation
        ben = await join(server.with_token(), "kernel")
        ben.publish("counter", "add", 5)
        assert await kernel.run(COUNTED) == "5\n"
        await ben.leave()


async def test_through_a_reverse_proxy_with_a_name_of_its_own(server: RunningServer):
    with ReverseProxy(server.port, "hub.example.org") as proxy:
        url = f"http://127.0.0.1:{proxy.port}{BASE_URL}lab?token={server.token}"
        ada, ben = await join(url, "proxy"), await join(url, "proxy")
        ada.publish("counter", "add", 1)
        await until(lambda: ben.model.count == 1)
        await ada.leave()
        await ben.leave()
        assert proxy.connections == 2
        rooms = f"ws://127.0.0.1:{proxy.port}{BASE_URL}msq"
        header = {"Authorization": f"token {server.token}"}
        async with connect(rooms, additional_headers=header, max_size=None, proxy=None) as socket:
            await socket.send(b"\x93" + bytes(12 * 2**20))  # a frame as large as a snapshot, and no message
            answer = await socket.recv()
            assert b"malformed" in answer  # the synchronizer has read it


async def test_who_has_no_token_is_told_what_to_do(server: RunningServer):
    with pytest.raises(SynchronizerRefused) as caught:
        await join(f"{server.url}lab?token=of-somebody-else", "room")
    assert str(caught.value) == (
        f"the Jupyter server at {server.url}msq answered with HTTP status 403: it lets in those who show a token of "
        f'their own, which no invitation contains. Put yours behind the address, "{server.url}msq?token=TOKEN". '
        f"On JupyterHub you make one at http://127.0.0.1:{server.port}/hub/token, with the scope "
        "access:servers!server=ada/ and no other, because that server sees it; who runs the hub, or shares that server "
        "with you, has to allow it. In a notebook of that same server, leave the address out"
    )


async def test_a_server_without_the_extension_is_told_from_one_that_refuses(server: RunningServer):
    with pytest.raises(SynchronizerRefused, match=r"status 404: install msq_jupyter where that server runs"):
        await join(f"http://127.0.0.1:{server.port}/elsewhere?token={server.token}", "room")


async def test_members_come_back_when_the_synchronizer_was_killed_or_the_server_restarted(server: RunningServer):
    ada, ben = await join(server.with_token(), "restart"), await join(server.with_token(), "restart")
    await asyncio.to_thread(server.kill_synchronizer)
    ada.publish("counter", "add", 1)
    await until(lambda: ben.model.count == 1)
    header = {"Authorization": f"token {server.token}"}
    async with connect(server.rooms, additional_headers=header, proxy=None) as socket:
        await asyncio.to_thread(server.stop)
        with pytest.raises(ConnectionClosed):
            await socket.recv()
    assert (socket.close_code, socket.close_reason) == (1012, "the Jupyter server stops")
    ben.publish("counter", "add", 2)
    await asyncio.to_thread(server.start)
    await until(lambda: ada.model.count == ben.model.count == 3)
    await ada.leave()
    await ben.leave()


async def test_no_log_shows_a_token(server: RunningServer):
    """Runs last, when all the others have been logged, at level DEBUG."""
    with await asyncio.to_thread(urllib.request.urlopen, server.with_token("msq/join")) as page:
        assert page.status == 200
    with pytest.raises(InvalidStatus):
        await connect(f"{server.rooms}?token=secret", proxy=None)
    note = read_note(server.data)
    assert note is not None
    text = server.log.read_text()
    ours = [line for line in text.splitlines() if f"{BASE_URL}msq" in line]
    assert any(line.startswith("[W") and " 403 GET " in line for line in ours)
    for line in ours:  # elsewhere Jupyter itself shows its token: its address and, at this level, its settings
        assert server.token not in line
        assert "token=secret" not in line
    assert note.token not in text
    assert server.token not in (server.data / "synchronizer.log").read_text()
