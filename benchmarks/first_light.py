"""How long it takes until somebody else sees it: two kernels and two browsers in JupyterLab, beside bare ipywidgets.

One run on one machine gives all numbers, in rounds that alternate, so that whatever else the machine does hits the peer
as it hits us. The peer is a click on an ipywidgets button whose kernel callback sets another widget's value.

* A kernel's times are `time.monotonic()`, which is one clock for all processes of a machine.
* A browser's times are `performance.now()`, set at the start of each round by the edge of a millisecond of
  `Date.now()`, which is one clock for all pages.
* "Painted" is an animation frame after the change of the DOM, and a task after that: the frame has been handed over.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import platform
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.browser.lab import BROWSER_FLAGS, CHROMIUM, JupyterServer, NotebookPage

PEER = "ipywidgets: click -> painted, same browser (the peer)"
KERNELS = "publish in kernel A -> model changed in kernel B"
OTHER_BROWSER = "click in browser A -> model -> painted in browser B"
SAME_BROWSER = "click in browser A -> model -> painted in browser A"

#: Events from kernel to kernel for each click measured: they are cheap, and 200 make a better p95 than 150.
KERNEL_EVENTS_PER_ROUND = 40
WARM_UP = 15
ENDING_LIMIT_S = 10

#: Jupyter's server leaves Nagle's algorithm on, so a message may wait until the browser acknowledges the one before it,
#: which on Linux takes 40 ms. This turns it off.
NODELAY_CONFIG = """
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

class AtOnce(ZMQChannelsWebsocketConnection):
    def connect(self):
        self.websocket_handler.set_nodelay(True)
        return super().connect()

c.ServerApp.kernel_websocket_connection_class = AtOnce
""".lstrip()

#: Both participants run this. The two labels are alike, and so are the two buttons; only the way between them differs.
NOTEBOOK_CODE = """
%load_ext msq_jupyter
import asyncio, itertools, json, random, time
from ipywidgets import Button, HBox, Label
from msq_jupyter import Model, Session

class Light(Model):
    def init(self, options, persisted=None):
        self.count = 0
        self.shown = "0"
        self.subscribe("light", "switch", self.switch)
        self.subscribe("light", "ping", self.ping)

    def switch(self, _):
        self.count += 1
        self.shown = str(self.count)

    def ping(self, sent_s):
        self.count += 1
        self.publish("light", "pong", sent_s)

session = await Session.join(app_id="org.msq.benchmarks", name="first-light", password="tea", model=Light)

numbers = itertools.count(1)
peer_label, peer_button = Label("0"), Button(description="peer")
peer_button.on_click(lambda _: setattr(peer_label, "value", str(next(numbers))))

ours_label, ours_button = Label(), Button(description="ours")
session.link((ours_label, "value"), "shown")
ours_button.on_click(lambda _: session.publish("light", "switch"))

for widget, name in ((peer_label, "peer-label"), (peer_button, "peer-button"),
                     (ours_label, "ours-label"), (ours_button, "ours-button")):
    widget.add_class(name)

pongs = []
session.subscribe("light", "pong", lambda sent_s: pongs.append((sent_s, time.monotonic())), "immediate")

async def send_pings(count):
    for _ in range(count):
        # Not in step with anything that happens 20 times a second.
        await asyncio.sleep(random.uniform(0.04, 0.06))
        session.publish("light", "ping", time.monotonic())

