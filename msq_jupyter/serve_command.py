"""The commands about a synchronizer: `msq serve`, `msq token`, `msq backup`."""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from msq_jupyter.errors import ArgumentError, StorageInUse
from msq_jupyter.local_registry import default_data_directory
from msq_jupyter.synchronizer.settings import add_flags, settle
from msq_jupyter.synchronizer.tokens import SCOPES, Token, check_name, digest_of, parse_scopes, parse_tokens

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parsers(commands: Commands) -> None:
    """Add them to the command line."""
    serve = commands.add_parser(
        "serve",
        help="run a synchronizer and print its URL",
        description="Run a synchronizer until SIGTERM, Ctrl+C or idleness ends it. "
        "Its URL is the only line on stdout; `Session.join(synchronizer=URL)` takes it. Each setting is a flag, an "
        "environment variable, in brackets below, or a line of a configuration file; the first of them that is there "
        "counts.",
    )
    add_flags(serve)
    serve.add_argument(
        "--local",
        action="store_true",
        help="be the one synchronizer that all kernels of this user share: write where it listens into DIR, "
        "with a fresh token, and end quietly if there is one already; takes flags only",
    )
    serve.set_defaults(run=_serve)
    _add_token_parser(commands)
    backup = commands.add_parser(
        "backup",
        help="copy the data of a synchronizer, which may go on running",
        description="Copy everything a synchronizer has stored into one new file, while it goes on serving. To go "
        "back, put the copy in an empty directory as synchronizer.sqlite and name that with msq serve --data.",
    )
    backup.add_argument("--data", type=Path, default=default_data_directory(), metavar="DIR", help="what to copy")
    backup.add_argument("file", type=Path, metavar="FILE", help="the copy; it must not be there yet")
    backup.set_defaults(run=_backup)


def _add_token_parser(commands: Commands) -> None:
    token = commands.add_parser("token", help="make access tokens for msq serve --token-file")
    actions = token.add_subparsers(required=True, metavar="ACTION")
    create = actions.add_parser(
        "create",
        help="make a token, keep its digest in a file, and print it once",
        description="Make an access token, add its digest to a token file, and print the token: it is shown this "
        "once and kept nowhere. Scopes: " + "; ".join(f"{scope}: {meaning}" for scope, meaning in SCOPES.items()) + ".",
    )
    create.add_argument("--scope", required=True, metavar="SCOPES", help="what it is for, for example join,create")
    create.add_argument("--name", metavar="NAME", help="for logs and limits (default: one drawn by lot)")
    create.add_argument("--token-file", type=Path, required=True, metavar="FILE", help="made if it is not there")
    create.set_defaults(run=_create_token)


def _serve(options: argparse.Namespace) -> int:
    # Here, because the commands to come need none of this.
    from msq_jupyter.synchronizer.logs import log_to_stderr
    from msq_jupyter.synchronizer.process import run, serve, serve_local

    if options.local and (options.token_file or options.config):
        given = "--token-file" if options.token_file else "--config"
        raise ArgumentError(f"expected --local without {given}, got both: --local makes a token of its own")
    settings = settle(options, os.environ, flags_only=options.local)
    log_to_stderr(settings.log_format, settings.log_level)
    if not options.local:
        run(serve(settings, settings.gate(), on_listening=_print_url))
        return 0
    # Two kernels may have started one at once: whoever finds the directory in use has nothing to do.
    with contextlib.suppress(StorageInUse):
        run(serve_local(settings, on_listening=_print_url))
    return 0


def _print_url(url: str) -> None:
    print(url, flush=True)


def _create_token(options: argparse.Namespace) -> int:
    scopes = parse_scopes(options.scope, "--scope")
    name = check_name(options.name or f"token-{secrets.token_hex(4)}")
    secret = secrets.token_urlsafe(32)
    line = Token(name, scopes, digest_of(secret)).line() + "\n"
    path: Path = options.token_file
    try:
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if before and not before.endswith("\n"):
            line = "\n" + line
        # With the new line, so that a name that is there, or a plain token, is found before anything is written.
        parse_tokens(before + line, str(path))
        with open(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
            file.write(line)
    except OSError as error:
        raise ArgumentError(
            f"--token-file: expected a file that can be written, got {path}: {error.strerror}"
        ) from None
    print(secret)
    return 0


def _backup(options: argparse.Namespace) -> int:
    from msq_jupyter.synchronizer.backup import back_up

    size_bytes = back_up(options.data, options.file)
    print(f"{options.file}: {size_bytes:,} bytes")
    return 0
