"""What this interpreter makes of code, values, random numbers, hostile bytes and a long simulation, as JSON.

`python -m tests.platforms.report --events 10000` prints `{"platform": ..., "samples": {name: outcome}}`. It needs
nothing but what the pure rooms of the package need, no pytest. `test_platforms` compares all interpreters.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Iterator
from typing import Any

from msq_jupyter.runtime import packer
from tests.platforms.code_samples import code_samples, refusals
from tests.platforms.math_samples import math_samples
from tests.platforms.simulation import simulate
from tests.platforms.value_samples import hostile_samples, random_samples, shared_samples, value_samples


def samples(events: int, after: int | None) -> Iterator[tuple[str, str]]:
    """Names and outcomes, in the order in which a difference is told."""
    if after is None:
        yield from random_samples()
        yield from math_samples()
        yield from value_samples()
        yield from shared_samples()
        yield from hostile_samples()
        yield from ((f"code: {name}", outcome) for name, outcome in code_samples())
        yield from ((f"no code: {name}", outcome) for name, outcome in refusals())
    yield from simulate(events, 100, after)


def report(arguments: list[str]) -> dict[str, Any]:
    """The report for the arguments of a command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--after", type=int, help="only the simulation, with every event after this one")
    chosen = parser.parse_args(arguments)
    return {
        "platform": f"{platform.python_version()} {sys.platform} {packer.Ext.__module__}",
        "samples": dict(samples(chosen.events, chosen.after)),
    }


if __name__ == "__main__":
    print(json.dumps(report(sys.argv[1:])))
