"""The public test kit: what it gives to authors of models, and what it notices."""

from __future__ import annotations

import functools
import gc
import re
import textwrap
import weakref

import pytest

from msq_jupyter import Model, View, operation, protocol
from msq_jupyter.errors import ArgumentError, PersistedDataError
from msq_jupyter.runtime.codehash import CodeIdentity
from msq_jupyter.runtime.link import LinkedCode, link
from msq_jupyter.session.client import Client
from msq_jupyter.synchronizer import sequencer
from msq_jupyter.testing import (
    CALM,
    HandlerRaised,
    InvariantBroken,
    NotConverged,
    NotSettled,
    Simulation,
    Weather,
    check_determinism,
    plan,
)
from tests.runtime.linked import notebook

pytest_plugins = ["pytester"]


class Poll(Model):
    def init(self, options, persisted=None):
        self.votes = dict(persisted["votes"]) if persisted else {"yes": 0, "no": 0}
        self.subscribe("poll", "vote", self.vote)

    def vote(self, choice):
        self.votes[choice] += 1
        self.publish("poll", "voted", choice)
        self.persist_session(lambda: {"version": 1, "votes": self.votes})


class EditedPoll(Poll):
    def vote(self, choice):
        self.votes[choice] += 2
        self.persist_session(lambda: {"version": 2, "votes": self.votes})


class ForgetfulPoll(Poll):
    def init(self, options, persisted=None):
        self.votes = dict(persisted["no such key"]) if persisted else {}


@functools.cache
def hidden():
    """What lives in a cache is in no snapshot, and linking cannot see it."""
    return []


class Careless(Model):
    """Makes the mistakes that let replicas part."""

    transient = ("cache",)

    def init(self, options, persisted=None):
        self.cache = 0
        self.seen = []
        self.parts = {"deep": [{"value": 0.0}]}
        self.subscribe("do", "*", self.do)

    def do(self, name):
        getattr(self, name)()

    def nothing(self):
        self.seen.append(self.now())

    def remember(self):
        self.cache = getattr(self, "cache", -1) + 1
        self.seen.append(self.cache)

    def hide(self):
        hidden().append(1)
        self.seen.append(len(hidden()))

    def break_down(self):
        raise ZeroDivisionError("on purpose")


def test_a_model_is_tested_in_three_lines(simulation: Simulation):
    room = simulation.room(Poll, participants=3)
    for _ in range(5):
        room.publish("poll", "vote", "yes")
        room.run(1_000)
    room.assert_converged()
    votes = dict(room.model.votes)
    room.edit(EditedPoll)
    assert room.model.votes == votes
    assert room.versions[-1].data == {"version": 1, "votes": votes}
    room.publish("poll", "vote", "no")
    room.assert_converged()
    assert room.model.votes["no"] == 2
    assert [version.schema_version for version in room.versions][-1] == 2


def test_in_calm_weather_nothing_is_lost():
    room = Simulation(weather=CALM).room(Poll, participants=2)
    ada, ben = room.participants
    room.publish("poll", "vote", "yes", by=ada)
    room.publish("poll", "vote", "no", by=ben)
    room.run(1_000)
    assert ada.model.votes == ben.model.votes == {"yes": 1, "no": 1}


def test_views_of_a_participant_hear_the_model():
    heard = []

    class Listening(View):
        def __init__(self, model):
            super().__init__(model)
            self.subscribe("poll", "voted", heard.append)

    room = Simulation(weather=CALM).room(Poll, participants=2, view=Listening)
    room.publish("poll", "vote", "yes")
    room.run(1_000)
    assert heard == ["yes", "yes"]


def test_replicas_that_part_are_found_with_path_and_values():
    room = Simulation(weather=CALM).room(Careless, participants=2)
    ben = room.participants[1]
    ben.replica.root.parts["deep"][0]["value"] = -0.0
    with pytest.raises(NotConverged, match=r"Careless\.parts\.deep\[0\]\.value differs: -0\.0 for ben, 0\.0 for ada"):
        room.assert_converged()


def test_an_exception_in_a_handler_ends_the_simulation_with_the_authors_own():
    room = Simulation(weather=CALM).room(Careless)
    room.publish("do", "it", "break_down")
    with pytest.raises(HandlerRaised, match=r"Careless\.do raised ZeroDivisionError: on purpose") as caught:
        room.run(1_000)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_exceptions_can_be_expected():
    room = Simulation(weather=CALM).room(Careless, participants=2, raise_errors=False)
    room.publish("do", "it", "break_down")
    room.run(1_000)
    assert [(failed.model, failed.method) for failed in room.errors] == [("Careless", "do")] * 2


