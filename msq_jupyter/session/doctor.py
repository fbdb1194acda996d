"""What is wrong with a set-up, in words, each with what to do. Facts are gathered first; the checks are pure."""

from __future__ import annotations

import asyncio
import email.utils
import importlib.metadata
import re
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Literal

from msq_jupyter.errors import MsqError
from msq_jupyter.session.connection import explained, open_socket
from msq_jupyter.session.discovery import Place, find_place

Level = Literal["ok", "warning", "error"]

#: Slower than this is felt by people.
LATENCY_MS = 250.0
#: Clocks that differ by more show wrong ages; the header that is compared has whole seconds only.
CLOCK_S = 5.0
#: What we say about, with the lowest version that works.
LOWEST = {
    "msq_jupyter": "0",
    "ipykernel": "6.29",
    "ipywidgets": "8.1.5",
    "anywidget": "0.9.21",
    "websockets": "15",
    "msgspec": "0.19",
    "cryptography": "44",
}


@dataclass(frozen=True)
class Finding:
    """Something the doctor says.

    Attributes:
        level: "ok", "warning" or "error".
        what: what is so.
        remedy: what to do; "" when there is nothing to do.
    """

    level: Level
    what: str
    remedy: str = ""


@dataclass(frozen=True)
class Facts:
    """What a set-up is like.

    Attributes:
        python: its version.
        versions: of installed packages, by name; those that are missing are not there.
        widget_manager: whether the browser side of ipywidgets is installed here; None when that is not known.
        in_notebook: whether this runs in a kernel.
        synchronizer: its name for people.
        unreachable: why it does not answer, "" when it does.
        latency_ms: a round trip, nan when unknown.
        clock_offset_s: by how much its clock is ahead of ours; 0 when it is not known.
        others: people who run other code, or the same with other options, by session name.
    """

    python: tuple[int, int]
    versions: dict[str, str]
    widget_manager: bool | None = None
    in_notebook: bool = False
    synchronizer: str = ""
    unreachable: str = ""
    latency_ms: float = float("nan")
    clock_offset_s: float = 0.0
    others: dict[str, list[str]] = field(default_factory=dict)


