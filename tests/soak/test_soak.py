"""Real members, a real synchronizer, and each fault once; `make soak` has more of them, for half an hour."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from msq_jupyter.session import crypto
from tests.soak.faults import FAULTS
from tests.soak.members import CHEAP_MEMORY_KIB
from tests.soak.soak import Scale, Soak

#: A run of the tests has each fault once.
SMALL = Scale(rooms=3, members=4, processes=2, gap_s=0.3, warm_s=2, holds_s=(0.5, 2), interval_ms=1_000, pause_s=0.5)
LARGE = Scale(
    rooms=20, members=10, processes=4, gap_s=3, warm_s=20, holds_s=(1, 4, 15, 90), interval_ms=30_000, pause_s=4
)
FAULTS_OF_A_ROUND = 24
#: How often a fault happens in comparison with the others.
WEIGHTS = {"cut": 4, "silence": 3, "lag": 3, "slow": 2, "turn over": 4, "kill members": 0.5, "jump clock": 0.5}
#: For the first part of the time the synchronizer is not ended: what it loses in a long life would not be seen.
LONG_LIFE_SHARE = 0.4
ENDS_SERVER = ("stop server", "kill server")


def rounds(draw: random.Random, minutes: float) -> Iterator[list[str]]:
    """The faults of one round after the other, until the time is over."""
    start_s = time.monotonic()
    while (share := (time.monotonic() - start_s) / (minutes * 60)) < 1:
        names = [name for name in FAULTS if share > LONG_LIFE_SHARE or name not in ENDS_SERVER]
        yield draw.choices(names, [WEIGHTS.get(name, 1) for name in names], k=FAULTS_OF_A_ROUND)


def told(soak: Soak) -> str:
    """What happened, in numbers."""
    return json.dumps(
        {
            "events": soak.events,
            "versions": soak.versions,
            "members that came": soak.came,
            "faults": soak.faults,
            "lines": soak.lines.seen,
            "unexplained": soak.lines.unexplained,
            "leaks": soak.leaks,
            "held": soak.looks,
        },
        indent=1,
    )


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells what a process holds")
@pytest.mark.timeout(0)
async def test_4_6_whatever_fails_all_are_equal_in_the_end(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crypto, "ARGON2_MEMORY_KIB", CHEAP_MEMORY_KIB)
    seed, minutes = request.config.getoption("msq_seed"), float(os.environ.get("MSQ_SOAK_MINUTES", "0"))
    print(f"seed {seed}")
    draw = random.Random(f"rounds {seed}")
    async with Soak(LARGE if minutes else SMALL, seed, tmp_path / "data") as soak:
        try:
            await soak.play([])
            for names in rounds(draw, minutes) if minutes else [draw.sample(list(FAULTS), len(FAULTS))]:
                print(
                    f"{time.strftime('%H:%M:%S')} {soak.events} events, {soak.versions} versions, next {names}",
                    flush=True,
                )
                await soak.play(names)
        finally:
            print(told(soak))
        assert soak.lines.unexplained == [], "lines that nobody expected"
        assert soak.leaks == []
