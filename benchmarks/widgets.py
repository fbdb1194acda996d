"""What a person waits for: a click that somebody else sees, the panel, the bytes of our code in a browser.

One run on one machine gives all numbers, in rounds that alternate, so that whatever else the machine does hits the
peers as it hits us. Ours is a click on a button whose kernel callback publishes an event; the model handles it, and a
label linked to the model shows it in two browsers, each with a kernel of its own. The peers are

* a click on an ipywidgets button whose kernel callback sets a label, in one browser with one kernel;
* an edit of a cell of a notebook that two browsers share through jupyter-collaboration, in a JupyterLab of its own.

How it is measured:

* A kernel's times are `time.monotonic()`, which is one clock for all processes of a machine.
* A browser's times are `performance.now()`, set at the start of each round by the edge of a millisecond of
  `Date.now()`, which is one clock for all pages.
* "Painted" is an animation frame after the change of the DOM, and a task after that: the frame has been handed over.

`bindings.py` measures what needs no browser, and is printed here, too.
"""

from __future__ import annotations

import argparse
import ast
import gzip
import json
import os
import platform
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import bindings
import nbformat
from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
from msq_jupyter.widgets.one_way import built
from tests.browser.lab import BROWSER_FLAGS, CHROMIUM, JupyterServer, NotebookPage

PEER = "ipywidgets: click -> painted, same browser (the peer)"
SHARED = "jupyter-collaboration: edit in browser A -> painted in browser B"
KERNELS = "publish in kernel A -> model changed in kernel B"
OTHER_BROWSER = "click in browser A -> model -> painted in browser B"
SAME_BROWSER = "click in browser A -> model -> painted in browser A"

#: Events from kernel to kernel for each click measured: they are cheap, and 200 make a better p95 than 150.
KERNEL_EVENTS_PER_ROUND = 40
WARM_UP = 15
#: How often the panel is opened, and how many versions there are then.
PANEL_OPENED = 9
VERSIONS = 10_000
#: JupyterLab with jupyter-collaboration, which would change every other JupyterLab of its environment.
COLLABORATION = Path(__file__).parent / "collaboration" / ".venv"
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

#: Both browsers show this one cell.
SHARED_CODE = "0"

#: A session with many versions, and its panel.
PANEL_CODE = """
%load_ext msq_jupyter
import datetime, io
from msq_jupyter import Session
from msq_jupyter.persistence.export import ExportedVersion, Manifest, write_export
from msq_jupyter.ready import SharedCounter
from msq_jupyter.session.archive import Archive

place = {"app_id": "org.msq.benchmarks", "name": "versions", "password": "tea"}
day = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
versions = (
    ExportedVersion(number=n, parent=n - 1, time=day + n * datetime.timedelta(minutes=5), author="Ada", label="",
                    pinned=False, session_id="imported", code_hash="imported", schema_version=1, source="",
                    content={"version": 1, "value": n})
    for n in range(1, VERSIONS + 1)
)
manifest = Manifest(app_id=place["app_id"], name=place["name"], head=VERSIONS)
stream = io.BytesIO(b"".join(write_export(manifest, versions)))
async with Archive.open(**place, create=True) as archive:
    await archive.import_(stream)
session = await Session.join(**place, model=SharedCounter)
""".strip()

#: Runs the cell of the panel; gives the milliseconds until its first rows are painted, and those of the list of
#: versions after a click on its tab.
OPEN_PANEL_IN_PAGE = """async () => {
    const painted = async selector => {
        while (document.querySelector(selector) === null) await new Promise(requestAnimationFrame);
        await new Promise(resolve => {
            const task = new MessageChannel();
            task.port1.onmessage = resolve;
            task.port2.postMessage(null);
        });
    };
    const {content} = window.jupyterapp.shell.currentWidget;
    content.activeCellIndex = 1;
    await window.jupyterapp.commands.execute('notebook:clear-cell-output');
    let began = performance.now();
    void window.jupyterapp.commands.execute('notebook:run-cell');
    await painted('[data-testid=msq-panel-tree] [role=treeitem]');
    const open = performance.now() - began;
    const tabs = document.querySelectorAll('[data-testid=msq-panel] [role=tab]');
    began = performance.now();
    [...tabs].find(tab => tab.textContent === 'Versions').click();
    await painted('[data-testid=msq-panel-versions] [role=treeitem]');
    return [open, performance.now() - began];
}"""

