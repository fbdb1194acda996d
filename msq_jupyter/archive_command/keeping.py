"""`msq label`, `pin`, `prune` and `restore`: what stays, what goes, and what sessions start from."""

from __future__ import annotations

import argparse

from msq_jupyter.archive_command.opening import opened, resolved
from msq_jupyter.archive_command.printing import counted, listed, print_json, print_text
from msq_jupyter.errors import ArgumentError


async def label(options: argparse.Namespace) -> int:
    """Name a version."""
    async with opened(options) as archive:
        number = await resolved(archive, options.number)
        await archive.label(number, options.text)
    text = options.text.strip()
    if options.json:
        print_json({"number": number, "label": text})
    else:
        print_text(f"v{number} is called {text}" if text else f"v{number} has no label any more")
    return 0


async def pin(options: argparse.Namespace) -> int:
    """Keep a version, or not any more."""
    async with opened(options) as archive:
        number = await resolved(archive, options.number)
        await archive.pin(number, not options.off)
    if options.json:
        print_json({"number": number, "pinned": not options.off})
    else:
        print(f"v{number} is {'not pinned any more' if options.off else 'pinned'}")
    return 0


async def prune(options: argparse.Namespace) -> int:
    """Drop versions for good, or only say which."""
    async with opened(options) as archive:
        numbers = await archive.prune(options.words, dry_run=options.dry_run)
    if options.json:
        print_json({"dropped": numbers, "dry_run": options.dry_run})
    elif numbers:
        print(f"{'would drop' if options.dry_run else 'dropped'} {counted(len(numbers))}: {listed(tuple(numbers))}")
    else:
        print("nothing to drop")
    return 0


async def restore(options: argparse.Namespace) -> int:
    """Append a copy of a version, which sessions start from next."""
    async with opened(options) as archive:
        number = await resolved(archive, options.number)
        present = archive.present
        if present and not options.force:
            raise ArgumentError(
                f"expected nobody in sessions of {options.name!r}, got {_people(present)}: they would go on with their "
                "own data, and save over it as the head. Restore it there, for everybody at once: "
                f"await session.restore({number}); or say --force"
            )
        copy = await archive.restore(number)
    if options.json:
        print_json({"restored": number, "number": copy, "present": present})
        return 0
    print(f"restored v{number} as v{copy}: sessions start from it")
    if present:
        people = f"whoever is in a session ({_people(present)})"
        print(f"{people} goes on with their own data: what they save next is the head again")
    return 0


def _people(count: int) -> str:
    return f"{count:,} participant{'' if count == 1 else 's'}"
