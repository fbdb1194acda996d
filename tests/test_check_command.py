"""`msq check`: files and notebooks against exported versions; what it prints and how it ends."""

from __future__ import annotations

import builtins
import datetime
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from msq_jupyter.cli import main
from msq_jupyter.persistence.export import ExportedVersion, Manifest, write_export

NOTES = """\
from __future__ import annotations
import re
import no_such_library_anywhere
from dataclasses import dataclass
from collections import namedtuple
from msq_jupyter import PersistentModel, Session, migration
try:
    import another_missing_library
except ImportError:
    another_missing_library = None

KEY = "ti" + "tle"
WORD = re.compile("[a-z]+")
Pair = namedtuple("Pair", "a b")
RAN = open("/nowhere/at/all")
data = load_the_data()

@dataclass
class Note:
    title: str

class Notes(PersistentModel):
    schema_version = 2

    @migration(1)
    def add_titles(self, data):
        return {"notes": [{KEY: note.upper()} for note in data["notes"]]}

    def from_save_data(self, data):
        self.notes = [Note(note["title"]) for note in data["notes"]]

    def to_save_data(self):
        return {"notes": [{"title": note.title} for note in self.notes]}

    def init(self, options, persisted=None):
        super().init(options, persisted)
        self.save()

raise SystemExit("this is never run")
"""


def exported(path: Path, *contents: Any) -> str:
    """A file of versions with these contents."""
    time = datetime.datetime(2026, 11, 24, tzinfo=datetime.timezone.utc)
    versions = [
        ExportedVersion(
            number=number,
            parent=number - 1,
            time=time,
            author="Ada",
            label="",
            pinned=False,
            session_id="s",
            code_hash="c",
            schema_version=content.get("version"),
            source="class Notes: ...",
            content=content,
        )
        for number, content in enumerate(contents, 1)
    ]
    path.write_bytes(b"".join(write_export(Manifest(app_id="app", name="room"), versions)))
    return str(path)


GOOD = {"version": 1, "notes": ["one"]}
BAD = {"version": 1, "notes": [1]}
NEW = {"version": 3, "notes": []}


def test_5_8_check_says_which_versions_load_and_where_the_others_fail(tmp_path, capsys):
    file = tmp_path / "lesson.py"
    file.write_text(NOTES)
    before = dict(vars(builtins)), list(sys.path), sys.modules["__main__"]
    assert main(["check", str(file), "--data", exported(tmp_path / "data", GOOD, BAD, NEW)]) == 1
    assert (dict(vars(builtins)), list(sys.path), sys.modules["__main__"]) == before
    out = capsys.readouterr().out
    assert out.startswith("Notes loads 1 of 3 versions\n")
    lines = out.splitlines()
    assert lines[2].split() == ["v1", "yes", "1", "→", "2"]
    line = NOTES[: NOTES.index("note.upper")].count("\n") + 1
    assert "AttributeError: 'int' object has no attribute 'upper'" in lines[3]
    assert lines[3].endswith(f"Notes.add_titles, {file} line {line}")
    assert "SchemaTooNew: the saved data has version 3, and Notes knows versions up to 2" in lines[4]
    assert f"{file} line 3: import no_such_library_anywhere (ModuleNotFoundError: No module named" in out
    assert "RAN = open('/nowhere/at/all')\n" in out
    assert "data = load_the_data()\n" in out
    assert "raise SystemExit('this is never run')\n" in out
    assert "another_missing_library" not in out
    assert "KEY" not in out


def test_5_9_check_ends_with_0_when_all_versions_load(tmp_path, capsys):
    (tmp_path / "lesson.py").write_text(NOTES)
    arguments = ["check", str(tmp_path / "lesson.py"), "--data", exported(tmp_path / "data", GOOD, GOOD), "--json"]
    assert main(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["model"], told["ok"]) == ("Notes", True)
    assert told["versions"][1] == {
        "number": 2,
        "ok": True,
        "schema_version": 1,
        "saved_schema_version": 2,
        "error_type": "",
        "error": "",
        "place": "",
        "note": "",
    }
    assert {"place", "text", "error"} == set(told["left_out"][0])


def notebook(path: Path, *cells: str) -> str:
    path.write_text(
        json.dumps({"nbformat": 4, "cells": [{"cell_type": "code", "source": cell, "metadata": {}} for cell in cells]})
    )
    return str(path)


POLL = """\
from helper_of_the_poll import worth
%load_ext msq_jupyter
from msq_jupyter import Model, Session"""
OPTION = "class Option(Model):\n    def init(self, options):\n        self.votes = options['votes']"
ROOT = """\
class Poll(Model):
    def init(self, options, persisted=None):
        print("a model may print")
        self.limit = options.get("limit", 10)
        self.options = [Option.create({"votes": worth(votes)}) for votes in persisted["votes"]]
        if len(self.options) > self.limit:
            raise ValueError("too many")"""
