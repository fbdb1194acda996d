"""What people saved, made safe and short enough to show: on a terminal, in a notebook, in a log.

Saved data may hold anything: escape sequences that repaint a terminal, characters that turn the direction of writing or
cannot be seen, a megabyte in one string. None of it is shown as it is.
"""

from __future__ import annotations

import difflib
import re
from typing import Any, Literal

#: Strings longer than this are shown by what is around the change.
LONG_CHARACTERS = 120
#: How much of one value is shown.
VALUE_CHARACTERS = 160
#: How much of what did not change is shown on each side of a change.
CONTEXT_CHARACTERS = 40
#: A longer stretch between the first and the last change is shown as replaced.
MIDDLE_CHARACTERS = 10_000
#: Texts with more differing words than this are not compared word by word: it would take long and help nobody.
WORDS_MAX = 120

Piece = tuple[Literal["same", "old", "new"], str]

_WORDS_OF_JSON = {"None": "null", "True": "true", "False": "false"}
_WORD = re.compile(r"\s+|\w+|[^\w\s]")


def harmless(text: str) -> str:
    r"""`text` with everything that is not to be seen as its escape, `\x1b` or `\u202e`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def shortened(text: str, limit: int = VALUE_CHARACTERS) -> str:
    """The beginning of a text, harmless, and how much there is more of it."""
    if len(text) <= limit:
        return harmless(text)
    return f"{harmless(text[:limit])}… ({len(text) - limit:,} more characters)"


def preview(value: Any, limit: int = VALUE_CHARACTERS) -> str:
    """JSON data in about `limit` characters; takes no longer for a large value than for a small one."""
    pieces: list[str] = []
    left = _write(value, pieces, limit)
    return "".join(pieces) + ("" if left >= 0 else " …")


def _write(value: Any, pieces: list[str], left: int) -> int:
    """Write until the budget is used up; what is left of it."""
    if type(value) is dict or type(value) in (list, tuple):
        start, end = "{}" if type(value) is dict else "[]"
        pieces.append(start)
        left -= 2
        for number, item in enumerate(value.items() if type(value) is dict else value):
            if left < 0:
                pieces.append(f"{', ' if number else ''}… {len(value) - number:,} more")
                break
            pieces.append(", " if number else "")
            if type(value) is dict:
                key, item = item
                left = _write(key, pieces, left)
                pieces.append(": ")
            left = _write(item, pieces, left - 2)
        pieces.append(end)
        return max(left, 0)
    text = _leaf(value, max(left, 20))
    pieces.append(text)
    return left - len(text)


def _leaf(value: Any, limit: int) -> str:
    if type(value) is str:
        quoted = value[:limit].replace("\\", "\\\\").replace('"', '\\"')
        more = f"… ({len(value) - limit:,} more characters)" if len(value) > limit else ""
        return f'"{harmless(quoted)}"{more}'
    return _WORDS_OF_JSON.get(repr(value), repr(value))


def word_pieces(old: str, new: str) -> list[Piece]:
    """How a text became another one, word by word, with a few words around each change; harmless.

    The common beginning and end are set aside in C; when too much differs in between it is shown as replaced. So a long
    text takes hardly longer than a short one.
    """
    first = _word_start(old, _common_length(old, new))
    last = _word_start(old[::-1], _common_length(old[first:][::-1], new[first:][::-1]))
    ours, theirs = old[first : len(old) - last], new[first : len(new) - last]
    pieces: list[Piece] = [("same", _tail(old[:first]))]
    our_words, their_words = (_WORD.findall(text) if len(text) <= MIDDLE_CHARACTERS else [] for text in (ours, theirs))
    if not our_words or not their_words or max(len(our_words), len(their_words)) > WORDS_MAX:
        pieces += [("old", shortened(ours)), ("new", shortened(theirs))]
    else:
        for tag, a, b, c, d in difflib.SequenceMatcher(None, our_words, their_words, autojunk=False).get_opcodes():
            gone, come = "".join(our_words[a:b]), "".join(their_words[c:d])
            if tag == "equal":
                pieces.append(("same", harmless(gone) if len(gone) <= 2 * CONTEXT_CHARACTERS else _middle(gone)))
            else:
                pieces += [("old", shortened(gone)), ("new", shortened(come))]
    pieces.append(("same", _head(old[len(old) - last :])))
    return [piece for piece in pieces if piece[1]]


def _common_length(old: str, new: str) -> int:
    """Length of the common beginning, by halving: each comparison runs in C."""
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        if old[low:middle] == new[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _word_start(text: str, place: int) -> int:
    """A little before `place`, where a word begins, so that a word that changed is shown whole."""
    for start in range(place, max(place - 30, 0), -1):
        if not text[start - 1].isalnum():
            return start
    return max(place - 30, 0)


def _head(text: str) -> str:
    return harmless(text[:CONTEXT_CHARACTERS]) + ("…" if len(text) > CONTEXT_CHARACTERS else "")


def _tail(text: str) -> str:
    return ("…" if len(text) > CONTEXT_CHARACTERS else "") + harmless(text[-CONTEXT_CHARACTERS:])


def _middle(text: str) -> str:
    return f"{harmless(text[:CONTEXT_CHARACTERS])}…{harmless(text[-CONTEXT_CHARACTERS:])}"
