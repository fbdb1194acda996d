"""The command `msq`."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from msq_jupyter.errors import MsqError

#: The modules that have commands, and which. A command loads its own and no other: kernels start `msq serve`, and it
#: would take three times as long to come with what checks models.
MODULES = {
    "msq_jupyter.serve_command": "serve token backup",
    "msq_jupyter.lint_command": "lint",
    "msq_jupyter.check_command": "check",
    "msq_jupyter.archive_command.commands": "versions show diff restore label pin prune export import verify",
    "msq_jupyter.doctor_command": "doctor",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: without the program's name; None takes those of the process.

    Returns:
        The exit code: 0, 1 when a check found something, or 2 after an error, which is then one line on stderr.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser(arguments).parse_args(arguments)
    try:
        return int(options.run(options))
    except MsqError as error:
        print(f"msq: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


def _parser(arguments: Sequence[str] = ()) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="msq", description="Live, shared, lasting Jupyter notebooks.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    own = [module for module, names in MODULES.items() if arguments and arguments[0] in names.split()]
    for module in own or MODULES:  # all for help, and for a word that is no command
        importlib.import_module(module).add_parsers(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
