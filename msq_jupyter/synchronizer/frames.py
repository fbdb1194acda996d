"""Messages out of the bytes of a WebSocket connection: what is plain is read here, all else by the library. Pure.

Almost everything members send is small binary frames that arrive whole, and the library takes longer to read one than
ten members' writes of it take. So such frames are read here, and whatever else there is (text, control frames,
fragments, large frames, frames that arrive in pieces, malformed ones) goes to the library's parser, from its first byte
on. The library sees whole frames only and is between two of them whenever one is read here; hence what comes out, and
when a connection fails and why, is what it would be if the library read everything. `test_frames.py` holds both equal.
"""

from __future__ import annotations

from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

try:
    from websockets.speedups import apply_mask
except ImportError:
    from websockets.utils import apply_mask

_PLAIN = 0x80 | Opcode.BINARY  # the last frame of its message, nothing reserved
_FINAL, _OPCODE, _MASKED, _LENGTH = 0x80, 0x0F, 0x80, 0x7F
_LENGTH_16, _LENGTH_64 = 126, 127
_MASK_BYTES = 4
_HEAD_BYTES_MAX = 14
_DATA = (Opcode.CONT, Opcode.TEXT, Opcode.BINARY)
#: Frames of one message; with more, its pieces take more memory than its bytes.
FRAGMENTS_MAX = 4_096


class MessageReader:
    """Reads what one connection receives after its handshake.

    Args:
        protocol: of that connection, in state OPEN; it decides on everything but plain frames, and answers pings and
            closes. What it has to send is taken from it by the caller.
        max_bytes: largest plain message; the protocol has the same limit for the others.

    Attributes:
        has_passed_on: the protocol got something in the last `read`, and may have something to send.
    """

    def __init__(self, protocol: ServerProtocol, max_bytes: int) -> None:
        self._protocol = protocol
        self._max_bytes = max_bytes
        self._head = b""  # the beginning of a frame, too short to know its size; the protocol has it
        self._owed_bytes = 0  # of a frame whose beginning the protocol has
        self._is_fragmented = False
        self._is_over = False
        self.has_passed_on = False
        self._opcode = Opcode.BINARY
        self._pieces: list[bytes | bytearray | memoryview] = []

    def read(self, data: bytes) -> list[bytes | str]:
        """Messages that end in what has come, in order."""
        messages: list[bytes | str] = []
        self._is_over = self._protocol.state is not State.OPEN
        self.has_passed_on = False
        place = 0
        if (self._head or self._owed_bytes) and not self._is_over:
            place = self._pass_on(data, 0, messages)
        while place < len(data) and not self._is_over:
            place = self._read_plain(data, place, messages)
            if place < len(data):
                place = self._pass_on(data, place, messages)
        if place < len(data):
            self._hand_over(data[place:], messages)
        return messages

    def _read_plain(self, data: bytes, place: int, messages: list[bytes | str]) -> int:
        """Read plain frames from `place` on; gives the place of what is none, or the end."""
        size = len(data)
        while size - place >= 2 + _MASK_BYTES and data[place] == _PLAIN and not self._is_fragmented:
            length = data[place + 1] - _MASKED
            body = place + 2 + _MASK_BYTES
            if length == _LENGTH_16:
                length = data[place + 2] << 8 | data[place + 3]
                body += 2
            elif not 0 <= length < _LENGTH_16:
                break
            end = body + length
            if end > size or length > self._max_bytes:
                break
            messages.append(apply_mask(data[body:end], data[body - _MASK_BYTES : body]))
            place = end
        return place

    def _pass_on(self, data: bytes, place: int, messages: list[bytes | str]) -> int:
        """Give the protocol one frame, or what there is of it; gives the place behind."""
        if not self._owed_bytes:
            head, had_bytes = self._head + data[place : place + _HEAD_BYTES_MAX], len(self._head)
            size = _size_of_frame(head)
            if size is None:
                # The protocol has it all the same: a head may be wrong before it is whole.
                self._head = head
                self._hand_over(data[place:], messages)
                return len(data)
            self._head, self._owed_bytes = b"", size - had_bytes
            if head[0] & _OPCODE in _DATA:
                self._is_fragmented = not head[0] & _FINAL
        end = min(place + self._owed_bytes, len(data))
        self._owed_bytes -= end - place
        self._hand_over(data[place:end], messages)
        return end

    def _hand_over(self, data: bytes, messages: list[bytes | str]) -> None:
        self.has_passed_on = True
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            assert isinstance(event, Frame), "the handshake is over"
            if event.opcode in _DATA:
                self._assemble(event, messages)
        self._is_over = self._protocol.state is not State.OPEN

    def _assemble(self, frame: Frame, messages: list[bytes | str]) -> None:
        if frame.opcode is not Opcode.CONT:
            self._opcode = frame.opcode
        self._pieces.append(frame.data)
        if len(self._pieces) > FRAGMENTS_MAX:
            self._pieces.clear()
            self._protocol.fail(CloseCode.MESSAGE_TOO_BIG, "too many fragments")
        if not frame.fin:
            return
        message = b"".join(self._pieces)
        self._pieces.clear()
        if self._opcode is not Opcode.TEXT:
            messages.append(message)
            return
        try:
            messages.append(message.decode())
        except UnicodeDecodeError as error:
            self._protocol.fail(CloseCode.INVALID_DATA, f"{error.reason} at position {error.start}")


def _size_of_frame(head: bytes) -> int | None:
    """Size in bytes of the frame that begins so, with its head; None while that is not to be known."""
    if len(head) < 2:
        return None
    length, size = head[1] & _LENGTH, 2 + _MASK_BYTES * bool(head[1] & _MASKED)
    extended = {_LENGTH_16: 2, _LENGTH_64: 8}.get(length, 0)
    if extended:
        if len(head) < 2 + extended:
            return None
        length = int.from_bytes(head[2 : 2 + extended], "big")
    return size + extended + length
