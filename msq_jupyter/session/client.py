"""The participant's side of the protocol, without I/O: feed it frames, drain what to send and what happened.

| state        | connection up | Welcome   | all entries up to `live_seq` | connection lost | leave  | error  |
|--------------|---------------|-----------|------------------------------|-----------------|--------|--------|
| joining      | send Join     | catching up |                            | away            | closed | failed |
| catching up  |               |           | live                         | away            | closed | failed |
| live         |               |           |                              | away            | closed | failed |
| away         | send Join     | catching up |                            |                 | closed | failed |

`closed` and `failed` are ends. Events sent while away wait, and go out again until they come back in the log: the
synchronizer drops what it has already.

Our events are numbered from 1 as they are given to `send`. Within a run, an event's counter is that number less the
events that earlier runs have acknowledged: counters start at 1 in each run, and are sealed for it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from msq_jupyter import protocol
from msq_jupyter.errors import MsqError, NameMissing, ProtocolError, SynchronizerRefused, VersionMissing, WrongPassword
from msq_jupyter.session.crypto import Keys

LinkState = Literal["joining", "catching up", "live", "away", "closed", "failed"]


# --- what happened -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Welcomed:
    """The synchronizer let us in; `welcome.snapshot` and `welcome.origin` are still sealed.

    `earlier_events` is how many of our events earlier runs have acknowledged.
    """

    welcome: protocol.Welcome
    earlier_events: int


@dataclass(frozen=True)
class Received:
    """Entries of the log, opened, in order."""

    entries: list[protocol.Entry]


@dataclass(frozen=True)
class Ticked:
    """Session time went on."""

    time_ms: float


@dataclass(frozen=True)
class Judged:
    """Replicas of a run were found to differ."""

    run: str
    verdict: protocol.Verdict


@dataclass(frozen=True)
class Spoken:
    """Another view tells us something, still sealed; or views of other sessions came or went."""

    message: protocol.Told | protocol.Neighbours


@dataclass(frozen=True)
class SaveRefused:
    """A version could not be stored; `missing` as in `SaveFailed`."""

    save_id: str
    reason: str
    missing: str


@dataclass(frozen=True)
class Answered:
    """The answer to a request: `Versions`, `VersionContent`, `Source` or `Done`."""

    request_id: int
    answer: Any


@dataclass(frozen=True)
class VersionsChanged:
    """Somebody annotated, dropped or stored versions; `head` as in the message of that name."""

    numbers: tuple[int, ...]
    head: int


@dataclass(frozen=True)
class FellBehind:
    """The synchronizer cut the connection before, because it was not read fast enough; `words` say how much waited."""

    words: str


@dataclass(frozen=True)
class StateChanged:
    """The link's state is another one."""

    state: LinkState


@dataclass(frozen=True)
class Failed:
    """The end: this session cannot go on."""

    error: MsqError


Happening: TypeAlias = (
    Welcomed
    | Received
    | Ticked
    | Judged
    | Spoken
    | SaveRefused
    | Answered
    | VersionsChanged
    | FellBehind
    | StateChanged
    | Failed
)


