"""The difference of two texts, line by line, as a unified diff; fast for any two texts.

Lines that occur once on each side are matched first (patience diff, as in `edits`), which follows functions and classes
better than the longest match does. Only short stretches between them are left to `difflib`, whose time grows with the
cube of what it is given.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from msq_jupyter.persistence.edits import gaps

#: A longer stretch without a line that occurs once on each side is shown as replaced.
STRETCH_LINES_MAX = 100
#: How many lines around a change are shown.
CONTEXT_LINES = 3

_Opcode = tuple[str, int, int, int, int]


def unified_lines(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    """The lines of a unified diff without the two with file names: "@@" lines, and lines with "+", "-" or " " before.

    Args:
        old: lines without their ends.
        new: likewise.
    """
    matcher = difflib.SequenceMatcher(None, "", "")
    matcher.opcodes = list(_opcodes(old, new))  # type: ignore[attr-defined]
    for group in matcher.get_grouped_opcodes(CONTEXT_LINES):
        (_, old_start, _, new_start, _), (_, _, old_end, _, new_end) = group[0], group[-1]
        if group[0][0] == "equal" == group[-1][0] and len(group) == 1:
            continue
        yield f"@@ -{_range_text(old_start, old_end)} +{_range_text(new_start, new_end)} @@"
        for tag, a, b, c, d in group:
            if tag == "equal":
                yield from (f" {line}" for line in old[a:b])
            else:
                yield from (f"-{line}" for line in old[a:b])
                yield from (f"+{line}" for line in new[c:d])


def _opcodes(old: Sequence[str], new: Sequence[str]) -> Iterator[_Opcode]:
    """What `difflib` calls opcodes, for the whole of both."""
    old_end = new_end = 0
    for ours, theirs in gaps(old, new):
        if ours.start > old_end:
            yield ("equal", old_end, ours.start, new_end, theirs.start)
        yield from _stretch(old, new, ours, theirs)
        old_end, new_end = ours.stop, theirs.stop
    if old_end < len(old):
        yield ("equal", old_end, len(old), new_end, len(new))


def _stretch(old: Sequence[str], new: Sequence[str], ours: range, theirs: range) -> Iterator[_Opcode]:
    if max(len(ours), len(theirs)) > STRETCH_LINES_MAX:
        yield ("replace", ours.start, ours.stop, theirs.start, theirs.stop)
        return
    matcher = difflib.SequenceMatcher(None, old[ours.start : ours.stop], new[theirs.start : theirs.stop], False)
    for tag, a, b, c, d in matcher.get_opcodes():
        yield (tag, ours.start + a, ours.start + b, theirs.start + c, theirs.start + d)


def _range_text(start: int, end: int) -> str:
    """First line, from 1, and number of lines; of nothing, the line before it."""
    length = end - start
    if length == 1:
        return str(start + 1)
    return f"{start + (length > 0)},{length}"
