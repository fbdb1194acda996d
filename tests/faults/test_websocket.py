"""What a WebSocket may carry beside messages, right and wrong, on a real synchronizer: after RFC 6455.

The cases are those of the Autobahn test suite that concern a server. Whatever ends, ends for its own connection only:
the witness of `raw.witnessed` goes on each time.
"""

from __future__ import annotations

import logging
import zlib
from contextlib import suppress
from pathlib import Path

import pytest

from msq_jupyter import protocol
from msq_jupyter.protocol import Refused, Welcome
from msq_jupyter.synchronizer.frames import FRAGMENTS_MAX
from tests.faults.raw import CLOSE, PING, PONG, Raw, witnessed
from tests.synchronizer.conftest import a_join
from tests.synchronizer.test_frames import cut, frame

TEXT, BINARY, MORE = 1, 2, 0
#: A hundred megabytes, as permessage-deflate would have them.
BOMB = zlib.compress(bytes(100_000_000))[2:-4]
JOIN = protocol.encode(a_join("eve"))


@pytest.fixture(autouse=True)
def nothing_unexplained(caplog: pytest.LogCaptureFixture) -> None:
    """No mistake of somebody else's is a traceback in the log."""
    yield
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def closing(code: int, reason: bytes = b"") -> bytes:
    return frame(code.to_bytes(2, "big") + reason, CLOSE)


WRONG: dict[str, tuple[bytes, int]] = {
    **{f"reserved bit {bit}": (frame(b"a", reserved=bit), 1002) for bit in (1, 2, 4, 7)},
    **{f"reserved bit of a ping {bit}": (frame(b"a", PING, reserved=bit), 1002) for bit in (1, 2, 4)},
    **{f"reserved opcode {code}": (frame(b"a", code), 1002) for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "not masked": (frame(b"a", mask=None), 1002),
    "a ping that is not masked": (frame(b"a", PING, mask=None), 1002),
    "a ping of 126 bytes": (frame(bytes(126), PING), 1002),
    "a pong of 126 bytes": (frame(bytes(126), PONG), 1002),
    "a close of 126 bytes": (frame(b"\x03\xe8" + b"a" * 124, CLOSE), 1002),
    "a ping in pieces": (frame(b"a", PING, fin=False) + frame(b"b", MORE), 1002),
    "a close in pieces": (frame(b"\x03", CLOSE, fin=False) + frame(b"\xe8", MORE), 1002),
    "a piece of nothing": (frame(b"a", MORE), 1002),
    "a piece of nothing, not the last": (frame(b"a", MORE, fin=False), 1002),
    "a piece after the last": (frame(b"a", fin=False) + frame(b"b", PING) + frame(b"c", MORE, reserved=4), 1002),
    "a message inside of another": (frame(b"a", fin=False) + frame(b"b"), 1002),
    "no text": (frame(b"\xce\xba\xff", TEXT), 1007),
    "half a surrogate pair": (frame(b"\xed\xa0\x80", TEXT), 1007),
    "overlong text": (frame(b"\xc0\xaf", TEXT), 1007),
    "beyond unicode": (frame(b"\xf4\x90\x80\x80", TEXT), 1007),
    "half a character at the end": (frame("é".encode()[:1], TEXT), 1007),
    "no text in pieces": (frame(b"\xce", TEXT, fin=False) + frame(b"p", PING) + frame(b"\xff", MORE), 1007),
    "a length beyond 63 bits": (frame(b"", claimed=2**63), 1009),
    "a length beyond the limit": (frame(b"", claimed=protocol.FRAME_BYTES_MAX + 1), 1009),
    "pieces beyond the limit": (
        frame(b"a", fin=False) + frame(b"", MORE, claimed=protocol.FRAME_BYTES_MAX),
        1009,
    ),
    "more pieces than anybody needs": (frame(b"", fin=False) + frame(b"", MORE, fin=False) * FRAGMENTS_MAX, 1009),
    "what is compressed": (frame(BOMB, reserved=4), 1002),
    "a close of one byte": (frame(b"\x03", CLOSE), 1002),
    "a close whose reason is no text": (closing(1000, b"\xff"), 1007),
    **{
        f"a close with {code}": (closing(code), 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)
    },
}
RIGHT_ENDS = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)


@pytest.mark.parametrize("is_member", [False, True], ids=["before joining", "as a member"])
async def test_what_is_wrong_ends_its_connection_with_the_code_for_it(tmp_path: Path, is_member: bool) -> None:
    async with witnessed(tmp_path) as (synchronizer, _):
        for name, (data, code) in WRONG.items():
            eve = await Raw.opened(synchronizer.url)
            if is_member:
                eve.say(frame(JOIN))
                assert isinstance(protocol.decode_down(await eve.message()), Welcome)
            # What comes behind is looked at no more.
            eve.say(data, frame(b"late", PING))
            assert (name, await eve.close_code()) == (name, code)
            eve.drop()


