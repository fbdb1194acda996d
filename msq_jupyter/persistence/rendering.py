"""A difference for people: as text for a terminal, as HTML for a notebook. Nothing that was saved is trusted here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Literal, NamedTuple

from msq_jupyter.json_path import PAIR_KEY, Item
from msq_jupyter.persistence.harmless import LONG_CHARACTERS, Piece, preview, shortened, word_pieces
from msq_jupyter.persistence.operations import Added, Changed, Moved, Operation, Removed

Mark = Literal["+", "-", "~", ">", "@", " "]

#: A path is shown in full up to this length.
PATH_CHARACTERS = 200
#: A path is at least this wide beside long values, unless it is shorter.
PATH_WIDTH_CH = 30

_ANSI = {"+": "\x1b[32m", "-": "\x1b[31m", "~": "\x1b[33m", ">": "\x1b[36m", "@": "\x1b[36m"}
_ANSI_END = "\x1b[0m"
_ANSI_OLD, _ANSI_NEW = _ANSI["-"], _ANSI["+"]

#: Half transparent, so that they suit light and dark themes; the text keeps the theme's colour.
_GREEN, _RED, _YELLOW, _BLUE = (
    "rgba(46,160,67,0.22)",
    "rgba(248,81,73,0.22)",
    "rgba(210,153,34,0.22)",
    "rgba(56,139,253,0.20)",
)
_BACKGROUND = {"+": _GREEN, "-": _RED, "~": _YELLOW, ">": _BLUE, "@": _BLUE}
_WORD_FOR = {"+": "added", "-": "removed", "~": "changed", ">": "moved"}

_BOX = (
    "color:var(--jp-content-font-color1,inherit);font-family:var(--jp-code-font-family,monospace);"
    "font-size:var(--jp-code-font-size,13px);max-height:30em;overflow:auto"
)
_CELL = "text-align:left;vertical-align:top;padding:1px 8px;white-space:pre-wrap;overflow-wrap:anywhere"


class Line(NamedTuple):
    """One line of a difference: what happened, where, and to what; all parts are harmless text."""

    mark: Mark
    path: str
    pieces: list[Piece]


_ONE_SIDED: dict[type, tuple[Mark, Literal["new", "old"]]] = {Added: ("+", "new"), Removed: ("-", "old")}


def line_of(operation: Operation) -> Line:
    """An operation as a line."""
    path = shortened(operation.path_text, PATH_CHARACTERS)
    if isinstance(operation, (Added, Removed)):
        last = operation.path[-1]
        value = operation.value[1] if isinstance(last, Item) and last.field == PAIR_KEY else operation.value
        mark, kind = _ONE_SIDED[type(operation)]
        return Line(mark, path, [(kind, preview(value))])
    if isinstance(operation, Moved):
        return Line(">", path, [("same", f"from place {operation.old_index} to {operation.new_index}")])
    assert isinstance(operation, Changed)
    old, new = operation.old, operation.new
    if type(old) is str and type(new) is str and max(len(old), len(new)) > LONG_CHARACTERS:
        return Line("~", path, word_pieces(old, new))
    return Line("~", path, [("old", preview(old)), ("new", preview(new))])


def counts_text(counts: Iterable[tuple[str, int]]) -> str:
    """`2 added, 1 removed`, or `no difference`."""
    return ", ".join(f"{count:,} {what}" for what, count in counts if count) or "no difference"


# --- text --------------------------------------------------------------------------------------------------------


def text_of(title: str, lines: Sequence[Line], more: int, *, colour: bool) -> str:
    """A difference as text.

    Args:
        title: its first line.
        lines: what is shown.
        more: how many lines are left out.
        colour: add ANSI colours.
    """
    shown = [title, *(_text_line(line, colour) for line in lines)]
    if more:
        shown.append(f"and {more:,} more")
    return "\n".join(shown)


def _text_line(line: Line, colour: bool) -> str:
    kinds = [kind for kind, _ in line.pieces]
    body = ""
    if kinds == ["old", "new"]:
        (_, old), (_, new) = line.pieces
        body = f"{_tinted(old, _ANSI_OLD, colour)} → {_tinted(new, _ANSI_NEW, colour)}"
    elif len(kinds) == 1:
        body = line.pieces[0][1]
    else:
        signs = {"old": ("[-", "-]", _ANSI_OLD), "new": ("{+", "+}", _ANSI_NEW), "same": ("", "", "")}
        for kind, text in line.pieces:
            start, end, tint = signs[kind]
            body += _tinted(f"{start}{text}{end}", tint, colour)
    head = f"{line.mark} {line.path}: " if line.path else line.mark
    if len(kinds) == 1:
        return _tinted(head + body, _ANSI.get(line.mark, ""), colour)
    return _tinted(head, _ANSI.get(line.mark, ""), colour) + body


def _tinted(text: str, tint: str, colour: bool) -> str:
    return f"{tint}{text}{_ANSI_END}" if colour and tint else text


# --- HTML --------------------------------------------------------------------------------------------------------


def html_of(title: str, lines: Sequence[Line], more: int) -> str:
    """A difference as HTML that needs nothing from outside; arguments as in `text_of`."""
    rows = "".join(_html_row(line) for line in lines)
    end = f'<p style="margin:4px 8px">and {more:,} more</p>' if more else ""
    # JupyterLab gives tables a fixed layout, in which no cell has a least width.
    style = "border-collapse:collapse;width:100%;table-layout:auto"
    table = f'<table style="{style}"><tbody>{rows}</tbody></table>' if rows else ""
    heading = f'<p style="margin:4px 8px"><strong>{escape(title)}</strong></p>'
    label = escape(title, quote=True)
    return f'<div role="region" aria-label="{label}" tabindex="0" style="{_BOX}">{heading}{table}{end}</div>'


def _html_row(line: Line) -> str:
    background = f";background:{_BACKGROUND[line.mark]}" if line.mark in _BACKGROUND else ""
    word = _WORD_FOR.get(line.mark)
    name = f' title="{word}" aria-label="{word}"' if word else ""
    cells = f'<td{name} style="{_CELL}{background}">{escape(line.mark)}</td>'
    if line.path:
        # Or long values beside it squeeze it to one letter to a line.
        width = f"min-width:{min(len(line.path), PATH_WIDTH_CH)}ch"
        cells += f'<th scope="row" style="{_CELL};{width};font-weight:normal"><bdi>{escape(line.path)}</bdi></th>'
    body = "".join(_html_piece(kind, text) for kind, text in line.pieces)
    return f'<tr>{cells}<td style="{_CELL};width:100%">{body}</td></tr>'


def _html_piece(kind: str, text: str) -> str:
    tag, background = {"old": ("del", _RED), "new": ("ins", _GREEN), "same": ("span", "")}[kind]
    style = f' style="background:{background};text-decoration-thickness:1px"' if background else ""
    return f"<{tag}{style}><bdi>{escape(text)}</bdi></{tag}>{' ' if kind == 'old' else ''}"
