"""Tables that people read, in terminals and in notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def table_text(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with aligned columns, its head first."""
    lines = [columns, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(columns))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def table_html(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table for a notebook, escaped."""
    head = "".join(f'<th scope="col" style="text-align:left">{escape(name)}</th>' for name in columns)
    body = "".join(
        "<tr>" + "".join(f'<td style="text-align:left">{escape(cell)}</td>' for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