#: Notes when each text of an element was painted, first time only.
INSTALL_IN_PAGE = """selectors => {
    const bench = window.bench = {origin: 0, painted: {}, act: {}, waiting: null};
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
    bench.act.shared = () => window.jupyterapp.shell.currentWidget.content.widgets[0].model.sharedModel
        .setSource(String(bench.edits = (bench.edits ?? 0) + 1));
    for (const [kind, selector] of Object.entries(selectors)) {
        const label = document.querySelector(selector);
        bench.painted[kind] = new Map();
        bench.act[kind] ??= () => document.querySelector(`.${kind}-button`).click();
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
    const samples = [];
    for (let n = 0; n < count; n++) {
        await new Promise(resolve => setTimeout(resolve, 50 + 50 * Math.random()));
        const painted = new Promise((resolve, reject) => {
            bench.waiting = resolve;
            setTimeout(() => reject(new Error(`nothing painted 20 s after click ${n} on ${kind}`)), 20_000);
        });
        const clicked = bench.now();
        bench.act[kind]();
        const text = await painted;
        samples.push([text, clicked, bench.painted[kind].get(text)]);
    }
    return samples;
}"""


@dataclass
class Times:
    """Milliseconds, by what was measured."""

    ms: dict[str, list[float]] = field(
        default_factory=lambda: {PEER: [], SHARED: [], KERNELS: [], OTHER_BROWSER: [], SAME_BROWSER: []}
    )

    def table(self) -> str:
        """Everything, as Markdown."""
        peer_ms = statistics.median(self.ms[PEER])
        lines = ["| what | n | median ms | p95 ms | median / peer |", "|---|---:|---:|---:|---:|"]
        for what, times_ms in self.ms.items():
            if not times_ms:  # without jupyter-collaboration
                continue
            median_ms = statistics.median(times_ms)
            p95_ms = statistics.quantiles(times_ms, n=20)[-1]
            lines.append(f"| {what} | {len(times_ms)} | {median_ms:.1f} | {p95_ms:.1f} | {median_ms / peer_ms:.2f} |")
        return "\n".join(lines)


@contextmanager
def jupyter_server(root: Path, *, nodelay: bool, python: str = sys.executable) -> Iterator[JupyterServer]:
    """A server that leaves nothing behind, its local synchronizer included, which ends a moment after it is told to."""
    server = JupyterServer("lab", root, python)
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


def open_notebook(browser: Browser, server: JupyterServer, name: str, *sources: str) -> NotebookPage:
    """Somebody in front of a notebook, its first cell run, with everything in the page that measures."""
    path = server.notebooks / f"{name}.ipynb"
    if not path.exists():
        cells = [nbformat.v4.new_code_cell(source, id=f"cell-{number}") for number, source in enumerate(sources)]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), path)
    person = NotebookPage(browser, server, path.name)
    person.open()
    return person


def open_session(browser: Browser, server: JupyterServer, name: str) -> NotebookPage:
    """Somebody who has joined."""
    person = open_notebook(browser, server, name, NOTEBOOK_CODE)
    person.run_all()
    if errors := person.errors_in_cells():
        raise RuntimeError("\n".join(errors))
    person.page.locator(".ours-label").wait_for(state="attached")
    person.wait_until("session.is_live")
    person.page.evaluate(INSTALL_IN_PAGE, {"peer": ".peer-label", "ours": ".ours-label"})
    return person


def open_shared(browser: Browser, server: JupyterServer) -> NotebookPage:
    """Somebody in front of the notebook that is shared."""
    person = open_notebook(browser, server, "shared", SHARED_CODE)
    person.page.locator(".jp-Cell .cm-content").first.wait_for()
    person.page.evaluate(INSTALL_IN_PAGE, {"shared": ".jp-Cell .cm-content"})
    return person


def measure_peer(a: NotebookPage, count: int) -> list[float]:
    samples = a.page.evaluate(CLICK_IN_PAGE, ["peer", count])
    return [painted_ms - clicked_ms for _, clicked_ms, painted_ms in samples]


def measure_both(a: NotebookPage, b: NotebookPage, kind: str, count: int) -> tuple[list[float], list[float]]:
    """The same clicks or edits in A, painted in A and painted in B."""
    samples = a.page.evaluate(CLICK_IN_PAGE, [kind, count])
    b.page.wait_for_function("([kind, text]) => bench.painted[kind].has(text)", arg=[kind, samples[-1][0]])
    painted_in_b = dict(b.page.evaluate("kind => [...bench.painted[kind]]", kind))
    in_a = [painted_ms - clicked_ms for _, clicked_ms, painted_ms in samples]
    # Of edits that follow each other closely, one frame may show the last only.
    in_b = [painted_in_b[text] - clicked_ms for text, clicked_ms, _ in samples if text in painted_in_b]
    return in_a, in_b


def measure_kernels(a: NotebookPage, b: NotebookPage, count: int) -> list[float]:
    before = int(b.evaluate("len(pongs)"))
    a.evaluate(f"asyncio.ensure_future(send_pings({count}))")
    # Asking kernel B whether it is done would be in its way.
    time.sleep(count * 0.06 + 0.2)
    b.wait_until(f"len(pongs) == {before + count}")
    pongs = json.loads(ast.literal_eval(b.evaluate(f"json.dumps(pongs[{before}:])")))
    return [(heard_s - sent_s) * 1000 for sent_s, heard_s in pongs]


