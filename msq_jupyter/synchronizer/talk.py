"""What views tell each other outside the logs: everybody under one persistent id, whatever their code. Pure.

Best effort: what cannot be delivered is dropped, and whoever asked waits no longer than it wants. Nothing of it is
stored. Each view may tell only so much in a while, so that none of them can drown another one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from msq_jupyter import protocol
from msq_jupyter.errors import ProtocolError
from msq_jupyter.protocol import Join, Neighbours, Tell, Told

#: A view may tell this many bytes at once, and as many again within `REFILL_MS`; a `Tell` costs some bytes more.
BUDGET_BYTES = 1024 * 1024
REFILL_MS = 10_000.0
TELL_COST_BYTES = 8 * 1024
#: View data larger than this is not shown to other sessions.
CARD_BYTES_MAX = 4 * 1024

Send: TypeAlias = Callable[[protocol.Down], None]


@dataclass(slots=True)
class _Speaker:
    session_id: str
    card: bytes
    send: Send
    budget_bytes: float = BUDGET_BYTES
    spoke_ms: float = 0.0

    def may_tell(self, size_bytes: int, now_ms: float) -> bool:
        earned = (now_ms - self.spoke_ms) * BUDGET_BYTES / REFILL_MS
        self.budget_bytes, self.spoke_ms = min(BUDGET_BYTES, self.budget_bytes + earned), now_ms
        if self.budget_bytes < size_bytes + TELL_COST_BYTES:
            return False
        self.budget_bytes -= size_bytes + TELL_COST_BYTES
        return True


class Talk:
    """Who is connected under one persistent id."""

    def __init__(self) -> None:
        self._speakers: dict[str, _Speaker] = {}

    def __len__(self) -> int:
        """How many views are connected."""
        return len(self._speakers)

    def come(self, join: Join, send: Send) -> None:
        """A view connected; `send` reaches it, behind its `Welcome`. It hears of the others, and they of it."""
        self.go(join.view_id)
        card = join.view_data if len(join.view_data) <= CARD_BYTES_MAX else b""
        others = self._others(join.session_id)
        self._speakers[join.view_id] = _Speaker(join.session_id, card, send)
        if others:
            send(Neighbours([(view_id, other.session_id, other.card) for view_id, other in others], []))
        for _, other in others:
            other.send(Neighbours([(join.view_id, join.session_id, card)], []))

    def go(self, view_id: str, send: Send | None = None) -> None:
        """A view is not connected any more; with `send`, only if that is still its connection."""
        speaker = self._speakers.get(view_id)
        if speaker is None or send not in (None, speaker.send):
            return
        del self._speakers[view_id]
        for _, other in self._others(speaker.session_id):
            other.send(Neighbours([], [view_id]))

    def tell(self, view_id: str, tell: Tell, now_ms: float) -> None:
        """Pass on what a view tells another one, if both are there and it has not told too much.

        Raises:
            ProtocolError: it is larger than anything a correct view tells.
        """
        if len(tell.payload) > protocol.TELL_BYTES_MAX:
            raise ProtocolError(
                f"expected at most {protocol.TELL_BYTES_MAX:,} bytes of payload in a Tell, got {len(tell.payload):,}"
            )
        speaker, receiver = self._speakers.get(view_id), self._speakers.get(tell.to_view_id)
        if speaker is not None and speaker.may_tell(len(tell.payload), now_ms) and receiver is not None:
            receiver.send(Told(view_id, tell.number, tell.payload))

    def _others(self, session_id: str) -> list[tuple[str, _Speaker]]:
        return [(view_id, other) for view_id, other in self._speakers.items() if other.session_id != session_id]