def test_an_edit_whose_init_fails_on_the_data_is_found():
    room = Simulation(weather=CALM).room(Poll)
    room.publish("poll", "vote", "yes")
    with pytest.raises(PersistedDataError, match="KeyError: 'no such key'"):
        room.edit(ForgetfulPoll)
    for _ in range(2):  # everybody is back with the code from before, and the room goes on
        room.assert_converged()
        assert room.model.votes["yes"] == 1
        assert len(room.participants) == room.size == 3
        with pytest.raises(PersistedDataError):
            room.edit(ForgetfulPoll)
    room.publish("poll", "vote", "yes")
    room.edit(Poll)
    room.assert_converged()
    assert room.model.votes["yes"] == 2


def test_snapshots_are_requested_and_used_by_who_comes_late():
    simulation = Simulation(weather=CALM)
    room = simulation.room(Poll, participants=1)
    for _ in range(60):
        room.publish("poll", "vote", "yes")
        room.run(10)
    room.join(1)
    room.assert_converged()
    assert simulation.counters["snapshots"] >= 1
    assert simulation.counters["starts from a snapshot"] == 1


def test_nobody_there_for_a_while():
    room = Simulation(weather=CALM).room(Poll, participants=2)
    room.publish("poll", "vote", "yes")
    room.settle()
    room.leave_all()
    room.run(200_000)
    room.assert_converged()
    assert room.model.votes["yes"] == 1


@pytest.mark.parametrize("wrong", [{"delay_ms": (5, 1)}, {"cut_every_ms": -1}, {"pause_share": 2}])
def test_impossible_weather_is_refused(wrong):
    with pytest.raises(ArgumentError, match=f"Weather.{next(iter(wrong))}: expected"):
        Weather(**wrong)


# --- determinism -------------------------------------------------------------------------------------------------


def test_a_sound_model_passes_and_comes_back():
    root = check_determinism(Poll, [("poll", "vote", "yes"), 500, ("poll", "vote", "no")])
    assert root.votes == {"yes": 1, "no": 1}
    root = check_determinism(Poll, [("poll", "vote", "no")], persisted={"votes": {"yes": 3, "no": 4}})
    assert root.votes == {"yes": 3, "no": 5}


def test_what_hides_outside_of_the_model_is_found():
    with pytest.raises(NotConverged, match=r"Careless\.seen\[0\] differs after step 1.*run twice"):
        check_determinism(Careless, [("do", "it", "hide")])


def test_what_no_snapshot_holds_is_found():
    with pytest.raises(NotConverged, match=r"Careless\.seen\[0\] differs after step 1.*after a restore"):
        check_determinism(Careless, [("do", "it", "remember")])


POLL_IN_CELLS = (
    "STEP = 1\n",
    """
class Poll(Model):
    def init(self, options, persisted=None):
        self.votes = 0
        self.subscribe("poll", "vote", self.vote)
    def vote(self, _):
        self.votes += STEP
""",
)


def test_what_is_checked_and_simulated_is_the_code_as_it_is_now():
    """The class is the same one after a cell ran again that holds something it uses."""
    with notebook(*POLL_IN_CELLS) as cells:
        simulation = Simulation(weather=CALM)
        before = simulation.room(cells.main.Poll, participants=2)
        assert check_determinism(cells.main.Poll, [("poll", "vote")]).votes == 1
        cells.run("STEP = 5\n")
        assert check_determinism(cells.main.Poll, [("poll", "vote")]).votes == 5
        before.join()
        before.publish("poll", "vote")
        before.assert_converged()
        assert before.model.votes == 1, "a room goes on with the code it began with"
        before.edit(cells.main.Poll)
        before.publish("poll", "vote")
        before.assert_converged()
        assert before.model.votes == 5


