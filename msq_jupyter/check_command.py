"""`msq check`: whether a model loads every version of a name, or of an exported file, before anybody joins with it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from msq_jupyter.archive_command.opening import add_place_arguments, ask_password, open_archive
from msq_jupyter.errors import ArgumentError, MsqError, SealBroken, VersionDamaged
from msq_jupyter.persistence.check_report import CheckReport
from msq_jupyter.persistence.export import ExportReader
from msq_jupyter.stable import content_bytes

#: So many statements that were left out are shown.
_LEFT_OUT_SHOWN = 10


def add_parsers(commands: Any) -> None:
    """Add the command to those of `msq`."""
    parser = commands.add_parser(
        "check",
        help="say which saved versions a model can load",
        description="Load every version of a name, or of an exported file, with the model of a Python file or "
        "notebook. Of that, only imports, functions, classes and plain assignments run; nothing is joined, saved or "
        "changed. The exit code is 0 when all versions load, 1 when some do not, and 2 when it could not look.",
        epilog="Example: msq check lesson.ipynb --app edu.school.demo --name lesson-1",
    )
    parser.add_argument("code", type=Path, metavar="FILE|NOTEBOOK", help="where the model is defined")
    add_place_arguments(parser, required=False)
    parser.add_argument(
        "--data", type=Path, metavar="EXPORTFILE", help="a file of exported versions, instead of a name"
    )
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
        ArgumentError: a file that cannot be read, no such model, or neither a name nor a file of versions.
        NameMissing: nothing was ever saved under the name.
        WrongPassword: it is in use with another password.
        SynchronizerUnreachable: nobody answers.
        ExportDamaged: not a file of exported versions, or a damaged one.
        CodeIdentityError: the model's code cannot be identified.
        DeterminismError: the model's code keeps something where no other replica sees it.
    """
    if (options.data is None) == (options.app is None and options.name is None):
        raise ArgumentError(
            "expected either --app A --name N or --data EXPORTFILE, got both or neither: name one place"
        )
    if options.data is None and not (options.app and options.name):
        raise ArgumentError("expected both --app A and --name N, got one of them")
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

    plan = dry_run.plan_for(model, {**dict(options.option), **options.options})
    contents = _saved(options) if options.data is None else _exported(options.data)
    report = CheckReport(model.__name__)
    for number, content in contents:
        if isinstance(content, bytes):
            report.append(dry_run.load(plan, number, content, options.limit_s))
        else:
            report.append(dry_run.unreadable(number, content))
    return report


def _exported(path: Path) -> Iterator[tuple[int, bytes | MsqError]]:
    """Number and content of each version of a file."""
    try:
        with path.open("rb") as stream:
            for version in ExportReader(stream):
                yield version.number, content_bytes(version.content)
    except OSError as error:
        raise ArgumentError(f"--data: expected a readable file, got {path}: {error}") from error


def _saved(options: argparse.Namespace) -> Iterator[tuple[int, bytes | MsqError]]:
    """Number and content of each version of a name, or why it cannot be read."""
    with _loop_beside() as wait:
        opening = open_archive(options, ask_password(options))
        archive = wait(opening.__aenter__())
        try:
            versions = wait(archive.versions())
            for number in sorted([*(version.number for version in versions), *versions.damaged]):
                try:
                    yield number, content_bytes(wait(archive.content(number)))
                except (VersionDamaged, SealBroken) as error:
                    yield number, error
        finally:
            wait(opening.__aexit__(None, None, None))


@contextlib.contextmanager
def _loop_beside() -> Iterator[Callable[[Awaitable[Any]], Any]]:
    """A loop on a thread of its own, so that a model that computes for long does not lose the connection."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="msq-check", daemon=True)
    thread.start()

    async def result_of(awaitable: Awaitable[Any]) -> Any:
        return await awaitable

    try:
        yield lambda awaitable: asyncio.run_coroutine_threadsafe(result_of(awaitable), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


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
