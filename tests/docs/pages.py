"""What stands in a page: code to run, lines to type, and notes for the tests that readers do not see.

* A block of `python` is a cell; all those of a page are run in order, in one notebook.
* `<!-- run: code -->` is run in its place, `<!-- check: expression -->` has to become true there.
* `<!-- raises: SomeError -->` before a block says that it ends with this error.
* A block of `python` with a title such as `test_poll.py` is a file of tests, and is run by pytest.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
#: The pages that are written, without the one whose blocks are tested with the rules it is made from.
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if path.name != "lint.md")

_PIECE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+)(?: +title=\"(?P<title>[^\"]+)\")?[^\n]*\n(?P<code>.*?)^ *```$"
    r"|<!-- (?P<note>run|check|raises): (?P<text>.*?) -->",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Piece:
    """A block or a note.

    Attributes:
        kind: the language of a block, or the word of a note.
        text: what is in it.
        title: of a block, "" for none.
        line: where it begins, counted from 1.
    """

    kind: str
    text: str
    title: str
    line: int


def pieces(path: Path) -> Iterator[Piece]:
    """Everything of a page that a test cares for, in order."""
    page = path.read_text(encoding="utf-8")
    for found in _PIECE.finditer(page):
        line = page.count("\n", 0, found.start()) + 1
        if found["note"]:
            yield Piece(found["note"], found["text"], "", line)
        else:
            yield Piece(found["language"], textwrap.dedent(found["code"]), found["title"] or "", line)


def name_of(path: Path) -> str:
    """What a page is called in a test's name."""
    return path.relative_to(ROOT).as_posix()
