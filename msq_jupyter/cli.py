"""The command `msq`."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from msq_jupyter import check_command, doctor_command, lint_command
from msq_jupyter.archive_command.commands import add_parsers
from msq_jupyter.errors import ArgumentError, MsqError, StorageInUse
from msq_jupyter.local_registry import default_data_directory


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
    serve = commands.add_parser(
        "serve",
        help="run a synchronizer and print its URL",
        description="Run a synchronizer until SIGTERM, Ctrl+C or idleness ends it. "
        "Its URL is the only line on stdout; `Session.join(synchronizer=URL)` takes it.",
    )
    serve.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    serve.add_argument(
        "--port", type=_port, default=0, help="TCP port to listen at; 0, the default, lets the system choose"
    )
    serve.add_argument(
        "--data",
        type=Path,
        default=default_data_directory(),
        metavar="DIR",
        help="where sessions and versions are kept",
    )
    serve.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="participants have to know the content of this file, one line, and join with "
        "synchronizer='ws://TOKEN@host:port'; required when other machines can connect",
    )
    serve.add_argument(
        "--idle-exit-s",
        type=_seconds,
        metavar="N",
        help="end when nobody has been connected for N seconds; unless given, 600 with --local and never without",
    )
    serve.add_argument(
        "--local",
        action="store_true",
        help="be the one synchronizer that all kernels of this user share: write where it listens into DIR, "
        "with a fresh token, and end quietly if there is one already",
    )
    serve.set_defaults(run=_serve)
    lint_command.add_parser(commands)
    check_command.add_parser(commands)
    add_parsers(commands)
    doctor_command.add_parser(commands)
    return parser


def _serve(options: argparse.Namespace) -> int:
    # Here, because the commands to come need none of this.
    from msq_jupyter.synchronizer.process import run, serve, serve_local

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    where = {"data_directory": options.data, "idle_exit_s": options.idle_exit_s, "on_listening": _print_url}
    if not options.local:
        token = _read_token(options.token_file) if options.token_file else None
        run(serve(options.host, options.port, token=token, **where))
        return 0
    if options.token_file:
        raise ArgumentError("expected --local without --token-file, got both: --local makes a token of its own")
    # Two kernels may have started one at once: whoever finds the directory in use has nothing to do.
    with contextlib.suppress(StorageInUse):
        run(serve_local(options.host, options.port, **where))
    return 0


def _print_url(url: str) -> None:
    print(url, flush=True)


def _read_token(path: Path) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(f"--token-file: expected a text file with a token, got {path}: {error}") from error
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ArgumentError(f"--token-file: expected one line of printable ASCII without spaces in {path}")
    return token


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to 65535, got {text}")
    return port


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number of seconds from 0, got {text}")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
