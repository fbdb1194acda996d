"""Frames read here beside frames read by the library alone: the same messages, answers and ends, whatever comes."""

from __future__ import annotations

import itertools
import random
import struct
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.utils import apply_mask

from msq_jupyter.synchronizer import frames as module
from msq_jupyter.synchronizer.frames import MessageReader

MAX_BYTES = 60_000


def open_protocol() -> ServerProtocol:
    return ServerProtocol(state=State.OPEN, max_size=MAX_BYTES)


def frame(
    data: bytes,
    opcode: int = Opcode.BINARY,
    *,
    fin: bool = True,
    reserved: int = 0,
    mask: bytes | None = b"\x01\x02\x03\x04",
    length_bytes: int | None = None,
    claimed: int | None = None,
) -> bytes:
    """A frame, right or wrong: its length in any of three ways, and any length claimed."""
    size = len(data) if claimed is None else claimed
    if length_bytes is None:
        length_bytes = 0 if size < 126 else 2 if size < 65_536 else 8
    short, packed = {
        0: (min(size, 125), b""),
        2: (126, struct.pack("!H", min(size, 65_535))),
        8: (127, struct.pack("!Q", size)),
    }[length_bytes]
    head = bytes([fin << 7 | reserved << 4 | opcode, (mask is not None) << 7 | short]) + packed
    if mask is None:
        return head + data
    return head + mask + apply_mask(data, mask)


class Alone:
    """The library reads everything; messages are put together as its own asyncio connection does it."""

    def __init__(self, protocol: ServerProtocol) -> None:
        self.protocol = protocol
        self.pieces: list[Frame] = []

    def read(self, data: bytes) -> list[bytes | str]:
        messages: list[bytes | str] = []
        self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            assert isinstance(event, Frame)
            if event.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                continue
            self.pieces.append(event)
            if event.fin:
                whole = b"".join(bytes(piece.data) for piece in self.pieces)
                is_text = self.pieces[0].opcode is Opcode.TEXT
                self.pieces.clear()
                try:
                    messages.append(whole.decode() if is_text else whole)
                except UnicodeDecodeError as error:
                    self.protocol.fail(CloseCode.INVALID_DATA, f"{error.reason} at position {error.start}")
                    break  # as what waits behind is never asked for
        return messages


def outcome(
    read: Callable[[bytes], list[bytes | str]], protocol: ServerProtocol, chunks: list[bytes]
) -> tuple[object, ...]:
    messages, answers = [], []
    for chunk in chunks:
        messages += read(chunk)
        answers += protocol.data_to_send()
    protocol.receive_eof()
    answers += protocol.data_to_send()
    return messages, answers, protocol.close_rcvd, protocol.close_sent, type(protocol.parser_exc)


