"""`msq versions`, `show`, `diff`, `export`, `import` and `verify`: the saved versions of a name, from the outside."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import getpass
import json
import os
import sys
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from msq_jupyter.errors import ArgumentError, NameMissing

if TYPE_CHECKING:
    from msq_jupyter.persistence.operations import Operation
    from msq_jupyter.persistence.records import Version
    from msq_jupyter.session.archive import Archive

#: Where the password is taken from, so that scripts and pipes need nobody who types.
PASSWORD_VARIABLE = "MSQ_PASSWORD"

_LATEST = "latest"
_EXIT_CODES = "The exit code is 0, 1 when there is something to tell (a difference, damage), or 2 after an error."


def add_parsers(commands: Any) -> None:
    """Add the commands to those of `msq`."""
    for name, summary, run, arguments in _COMMANDS:
        parser = commands.add_parser(name, help=summary, description=f"{_capitalized(summary)}. {_EXIT_CODES}")
        parser.add_argument("--app", required=True, metavar="A", help="the application: app_id of Session.join")
        parser.add_argument("--name", required=True, metavar="N", help="the session's name")
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
        for flags, settings in arguments:
            parser.add_argument(*flags, **settings)
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


# --- which archive -----------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _opened(options: argparse.Namespace) -> AsyncIterator[Archive]:
    async with _archive(options, _password(options)) as archive:
        yield archive


def _archive(
    options: argparse.Namespace, password: str | None, *, create: bool = False
) -> contextlib.AbstractAsyncContextManager[Archive]:
    from msq_jupyter.session.archive import Archive

    return Archive.open(
        app_id=options.app,
        name=options.name,
        password=password,
        persistent_options=dict(options.option),
        synchronizer=options.synchronizer,
        create=create,
    )


def _password(options: argparse.Namespace, question: str = "Password of") -> str | None:
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


def _is_typed(options: argparse.Namespace) -> bool:
    return not options.no_password and not os.environ.get(PASSWORD_VARIABLE)


# --- commands ----------------------------------------------------------------------------------------------------


async def _versions(options: argparse.Namespace) -> int:
    async with _opened(options) as archive:
        versions = await archive.versions()
    if options.json:
        rows = [_row(version) for version in versions]
        rows += [{"number": number, "damage": damage} for number, damage in versions.damaged.items()]
        _print_json(sorted(rows, key=lambda row: int(row["number"])))
    else:
        print(versions)
    return 1 if versions.damaged else 0


async def _show(options: argparse.Namespace) -> int:
    async with _opened(options) as archive:
        version, content = await archive.read(await _resolved(archive, options.number))
        source = await archive.source_of(version) if options.json or options.source else ""
    if options.json:
        _print_json({**_row(version), "source": source, "content": content})
        return 0
    for line in _described(version):
        print(line)
    if options.source:
        _print_text(source)
    else:
        _print_text(json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True))
    return 0


async def _diff(options: argparse.Namespace) -> int:
    from msq_jupyter.persistence.diff import difference, source_difference

    async with _opened(options) as archive:
        old, old_content = await archive.read(await _resolved(archive, options.old))
        new, new_content = await archive.read(await _resolved(archive, options.new))
        old_source, new_source = [await archive.source_of(side) if options.sources else "" for side in (old, new)]
    names = {"old_name": f"v{old.number}", "new_name": f"v{new.number}"}
    ends = {"old": old.number, "new": new.number}
    if options.sources:
        sources = source_difference(old_source, new_source, **names)
        details: dict[str, Any] = {"lines": list(sources.lines)}
        shown: Any = sources
    else:
        data = difference(old_content, new_content, **names)
        details = {"operations": [_operation(operation) for operation in data.operations]}
        shown = data
    if options.json:
        _print_json({**ends, "counts": shown.counts, **details})
    else:
        print(shown.text(options.lines, colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ))
    return 1 if shown else 0


async def _export(options: argparse.Namespace) -> int:
    async with _opened(options) as archive:
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
    _print_outcome(options, {"exported": report.versions}, f"exported {_counted(report.versions)} of {options.name}")
    return 1 if report.left_out else 0


async def _import(options: argparse.Namespace) -> int:
    password = _password(options)
    with _input(options.file) as stream:
        try:
            async with _archive(options, password) as archive:
                report = await archive.import_(stream)
        except NameMissing:
            # A slip of the finger would become the new name's password.
            if _is_typed(options) and _password(options, "New name. Again, password of") != password:
                raise ArgumentError("expected the same password twice, got two: nothing was stored") from None
            async with _archive(options, password, create=True) as archive:
                report = await archive.import_(stream)
    there = len(report.numbers) - report.stored
    lines = [f"imported {_counted(report.stored)} of {report.manifest.name} into {options.name}"]
    lines += [f"{_counted(there)} {'were' if there > 1 else 'was'} there already"] if there else []
    if report.without_parent:
        lines.append(f"without their parents, which the file does not have: {_listed(report.without_parent)}")
    if report.unpinned:
        lines.append(f"pinned in the file and not here: {_listed(report.unpinned)}")
    if options.json:
        manifest = report.manifest
        source = {"app_id": manifest.app_id, "name": manifest.name}
        fields = {name: getattr(report, name) for name in ("numbers", "stored", "without_parent", "unpinned")}
        _print_json({"from": source, **fields})
    else:
        _print_text("\n".join(lines))
    return 0


async def _verify(options: argparse.Namespace) -> int:
    async with _opened(options) as archive:
        found = await archive.verify()
    damaged = sum(bool(one.damage) for one in found)
    if options.json:
        _print_json([dataclasses.asdict(one) for one in found])
    else:
        for one in found:
            print(f"v{one.number}: {one.damage or 'ok'}")
        print(f"{_counted(len(found))}, {damaged} damaged")
    return 1 if damaged else 0


# --- parts -------------------------------------------------------------------------------------------------------


async def _resolved(archive: Archive, number: int | str) -> int:
    if isinstance(number, int):
        return number
    head = (await archive.versions()).head
    if not head:
        raise NameMissing(f"expected a saved version of {archive.name!r}, and there is none yet")
    return head


@contextlib.contextmanager
def _input(path: Path | None) -> Iterator[BinaryIO]:
    if path is None or str(path) == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = path.open("rb")
    except OSError as error:
        raise ArgumentError(f"expected a file of exported versions, got {path}: {error}") from error
    with stream:
        yield stream


def _row(version: Version) -> dict[str, Any]:
    names = (
        "number",
        "parent",
        "is_head",
        "author",
        "label",
        "session_id",
        "code_hash",
        "schema_version",
        "size_bytes",
    )
    return {**{name: getattr(version, name) for name in names}, "time": version.time.isoformat()}


def _described(version: Version) -> Iterator[str]:
    from msq_jupyter.persistence.harmless import shortened
    from msq_jupyter.persistence.records import size_text

    yield (
        f"version  {version.number}"
        + (f", from version {version.parent}" if version.parent else "")
        + (", the head" if version.is_head else "")
    )
    yield f"saved    {version.time.astimezone():%Y-%m-%d %H:%M:%S %z} by {shortened(version.author)}"
    for name, value in (("label", version.label), ("schema", version.schema_version), ("code", version.code_hash)):
        if value not in ("", None):
            yield f"{name.ljust(8)} {shortened(str(value))}"
    yield f"size     {size_text(version.size_bytes)}"
    yield ""


def _operation(operation: Operation) -> dict[str, Any]:
    fields = {field.name: getattr(operation, field.name) for field in dataclasses.fields(operation)}
    path = [step if isinstance(step, (str, int)) else step._asdict() for step in operation.path]
    return {"kind": type(operation).__name__.lower(), **fields, "path": path, "path_text": operation.path_text}


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, sort_keys=True))


def _print_text(text: str) -> None:
    from msq_jupyter.persistence.harmless import harmless

    # Saved texts are other people's: they may not command the terminal.
    for line in text.expandtabs(4).split("\n"):
        print(harmless(line))


def _print_outcome(options: argparse.Namespace, outcome: dict[str, Any], text: str) -> None:
    # On stderr: stdout is the file.
    print(json.dumps(outcome) if options.json else text, file=sys.stderr)


def _counted(count: int) -> str:
    return f"{count:,} version{'' if count == 1 else 's'}"


def _listed(numbers: tuple[int, ...]) -> str:
    shown = ", ".join(f"v{number}" for number in numbers[:20])
    return shown + (f" and {len(numbers) - 20:,} more" if len(numbers) > 20 else "")


def _capitalized(text: str) -> str:
    return text[0].upper() + text[1:]


def _number(text: str) -> int | str:
    digits = text.removeprefix("v")
    if text != _LATEST and not (digits.isascii() and digits.isdigit() and 0 < int(digits) < 2**53):
        raise argparse.ArgumentTypeError(f"expected the number of a version, or {_LATEST}, got {text}")
    return text if text == _LATEST else int(digits)


def _lines(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of lines of 1 or more, got {text}")
    return int(text)


def _option(text: str) -> tuple[str, Any]:
    key, is_there, value = text.partition("=")
    try:
        if is_there and key:
            return key, json.loads(value)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"""expected KEY=JSON, such as room=7 or 'course="a"', got {text}""")


_Argument = tuple[tuple[str, ...], dict[str, Any]]

_JSON: _Argument = (("--json",), {"action": "store_true", "help": "print JSON, for programs"})


def _version_argument(name: str, text: str, **settings: Any) -> _Argument:
    return ((name,), {"type": _number, "metavar": name.upper(), "help": text, **settings})


_COMMANDS: tuple[tuple[str, str, Callable[[argparse.Namespace], Awaitable[int]], tuple[_Argument, ...]], ...] = (
    ("versions", "list the saved versions of a name", _versions, (_JSON,)),
    (
        "show",
        "print what a version holds",
        _show,
        (
            _version_argument("number", "which one (default: the latest)", nargs="?", default=_LATEST),
            (("--source",), {"action": "store_true", "help": "print the model source that saved it, instead"}),
            _JSON,
        ),
    ),
    (
        "diff",
        "print how one version differs from another one",
        _diff,
        (
            _version_argument("old", "the number of the older one"),
            _version_argument("new", "that of the newer one (default: the latest)", nargs="?", default=_LATEST),
            (("--sources",), {"action": "store_true", "help": "of the model sources, instead of the data"}),
            (("--lines",), {"type": _lines, "default": 40, "metavar": "N", "help": "how many at most (default: 40)"}),
            _JSON,
        ),
    ),
    (
        "export",
        "write all versions of a name to stdout, in clear: as secret as what was saved",
        _export,
        ((("--skip-damaged",), {"action": "store_true", "help": "leave out what cannot be read"}), _JSON),
    ),
    (
        "import",
        "add exported versions to a name, sealed under its own password",
        _import,
        (
            (("file",), {"nargs": "?", "type": Path, "metavar": "FILE", "help": "an export (default: stdin)"}),
            _JSON,
        ),
    ),
    ("verify", "read every version and check its seal and its digests", _verify, (_JSON,)),
)
