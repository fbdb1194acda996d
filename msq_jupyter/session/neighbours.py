"""Participants under the same app and name, but with other code or options, and why theirs is another session."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

from msq_jupyter import protocol
from msq_jupyter.errors import ArgumentError, NoAnswer, SealBroken
from msq_jupyter.runtime.codehash import CodeIdentity, Record, explain_difference
from msq_jupyter.runtime.snapshot import NoWorld, read_value
from msq_jupyter.session.arguments import Participant
from msq_jupyter.session.crypto import Keys
from msq_jupyter.session.mistakes import Mistakes
from msq_jupyter.session.talk import Talk
from msq_jupyter.stable import text_digest

logger = logging.getLogger("msq_jupyter")

_CODE = "code"
_SOURCE = "source"
#: Kinds of records whose text is told to people and not only compared.
_TOLD_KINDS = ("package", "stale")
_LABEL_MAX = 128
#: More are not shown.
_OTHERS_MAX = 1_000


@dataclass(frozen=True)
class Other:
    """Somebody under the same app and name who runs other code, or the same with other options.

    Attributes:
        view_id: its id.
        label: a name for people; a second "ada" is "ada 2".
        session_id: the session it is in.
        edited_s: when its user edited the code, in seconds since 1970 by its own clock; 0 if not since joining.
        is_newer: whether that was after our own last edit, and its code is another one than ours.
        has_other_code: whether its code is another one; if not, it has other options.
    """

    view_id: str
    label: str
    session_id: str
    edited_s: float = 0.0
    is_newer: bool = False
    has_other_code: bool = True

    @property
    def differs_in(self) -> Literal["newer code", "other code", "other options"]:
        """Why its session is another one than ours."""
        if not self.has_other_code:
            return "other options"
        return "newer code" if self.is_newer else "other code"


class Neighbours:
    """Who is in other sessions under our persistent id.

    Args:
        keys: open what they show of themselves.
        identity: our code.
        code_hash: its hash, or what was given instead of it.
        talk: asks and answers.
        mistakes: where a newcomer is announced.
        edited_s: when our user edited the code, in seconds since 1970; 0 for never.
    """

    def __init__(
        self,
        keys: Keys,
        identity: CodeIdentity,
        code_hash: str,
        talk: Talk,
        mistakes: Mistakes,
        edited_s: float = 0.0,
    ) -> None:
        self._keys = keys
        self._code_hash = code_hash
        self._records = [_told(record) for record in identity.records]
        self._talk = talk
        self._mistakes = mistakes
        self._edited_s = edited_s
        self._others: dict[str, Other] = {}
        self._announced: set[str] = set()
        self._announcement = ("", "")
        talk.answers[_CODE] = lambda _, __: (self._code_hash, self._records)
        talk.answers[_SOURCE] = lambda _, __: identity.source

    @property
    def others(self) -> list[Other]:
        """Everybody in other sessions, in the order of coming."""
        seen: dict[str, int] = {}
        others = []
        for other in self._others.values():
            number = seen[other.label] = seen.get(other.label, 0) + 1
            others.append(other if number == 1 else replace(other, label=f"{other.label} {number}"))
        return others

    def on_neighbours(self, news: protocol.Neighbours) -> None:
        """Somebody came or went."""
        for view_id in news.gone:
            self._others.pop(view_id, None)
            announced, notice = self._announcement
            if announced == view_id:
                self._mistakes.withdraw(notice)
        for view_id, session_id, card in news.come[:_OTHERS_MAX]:
            try:
                other = self._shown(view_id, session_id, card)
            except SealBroken as error:
                # Not into the story, which strangers could fill with it.
                logger.debug("somebody of another session is not who it says: %s", error)
                continue
            if len(self._others) < _OTHERS_MAX:
                self._others[view_id] = other
                self._announce(other)

    def forget_all(self) -> None:
        """A new connection begins: whoever is there will be named again."""
        self._others.clear()

    async def explain(self, other: Participant | Other | str, people: Sequence[Participant]) -> list[str]:
        """Why somebody's session is another one than ours; see `SessionCore.explain_code`."""
        view_id, label = self._find(other, people)
        try:
            answer = await self._talk.ask(view_id, _CODE)
            code_hash, records = msgspec.convert(answer, tuple[str, list[tuple[str, str, str]]])
        except NoAnswer as error:
            raise NoAnswer(f"{label}: {error}") from None
        except msgspec.ValidationError as error:
            raise NoAnswer(f"{label}: the answer made no sense ({error})") from None
        ours = [Record(*record) for record in self._records]
        sentences = explain_difference(ours, [Record(*record) for record in records])
        if not sentences and code_hash != self._code_hash:
            return ["no piece of the code differs: one of the two gave code_hash= to join."]
        if not sentences and view_id in self._others:
            return ["the code is the same: the options given to join differ."]
        return sentences

    async def source_of(self, other: Participant | Other | str, people: Sequence[Participant]) -> tuple[str, str]:
        """Somebody's name and the source of the model it runs; see `SessionCore.source_diff`."""
        view_id, label = self._find(other, people)
        try:
            source = await self._talk.ask(view_id, _SOURCE)
        except NoAnswer as error:
            raise NoAnswer(f"{label}: {error}") from None
        if not isinstance(source, str):
            raise NoAnswer(f"{label}: the answer made no sense (expected text, got {type(source).__name__})")
        return label, source

    def _find(self, other: Participant | Other | str, people: Sequence[Participant]) -> tuple[str, str]:
        known: dict[str, Participant | Other] = {}
        everybody: list[Participant | Other] = [*people, *self.others]
        for person in everybody:
            # Whoever runs other code is meant, if names are equal.
            known[person.label] = known[person.view_id] = person
        wanted = other if isinstance(other, str) else other.view_id
        found = known.get(wanted)
        if found is None:
            names = ", ".join(repr(person.label) for person in self.others) or "nobody"
            raise ArgumentError(f"{wanted!r}: expected somebody who is here with other code; there is {names}")
        return found.view_id, found.label

    def _shown(self, view_id: str, session_id: str, card: bytes) -> Other:
        """Somebody, as it shows itself; its code is taken for another one if it does not say."""
        if not card:
            return Other(view_id, "somebody", session_id)
        shown: Any = read_value(self._keys.of_session(session_id).open_view_data(view_id, card), NoWorld())
        known = shown if isinstance(shown, dict) else {}
        told_s = known.get("edited_s")
        edited_s = told_s if isinstance(told_s, float) else 0.0
        has_other_code = known.get("code_hash") != self._code_hash
        is_newer = has_other_code and edited_s > self._edited_s
        return Other(view_id, str(known.get("label"))[:_LABEL_MAX], session_id, edited_s, is_newer, has_other_code)

    def _announce(self, other: Other) -> None:
        if other.view_id not in self._announced:
            self._announced.add(other.view_id)
            what = f"{other.differs_in} of this model" if other.has_other_code else "this model with other options"
            says = f'session.explain_code("{other.label}") says what differs'
            self._mistakes.notice = f"{other.label} runs {what}: {says}"
            self._announcement = (other.view_id, self._mistakes.notice)
            self._mistakes.story.info("%s", self._mistakes.notice)


def _told(record: Record) -> tuple[str, str, str]:
    """A record as it is told: the text itself only where people read it."""
    text = record.text if record.kind in _TOLD_KINDS else text_digest(record.text)[:16]
    return record.kind, record.name, text
