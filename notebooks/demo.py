"""Starts JupyterLab on the first lesson, with a synchronizer of its own, and prints a link for each of two people.

The lessons are copied to `.demo/`, once for each of them: notebooks at two places have two kernels. What is changed
there stays the next time, and so does what the demo saves in `.demo/synchronizer`; `make clean` removes both.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from pathlib import Path

from msq_jupyter.local_registry import read_note

PEOPLE = ("first", "second")
LESSON = "01_shared_counter.ipynb"
START_LIMIT_S = 60


def main() -> int:
    """Run until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Open the shared counter for two people.")
    parser.add_argument("--no-browser", action="store_true", help="print the links only")
    parser.add_argument("--port", type=int, default=0, help="port for JupyterLab; 0, the default, takes a free one")
    parser.add_argument("--directory", type=Path, default=Path(".demo"), help="where the demo keeps its files")
    arguments = parser.parse_args()

    folder = arguments.directory.resolve()
    for person in PEOPLE:
        (folder / person).mkdir(parents=True, exist_ok=True)
        for lesson in Path(__file__).parent.glob("*.ipynb"):
            if not (folder / person / lesson.name).exists():
                shutil.copy(lesson, folder / person)
    port = arguments.port or free_port()
    token = secrets.token_urlsafe(16)
    lab = start_lab(folder, port, token)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        if not wait_until_up(lab, port, token):
            print(f"JupyterLab did not start; its messages are in {folder / 'lab.log'}", file=sys.stderr)
            return 1
        links = [
            f"http://127.0.0.1:{port}/lab/workspaces/{person}/tree/{person}/{LESSON}?token={token}" for person in PEOPLE
        ]
        print("A shared notebook is ready. Open both links, in two windows, and run all cells in each:\n")
        for person, link in zip(PEOPLE, links, strict=True):
            print(f"  {person:>6} person   {link}")
        print("\nPress Ctrl-C here to stop.", flush=True)
        if not arguments.no_browser:
            webbrowser.open(links[0])
        lab.wait()
        return lab.returncode
    except KeyboardInterrupt:
        print("\nStopped. What was saved is still there the next time.")
        return 0
    finally:
        lab.send_signal(signal.SIGTERM)
        lab.wait()
        synchronizer = read_note(folder / "synchronizer")
        if synchronizer is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(synchronizer.pid, signal.SIGTERM)


def free_port() -> int:
    """A port nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start_lab(folder: Path, port: int, token: str) -> subprocess.Popen[bytes]:
    """JupyterLab as a child; kernels it starts share a synchronizer that lives in the demo's folder."""
    # No question about Jupyter's news over the lesson, and nothing fetched; the user's own settings stay as they are.
    config = folder / "config"
    (config / "labconfig").mkdir(parents=True, exist_ok=True)
    (config / "labconfig/default_setting_overrides.json").write_text(
        '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}'
    )
    path = os.pathsep.join(filter(None, [str(config), os.environ.get("JUPYTER_CONFIG_PATH")]))
    environment = {
        **os.environ,
        "MSQ_DATA_DIR": str(folder / "synchronizer"),
        "JUPYTER_CONFIG_PATH": path,
        # Which notebooks were open the last time belongs to this demo, and to no other one of this user.
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
    }
    command = [
        *(sys.executable, "-m", "jupyter", "lab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"),
        *("--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}", f"--IdentityProvider.token={token}"),
    ]
    if hasattr(os, "getuid") and os.getuid() == 0:
        command.append("--allow-root")
    with (folder / "lab.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)


def wait_until_up(lab: subprocess.Popen[bytes], port: int, token: str) -> bool:
    """Whether the server answers within a minute."""
    deadline_s = time.monotonic() + START_LIMIT_S
    while lab.poll() is None and time.monotonic() < deadline_s:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status?token={token}", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    return False


if __name__ == "__main__":
    sys.exit(main())
