"""What the extension says to the kernels of its server."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from msq_jupyter.server_extension import _jupyter_server_extension_points
from msq_jupyter.server_extension.app import HUB_URL_VARIABLE, MsqExtension, public_url
from msq_jupyter.session.jupyter_server import DATA_VARIABLE, URL_VARIABLE


def server(listens: str = "http://127.0.0.1:8888/user/ada/", display_url: str = "", sock: str = "") -> SimpleNamespace:
    return SimpleNamespace(connection_url=listens, custom_display_url=display_url, sock=sock)


@pytest.mark.parametrize(
    ("hub_url", "running", "rooms"),
    [
        ("", server(), "http://127.0.0.1:8888/user/ada/msq"),
        ("", server("http://machine:8888/"), "http://machine:8888/msq"),
        ("", server(display_url="https://h/a%40b/"), "https://h/a%40b/msq"),
        ("", server(display_url="https://h"), "https://h/user/ada/msq"),
        ("https://hub/user/ada/", server(display_url="https://h/"), "https://hub/user/ada/msq"),
    ],
)
def test_who_knows_best_where_people_see_the_server_is_asked_first(monkeypatch, hub_url, running, rooms):
    monkeypatch.setenv(HUB_URL_VARIABLE, hub_url)
    assert public_url(running) == rooms


def test_kernels_are_told_the_address_and_no_token(monkeypatch, tmp_path):
    for name in (HUB_URL_VARIABLE, URL_VARIABLE, DATA_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MSQ_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(os, "environ", environment := dict(os.environ))
    MsqExtension._tell_kernels(SimpleNamespace(serverapp=server(sock="/run/jupyter.sock")))
    assert URL_VARIABLE not in environment  # nobody comes there from elsewhere
    MsqExtension._tell_kernels(SimpleNamespace(serverapp=server()))
    assert environment[URL_VARIABLE] == "http://127.0.0.1:8888/user/ada/msq"
    assert environment[DATA_VARIABLE] == str(tmp_path)


def test_the_server_is_told_where_the_extension_is():
    assert _jupyter_server_extension_points() == [{"module": "msq_jupyter.server_extension.app", "app": MsqExtension}]
