"""The commands about saved versions: what they print and how they end."""

from __future__ import annotations

import asyncio
import datetime
import getpass
import io
import json
import os
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from msq_jupyter.cli import main
from msq_jupyter.persistence.export import ExportedVersion, Manifest, write_export
from msq_jupyter.session.session import SessionCore
from tests.conftest import SynchronizerThread
from tests.session.models import Counter, EditedCounter

ROOT = Path(__file__).parents[1]
WRONG_PASSWORD = (
    "msq: this name is in use here with another password: give the one that the others use, or another name\n"
)
TIME = datetime.datetime(2026, 11, 24, 12, 30, 0, 5, tzinfo=datetime.timezone.utc)


def version(number: int, **changes: Any) -> ExportedVersion:
    fields = {
        "parent": number - 1,
        "time": TIME + datetime.timedelta(seconds=number),
        "author": "Ada",
        "label": "",
        "pinned": False,
        "session_id": "s",
        "code_hash": "abcdefghij",
        "schema_version": 1,
        "source": f"class Poll(Model):\n    number = {number}",
        "content": {"version": 1, "count": number},
    }
    return ExportedVersion(number=number, **{**fields, **changes})


class Command:
    """Runs `msq` against one synchronizer, in this process."""

    def __init__(self, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = url
        self._tmp_path = tmp_path
        self._capsys = capsys

    def __call__(self, command: str, *arguments: str, name: str = "room") -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        where = ["--app", "test", "--name", name, "--synchronizer", self.url]
        code = main([command, *where, *arguments])
        return code, *self._capsys.readouterr()

    def fill(self, *versions: ExportedVersion, name: str = "room", head: int = 0) -> None:
        """Have versions under a name; `head` is the head's number, 0 for the newest."""
        file = self._tmp_path / "fill.jsonl"
        file.write_bytes(b"".join(write_export(Manifest(app_id="test", name="elsewhere", head=head), versions)))
        assert self("import", str(file), name=name)[0] == 0

    def tamper(self, sql: str) -> None:
        database = sqlite3.connect(self._tmp_path / "synchronizer" / "synchronizer.sqlite")
        with database:
            assert database.execute(sql).rowcount == 1
        database.close()


@pytest.fixture
def msq(
    synchronizer: SynchronizerThread,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Command:
    monkeypatch.setenv("MSQ_PASSWORD", "pw")
    return Command(synchronizer.url, tmp_path, capsys)


def test_versions_are_a_table_or_json(msq):
    msq.fill(version(1), version(2, author="Ben\x1b[31m", label="exam"))
    code, out, err = msq("versions")
    assert (code, err) == (0, "")
    head, second, first = out.splitlines()
    assert head.split() == ["version", "line", "saved", "by", "label", "pin", "schema", "size", "code"]
    assert second.startswith("v2       head  ")
    assert "Ben\\x1b[31m" in second
    assert "exam" in second
    assert first.startswith("v1")
    assert "Ada" in first
    assert "abcdefgh" in first
    code, out, _ = msq("versions", "--json")
    assert [(row["number"], row["parent"], row["is_head"], row["time"]) for row in json.loads(out)] == [
        (1, 0, False, "2026-11-24T12:30:01.000005+00:00"),
        (2, 1, True, "2026-11-24T12:30:02.000005+00:00"),
    ]


def test_5_6_branches_and_the_head_are_shown_and_imported(msq):
    versions = [version(1), version(2), version(3, parent=1), version(4, parent=3)]
    msq.fill(*versions, head=2)
    _, out, _ = msq("versions")
    assert [line.split("  2026")[0].split() for line in out.splitlines()[1:]] == [
        ["v4", "branch"],
        ["v3", "from", "v1"],
        ["v2", "head"],
        ["v1"],
    ]
    rows = json.loads(msq("versions", "--json")[1])
    assert [(row["number"], row["parent"], row["is_head"]) for row in rows] == [
        (1, 0, False),
        (2, 1, True),
        (3, 1, False),
        (4, 3, False),
    ]
    # The latest is what a session would start from.
    assert json.loads(msq("show", "--json")[1])["number"] == 2
    assert msq("show")[1].startswith("version  2, from version 1, the head\n")
    assert msq("show", "4")[1].startswith("version  4, from version 3\n")
    assert msq("diff", "4", "--json")[0] == 1


def test_show_prints_the_data_harmlessly(msq):
    msq.fill(version(1), version(2, content={"text": "\x1b[2J\x9b", "version": 1}))
    code, out, _ = msq("show")
    assert code == 0
    assert out.startswith("version  2, from version 1, the head\nsaved    2026-11-24 ")
    assert out.endswith('\n\n{\n  "text": "\\u001b[2J\\x9b",\n  "version": 1\n}\n')
    assert msq("show", "1", "--source")[1].endswith("\n\nclass Poll(Model):\n    number = 1\n")
    shown = json.loads(msq("show", "v1", "--json")[1])
    assert (shown["number"], shown["content"]) == (1, {"version": 1, "count": 1})
    assert msq("show", "7") == (2, "", "msq: expected one of the versions 1 to 2, got 7\n")


def test_diff_shows_what_changed_and_ends_with_1(msq):
    msq.fill(version(1), version(2), version(3, content={"version": 1, "count": 2}))
    code, out, _ = msq("diff", "1", "2")
    assert (code, out.splitlines()[0]) == (1, "v1 → v2: 1 changed")
    assert "count" in out
    assert msq("diff", "2")[0] == 0
    assert msq("diff", "2", "--sources")[0] == 1
    code, out, _ = msq("diff", "1", "3", "--json")
    changed = {"kind": "changed", "path": ["count"], "path_text": "count", "old": 1, "new": 2}
    assert json.loads(out)["operations"] == [changed]
    assert "+    number = 2" in json.loads(msq("diff", "1", "2", "--sources", "--json")[1])["lines"]


def test_verify_names_what_is_damaged_and_its_neighbours(msq):
    msq.fill(version(1), version(2), version(3))
    assert msq("verify") == (0, "v1: ok\nv2: ok\nv3: ok\n3 versions, 0 damaged\n", "")
    msq.tamper("UPDATE contents SET content = zeroblob(9) WHERE version = 2")
    code, out, _ = msq("verify")
    lines = out.splitlines()
    assert (code, lines[0], lines[2], lines[3]) == (1, "v1: ok", "v3: ok", "3 versions, 1 damaged")
    assert lines[1].startswith("v2: expected version 2 as it was saved, got bytes with another digest")
    assert [bool(row["damage"]) for row in json.loads(msq("verify", "--json")[1])] == [False, True, False]
    assert msq("show", "3")[0] == 0
    assert msq("show", "2")[0] == 2
    msq.tamper("UPDATE versions SET meta = zeroblob(99) WHERE number = 1")
    code, out, _ = msq("versions")
    assert code == 1
    assert out.splitlines()[-1].startswith("v1: damaged: the version meta of ")


def test_errors_are_one_line(msq, monkeypatch, tmp_path):
    missing = "msq: nothing was ever saved here under this name\n"
    assert msq("versions") == (2, "", missing)
    msq.fill(version(1))
    monkeypatch.setenv("MSQ_PASSWORD", "other")
    assert msq("versions") == (2, "", WRONG_PASSWORD)
    assert msq("versions", "--no-password") == (2, "", WRONG_PASSWORD)
    code, _, err = msq("import", str(tmp_path / "none"))
    assert (code, err.startswith("msq: expected a file of exported versions, got ")) == (2, True)
    (tmp_path / "hostile").write_bytes(b'{"format":"msq-versions","format_version":1}\n')
    monkeypatch.setenv("MSQ_PASSWORD", "pw")
    code, _, err = msq("import", str(tmp_path / "hostile"))
    assert (code, err.startswith("msq: line 1, before the first version: ")) == (2, True)
    msq.url = "ws://127.0.0.1:9"
    assert msq("versions")[2].startswith("msq: no synchronizer answers at ws://127.0.0.1:9 ")


def test_the_password_is_asked_for(msq, monkeypatch):
    msq.fill(version(1))
    monkeypatch.delenv("MSQ_PASSWORD")
    asked = []

    def answer(text: str) -> Any:
        def ask(question: str) -> str:
            asked.append(question)
            return text

        return ask

    monkeypatch.setattr(getpass, "getpass", answer("pw"))
    assert msq("versions")[0] == 0
    assert asked == ["Password of room (app test): "]
    monkeypatch.setattr(getpass, "getpass", answer(""))
    none = "msq: expected a password, got none: say --no-password for a name without\n"
    assert msq("versions") == (2, "", none)
    monkeypatch.undo()
    monkeypatch.delenv("MSQ_PASSWORD", raising=False)

    def no_terminal(*_: Any, **__: Any) -> int:
        raise OSError("no terminal")

    monkeypatch.setattr(os, "open", no_terminal)
    monkeypatch.setattr(sys, "stdin", io.StringIO("pw\n"))
    code, _, err = msq("versions")
    assert (code, err.startswith("msq: expected a password, and there is no terminal to ask for one")) == (2, True)


def test_a_typed_password_of_a_new_name_is_asked_twice(msq, monkeypatch, tmp_path):
    file = tmp_path / "file.jsonl"
    file.write_bytes(b"".join(write_export(Manifest(app_id="test", name="elsewhere"), [version(1)])))
    monkeypatch.delenv("MSQ_PASSWORD")
    typed = iter(["pw", "wp", "pw", "pw"])
    monkeypatch.setattr(getpass, "getpass", lambda question: next(typed))
    different = "msq: expected the same password twice, got two: nothing was stored\n"
    assert msq("import", str(file)) == (2, "", different)
    code, out, _ = msq("import", str(file))
    assert (code, out) == (0, "imported 1 version of elsewhere into room\n")


def test_an_open_name_needs_no_password(msq, tmp_path):
    file = tmp_path / "file.jsonl"
    lost = version(5, parent=3, pinned=True)
    file.write_bytes(b"".join(write_export(Manifest(app_id="test", name="elsewhere"), [version(1), lost])))
    assert msq("import", str(file), "--no-password")[1] == (
        "imported 2 versions of elsewhere into room\nwithout their parents, which the file does not have: v5\n"
    )
    _code, out, _ = msq("import", str(file), "--no-password", "--json")
    assert json.loads(out) == {
        "from": {"app_id": "test", "name": "elsewhere"},
        "numbers": {"1": 1, "5": 2},
        "stored": 0,
        "said": 0,
        "without_parent": [5],
    }
    assert msq("versions", "--no-password")[0] == 0
    assert msq("versions")[0] == 2


async def test_a_development_session_gets_a_copy_of_production_data_which_stays_as_it_is(
    synchronizer: SynchronizerThread,
):
    """Separate deployments: production creates the data, development tests loading it, and corrupts nothing."""
    where = {"name": "lesson-1", "synchronizer": synchronizer.url, "persist_interval_ms": 0}
    app, dev_app = "edu.school.demo", "edu.school.demo.dev"
    msq = f"{shlex.quote(sys.executable)} -m msq_jupyter.cli"
    rest = f"--name lesson-1 --synchronizer {synchronizer.url}"
    pipe = f"{msq} export --app {app} {rest} | MSQ_PASSWORD=d {msq} import --app {dev_app} {rest}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MSQ_PASSWORD": "p"}

    async def copied() -> tuple[int, str, str]:
        how: dict[str, Any] = {"shell": True, "check": False, "capture_output": True, "text": True, "env": environment}
        done = await asyncio.to_thread(subprocess.run, pipe, **how)
        return done.returncode, done.stdout, done.stderr

    async with await SessionCore.join(model=Counter, app_id=app, password="p", **where) as ada:
        ada.publish("counter", "add", 7)
        await ada.saved()
        before = list(await ada.versions())
        told = "imported 1 version of lesson-1 into lesson-1\n"
        assert await copied() == (0, told, "exported 1 version of lesson-1\n")
        async with await SessionCore.join(model=EditedCounter, app_id=dev_app, password="d", **where) as dev:
            assert (dev.model.count, dev.persistent_id == ada.persistent_id) == (7, False)
            dev.publish("counter", "add", 1)
            await dev.saved()
            assert len(await dev.versions()) == 2
        # Nothing of it is seen in production, and what production saves later can be copied again.
        assert (ada.model.count, list(await ada.versions())) == (7, before)
        assert not ada.status.on_branch
        ada.publish("counter", "add", 30)
        await ada.saved()
        code, out, _ = await copied()
        assert (code, out) == (0, "imported 1 version of lesson-1 into lesson-1\n1 version was there already\n")
        async with await SessionCore.join(model=EditedCounter, app_id=dev_app, password="d", **where) as dev:
            assert dev.model.count == 37


def test_a_damaged_export_is_no_import(msq, tmp_path, monkeypatch):
    msq.fill(version(1), version(2))
    msq.tamper("UPDATE contents SET content = zeroblob(9) WHERE version = 1")

    def exported(*arguments: str) -> tuple[int, bytes, str]:
        out = io.TextIOWrapper(io.BytesIO())
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            code, _, err = msq("export", *arguments)
        return code, out.buffer.getvalue(), err

    code, data, err = exported()
    assert (code, err.startswith("msq: expected version 1 as it was saved")) == (2, True)
    (tmp_path / "cut").write_bytes(data)
    assert msq("import", str(tmp_path / "cut"), name="copy")[0] == 2
    code, data, err = exported("--skip-damaged")
    assert (code, err.splitlines()[-1]) == (1, "exported 1 version of room")
    (tmp_path / "rest").write_bytes(data)
    assert msq("import", str(tmp_path / "rest"), name="copy")[0] == 0
    assert json.loads(msq("show", "--json", name="copy")[1])["content"]["count"] == 2


POLL = """
from msq_jupyter import Model


class Poll(Model):
    def init(self, options, persisted=None):
        assert persisted["count"] != 2, "two is refused"
"""


def test_5_8_check_loads_every_version_of_a_name_and_writes_nothing(msq, tmp_path):
    msq.fill(version(1), version(2), version(3))
    code = tmp_path / "poll.py"
    code.write_text(POLL)
    before = msq("export")[1]
    msq.tamper("UPDATE contents SET content = zeroblob(length(content)) WHERE version = 3")
    ended, out, _ = msq("check", str(code), "--json")
    rows = [(row["number"], row["ok"], row["error_type"]) for row in json.loads(out)["versions"]]
    assert (ended, rows) == (1, [(1, True, ""), (2, False, "AssertionError"), (3, False, "VersionDamaged")])
    assert msq("export", "--skip-damaged")[1].splitlines()[:5] == before.splitlines()[:5]
    assert msq("check", str(code), name="nothing")[::2] == (2, "msq: nothing was ever saved here under this name\n")
    assert msq("check", str(code), "--data", str(code))[2].startswith("msq: expected either --app A --name N or --data")
    assert main(["check", str(code), "--app", "test"]) == 2


#: Each command about a name, with arguments that work on three versions, and its exit code.
COMMANDS = {
    "versions": ((), 0),
    "show": ((), 0),
    "diff": (("1", "2"), 1),
    "restore": (("1",), 0),
    "label": (("1", "exam"), 0),
    "pin": (("1",), 0),
    "prune": (("everything for ever",), 0),
    "export": ((), 0),
    "import": (("FILE.jsonl",), 0),
    "verify": ((), 0),
    "check": (("POLL.py",), 1),
}


def test_every_command_about_a_name_is_in_the_table(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    assert all(f"    {command} " in told for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_speaks_json_asks_for_the_password_and_ends_with_its_code(msq, monkeypatch, tmp_path, command):
    msq.fill(version(1), version(2), version(3))
    (tmp_path / "POLL.py").write_text(POLL)
    (tmp_path / "FILE.jsonl").write_bytes(b"".join(write_export(Manifest(app_id="test", name="x"), [version(1)])))
    arguments, code = COMMANDS[command]
    given = [str(tmp_path / word) if word[0].isupper() else word for word in arguments]
    ended, out, err = msq(command, *given, "--json")
    assert ended == code, err
    json.loads(err if command == "export" else out)
    # The same with a password that is typed; then a wrong one, and none.
    monkeypatch.delenv("MSQ_PASSWORD")
    asked: list[str] = []
    answers = iter(["pw", "wrong"])
    monkeypatch.setattr("getpass.getpass", lambda question: asked.append(question) or next(answers))
    assert msq(command, *(["2"] if command == "restore" else given))[0] == code
    assert msq(command, *given)[::2] == (2, WRONG_PASSWORD)
    assert asked == ["Password of room (app test): "] * 2
    assert msq(command, *given, "--no-password")[0] == 2
    with pytest.raises(SystemExit) as ended_by:
        msq(command, "--help")
    assert ended_by.value.code == 0
