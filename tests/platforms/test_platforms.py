"""Code hashes, states and refusals are the same on every CPython and on WebAssembly, which has another math library."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import pytest

from tests.platforms.code_samples import REFUSED
from tests.platforms.interpreters import (
    NotHere,
    Report,
    own_report,
    own_report_without_ormsgpack,
    report_of_cpython,
    report_of_wasm,
)

#: `make soak` runs more of them.
EVENTS = os.environ.get("MSQ_PLATFORM_EVENTS", "10000")


@pytest.fixture(scope="module")
def known() -> dict[str, tuple[str, str]]:
    """Who was the first to have a sample, and its outcome there. The reference has all that its syntax allows."""
    reference = own_report("--events", EVENTS)
    return {name: (reference.platform, outcome) for name, outcome in reference.samples.items()}


def check(known: dict[str, tuple[str, str]], report_of: Callable[..., Report]) -> None:
    try:
        report = report_of("--events", EVENTS)
    except NotHere as reason:
        pytest.skip(str(reason))
    differing = [
        f"{name}: {first_outcome} on {first}, {outcome} on {report.platform}"
        for name, outcome in report.samples.items()
        for first, first_outcome in [known.setdefault(name, (report.platform, outcome))]
        if outcome != first_outcome
    ]
    # A simulation that has parted does not find back, so its first difference says all.
    parted = [sentence for sentence in differing if sentence.startswith("event ")]
    differing = [sentence for sentence in differing if sentence not in parted[1:]]
    if parted:
        differing.append(first_event_that_differs(int(parted[0].partition(":")[0].split()[1]), report_of))
    assert not differing, "\n".join(differing)


def first_event_that_differs(before: int, report_of: Callable[..., Report]) -> str:
    """The first event after which the states differ, when they differ at `before` and did not a hundred events ago."""
    options = ("--events", str(before), "--after", str(max(before - 100, 0)))
    ours, theirs = own_report(*options).samples, report_of(*options).samples
    return next(f"{name} is the first to differ" for name in ours if ours[name] != theirs[name])


def test_every_sample_of_code_has_an_identity_and_every_mistake_has_none(known):
    outcomes = {name: outcome for name, (_, outcome) in known.items()}
    assert all(not outcome.startswith(REFUSED) for name, outcome in outcomes.items() if name.startswith("code: "))
    assert all(outcome.startswith(REFUSED) for name, outcome in outcomes.items() if name.startswith("no code: "))
    assert f"event {EVENTS}" in outcomes


@pytest.mark.parametrize("minor", range(10, 16))
def test_1_2_another_cpython_gives_the_same(known, minor):
    if minor == sys.version_info.minor:
        check(known, own_report_without_ormsgpack)
    else:
        check(known, lambda *options: report_of_cpython(minor, *options))


def test_1_2_webassembly_gives_the_same(known):
    check(known, report_of_wasm)