class Client:
    """One participant's conversation with the synchronizer.

    Args:
        keys: what seals and opens.
        join: what to say first; `have_run` and `have_seq` are filled in on a reconnect.

    Attributes:
        state: where in the table above we are.
        outgoing: frames to send, in order; the driver removes them.
        happenings: what happened, in order; the session removes them, from another thread.
        retry_after_ms: how long the synchronizer asked us to stay away; the driver resets it.
        connections: how many there have been.
        read_only: the synchronizer takes nothing from us but what we see.
        newest_saved: the newest acknowledgement in the log of this run that was received, None for none.
    """

    def __init__(self, keys: Keys, join: protocol.Join) -> None:
        self._keys = keys
        self._join = join
        self.state: LinkState = "joining"
        self.outgoing: deque[bytes] = deque()
        self.happenings: deque[Happening] = deque()
        self.retry_after_ms = 0.0
        self.connections = 0
        self.read_only = False
        self.newest_saved: protocol.Saved | None = None
        self._introduced = False
        self._has_replica = False
        self._run = ""
        self._seq = 0
        self._live_seq = 0
        # Our events by number, unsealed until they go out, because the seal is the run's.
        self._sent_number = 0
        self._earlier_events = 0
        self._unacknowledged: deque[tuple[int, bytes]] = deque()
        self._unsent: list[tuple[int, bytes]] = []
        self._requests: dict[int, protocol.Message] = {}

    @property
    def view_id(self) -> str:
        """Our own view's id."""
        return self._join.view_id

    @property
    def run(self) -> str:
        """Which run we are in, "" before the first welcome."""
        return self._run

    @property
    def ended(self) -> bool:
        """Whether nothing can come any more."""
        return self.state in ("closed", "failed")

    # --- the connection ------------------------------------------------------------------------------------------

    def connected(self) -> None:
        """A connection is there: introduce ourselves."""
        self.outgoing.clear()
        if self.ended:
            return
        self._introduced = True
        self.connections += 1
        seq = self._seq if self._has_replica else -1
        self.outgoing.append(protocol.encode(_rejoin(self._join, self._run, seq)))

    def disconnected(self) -> None:
        """The connection is gone."""
        self.outgoing.clear()
        self._introduced = False
        if not self.ended:
            self._become("away")

    def closed(self, code: int, reason: str) -> None:
        """The synchronizer ended the connection with a close frame; `disconnected` follows."""
        if code == protocol.UNREAD_CLOSE_CODE:
            self.happenings.append(FellBehind(reason))

    def forget_replica(self) -> None:
        """The replica is of no use any more: the next connection asks for everything to make another one."""
        self._has_replica = False

    def received(self, frame: bytes | str) -> None:
        """A frame came. Anything wrong with it ends in state `failed`, never in an exception."""
        if self.ended:
            return
        try:
            message = protocol.decode_down(frame)
            if self.state in ("joining", "away") and not isinstance(message, _ANSWERS_TO_JOIN):
                raise ProtocolError(f"expected Welcome or Refused in answer to Join, got {type(message).__name__}")
            _HANDLERS[type(message)](self, message)
        except MsqError as error:
            self.fail(error)

    def fail(self, error: MsqError) -> None:
        """End for good; the others hear of it at once."""
        if not self.ended:
            self._say_goodbye()
            self._become("failed")
            self.happenings.append(Failed(error))

    # --- what we want --------------------------------------------------------------------------------------------

    def send(self, payload: bytes) -> int:
        """Have an event ordered; returns its number. It goes out with the next `flush`."""
        self._sent_number += 1
        event = (self._sent_number, payload)
        self._unacknowledged.append(event)
        self._unsent.append(event)
        return self._sent_number

    def flush(self) -> None:
        """Put everything waiting into frames, many events into one."""
        if self.state not in ("live", "catching up"):
            return
        while self._unsent:
            batch: list[tuple[int, bytes]] = []
            size_bytes = 0
            for number, payload in self._unsent:
                size_bytes += len(payload)
                if batch and size_bytes > protocol.FRAME_BYTES_MAX // 8:
                    break
                counter = number - self._earlier_events
                batch.append((counter, self._keys.seal_event(self._run, self.view_id, counter, payload)))
            del self._unsent[: len(batch)]
            self.outgoing.append(protocol.encode(protocol.Send(batch)))

    def request(self, request_id: int, message: protocol.Message) -> None:
        """Ask for something that is answered by `Answered`; asked again after a reconnect."""
        self._requests[request_id] = message
        self.tell(message)

    def tell(self, message: protocol.Message) -> None:
        """Send a message if there is a connection; it is not repeated."""
        if self.state in ("live", "catching up"):
            self.flush()
            self.outgoing.append(protocol.encode(message))

    def tell_of(self, run: str, message: protocol.Snapshot | protocol.Report | protocol.Save) -> None:
        """Send something about a run, unless we are in another one by now."""
        if run == self._run:
            self.tell(message)

    def leave(self) -> None:
        """Say goodbye and end."""
        if not self.ended:
            self.flush()
            self._say_goodbye()
            self._become("closed")

    # --- what comes ----------------------------------------------------------------------------------------------

    def _welcome(self, welcome: protocol.Welcome) -> None:
        if welcome.run != self._run:
            # What the run we were in has executed is not executed again, though we never saw it come back.
            self._acknowledge(welcome.earlier_counter)
            self._run = welcome.run
            self.newest_saved = None
            self._earlier_events = self._sent_number - len(self._unacknowledged)
        self._has_replica = True
        self.read_only = welcome.read_only
        self._seq = welcome.after_seq
        self._live_seq = welcome.live_seq
        self._acknowledge(welcome.last_counter)
        self._unsent = list(self._unacknowledged)
        self.happenings.append(Welcomed(welcome, self._earlier_events))
        self._become("catching up")
        for message in self._requests.values():
            self.outgoing.append(protocol.encode(message))
        self._arrive()

    def _block(self, block: protocol.Block) -> None:
        entries: list[protocol.Entry] = []
        for entry in protocol.decode_block(block):
            if entry.seq != self._seq + 1:
                raise ProtocolError(f"expected entry {self._seq + 1} of the log, got {entry.seq}")
            self._seq = entry.seq
            entries.append(self._opened(entry))
        self.happenings.append(Received(entries))
        self._arrive()

    def _opened(self, entry: protocol.Entry) -> protocol.Entry:
        if isinstance(entry, protocol.Event):
            if entry.view_id == self.view_id:
                self._acknowledge(entry.counter)
            plain = self._keys.open_event(self._run, entry.view_id, entry.counter, entry.payload)
            return protocol.Event(entry.seq, entry.time_ms, entry.view_id, entry.counter, plain)
        if isinstance(entry, protocol.Membership):
            joins = [(view_id, self._keys.open_view_data(view_id, sealed)) for view_id, sealed in entry.joins]
            return protocol.Membership(entry.seq, entry.time_ms, entry.exits, joins)
        if isinstance(entry, protocol.Saved):
            self.newest_saved = entry
        return entry

    def _say_goodbye(self) -> None:
        # Also while the answer to Join is on its way: we are in by then, and would stay for `rejoin_limit_ms`.
        if self._introduced:
            self.outgoing.append(protocol.encode(protocol.Leave()))

    def _acknowledge(self, counter: int) -> None:
        while self._unacknowledged and self._unacknowledged[0][0] - self._earlier_events <= counter:
            self._unacknowledged.popleft()

    def _refused(self, refused: protocol.Refused) -> None:
        self.fail(refusal_of(refused))

    def _answered(self, answer: protocol.Versions | protocol.VersionContent | protocol.Source | protocol.Done) -> None:
        if self._requests.pop(answer.request_id, None) is not None:
            self.happenings.append(Answered(answer.request_id, answer))

    def _closing(self, closing: protocol.Closing) -> None:
        # The connection ends by itself in a moment; the driver waits that long before the next one.
        self.retry_after_ms = closing.retry_after_ms

    def _arrive(self) -> None:
        if self.state == "catching up" and self._seq >= self._live_seq:
            self._become("live")

    def _become(self, state: LinkState) -> None:
        if state != self.state:
            self.state = state
            self.happenings.append(StateChanged(state))


