"""What the commands print: for people, harmless on a terminal; for programs, as JSON."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from msq_jupyter.persistence.operations import Operation
    from msq_jupyter.persistence.records import Version


def version_row(version: Version) -> dict[str, Any]:
    """What is known of a version, for programs."""
    names = ["number", "parent", "is_head", "author", "label", "pinned"]
    names += ["session_id", "code_hash", "schema_version", "size_bytes"]
    return {**{name: getattr(version, name) for name in names}, "time": version.time.isoformat()}


def description(version: Version) -> Iterator[str]:
    """What is known of a version, line by line."""
    from msq_jupyter.persistence.annotations import LABEL
    from msq_jupyter.persistence.harmless import shortened
    from msq_jupyter.persistence.records import size_text

    parent, head = f", from version {version.parent}" if version.parent else "", ", the head" if version.is_head else ""
    yield f"version  {version.number}{parent}{head}"
    yield f"saved    {version.time.astimezone():%Y-%m-%d %H:%M:%S %z} by {shortened(version.author)}"
    for kind, annotation in version.annotations.items():
        if annotation.value:
            name, what = ("label", shortened(str(annotation.value))) if kind == LABEL else ("kept", "pinned")
            when = f" on {annotation.time.astimezone():%Y-%m-%d %H:%M:%S %z}" if annotation.time else ""
            yield f"{name.ljust(8)} {what}, by {shortened(annotation.author)}{when}"
    for name, value in (("schema", version.schema_version), ("code", version.code_hash)):
        if value not in ("", None):
            yield f"{name.ljust(8)} {shortened(str(value))}"
    yield f"size     {size_text(version.size_bytes)}"
    yield ""


def operation_row(operation: Operation) -> dict[str, Any]:
    """One thing that changed, for programs."""
    fields = {field.name: getattr(operation, field.name) for field in dataclasses.fields(operation)}
    path = [step if isinstance(step, (str, int)) else step._asdict() for step in operation.path]
    return {"kind": type(operation).__name__.lower(), **fields, "path": path, "path_text": operation.path_text}


def print_json(value: Any) -> None:
    """Print JSON."""
    print(json.dumps(value, indent=2, sort_keys=True))


def print_text(text: str) -> None:
    """Print what people saved, harmlessly."""
    from msq_jupyter.persistence.harmless import harmless

    # Saved texts are other people's: they may not command the terminal.
    for line in text.expandtabs(4).split("\n"):
        print(harmless(line))


def print_outcome(options: argparse.Namespace, outcome: dict[str, Any], text: str) -> None:
    """Say on stderr how it ended: stdout is the file."""
    print(json.dumps(outcome) if options.json else text, file=sys.stderr)


def counted(count: int) -> str:
    """A number of versions: `3 versions`."""
    return f"{count:,} version{'' if count == 1 else 's'}"


def listed(numbers: tuple[int, ...]) -> str:
    """Numbers of versions, not too many: `v1, v2`."""
    shown = ", ".join(f"v{number}" for number in numbers[:20])
    return shown + (f" and {len(numbers) - 20:,} more" if len(numbers) > 20 else "")
