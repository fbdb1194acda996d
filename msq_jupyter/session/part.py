"""What the parts of `SessionCore` build on: what it has made for them, and what the others of them do."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable

from msq_jupyter.errors import MsqError
from msq_jupyter.runtime.codehash import CodeIdentity
from msq_jupyter.runtime.happenings import SaveCollected
from msq_jupyter.runtime.link import LinkedCode
from msq_jupyter.runtime.replica import Replica
from msq_jupyter.runtime.view import ViewEvents
from msq_jupyter.session.arguments import JoinArguments, Participant
from msq_jupyter.session.branches import BranchNotice
from msq_jupyter.session.client import Client
from msq_jupyter.session.connection import Connection
from msq_jupyter.session.crypto import Keys
from msq_jupyter.session.curating import Curator
from msq_jupyter.session.discovery import Place
from msq_jupyter.session.follower import Blueprint, Follower
from msq_jupyter.session.mistakes import Mistakes
from msq_jupyter.session.peers import Peers
from msq_jupyter.session.reading import Reader
from msq_jupyter.session.restoring import Restorer
from msq_jupyter.session.story import Story
from msq_jupyter.session.tending import Tender
from msq_jupyter.session.uploads import Uploads
from msq_jupyter.session.versions import VersionSealer


class Part(ABC):
    """A part of `SessionCore`; each inherits from this, so that it may use all of it.

    `SessionCore` makes the attributes, those of one code anew with each; the methods are in one of its parts.
    """

    # For as long as there is the session.
    name: str
    given: JoinArguments
    view_events: ViewEvents
    error: MsqError | None
    _place: Place
    _story: Story
    _follower: Follower
    _mistakes: Mistakes
    _changed: asyncio.Event
    _changing: asyncio.Lock
    _sent_counter: int

    # For as long as it runs one code.
    id: str
    view_id: str
    code_hash: str
    _arguments: JoinArguments
    _identity: CodeIdentity
    _keys: Keys
    _client: Client
    _connection: Connection
    _blueprint: Blueprint
    _sealer: VersionSealer
    _reader: Reader
    _restorer: Restorer
    _curator: Curator
    _tender: Tender
    _uploads: Uploads
    _peers: Peers
    _branch_notice: BranchNotice
    _asked_saves: dict[str, SaveCollected]

    # --- looking -------------------------------------------------------------------------------------------------

    @abstractmethod
    def require_open(self) -> None:
        """Go on only with a session that is neither left nor ended; raises SessionClosed."""

    @property
    @abstractmethod
    def participants(self) -> list[Participant]:
        """Everybody in the session, in the order of joining."""

    @property
    @abstractmethod
    def executed_counter(self) -> int:
        """How many events of this participant the replica has executed."""

    @property
    @abstractmethod
    def _replica(self) -> Replica:
        """The newest replica there was, to read."""

    @property
    @abstractmethod
    def _replica_or_none(self) -> Replica | None:
        """The replica of the code that runs now, None before it is made."""

    # --- moving --------------------------------------------------------------------------------------------------

    @abstractmethod
    def step(self) -> None:
        """Catch up with the session now."""

    @abstractmethod
    async def _next_step(self) -> None:
        """Wait until something may have happened."""

    @abstractmethod
    def _look_again(self) -> None:
        """Have everything that shows the session look at it."""

    @abstractmethod
    def _make_view(self) -> None:
        """Make the root view, in the place of the one there is."""

    @abstractmethod
    def _send(self, payload: bytes, topic: str) -> int:
        """Send an event; returns its number."""

    @abstractmethod
    async def synced(self, counter: int | None = None) -> None:
        """Wait until the model has executed everything this participant has published so far."""

    # --- saving --------------------------------------------------------------------------------------------------

    @abstractmethod
    async def save(self, label: str = "") -> int:
        """Have the root model save what is there now, as a version of its own, and wait until that is stored."""

    @abstractmethod
    async def saved(self, counter: int | None = None) -> None:
        """Wait until what was published here is executed, and what the model saved is stored and acknowledged."""

    @abstractmethod
    async def _stored_while(self, waits: Callable[[], bool]) -> None:
        """Upload what is to be saved, until there is nothing more to wait for."""

    @abstractmethod
    def _upload_if_due(self, *, at_once: bool = False) -> None:
        """Upload what is to be saved, if it is our turn and the time."""

    # --- from one code to another --------------------------------------------------------------------------------

    @abstractmethod
    def _begin_with(self, arguments: JoinArguments, identity: CodeIdentity, code: LinkedCode) -> None:
        """Leave the session of one code and begin with another one's."""

    @abstractmethod
    async def _arrive(self, timeout_s: float) -> None:
        """Connect, and wait until the session is joined."""

    @abstractmethod
    def _hold_events(self) -> int:
        """Send no events for now; returns how many were sent."""

    @abstractmethod
    def _release_events(self) -> None:
        """Send the events that are held."""
