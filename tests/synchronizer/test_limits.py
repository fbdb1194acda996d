"""Limits by arithmetic: time is an argument."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msq_jupyter.synchronizer.limits import BURST_S, WAIT_S_MAX, Account, Accounts, Bucket, Limits, address_of


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(1, 500)), max_size=50))
def test_whoever_waits_as_told_brings_no_more_than_the_rate_and_one_burst(steps):
    bucket, now_s, taken = Bucket(100), 0.0, 0
    for pause_s, amount in steps:
        now_s += pause_s
        taken += amount
        now_s += bucket.take(amount, now_s)
        assert taken <= 100 * (now_s + BURST_S) * (1 + 1e-9)


def test_a_burst_is_free_and_what_follows_waits():
    bucket = Bucket(10)
    assert bucket.take(10 * BURST_S, 0.0) == 0.0
    assert bucket.take(5, 0.0) == 0.5
    assert bucket.take(0, 0.5) == 0.0


def test_no_rate_is_no_limit():
    bucket = Bucket(0)
    assert bucket.take(1e12, 0.0) == 0.0
    assert bucket.is_full(0.0)


def test_a_clock_that_does_not_move_or_goes_back_gives_nothing_away():
    bucket = Bucket(10)
    bucket.take(10 * BURST_S, 100.0)
    assert bucket.take(10, 50.0) == 1.0


def test_one_frame_waits_only_so_long_and_the_debt_stays():
    accounts = Accounts(of_address=Limits(bytes_per_s=1))
    with accounts.visit("", "here", 0.0) as visit:
        assert visit.wait_s(1, 1_000, 0.0) == WAIT_S_MAX
        assert visit.wait_s(1, 1, WAIT_S_MAX) == WAIT_S_MAX


def test_the_refusal_names_the_limit_and_what_to_do():
    accounts = Accounts(of_token=Limits(members=2, sessions=1), of_address=Limits(members=3))
    with accounts.visit("ada", "1.2.3.4", 0.0) as first, accounts.visit("ada", "5.6.7.8", 0.0) as second:
        assert first.begin("lesson") == ""
        assert second.begin("other") == (
            "expected at most 1 sessions at a time of token ada, got one more: leave some, or have the limit of "
            "sessions raised"
        )
        assert second.begin("lesson") == ""
        with accounts.visit("ada", "9.9.9.9", 0.0) as third:
            assert third.begin("lesson") == (
                "expected at most 2 connections at a time of token ada, got one more: close some, or have the limit "
                "of members raised"
            )
        with accounts.visit("bob", "1.2.3.4", 0.0) as bob:
            assert bob.begin("lesson") == ""
    with accounts.visit("ada", "1.2.3.4", 0.0) as again:
        assert again.begin("other") == ""


def test_whoever_comes_again_finds_the_bucket_as_it_was_until_it_is_full():
    accounts = Accounts(of_address=Limits(events_per_s=10))
    with accounts.visit("", "here", 0.0) as visit:
        visit.wait_s(int(10 * BURST_S), 1, 0.0)
    with accounts.visit("", "here", 0.0) as visit:
        assert visit.wait_s(10, 1, 0.0) == 1.0
    for number in range(100):
        accounts.visit("", f"elsewhere {number}", 100.0)
    assert accounts.account_count < 100
    with accounts.visit("", "here", 100.0) as visit:
        assert visit.wait_s(int(10 * BURST_S), 1, 100.0) == 0.0


def test_an_address_is_what_one_customer_has():
    assert address_of("1.2.3.4") == address_of("::ffff:1.2.3.4") == "1.2.3.4"
    assert address_of("2001:db8:1:2:3::4") == address_of("2001:db8:1:2::") == "2001:db8:1:2::/64"
    assert address_of("2001:db8:1:3::") != address_of("2001:db8:1:2::")
    assert address_of("fe80::1%eth0") == "fe80::/64"
    assert address_of("::1") == "::/64"
    assert address_of("a path") == "a path"


def test_many_addresses_are_forgotten_without_a_look_at_all_of_them_each_time(monkeypatch: pytest.MonkeyPatch):
    looks = 0

    def is_idle(self: Account, now_s: float) -> bool:
        nonlocal looks
        looks += 1
        return now_s > 0

    monkeypatch.setattr(Account, "is_idle", is_idle)
    accounts = Accounts()
    for number in range(1_000):
        accounts.visit("", str(number), 0.0)
    assert accounts.account_count == 1_000
    assert looks < 3_000
    for number in range(2_000):
        accounts.visit("", str(number), 1.0)
    assert accounts.account_count < 1_200
    assert looks < 9_000
