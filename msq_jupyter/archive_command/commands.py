"""The commands, their arguments, and how they end."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from msq_jupyter.archive_command import keeping, looking, moving
from msq_jupyter.archive_command.opening import LATEST, add_place_arguments

_EXIT_CODES = "The exit code is 0, 1 when there is something to tell (a difference, damage), or 2 after an error."


def add_parsers(commands: Any) -> None:
    """Add the commands to those of `msq`."""
    for name, summary, run, arguments, example in _COMMANDS:
        parser = commands.add_parser(
            name,
            help=summary,
            description=f"{_capitalized(summary)}. {_EXIT_CODES}",
            epilog=f"Example: msq {name} --app edu.school.demo --name lesson-1 {example}".rstrip(),
        )
        add_place_arguments(parser)
        for flag, settings in arguments:
            parser.add_argument(flag, **settings)
        parser.add_argument("--json", action="store_true", help="print JSON, for programs")
        parser.set_defaults(run=lambda options, run=run: _run(run, options))


def _run(command: Callable[[argparse.Namespace], Awaitable[int]], options: argparse.Namespace) -> int:
    async def main() -> int:
        return await command(options)

    try:
        code = asyncio.run(main())
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("msq: interrupted", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # What Python would still flush at its end goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print("msq: who reads our output has ended", file=sys.stderr)
        return 2


def _capitalized(text: str) -> str:
    return text[0].upper() + text[1:]


def _number(text: str) -> int | str:
    digits = text.removeprefix("v")
    if text != LATEST and not (digits.isascii() and digits.isdigit() and 0 < int(digits) < 2**53):
        raise argparse.ArgumentTypeError(f"expected the number of a version, or {LATEST}, got {text}")
    return text if text == LATEST else int(digits)


def _lines(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of lines of 1 or more, got {text}")
    return int(text)


_Argument = tuple[str, dict[str, Any]]


def _version(name: str, text: str, **settings: Any) -> _Argument:
    return (name, {"type": _number, "metavar": name.upper(), "help": text, **settings})


def _flag(name: str, text: str) -> _Argument:
    return (name, {"action": "store_true", "help": text})


_ONE_VERSION = _version("number", f"which one, or {LATEST}")

#: Name, summary, what runs it, its arguments beside --json, and an example of these.
_Command = tuple[str, str, Callable[[argparse.Namespace], Awaitable[int]], tuple[_Argument, ...], str]

_COMMANDS: tuple[_Command, ...] = (
    ("versions", "list the saved versions of a name", looking.versions, (), "--json"),
    (
        "show",
        "print what a version holds",
        looking.show,
        (
            _version("number", "which one (default: the latest)", nargs="?", default=LATEST),
            _flag("--source", "print the model source that saved it, instead"),
        ),
        "3 --source",
    ),
    (
        "diff",
        "print how one version differs from another one",
        looking.diff,
        (
            _version("old", "the number of the older one"),
            _version("new", "that of the newer one (default: the latest)", nargs="?", default=LATEST),
            _flag("--sources", "of the model sources, instead of the data"),
            ("--lines", {"type": _lines, "default": 40, "metavar": "N", "help": "how many at most (default: 40)"}),
        ),
        "3 5",
    ),
    (
        "restore",
        "store a copy of a version as the newest one, which sessions start from next",
        keeping.restore,
        (
            _version("number", "which one"),
            _flag("--force", "though somebody is there, whose next save takes the head back"),
        ),
        "3",
    ),
    (
        "label",
        "name a version; it is not pruned as long as it has a name",
        keeping.label,
        (_ONE_VERSION, ("text", {"metavar": "TEXT", "help": "its name; '' takes it away"})),
        "3 'before the exam'",
    ),
    (
        "pin",
        "keep a version, whatever is pruned",
        keeping.pin,
        (_ONE_VERSION, _flag("--off", "take the pin away")),
        "3",
    ),
    (
        "prune",
        "drop versions for good; labelled and pinned ones stay, and what sessions start from",
        keeping.prune,
        (
            ("words", {"metavar": "WORDS", "help": "what is kept, and for how long: see the example"}),
            _flag("--dry-run", "only say which would go"),
        ),
        "'everything for a day, hourly for a week, daily for a year, named for ever'",
    ),
    (
        "export",
        "write all versions of a name to stdout, in clear: as secret as what was saved",
        moving.export,
        (_flag("--skip-damaged", "leave out what cannot be read"),),
        "> versions.jsonl",
    ),
    (
        "import",
        "add exported versions to a name, sealed under its own password",
        moving.import_,
        (("file", {"nargs": "?", "type": Path, "metavar": "FILE", "help": "an export (default: stdin)"}),),
        "versions.jsonl",
    ),
    ("verify", "read every version and check its seal and its digests", looking.verify, (), ""),
)
