"""The pytest plugin: the fixture `simulation`, once for each seed.

Options: `--msq-schedules N` runs each test that uses the fixture with N seeds, `--msq-seed S` begins with seed S;
`--msq-seed random` draws it. The marker `msq_schedules(N)` changes the number for a test, unless the option is given.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from msq_jupyter.testing.simulation import Simulation

#: How many seeds a test runs with if nobody says otherwise.
SCHEDULES = 10

_WORKER_SEED = "msq_seed"
_MARKER = "msq_schedules(count): run a test that uses the fixture `simulation` with so many seeds"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("msq_jupyter", "simulated sessions of msq_jupyter")
    group.addoption(
        "--msq-seed", default="0", metavar="SEED", help='the first seed of simulations, or "random"; 0 by default'
    )
    group.addoption(
        "--msq-schedules",
        type=int,
        default=None,
        metavar="COUNT",
        help=f"how many seeds each test with a simulation runs with; {SCHEDULES} by default",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and settle the first seed."""
    config.addinivalue_line("markers", _MARKER)
    # A process of pytest-xdist is told the seed that was drawn, as all of them have to find the same tests.
    text = getattr(config, "workerinput", {}).get(_WORKER_SEED, config.getoption("msq_seed"))
    if text == "random":
        config.option.msq_seed = random.SystemRandom().randrange(2**32)
    elif text.isdecimal():
        config.option.msq_seed = int(text)
    else:
        raise pytest.UsageError(f'--msq-seed: expected a number from 0 or "random", got {text!r}')
    if (config.getoption("msq_schedules") or 1) < 1:
        raise pytest.UsageError(f"--msq-schedules: expected 1 or more, got {config.getoption('msq_schedules')}")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of pytest-xdist the first seed."""
    node.workerinput[_WORKER_SEED] = str(node.config.getoption("msq_seed"))


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say where the seeds begin, unless they begin with 0."""
    seed = config.getoption("msq_seed")
    return f"msq_jupyter: simulations begin with --msq-seed {seed}" if seed else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests that use the fixture once for each seed."""
    if "simulation" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("msq_schedules")
    first = metafunc.config.getoption("msq_seed")
    count = metafunc.config.getoption("msq_schedules") or (marker.args[0] if marker else SCHEDULES)
    metafunc.parametrize("simulation", range(first, first + count), indirect=True, ids=lambda seed: f"seed{seed}")


@pytest.fixture
def simulation(request: pytest.FixtureRequest) -> Simulation:
    """A `msq_jupyter.testing.Simulation`, once for each seed."""
    from msq_jupyter.testing.simulation import Simulation

    return Simulation(request.param)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Tell the seed of a failed test, and how to repeat it."""
    outcome: Any = yield
    report = outcome.get_result()
    found = getattr(item, "funcargs", {}).get("simulation")
    if report.failed and found is not None and hasattr(found, "explain"):
        repeat = f"pytest {item.nodeid.partition('[')[0]} --msq-seed {found.seed} --msq-schedules 1"
        report.sections.append(("msq_jupyter simulation", f"{found.explain()}\nrepeat it with: {repeat}"))
