"""Which versions are kept: understood from words, and never one too few."""

from __future__ import annotations

import datetime
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msq_jupyter.errors import ArgumentError
from msq_jupyter.persistence.retention import (
    EXAMPLE,
    KeptVersion,
    Retention,
    Rule,
    parse_retention,
    prune,
)

NOW = datetime.datetime(2026, 11, 24, 12, 30, tzinfo=datetime.timezone.utc)


@pytest.mark.parametrize(
    ("words", "rules"),
    [
        (
            EXAMPLE,
            [("everything", timedelta(days=1)), ("hourly", timedelta(days=7)), ("daily", timedelta(days=365))],
        ),
        ("everything for ever", [("everything", timedelta.max)]),
        ("Everything forever", [("everything", timedelta.max)]),
        ("  daily  for 3 days and weekly for an hour ", [("daily", timedelta(3)), ("weekly", timedelta(hours=1))]),
        ("monthly for a month; yearly for 10 years", [("monthly", timedelta(30)), ("yearly", timedelta(3650))]),
        ("everything for 90 minutes, and named for ever", [("everything", timedelta(minutes=90))]),
    ],
)
def test_policies_are_understood(words, rules):
    retention = parse_retention(words)
    assert retention == Retention(tuple(Rule(*rule) for rule in rules))
    assert parse_retention(str(retention)) == retention


def test_a_policy_says_itself_in_words():
    assert str(parse_retention(EXAMPLE)) == (
        "everything for a day, hourly for a week, daily for a year, named for ever"
    )
    assert str(parse_retention("hourly for 36 hours")) == "hourly for 36 hours, named for ever"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "retention: expected words such as 'everything for a day, "),
        (None, "got None"),
        ("hourly", "cannot read 'hourly' in 'hourly': write rules as in 'everything for a day"),
        ("hourly for a day, ", "cannot read '' in "),
        ("hourly for week", "cannot read 'hourly for week'"),
        (
            "hourli for a day",
            "cannot read 'hourli' in 'hourli for a day': did you mean 'hourly'\\? known are everything,",
        ),
        (
            "hourly for a fortnight",
            "cannot read 'fortnight' in .*: known are minute, hour, day, week, month, year, ever",
        ),
        ("hourly for 0 days", "expected a number from 1 to 999999 in 'hourly for 0 days', got 0"),
        ("hourly for 99999999999 days", "expected a number from 1 to 999999"),
        ("named for a year", "named versions are always kept: write 'named for ever', or leave it out"),
        ("named for ever", "keeps only named versions: begin with what is kept of all"),
        ("everything for -1 days", "cannot read"),
        ("everything for \u0661 days", "cannot read"),
    ],
)
def test_what_is_not_understood_is_named_with_what_is(words, message):
    with pytest.raises(ArgumentError, match=message):
        parse_retention(words)


def history(*ages: timedelta, **changes: dict) -> list[KeptVersion]:
    """Versions of these ages, the first the oldest, the last the head."""
    return [
        KeptVersion(number, NOW - age, **{"is_head": number == len(ages), **changes.get(f"v{number}", {})})
        for number, age in enumerate(ages, 1)
    ]


def kept(versions, words):
    dropped = prune(versions, parse_retention(words), NOW).drop
    return [version.number for version in versions if version.number not in dropped]


def test_the_last_one_of_each_period_is_kept():
    minutes = [timedelta(minutes=m) for m in (150, 100, 95, 40, 35, 5)]  # 10:00 10:50 10:55 11:50 11:55 12:25
    assert kept(history(*minutes), "hourly for a day") == [3, 5, 6]
    assert kept(history(*minutes), "everything for an hour") == [4, 5, 6]
    assert kept(history(*minutes), "everything for an hour, hourly for 2 hours") == [3, 4, 5, 6]
    assert kept(history(*minutes), "daily for ever") == [6]
    days = [timedelta(days=d) for d in (800, 400, 390, 40, 35, 2, 1, 0)]
    assert kept(history(*days), "yearly for ever") == [1, 3, 8]
    assert kept(history(*days), "monthly for a year") == [5, 8]
    assert kept(history(*days), "weekly for a week") == [6, 8]


