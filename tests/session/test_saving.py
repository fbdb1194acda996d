"""When one participant uploads what waits to be saved, and how; no clock, no connection."""

from __future__ import annotations

import itertools

import pytest

from msq_jupyter.runtime.saves import PendingSave
from msq_jupyter.session.saving import DRAFT_S, RETRY_S, TURN_S, Saver

INTERVAL_S = 5.0
VIEWS = ["ada", "bob", "cyd"]


def pending(number: int, view_id: str = "ada") -> PendingSave:
    return PendingSave(f"run.{number}", b"content", "content id", view_id, view_id)


def busy_saver(view_id: str = "ada") -> Saver:
    """One that has a version stored at time 0."""
    saver = Saver(view_id, INTERVAL_S)
    assert saver.begin(pending(1, view_id), 0, VIEWS, 0.0) == "save"
    saver.stored(0.0)
    return saver


def test_5_4_the_first_save_goes_out_at_once_the_next_as_a_draft_and_then_as_a_version():
    saver = busy_saver()
    uploads = [(now_s / 100, saver.begin(pending(2), 1, VIEWS, now_s / 100)) for now_s in range(1, 600)]
    assert [upload for upload in uploads if upload[1] != "nothing"] == [(0.01, "draft"), (INTERVAL_S, "save")]
    assert saver.draft_at_s == DRAFT_S


def test_5_4_drafts_keep_their_distance_and_the_newest_content_wins():
    saver = busy_saver()
    drafts = {}
    for step in range(1, 20):  # the content changes every 100 ms
        assert saver.begin(pending(step + 1), 1, VIEWS, step / 10) == "draft"
        drafts[saver.draft_at_s] = step  # it takes the place of one that waits for the same time
    assert drafts == {0.5: 4, 1.0: 9, 1.5: 14, 2.0: 19}


def test_5_4_after_a_quiet_while_a_draft_goes_up_at_once():
    saver = busy_saver()
    assert saver.begin(pending(2), 1, VIEWS, DRAFT_S + 1) == "draft"
    assert saver.draft_at_s == DRAFT_S + 1


def test_5_4_a_draft_is_handed_over_again_when_its_parent_is_another_one():
    saver = Saver("ada", INTERVAL_S)
    saver.begin(pending(1), 0, VIEWS, 0.0)
    assert saver.begin(pending(2), 0, VIEWS, 0.1) == "draft"
    assert saver.in_flight == "run.1"
    saver.stored(0.2)
    assert saver.begin(pending(2), 1, VIEWS, 0.2) == "draft"
    assert saver.draft_at_s == DRAFT_S
    # Somebody else saved what came before: it grew from that now.
    assert saver.begin(pending(2), 2, VIEWS, 4.0) == "draft"
    assert saver.begin(pending(2), 2, VIEWS, 4.1) == "nothing"


def test_5_4_versions_keep_their_distance_though_another_one_saves_each_time():
    saver = Saver("ada", INTERVAL_S)
    saver.stored(10.0)  # bob's
    assert saver.begin(pending(2), 1, VIEWS, 10.1) == "draft"
    assert saver.begin(pending(2), 1, VIEWS, 9.9 + INTERVAL_S) == "nothing"
    assert saver.begin(pending(2), 1, VIEWS, 10.0 + INTERVAL_S) == "save"


def test_5_4_what_was_stored_before_one_came_keeps_nobody_waiting():
    saver = Saver("ada", INTERVAL_S)
    saver.stored(10.0, is_history=True)
    assert saver.begin(pending(2), 1, VIEWS, 10.1) == "save"


def test_5_4_leaving_uploads_the_save_itself_though_its_draft_went_up():
    saver = busy_saver()
    assert saver.begin(pending(2), 1, VIEWS, 1.0) == "draft"
    assert saver.begin(pending(2), 1, VIEWS, 1.1, at_once=True) == "save"


def test_5_6_leaving_waits_for_what_is_in_flight_because_that_is_the_parent():
    saver = Saver("ada", 0.0)
    assert saver.begin(pending(1), 0, VIEWS, 0.0) == "save"
    assert saver.begin(pending(2), 0, VIEWS, 0.1, at_once=True) == "draft"
    assert saver.draft_at_s == 0.1
    assert saver.begin(pending(2), 0, VIEWS, 0.2, at_once=True) == "nothing"
    saver.stored(0.3)
    assert saver.begin(pending(2), 1, VIEWS, 0.3, at_once=True) == "save"