class Diagnosis(list[Finding]):
    """Findings, errors first; shows as a list in notebooks and terminals."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return all(finding.level == "ok" for finding in self)

    def __repr__(self) -> str:
        return "\n".join(
            f"{_SIGNS[finding.level]} {finding.what}" + (f"\n  → {finding.remedy}" if finding.remedy else "")
            for finding in self
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<li><strong>{finding.level}</strong> {escape(finding.what)}"
            + (f"<br>→ {escape(finding.remedy)}" if finding.remedy else "")
            + "</li>"
            for finding in self
        )
        return f"<ul>{rows}</ul>"


_SIGNS = {"ok": "✓", "warning": "!", "error": "✗"}
_ORDER = {"error": 0, "warning": 1, "ok": 2}


def diagnose(facts: Facts) -> Diagnosis:
    """What is right and wrong with a set-up, the worst first."""
    findings = [finding for check in _CHECKS for finding in check(facts)]
    return Diagnosis(sorted(findings, key=lambda finding: _ORDER[finding.level]))


# --- the checks --------------------------------------------------------------------------------------------------


def _python(facts: Facts) -> Iterable[Finding]:
    text = ".".join(map(str, facts.python))
    if facts.python < (3, 10):
        yield Finding("error", f"Python {text} is too old", "use a kernel with Python 3.10 or newer")
    else:
        yield Finding("ok", f"Python {text}")


def _packages(facts: Facts) -> Iterable[Finding]:
    for name, lowest in LOWEST.items():
        found = facts.versions.get(name)
        if found is None:
            yield Finding(
                "error", f"{name} is not installed", f"%pip install '{name}>={lowest}', then restart the kernel"
            )
        elif _numbers(found) < _numbers(lowest):
            yield Finding(
                "error",
                f"{name} is {found}, and {lowest} is the lowest that works",
                f"%pip install -U '{name}>={lowest}', then restart the kernel",
            )
    shown = ", ".join(f"{name} {facts.versions[name]}" for name in LOWEST if name in facts.versions)
    yield Finding("ok", shown)


def _ipykernel(facts: Facts) -> Iterable[Finding]:
    if _numbers(facts.versions.get("ipykernel", ""))[:2] == (7, 0):
        yield Finding(
            "error",
            "ipykernel 7.0 loses what other threads tell a widget: the badge and linked widgets stand still",
            "%pip install 'ipykernel>=7.1', then restart the kernel",
        )


def _widget_manager(facts: Facts) -> Iterable[Finding]:
    if facts.in_notebook and facts.widget_manager is False:
        yield Finding(
            "warning",
            "the browser side of ipywidgets is not installed here: if JupyterLab runs here, badges show as text",
            "pip install jupyterlab_widgets where JupyterLab runs, and reload the page",
        )


def _synchronizer(facts: Facts) -> Iterable[Finding]:
    if not facts.synchronizer:
        return
    if facts.unreachable:
        yield Finding("error", f"{facts.synchronizer} does not answer", facts.unreachable)
        return
    if facts.latency_ms > LATENCY_MS:
        yield Finding(
            "warning",
            f"{facts.synchronizer} answers after {facts.latency_ms:.0f} ms: what you do shows that much later",
            "use a synchronizer that is nearer, or a better network",
        )
    elif facts.latency_ms >= 0:
        yield Finding("ok", f"{facts.synchronizer} answers after {facts.latency_ms:.1f} ms")
    if abs(facts.clock_offset_s) > CLOCK_S:
        which = "behind" if facts.clock_offset_s > 0 else "ahead of"
        yield Finding(
            "warning",
            f"this machine's clock is {abs(facts.clock_offset_s):.0f} s {which} the synchronizer's: "
            "the ages of saves are wrong; the order of events is not concerned",
            "let the system set its clock from the network",
        )


def _other_code(facts: Facts) -> Iterable[Finding]:
    for name, people in facts.others.items():
        yield Finding(
            "warning",
            f"{name}: {', '.join(people)} {'runs' if len(people) == 1 else 'run'} other code of the model, "
            "or the same with other options, and so another session with the same data",
            f'session.explain_code("{people[0]}") says what differs; one of you runs the other\'s cell',
        )


_CHECKS: tuple[Callable[[Facts], Iterable[Finding]], ...] = (
    _python,
    _packages,
    _ipykernel,
    _widget_manager,
    _synchronizer,
    _other_code,
)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


# --- the facts ---------------------------------------------------------------------------------------------------


async def gather(synchronizer: str | None = None, others: dict[str, list[str]] | None = None) -> Facts:
    """What this set-up is like.

    Args:
        synchronizer: as in `join`.
        others: people who run other code, or the same with other options, by session name.

    Raises:
        ArgumentError: a URL that is none.
    """
    place = find_place(synchronizer)
    unreachable, latency_ms, clock_offset_s = await _asked(place)
    versions = {}
    for name in LOWEST:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    in_notebook = "ipykernel" in sys.modules
    return Facts(
        sys.version_info[:2],
        versions,
        _has_widget_manager() if in_notebook else None,
        in_notebook,
        place.name,
        unreachable,
        latency_ms,
        clock_offset_s,
        others or {},
    )


async def _asked(place: Place) -> tuple[str, float, float]:
    """Why a synchronizer does not answer, a round trip in ms, and by how many seconds its clock is ahead."""
    try:
        address = await asyncio.to_thread(place.locate)
        async with await open_socket(address) as socket:
            response, now_s = socket.response, time.time()
            started_s = time.monotonic()
            await asyncio.wait_for(await socket.ping(), 10)
            latency_ms = (time.monotonic() - started_s) * 1000
        date = response.headers.get("Date") if response else None
        offset_s = email.utils.parsedate_to_datetime(date).timestamp() - now_s if date else 0.0
        return "", latency_ms, offset_s
    except MsqError as error:
        return str(error), float("nan"), 0.0
    except Exception as error:
        return str(explained(error, place)), float("nan"), 0.0


def _has_widget_manager() -> bool | None:
    try:
        from jupyter_core.paths import jupyter_path
    except ImportError:
        return None
    return any(
        (Path(path) / "@jupyter-widgets" / "jupyterlab-manager").is_dir() for path in jupyter_path("labextensions")
    )
