"""What every widget here is: values go from the kernel to the browser, questions the other way round."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget

from msq_jupyter.errors import InternalError


def built(name: str) -> Path:
    """A file of the browser side.

    Raises:
        InternalError: it is not there; says how to make it.
    """
    path = Path(__file__).parent / "static" / name
    if not path.is_file():
        raise InternalError(
            f"this copy of msq_jupyter has no widgets/static/{name}, the browser side of its widgets: "
            "in a checkout run `npm ci` and `npm run build` in js/; else install the package again"
        )
    return path


class OneWayWidget(anywidget.AnyWidget):
    """A widget whose traits the browser only reads."""

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Ignore what a browser writes.

        ipywidgets would take it and echo it to everybody who has the notebook open, `_esm` included: one browser
        could run its code in all of them.
        """

    def listen(self, loop: asyncio.AbstractEventLoop, take: Callable[[Any], None]) -> None:
        """Have what browsers ask handed to `take`, on the main loop.

        A message comes on any thread, in the middle of a cell or not, from any browser that shows the notebook, and
        may hold anything.
        """

        def receive(_: Any, content: Any, __: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and the kernel with it
                loop.call_soon_threadsafe(take, content)

        self.on_msg(receive)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The live view, and a snapshot in text and HTML for readers without a kernel or without trust."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle
        data["text/plain"], data["text/html"] = self.snapshot()
        return data, metadata

    def snapshot(self) -> tuple[str, str]:
        """What there is to see at this moment, as text and as HTML, without anything that is secret."""
        raise NotImplementedError
