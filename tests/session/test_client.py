"""Client and sequencer, both without I/O, on a pretend wire: what one says the other must understand."""

from __future__ import annotations

import random
from collections import deque

import msgspec
import pytest

from msq_jupyter import protocol
from msq_jupyter.errors import ProtocolError, SealBroken, SynchronizerRefused, WrongPassword
from msq_jupyter.runtime.snapshot import pack_value
from msq_jupyter.session.client import Client, Failed, FellBehind, Received, Ticked, Welcomed
from msq_jupyter.session.crypto import Keys, derive_root_key
from msq_jupyter.synchronizer.records import RunRecord
from msq_jupyter.synchronizer.sequencer import Sequencer, VersionIndex

KEYS = Keys(derive_root_key(None, "persistent"), "persistent", "session")


def a_client(view_id: str, rejoin_limit_ms: float = 1000.0) -> Client:
    card = KEYS.seal_view_data(view_id, pack_value({"label": view_id, "view_data": None}, ""))
    join = protocol.Join(1, "session", "persistent", view_id, b"check", card, 20.0, rejoin_limit_ms, "latest", "", 0)
    return Client(KEYS, join)


class Wire:
    """Clients and one sequencer; frames travel when the test says so, and connections break when it says so."""

    def __init__(self) -> None:
        record = RunRecord("run-1", "session", "persistent", origin=0, head=0, tick_rate=20.0)
        self.now_ms = 0.0
        self.sequencer = Sequencer.new(record, b"check", VersionIndex(), 0.0)
        self.log: list[bytes] = []
        self.next_connection = 1
        self.connections: dict[str, int] = {}
        self.clients: dict[str, Client] = {}
        self.down: dict[int, deque[bytes]] = {}

    def connect(self, client: Client) -> None:
        self.clients[client.view_id] = client
        client.connected()
        join = protocol.decode_up(client.outgoing.popleft())
        connection = self.connections[client.view_id] = self.next_connection
        self.next_connection += 1
        self.down[connection] = deque()
        self.sequencer.join(connection, join, self.now_ms)

    def cut(self, client: Client) -> None:
        """Whatever is on its way, in either direction, is lost."""
        connection = self.connections.pop(client.view_id)
        del self.down[connection]
        client.disconnected()
        self.sequencer.disconnect(connection, self.now_ms)

    def carry_up(self, client: Client) -> None:
        client.flush()
        while client.outgoing:
            message = protocol.decode_up(client.outgoing.popleft())
            self.sequencer.receive(self.connections[client.view_id], message, self.now_ms, 0.0)

    def turn(self) -> None:
        """The sequencer's turn is written, then sent: to members that were there before, and to newcomers."""
        turn = self.sequencer.end_turn(self.now_ms)
        members = set(self.down) - {connection for connection, _ in turn.arrivals}
        for connection, welcome in turn.arrivals:
            if connection in self.down:
                self.down[connection].append(protocol.encode(welcome))
                self._send([connection], self.log[welcome.after_seq :])
        self.log += turn.writes.entries
        arrived = [connection for connection, _ in turn.arrivals if connection in self.down]
        self._send([*members, *arrived], turn.writes.entries)
        if turn.tick:
            for connection in members:
                self.down[connection].append(protocol.encode(turn.tick))

    def _send(self, connections: list[int], entries: list[bytes]) -> None:
        if entries:
            block = protocol.encode(protocol.Block([msgspec.Raw(entry) for entry in entries]))
            for connection in connections:
                self.down[connection].append(block)

    def carry_down(self, client: Client, frames: int | None = None) -> None:
        queue = self.down[self.connections[client.view_id]]
        for _ in range(len(queue) if frames is None else min(frames, len(queue))):
            client.received(queue.popleft())

    def settle(self) -> None:
        for _ in range(4):
            for client in self.clients.values():
                if client.view_id in self.connections:
                    self.carry_up(client)
            self.turn()
            for client in self.clients.values():
                if client.view_id in self.connections:
                    self.carry_down(client)


def events(client: Client) -> list[bytes]:
    entries = [entry for h in client.happenings if isinstance(h, Received) for entry in h.entries]
    return [entry.payload for entry in entries if isinstance(entry, protocol.Event)]


def failure(client: Client) -> BaseException:
    return next(h.error for h in client.happenings if isinstance(h, Failed))


@pytest.fixture
def wire() -> Wire:
    return Wire()


