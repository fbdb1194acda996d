"""Members that were cut because they left too much unread: what is remembered until they come back and are told. Pure.

A close frame would wait behind everything that they do not read, so the reason cannot go out when the connection is
cut. It is told to the next connection of the same view, which ends at once with `protocol.UNREAD_CLOSE_CODE`; the one
after that is like any other.
"""

from __future__ import annotations

from msq_jupyter.protocol import Join

#: So many are remembered in each run; beyond, who was cut first is told nothing.
REMEMBERED_MAX = 1_000


class Laggards:
    """Who was cut in one run of a session, and has not been told."""

    def __init__(self) -> None:
        self._unread_bytes: dict[str, int] = {}

    def note(self, view_id: str, unread_bytes: int) -> None:
        """The connection of a view is being cut."""
        self._unread_bytes[view_id] = unread_bytes
        if len(self._unread_bytes) > REMEMBERED_MAX:
            del self._unread_bytes[next(iter(self._unread_bytes))]

    def words_for(self, join: Join) -> str:
        """What to tell a connection of a view that was cut, once; "" for any other."""
        unread_bytes = self._unread_bytes.pop(join.view_id, 0)
        if not unread_bytes or not join.have_run:
            return ""
        return f"{unread_bytes:,} bytes waited for this member"
