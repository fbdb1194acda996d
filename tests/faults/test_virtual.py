"""Kernels, the synchronizer, both, or its disk die at every step of a save, in virtual time: nothing that was
acknowledged is lost, no version vanishes or changes, and whoever comes next never finds a mixture.

`make soak` plays as many seeds as you like.
"""

from __future__ import annotations

from collections import Counter

import pytest

from msq_jupyter.testing.crash_points import ITS_STEPS, STEPS
from tests.faults.virtual import VICTIMS, Heir, Play, Strike, is_whole, play

#: Seeds that one run of the tests plays at least.
SEEDS = 500
BATCH = 50
#: Of every hundred seeds, so many strikes come at each step, and so many of each victim.
STRUCK_AT_LEAST = 4


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seeds" in metafunc.fixturenames:
        first = metafunc.config.getoption("msq_seed")
        count = metafunc.config.getoption("msq_schedules") or SEEDS
        batches = [range(seed, seed + min(BATCH, count)) for seed in range(first, first + count, BATCH)]
        metafunc.parametrize("seeds", batches, ids=lambda seeds: f"from-{seeds[0]}")


def test_5_6_whatever_dies_at_whatever_step_each_acknowledged_save_is_there(seeds: range):
    struck: Counter[tuple[str, str]] = Counter()
    for seed in seeds:
        struck += play(seed)
    table = {step: {victim: struck[step, victim] for victim in VICTIMS} for step in STEPS}
    print("\n".join(f"{step:20} {counts}" for step, counts in table.items()))
    at_least = STRUCK_AT_LEAST * len(seeds) // 100
    for step, counts in table.items():
        # A promotion needs a draft whose kernels die, so it comes less often.
        assert sum(counts.values()) >= (at_least if not step.startswith("promotion") else at_least // 4), f"few {step}"
    for victim in VICTIMS:
        assert sum(counts[victim] for counts in table.values()) >= at_least, f"{victim} hardly ever died"


def test_one_seed_from_the_command_line(request: pytest.FixtureRequest):
    assert play(request.config.getoption("msq_seed"))


@pytest.mark.parametrize("victim", ["one", "kernels", "synchronizer", "both"])
@pytest.mark.parametrize("step", STEPS)
def test_5_6_it_dies_at_this_step(step: str, victim: str):
    assert play(1, [Strike(step, victim)])[step, victim] == 1


@pytest.mark.parametrize("step", [step for step in ITS_STEPS if step.endswith("to write")])
@pytest.mark.parametrize("then", ["synchronizer", "kernels", "both"])
def test_5_6_the_disk_refuses_a_turn_and_then_something_dies(step: str, then: str):
    assert play(2, [Strike(step, "disk"), Strike("save to write", then, nth=2)])[step, "disk"] == 1


@pytest.mark.parametrize("after_ms", [1_000, 5_000, 60_000])
@pytest.mark.parametrize("synchronizer_too", [False, True])
def test_5_4_a_kernel_that_is_killed_a_second_after_it_saved_has_lost_nothing(after_ms: float, synchronizer_too: bool):
    played = Play(3, [], interval_ms=600_000)
    (ada, *others) = played.room.participants
    for other in others:
        played.room.leave(other)
    for _ in range(5):
        played.room.publish("page", "write", 3, by=ada)
        played.simulation.run(200)
    ada.be_busy(100_000)  # and from here on a cell keeps its main loop
    played.simulation.run(after_ms)
    played.room.kill(ada)
    if synchronizer_too:
        played.simulation.synchronizer.crash()
        played.simulation.synchronizer.start()
    heir = played.simulation.room(Heir, 1)
    assert is_whole(heir.model.begun_with)
    assert heir.model.begun_with["count"] == 5


@pytest.mark.parametrize("step", ["draft arrived", "draft to write"])
def test_5_4_a_draft_that_the_synchronizer_lost_goes_up_again_while_a_cell_keeps_the_main_loop(step: str):
    played = Play(4, [Strike(step, "synchronizer", nth=1)], interval_ms=600_000)
    (ada, *others) = played.room.participants
    for other in others:
        played.room.leave(other)
    played.simulation.wait_until(lambda: ada.is_live)
    for _ in range(2):
        played.room.publish("page", "write", 3, by=ada)
        played.simulation.wait_until(lambda: ada.executed_events == ada.published_events)
    ada.be_busy(100_000)
    played.simulation.run(10_000)  # it dies, and is there again
    assert played.faults.struck[step, "synchronizer"] == 1
    played.room.kill(ada)
    heir = played.simulation.room(Heir, 1)
    assert heir.model.begun_with["count"] == 2