display(session, HBox([peer_button, peer_label, ours_button, ours_label]))
""".strip()

#: Notes when each text of a label was painted, first time only.
INSTALL_IN_PAGE = """() => {
    const bench = window.bench = {origin: 0, painted: {peer: new Map(), ours: new Map()}, waiting: null};
    bench.now = () => bench.origin + performance.now();
    bench.setClock = () => {
        bench.origin = -Infinity;
        for (let edge = 0; edge < 20; edge++) {
            const before = Date.now();
            let after = before;
            while (after === before) after = Date.now();
            // We may have been late to see an edge, but never early.
            bench.origin = Math.max(bench.origin, after - performance.now());
        }
    };
    for (const kind of ['peer', 'ours']) {
        const label = document.querySelector(`.${kind}-label`);
        new MutationObserver(() => requestAnimationFrame(() => {
            const task = new MessageChannel();
            task.port1.onmessage = () => {
                const text = label.textContent;
                if (text === '' || bench.painted[kind].has(text)) return;
                bench.painted[kind].set(text, bench.now());
                bench.waiting?.(text);
            };
            task.port2.postMessage(null);
        })).observe(label, {childList: true, characterData: true, subtree: true});
    }
}"""

#: One click after the other, at any moment of a frame; gives [text, clicked, painted] for each.
CLICK_IN_PAGE = """async ([kind, count]) => {
    const button = document.querySelector(`.${kind}-button`);
    const samples = [];
    for (let n = 0; n < count; n++) {
        await new Promise(resolve => setTimeout(resolve, 50 + 50 * Math.random()));
        const painted = new Promise((resolve, reject) => {
            bench.waiting = resolve;
            setTimeout(() => reject(new Error(`nothing painted 20 s after click ${n} on ${kind}`)), 20_000);
        });
        const clicked = bench.now();
        button.click();
        const text = await painted;
        samples.push([text, clicked, bench.painted[kind].get(text)]);
    }
    return samples;
}"""


@dataclass
class Times:
    """Milliseconds, by what was measured."""

    ms: dict[str, list[float]] = field(
        default_factory=lambda: {PEER: [], KERNELS: [], OTHER_BROWSER: [], SAME_BROWSER: []}
    )

    def table(self) -> str:
        """Everything, as Markdown."""
        peer_ms = statistics.median(self.ms[PEER])
        lines = ["| what | n | median ms | p95 ms | median / peer |", "|---|---:|---:|---:|---:|"]
        for what, times_ms in self.ms.items():
            median_ms = statistics.median(times_ms)
            p95_ms = statistics.quantiles(times_ms, n=20)[-1]
            lines.append(f"| {what} | {len(times_ms)} | {median_ms:.1f} | {p95_ms:.1f} | {median_ms / peer_ms:.2f} |")
        return "\n".join(lines)


@contextmanager
def jupyter_server(root: Path, *, nodelay: bool) -> Iterator[JupyterServer]:
    """A server that leaves nothing behind, its local synchronizer included, which ends a moment after it is told to."""
    server = JupyterServer("lab", root)
    if nodelay:
        (root / "config").mkdir()
        (root / "config/jupyter_server_config.py").write_text(NODELAY_CONFIG)
    try:
        with server.running():
            yield server
    finally:
        deadline_s = time.monotonic() + ENDING_LIMIT_S
        while (server.synchronizer_data / "synchronizer.json").exists():
            if time.monotonic() > deadline_s:
                server.kill_synchronizer(signal.SIGKILL)
                break
            time.sleep(0.05)


def open_notebook(browser: Browser, server: JupyterServer, name: str) -> NotebookPage:
    """Somebody who has joined, with everything in the page that measures."""
    cell = {"cell_type": "code", "id": "all", "metadata": {}, "outputs": [], "execution_count": None}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = {"cells": [{**cell, "source": NOTEBOOK_CODE}], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    (server.notebooks / f"{name}.ipynb").write_text(json.dumps(notebook))
    person = NotebookPage(browser, server, f"{name}.ipynb")
    person.open()
    person.run_all()
    if errors := person.errors_in_cells():
        raise RuntimeError("\n".join(errors))
    person.page.locator(".ours-label").wait_for(state="attached")
    person.wait_until("session.is_live")
    person.page.evaluate(INSTALL_IN_PAGE)
    return person


def measure_peer(a: NotebookPage, count: int) -> list[float]:
    samples = a.page.evaluate(CLICK_IN_PAGE, ["peer", count])
    return [painted_ms - clicked_ms for _, clicked_ms, painted_ms in samples]


def measure_ours(a: NotebookPage, b: NotebookPage, count: int) -> tuple[list[float], list[float]]:
    """The same clicks, painted in A and painted in B."""
    samples = a.page.evaluate(CLICK_IN_PAGE, ["ours", count])
    b.page.wait_for_function("text => bench.painted.ours.has(text)", arg=samples[-1][0])
    painted_in_b = dict(b.page.evaluate("() => [...bench.painted.ours]"))
    in_a = [painted_ms - clicked_ms for _, clicked_ms, painted_ms in samples]
    in_b = [painted_in_b[text] - clicked_ms for text, clicked_ms, _ in samples]
    return in_a, in_b


def measure_kernels(a: NotebookPage, b: NotebookPage, count: int) -> list[float]:
    before = int(b.evaluate("len(pongs)"))
    a.evaluate(f"asyncio.ensure_future(send_pings({count}))")
    # Asking kernel B whether it is done would be in its way.
    time.sleep(count * 0.06 + 0.2)
    b.wait_until(f"len(pongs) == {before + count}")
    pongs = json.loads(ast.literal_eval(b.evaluate(f"json.dumps(pongs[{before}:])")))
    return [(heard_s - sent_s) * 1000 for sent_s, heard_s in pongs]


def measure(a: NotebookPage, b: NotebookPage, rounds: int, per_round: int) -> Times:
    """Round by round: the peer, ours, from kernel to kernel."""
    measure_peer(a, WARM_UP)
    measure_ours(a, b, WARM_UP)
    measure_kernels(a, b, WARM_UP)
    times = Times()
    for _ in range(rounds):
        for person in (a, b):
            person.page.evaluate("() => bench.setClock()")
        times.ms[PEER] += measure_peer(a, per_round)
        in_a, in_b = measure_ours(a, b, per_round)
        times.ms[SAME_BROWSER] += in_a
        times.ms[OTHER_BROWSER] += in_b
        times.ms[KERNELS] += measure_kernels(a, b, KERNEL_EVENTS_PER_ROUND)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often peer and ours take turns (%(default)s)")
    parser.add_argument("--per-round", type=int, default=30, help="clicks of each kind in a round (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a tiny run that shows that it works, and no speed")
    parser.add_argument("--nodelay", action="store_true", help="have Jupyter's server send at once; see README.md here")
    options = parser.parse_args()
    rounds, per_round = (1, 3) if options.quick else (options.rounds, options.per_round)
    # So that ending this process ends the servers and the browser, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with (
        tempfile.TemporaryDirectory(prefix="msq-benchmark-") as root,
        jupyter_server(Path(root), nodelay=options.nodelay) as server,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=CHROMIUM, args=BROWSER_FLAGS) as browser,
    ):
        a, b = (open_notebook(browser, server, name) for name in ("a", "b"))
        times = measure(a, b, rounds, per_round)
        versions = ", ".join(f"{name} {version(name)}" for name in ("jupyterlab", "ipykernel", "ipywidgets"))
        machine = f"{os.cpu_count()} CPUs, Python {platform.python_version()}, {versions}, Chromium {browser.version}"
        if options.nodelay:
            machine += ", Jupyter's server with TCP_NODELAY"
    print(f"{times.table()}\n\n{machine}; {rounds} rounds of {per_round} clicks.")


if __name__ == "__main__":
    main()