def test_days_are_those_of_utc_and_versions_are_in_the_order_of_their_times():
    east = datetime.timezone(timedelta(hours=10))
    times = [
        datetime.datetime(2026, 11, 23, 9, 0, tzinfo=east),  # still the 22nd
        datetime.datetime(2026, 11, 22, 1, 0, tzinfo=datetime.timezone.utc),
        datetime.datetime(2026, 11, 23, 3, 0, tzinfo=datetime.timezone.utc),
    ]
    versions = [KeptVersion(number, time) for number, time in enumerate(times, 1)]
    assert kept(versions, "daily for a week") == [1, 3]


def test_heads_pins_and_labels_are_always_kept():
    versions = history(
        *[timedelta(days=900 + 10 * n) for n in range(9, 0, -1)],
        v2={"label": "thesis"},
        v4={"pinned": True},
        v6={"is_head": True},
    )
    assert kept(versions, "everything for a day") == [2, 4, 6, 9]


def test_a_base_is_kept_for_its_patches_and_named():
    versions = history(
        *[timedelta(days=d) for d in (30, 20, 10, 5, 0)], v2={"base": 1}, v3={"base": 2}, v4={"base": 2}, v5={"base": 2}
    )
    pruning = prune(versions, parse_retention("everything for a week"), NOW)
    assert pruning.drop == {3}
    assert pruning.bases == {1: (4, 5), 2: (4, 5)}


def test_versions_that_cannot_be_are_refused():
    keep = parse_retention("everything for a day")
    with pytest.raises(ArgumentError, match="each number once"):
        prune([KeptVersion(1, NOW), KeptVersion(1, NOW)], keep, NOW)
    with pytest.raises(ArgumentError, match="version 2: expected a stored and older version as its base, got 1"):
        prune([KeptVersion(2, NOW, base=1)], keep, NOW)
    with pytest.raises(ArgumentError, match="version 1: expected a stored and older version as its base, got 1"):
        prune([KeptVersion(1, NOW, base=1)], keep, NOW)
    with pytest.raises(ArgumentError, match="now: expected a time with time zone"):
        prune([], keep, datetime.datetime(2026, 1, 1))
    with pytest.raises(ArgumentError, match="version 7: expected a time with time zone"):
        prune([KeptVersion(7, datetime.datetime(2026, 1, 1))], keep, NOW)
    assert prune([], keep, NOW).drop == frozenset()


# --- properties --------------------------------------------------------------------------------------------------

POLICIES = st.lists(
    st.builds(
        Rule,
        st.sampled_from(["everything", "hourly", "daily", "weekly", "monthly", "yearly"]),
        st.sampled_from([timedelta(hours=1), timedelta(1), timedelta(7), timedelta(400), timedelta.max]),
    ),
    min_size=1,
    max_size=3,
).map(lambda rules: Retention(tuple(rules)))


@st.composite
def histories(draw):
    count = draw(st.integers(0, 25))
    versions = []
    for number in range(1, count + 1):
        # Clocks may run backwards, and time zones differ.
        age = timedelta(hours=draw(st.floats(-5, 3_000)))
        zone = datetime.timezone(timedelta(hours=draw(st.integers(-12, 12))))
        versions.append(
            KeptVersion(
                number,
                (NOW - age).astimezone(zone),
                label=draw(st.sampled_from(["", "", "", "named"])),
                pinned=draw(st.integers(0, 9)) == 0,
                is_head=draw(st.integers(0, 9)) == 0,
                base=draw(st.integers(0, number - 1)) if draw(st.booleans()) else 0,
            )
        )
    return versions


def _left(versions, pruning):
    return [version for version in versions if version.number not in pruning.drop]


@given(histories(), POLICIES)
def test_nothing_protected_is_dropped_and_everything_left_can_be_restored(versions, retention):
    pruning = prune(versions, retention, NOW)
    left = {version.number: version for version in _left(versions, pruning)}
    for version in versions:
        if version.label or version.pinned or version.is_head:
            assert version.number in left
    for version in left.values():
        assert version.base == 0 or version.base in left
    assert not pruning.drop & pruning.bases.keys()


@given(histories(), POLICIES, st.floats(0, 5_000), st.floats(0, 5_000))
def test_to_drop_now_and_again_later_leaves_what_dropping_later_leaves(versions, retention, first_h, then_h):
    soon, later = NOW + timedelta(hours=first_h), NOW + timedelta(hours=first_h + then_h)
    at_once = prune(versions, retention, later)
    first = prune(versions, retention, soon)
    assert first.drop <= at_once.drop
    rest = _left(versions, first)
    assert prune(rest, retention, soon).drop == frozenset()
    assert _left(rest, prune(rest, retention, later)) == _left(versions, at_once)
