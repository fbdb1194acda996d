"""`msq label`, `pin`, `prune` and `restore`: what they print, what they do, and how they end."""

from __future__ import annotations

import asyncio
import datetime
import io
import json
import sys

import pytest

from msq_jupyter.cli import main
from msq_jupyter.session.session import SessionCore
from tests.session.models import Counter
from tests.test_archive_command import msq, version

__all__ = ["msq"]

LONG_AGO = datetime.datetime(2001, 1, 1, tzinfo=datetime.timezone.utc)


def old(number: int, **changes: object):
    return version(number, time=LONG_AGO + datetime.timedelta(seconds=number), **changes)


def test_label_names_a_version_and_takes_the_name_away(msq):
    msq.fill(version(1), version(2))
    assert msq("label", "1", " before the exam ") == (0, "v1 is called before the exam\n", "")
    assert json.loads(msq("label", "latest", "newest", "--json")[1]) == {"number": 2, "label": "newest"}
    assert [row["label"] for row in json.loads(msq("versions", "--json")[1])] == ["before the exam", "newest"]
    assert "label    before the exam, by " in msq("show", "1")[1]
    assert msq("label", "v1", "") == (0, "v1 has no label any more\n", "")
    assert [row["label"] for row in json.loads(msq("versions", "--json")[1])] == ["", "newest"]
    assert msq("label", "7", "x") == (2, "", "msq: expected one of the versions 1 to 2, got 7\n")
    code, _, err = msq("label", "1", "a\x1bb")
    assert (code, err) == (2, "msq: label: expected one line of characters that can be seen, got a\\x1bb\n")


def test_pin_keeps_a_version_and_is_shown(msq):
    msq.fill(version(1), version(2))
    assert msq("pin", "1") == (0, "v1 is pinned\n", "")
    assert "pinned" in msq("versions")[1].splitlines()[-1]
    assert "kept     pinned, by " in msq("show", "1")[1]
    assert json.loads(msq("pin", "1", "--off", "--json")[1]) == {"number": 1, "pinned": False}
    assert msq("pin", "1", "--off") == (0, "v1 is not pinned any more\n", "")
    assert "pinned" not in msq("versions")[1]


def test_prune_drops_what_the_words_do_not_keep(msq):
    msq.fill(old(1), old(2, label="exam"), old(3, pinned=True), old(4), old(5))
    words = "yearly for ever"
    assert msq("prune", words, "--dry-run") == (0, "would drop 2 versions: v1, v4\n", "")
    assert json.loads(msq("prune", words, "--dry-run", "--json")[1]) == {"dropped": [1, 4], "dry_run": True}
    assert msq("prune", words) == (0, "dropped 2 versions: v1, v4\n", "")
    assert msq("prune", words) == (0, "nothing to drop\n", "")
    assert [row["number"] for row in json.loads(msq("versions", "--json")[1])] == [2, 3, 5]
    assert msq("verify")[0] == 0
    code, _, err = msq("prune", "hourly")
    assert (code, err.startswith("msq: retention: cannot read 'hourly' in 'hourly': write rules as in")) == (2, True)


def test_labels_and_pins_go_along_with_export_and_import(msq, tmp_path, monkeypatch):
    msq.fill(version(1, label="exam"), version(2, pinned=True), version(3))
    assert msq("label", "3", "added here")[0] == 0
    out = io.TextIOWrapper(io.BytesIO())
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        assert msq("export")[0] == 0
    (tmp_path / "all").write_bytes(out.buffer.getvalue())
    assert msq("import", str(tmp_path / "all"), name="copy")[0] == 0
    rows = json.loads(msq("versions", "--json", name="copy")[1])
    assert [(row["label"], row["pinned"]) for row in rows] == [("exam", False), ("", True), ("added here", False)]
    msq.fill(version(4))
    (tmp_path / "all").write_bytes(out.buffer.getvalue().replace(b'"label":"exam"', b'"label":"%s"' % (b"x" * 121)))
    assert "expected a label of at most 120 characters, got 121" in msq("import", str(tmp_path / "all"), name="new")[2]


def test_restore_appends_a_copy_with_its_parent(msq):
    msq.fill(version(1), version(2), version(3))
    assert msq("restore", "1") == (0, "restored v1 as v4: sessions start from it\n", "")
    newest = json.loads(msq("show", "--json")[1])
    assert (newest["number"], newest["parent"], newest["label"]) == (4, 3, "restored from version 1")
    assert newest["content"] == {"version": 1, "count": 1}
    assert "number = 1" in newest["source"]
    assert json.loads(msq("restore", "v2", "--json")[1]) == {"restored": 2, "number": 5, "present": 0}
    code, _, err = msq("restore", "5")
    assert (code, err) == (2, "msq: expected an older version than 5, which sessions start from already\n")
    assert msq("restore", "9") == (2, "", "msq: expected one of the versions 1 to 5, got 9\n")


async def test_restore_leaves_people_alone_unless_it_is_forced(msq):
    where = {"app_id": "test", "name": "room", "password": "pw", "synchronizer": msq.url}
    async with await SessionCore.join(model=Counter, **where) as ada:
        for _ in range(2):
            ada.publish("counter", "add", 1)
            await ada.saved()
        code, out, err = await asyncio.to_thread(msq, "restore", "1")
        assert (code, out) == (2, "")
        assert err == (
            "msq: expected nobody in sessions of 'room', got 1 participant: they would go on with their own data, and "
            "save over it as the head. Restore it there, for everybody at once: await session.restore(1); or say "
            "--force\n"
        )
        assert len(await ada.versions()) == 2
        code, out, _ = await asyncio.to_thread(msq, "restore", "1", "--force")
        assert (code, out) == (
            0,
            "restored v1 as v3: sessions start from it\n"
            "whoever is in a session (1 participant) goes on with their own data: what they save next is the head "
            "again\n",
        )
        assert ada.model.count == 2
        assert not ada.status.on_branch
        ada.publish("counter", "add", 1)
        await ada.saved()
        assert [(v.number, v.parent) for v in await ada.versions() if v.is_head] == [(4, 2)]


@pytest.mark.parametrize(
    "command", ["versions", "show", "diff", "restore", "label", "pin", "prune", "export", "import"]
)
def test_the_help_of_each_command_has_an_example(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert f"Example: msq {command} --app edu.school.demo --name lesson-1" in capsys.readouterr().out
