"""What packs plain data as MessagePack: `ormsgpack`, or `msgpack` where the former has no wheel, as on WebAssembly.

The form is canonical, so both give the same bytes. They differ in what they do to values that MessagePack has no type
for. `ormsgpack` hands each of them to a function of ours, so that most values can be packed as they lie. `msgpack`
would take a dict with keys of any type without asking: it packs only what the careful way has made plain before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    import ormsgpack
    from ormsgpack import Ext, packb

    #: Everything that MessagePack has no type for comes to us, and not out as something like it.
    PACK_OPTIONS = (
        ormsgpack.OPT_PASSTHROUGH_BIG_INT
        | ormsgpack.OPT_PASSTHROUGH_DATACLASS
        | ormsgpack.OPT_PASSTHROUGH_DATETIME
        | ormsgpack.OPT_PASSTHROUGH_ENUM
        | ormsgpack.OPT_PASSTHROUGH_SUBCLASS
        | ormsgpack.OPT_PASSTHROUGH_TUPLE
        | ormsgpack.OPT_PASSTHROUGH_UUID
    )
except ImportError:
    import msgpack  # type: ignore[import-untyped]
    from msgpack import ExtType as Ext  # type: ignore[no-redef]

    PACK_OPTIONS = 0

    def packb(value: Any, /, default: Callable[[Any], Any] | None = None, option: int | None = None) -> bytes:
        """The bytes of plain data.

        Raises:
            TypeError: the data is not plain, or `default` is given: what it would be asked for is not found here.
            ValueError: the data is too large, too deep, or no text.
        """
        if default is not None:
            raise TypeError("expected plain data and nothing to stand in for other values")
        packed: bytes = msgpack.packb(value, strict_types=True, use_bin_type=True)
        return packed


__all__ = ["PACK_OPTIONS", "Ext", "packb"]