def _rejoin(join: protocol.Join, run: str, seq: int) -> protocol.Join:
    """The first message of a reconnect: what we have already."""
    fields = {name: getattr(join, name) for name in join.__struct_fields__}
    return protocol.Join(**{**fields, "have_run": run, "have_seq": seq})


def refusal_of(refused: protocol.Refused) -> MsqError:
    """The error that a refusal is for people."""
    return _REFUSALS.get(refused.code, SynchronizerRefused)(refused.reason)


_REFUSALS: dict[str, type[MsqError]] = {
    "wrong_password": WrongPassword,
    "no_such_version": VersionMissing,
    "no_such_name": NameMissing,
}

_ANSWERS_TO_JOIN = (protocol.Welcome, protocol.Refused, protocol.Closing)

_HANDLERS: dict[type, Callable[[Client, Any], None]] = {
    protocol.Welcome: Client._welcome,
    protocol.Refused: Client._refused,
    protocol.Block: Client._block,
    protocol.Tick: lambda client, tick: client.happenings.append(Ticked(tick.time_ms)),
    protocol.Verdict: lambda client, verdict: client.happenings.append(Judged(client._run, verdict)),
    protocol.Told: lambda client, told: client.happenings.append(Spoken(told)),
    protocol.Neighbours: lambda client, neighbours: client.happenings.append(Spoken(neighbours)),
    protocol.Versions: Client._answered,
    protocol.VersionContent: Client._answered,
    protocol.Source: Client._answered,
    protocol.Done: Client._answered,
    protocol.VersionsChanged: lambda client, it: client.happenings.append(VersionsChanged(tuple(it.numbers), it.head)),
    protocol.SaveFailed: lambda client, failed: client.happenings.append(
        SaveRefused(failed.save_id, failed.reason, failed.missing)
    ),
    protocol.Closing: Client._closing,
}
