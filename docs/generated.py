"""Pages that are made and not written: from the parsers, the notebooks, and the notes on speed; and pictures put in.

A hook of mkdocs, see `mkdocs.yml`. What is made here cannot be out of date.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from msq_jupyter import errors
from msq_jupyter.local_registry import default_data_directory

ROOT = Path(__file__).parent.parent

#: Where a notebook has no picture of its own in docs/images/lessons.
_OTHER_PICTURES = {"01": ROOT / "notebooks" / "images" / "shared_counter.png"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages, and the pictures that are kept elsewhere."""
    for path, text in (
        ("reference/commands.md", commands_page()),
        ("reference/magics.md", magics_page()),
        ("benchmarks.md", benchmarks_page()),
        ("deploy.md", (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")),
        ("lessons.md", lessons_page()),
    ):
        files.append(File.generated(config, path, content=text))
    for number, source in _OTHER_PICTURES.items():
        target = f"images/lessons/{number}.png"
        if files.get_file_from_path(target) is None:
            files.append(File.generated(config, target, abs_src_path=str(source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leave out what is for the tests, put links to what is kept elsewhere right, and say more in some titles."""
    if page.file.src_uri == "troubleshooting.md":  # where the reference leads to, from what may be raised
        markdown = re.sub(r"^(###+) (\w+)$", r"\1 \2 {#msq_jupyter.errors.\2}", markdown, flags=re.MULTILINE)
    if page.file.src_uri == "lint.md":
        markdown = re.sub(r"^### (MSQ\d+)\n\n\*\*(\S+)\*\* \((\w+)\)\.", _rule_title, markdown, flags=re.MULTILINE)
    if page.file.src_uri == "index.md":
        markdown = markdown.replace("../notebooks/images/shared_counter.png", "images/lessons/01.png")
    return re.sub(r"^<!-- (run|check|raises): .*? -->\n", "", markdown, flags=re.MULTILINE | re.DOTALL)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put drawings into the page itself, so that they take the colours of its theme; show screenshots that fit it.

    In the reference, what may be raised leads to what to do then.
    """
    if page.file.src_uri.startswith("reference/"):
        html = re.sub(r"<code>(\w+)</code>", _error_link, html)
    html = re.sub(r'<img alt="[^"]*" src="[^"]*images/[\w-]+-light\.png"\s*/?>', _in_both_themes, html)
    return re.sub(r'<img alt="([^"]*)" src="[^"]*pictures/(\w+\.svg)"\s*/?>', _inline, html)


def _error_link(found: re.Match[str]) -> str:
    kind = getattr(errors, found[1], None)
    if not isinstance(kind, type) or not issubclass(kind, errors.MsqError) or kind is errors.MsqError:
        return found[0]
    return f'<a href="../troubleshooting.html#msq_jupyter.errors.{found[1]}">{found[0]}</a>'


def _in_both_themes(found: re.Match[str]) -> str:
    light = found[0]
    # The theme shows the one or the other.
    return light.replace("-light.png", "-light.png#only-light") + light.replace("-light.png", "-dark.png#only-dark")


def _rule_title(found: re.Match[str]) -> str:
    """A rule's name in its title, and the address as it was."""
    code, name, severity = found.groups()
    return f"### {code} {name} {{#{code.lower()}}}\n\n*{severity.capitalize()}.*"


def _inline(found: re.Match[str]) -> str:
    svg = (ROOT / "docs" / "pictures" / found[2]).read_text(encoding="utf-8")
    # Its own colours are for readers who open the file elsewhere.
    svg = re.sub(r"<style>.*?</style>\n?", "", svg, flags=re.DOTALL)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{found[1]}" class="picture" ', 1)


# --- commands and magics -----------------------------------------------------------------------------------------


def commands_page() -> str:
    """What the parser of `msq` says."""
    from msq_jupyter.cli import _parser

    lines = [
        "# Commands",
        "",
        "`msq` is there after `pip install`. Nothing that it does to versions joins a session: live ones go on "
        "undisturbed. Every command has `--help`.",
        "",
    ]
    for name, parser in commands_of(_parser()):
        lines += [f"## msq {name}", "", *_described(f"msq {name}", parser)]
    return "\n".join(lines)


def magics_page() -> str:
    """What the parsers of `%msq` say."""
    from msq_jupyter.jupyter.commands import COMMANDS
    from msq_jupyter.jupyter.magics import _parser

    lines = [
        "# Magics",
        "",
        "`%load_ext msq_jupyter` adds `%msq` and `%%live` to a notebook. `%msq` alone lists its commands, "
        "`%msq COMMAND --help` says more, and Tab completes. They do what the methods of "
        "[`session`](session.md) do; what they return is shown below the cell.",
        "",
        "Where a command needs a session and the notebook has several, it takes the variable `session`, or the one "
        "that `--session` names.",
        "",
        "## %%live",
        "",
        "`%%live SESSION` in the first line of a cell: the cell runs at once, and again whenever what it has read of "
        "`SESSION.model` is another. Without a name it is `session`. See [Live cells](../how-to/live-cells.md).",
        "",
    ]
    for name in COMMANDS:
        lines += [f"## %msq {name}", "", *_described(f"%msq {name}", _parser(name))]
    return "\n".join(lines)


def commands_of(parser: argparse.ArgumentParser, before: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Commands, and those that they have in turn."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                full = f"{before}{name}"
                further = list(commands_of(inner, f"{full} "))
                yield from further or [(full, inner)]


def _described(what: str, parser: argparse.ArgumentParser) -> list[str]:
    actions = [action for action in parser._actions if action.dest != "help" and action.help != argparse.SUPPRESS]
    lines = [escape(parser.description or "", quote=False), "", "```text", _synopsis(what, actions), "```", ""]
    if actions:
        lines += ["| | |", "|---|---|"]
        lines += [f"| `{_flags(action)}` | {_help_of(action)} |" for action in actions]
        lines += [""]
    if parser.epilog:
        lines += ["```sh", parser.epilog.removeprefix("Example: "), "```", ""]
    return lines


def _synopsis(what: str, actions: list[argparse.Action]) -> str:
    words = [what]
    # What must be there comes first, as in a line that somebody types.
    for action in sorted(actions, key=lambda action: (bool(action.option_strings), not action.required)):
        text = _flags(action)
        words.append(text if action.required else f"[{text}]")
    lines, width = [words[0]], 76
    for word in words[1:]:
        if len(lines[-1]) + len(word) > width:
            lines.append("   ")
        lines[-1] += f" {word}"
    return "\n".join(lines)


def _flags(action: argparse.Action) -> str:
    metavar = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    value = "" if action.nargs == 0 else str(metavar)
    if action.option_strings:
        optional = f" [{value}]" if action.nargs == "?" else f" {value}"
        return action.option_strings[-1] + (optional if value else "")
    return f"{value} ..." if action.nargs in ("*", "+") else value


def _help_of(action: argparse.Action) -> str:
    details: dict[str, Any] = dict(vars(action))
    if isinstance(action.default, Path):
        details["default"] = "a folder of this user"
    # Some defaults are in the text already.
    text = ((action.help or "") % details).replace(str(default_data_directory()), "a folder of this user")
    return escape(text, quote=False).replace("|", "\\|")


# --- notes and notebooks -----------------------------------------------------------------------------------------


def benchmarks_page() -> str:
    """The notes beside the benchmarks."""
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    # The first title stays, the others become sections, and what is below them goes one step further down.
    lowered = re.sub(r"(?<=\n)(#+) ", r"#\1 ", _without_code(text))
    return _with_code(lowered, text)


def _without_code(text: str) -> str:
    """A text whose code blocks are marks, so that a comment in them is no title."""
    return re.sub(r"^```.*?^```", "\0", text, flags=re.DOTALL | re.MULTILINE)


def _with_code(text: str, original: str) -> str:
    blocks = iter(re.findall(r"^```.*?^```", original, re.DOTALL | re.MULTILINE))
    return re.sub("\0", lambda _: next(blocks), text)


def lessons_page() -> str:
    """The notebooks that there are: title, beginning, picture."""
    lines = [
        "# Lessons",
        "",
        "Notebooks of about ten minutes each. `make demo` opens the first one for two people; the others are opened "
        "from `notebooks/` in any JupyterLab that has `msq_jupyter`. All of them are run by two participants in the "
        "tests.",
        "",
    ]
    for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        number = path.name[:2]
        title, beginning = _beginning_of(path)
        lines += [f"## {title}", "", beginning, "", f"`notebooks/{path.name}`", ""]
        if (ROOT / "docs" / "images" / "lessons" / f"{number}.png").exists() or number in _OTHER_PICTURES:
            lines += [f"![{title}](images/lessons/{number}.png)", ""]
    return "\n".join(lines)


def _beginning_of(path: Path) -> tuple[str, str]:
    """The title and the first paragraph of a notebook."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "".join(next(cell["source"] for cell in cells if cell["cell_type"] == "markdown"))
    title, _, rest = text.partition("\n")
    return title.lstrip("# ").strip(), rest.strip().partition("\n\n")[0]
