"""How much of our code a browser has to get."""

from __future__ import annotations

import gzip

from msq_jupyter.widgets.one_way import built

BYTES_MAX = 60_000


def test_badge_and_panel_together_are_small():
    files = [built(f"{kind}.{suffix}").read_bytes() for kind in ("badge", "panel") for suffix in ("js", "css")]
    assert sum(len(gzip.compress(content)) for content in files) < BYTES_MAX
