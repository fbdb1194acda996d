"""The other participants, as one of them sees them: who agrees with us, who runs other code, and what they tell us."""

from __future__ import annotations

from collections.abc import Callable

from msq_jupyter import protocol
from msq_jupyter.runtime.codehash import CodeIdentity
from msq_jupyter.session.agreement import Agreement
from msq_jupyter.session.arguments import Participant
from msq_jupyter.session.client import Client, Spoken
from msq_jupyter.session.connection import Connection
from msq_jupyter.session.crypto import Keys
from msq_jupyter.session.disputes import Disputes
from msq_jupyter.session.mistakes import Mistakes
from msq_jupyter.session.neighbours import Neighbours
from msq_jupyter.session.talk import Talk
from msq_jupyter.session.uploads import Uploads


class Peers:
    """What one session has to do with other participants, besides the log.

    Args:
        keys: seal and open.
        connection: what carries what we say.
        client: what sends it, on the connection's thread.
        identity: our code.
        code_hash: its hash, or what was given instead of it.
        uploads: uploads the state where it is our turn.
        mistakes: what people should know is told there.
        people: everybody in the session.
        begin_anew: throws the replica away and has another one made; called with the reason.
        edited_s: when our user edited the code, in seconds since 1970; 0 for never.

    Attributes:
        talk: questions and news.
        neighbours: who runs other code.
        disputes: who agrees.
    """

    def __init__(
        self,
        keys: Keys,
        connection: Connection,
        client: Client,
        identity: CodeIdentity,
        code_hash: str,
        uploads: Uploads,
        mistakes: Mistakes,
        people: Callable[[], list[Participant]],
        begin_anew: Callable[[str], None],
        edited_s: float = 0.0,
    ) -> None:
        self.talk = Talk(keys, client.view_id, lambda tell: connection.call(client.tell, tell))
        self.neighbours = Neighbours(keys, identity, code_hash, self.talk, mistakes, edited_s)
        agreement = Agreement(keys, client.view_id)
        self.disputes = Disputes(agreement, connection, client, uploads, mistakes, self.talk, people, begin_anew)

    def on_spoken(self, spoken: Spoken) -> None:
        """Something came that is not of the log."""
        if isinstance(spoken.message, protocol.Told):
            self.talk.on_told(spoken.message)
        else:
            self.neighbours.on_neighbours(spoken.message)