@pytest.mark.parametrize("trouble", ["reconnected", "refused"])
def test_5_4_a_draft_that_may_be_lost_or_was_refused_goes_up_again(trouble: str):
    saver = busy_saver()
    assert saver.begin(pending(2), 1, VIEWS, 1.0) == "draft"
    if trouble == "reconnected":
        saver.reconnected()
    else:
        saver.refused("disk full", 1.0)
        assert saver.begin(pending(2), 1, VIEWS, 0.99 + RETRY_S) == "nothing"
        assert saver.next_s == INTERVAL_S
    assert saver.begin(pending(2), 1, VIEWS, 1.0 + RETRY_S) == "draft"


def test_5_5_before_all_others_in_line_stands_whose_event_saved_if_it_is_there():
    people = [*VIEWS, "a stranger"]
    for saves, own in itertools.product(people, people):
        line = [view_id for view_id in VIEWS if view_id != saves]
        line = [saves, *line] if saves in VIEWS else line
        place = line.index(own) if own in line else len(VIEWS)
        assert Saver(own, INTERVAL_S)._place(pending(1, saves), VIEWS) == place, (saves, own)


@pytest.mark.parametrize(("view_id", "place"), [("bob", 1), ("cyd", 2), ("a stranger", 3)])
def test_5_5_the_others_take_over_with_drafts_too_each_one_later(view_id: str, place: int):
    saver = Saver(view_id, 100.0)
    assert saver.begin(pending(2), 1, VIEWS, 10.0) == "nothing"
    assert saver.begin(pending(3), 1, VIEWS, 9.99 + place * TURN_S) == "nothing"
    assert saver.begin(pending(3), 1, VIEWS, 10.0 + place * TURN_S) == "draft"
    assert saver.begin(pending(4), 1, VIEWS, 9.99 + 2 * place * TURN_S) == "nothing"
    assert saver.begin(pending(4), 1, VIEWS, 10.0 + 2 * place * TURN_S) == "draft"


def test_5_4_each_refusal_waits_longer_and_leaving_never_waits_long():
    saver = Saver("ada", 0.0)
    now_s = 0.0
    waits = []
    for _ in range(8):
        assert saver.begin(pending(1), 0, VIEWS, now_s) == "save"
        saver.refused("disk full", now_s)
        waits.append(saver.next_s - now_s)
        now_s = saver.next_s
    assert waits == [2, 4, 8, 16, 30, 30, 30, 30]
    assert saver.begin(pending(1), 0, VIEWS, now_s) == "save"
    saver.refused("disk full", now_s)
    assert saver.begin(pending(1), 0, VIEWS, now_s + RETRY_S - 0.1, at_once=True) == "nothing"
    assert saver.begin(pending(1), 0, VIEWS, now_s + RETRY_S, at_once=True) == "save"
    saver.stored(now_s)
    assert saver.error == ""


def test_5_4_leaving_while_a_save_is_in_flight_uploads_a_draft_and_the_save_when_its_parent_has_a_number():
    saver = Saver("ada", INTERVAL_S)
    assert saver.begin(pending(1), 0, VIEWS, 0.0) == "save"
    uploads = [saver.begin(pending(2), 0, VIEWS, now_s, at_once=True) for now_s in (0.1, 0.2, 3 * INTERVAL_S)]
    assert uploads == ["draft", "nothing", "nothing"]  # nothing is lost, and nothing names a parent that is none
    saver.stored(0.2)
    assert saver.begin(pending(2), 1, VIEWS, 3 * INTERVAL_S, at_once=True) == "save"


@pytest.mark.parametrize("view_id", VIEWS)
def test_5_6_nobody_uploads_two_saves_at_a_time(view_id: str):
    saver = Saver(view_id, 0.0)
    assert saver.begin(pending(1, view_id), 0, VIEWS, 0.0) == "save"
    assert "save" not in [saver.begin(pending(2), 0, VIEWS, now_s / 10) for now_s in range(200)]
