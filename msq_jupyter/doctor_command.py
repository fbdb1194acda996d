"""The command `msq doctor`."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any


def add_parsers(commands: Any) -> None:
    """Add the command to those of `msq`."""
    doctor = commands.add_parser(
        "doctor",
        help="say what is wrong with the set-up, and what to do",
        description="Look at versions, the synchronizer, the network and the clock; exit code 1 if anything is wrong.",
    )
    doctor.add_argument(
        "--synchronizer", metavar="URL", help="the one to ask; unless given, the one that join would use"
    )
    doctor.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from msq_jupyter.session.doctor import diagnose, gather  # no other command needs it

    diagnosis = diagnose(asyncio.run(gather(options.synchronizer)))
    print(diagnosis)
    return 0 if diagnosis.ok else 1
