"""Participants under the same app and name who run other code, and why theirs is another session."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
    """

    view_id: str
    label: str
    session_id: str


class Neighbours:
    """Who is in other sessions under our persistent id.

    Args:
        keys: open what they show of themselves.
        identity: our code.
        code_hash: its hash, or what was given instead of it.
        talk: asks and answers.
        mistakes: where a newcomer is announced.
    """

    def __init__(self, keys: Keys, identity: CodeIdentity, code_hash: str, talk: Talk, mistakes: Mistakes) -> None:
        self._keys = keys
        self._code_hash = code_hash
        self._records = [_told(record) for record in identity.records]
        self._talk = talk
        self._mistakes = mistakes
        self._others: dict[str, tuple[str, str]] = {}
        self._announced: set[str] = set()
        talk.answers[_CODE] = lambda _, __: (self._code_hash, self._records)

    @property
    def others(self) -> list[Other]:
        """Everybody in other sessions, in the order of coming."""
        seen: dict[str, int] = {}
        others = []
        for view_id, (label, session_id) in self._others.items():
            seen[label] = seen.get(label, 0) + 1
            told_apart = label if seen[label] == 1 else f"{label} {seen[label]}"
            others.append(Other(view_id, told_apart, session_id))
        return others

    def on_neighbours(self, news: protocol.Neighbours) -> None:
        """Somebody came or went."""
        for view_id in news.gone:
            self._others.pop(view_id, None)
        for view_id, session_id, card in news.come[:_OTHERS_MAX]:
            try:
                label = self._label(view_id, session_id, card)
            except SealBroken as error:
                logger.debug("somebody of another session is not who it says: %s", error)
                continue
            if len(self._others) < _OTHERS_MAX:
                self._others[view_id] = (label, session_id)
                self._announce(view_id, label)

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

    def _label(self, view_id: str, session_id: str, card: bytes) -> str:
        if not card:
            return "somebody"
        shown = read_value(self._keys.of_session(session_id).open_view_data(view_id, card), NoWorld())
        label: Any = shown.get("label") if isinstance(shown, dict) else None
        return str(label)[:_LABEL_MAX]

    def _announce(self, view_id: str, label: str) -> None:
        if view_id not in self._announced:
            self._announced.add(view_id)
            self._mistakes.notice = (
                f'{label} runs other code of this model: session.explain_code("{label}") says what differs'
            )
            self._mistakes.story.info("%s", self._mistakes.notice)


def _told(record: Record) -> tuple[str, str, str]:
    """A record as it is told: the text itself only where people read it."""
    text = record.text if record.kind in _TOLD_KINDS else text_digest(record.text)[:16]
    return record.kind, record.name, text