def both(chunks: list[bytes]) -> tuple[object, object]:
    """What comes of it here, and in the library alone."""
    ours, theirs = open_protocol(), open_protocol()
    here = outcome(MessageReader(ours, MAX_BYTES).read, ours, chunks)
    there = outcome(Alone(theirs).read, theirs, chunks)
    if ours.close_sent and ours.close_sent.code == CloseCode.INVALID_DATA:
        # The library alone looks at frames behind what is no text before anybody decodes that: it may answer pings
        # there, or find the next mistake first.
        assert theirs.close_sent is not None
        return here[0], there[0]
    return here, there


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Data in pieces, cut at places that are taken modulo its size."""
    cuts = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[begin:end] for begin, end in itertools.pairwise(cuts)]


MASKS = st.one_of(st.binary(min_size=4, max_size=4), st.none())
SIZES = st.sampled_from([0, 1, 5, 124, 125, 126, 127, 200, MAX_BYTES, MAX_BYTES + 1, 65_535, 65_536])
PLAIN = st.builds(frame, st.binary(max_size=130), mask=st.binary(min_size=4, max_size=4))
LARGE = st.builds(lambda size, mask: frame(bytes(size), mask=mask), SIZES, st.binary(min_size=4, max_size=4))
ANY = st.builds(
    frame,
    st.binary(max_size=130),
    st.sampled_from([0, 1, 2, 2, 8, 9, 10, 3, 15]),
    fin=st.booleans(),
    reserved=st.sampled_from([0, 0, 0, 1, 2, 4]),
    mask=MASKS,
    length_bytes=st.sampled_from([None, None, 2, 8]),
    claimed=st.one_of(st.none(), st.none(), st.integers(0, 2**63)),
)
PIECES = st.lists(st.binary(max_size=40), min_size=2, max_size=4).map(
    lambda pieces: b"".join(
        frame(piece, 2 if place == 0 else 0, fin=place == len(pieces) - 1) for place, piece in enumerate(pieces)
    )
)
CONTROL = st.builds(frame, st.binary(max_size=125), st.sampled_from([9, 10, 8]))
TEXT = st.builds(frame, st.one_of(st.text(max_size=20).map(str.encode), st.binary(max_size=6)), st.just(1))
STREAMS = st.lists(
    st.one_of(PLAIN, PLAIN, PLAIN, LARGE, PIECES, CONTROL, TEXT, ANY, st.binary(max_size=20)), max_size=8
)


@given(STREAMS.map(b"".join), st.lists(st.integers(0, 2**20), max_size=12))
@example(frame(b"a", fin=False) + frame(b"b") + frame(b"c"), [])  # a message inside of another one
@example(frame(b"a", 0) + frame(b"b"), [])
@example(frame(b"a") + frame(b"", 8) + frame(b"late"), [])
@example(frame(b"a") + frame(b"b", mask=None) + frame(b"late"), [])
@example(frame(b"a", reserved=4) + frame(b"late"), [])
@example(frame(b"\xff", 1) + frame(b"late"), [])
@example(frame(b"x" * 126, length_bytes=8) + frame(b"y", length_bytes=2), [3, 140])
@example(frame(b"", claimed=2**63) + frame(b"late"), [])
def test_whatever_comes_is_read_as_the_library_reads_it(data: bytes, places: list[int]) -> None:
    ours, theirs = both(cut(data, places))
    assert ours == theirs


@pytest.mark.parametrize("seed", range(20))
def test_right_streams_in_random_pieces_come_out_whole(seed: int) -> None:
    chance = random.Random(seed)
    sent = [chance.randbytes(chance.choice([0, 1, 100, 125, 126, 300, 59_000])) for _ in range(30)]
    data = b"".join(frame(message, mask=chance.randbytes(4)) for message in sent)
    chunks = cut(data, [chance.randrange(len(data)) for _ in range(chance.choice([0, 3, 300]))])
    protocol = open_protocol()
    reader = MessageReader(protocol, MAX_BYTES)
    assert [message for chunk in chunks for message in reader.read(chunk)] == sent, f"seed {seed}"


def test_a_cut_anywhere_in_a_frame_does_not_shift_those_behind() -> None:
    # Two bytes into it, the second one looks like another one.
    data = frame(b"x" * 126) + frame(b"yyyy", mask=b"\x82\x80\x01\x02") + frame(b"z" * 130)
    for place in range(len(data)):
        protocol = open_protocol()
        reader = MessageReader(protocol, MAX_BYTES)
        chunks = cut(data, [place])
        assert [message for chunk in chunks for message in reader.read(chunk)] == [b"x" * 126, b"yyyy", b"z" * 130]


def test_bytes_one_by_one() -> None:
    data = frame(b"first") + frame(b"ping", 9) + frame(bytes(300)) + frame(b"", 8)
    ours, theirs = both([data[place : place + 1] for place in range(len(data))])
    assert ours == theirs


def test_plain_frames_that_come_whole_do_not_pass_through_the_library() -> None:
    """Without this, all of the above could hold because the library does everything."""
    protocol = open_protocol()
    reader = MessageReader(protocol, MAX_BYTES)
    protocol.receive_data = None  # type: ignore[method-assign, assignment]
    assert reader.read(frame(b"a") + frame(bytes(300)) + frame(b"")) == [b"a", bytes(300), b""]


def test_what_comes_after_we_said_goodbye_is_read_as_well() -> None:
    protocol = open_protocol()
    reader = MessageReader(protocol, MAX_BYTES)
    whole = frame(b"one more")
    assert reader.read(whole + whole[:1]) == [b"one more"]
    protocol.send_close(1000)
    assert reader.read(whole[1:] + frame(b"", 8) + frame(b"late")) == [b"one more"]
    assert protocol.close_rcvd is not None


def test_a_message_in_more_pieces_than_anybody_needs_ends_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FRAGMENTS_MAX", 3)
    protocol = open_protocol()
    reader = MessageReader(protocol, MAX_BYTES)
    more = frame(b"x", 0, fin=False)
    assert reader.read(frame(b"x", fin=False) + more + more + more + frame(b"late")) == []
    assert (protocol.close_sent and protocol.close_sent.reason) == "too many fragments"
