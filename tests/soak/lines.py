"""Every line that may be logged while a soak runs, why, and which fault allows it; any other one fails the soak."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Expected:
    """A line that is no surprise.

    Attributes:
        who: "server" or "member".
        level: of the line.
        pattern: the whole text matches it.
        why: what happened.
        faults: one of them must have happened by then; none for a line of good days.
    """

    who: str
    level: str
    pattern: str
    why: str
    faults: tuple[str, ...] = ()


#: What makes a connection end, or somebody wait for it.
BREAKS = ("cut", "silence", "slow", "kill server", "stop server", "freeze server", "freeze members", "kill members")

EXPECTED = (
    Expected("member", "info", r"\[Multisynq\] Session \S+ is (catching up|live)", "somebody comes, or is back"),
    Expected("member", "info", r"\[Multisynq\] Session \S+ is closed", "somebody leaves", ("turn over", "newcomer")),
    Expected("member", "info", r"\[Multisynq\] Session \S+ is away", "a connection was lost", BREAKS),
    Expected("member", "info", r"\[Multisynq\] Persistent data saved( \(\S+\))?", "a version was stored"),
    Expected("member", "info", r"\[Multisynq\] It is version \d+, saved by \S+ at [\d:]+", "which one"),
    Expected("member", "info", r"\[Multisynq\] Save skipped: the same data .*", "nothing had changed since"),
    Expected("member", "info", r"\[Multisynq\] Save waits until [\d:]+: versions are at least .* apart", "throttled"),
    Expected("member", "info", r"\[Multisynq\] Draft of \S+ uploaded: it is kept if this kernel dies", "meanwhile"),
    Expected("member", "info", r"\[Multisynq\] Version \d+ has a label now", "somebody named it"),
    Expected(
        "member", "info", r"\[Multisynq\] Session \S+ was not joined: no synchronizer answers at .*",
        "somebody came while it was away, and tries again", BREAKS,
    ),
    Expected(
        "member", "info", r"\[Multisynq\] Session \S+ was not joined: \S+ answered with HTTP status 503: .*",
        "somebody came while it stopped, and tries again", ("stop server",),
    ),
    Expected(
        "member", "info", r"\[Multisynq\] Session \S+ was not joined: not joined after 30 seconds; .*",
        "somebody came whose connection was silent, and tries again", BREAKS,
    ),
    Expected("member", "info", r"\[Multisynq\] Session \S+ is failed", "the end of such a try", BREAKS),
    Expected(
        "member", "warning", r"\S+: \d+ events( and a save)? may be lost: no answer in time",
        "somebody left who could not reach it", BREAKS,
    ),
    Expected(
        "server", "info", r"a connection was ended: expected a Join within 10 s, got nothing: connect again",
        "it fell silent, or stood still, as soon as it was open", ("silence", "lag", "freeze members"),
    ),
    Expected(
        "server", "info", r"a member left \d+ bytes unread and was disconnected",
        "it did not read what came fast", ("slow", "silence", "freeze members"),
    ),
)  # fmt: skip


class Explained:
    """Sorts lines into those that are expected and those that are not.

    Args:
        faults: those that have happened so far; it grows.

    Attributes:
        seen: how often each expectation was met, by its pattern.
        unexplained: all the others.
    """

    def __init__(self, faults: Collection[str]) -> None:
        self._faults = faults
        self.seen: Counter[str] = Counter()
        self.unexplained: list[str] = []

    def add(self, who: str, level: str, text: str) -> None:
        """Sort a line in."""
        for expected in EXPECTED:
            is_due = not expected.faults or any(fault in self._faults for fault in expected.faults)
            if is_due and (expected.who, expected.level) == (who, level) and re.fullmatch(expected.pattern, text):
                self.seen[expected.pattern] += 1
                return
        self.unexplained.append(f"{who} {level}: {text}")
