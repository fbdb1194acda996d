"""Who else is there: everybody in the session, and those who run other code of the same model."""

from __future__ import annotations

from msq_jupyter.persistence.diff import SourceDifference, source_difference
from msq_jupyter.session.arguments import Participant
from msq_jupyter.session.neighbours import Other
from msq_jupyter.session.peers import Peers
from msq_jupyter.session.versions import VersionSealer


class Company:
    """The part of `SessionCore` that looks at others."""

    _peers: Peers
    _sealer: VersionSealer

    def require_open(self) -> None:
        """Go on only with a session that is neither left nor ended; raises SessionClosed."""
        raise NotImplementedError

    @property
    def participants(self) -> list[Participant]:
        """Everybody in the session, in the order of joining."""
        raise NotImplementedError

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
