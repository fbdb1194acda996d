"""Coming into a session, against a real synchronizer: which one it is, how it is caught up with, and who stays out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from msq_jupyter.errors import (
    ArgumentError,
    ModelInitError,
    StateError,
    SynchronizerUnreachable,
    WrongPassword,
)
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.session import stepping
from msq_jupyter.session.session import SessionCore
from msq_jupyter.synchronizer.sequencer import SNAPSHOT_ENTRIES
from tests.session.models import Broken, Counter, Diary, EditedCounter, Unencodable
from tests.shells import a_shell
from tests.waiting import until


async def test_1_2_options_are_part_of_the_identity_they_should_be(join):
    plain = await join()
    other = await join(options={"doc": "d1"})
    named = await join(options={"doc": "d1"}, persistent_options=["doc"])
    assert len({plain.id, other.id, named.id}) == 3
    assert plain.persistent_id == other.persistent_id != named.persistent_id


async def test_1_3_a_code_hash_that_is_given_takes_the_place_of_the_codes_own(join):
    own, given = await join(), await join(code_hash="mine")
    assert (given.code_hash, given.id) == ("mine", given._arguments.session_id("mine"))
    assert own.id == own._arguments.session_id(own.code_hash) != given.id
    other = await join(EditedCounter, code_hash="mine too")
    assert other.code_hash == "mine too"
    assert other.persistent_id == own.persistent_id


async def test_1_4_two_sessions_in_one_process_do_not_hear_each_other(join):
    one, two = await join(name="one"), await join(name="two")
    got: list[Any] = []
    two.subscribe("*", "*", got.append)
    one.publish("counter", "add", 1)
    await one.synced()
    two.publish("counter", "add", 5)
    await two.synced()
    assert (one.model.count, two.model.count) == (1, 5)
    await until(lambda: got)
    assert 1 not in got


async def test_7_2_catching_up_with_a_long_log_and_snapshots(join):
    ada = await join(persist_interval_ms=600_000)
    for _ in range(3000):
        ada.publish("counter", "add", 1)
    await ada.synced()
    ben = await join()
    assert ben.model.count == 3000
    assert ben.model.people[0] == ada.model.people[0]


async def test_7_6_progress_of_catching_up_is_told_and_ends_with_1(join, monkeypatch):
    monkeypatch.setattr(stepping, "PORTION_S", 0.0)  # else a fast machine does all of it in one
    events = SNAPSHOT_ENTRIES // 2  # so that nothing of it is in a snapshot
    ada = await join()
    for _ in range(events):
        ada.publish("counter", "add", 1)
    await ada.synced()
    told: list[float] = []
    ben = await join(progress=told.append)
    assert ben.model.count == events
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert 0 <= told[0] < 1
    ada.publish("counter", "add", 1)
    await ada.synced()
    await ben.synced()
    assert told.count(1.0) == 1, "told after it had joined"


async def test_7_6_a_mistake_in_showing_progress_does_not_keep_anybody_out(join):
    def fail(share: float) -> None:
        raise ZeroDivisionError

    ada = await join(progress=fail)
    assert ada.model.count == 0
    with pytest.raises(ArgumentError, match="progress: expected a function of one number, or None, got 7"):
        await join(progress=7)


async def test_without_a_password_a_local_session_is_open(join):
    ada = await join(password=None)
    ben = await join(password=None)
    assert ada.id == ben.id


async def test_8_2_a_wrong_password_fails_the_join_and_harms_nobody(join):
    ada = await join()
    with pytest.raises(WrongPassword, match="password"):
        await join(password="other")
    with pytest.raises(WrongPassword):
        await join(EditedCounter, password="other")
    ada.publish("counter", "add", 1)
    await ada.synced()
    assert ada.model.count == 1


async def test_7_4_nobody_at_the_address_is_said_at_once():
    with pytest.raises(SynchronizerUnreachable, match=r'ws://127.0.0.1:1 .*start one with "msq serve"'):
        await SessionCore.join(app_id="a", name="b", password="c", model=Counter, synchronizer="ws://127.0.0.1:1")


async def test_2_6_an_init_that_fails_fails_the_join_with_the_traceback(join):
    with pytest.raises(ModelInitError, match=r"Broken\.init failed with ZeroDivisionError") as caught:
        await join(Broken)
    cause = caught.value.__cause__
    assert isinstance(cause, ZeroDivisionError)
    assert cause.__traceback__ is not None


async def test_2_5_an_unencodable_attribute_in_init_fails_the_join_with_the_path(join):
    with pytest.raises(StateError, match=r"Unencodable\.file\.handle: cannot store object"):
        await join(Unencodable)


async def test_an_error_shows_the_users_lines_and_not_ours(join):
    with pytest.raises(ModelInitError) as caught:
        await join(Broken)
    shown = caught.value._render_traceback_()
    assert any("self.ratio = 1 / 0" in line for line in shown)
    assert shown[-1].startswith("ModelInitError: Broken.init failed with ZeroDivisionError")
    assert not any("msq_jupyter/session" in line for line in shown)
    assert len(shown) < 12


def test_an_error_in_a_cell_names_the_cell_and_its_lines_as_ipython_does():
    code = "from msq_jupyter.errors import MsqError\ndef fail():\n    raise MsqError('told')\nfail()"
    with a_shell(is_singleton=True) as shell:
        shown = shell.run_cell(code, store_history=True).error_in_exec._render_traceback_()
    assert shown == [
        *("Cell In[1], line 4", "    fail()"),
        *("Cell In[1], line 3, in fail", "    raise MsqError('told')"),
        "MsqError: told",
    ]


def noting(function: Callable[..., Any], calls: list[Any]) -> Callable[..., Any]:
    return lambda *given: calls.append(function(*given))


async def test_7_1_who_comes_before_the_first_snapshot_begins_with_init_too(join, monkeypatch):
    begun, restored = [], []
    for name, noted in (("start", begun), ("restore", restored)):
        monkeypatch.setattr(Replica, name, noting(getattr(Replica, name), noted))
    ada = await join(Diary)
    for text in ("one", "two"):
        ada.publish("diary", "write", text)
    await ada.synced()
    ben = await join(Diary)
    await until(lambda: ben._replica.seq == ada._replica.seq and ben._replica.snapshot() == ada._replica.snapshot())
    assert (len(begun), len(restored)) == (2, 0)
    assert ada.model.begun == ben.model.begun == 0
    assert ben.model.lines == ada.model.lines
    assert len(ben.model.lines) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"app_id": ""}, "app_id: expected a name of 1 to 128 printable characters, got ''"),
        ({"name": "x" * 129}, "name: expected"),
        ({"name": "a\nb"}, "name: expected"),
        ({"name": "\ud800"}, "name: expected"),
        ({"password": ""}, "password: expected a non-empty string or None"),
        ({"model": int}, "model: expected a subclass of Model .*, got int"),
        ({"view": 3}, "view: expected a subclass of View"),
        ({"options": [1]}, "options: expected a dict of JSON data, got list"),
        ({"options": {"x": {1}}}, r"set at options\.x is not JSON"),
        ({"persistent_options": ["doc"]}, "'doc' is not a key of options"),
        ({"synchronizer": "ftp://x"}, r'synchronizer=: expected a URL such as "ws://127.0.0.1:8765"'),
        ({"synchronizer": "ws://x:1?token=s3"}, r'"ws://TOKEN@host:port" for a synchronizer .* got .ws://x:1.$'),
        ({"synchronizer": "ws://x:99999"}, "expected a URL"),
        ({"tick_rate": 0}, "tick_rate: expected 1/30 to 60"),
        ({"debug": "sesion"}, "debug: expected words of"),
        ({"join_timeout_s": 0}, "join_timeout_s: expected more than 0"),
        ({"rejoin_limit_ms": 60_001}, "rejoin_limit_ms: expected 0 to 60000"),
        ({"persisted": 0}, 'persisted: expected "latest", "ignore", or the number'),
        ({"password": None, "synchronizer": "wss://example.org"}, "password: wss://example.org is not on this machine"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_wrong_arguments_are_named(arguments, message):
    given = {"app_id": "a", "name": "b", "password": "c", "model": Counter, **arguments}
    with pytest.raises(ArgumentError, match=message):
        await SessionCore.join(**given)
