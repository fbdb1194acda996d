"""Who was cut for what it left unread: told once, when it comes back, and never kept without end."""

from __future__ import annotations

from msq_jupyter.protocol import PROTOCOL_VERSION, Join
from msq_jupyter.synchronizer.laggards import REMEMBERED_MAX, Laggards


def join_of(view_id: str, have_run: str = "run-1") -> Join:
    return Join(PROTOCOL_VERSION, "session", "persistent", view_id, b"", b"", 20.0, 1000.0, "latest", have_run, 0)


def test_who_comes_back_is_told_how_much_waited_and_only_once() -> None:
    laggards = Laggards()
    laggards.note("ada", 5_000_000)
    assert laggards.words_for(join_of("ben")) == ""
    assert laggards.words_for(join_of("ada")) == "5,000,000 bytes waited for this member"
    assert laggards.words_for(join_of("ada")) == ""


def test_who_comes_as_if_for_the_first_time_is_told_nothing() -> None:
    laggards = Laggards()
    laggards.note("ada", 5_000_000)
    assert laggards.words_for(join_of("ada", have_run="")) == ""


def test_those_who_never_come_back_fill_no_memory() -> None:
    laggards = Laggards()
    for number in range(REMEMBERED_MAX + 1):
        laggards.note(str(number), 1)
    assert laggards.words_for(join_of("0")) == ""
    assert laggards.words_for(join_of("1")) == "1 bytes waited for this member"
