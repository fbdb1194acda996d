"""The import table of the design: an arrow never points up."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "msq_jupyter"

#: What each room may import of the others. Rooms lower in the table build on those above.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "stable": {"errors"},
    "local_registry": {"errors"},
    "protocol": {"errors"},
    "json_path": {"errors"},
    "runtime": {"errors", "stable", "protocol", "json_path"},
    "ready": {"runtime"},
    "persistence": {"errors", "stable", "json_path"},
    "session": {"errors", "stable", "protocol", "json_path", "local_registry", "runtime", "persistence"},
    "synchronizer": {"errors", "stable", "protocol", "local_registry"},
    "server_extension": {"errors", "protocol", "local_registry", "session", "synchronizer"},
    "widgets": {"errors", "stable", "json_path", "runtime", "ready", "persistence", "session"},
    "jupyter": {"errors", "runtime", "session", "widgets"},
    "lint_command": {"errors", "runtime"},
    "definitions": {"errors", "lint_command", "persistence", "runtime"},
    "archive_command": {"errors", "persistence", "session"},
    "check_command": {"errors", "stable", "persistence", "runtime", "session", "definitions", "archive_command"},
    "serve_command": {"errors", "local_registry", "synchronizer"},
    "doctor_command": {"session"},
    "cli": {"errors", "lint_command", "check_command", "archive_command", "doctor_command", "serve_command"},
    "__init__": {"runtime", "widgets", "jupyter"},
    "testing": {"errors", "stable", "protocol", "runtime", "persistence", "session", "synchronizer"},
}

#: The pure rooms: no clock, no socket, no file, no thread that waits, no event loop.
PURE = [
    *(PACKAGE / "runtime").rglob("*.py"),
    *(PACKAGE / "ready").glob("*.py"),
    *(PACKAGE / "persistence").glob("*.py"),
    PACKAGE / "stable.py",
    PACKAGE / "protocol.py",
    PACKAGE / "json_path.py",
    *(
        PACKAGE / "synchronizer" / f"{name}.py"
        for name in (
            *("arrivals", "audits", "blocks", "clock", "counts", "drafts", "head"),
            *("limits", "records", "sequencer", "talk", "tokens"),
        )
    ),
    PACKAGE / "session" / "client.py",
    PACKAGE / "session" / "saving.py",
    PACKAGE / "session" / "drafts.py",
]
IMPURE_MODULES = {
    *("asyncio", "concurrent", "ctypes", "multiprocessing", "os", "pathlib", "queue", "random", "secrets", "select"),
    *("selectors", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "time", "uuid"),
    *("websockets", "IPython", "ipywidgets", "anywidget", "traitlets", "tornado"),
}
#: Finding the source of live code means reading what Python and IPython keep of it.
SOURCE_FINDERS = {"sources.py"}
#: What stands in for a module takes from it what stays as it is: classes, formats of text. It reads no clock and draws
#: no number of theirs, which its own tests show.
STAND_INS = {"clock.py": {"time"}, "chance.py": {"uuid"}}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> set[str]:
    """Every module a file imports, at its top or inside a function, except for the type checker only."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("msq_jupyter."):
            found.add(node.value)  # importlib
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_what_lies_below_it(path: Path):
    room = room_of(path)
    used = {name.split(".")[1] for name in imports_of(path) if name.startswith("msq_jupyter.")}
    assert used - {room} <= MAY_IMPORT[room]


def test_the_table_has_no_circle():
    done: set[str] = set()
    for room, below in MAY_IMPORT.items():
        assert below <= done, f"{room} imports what stands later in the table"
        done.add(room)


@pytest.mark.parametrize("path", PURE, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_the_cores_do_no_io(path: Path):
    used = {name.split(".")[0] for name in imports_of(path)}
    allowed = {"os", "time", "pathlib"} if path.name in SOURCE_FINDERS else set()
    if path.parent.name == "deterministic":
        allowed = STAND_INS.get(path.name, set())
    assert not used & (IMPURE_MODULES - allowed)
    names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
    assert not names & {"open", "input", "print"}
    assert not any(
        isinstance(node, (ast.AsyncFunctionDef, ast.Await)) for node in ast.walk(ast.parse(path.read_text()))
    )


def test_only_the_server_extension_needs_a_jupyter_server():
    for path in PACKAGE.rglob("*.py"):
        if room_of(path) != "server_extension":
            assert not {name for name in imports_of(path) if name.split(".")[0] in ("jupyter_server", "tornado")}, path


def test_the_two_cores_never_import_each_other():
    for path in (PACKAGE / "synchronizer").glob("*.py"):
        assert not {
            name for name in imports_of(path) if name.startswith(("msq_jupyter.runtime", "msq_jupyter.session"))
        }
    for path in (PACKAGE / "runtime").rglob("*.py"):
        assert not {name for name in imports_of(path) if name.startswith("msq_jupyter.synchronizer")}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_modules_and_functions_stay_readable(path: Path):
    text = path.read_text()
    assert text.count("\n") <= 600
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = node.end_lineno - node.lineno + 1
            docstring = ast.get_docstring(node)
            lines -= docstring.count("\n") + 1 if docstring else 0
            assert lines <= 60, f"{node.name} has {lines} lines"
    assert not {"utils", "common", "manager", "base"} & {path.stem}
