"""`make demo`: two links that work, and an end without leftovers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_demo_prints_two_links_keeps_what_was_changed_and_ends_with_ctrl_c(tmp_path: Path):
    changed = tmp_path / "demo/first/01_shared_counter.ipynb"
    changed.parent.mkdir(parents=True)
    changed.write_text("{}")
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
    }
    command = [sys.executable, "notebooks/demo.py", "--no-browser", "--directory", str(tmp_path / "demo")]
    demo = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment)
    assert demo.stdout is not None
    text = ""
    for line in demo.stdout:
        text += line
        if "Ctrl-C" in line:
            break
    links = re.findall(r"http://127\.0\.0\.1:\S+", text)
    assert [re.search(r"/tree/(\w+)/", link)[1] for link in links] == ["first", "second"]
    for link in links:
        with urllib.request.urlopen(link, timeout=30) as page:
            assert page.status == 200
    for person in ("first", "second"):
        copied = {lesson.name for lesson in (tmp_path / "demo" / person).iterdir()}
        assert copied >= {lesson.name for lesson in (ROOT / "notebooks").glob("*.ipynb")}
    assert changed.read_text() == "{}"
    setting = links[0].partition("/lab/")[0] + "/lab/api/settings/@jupyterlab/apputils-extension:notification"
    request = urllib.request.Request(setting, headers={"Authorization": f"token {links[0].partition('token=')[2]}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        asked = json.load(answer)["schema"]["properties"]
    assert (asked["fetchNews"]["default"], asked["checkForUpdates"]["default"]) == ("false", False)
    # Which notebooks were open is kept with the demo, and not with the user's other ones.
    workspace = urllib.request.Request(
        links[0].partition("/lab/")[0] + "/lab/api/workspaces/first",
        data=b'{"data": {}, "metadata": {"id": "first"}}',
        headers=dict(request.header_items()),
        method="PUT",
    )
    with urllib.request.urlopen(workspace, timeout=30) as answer:
        assert answer.status == 204
    assert list((tmp_path / "demo/workspaces").iterdir())
    demo.send_signal(signal.SIGINT)
    rest, _ = demo.communicate(timeout=60)
    assert demo.returncode == 0
    assert "Stopped." in rest
