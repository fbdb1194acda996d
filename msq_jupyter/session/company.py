"""Who else is there: everybody in the session, and those who run other code of the same model."""

from __future__ import annotations

from collections.abc import Iterable

from msq_jupyter.errors import ArgumentError
from msq_jupyter.persistence.diff import SourceDifference, source_difference
from msq_jupyter.session.arguments import DEBUG_WORDS, Participant
from msq_jupyter.session.invitation import Invitation
from msq_jupyter.session.neighbours import Other
from msq_jupyter.session.part import Part
from msq_jupyter.session.story import hide_log, show_log


class Company(Part):
    """The part of `SessionCore` that looks at others."""

    @property
    def others(self) -> list[Other]:
        """Everybody under the same app and name who runs other code, or the same with other options."""
        return self._peers.neighbours.others

    async def explain_code(self, other: Participant | Other | str) -> list[str]:
        """Why somebody's session is another one than ours: one sentence for each piece of code that differs.

        Args:
            other: one of `others`, its name or its view id.

        Raises:
            ArgumentError: nobody of that name is there; names those who are.
            NoAnswer: none came in time.
            SessionClosed: the session has been left.
        """
        self.require_open()
        return await self._peers.neighbours.explain(other, self.participants)

    async def source_diff(self, other: Participant | Other | str) -> SourceDifference:
        """How our model's source becomes somebody else's. It is text to read: nothing of it runs here.

        Args:
            other: one of `others`, its name or its view id.

        Raises:
            ArgumentError: nobody of that name is there; names those who are.
            NoAnswer: none came in time.
            SessionClosed: the session has been left.
        """
        self.require_open()
        label, source = await self._peers.neighbours.source_of(other, self.participants)
        return source_difference(self._sealer.source, source, old_name="yours", new_name=f"that of {label}")

    def invite(self, *, password: bool = False, page: str = "") -> Invitation:
        """What others need to join: a line to paste, a link, a QR code.

        Args:
            password: whether the password, and the synchronizer's token, are in there. What a cell shows is stored in
                the notebook. A Jupyter server's token never is.
            page: the address of this notebook's Jupyter server as the browser sees it, "" when it is not known.
        """
        given, place = self.given, self._place
        # Others have to give a password for what is not on their machine, so there must be one.
        reachable = place.url or given.password is not None
        return Invitation(
            given.app_id,
            given.name,
            place.url_for_others(page) if reachable else "",
            given.password is not None,
            (given.password or "") if password else "",
            place.token if password else "",
        )

    @property
    def synchronizer(self) -> str:
        """Which synchronizer orders the events of this session: its URL, or that it is the local one."""
        return self._place.name

    def debug(self, words: Iterable[str]) -> None:
        """Turn help for authors on and off, as `debug=` of `join` does.

        Args:
            words: "session" shows what is logged about sessions, in this kernel; "state" checks the models after every
                event. What is not named is turned off.

        Raises:
            ArgumentError: an unknown word.
        """
        wanted = set(words)
        if not wanted <= DEBUG_WORDS.keys():
            raise ArgumentError(f"debug: expected words of {sorted(DEBUG_WORDS)}, got {sorted(wanted)}")
        (show_log if "session" in wanted else hide_log)()
        self._mistakes.always_check = "state" in wanted
