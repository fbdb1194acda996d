"""The log, assignments, saves (rule 5) and snapshots (rule 7) on one replica without clock, network or threads."""

from __future__ import annotations

import random

import pytest

from msq_jupyter import protocol
from msq_jupyter.errors import (
    OutsideModelError,
    PersistenceTypeError,
    ProtocolError,
    ScheduleError,
    SealBroken,
    SubscriptionError,
)
from msq_jupyter.runtime.happenings import SaveSkipped, SaveStored
from msq_jupyter.runtime.model import Model
from msq_jupyter.runtime.replica import Replica
from tests.runtime.bench import Bench
from tests.runtime.board import Board, Part, do

# --- the log ------------------------------------------------------------------------------------------------------


def test_4_6_a_gap_in_the_log_is_refused(bench):
    with pytest.raises(ProtocolError, match="expected entry 1 at"):
        bench.replica.apply(protocol.Membership(2, 0, [], []))


@pytest.mark.parametrize("counter", [1, 3])
def test_8_3_a_repeated_or_missing_event_of_a_view_is_refused(bench, counter):
    do(bench, ["note", "one"])
    payload = bench.replica.encode_publication("board", "do", [["note", "two"]])
    with pytest.raises(SealBroken, match=f"expected event 2 of view ada, got {counter}"):
        bench.replica.apply(protocol.Event(2, 5, "ada", counter, payload))


def test_an_event_that_does_not_decode_is_skipped_alike_everywhere(bench):
    for seq, payload in enumerate([b"", b"\xc1", b"\x93\x01\x02\x03", b"\x91\xa7publish", b"\xa5hello"], start=1):
        bench.feed(protocol.Event(seq, 1, "eve", seq, payload))
    assert len(bench.failures()) == 5
    do(bench, ["note", "fine"])
    assert bench.root.log[-1][1] == "fine"


# --- assignments (links) -----------------------------------------------------------------------------------------


def test_an_assignment_sets_the_attribute(bench):
    bench.assign("speed", 5)
    assert bench.root.speed == 5


@pytest.mark.parametrize("attribute", ["_speed", "id", "do", "sped", "future"])
def test_an_assignment_to_anything_else_is_reported_and_skipped(bench, attribute):
    before = bench.replica.models[bench.root.id].__dict__.copy()
    bench.assign(attribute, 5)
    assert bench.failures()
    assert bench.root.__dict__ == before


# --- 5 Persistence -----------------------------------------------------------------------------------------------


def test_5_1_persisting_from_another_model_names_the_remedy(bench):
    Part.save = lambda self: self.persist_session({})
    Board.save_part = lambda self: self.well_known_model("a").save()
    try:
        do(bench, ["part", "a"], ["save_part"])
    finally:
        del Part.save, Board.save_part
    assert 'self.well_known_model("modelRoot").save()' in bench.failures()[0]


def test_5_1_persisting_from_a_cell_raises(bench):
    with pytest.raises(OutsideModelError, match="publish an event"):
        bench.root.persist_session({})


@pytest.mark.parametrize("data", [None, 1, "text", True])
def test_5_2_only_an_object_or_an_array_can_be_saved(bench, data):
    do(bench, ["save", data])
    assert "PersistenceTypeError: data: expected a dict or a list" in bench.failures()[0]
    assert bench.replica.pending_save is None


def test_5_2_a_set_is_refused_with_path_and_remedy_and_the_session_goes_on(bench):
    do(bench, ["save", {"documents": {"tags": {"a", "b"}}}])
    assert "set at data.documents.tags is not JSON: sort it into a list" in bench.failures()[0]
    do(bench, ["note", "on"])
    assert bench.root.log[-1][1] == "on"


def test_5_3_equal_content_is_skipped_and_saved_means_acknowledged(bench):
    bench.members(joins={"ada": None})
    do(bench, ["save", {"n": 1}])
    do(bench, ["save", {"n": 1}])
    pending = bench.replica.pending_save
    assert pending is not None
    assert pending.author == "ada"
    assert bench.replica.last_save is None
    bench.saved(pending.save_id, 1)
    assert bench.replica.pending_save is None
    assert bench.replica.last_save.number == 1
    skipped, stored = bench.replica.happenings[-2:]
    assert skipped == SaveSkipped(is_pending=True)
    assert isinstance(stored, SaveStored)
    assert (stored.number, stored.author, stored.size_bytes, stored.is_history) == (1, "ada", 4, False)
    do(bench, ["save", {"n": 1}])
    assert bench.replica.pending_save is None
    assert bench.replica.happenings[-1] == SaveSkipped(is_pending=False)