JOIN = 'session = await Session.join(app_id="a", name="b", model=Poll)\nsession'


def test_check_finds_the_joined_model_of_a_notebook_and_runs_no_cell_that_does_something(tmp_path, capsys):
    (tmp_path / "helper_of_the_poll.py").write_text("def worth(votes):\n    return votes + 1\n")
    path = notebook(tmp_path / "poll.ipynb", POLL, OPTION, ROOT, "%%live session\nsession.model.votes", JOIN)
    data = exported(tmp_path / "data", {"votes": [1, 2]}, {"votes": ["x"]})
    assert main(["check", path, "--data", data]) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("Poll loads 1 of 2 versions\n")
    assert captured.err.count("a model may print") == 2
    assert f"Poll.init, {tmp_path / 'helper_of_the_poll.py'} line 2" in captured.out
    assert f"{path} cell 5 line 1: session = await Session.join(app_id='a', name='b', model=Poll)" in captured.out
    arguments = ["check", path, "--data", exported(tmp_path / "data", {"votes": [1, 2]})]
    assert main([*arguments, "--options", '{"limit": 1}']) == 1
    assert "ValueError: too many" in (out := capsys.readouterr().out)
    assert f"Poll.init, {path} cell 3 line 7" in out
    sys.modules.pop("helper_of_the_poll")


def test_check_names_the_models_when_there_are_several(tmp_path, capsys):
    (tmp_path / "helper_of_the_poll.py").write_text("def worth(votes):\n    return votes + 1\n")
    path = notebook(tmp_path / "poll.ipynb", POLL, OPTION, ROOT)
    arguments = ["check", path, "--data", exported(tmp_path / "data", {"votes": [1, 2]})]
    assert main(arguments) == 2
    assert f"--model: expected one of Option, Poll in {path}, got several" in capsys.readouterr().err
    assert main([*arguments, "--model", "Pol"]) == 2
    assert f"--model: expected one of Option, Poll in {path}, got Pol" in capsys.readouterr().err
    assert main([*arguments, "--model", "Poll"]) == 0
    sys.modules.pop("helper_of_the_poll")


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("lesson.py", "def (", "expected Python, got "),
        ("lesson.ipynb", "[]", "expected a notebook of format 4"),
        ("lesson.txt", "", "expected a .py file or an .ipynb notebook"),
        ("lesson.py", "X = 1", "expected a subclass of Model in "),
        ("lesson.py", "from nowhere import Base\nclass A(Base): ...", "line 2: NameError: name 'Base' is not defined"),
        ("lesson.py", b"\xff\xfe\xff", "expected a readable file or notebook"),
    ],
)
def test_what_cannot_be_checked_ends_with_2_and_a_reason(tmp_path, capsys, name, text, reason):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    assert main(["check", str(tmp_path / name), "--data", exported(tmp_path / "data", GOOD)]) == 2
    assert reason in capsys.readouterr().err


def test_a_file_that_is_no_export_ends_with_2(tmp_path, capsys):
    (tmp_path / "lesson.py").write_text(NOTES)
    assert main(["check", str(tmp_path / "lesson.py"), "--data", str(tmp_path / "lesson.py")]) == 2
    assert "expected a file of versions" in capsys.readouterr().err
    assert main(["check", str(tmp_path / "lesson.py"), "--data", str(tmp_path / "missing")]) == 2
    assert "--data: expected a readable file" in capsys.readouterr().err
    assert main(["check", str(tmp_path / "nothing.py"), "--data", str(tmp_path / "missing")]) == 2
    assert "expected a readable file or notebook" in capsys.readouterr().err


def test_a_model_that_never_ends_has_a_limit(tmp_path, capsys):
    code = "from msq_jupyter import Model\nclass Loop(Model):\n    def init(self, options, persisted=None):\n"
    (tmp_path / "loop.py").write_text(code + "        while True:\n            self.turns = 1\n")
    data = exported(tmp_path / "data", GOOD)
    assert main(["check", str(tmp_path / "loop.py"), "--data", data, "--limit-s", "0.05"]) == 1
    assert "DryRunEnded: Loop.init did not end within 0.05 seconds" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--limit-s", "0"], "expected a number of seconds above 0"),
        (["--options", "[]"], "expected a JSON object"),
        (["--options", "{"], "expected a JSON object"),
    ],
)
def test_impossible_values_are_refused(arguments, reason, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["check", "lesson.py", "--data", "x", *arguments])
    assert reason in capsys.readouterr().err


def test_an_interrupted_check_ends_with_2(tmp_path, capsys):
    code = "from msq_jupyter import Model\nclass Stop(Model):\n    def init(self, options, persisted=None):\n"
    (tmp_path / "stop.py").write_text(code + "        raise KeyboardInterrupt\n")
    assert main(["check", str(tmp_path / "stop.py"), "--data", exported(tmp_path / "data", GOOD)]) == 2
    assert "interrupted" in capsys.readouterr().err
