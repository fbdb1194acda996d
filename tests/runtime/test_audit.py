"""What replicas find at an audit, what they do when a save is not theirs, and where two of them differ."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from msq_jupyter import Model, protocol
from msq_jupyter.errors import SealBroken
from msq_jupyter.runtime import differences
from msq_jupyter.runtime.audit import Audited
from msq_jupyter.runtime.differences import difference_of_snapshots, first_difference
from msq_jupyter.runtime.happenings import SaveDiffers, SaveStored
from msq_jupyter.runtime.replica import Replica
from tests.runtime.bench import Bench


class Cell(Model):
    def init(self, options):
        self.alive = True
        self.text = "abc"
        self.subscribe("cells", "tick", self.tick)

    def tick(self, _):
        self.alive = not self.alive


class Grid(Model):
    def init(self, options=None, persisted=None):
        self.cells = [Cell.create() for _ in range(100)]
        self.steps = []
        self.subscribe("grid", "chain", self.chain)
        self.subscribe("grid", "save", self.save)
        self.subscribe("grid", "hold", self.hold)

    def chain(self, length):
        self.steps.append(length)
        if length:
            self.future(0).chain(length - 1)

    def save(self, data):
        self.persist_session(data)

    def hold(self, _):
        self.held = {"deep": [object()]}


@pytest.fixture
def bench() -> Bench:
    return Bench(Grid, Cell)


def an_audit(bench: Bench, number: int = 0, uploader: str = "", *, parts: int = 64) -> protocol.Audit:
    return protocol.Audit(bench.replica.seq + 1, bench.time_ms, number, parts, uploader, False)


def found(replica: Replica, entry: protocol.Audit, pause: Callable[[], bool] = lambda: False) -> Audited:
    replica.happenings.clear()
    while not replica.apply(entry, pause):
        pass
    (audited,) = (happening for happening in replica.happenings if isinstance(happening, Audited))
    return audited


def lived() -> tuple[Bench, Replica]:
    """A replica that has lived, and one restored from its snapshot."""
    bench = Bench(Grid, Cell)
    bench.members(joins={"ada": None})
    bench.publish("grid", "chain", 3)
    bench.publish("cells", "tick")
    bench.publish("grid", "save", {"a": 1})
    return bench, bench.twin()


@pytest.mark.parametrize("uploader", ["", "ada"])
def test_6_3_equal_replicas_find_the_same_in_every_part(uploader: str):
    bench, twin = lived()
    for number in range(protocol.AUDIT_PARTS_MAX):
        entry = an_audit(bench, number, uploader)
        assert found(bench.replica, entry) == found(twin, entry)


def _alive(replica: Replica) -> None:
    replica.models["M50"].__dict__["alive"] ^= True


def _character(replica: Replica) -> None:
    replica.models["M50"].__dict__["text"] = "abd"


def _order(replica: Replica) -> None:
    own = replica.models["M50"].__dict__
    own["alive"] = own.pop("alive")


@pytest.mark.parametrize("change", [_alive, _character, _order])
def test_6_3_any_difference_in_a_model_is_found_in_its_part_and_in_no_other(change: Callable[[Replica], None]):
    bench, twin = lived()
    change(twin)
    differ = []
    for number in range(protocol.AUDIT_PARTS_MAX * 2):
        entry = an_audit(bench, number)
        if found(bench.replica, entry).findings != found(twin, entry).findings:
            differ.append(number)
    assert differ == [50, 50 + 64]


@pytest.mark.parametrize("parts", [-1, 0, 1])
def test_6_3_a_small_world_is_looked_at_whole_each_time(parts: int):
    bench, twin = lived()
    _alive(twin)
    for number in (0, 1, 7, 2**62):
        entry = an_audit(bench, number, parts=parts)
        assert found(bench.replica, entry).findings != found(twin, entry).findings


@pytest.mark.parametrize(("models", "parts"), [(100, 1), (255, 1), (256, 2), (4_000, 31), (100_000, 64)])
def test_6_3_of_a_large_world_a_part(bench: Bench, models: int, parts: int, monkeypatch: pytest.MonkeyPatch):
    looked_at = []
    monkeypatch.setattr("msq_jupyter.runtime.audit.write_models", lambda _, part: looked_at.extend(part) or b"")
    bench.replica.models = {f"M{number}": bench.root for number in range(models)}
    bench.replica.next_model = models
    found(bench.replica, an_audit(bench, parts=0))
    assert len(looked_at) == -(-models // parts)


@pytest.mark.parametrize(
    "change",
    [
        lambda replica: replica.random.random(),
        lambda replica: replica.schedule.add(9e9, 0, "M1", "chain", (1,)),
        lambda replica: replica.subscribe(replica.root, "some", "event", "chain"),
        lambda replica: replica.unsubscribe_all(replica.models["M2"]),
        lambda replica: setattr(replica, "next_model", 1000),
        lambda replica: replica.views.clear(),
        lambda replica: setattr(replica, "content_id", "other"),
        lambda replica: replica.saves.clear(),
        lambda replica: replica.well_known.update(other=replica.root),
    ],
    ids=["random", "schedule", "subscribed", "unsubscribed", "ids", "views", "saved", "pending", "well known"],
)
def test_6_3_what_is_counted_is_compared_at_every_audit(change: Callable[[Replica], Any]):
    bench, twin = lived()
    change(twin)
    entry = an_audit(bench, 63)
    assert found(bench.replica, entry).findings != found(twin, entry).findings


def test_6_3_where_a_snapshot_is_uploaded_everything_is_compared():
    bench, twin = lived()
    _alive(twin)
    entry = an_audit(bench, 0, "ada")
    mine, theirs = found(bench.replica, entry), found(twin, entry)
    assert mine.findings != theirs.findings
    assert mine.state == bench.replica.snapshot()
    assert found(bench.replica, an_audit(bench)).state is None


@pytest.mark.parametrize("rhythm", list(itertools.product([False, True], repeat=3)), ids=str)
def test_6_3_what_is_due_is_done_before_the_audit_however_often_the_replica_paused(rhythm: tuple[bool, ...]):
    """`apply` may come back with `future(0)` of an event still to be run: the audit must not see that."""
    bench = Bench(Grid, Cell)
    twin = bench.twin()
    bench.publish("grid", "chain", 5)
    pauses = itertools.cycle(rhythm)

    def pause() -> bool:
        return next(pauses)

    while not twin.apply(bench.log[-1], pause):
        pass
    entry = an_audit(bench)
    late = found(twin, entry, pause)
    assert late == found(bench.replica, entry)
    assert twin.root.steps == [5, 4, 3, 2, 1, 0]


def test_the_pauses_above_leave_something_to_do():
    bench = Bench(Grid, Cell)
    twin = bench.twin()
    bench.publish("grid", "chain", 5)
    assert not twin.apply(bench.log[-1], lambda: True)
    assert twin.root.steps == [5, 4]


def test_6_3_a_large_world_of_few_models_has_parts_without_any():
    bench = Bench(Cell)
    twin = bench.twin()
    for number in range(protocol.AUDIT_PARTS_MAX):
        entry = an_audit(bench, number, parts=protocol.AUDIT_PARTS_MAX)
        assert found(bench.replica, entry).findings == found(twin, entry).findings


def test_6_3_history_is_not_audited():
    bench, twin = lived()
    twin.history_seq = bench.replica.seq + 1
    entry = an_audit(bench)
    assert twin.apply(entry)
    assert not any(isinstance(happening, Audited) for happening in twin.happenings)
    assert twin.seq == entry.seq


def test_6_3_what_cannot_be_stored_is_the_same_for_everybody():
    bench, twin = lived()
    bench.publish("grid", "hold")
    assert twin.apply(bench.log[-1])
    entry = an_audit(bench, 1, "ada")
    mine, theirs = found(bench.replica, entry), found(twin, entry)
    assert mine.findings == theirs.findings
    assert mine.state is None
    assert mine.error.path == "Grid.held.deep[0]"


# --- saves -------------------------------------------------------------------------------------------------------


def save_pending(bench: Bench, replica: Replica, content_id: str = "") -> None:
    pending = replica.pending_save
    digest = replica.save_digest(pending.save_id, content_id or pending.content_id)
    bench.feed(protocol.Saved(replica.seq + 1, bench.time_ms, pending.save_id, 1, "ada", 1.5, digest))


def test_5_5_what_was_stored_as_wanted_is_saved(bench: Bench):
    bench.publish("grid", "save", {"a": 1})
    save_pending(bench, bench.replica)
    assert bench.replica.pending_save is None
    (stored,) = bench.replica.happenings
    assert isinstance(stored, SaveStored)
    assert (stored.number, stored.author, stored.size_bytes) == (1, "", 4)


def test_5_5_what_was_stored_otherwise_is_saved_again_under_another_id(bench: Bench):
    bench.publish("grid", "save", {"a": 1})
    twin = bench.twin()
    before = bench.replica.pending_save
    save_pending(bench, bench.replica, "of another content")
    after = bench.replica.pending_save
    assert (after.content, after.content_id, after.view_id) == (before.content, before.content_id, before.view_id)
    assert (before.save_id, after.save_id) == ("run.1", "run.2")
    assert bench.replica.last_save.number == 1  # what it grows from
    differs, stored = bench.replica.happenings
    assert differs == SaveDiffers(1)
    assert stored.number == 1
    assert twin.apply(bench.log[-1])
    assert twin.snapshot() == bench.replica.snapshot()


def test_5_5_what_waits_behind_it_stays_behind_it_also_by_its_id(bench: Bench):
    bench.publish("grid", "save", {"a": 1})
    bench.replica.saves.keep()
    bench.publish("grid", "save", {"a": 2})
    contents = [save.content for save in bench.replica.saves]
    save_pending(bench, bench.replica, "of another content")
    assert [save.save_id for save in bench.replica.saves] == ["run.3", "run.4"]
    assert [save.content for save in bench.replica.saves] == contents


# --- where two differ --------------------------------------------------------------------------------------------


def test_6_3_a_difference_has_path_and_both_values():
    bench, twin = lived()
    _character(twin)
    assert first_difference(bench.replica, twin) == ("Cell#M50.text", "'abc'", "'abd'")
    assert difference_of_snapshots(bench.replica, twin.snapshot(), bench.replica.snapshot()) == (
        *("Cell#M50.text", "'abd'", "'abc'"),
    )
    assert difference_of_snapshots(twin, twin.snapshot(), twin.snapshot()) is None


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda replica: replica.random.random(), "random stream"),
        (lambda replica: replica.root.__dict__["steps"].append(1), "Grid.steps[4]"),
        (lambda replica: replica.models.pop("M101"), "Grid.cells[99]"),
        (lambda replica: setattr(replica, "save_count", 7), "saves[0]"),
        (lambda replica: replica.schedule.add(1e9, 0.0, "M1", "chain", (1,)), "future[0]"),
    ],
    ids=["random", "longer", "a model less", "saves", "a future message"],
)
def test_6_3_whatever_differs_is_named(change: Callable[[Replica], Any], path: str):
    bench, twin = lived()
    change(twin)
    if path == "Grid.cells[99]":
        twin.root.__dict__["cells"].pop()
        twin.unsubscribe_all(type("Gone", (), {"id": "M101"}))
    assert first_difference(bench.replica, twin).path == path


def test_6_3_a_difference_in_what_two_models_share_is_named():
    bench, twin = lived()
    for replica in (bench.replica, twin):
        shared = [1, 2]
        for model_id in ("M2", "M3"):
            replica.models[model_id].__dict__["shared"] = shared
    twin.models["M3"].__dict__["shared"][1] = 3
    assert first_difference(bench.replica, twin) == ("Cell#M2.shared[1]", "2", "3")


def test_only_models_that_differ_are_walked(monkeypatch: pytest.MonkeyPatch):
    bench, twin = lived()
    _character(twin)
    walked = []
    attributes = differences._attributes
    monkeypatch.setattr(differences, "_attributes", lambda model: walked.append(model.id) or attributes(model))
    first_difference(bench.replica, twin)
    assert walked == ["M50", "M50"]


def test_states_of_other_code_are_refused():
    bench, _ = lived()
    with pytest.raises(SealBroken):
        difference_of_snapshots(bench.replica, bench.replica.snapshot(), b"\x80")
