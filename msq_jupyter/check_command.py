"""`msq check`: whether a model loads every version of an exported file, before anybody joins with it."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from msq_jupyter.errors import ArgumentError
from msq_jupyter.persistence.check_report import CheckReport
from msq_jupyter.persistence.export import ExportReader

#: So many statements that were left out are shown.
_LEFT_OUT_SHOWN = 10


def add_parser(commands: Any) -> None:
    """Add the command to those of `msq`."""
    parser = commands.add_parser(
        "check",
        help="say which exported versions a model can load",
        description="Load every version of an exported file with the model of a Python file or notebook. Of that, only "
        "imports, functions, classes and plain assignments run; nothing is joined, saved or changed. The exit code is "
        "0 when all versions load, 1 when some do not, and 2 when it could not look.",
    )
    parser.add_argument("code", type=Path, metavar="FILE|NOTEBOOK", help="where the model is defined")
    parser.add_argument("--data", type=Path, required=True, metavar="EXPORTFILE", help="a file of exported versions")
    parser.add_argument("--model", metavar="NAME", help="the root model's class, when there are several")
    parser.add_argument(
        "--options", type=_json_object, default={}, metavar="JSON", help="what init gets as options (default: {})"
    )
    parser.add_argument(
        "--limit-s", type=_limit, default=10.0, metavar="N", help="a version may take N seconds to load (default: 10)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        0 when every version was loaded, 1 when not, 2 when the user interrupted it.

    Raises:
        ArgumentError: a file that cannot be read, or no such model.
        ExportDamaged: not a file of exported versions, or a damaged one.
        CodeIdentityError: the model's code cannot be identified.
        DeterminismError: the model's code keeps something where no other replica sees it.
    """
    # Here, because the other commands need none of this.
    from msq_jupyter.definitions import definitions_of

    try:
        # What modules and models print is not what was asked for.
        with contextlib.redirect_stdout(sys.stderr), definitions_of(options.code) as found:
            report = _checked(found.model(options.model), options)
    except KeyboardInterrupt:
        print("msq: interrupted", file=sys.stderr)
        return 2
    if options.json:
        data = {**report.as_data(), "left_out": [asdict(one) for one in found.left_out]}
        print(json.dumps(data, indent=2))
    else:
        print(report)
        print(*_left_out_lines(found.left_out), sep="\n", end="\n" if found.left_out else "")
    return 0 if report.ok else 1


def _checked(model: Any, options: argparse.Namespace) -> CheckReport:
    from msq_jupyter.session import dry_run
    from msq_jupyter.stable import content_bytes

    plan = dry_run.plan_for(model, options.options)
    report = CheckReport(model.__name__)
    try:
        with options.data.open("rb") as stream:
            for version in ExportReader(stream):
                report.append(dry_run.load(plan, version.number, content_bytes(version.content), options.limit_s))
    except OSError as error:
        raise ArgumentError(f"--data: expected a readable file, got {options.data}: {error}") from error
    return report


def _left_out_lines(left_out: list[Any]) -> list[str]:
    if not left_out:
        return []
    lines = ["Not run, because only imports, functions, classes and plain assignments do:"]
    for one in left_out[:_LEFT_OUT_SHOWN]:
        lines.append(f"    {one.place}: {one.text}{f' ({one.error})' if one.error else ''}")
    more = len(left_out) - _LEFT_OUT_SHOWN
    return [*lines, f"    and {more:,} more: --json lists them"] if more > 0 else lines


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a JSON object such as '{{\"size\": 3}}', got {text}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"expected a JSON object such as '{{\"size\": 3}}', got {text}")
    return value


def _limit(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"expected a number of seconds above 0 and up to 86400, got {text}")
    return seconds
