"""Each benchmark still runs, in a tiny size. How fast anything is, is not tested: that depends on the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CROQUET = ROOT / "benchmarks/croquet/node_modules/@croquet/croquet"


COLLABORATION = ROOT / "benchmarks/collaboration/.venv/.installed"


def run(script: str, *options: str) -> list[list[str]]:
    """Run a benchmark; gives the cells of the tables it prints."""
    command = [sys.executable, f"benchmarks/{script}", "--quick", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr
    return [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]


def test_the_replica_beside_a_bare_loop():
    head, *rows = run("replica.py", "--without-croquet")
    assert head[:2] == ["a second", "ours"]
    assert [row[0].split(":")[0] for row in rows[:5]] == [
        "events",
        "catch-up of 100,000 events",
        "model to model",
        "future messages",
        "future messages",
    ]
    assert [row[1] for row in rows[6:]] == ["ours", "pickle 5", "msgspec"]


@pytest.mark.skipif(not CROQUET.exists(), reason="`npm ci` in benchmarks/croquet gets Croquet, and make test does that")
def test_the_replica_beside_croquet():
    _, *rows = run("replica.py")
    assert all(row[2] and row[4] for row in rows[:5]), "Croquet did all of it"
    assert [row[1] for row in rows[6:]] == ["ours", "pickle 5", "msgspec", "Croquet"]


def test_snapshots():
    _, *rows = run("snapshots.py")
    assert [row[1] for row in rows] == ["ours", "pickle 5", "msgspec"]


PEERS = ROOT / "benchmarks/fan_out/node_modules"


@pytest.mark.skipif(not PEERS.exists(), reason="`npm ci` in benchmarks/fan_out gets the peers")
def test_the_synchronizer_beside_other_servers():
    pytest.importorskip("pycrdt.websocket")
    _, *rows = run("synchronizer.py")
    assert [row[0].split(",")[0] for row in rows] == [
        "ours",
        "y-websocket",
        "hocuspocus",
        "pycrdt-websocket",
        "raw asyncio TCP",
    ]
    assert all(float(row[1]) >= 0 for row in rows)


def test_joining_and_idle_sessions():
    _, *rows = run("joining.py")
    assert [row[0].partition(":")[0] for row in rows] == [
        "50 sessions, one silent member each",
        "the same",
        "50 sessions that everybody has left",
        "the same",
        "one joins a new session, with its key and its replica",
        "the same",
        "30 join one session at once, without",
        "one comes to a session of 2,000 events and 0.1 MB",
        "the same",
    ]


@pytest.mark.browser
def test_widgets_beside_other_ways_to_share():
    pytest.importorskip("pycrdt")
    rows = run("widgets.py")
    firsts = [row[0] for row in rows]
    assert sum("painted in browser B" in first for first in firsts) == 1 + COLLABORATION.exists()
    panel = firsts.index("the panel, with 30 versions")
    assert all(float(row[2]) > 0 for row in rows[panel + 1 : panel + 3])
    assert [first.rpartition(" ")[2] for first in firsts if "characters" in first] == ["ours", "pycrdt"] * 2
    assert firsts[-2:] == ["no live cell runs", "in a live cell"]


def test_what_versions_cost_beside_other_stores():
    for peer in ("pycrdt", "jsonpatch", "deepdiff"):
        pytest.importorskip(peer)
    rows = run("persistence.py")
    assert [row[0] for row in rows if row[0] in ("ours", "pycrdt-store", "one edit")] == [
        "ours",
        "pycrdt-store",
        "one edit",
    ]
