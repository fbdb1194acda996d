"""The list of versions as rows: by day, automatic ones folded, filtered. Pure."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from msq_jupyter.persistence.harmless import harmless, shortened
from msq_jupyter.persistence.records import Version

Reason = Literal["named", "restored", "automatic"]

#: So many automatic versions in a row are worth a fold.
FOLD_MIN = 3

#: What a restore names its version: "restored from version 3", "topics restored from version 3".
_RESTORED = re.compile(r"(?:.+ )?restored from version \d+")


class Filter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which versions are wanted.

    Attributes:
        text: part of the label, author, number or code, whatever the case.
        mine: only one's own.
        named: only those with a name, or pinned.
        code: only those of this code hash; "" for all.
    """

    text: str = ""
    mine: bool = False
    named: bool = False
    code: str = ""


@dataclass(frozen=True)
class Row:
    """A row of the list: a day, a fold of automatic versions, or a version.

    Attributes:
        kind: "day", "fold" or "version".
        key: names the row while others come and go.
        version: the version; of a day or a fold the newest one in it.
        count: of a day or a fold, how many versions are in it; else 1.
        oldest: of a fold, the number of the oldest version in it.
        is_open: of a fold, whether its versions follow.
    """

    kind: Literal["day", "fold", "version"]
    key: str
    version: Version
    count: int = 1
    oldest: int = 0
    is_open: bool = False


def reason_of(version: Version) -> Reason:
    """Why a version was saved."""
    if _RESTORED.fullmatch(version.label):
        return "restored"
    return "named" if version.label else "automatic"


def matching(versions: Iterable[Version], wanted: Filter, own_name: str) -> list[Version]:
    """The versions that a filter lets pass, newest first."""
    text = wanted.text.casefold().strip()
    number = text.removeprefix("v")

    def passes(version: Version) -> bool:
        if (wanted.mine and version.author != own_name) or (wanted.code and version.code_hash != wanted.code):
            return False
        if wanted.named and not (version.label or version.pinned):
            return False
        return (
            not text
            or text in version.label.casefold()
            or text in version.author.casefold()
            or number == str(version.number)
            or (len(text) >= 4 and version.code_hash.startswith(text))
        )

    return sorted(filter(passes, versions), key=lambda version: version.number, reverse=True)


def rows_of(
    versions: Sequence[Version], zone: datetime.tzinfo, opened: Iterable[int], lines: Mapping[int, str]
) -> list[Row]:
    """The rows of a list.

    Args:
        versions: newest first.
        zone: in which a day begins at midnight.
        opened: folds that are open, by the number of their oldest version.
        lines: as in `told`; versions of which something is said are not folded.
    """
    open_folds = set(opened)
    rows: list[Row] = []
    start = 0
    days = [version.time.astimezone(zone).date() for version in versions]
    while start < len(versions):
        end = start
        while end < len(versions) and days[end] == days[start]:
            end += 1
        rows.append(Row("day", f"day {days[start].isoformat()}", versions[start], end - start))
        rows += _folded(versions[start:end], open_folds, lines, newest=start == 0)
        start = end
    return rows


def _folded(day: Sequence[Version], open_folds: set[int], lines: Mapping[int, str], *, newest: bool) -> list[Row]:
    rows: list[Row] = []
    run: list[Version] = []

    def close_run() -> None:
        if len(run) < FOLD_MIN:
            rows.extend(_row(version) for version in run)
        else:
            oldest = run[-1].number
            is_open = oldest in open_folds
            rows.append(Row("fold", f"fold {oldest}", run[0], len(run), oldest, is_open))
            rows.extend(_row(version) for version in run if is_open)
        run.clear()

    for place, version in enumerate(day):
        is_notable = version.label or version.pinned or lines.get(version.number)
        if is_notable or (newest and place == 0):
            close_run()
            rows.append(_row(version))
        else:
            run.append(version)
    close_run()
    return rows


def _row(version: Version) -> Row:
    return Row("version", f"version {version.number}", version)


def told(row: Row, earlier: Mapping[int, Version], lines: Mapping[int, str]) -> dict[str, Any]:
    """A row as the browser gets it: harmless text and numbers.

    Args:
        row: the row.
        earlier: versions by number, to tell what is new about one: of its parent.
        lines: where each version stands, as `VersionList.lines` says.
    """
    version = row.version
    data: dict[str, Any] = {"kind": row.kind, "key": row.key, "time_s": version.time.timestamp(), "count": row.count}
    if row.kind == "fold":
        return {**data, "number": version.number, "oldest": row.oldest, "open": row.is_open}
    return {**data, **told_version(version, earlier, lines)} if row.kind == "version" else data


def told_version(version: Version, earlier: Mapping[int, Version], lines: Mapping[int, str]) -> dict[str, Any]:
    """A version as the browser gets it; arguments as in `told`."""
    parent = earlier.get(version.parent)
    return {
        "number": version.number,
        "parent": version.parent,
        "time_s": version.time.timestamp(),
        "author": shortened(version.author, 80),
        "label": shortened(version.label, 200),
        "reason": reason_of(version),
        "size_bytes": version.size_bytes,
        "stored_bytes": version.stored_bytes,
        "schema": "" if version.schema_version is None else shortened(str(version.schema_version), 40),
        "code": harmless(version.code_hash[:8]),
        "is_new_schema": parent is not None and parent.schema_version != version.schema_version,
        "is_new_code": parent is not None and parent.code_hash != version.code_hash,
        "pinned": version.pinned,
        "line": lines.get(version.number, ""),
    }
