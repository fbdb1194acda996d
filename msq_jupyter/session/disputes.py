"""When this participant's replica, or another one's, has come to differ: restore it, and tell everybody where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from msq_jupyter import protocol
from msq_jupyter.errors import ReplicaDiverged
from msq_jupyter.runtime.audit import Audited
from msq_jupyter.runtime.differences import Difference
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.session.agreement import Agreement, Divergence
from msq_jupyter.session.arguments import Participant
from msq_jupyter.session.client import Client, Judged
from msq_jupyter.session.connection import Connection
from msq_jupyter.session.mistakes import Mistakes
from msq_jupyter.session.talk import Talk
from msq_jupyter.session.uploads import Uploads

#: What a participant tells the others about the difference it had: path, its value, the right one, whose that was.
_DIVERGED = "diverged"
_TEXT_MAX = 400
#: Most participants that are told by one.
_TOLD_MAX = 64


class Disputes:
    """What a session does about audits and verdicts.

    Args:
        agreement: what to report, and what was different.
        connection: what carries it.
        client: what sends it, on the connection's thread.
        uploads: uploads the state where it is our turn.
        mistakes: what was found is told there.
        talk: and to the others here.
        people: everybody in the session.
        begin_anew: throws the replica away and has another one made; called with the reason.
    """

    def __init__(
        self,
        agreement: Agreement,
        connection: Connection,
        client: Client,
        uploads: Uploads,
        mistakes: Mistakes,
        talk: Talk,
        people: Callable[[], list[Participant]],
        begin_anew: Callable[[str], None],
    ) -> None:
        self._agreement = agreement
        self._connection = connection
        self._client = client
        self._uploads = uploads
        self._mistakes = mistakes
        self._talk = talk
        self._people = people
        self._begin_anew = begin_anew
        talk.hears[_DIVERGED] = self._on_diverged

    def on_audited(self, audited: Audited, replica: Replica) -> None:
        """The replica came to an audit: report, and upload its state if we are asked to."""
        report = self._agreement.report(replica.run, audited)
        self._connection.call(self._client.tell_of, replica.run, report)
        if audited.entry.uploader == self._client.view_id:
            self._uploads.snapshot_of(audited, replica)

    def on_judged(self, judged: Judged, run: str) -> None:
        """The synchronizer found that replicas differ."""
        if judged.run != run:
            return
        wrong = [view_id for group in judged.verdict.groups[1:] for view_id in group]
        if self._agreement.accuses_us(judged.verdict):
            self._begin_anew("the model came to differ from what the others have: it is being restored")
        elif wrong:
            whose = " and ".join(self._possessive(view_id) for view_id in wrong)
            self._mistakes.notice = f"{whose} replica came to differ from the others: it is being restored"
            self._mistakes.story.info("%s", self._mistakes.notice)

    def on_welcome(self, welcome: protocol.Welcome, replica: Replica) -> None:
        """There may be a new replica in place of one that differed: say where."""
        if welcome.resumed:
            return
        divergence = self._agreement.compare(welcome, replica)
        if divergence is None:
            return
        if divergence.was_equal:
            told = "the synchronizer said that this replica differed from the others, and it did not"
            self._mistakes.story.warning("%s", told)
            return
        difference = divergence.difference or Difference("", "", "")
        self._mistakes.tell(
            ReplicaDiverged(*difference, wrong_place="here", right_place=self._place(divergence.right_view_id))
        )
        self._tell_others(divergence, difference)

    def _tell_others(self, divergence: Divergence, difference: Difference) -> None:
        here = {person.view_id for person in self._people()}
        data = [*(text[:_TEXT_MAX] for text in difference), divergence.right_view_id]
        for view_id in [view_id for view_id in divergence.others if view_id in here][:_TOLD_MAX]:
            self._talk.tell(view_id, _DIVERGED, data)

    def _on_diverged(self, view_id: str, data: Any) -> None:
        path, wrong, right, right_view_id = msgspec.convert(data, tuple[str, str, str, str])
        texts = [text[:_TEXT_MAX] for text in (path, wrong, right)]
        self._mistakes.tell(
            ReplicaDiverged(*texts, wrong_place=self._place(view_id), right_place=self._place(right_view_id))
        )

    def _place(self, view_id: str) -> str:
        return "here" if view_id == self._client.view_id else f"at {self._possessive(view_id)}"

    def _possessive(self, view_id: str) -> str:
        return f"{label_of(self._people(), view_id)}'s"


def label_of(people: Sequence[Participant], view_id: str) -> str:
    """A participant's name for people; "somebody" who is not there any more."""
    return next((person.label for person in people if person.view_id == view_id), "somebody")
