"""What the pages say to type works: code runs, commands and magics are there and take these options."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tomllib

from msq_jupyter import cli
from msq_jupyter.jupyter import magics
from msq_jupyter.jupyter.commands import COMMANDS
from tests.conftest import SynchronizerThread
from tests.docs.pages import PAGES, ROOT, Piece, name_of, pieces
from tests.jupyter.conftest import Notebook, notebook  # noqa: F401  # a fixture
from tests.waiting import until

_ALL = [ROOT / "README.md", *PAGES]


def _having(*kinds: str, pages: list[Path] = PAGES) -> list[Path]:
    return [path for path in pages if any(piece.kind in kinds for piece in pieces(path))]


# --- code --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", _having("python"), ids=name_of)
async def test_the_code_of_a_page_runs_from_top_to_bottom(
    page: Path,
    notebook: Callable[[], Notebook],
    synchronizer: SynchronizerThread,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("MSQ_SYNCHRONIZER", synchronizer.url)
    monkeypatch.setenv("MSQ_DATA_DIR", str(tmp_path / "local"))
    monkeypatch.chdir(tmp_path)
    opened = notebook()
    expected = ""
    try:
        for piece in pieces(page):
            if piece.kind == "raises":
                expected = piece.text
            elif piece.kind == "check":
                await _become_true(opened, piece, page)
            elif piece.kind == "run" or (piece.kind == "python" and not piece.title):
                await _run(opened, piece, expected, page)
                expected = ""
    finally:
        await _leave_all(opened)
    assert not expected


async def _run(opened: Notebook, piece: Piece, expected: str, page: Path) -> None:
    raised = ""
    try:
        await opened.run(piece.text, f"{page.name}:{piece.line}")
    except Exception as error:
        raised = type(error).__name__
        if raised != expected:
            raise
    assert raised == expected, f"{name_of(page)}:{piece.line}: expected {expected or 'no error'}"


async def _become_true(opened: Notebook, piece: Piece, page: Path) -> None:
    """Widgets send at most thirty times a second, and what they lead to takes a moment."""
    try:
        await until(lambda: opened.run(piece.text))
    except TimeoutError:
        pytest.fail(f"{name_of(page)}:{piece.line}: never came to be: {piece.text}")


async def _leave_all(opened: Notebook) -> None:
    await opened.run(
        "from msq_jupyter import Session as _Session\n"
        "for _each in [value for value in globals().values() if isinstance(value, _Session)]:\n"
        "    if _each.is_open:\n"
        "        await _each.leave()\n"
    )


def _tests() -> Iterator[Piece]:
    for page in PAGES:
        yield from (piece for piece in pieces(page) if piece.title.startswith("test_"))


def test_the_tests_that_pages_show_pass(tmp_path: Path):
    shown = list(_tests())
    assert shown
    for piece in shown:
        (tmp_path / piece.title).write_text(piece.text)
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--msq-schedules", "1", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# --- the layout --------------------------------------------------------------------------------------------------


def test_the_layout_in_the_readme_names_every_room():
    named = set(re.findall(r"`([\w/-]+)/`", (ROOT / "README.md").read_text().partition("## Layout")[2]))
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["sdist"][
        "include"
    ]
    rooms = {entry.strip("/") for entry in shipped if (ROOT / entry.strip("/")).is_dir()} - {"msq_jupyter"}
    assert named == rooms | {f"msq_jupyter/{path.parent.name}" for path in (ROOT / "msq_jupyter").glob("*/__init__.py")}


# --- symptoms ----------------------------------------------------------------------------------------------------


def test_a_symptom_is_told_in_the_words_that_are_shown():
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    shown = re.findall(r'(?:The badge|The panel) says "(.+?)"', page)
    assert len(shown) > 4
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "js" / "src").rglob("*.ts*"))
    assert not [words for words in shown if words not in sources]


# --- lines to type -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", _having("sh", pages=_ALL), ids=name_of)
def test_the_commands_of_a_page_are_there(page: Path):
    for piece in pieces(page):
        if piece.kind == "sh":
            for words in _command_lines(piece.text):
                _check_command(words)


def _command_lines(text: str) -> Iterator[list[str]]:
    text = re.sub(r"\\\n", " ", text).replace("…", "--app a.b --name c")
    for line in re.sub(r"\|\n\s*", "| ", text).splitlines():
        words = shlex.split(line, comments=True)
        while words:
            end = next((i for i, word in enumerate(words) if word in ("|", ";", "&&", ">", "<")), len(words))
            command, rest = words[:end], words[end:]
            if command[-1:] and command[-1].endswith(";"):
                command[-1] = command[-1][:-1]
            yield from _split_at_semicolons(command)
            words = rest[2:] if rest[:1] in ([">"], ["<"]) else rest[1:]


def _split_at_semicolons(words: list[str]) -> Iterator[list[str]]:
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words = words[1:]
    if words:
        yield words


def _check_command(words: list[str]) -> None:
    program, *rest = words
    if program == "msq":
        _parses(cli._parser(), [word for word in rest if word != "--help"], is_help="--help" in rest)
    elif program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert not rest or rest[0] in targets, words
    else:
        assert program in _OTHER_PROGRAMS, words


_OTHER_PROGRAMS = {"cd", "curl", "git", "jupyter", "pip", "pytest", "python", "systemctl", "export"}


@pytest.mark.parametrize("page", _ALL, ids=name_of)
def test_the_magics_of_a_page_are_there(page: Path):
    blocks = [piece.text for piece in pieces(page) if piece.kind in ("python", "text")]
    inline = re.findall(r"`(%msq [^`]+)`", page.read_text())
    for line in [*re.findall(r"^(%msq [^\n#]+)", "\n".join(blocks), re.MULTILINE), *inline]:
        words = shlex.split(line)[1:]
        if words[0] in ("COMMAND", "--help"):
            continue
        assert words[0] in COMMANDS, line
        if "--help" not in words and len(words) > 1:
            magics._parser(words[0]).parse_args(words[1:])


# In the page on the protocol, what begins with "msq" are the labels of keys.
@pytest.mark.parametrize("page", [page for page in _ALL if page.name != "protocol.md"], ids=name_of)
def test_the_commands_in_the_text_of_a_page_are_there(page: Path):
    commands = next(a for a in cli._parser()._actions if isinstance(a, argparse._SubParsersAction)).choices
    for line in re.findall(r"(?<![%\w])`msq ([^`]+)`", page.read_text()):
        words = shlex.split(line)
        for name in words[0].split("|"):
            assert name in commands or name in ("COMMAND", "--help"), line
        known = {
            option for action in commands.get(words[0], cli._parser())._actions for option in action.option_strings
        }
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known, line


def _parses(parser: argparse.ArgumentParser, words: list[str], *, is_help: bool) -> None:
    if is_help:
        commands = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction)).choices
        assert not words or words[0] in commands, words
        return
    try:
        parser.parse_args(words)
    except SystemExit:
        pytest.fail(f"msq {shlex.join(words)}: not what it takes")
