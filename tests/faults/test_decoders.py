"""Bytes of somebody else are read or refused, whatever they are: looked for by `fuzz.py`, and what once failed by name.

A run of the tests tries some thousand inputs on each decoder, from a seed; `make soak` tries `MSQ_FUZZ_INPUTS`.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.decoders import DECODERS, HERE

ROOT = Path(__file__).parents[2]
INPUTS = int(os.environ.get("MSQ_FUZZ_INPUTS", "3000"))
#: Decoders that take a millisecond for an input get so much less of them.
SLOW = {"event": 20, "snapshot_state": 20, "first_message": 10, "frames": 10, "snapshot_value": 10, "export": 2}


@pytest.mark.parametrize("path", sorted((HERE / "found").iterdir()), ids=lambda path: path.name)
def test_what_once_failed_is_read_or_refused(path: Path) -> None:
    DECODERS[path.name.partition("-")[0]]().read(path.read_bytes())


@pytest.mark.parametrize("name", DECODERS)
def test_seeds_and_their_beginnings_are_read_or_refused(name: str) -> None:
    decoder = DECODERS[name]()
    for seed in decoder.seeds:
        for place in range(0, len(seed) + 1, 1 + len(seed) // 100):
            decoder.read(seed[:place])


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="there is no atheris for this platform")
@pytest.mark.timeout(0)
@pytest.mark.parametrize("name", DECODERS)
def test_inputs_led_by_what_they_reach_are_read_or_refused(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    seed, count = request.config.getoption("msq_seed"), INPUTS // SLOW.get(name, 1)
    command = [sys.executable, "-m", "tests.faults.fuzz", name, str(count), str(seed), str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    failed = [f"{path.name}: {path.read_bytes()!r}" for path in tmp_path.glob("*-*")]
    assert done.returncode == 0, f"seed {seed}\n{done.stderr[-4_000:]}\n{failed}"
    assert f"Done {count} runs" in done.stderr
    assert not failed
