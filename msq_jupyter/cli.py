"""The command `msq`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from msq_jupyter import check_command, doctor_command, lint_command, serve_command
from msq_jupyter.archive_command.commands import add_parsers
from msq_jupyter.errors import MsqError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: without the program's name; None takes those of the process.

    Returns:
        The exit code: 0, 1 when a check found something, or 2 after an error, which is then one line on stderr.
    """
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except MsqError as error:
        print(f"msq: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="msq", description="Live, shared, lasting Jupyter notebooks.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve_command.add_parsers(commands)
    lint_command.add_parser(commands)
    check_command.add_parser(commands)
    add_parsers(commands)
    doctor_command.add_parser(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
