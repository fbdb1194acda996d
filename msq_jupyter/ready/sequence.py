"""Edits of a text as operations that can be moved past each other, so that edits at the same time all count.

An edit is a list that runs over the whole text: `5` keeps five characters, `-2` removes two, `"abc"` inserts. `[3,
"x", 4]` inserts an x into a text of seven characters.

The algorithm is operational transformation with one total order, as in Nichols, Curtis, Dixon, Lamping: "High-latency,
low-bandwidth windowing in the Jupiter collaboration system" (UIST 1995), with the edits of Google Wave (Wang, Mah,
Lassen: "Google Wave operational transformation", 2010). Because the log orders all edits, one property is enough, and
`transform` has it:

    after(after(text, a), transform(a, b)[1]) == after(after(text, b), transform(a, b)[0])
"""

from __future__ import annotations

from typing import Any, TypeAlias

#: See above; the type checker is told no more than this.
Edit: TypeAlias = "list[Any]"


def checked(edit: Any) -> Edit:
    """An edit, if it is one.

    Args:
        edit: a list of integers other than 0 and strings other than "".

    Raises:
        ValueError: it is not.
    """
    if type(edit) is not list or not all(type(part) in (int, str) and part for part in edit):
        raise ValueError(f"expected an edit such as [3, 'x', -1], got {edit!r:.80}")
    return edit


def length_before(edit: Edit) -> int:
    """How many characters the text has that an edit is for."""
    return sum(abs(part) for part in edit if type(part) is int)


def after(text: str, edit: Edit) -> str:
    """The text after an edit.

    Raises:
        ValueError: the edit is for a text of another length.
    """
    if length_before(edit) != len(text):
        raise ValueError(f"expected an edit for {len(text)} characters, got one for {length_before(edit)}")
    parts: list[str] = []
    place = 0
    for part in edit:
        if type(part) is str:
            parts.append(part)
        elif part > 0:
            parts.append(text[place : place + part])
            place += part
        else:
            place -= part
    return "".join(parts)


def replacement(length: int, at: int, removed: int, inserted: str) -> Edit:
    """The edit that replaces `removed` characters at a place of a text of `length` characters."""
    edit: Edit = []
    for part in (at, inserted, -removed, length - at - removed):
        _add(edit, part)
    return edit


def difference(old: str, new: str) -> Edit:
    """The smallest edit of one place that turns one text into another."""
    limit = min(len(old), len(new))
    start = 0
    while start < limit and old[start] == new[start]:
        start += 1
    end = 0
    while end < limit - start and old[-1 - end] == new[-1 - end]:
        end += 1
    return replacement(len(old), start, len(old) - start - end, new[start : len(new) - end])


def transform(first: Edit, second: Edit) -> tuple[Edit, Edit]:
    """Two edits of one text, each as it must be after the other one.

    Where both insert at the same place, the text of `first` comes first.

    Args:
        first: the edit that is earlier in the log.
        second: the other one.

    Returns:
        `first` for the text after `second`, and `second` for the text after `first`.

    Raises:
        ValueError: they are for texts of different lengths.
    """
    if length_before(first) != length_before(second):
        raise ValueError(f"expected edits of one text, got {length_before(first)} and {length_before(second)} long")
    left, right = list(reversed(first)), list(reversed(second))
    new_first: Edit = []
    new_second: Edit = []
    while left or right:
        if left and type(left[-1]) is str:
            inserted = left.pop()
            _add(new_first, inserted)
            _add(new_second, len(inserted))
        elif right and type(right[-1]) is str:
            inserted = right.pop()
            _add(new_first, len(inserted))
            _add(new_second, inserted)
        else:
            one, other = left.pop(), right.pop()
            size = min(abs(one), abs(other))
            if one > 0 and other > 0:
                _add(new_first, size)
                _add(new_second, size)
            elif one < 0 and other > 0:
                _add(new_first, -size)
            elif one > 0 and other < 0:
                _add(new_second, -size)
            _put_back(left, one, size)
            _put_back(right, other, size)
    return new_first, new_second


def _put_back(parts: Edit, part: int, size: int) -> None:
    if abs(part) > size:
        parts.append(part - size if part > 0 else part + size)


def _add(edit: Edit, part: Any) -> None:
    """Add a part, to the last one if it is of the same kind."""
    if not part:
        return
    if edit and type(edit[-1]) is type(part) and (type(part) is str or (edit[-1] > 0) == (part > 0)):
        edit[-1] += part
    else:
        edit.append(part)
