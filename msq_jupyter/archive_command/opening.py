"""Which archive a command is about: its synchronizer, its name, and the password."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import os
import warnings
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from msq_jupyter.errors import ArgumentError, NameMissing

if TYPE_CHECKING:
    from msq_jupyter.session.archive import Archive

#: Where the password is taken from, so that scripts and pipes need nobody who types.
PASSWORD_VARIABLE = "MSQ_PASSWORD"
#: The word for the head.
LATEST = "latest"


def add_place_arguments(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add the arguments that say which archive it is."""
    parser.add_argument("--app", required=required, metavar="A", help="the application: app_id of Session.join")
    parser.add_argument("--name", required=required, metavar="N", help="the session's name")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        type=_option,
        metavar="KEY=JSON",
        help="one of the persistent options, when sessions have some",
    )
    parser.add_argument("--synchronizer", metavar="URL", help="where the versions are; without it, as for sessions")
    parser.add_argument(
        "--no-password",
        action="store_true",
        help=f"the name has none; else it is taken from the environment variable {PASSWORD_VARIABLE}, or asked for",
    )


def _option(text: str) -> tuple[str, Any]:
    key, is_there, value = text.partition("=")
    try:
        if is_there and key:
            return key, json.loads(value)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"""expected KEY=JSON, such as room=7 or 'course="a"', got {text}""")


@contextlib.asynccontextmanager
async def opened(options: argparse.Namespace) -> AsyncIterator[Archive]:
    """The archive that exists, opened."""
    async with open_archive(options, ask_password(options)) as archive:
        yield archive


def open_archive(
    options: argparse.Namespace, password: str | None, *, create: bool = False
) -> contextlib.AbstractAsyncContextManager[Archive]:
    """The archive, to be opened."""
    from msq_jupyter.session.archive import Archive

    return Archive.open(
        app_id=options.app,
        name=options.name,
        password=password,
        persistent_options=dict(options.option),
        synchronizer=options.synchronizer,
        create=create,
    )


def ask_password(options: argparse.Namespace, question: str = "Password of") -> str | None:
    """The password, from where it is; raises ArgumentError when it is nowhere."""
    if options.no_password:
        return None
    given = os.environ.get(PASSWORD_VARIABLE)
    if given:
        return given
    try:
        with warnings.catch_warnings():
            # Without a terminal it would read from stdin, which may be the file to import, and show what is typed.
            warnings.simplefilter("error", getpass.GetPassWarning)
            typed = getpass.getpass(f"{question} {options.name} (app {options.app}): ")
    except (getpass.GetPassWarning, EOFError):
        raise ArgumentError(
            f"expected a password, and there is no terminal to ask for one: set {PASSWORD_VARIABLE}, "
            "or say --no-password for a name without"
        ) from None
    if not typed:
        raise ArgumentError("expected a password, got none: say --no-password for a name without")
    return typed


def is_typed(options: argparse.Namespace) -> bool:
    """Whether the password comes from somebody who may mistype it."""
    return not options.no_password and not os.environ.get(PASSWORD_VARIABLE)


async def resolved(archive: Archive, number: int | str) -> int:
    """The number of a version that may be "latest"; raises NameMissing when there is none."""
    if isinstance(number, int):
        return number
    head = (await archive.versions()).head
    if not head:
        raise NameMissing(f"expected a saved version of {archive.name!r}, and there is none yet")
    return head