@pytest.mark.parametrize("step", [1, 2, 7])
async def test_what_is_wrong_is_found_in_pieces_too(tmp_path: Path, step: int) -> None:
    async with witnessed(tmp_path) as (synchronizer, _):
        for name, (data, code) in WRONG.items():
            if len(data) > 300:
                continue
            eve = await Raw.opened(synchronizer.url)
            for piece in cut(data, list(range(0, len(data), step))):
                eve.say(piece)
                await eve.writer.drain()
            assert (name, await eve.close_code()) == (name, code)
            eve.drop()


async def test_an_end_that_is_right_is_answered_with_its_own_code(tmp_path: Path) -> None:
    async with witnessed(tmp_path) as (synchronizer, _):
        for code in RIGHT_ENDS:
            eve = await Raw.opened(synchronizer.url)
            eve.say(closing(code, "adiós".encode()))
            assert await eve.close_code() == code
            assert await eve.reader.read() == b""
            eve.drop()
        eve = await Raw.opened(synchronizer.url)
        eve.say(frame(b"", CLOSE))
        assert await eve.close_code() == 1005
        eve.drop()


async def test_a_join_in_pieces_with_pings_between_them_is_a_join(tmp_path: Path) -> None:
    async with witnessed(tmp_path) as (synchronizer, _):
        eve = await Raw.opened(synchronizer.url)
        pieces = cut(JOIN, [1, 5, 20])
        eve.say(frame(pieces[0], fin=False), frame(b"one", PING), frame(b"", MORE, fin=False))
        assert await eve.frame() == (PONG, b"one")
        eve.say(frame(b"unasked", PONG), *(frame(piece, MORE, fin=False) for piece in pieces[1:]), frame(b"", PING))
        assert await eve.frame() == (PONG, b"")
        eve.say(frame(b"", MORE))
        assert isinstance(protocol.decode_down(await eve.message()), Welcome)
        eve.drop()


async def test_compression_is_not_agreed_upon_whoever_offers_it(tmp_path: Path) -> None:
    offers = ("permessage-deflate", "permessage-deflate; client_max_window_bits, x-webkit-deflate-frame, a; b=c")
    async with witnessed(tmp_path) as (synchronizer, _):
        for offer in offers:
            eve = await Raw.opened(synchronizer.url, f"Sec-WebSocket-Extensions: {offer}\r\n")
            assert b"sec-websocket-extensions" not in eve.answer.lower()
            eve.say(frame(BOMB, reserved=4))
            assert await eve.close_code() == 1002
            eve.drop()


async def test_every_ping_is_answered_in_a_flood_of_them(tmp_path: Path) -> None:
    async with witnessed(tmp_path) as (synchronizer, witness):
        eve = await Raw.opened(synchronizer.url)
        for number in range(10_000):
            eve.say(frame(b"%d" % number, PING))
            if number % 1_000 == 999:
                await witness.send(b"between")
        for number in range(10_000):
            assert await eve.frame() == (PONG, b"%d" % number)
        eve.drop()


async def test_who_pings_and_does_not_read_the_answers_is_cut_and_fills_no_memory(tmp_path: Path) -> None:
    largest_bytes = 0
    async with witnessed(tmp_path) as (synchronizer, witness):
        eve = await Raw.opened(synchronizer.url)
        eve.writer.transport.pause_reading()
        flood = frame(bytes(125), PING) * 1_000
        server = synchronizer._server
        assert server is not None
        with suppress(ConnectionError):
            for _ in range(400):  # fifty megabytes
                eve.say(flood)
                await eve.writer.drain()
                waiting = [one.transport.get_write_buffer_size() for one in server.connections]
                largest_bytes = max(largest_bytes, *waiting)
                await witness.send(b"between")
            pytest.fail(f"{largest_bytes:,} bytes wait")
        assert largest_bytes < 2_000_000
        eve.drop()


async def test_text_is_no_message_and_gets_a_reason(tmp_path: Path) -> None:
    async with witnessed(tmp_path) as (synchronizer, _):
        eve = await Raw.opened(synchronizer.url)
        eve.say(frame("κόσμε".encode(), TEXT))
        refused = protocol.decode_down(await eve.message())
        assert isinstance(refused, Refused)
        assert "got a text frame of 5 characters" in refused.reason
        eve.drop()
