"""Which versions are kept, said in words.

    "everything for a day, hourly for a week, daily for a year, named for ever"

A rule is `WHAT for HOW LONG`; rules are separated by commas or "and". A version is kept when any rule keeps it:
"everything" keeps every version that is younger, "hourly", "daily", "weekly", "monthly" and "yearly" keep the last one
of each hour, day (UTC), week from Monday, month and year. Whatever the rules say, these are kept: labelled versions
("named for ever" says so), pinned ones, the head of every branch, and what a kept version's content is a patch from.

As time goes on more is dropped, and nothing that a later look would want: to drop now and again later leaves the same
as to drop later only.
"""

from __future__ import annotations

import datetime
import difflib
import re
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

from msq_jupyter.errors import ArgumentError

EXAMPLE = "everything for a day, hourly for a week, daily for a year, named for ever"

Moment = datetime.datetime

#: What there is one version kept of, by the word for it; equal keys are the same hour, day, ... None: of everything.
_PERIODS: dict[str, Callable[[Moment], Hashable] | None] = {
    "everything": None,
    "hourly": lambda time: (time.date(), time.hour),
    "daily": lambda time: time.date(),
    "weekly": lambda time: time.isocalendar()[:2],
    "monthly": lambda time: (time.year, time.month),
    "yearly": lambda time: time.year,
}
_UNITS = {
    "minute": datetime.timedelta(minutes=1),
    "hour": datetime.timedelta(hours=1),
    "day": datetime.timedelta(days=1),
    "week": datetime.timedelta(weeks=1),
    "month": datetime.timedelta(days=30),
    "year": datetime.timedelta(days=365),
}
_NAMED = "named"
_FOR_EVER = datetime.timedelta.max
_COUNT_DIGITS_MAX = 6

_RULE = re.compile(r"(?P<what>\w+) for (?:(?P<ever>ever)|(?P<count>an?|\d+) (?P<unit>[a-z]+?)s?)", re.ASCII)


@dataclass(frozen=True)
class Rule:
    """Keep one version of each `period` for `age`; `timedelta.max` is for ever."""

    period: str
    age: datetime.timedelta


#: The policy that drops nothing.
EVERYTHING = "everything for ever"


@dataclass(frozen=True)
class Retention:
    """What is kept; made by `parse_retention`. Its `str` is the policy in words again."""

    rules: tuple[Rule, ...]

    def __str__(self) -> str:
        return ", ".join([*(f"{rule.period} for {_age_text(rule.age)}" for rule in self.rules), f"{_NAMED} for ever"])


def parse_retention(words: str) -> Retention:
    """Understand a policy.

    Args:
        words: rules such as "everything for 2 days", separated by commas or "and".

    Raises:
        ArgumentError: names the rule that is not understood, and lists what is.
    """
    if not isinstance(words, str) or not words.strip():
        raise ArgumentError(f"retention: expected words such as {EXAMPLE!r}, got {words!r}")
    text = re.sub(r"\s+", " ", words.strip().lower()).replace("forever", "for ever").replace("for for ", "for ")
    rules = [rule for part in re.split(r" ?[,;] ?(?:and )?| and ", text) if (rule := _parse_rule(part, words))]
    if not rules:
        raise ArgumentError(
            f"retention: {words!r} keeps only named versions: begin with what is kept of all, as in {EXAMPLE!r}"
        )
    return Retention(tuple(rules))


def _parse_rule(part: str, words: str) -> Rule | None:
    """A rule; None for "named for ever", which always holds."""
    match = _RULE.fullmatch(part)
    if match is None:
        raise ArgumentError(f"retention: cannot read {part!r} in {words!r}: write rules as in {EXAMPLE!r}")
    what, unit, count = match["what"], match["unit"], match["count"]
    if what == _NAMED:
        if not match["ever"]:
            raise ArgumentError(
                f"retention: {part!r}: named versions are always kept: write 'named for ever', or leave it out"
            )
        return None
    if what not in _PERIODS:
        raise ArgumentError(f"retention: {_unknown(what, [*_PERIODS, _NAMED], part)}")
    if match["ever"]:
        return Rule(what, _FOR_EVER)
    if unit not in _UNITS:
        raise ArgumentError(f"retention: {_unknown(unit, [*_UNITS, 'ever'], part)}")
    number = int(count) if count.isdigit() and len(count) <= _COUNT_DIGITS_MAX else count.startswith("a")
    if not number:
        raise ArgumentError(f"retention: expected a number from 1 to 999999 in {part!r}, got {count}")
    return Rule(what, number * _UNITS[unit])


