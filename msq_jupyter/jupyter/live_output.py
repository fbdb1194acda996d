"""The output of a live cell: what one run displays is captured, and shown in the place of what the last one did."""

from __future__ import annotations

import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TextIO, cast

_NOTHING: tuple[dict[str, Any], dict[str, Any]] = ({"text/plain": ""}, {})

_PLOTLY = "application/vnd.plotly.v1+json"
#: What its renderer gives a figure without a height.
_PLOTLY_HEIGHT_PX = 360


@dataclass
class Outputs:
    """What one run has brought.

    Attributes:
        bundles: what it displayed, each data and metadata by MIME type.
        text: what it printed.
    """

    bundles: list[tuple[dict[str, Any], dict[str, Any]]]
    text: str = ""


@contextmanager
def captured(publisher: Any) -> Iterator[Outputs]:
    """Capture what this thread prints and displays; figures of Matplotlib are displayed and closed at the end.

    Other threads go on as ever: a kernel receives messages of widgets on one of its own, and needs the publisher there.

    Args:
        publisher: the shell's.

    Yields:
        The outputs, which grow meanwhile.
    """
    outputs = Outputs([])
    figures = _open_figures()
    publish, is_own = publisher.publish, "publish" in vars(publisher)
    streams = sys.stdout, sys.stderr
    thread = threading.get_ident()

    def keep(data: Any, metadata: Any = None, *args: Any, update: bool = False, **details: Any) -> None:
        if update or threading.get_ident() != thread:
            publish(data, metadata, *args, update=update, **details)
        else:
            outputs.bundles.append((dict(data), dict(metadata or {})))

    publisher.publish = keep
    sys.stdout, sys.stderr = (cast(TextIO, _Stream(stream, outputs)) for stream in streams)
    try:
        yield outputs
        _flush_figures()
    finally:
        sys.stdout, sys.stderr = streams
        if is_own:
            publisher.publish = publish
        else:
            del publisher.publish
        for number in _open_figures() - figures:
            sys.modules["matplotlib.pyplot"].close(number)


class _Stream:
    """Keeps what the thread writes that made it; for all others it is the stream."""

    def __init__(self, stream: TextIO, outputs: Outputs) -> None:
        self._stream = stream
        self._outputs = outputs
        self._thread = threading.get_ident()

    def write(self, text: str) -> int:
        """Write, or keep."""
        if threading.get_ident() != self._thread:
            return self._stream.write(text)
        self._outputs.text += text
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _open_figures() -> set[int]:
    pyplot = sys.modules.get("matplotlib.pyplot")
    return set() if pyplot is None else set(pyplot.get_fignums())


def _flush_figures() -> None:
    """What IPython does after each cell when Matplotlib draws inline."""
    backend = sys.modules.get("matplotlib_inline.backend_inline")
    if backend is not None and "matplotlib.pyplot" in sys.modules:
        backend.flush_figures()


def _text(text: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [({"text/plain": text.rstrip("\n")}, {})] if text else []


def _empty_figure(figure: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What stands for a figure of Plotly for a moment: its renderer in JupyterLab draws once, and never again."""
    height = figure.get("layout", {}).get("height") or _PLOTLY_HEIGHT_PX
    return {"text/html": f'<div style="height: {int(height)}px"></div>'}, {}


class LiveOutput:
    """The places below a cell in which its outputs are shown, each with a display id of its own.

    Args:
        publisher: the shell's.
    """

    def __init__(self, publisher: Any) -> None:
        self._publisher = publisher
        # Of the cell that runs now, so that a place which is needed later comes to stand below it.
        self._parent = getattr(publisher, "parent_header", None)
        self._ids: list[str] = []
        self._shown: list[tuple[dict[str, Any], dict[str, Any]]] = []

    def show(self, outputs: Outputs, error: str = "") -> None:
        """Show outputs in the place of those before.

        Args:
            outputs: what to show.
            error: a traceback to show after them, or "".
        """
        bundles = [*_text(outputs.text), *outputs.bundles, *_text(error)]
        bundles += [_NOTHING] * (len(self._ids) - len(bundles))
        for place, bundle in enumerate(bundles):
            if place == len(self._ids):
                self._add(bundle)
            elif bundle != self._shown[place]:
                if _PLOTLY in bundle[0] and _PLOTLY in self._shown[place][0]:
                    self._publish(_empty_figure(bundle[0][_PLOTLY]), self._ids[place], update=True)
                self._shown[place] = bundle
                self._publish(bundle, self._ids[place], update=True)

    def _add(self, bundle: tuple[dict[str, Any], dict[str, Any]]) -> None:
        self._ids.append(uuid.uuid4().hex)
        self._shown.append(bundle)
        if self._parent is None:
            self._publish(bundle, self._ids[-1], update=False)
            return
        now = self._publisher.parent_header
        self._publisher.parent_header = self._parent
        try:
            self._publish(bundle, self._ids[-1], update=False)
        finally:
            self._publisher.parent_header = now

    def _publish(self, bundle: tuple[dict[str, Any], dict[str, Any]], display_id: str, *, update: bool) -> None:
        data, metadata = bundle
        self._publisher.publish(data, metadata, transient={"display_id": display_id}, update=update)