def test_code_is_linked_once_for_all_that_use_it(monkeypatch: pytest.MonkeyPatch):
    linked = []

    def counted(identity: CodeIdentity) -> LinkedCode:
        linked.append(identity.code_hash)
        return link(identity)

    monkeypatch.setattr(plan, "link", counted)
    with notebook(*POLL_IN_CELLS) as cells:
        for _ in range(2):
            check_determinism(cells.main.Poll, [("poll", "vote"), 500])
            Simulation(weather=CALM).room(cells.main.Poll, participants=2)
        assert len(linked) == 1
        cells.run("STEP = 5\n")
        check_determinism(cells.main.Poll, [("poll", "vote"), 500])
        assert len(set(linked)) == len(linked) == 2


def test_of_many_classes_the_last_ones_are_kept_linked():
    def checked_class() -> weakref.ref[type]:
        with notebook(*POLL_IN_CELLS) as cells:
            check_determinism(cells.main.Poll, [("poll", "vote")])
            return weakref.ref(cells.main.Poll)

    first = checked_class()
    for _ in range(plan.LINKED_MAX):
        checked_class()
    gc.collect()
    assert first() is None
    assert len(plan._linked) == plan.LINKED_MAX


class Tally(Model):
    def init(self, options, persisted=None):
        self.count = 0

    @operation
    def add(self, number):
        self.count += number

    @operation
    def hide(self):
        hidden().append(1)
        self.count += len(hidden())


def test_operations_are_checked_by_functions_that_call_them():
    heard = []

    def click(model):
        heard.append(model.count)
        model.add(1)
        model.add(model.count + 10)  # what it adds to is what it has read, as in a cell

    assert check_determinism(Tally, [click, 500, click]).count == 33
    assert heard == [0, 11]
    with pytest.raises(NotConverged, match=r"Tally\.count differs after step 2.*run twice"):
        check_determinism(Tally, [click, lambda model: model.hide()])


def test_a_step_that_is_none_is_refused():
    with pytest.raises(ArgumentError, match="expected"):
        check_determinism(Poll, ["vote"])


# --- the kit notices what we do wrong ----------------------------------------------------------------------------


def test_lost_events_are_noticed(monkeypatch: pytest.MonkeyPatch):
    def forget(self: Client) -> None:
        self.__class__.real_disconnected(self)
        self._unacknowledged.clear()

    monkeypatch.setattr(Client, "real_disconnected", Client.disconnected, raising=False)
    monkeypatch.setattr(Client, "disconnected", forget)
    room = Simulation(weather=CALM).room(Poll, participants=1)
    room.publish("poll", "vote", "yes")
    room.participants[0].cut()
    with pytest.raises(NotSettled, match="published 1 events and executed 0"):
        room.assert_converged()


def test_time_that_runs_backwards_is_noticed(monkeypatch: pytest.MonkeyPatch):
    simulation = Simulation(weather=CALM)
    room = simulation.room(Poll, participants=1)
    room.run(1_000)
    monkeypatch.setattr("msq_jupyter.synchronizer.clock.SessionClock.read", lambda self, now_ms: 1.0)
    with pytest.raises(InvariantBroken, match="after"):
        room.run(1_000)


def test_a_version_that_is_overwritten_is_noticed(monkeypatch: pytest.MonkeyPatch):
    def append(self: sequencer.VersionIndex, save: protocol.Save, run: str, seen: int | None) -> tuple[int, bool]:
        self.newest += 1
        self.numbers[save.save_id] = 1
        return 1, self.branching.offer(self.newest, save, run, seen)

    room = Simulation(weather=CALM).room(Poll, participants=1, persist_interval_ms=0)
    monkeypatch.setattr(sequencer.VersionIndex, "append", append)
    room.publish("poll", "vote", "yes")
    room.run(1_000)
    room.publish("poll", "vote", "yes")
    with pytest.raises(InvariantBroken, match="expected version 2 to be appended, got version 1"):
        room.run(1_000)


def test_the_limits_of_the_sequencer_are_as_before():
    Simulation(weather=CALM).room(Poll)
    assert (sequencer.SNAPSHOT_ENTRIES, sequencer.TAIL_ENTRIES_MAX) == (1_000, 20_000)


# --- the plugin --------------------------------------------------------------------------------------------------