def measure(pair: list[NotebookPage], sharing: list[NotebookPage], rounds: int, per_round: int) -> Times:
    """Round by round: the peers, ours, from kernel to kernel."""
    a, b = pair
    measure_peer(a, WARM_UP)
    measure_both(a, b, "ours", WARM_UP)
    measure_kernels(a, b, WARM_UP)
    if sharing:
        measure_both(sharing[0], sharing[1], "shared", WARM_UP)
    times = Times()
    for _ in range(rounds):
        for person in (*pair, *sharing):
            person.page.evaluate("() => bench.setClock()")
        times.ms[PEER] += measure_peer(a, per_round)
        in_a, in_b = measure_both(a, b, "ours", per_round)
        times.ms[SAME_BROWSER] += in_a
        times.ms[OTHER_BROWSER] += in_b
        if sharing:
            times.ms[SHARED] += measure_both(sharing[0], sharing[1], "shared", per_round)[1]
        times.ms[KERNELS] += measure_kernels(a, b, KERNEL_EVENTS_PER_ROUND)
    return times


def print_panel(browser: Browser, server: JupyterServer, versions: int, times: int) -> None:
    """How long the panel takes to open, as Markdown."""
    person = open_notebook(browser, server, "panel", f"VERSIONS = {versions}\n{PANEL_CODE}", "session.panel()")
    person.page.set_default_timeout(600_000)
    person.run_cell("cell-0")
    if errors := person.errors_in_cells():
        raise RuntimeError("\n".join(errors))
    opened, listed = zip(*(person.page.evaluate(OPEN_PANEL_IN_PAGE) for _ in range(times)), strict=True)
    print(f"\n| the panel, with {versions:,} versions | n | median ms | max ms |\n|---|---:|---:|---:|")
    for what, found in (
        ("run the cell -> the model is painted", opened),
        ("click -> the versions are painted", listed),
    ):
        print(f"| {what} | {times} | {statistics.median(found):,.0f} | {max(found):,.0f} |")


def print_bundles() -> None:
    """What a browser has to get, as Markdown."""
    print("\n| bundle | kB | kB gzipped |\n|---|---:|---:|")
    for kind in ("badge", "panel"):
        contents = [built(f"{kind}.{suffix}").read_bytes() for suffix in ("js", "css")]
        packed = sum(len(gzip.compress(content)) for content in contents)
        print(f"| {kind} | {sum(map(len, contents)) / 1000:.1f} | {packed / 1000:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often peers and ours take turns (%(default)s)")
    parser.add_argument("--per-round", type=int, default=30, help="clicks of each kind in a round (%(default)s)")
    parser.add_argument("--versions", type=int, default=VERSIONS, help="versions behind the panel (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a tiny run that shows that it works, and no speed")
    parser.add_argument(
        "--nodelay", action="store_true", help="have Jupyter's servers send at once; see README.md here"
    )
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.per_round, options.versions = 1, 3, 30
    # So that ending this process ends the servers and the browser, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    load = os.getloadavg()[0]
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="msq-benchmark-")))
        server = stack.enter_context(jupyter_server(root / "lab", nodelay=options.nodelay))
        sharing_server = None
        if (COLLABORATION / ".installed").exists():
            python = str(COLLABORATION / "bin" / "python")
            shared = jupyter_server(root / "collaboration", nodelay=options.nodelay, python=python)
            sharing_server = stack.enter_context(shared)
        # Ends before the servers do: one that people are connected to takes long to end.
        playwright = stack.enter_context(sync_playwright())
        browser = stack.enter_context(playwright.chromium.launch(executable_path=CHROMIUM, args=BROWSER_FLAGS))
        pair = [open_session(browser, server, name) for name in ("a", "b")]
        sharing = [open_shared(browser, sharing_server) for _ in range(2)] if sharing_server else []
        times = measure(pair, sharing, options.rounds, options.per_round)
        versions = ", ".join(f"{name} {version(name)}" for name in ("jupyterlab", "ipykernel", "ipywidgets"))
        machine = f"{os.cpu_count()} CPUs, Python {platform.python_version()}, {versions}, Chromium {browser.version}"
        if options.nodelay:
            machine += ", Jupyter's servers with TCP_NODELAY"
        print(times.table())
        print_panel(browser, server, options.versions, 2 if options.quick else PANEL_OPENED)
    print_bundles()
    print(f"\n{machine}; {options.rounds} rounds of {options.per_round} clicks. Load at the beginning: {load:.1f}.\n")
    bindings.print_tables(rounds=2 if options.quick else 15, reads_per_round=2_000 if options.quick else 100_000)


if __name__ == "__main__":
    main()
