"""When a draft goes up, on the socket thread; with a clock of our own, and no main loop at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from msq_jupyter import protocol
from msq_jupyter.runtime.saves import PendingSave
from msq_jupyter.session.drafts import LOOK_AGAIN_S, DraftSender, WaitingDraft

RUN = "run"


class FakeClient:
    """What a sender knows of its client."""

    def __init__(self) -> None:
        self.state = "live"
        self.run = RUN
        self.ended = False
        self.connections = 1
        self.newest_saved: protocol.Saved | None = None
        self.told: list[tuple[str, str, int]] = []

    def tell_of(self, run: str, sealed: tuple[str, int]) -> None:
        self.told.append((run, *sealed))

    def saved(self, save: int, number: int) -> None:
        self.newest_saved = protocol.Saved(number, 0.0, f"{RUN}.{save}", number, "ada", 0.0)


class Desk:
    """A sender with a clock; `told` is when what went up, and as the child of which version."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.client = FakeClient()
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.told: list[tuple[float, str, int]] = []
        self.sender = DraftSender(self.client, self._seal, lambda: self.now_s, self._later, self._sent)

    def _seal(self, pending: PendingSave, parent: int) -> tuple[str, int]:
        return pending.save_id, parent

    def _later(self, delay_s: float, call: Callable[[], None]) -> None:
        self.timers.append((self.now_s + delay_s, call))

    def _sent(self, draft: WaitingDraft) -> None:
        self.told.append((round(self.now_s, 3), *self.client.told[-1][1:]))

    def put(self, number: int, at_s: float, parent: int = 1, in_flight: str = "") -> None:
        pending = PendingSave(f"{RUN}.{number}", b"", "", "ada", "ada")
        self.sender.put(WaitingDraft(RUN, pending, parent, in_flight, at_s))

    def run_until(self, time_s: float) -> None:
        while due := [timer for timer in self.timers if timer[0] <= time_s]:
            first = min(due, key=lambda timer: timer[0])
            self.timers.remove(first)
            self.now_s = max(self.now_s, first[0])
            first[1]()
        self.now_s = time_s


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_5_4_a_draft_goes_up_in_its_time_without_the_main_loop(desk: Desk):
    desk.put(2, 0.5)
    desk.run_until(0.49)
    assert desk.told == []
    desk.run_until(5)
    assert desk.told == [(0.5, "run.2", 1)]
    assert desk.client.told == [(RUN, "run.2", 1)]


@pytest.mark.parametrize("what", ["it is stored", "another run", "it is a save now", "left"])
def test_5_4_nobody_looks_after_it_any_more_when(desk: Desk, what: str):
    desk.put(2, 0.5)
    desk.run_until(2)
    assert len(desk.timers) == 1
    if what == "it is stored":
        desk.client.saved(2, number=2)
    elif what == "another run":
        desk.client.run = "run of later"
    elif what == "it is a save now":
        desk.sender.drop()
    else:
        desk.client.ended = True
    desk.run_until(5)
    assert desk.timers == []
    assert len(desk.told) == 1


def test_5_4_a_draft_that_its_connection_may_have_lost_goes_up_again(desk: Desk):
    desk.put(2, 0.5)
    desk.run_until(1)
    desk.client.state = "away"
    desk.run_until(2)
    desk.client.state, desk.client.connections = "live", 2
    desk.run_until(5)
    assert desk.told == [(0.5, "run.2", 1), (pytest.approx(2, abs=2 * LOOK_AGAIN_S), "run.2", 1)]


def test_5_4_the_newest_content_wins_and_one_timer_is_enough(desk: Desk):
    for number in range(2, 50):
        desk.put(number, 0.5)
    assert len(desk.timers) == 1
    desk.run_until(5)
    assert desk.told == [(0.5, "run.49", 1)]


def test_5_4_what_goes_up_as_a_save_is_no_draft_any_more(desk: Desk):
    desk.put(2, 0.5)
    desk.sender.drop()
    desk.run_until(5)
    assert desk.told == []
    desk.put(3, 6)  # and the sender is of use again
    desk.run_until(7)
    assert desk.told == [(6, "run.3", 1)]
    assert len(desk.timers) == 1


def test_5_4_it_waits_for_its_parent_which_the_main_loop_has_not_heard_of(desk: Desk):
    desk.put(2, 0.5, parent=1, in_flight="run.1")
    desk.run_until(0.92)
    assert desk.told == []
    desk.client.saved(1, number=2)
    desk.run_until(5)
    assert desk.told == [(pytest.approx(0.92, abs=LOOK_AGAIN_S), "run.2", 2)]


def test_5_4_a_parent_that_was_lost_with_its_connection_is_not_waited_for(desk: Desk):
    desk.put(2, 0.5, parent=1, in_flight="run.1")
    desk.client.state = "away"
    desk.run_until(3)
    desk.client.connections += 1
    desk.client.state = "catching up"
    desk.run_until(4)
    assert desk.told == []  # it may still be in what comes
    desk.client.state = "live"
    desk.run_until(5)
    assert desk.told == [(pytest.approx(4, abs=LOOK_AGAIN_S), "run.2", 1)]


def test_5_4_without_a_connection_it_waits_and_after_the_end_it_does_not(desk: Desk):
    desk.client.state = "away"
    desk.put(2, 0.5)
    desk.run_until(2)
    desk.client.state = "live"
    desk.run_until(3)
    assert [told[1] for told in desk.told] == ["run.2"]
    desk.put(3, 3.5)
    desk.client.ended = True
    desk.run_until(5)
    assert len(desk.told) == 1
    assert desk.timers == []
