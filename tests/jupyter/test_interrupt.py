"""Rule 6.1 in a real kernel: its interrupt button ends a model that never ends, also when no cell runs."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel

from tests.conftest import SynchronizerThread

BEGIN = """
import asyncio
from msq_jupyter import Model, Session
class Spinner(Model):
    def init(self, options):
        self.subscribe("spin", "go", self.spin)
    def spin(self, _):
        while True:
            pass
session = await Session.join(
    app_id="t", name="n", password="p", model=Spinner, synchronizer={url!r}, rejoin_limit_ms=60_000
)
"""

SPIN = 'session.publish("spin", "go")'

WAIT = """
while session.error is None:
    await asyncio.sleep(0.05)
"""

LIMIT_S = 60


@pytest.fixture
def kernel() -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    """A kernel of its own."""
    manager, client = start_new_kernel(kernel_name="python3")
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def answer(client: BlockingKernelClient, message_id: str, timeout_s: float) -> dict[str, Any] | None:
    """The reply to a cell, or None when there is none yet."""
    while True:
        try:
            reply = client.get_shell_msg(timeout=timeout_s)
        except queue.Empty:
            return None
        if reply["parent_header"]["msg_id"] == message_id:
            content: dict[str, Any] = reply["content"]
            return content


def run(client: BlockingKernelClient, code: str, expression: str = "None") -> str:
    """Run a cell; returns what an expression is after it."""
    content = answer(client, client.execute(code, user_expressions={"it": expression}), LIMIT_S)
    assert content is not None
    assert content["status"] == "ok", content
    text: str = content["user_expressions"]["it"]["data"]["text/plain"]
    return text


def test_6_1_the_interrupt_of_a_kernel_ends_an_endless_model_between_cells(kernel, synchronizer: SynchronizerThread):
    manager, client = kernel
    run(client, BEGIN.format(url=synchronizer.url))
    run(client, SPIN)
    waiting = client.execute(WAIT)
    deadline_s = time.monotonic() + LIMIT_S
    while (content := answer(client, waiting, 0.3)) is None or content["status"] != "ok":
        assert time.monotonic() < deadline_s
        if content is not None:
            waiting = client.execute(WAIT)  # the interrupt came between two events, and was the cell's
        manager.interrupt_kernel()
    error = run(client, "", "session.error")
    assert "EventNeverEnds" in error
    assert "Spinner.spin was interrupted twice in the same event" in error


LIVE = """
%%live session
while session.model.value > 0:
    pass
"""


def test_the_interrupt_of_a_kernel_ends_a_live_cell_that_never_ends(kernel, synchronizer: SynchronizerThread):
    manager, client = kernel
    join = "session = await Session.join(app_id='t', name='l', model=SharedCounter, synchronizer={url!r})"
    begin = (
        f"%load_ext msq_jupyter\nfrom msq_jupyter import Session\nfrom msq_jupyter.ready import SharedCounter\n{join}"
    )
    run(client, begin.format(url=synchronizer.url))
    assert run(client, LIVE.lstrip(), "len(session.bindings)") == "1"
    run(client, "session.model.add(1)")
    waiting = client.execute("import asyncio\nwhile len(session.bindings):\n    await asyncio.sleep(0.05)")
    deadline_s = time.monotonic() + LIMIT_S
    while (content := answer(client, waiting, 0.3)) is None or content["status"] != "ok":
        assert time.monotonic() < deadline_s
        if content is not None:  # the interrupt came before the live cell ran, and was the cell's
            waiting = client.execute("import asyncio\nwhile len(session.bindings):\n    await asyncio.sleep(0.05)")
        manager.interrupt_kernel()
    assert run(client, "", "(len(session.bindings), session.is_live, session.model.value)") == "(0, True, 1)"
