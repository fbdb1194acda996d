"""A save that somebody asks for, and one path of a version (rules 5.3, 5.10), on replicas without clock or network."""

from __future__ import annotations

from typing import Any

import pytest

from msq_jupyter.errors import ArgumentError, NothingCollected, SaveMethodMissing
from msq_jupyter.runtime.happenings import RestoreFailed, SaveCollected
from msq_jupyter.runtime.restoring import PATH_CHARACTERS_MAX, encode_restore
from msq_jupyter.runtime.saving import WAITING_SAVES_MAX, encode_save
from msq_jupyter.runtime.snapshot import pack
from msq_jupyter.stable import bytes_digest, content_bytes
from tests.runtime.bench import Bench
from tests.runtime.test_restoring import Bare, replaced, send, the_bench


def asked(bench: Bench) -> SaveCollected:
    [*_, collected] = [it for it in bench.replica.happenings if isinstance(it, SaveCollected)]
    return collected


def restore_path(bench: Bench, data: Any, path: str) -> None:
    for payload in encode_restore("r1", 4, content_bytes(data), path):
        send(bench, payload)


def test_5_4_what_is_saved_on_request_is_replaced_by_nothing():
    bench = the_bench()
    bench.publish("board", "add", 1)
    send(bench, encode_save("a"))
    save = bench.replica.pending_save
    assert asked(bench) == SaveCollected("ada", "a", save.content_id, save.save_id)
    bench.publish("board", "add", 200)
    assert bench.replica.saves[0] == save
    assert save.kept
    assert len(bench.replica.saves) == 2


def test_5_3_what_waits_or_is_stored_already_is_not_saved_again():
    bench = the_bench()
    bench.publish("board", "add", 200)
    save_id = bench.replica.pending_save.save_id
    send(bench, encode_save("a"))
    assert (asked(bench).save_id, asked(bench).number, len(bench.replica.saves)) == (save_id, 0, 1)
    bench.saved(save_id, 7)
    send(bench, encode_save("b"), "ben")
    assert asked(bench) == SaveCollected("ben", "b", asked(bench).content_id, "", 7)
    assert not bench.replica.saves


def test_what_collects_nothing_or_fails_is_told_to_who_asked():
    bench = the_bench()
    bench.publish("board", "add", 13)
    send(bench, encode_save("a"))
    assert str(asked(bench).error) == "unlucky"
    assert bench.failures() == ["Board.save: RuntimeError: unlucky"]
    bare = Bench(Bare)
    bare.members(joins={"ada": None})
    send(bare, encode_save("a"))
    assert isinstance(asked(bare).error, SaveMethodMissing)
    Bare.save = lambda self: None
    try:
        send(bare, encode_save("b"))
    finally:
        del Bare.save
    assert isinstance(asked(bare).error, NothingCollected)


@pytest.mark.parametrize("payload", [["save"], ["save", "x" * 65], ["save", 7], ["save", "a", "b"]])
def test_hostile_requests_change_nothing(payload):
    bench = the_bench()
    send(bench, pack(payload))
    assert asked(bench).error is not None
    assert not bench.replica.saves


def test_requests_do_not_fill_the_memory():
    bench = the_bench()
    for number in range(WAITING_SAVES_MAX + 5):
        bench.publish("board", "add", 1)
        send(bench, encode_save(str(number)))
    assert len(bench.replica.saves) == WAITING_SAVES_MAX + 1
    assert "saves wait to be stored: wait until they are, and save again" in str(asked(bench).error)


def test_5_10_one_path_takes_its_place_in_what_is_there_at_that_moment():
    bench = the_bench()
    bench.publish("board", "add", 3)
    twin = bench.twin()
    log = len(bench.log)
    restore_path(bench, {"total": 40, "text": "from the version"}, "text")
    assert (bench.root.total, bench.root.text) == (3, "from the version")
    assert [save.label for save in bench.replica.saves] == ["", "text restored from version 4"]
    assert bench.replica.content_id == bytes_digest(content_bytes({"total": 3, "text": "from the version"}))
    for entry in bench.log[log:]:
        twin.apply(entry)
    assert twin.snapshot() == bench.replica.snapshot()


@pytest.mark.parametrize(
    ("path", "told"),
    [("texts", "version 4 has no texts; did you mean text?"), ("total.x", "version 4 has no total.x"), ("[", "cannot")],
)
def test_5_10_a_path_that_leads_nowhere_changes_nothing(path, told):
    bench = the_bench()
    before = bench.replica.saves, bench.root
    restore_path(bench, {"total": 40, "text": "x"}, path)
    [failed] = [it for it in bench.replica.happenings if isinstance(it, RestoreFailed)]
    assert isinstance(failed.error, ArgumentError)
    assert told in str(failed.error)
    assert (failed.restore_id, failed.view_id) == ("r1", "ada")
    assert not replaced(bench.replica)
    assert bench.root is before[1]


def test_5_10_a_path_of_a_root_that_cannot_save_now_changes_nothing():
    bench = the_bench()
    bench.publish("board", "add", 13)
    restore_path(bench, {"total": 40, "text": "x"}, "text")
    [failed] = [it for it in bench.replica.happenings if isinstance(it, RestoreFailed)]
    assert str(failed.error) == "unlucky"
    assert bench.root.total == 13
    send(bench, pack(["restore", "r2", 0, 1, 4, "", b"x", "a" * (PATH_CHARACTERS_MAX + 1)]))
    [_, failed] = [it for it in bench.replica.happenings if isinstance(it, RestoreFailed)]
    assert "length <= 4000" in str(failed.error)
