"""`msq export` and `import`."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from msq_jupyter.archive_command.opening import ask_password, is_typed, open_archive, opened
from msq_jupyter.archive_command.printing import counted, listed, print_json, print_outcome, print_text
from msq_jupyter.errors import ArgumentError, NameMissing


async def export(options: argparse.Namespace) -> int:
    """Write all versions to stdout."""
    async with opened(options) as archive:
        try:
            report = await archive.export(sys.stdout.buffer, skip_damaged=options.skip_damaged)
        except BrokenPipeError:
            raise
        except OSError as error:
            if error.errno is None:  # not of the system, but one of ours
                raise
            raise ArgumentError(f"expected to write to stdout, which failed: {error}") from error
    for number, damage in report.left_out.items():
        print(f"msq: left out version {number}: {damage}", file=sys.stderr)
    for number, damage in report.without_source.items():
        print(f"msq: left out the source of version {number}: {damage}", file=sys.stderr)
    print_outcome(options, {"exported": report.versions}, f"exported {counted(report.versions)} of {options.name}")
    return 1 if report.left_out or report.without_source else 0


async def import_(options: argparse.Namespace) -> int:
    """Add the versions of a file."""
    password = ask_password(options)
    with open_input(options.file) as stream:
        try:
            async with open_archive(options, password) as archive:
                report = await archive.import_(stream)
        except NameMissing:
            # A slip of the finger would become the new name's password.
            if is_typed(options) and ask_password(options, "New name. Again, password of") != password:
                raise ArgumentError("expected the same password twice, got two: nothing was stored") from None
            async with open_archive(options, password, create=True) as archive:
                report = await archive.import_(stream)
    there = len(report.numbers) - report.stored
    lines = [f"imported {counted(report.stored)} of {report.manifest.name} into {options.name}"]
    lines += [f"{counted(there)} {'were' if there > 1 else 'was'} there already"] if there else []
    lines += [f"a label or a pin is new on {counted(report.said)}"] if report.said else []
    if report.without_parent:
        lines.append(f"without their parents, which the file does not have: {listed(report.without_parent)}")
    if options.json:
        manifest = report.manifest
        source = {"app_id": manifest.app_id, "name": manifest.name}
        fields = {name: getattr(report, name) for name in ("numbers", "stored", "said", "without_parent")}
        print_json({"from": source, **fields})
    else:
        print_text("\n".join(lines))
    return 0


@contextlib.contextmanager
def open_input(path: Path | None) -> Iterator[BinaryIO]:
    """The file, or stdin."""
    if path is None or str(path) == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = path.open("rb")
    except OSError as error:
        raise ArgumentError(f"expected a file of exported versions, got {path}: {error}") from error
    with stream:
        yield stream