def test_5_3_content_equal_to_what_was_loaded_is_skipped():
    from msq_jupyter.stable import bytes_digest, content_bytes

    bench = Bench(Board, Part, start=False)
    data = {"n": 1, "text": "ä"}
    bench.replica.content_id = bytes_digest(content_bytes(data))
    bench.replica.start(Board, None, data)
    do(bench, ["save", {"text": "ä", "n": 1}])
    assert bench.replica.pending_save is None


def test_5_4_pending_content_is_in_the_snapshot(bench):
    do(bench, ["save", {"n": 1}])
    assert bench.twin().pending_save == bench.replica.pending_save


def test_5_4_a_save_during_init_counts():
    kind = type("Saving", (Model,), {"init": lambda self, options, persisted=None: self.persist_session({"n": 1})})
    assert Bench(kind).replica.pending_save is not None


def test_5_5_an_older_acknowledgement_leaves_newer_content_pending(bench):
    do(bench, ["save", {"n": 1}])
    first = bench.replica.pending_save
    do(bench, ["save", {"n": 2}])
    second = bench.replica.pending_save
    bench.saved(first.save_id, 1)
    assert bench.replica.pending_save == second
    bench.saved(second.save_id, 2)
    assert bench.replica.pending_save is None


def test_5_5_persisted_tells_the_views_number_author_time_and_size(bench):
    got = []
    bench.replica.view_events.subscribe("view", "session", "persisted", got.append)
    bench.members(joins={"ada": None})
    bench.saved("other", 3)
    do(bench, ["save", {"n": 1}])
    bench.saved(bench.replica.pending_save.save_id, 4)
    bench.replica.view_events.run_frame()
    assert got == [
        {"number": 3, "author": "ada", "time_s": 1.5, "size_bytes": 0},
        {"number": 4, "author": "ada", "time_s": 1.5, "size_bytes": 4},
    ]


def test_5_5_the_size_is_known_of_what_was_replaced_while_it_was_on_its_way(bench):
    do(bench, ["save", {"text": "long"}])
    first = bench.replica.pending_save
    do(bench, ["save", {"n": 1}])
    bench.saved(first.save_id, 1)
    assert bench.replica.happenings[-1].size_bytes == len(first.content) > 4


# --- 7 Snapshots -------------------------------------------------------------------------------------------------


def test_7_1_replaying_the_log_gives_the_same_bytes(bench):
    bench.members(joins={"ada": None})
    do(bench, ["part", "a"], ["repeat", 7, "x"], ["hold", {"a": (1, 2)}], ["roll", 2])
    bench.advance(40)
    again = Bench(Board, Part)
    for entry in bench.log:
        assert again.replica.apply(entry)
    again.replica.advance(bench.time_ms)
    assert again.replica.snapshot() == bench.replica.snapshot()


@pytest.mark.parametrize("seed", range(20))
def test_7_3_snapshots_anywhere_in_a_random_log_change_nothing(seed):
    rng = random.Random(seed)
    print(f"seed {seed}")
    bench = Bench(Board, Part)
    restored = bench.twin()
    for number in range(60):
        step = rng.choice(
            [
                ["later", rng.randrange(30), number],
                ["repeat", rng.randrange(1, 30), number],
                ["cancel_by", rng.choice(["note", "*"])],
                ["roll", 1],
                ["hold", [number, {"k": number}]],
                ["tell", "x", "y", number],
                ["save", {"n": number // 3}],
                ["fail", "x"],
            ]
        )
        do(bench, step, after_ms=rng.randrange(10))
        assert restored.apply(bench.log[-1])
        if rng.random() < 0.3:
            snapshot = restored.snapshot()
            restored = bench.new_replica()
            restored.restore(snapshot)
    assert restored.snapshot() == bench.replica.snapshot()


def test_8_4_a_snapshot_names_no_classes_but_those_of_the_session(bench):
    do(bench, ["part", "a"])
    state = bench.replica.snapshot()
    other = Replica("session", "run", {"Board": Board})
    with pytest.raises(SealBroken, match="does not fit this session's code: KeyError: 'Part'"):
        other.restore(state)


@pytest.mark.parametrize("damage", [b"", b"\xc1", b"\x80", b"\x81\xa6format\x09"])
def test_8_4_a_damaged_snapshot_is_refused_by_name(bench, damage):
    with pytest.raises(SealBroken):
        bench.new_replica().restore(damage)


def test_errors_of_the_author_are_also_of_the_usual_kinds():
    assert issubclass(PersistenceTypeError, TypeError)
    assert issubclass(ScheduleError, ValueError)
    assert issubclass(SubscriptionError, ValueError)