def test_a_client_joins_and_its_events_come_back(wire: Wire):
    ada = a_client("ada")
    wire.connect(ada)
    assert ada.state == "joining"
    ada.send(b"before the welcome")
    wire.settle()
    assert ada.state == "live"
    ada.send(b"after it")
    wire.settle()
    assert events(ada) == [b"before the welcome", b"after it"]
    assert isinstance(next(iter(ada.happenings)), Welcomed)


def test_events_given_together_travel_in_one_frame(wire: Wire):
    ada = a_client("ada")
    wire.connect(ada)
    wire.settle()
    for number in range(50):
        ada.send(b"%d" % number)
    ada.flush()
    assert len(ada.outgoing) == 1


def test_8_1_what_the_synchronizer_sees_is_sealed(wire: Wire):
    ada = a_client("ada")
    wire.connect(ada)
    wire.settle()
    ada.send(b"a secret")
    wire.settle()
    assert b"secret" not in b"".join(wire.log)


def test_4_6_an_event_whose_answer_was_lost_is_not_executed_twice(wire: Wire):
    ada = a_client("ada")
    wire.connect(ada)
    wire.settle()
    ada.send(b"once")
    wire.carry_up(ada)
    wire.turn()
    wire.cut(ada)
    assert ada.state == "away"
    wire.connect(ada)
    wire.settle()
    assert events(ada) == [b"once"]


def test_4_6_an_event_that_never_arrived_is_sent_again(wire: Wire):
    ada = a_client("ada")
    wire.connect(ada)
    wire.settle()
    ada.send(b"one")
    ada.flush()
    wire.cut(ada)
    ada.send(b"two")
    wire.connect(ada)
    wire.settle()
    assert events(ada) == [b"one", b"two"]


@pytest.mark.parametrize("seed", range(200))
def test_4_6_whatever_breaks_everybody_gets_the_same_log_with_every_event_once(wire: Wire, seed: int):
    print(f"seed {seed}")
    rng = random.Random(seed)
    clients = [a_client(name, rejoin_limit_ms=rng.choice([0.0, 50.0, 1000.0])) for name in ("ada", "ben", "eve")]
    sent: dict[str, list[bytes]] = {client.view_id: [] for client in clients}
    cuts = 0
    for _ in range(150):
        client = rng.choice(clients)
        step = rng.random()
        wire.now_ms += rng.random() * 20
        wire.sequencer.advance(wire.now_ms)
        if client.view_id not in wire.connections:
            wire.connect(client)
        elif step < 0.35:
            payload = f"{client.view_id} {len(sent[client.view_id])}".encode()
            client.send(payload)
            sent[client.view_id].append(payload)
        elif step < 0.6:
            wire.carry_up(client)
        elif step < 0.75:
            wire.turn()
        elif step < 0.93:
            wire.carry_down(client, rng.randrange(1, 3))
        else:
            wire.cut(client)
            cuts += 1
    for client in clients:
        if client.view_id not in wire.connections:
            wire.connect(client)
    wire.settle()
    assert cuts > 0
    logged = [protocol.decode_entry(entry) for entry in wire.log]
    assert [entry.seq for entry in logged] == list(range(1, len(logged) + 1))
    for client in clients:
        assert client.state == "live", failure(client)
        assert len(client._unacknowledged) == 0
        own = [e.counter for e in logged if isinstance(e, protocol.Event) and e.view_id == client.view_id]
        assert own == list(range(1, len(sent[client.view_id]) + 1))
        times = [h.time_ms for h in client.happenings if isinstance(h, Ticked)]
        assert times == sorted(times)
    everything = events(clients[0])
    assert sorted(everything) == sorted(payload for payloads in sent.values() for payload in payloads)
    for client in clients:
        assert events(client) == everything


# --- a hostile synchronizer --------------------------------------------------------------------------------------


def test_8_3_a_forged_event_ends_the_session_by_name(wire: Wire):
    ada = a_client("ada")
    wire.connect(ada)
    wire.settle()
    forged = protocol.Event(2, 1.0, "ben", 1, bytes(40))
    ada.received(protocol.encode(protocol.Block([msgspec.Raw(protocol.encode(forged))])))
    assert ada.state == "failed"
    assert isinstance(failure(ada), SealBroken)