_TESTS = """
    import pytest

    @pytest.mark.msq_schedules(3)
    def test_fails(simulation):
        assert simulation.seed < {limit}
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    return pytester


def test_the_seed_of_a_failure_is_printed_with_the_way_to_repeat_it(suite: pytest.Pytester):
    suite.makepyfile(_TESTS.format(limit=2))
    result = suite.runpytest_inprocess()
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ["*msq_jupyter simulation*", "seed 2, at *", "repeat it with: pytest *::test_fails --msq-seed 2 *"]
    )


HOMEWORK = """
    from msq_jupyter import Model

    class Poll(Model):
        def init(self, options, persisted=None):
            self.votes = dict(persisted["votes"]) if persisted else {"yes": 0, "no": 0}
            self.subscribe("poll", "vote", self.vote)

        def vote(self, choice):
            self.votes[choice] += 1
            self.persist_session(lambda: {"version": 1, "votes": self.votes})

    class Edited(Poll):
        def init(self, options, persisted=None):
            self.votes = dict(persisted["votes"]) if persisted else {"yes": 0, "no": 0}
            self.closed = False
            self.subscribe("poll", "vote", self.vote)
"""

#: Agreement, determinism and migration: up to three lines for each.
HOMEWORK_TESTS = """
    from homework import Edited, Poll
    from msq_jupyter.testing import check_determinism

    def test_all_agree(simulation):
        room = simulation.room(Poll, participants=3)
        room.publish("poll", "vote", "yes")
        room.assert_converged()

    def test_it_is_deterministic():
        check_determinism(Poll, [("poll", "vote", "yes"), 500, ("poll", "vote", "no")])

    def test_data_outlives_the_edit(simulation):
        room = simulation.room(Poll, participants=2)
        room.publish("poll", "vote", "yes")
        room.edit(Edited)
        assert room.model.votes == {"yes": 1, "no": 0}
"""


@pytest.mark.parametrize(
    ("right", "wrong", "failed", "told"),
    [
        ("", "", [], ""),
        (
            'persisted["votes"]) if persisted else',
            'persisted["ballots"]) if persisted else',
            ["edit"],
            "KeyError: 'ballots'",
        ),
        (
            "self.votes[choice] += 1",
            "self.votes[choice] += len(kept(choice))",
            ["agree", "deterministic", "edit"],
            "Poll.votes.yes differs",
        ),
        (
            "self.votes[choice] += 1",
            "open('votes.txt')",
            ["agree", "deterministic", "edit"],
            "open is not available in model code",
        ),
    ],
    ids=["sound", "migration", "memory outside", "file"],
)
def test_a_homework_is_tested_in_three_lines(
    suite: pytest.Pytester, right: str, wrong: str, failed: list[str], told: str
):
    kept = "    import functools\n\n    @functools.cache\n    def hidden():\n        return []\n\n"
    kept += "    def kept(choice):\n        hidden().append(choice)\n        return hidden()\n"
    suite.makepyfile(homework=textwrap.dedent(kept) + textwrap.dedent(HOMEWORK).replace(right, wrong))
    suite.makepyfile(test_homework=HOMEWORK_TESTS)
    result = suite.runpytest_inprocess("--msq-schedules", "2")
    assert result.parseoutcomes().get("failed", 0) > 0 or not failed
    result.stdout.fnmatch_lines([f"*{told}*"])
    outcome = " ".join(line for line in result.outlines if line.startswith("FAILED"))
    assert [name for name in ("agree", "deterministic", "edit") if name in outcome] == failed


def test_a_seed_that_is_drawn_is_the_same_in_each_process_of_xdist(suite: pytest.Pytester):
    suite.makepyfile(_TESTS.format(limit=2**32 + 2))
    result = suite.runpytest_subprocess("-n", "2", "-v", "--msq-seed", "random")
    result.assert_outcomes(passed=3)
    (first,) = re.findall(r"simulations begin with --msq-seed (\d+)", result.stdout.str())
    seeds = re.findall(r"PASSED .*test_fails\[seed(\d+)\]", result.stdout.str())
    assert sorted(map(int, seeds)) == [int(first) + number for number in range(3)]


def test_seed_and_number_are_options(suite: pytest.Pytester):
    suite.makepyfile(_TESTS.format(limit=100))
    suite.runpytest_inprocess("--msq-seed", "40", "--msq-schedules", "5").assert_outcomes(passed=5)
    result = suite.runpytest_inprocess("--msq-seed", "random", "--msq-schedules", "1")
    result.stdout.fnmatch_lines(["msq_jupyter: simulations begin with --msq-seed *"])
    assert suite.runpytest_inprocess("--msq-seed", "x").ret == pytest.ExitCode.USAGE_ERROR