def _unknown(word: str, known: list[str], part: str) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"cannot read {word!r} in {part!r}: {hint}known are {', '.join(known)}"


def _age_text(age: datetime.timedelta) -> str:
    if age == _FOR_EVER:
        return "ever"
    name, unit = max(
        ((name, unit) for name, unit in _UNITS.items() if age % unit == datetime.timedelta(0)), key=lambda pair: pair[1]
    )
    count = age // unit
    return f"{count} {name}s" if count > 1 else f"an {name}" if name == "hour" else f"a {name}"


# --- applying it -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class KeptVersion:
    """What retention needs to know of a version.

    Attributes:
        number: its number; of two versions of one time the higher number is the newer one.
        time: when it was saved, with time zone.
        label: a name given on purpose, or "".
        pinned: it must stay.
        is_head: it is the head of a branch: nothing was ever saved on top of it. The store has to remember that, for a
            version whose children were all dropped is no head.
        base: number of the version that its content is a patch from, 0 for none.
    """

    number: int
    time: datetime.datetime
    label: str = ""
    pinned: bool = False
    is_head: bool = False
    base: int = 0


@dataclass(frozen=True)
class Pruning:
    """What to drop.

    Attributes:
        drop: numbers of the versions to drop.
        bases: numbers of those that stay only because kept versions are patches from them, and those versions' numbers;
            pack these anew, and the base can go the next time.
    """

    drop: frozenset[int]
    bases: dict[int, tuple[int, ...]]


def prune(versions: Iterable[KeptVersion], retention: Retention, now: datetime.datetime) -> Pruning:
    """Decide what to drop.

    Args:
        versions: all versions of one name that are stored, in any order.
        retention: what to keep.
        now: the time, with time zone.

    Raises:
        ArgumentError: two versions of one number, a time without time zone, or a base that is not stored.
    """
    stored = _by_number(versions, now)
    wanted = {version.number for version in stored.values() if version.pinned or version.label or version.is_head}
    for rule in retention.rules:
        wanted |= _kept_by(rule, stored.values(), now)
    bases = _bases_of(wanted, stored)
    return Pruning(frozenset(stored.keys() - wanted - bases.keys()), bases)


def _by_number(versions: Iterable[KeptVersion], now: Moment) -> dict[int, KeptVersion]:
    """The versions from old to new, when they can be what is stored."""
    given = list(versions)
    for what, time in [("now", now), *((f"version {version.number}", version.time) for version in given)]:
        if time.utcoffset() is None:
            raise ArgumentError(f"{what}: expected a time with time zone, got {time!r}")
    stored = {version.number: version for version in sorted(given, key=_age_order)}
    if len(stored) != len(given):
        raise ArgumentError("versions: expected each number once, got one twice")
    for version in given:
        if version.base and (version.base not in stored or version.base >= version.number):
            raise ArgumentError(
                f"version {version.number}: expected a stored and older version as its base, got {version.base}"
            )
    return stored


def _age_order(version: KeptVersion) -> tuple[datetime.datetime, int]:
    return version.time.astimezone(datetime.timezone.utc), version.number


def _kept_by(rule: Rule, versions: Iterable[KeptVersion], now: Moment) -> set[int]:
    young = [version for version in versions if rule.age == _FOR_EVER or now - version.time <= rule.age]
    period = _PERIODS[rule.period]
    if period is None:
        return {version.number for version in young}
    # Later ones replace earlier ones, so the last of each period stays.
    return set({period(_age_order(version)[0]): version.number for version in young}.values())


def _bases_of(wanted: set[int], stored: dict[int, KeptVersion]) -> dict[int, tuple[int, ...]]:
    """Versions that are not wanted, but that wanted ones are restored from; with those."""
    bases: dict[int, list[int]] = {}
    for number in sorted(wanted):
        base = stored[number].base
        while base:
            if base not in wanted:
                bases.setdefault(base, []).append(number)
            base = stored[base].base
    return {base: tuple(numbers) for base, numbers in sorted(bases.items())}
