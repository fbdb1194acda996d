"""Keys of a session; that what they seal is bound to its place is tested where it is opened."""

from __future__ import annotations

import pytest

from msq_jupyter.session import crypto
from msq_jupyter.session.crypto import Keys


def test_8_1_of_views_that_come_and_go_only_so_many_keys_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crypto, "VIEW_KEYS_MAX", 3)
    ours, theirs = (Keys(bytes(32), "persistent", "session") for _ in range(2))
    first = ours.seal_event("run", "view 0", 1, b"hello")
    for number in range(1, 8):
        theirs.open_event("run", f"view {number}", 1, ours.seal_event("run", f"view {number}", 1, b"hello"))
        assert len(ours._views) <= 3
    assert theirs.open_event("run", "view 0", 1, first) == b"hello"
