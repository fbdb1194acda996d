"""Thousands of sessions in bad weather; `make soak` plays as many as you like."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.simulation.schedules import REQUIRED, play

#: Schedules that one run of the tests plays at least.
SCHEDULES = 2_000
BATCH = 100


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seeds" in metafunc.fixturenames:
        first = metafunc.config.getoption("msq_seed")
        count = metafunc.config.getoption("msq_schedules") or SCHEDULES
        batches = [range(seed, seed + BATCH) for seed in range(first, first + count, BATCH)]
        metafunc.parametrize("seeds", batches, ids=lambda seeds: f"from-{seeds[0]}")


def test_whatever_goes_wrong_every_promise_is_kept(seeds: range):
    happened: Counter[str] = Counter()
    for seed in seeds:
        happened += play(seed)
    missing = [what for what in REQUIRED if not happened[what]]
    assert not missing, f"a vacuous run: no {missing} in {dict(happened)}"


def test_one_schedule_from_the_command_line(request: pytest.FixtureRequest):
    assert play(request.config.getoption("msq_seed"))["events"] >= 0


def test_equal_seeds_give_equal_schedules():
    assert play(7) == play(7)
    assert play(7) != play(8)
