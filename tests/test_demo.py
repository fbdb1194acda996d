"""`make demo`: two links that work, and an end without leftovers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_demo_prints_two_links_and_ends_with_ctrl_c(tmp_path: Path):
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
    demo.send_signal(signal.SIGINT)
    rest, _ = demo.communicate(timeout=60)
    assert demo.returncode == 0
    assert "Stopped." in rest
