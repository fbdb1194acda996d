"""`msq versions`, `show`, `diff` and `verify`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from typing import Any

from msq_jupyter.archive_command.opening import opened, resolved
from msq_jupyter.archive_command.printing import (
    counted,
    description,
    operation_row,
    print_json,
    print_text,
    version_row,
)


async def versions(options: argparse.Namespace) -> int:
    """List the versions."""
    async with opened(options) as archive:
        versions = await archive.versions()
    if options.json:
        rows = [version_row(version) for version in versions]
        rows += [{"number": number, "damage": damage} for number, damage in versions.damaged.items()]
        print_json(sorted(rows, key=lambda row: int(row["number"])))
    else:
        print(versions)
    return 1 if versions.damaged else 0


async def show(options: argparse.Namespace) -> int:
    """Print what a version holds."""
    async with opened(options) as archive:
        version, content = await archive.read(await resolved(archive, options.number))
        source = await archive.source_of(version) if options.json or options.source else ""
    if options.json:
        print_json({**version_row(version), "source": source, "content": content})
        return 0
    for line in description(version):
        print(line)
    if options.source:
        print_text(source)
    else:
        print_text(json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True))
    return 0


async def diff(options: argparse.Namespace) -> int:
    """Print how two versions differ."""
    from msq_jupyter.persistence.diff import difference, source_difference

    async with opened(options) as archive:
        old, old_content = await archive.read(await resolved(archive, options.old))
        new, new_content = await archive.read(await resolved(archive, options.new))
        old_source, new_source = [await archive.source_of(side) if options.sources else "" for side in (old, new)]
    names = {"old_name": f"v{old.number}", "new_name": f"v{new.number}"}
    ends = {"old": old.number, "new": new.number}
    if options.sources:
        sources = source_difference(old_source, new_source, **names)
        details: dict[str, Any] = {"lines": list(sources.lines)}
        shown: Any = sources
    else:
        data = difference(old_content, new_content, **names)
        details = {"operations": [operation_row(operation) for operation in data.operations]}
        shown = data
    if options.json:
        print_json({**ends, "counts": shown.counts, **details})
    else:
        print(shown.text(options.lines, colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ))
    return 1 if shown else 0


async def verify(options: argparse.Namespace) -> int:
    """Read every version and check it."""
    async with opened(options) as archive:
        found = await archive.verify()
    damaged = sum(bool(one.damage) for one in found)
    if options.json:
        print_json([dataclasses.asdict(one) for one in found])
    else:
        for one in found:
            print(f"v{one.number}: {one.damage or 'ok'}")
        print(f"{counted(len(found))}, {damaged} damaged")
    return 1 if damaged else 0