@pytest.mark.parametrize(
    "change",
    [{"counter": 2}, {"view_id": "ben"}, {"payload": b""}, {"payload": None}],
    ids=["another number", "another view", "truncated", "a bit turned"],
)
def test_8_3_an_event_moved_or_changed_is_refused(wire: Wire, change):
    ada = a_client("ada")
    wire.connect(ada)
    wire.settle()
    sealed = KEYS.seal_event("run-1", "eve", 1, b"pay 100")
    turned = sealed[:-1] + bytes([sealed[-1] ^ 1])
    fields = {"counter": 1, "view_id": "eve", "payload": sealed, **change}
    fields["payload"] = turned if fields["payload"] is None else fields["payload"]
    event = protocol.Event(seq=2, time_ms=1.0, **fields)
    ada.received(protocol.encode(protocol.Block([msgspec.Raw(protocol.encode(event))])))
    assert isinstance(failure(ada), SealBroken)


def test_8_3_an_event_of_another_run_or_session_does_not_open():
    sealed = KEYS.seal_event("run-1", "eve", 1, b"pay 100")
    assert KEYS.open_event("run-1", "eve", 1, sealed) == b"pay 100"
    other_session = Keys(derive_root_key(None, "persistent"), "persistent", "another session")
    with pytest.raises(SealBroken):
        KEYS.open_event("run-2", "eve", 1, sealed)
    with pytest.raises(SealBroken):
        other_session.open_event("run-1", "eve", 1, sealed)


def test_8_3_snapshots_versions_and_view_data_open_only_in_their_place():
    for seal, open_, place, elsewhere in (
        (KEYS.seal_snapshot, KEYS.open_snapshot, ("run", 5), ("run", 6)),
        (KEYS.seal_version, KEYS.open_version, ("content", "save", 1, 0), ("content", "save", 2, 0)),
        (KEYS.seal_version, KEYS.open_version, ("content", "save", 1, 0), ("meta", "save", 1, 0)),
        (KEYS.seal_version, KEYS.open_version, ("content", "save", 2, 1), ("content", "save", 2, 0)),
        (KEYS.seal_source, KEYS.open_source, ("one",), ("another",)),
        (KEYS.seal_view_data, KEYS.open_view_data, ("ada",), ("ben",)),
    ):
        sealed = seal(*place, b"plain")
        assert open_(*place, sealed) == b"plain"
        for wrong in (sealed[:-1], b"", sealed[:20], sealed[:-1] + bytes([sealed[-1] ^ 1])):
            with pytest.raises(SealBroken):
                open_(*place, wrong)
        with pytest.raises(SealBroken):
            open_(*elsewhere, sealed)


def test_8_1_keys_differ_by_password_and_by_name():
    keys = {derive_root_key(p, n) for p in ("tea", "Tea", None) for n in ("one", "two")}
    assert len(keys) == 6


@pytest.mark.parametrize(
    "message",
    [
        protocol.Tick(1.0),
        protocol.Block([]),
        protocol.Verdict(1, []),
        protocol.Told("ben", 1, b""),
        protocol.Neighbours([], []),
        protocol.Versions(1, 0, []),
    ],
    ids=lambda m: type(m).__name__,
)
def test_anything_before_the_welcome_is_refused(message):
    ada = a_client("ada")
    ada.connected()
    ada.received(protocol.encode(message))
    assert isinstance(failure(ada), ProtocolError)


def test_a_gap_in_the_log_is_refused(wire: Wire):
    ada = a_client("ada")
    wire.connect(ada)
    wire.settle()
    late = protocol.encode(protocol.Membership(9, 1.0, [], []))
    ada.received(protocol.encode(protocol.Block([msgspec.Raw(late)])))
    assert "expected entry 2 of the log, got 9" in str(failure(ada))


@pytest.mark.parametrize(
    ("code", "kind"),
    [("wrong_password", WrongPassword), ("malformed", SynchronizerRefused), ("?", SynchronizerRefused)],
)
def test_a_refusal_is_raised_by_name(code, kind):
    ada = a_client("ada")
    ada.connected()
    ada.received(protocol.encode(protocol.Refused(code, "because")))
    assert type(failure(ada)) is kind
    ada.received(protocol.encode(protocol.Tick(1.0)))
    assert len([h for h in ada.happenings if isinstance(h, Failed)]) == 1


def test_only_the_close_code_for_it_says_that_we_fell_behind(wire: Wire):
    ada = a_client("ada")
    wire.connect(ada)
    wire.settle()
    ada.happenings.clear()
    ada.closed(1012, "the synchronizer stops")
    assert not ada.happenings
    ada.closed(protocol.UNREAD_CLOSE_CODE, "5 bytes waited for this member")
    assert list(ada.happenings) == [FellBehind("5 bytes waited for this member")]
