"""`msq lint`: the lint for files, notebooks and folders."""

from __future__ import annotations

import argparse
import ast
import importlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from msq_jupyter.errors import ArgumentError
from msq_jupyter.runtime.lint import Finding, lint_text
from msq_jupyter.runtime.lint.engine import unreadable
from msq_jupyter.runtime.lint.page import page, section
from msq_jupyter.runtime.lint.rules import CODES, RULES

#: Folders with code that is not the user's.
_LEFT_OUT = {"node_modules", "__pycache__", "site-packages", "build", "dist"}


def add_parsers(commands: Any) -> None:
    """Add the command to those of `msq`."""
    parser = commands.add_parser(
        "lint",
        help="find model code that replicas would not agree about",
        description="Look at the models in files and notebooks. The exit code is 0 when all is well, 1 when something "
        "was found, and 2 when it could not look. Of a notebook, the code cells are counted, from 1.",
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="FILE|NOTEBOOK|DIR", help="what to look at")
    parser.add_argument("--json", action="store_true", help="print the findings as one JSON array")
    parser.add_argument("--select", default="", metavar="CODES", help="these only: MSQ101,MSQ3 (MSQ3 is all MSQ3xx)")
    parser.add_argument("--ignore", default="", metavar="CODES", help="all but these")
    parser.add_argument("--explain", metavar="CODE", help="say what a rule is about, or 'all', and look at nothing")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        0 without findings, 1 with.

    Raises:
        ArgumentError: no such path or rule.
    """
    if options.explain:
        print(_explained(options.explain), end="")
        return 0
    if not options.paths:
        raise ArgumentError("expected a file, a notebook or a folder to look at, got none: msq lint lesson.ipynb")
    selected, ignored = _codes(options.select, "--select"), _codes(options.ignore, "--ignore")
    files = list(_files(options.paths))
    found = [finding for path in files for finding in lint_file(path)]
    found = [
        one for one in found if (not selected or one.code.startswith(selected)) and not one.code.startswith(ignored)
    ]
    print(_as_json(found) if options.json else _as_text(found, len(files)))
    return 1 if found else 0


def _explained(code: str) -> str:
    if code == "all":
        return page()
    texts = [section(rule) for rule in RULES if rule.code == code.upper()]
    if not texts:
        raise ArgumentError(f"--explain: expected a rule such as {RULES[0].code}, or 'all', got {code}")
    return texts[0]


def _codes(text: str, option: str) -> tuple[str, ...]:
    prefixes = tuple(part.strip().upper() for part in text.split(",") if part.strip())
    for prefix in prefixes:
        if not any(code.startswith(prefix) for code in CODES):
            raise ArgumentError(f"{option}: expected rules such as MSQ101 or MSQ3, got {prefix}")
    return prefixes


# --- what to look at ---------------------------------------------------------------------------------------------


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(_files_in(path))
        elif not path.exists():
            raise ArgumentError(f"expected a file, a notebook or a folder, got {path}, which does not exist")
        elif path.suffix in (".py", ".ipynb"):
            yield path
        else:
            raise ArgumentError(f"expected a .py file, an .ipynb notebook or a folder, got {path}")


def _files_in(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith(".") or path.name in _LEFT_OUT or (path / "pyvenv.cfg").exists():
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _files_in(path)
        elif path.suffix in (".py", ".ipynb"):
            yield path


def lint_file(path: Path) -> list[Finding]:
    """Lint one file or notebook.

    Raises:
        ArgumentError: it cannot be read, or is no notebook.
    """
    try:
        if path.suffix == ".ipynb":
            return lint_notebook(path.read_text(encoding="utf-8"), str(path))
        return lint_text(decoded(path.read_bytes()), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(f"expected a readable text file, got {path}: {error}") from error


def decoded(data: bytes) -> str:
    """The text of a Python file, with plain line ends; raises UnicodeDecodeError."""
    return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


# --- notebooks ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Cell:
    """A code cell: its number among the code cells, from 1, and how many lines come before it."""

    number: int
    lines_before: int
    text: str


def lint_notebook(document: str, path: str) -> list[Finding]:
    """Lint the code cells of a notebook as one text, so that a model finds its imports and helpers.

    Args:
        document: the notebook's JSON.
        path: what findings call it; they add the cell: "lesson.ipynb cell 3".

    Raises:
        ArgumentError: not a notebook.
    """
    cells: list[_Cell] = []
    found: list[Finding] = []
    lines_before = 0
    for number, source in enumerate(cell_sources(document, path), 1):
        place = f"{path} cell {number}"
        try:
            text = python_of_cell(source)
        except (SyntaxError, ValueError) as error:
            found.append(unreadable(error, place))
            text = "\n" * source.count("\n")
        cells.append(_Cell(number, lines_before, text))
        lines_before += text.count("\n") + 1
    whole = lint_text("\n".join(cell.text for cell in cells), path)
    return sorted(found + [_in_cell(finding, cells, path) for finding in whole], key=_place)


def _in_cell(finding: Finding, cells: list[_Cell], path: str) -> Finding:
    cell = next(cell for cell in reversed(cells) if cell.lines_before < finding.line)
    return replace(finding, path=f"{path} cell {cell.number}", line=finding.line - cell.lines_before)


def _place(finding: Finding) -> tuple[int, int, int]:
    return int(finding.path.rpartition(" ")[2]), finding.line, finding.column


def cell_sources(document: str, path: str) -> Iterator[str]:
    """The sources of a notebook's code cells, in order.

    Args:
        document: the notebook's JSON.
        path: what the error calls it.

    Raises:
        ArgumentError: not a notebook.
    """
    try:
        for cell in json.loads(document)["cells"]:
            if cell["cell_type"] == "code":
                source = cell["source"]
                yield source if isinstance(source, str) else "".join(source)
    except (ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ArgumentError(f"expected a notebook of format 4, got {path}: {reason}") from error


def python_of_cell(source: str) -> str:
    """A cell as plain Python, with every line where it was.

    IPython's own syntax (`%magic`, `!command`, `name?`) is translated by IPython when it is there, else left out.

    Raises:
        SyntaxError: what remains is not Python.
    """
    source = source.replace("\r\n", "\n")
    if source.lstrip().startswith("%%"):
        # The body may be Python, as of %%live and %%time; of %%bash it is not, and nobody's mistake.
        head, _, body = source.lstrip("\n").partition("\n")
        text = "\n" * (source.count("\n") - body.count("\n")) + body
        return text if head and _is_python(text) else "\n" * source.count("\n")
    if _is_python(source):
        return source
    translated = _translated(source)
    if translated is not None and translated.count("\n") == source.count("\n") and _is_python(translated):
        return translated
    text = _without_commands(source)
    ast.parse(text)
    return text


def _without_commands(source: str) -> str:
    lines: list[str] = []
    goes_on = False
    for line in source.split("\n"):
        stripped = line.strip()
        is_command = goes_on or stripped.startswith(("%", "!", "?")) or stripped.endswith("?")
        goes_on = is_command and stripped.endswith("\\")
        lines.append("" if is_command else line)
    return "\n".join(lines)


def _is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


def _translated(source: str) -> str | None:
    try:
        transformer = importlib.import_module("IPython.core.inputtransformer2").TransformerManager()
        translated: str = transformer.transform_cell(source)
    except (ImportError, SyntaxError):
        return None
    # IPython drops empty lines at the top, and ends the last line.
    empty = len(source) - len(source.lstrip("\n"))
    return "\n" * empty + (translated if source.endswith("\n") else translated.removesuffix("\n"))


# --- reports -----------------------------------------------------------------------------------------------------


def _as_text(found: list[Finding], files: int) -> str:
    lines: list[str] = []
    for one in found:
        between = " line " if " cell " in one.path else ":"
        lines += [f"{one.path}{between}{one.line}:{one.column} {one.code} {one.where}: {one.message}"]
        lines += [f"    {one.remedy} ({one.docs})"]
    looked = f"{files} file{'' if files == 1 else 's'}"
    count = f"{len(found)} finding{'' if len(found) == 1 else 's'}" if found else "No findings"
    return "\n".join([*lines, f"{count} in {looked}."])


def _as_json(found: list[Finding]) -> str:
    rows = [{**{name: getattr(one, name) for name in Finding.__dataclass_fields__}, "docs": one.docs} for one in found]
    return json.dumps(rows, indent=2)
