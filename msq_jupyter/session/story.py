"""What happened in a session, for people: through `logging` as it happens, and kept for whoever asks later."""

from __future__ import annotations

import datetime
import logging
import threading
from collections import deque
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from msq_jupyter.persistence.harmless import shortened
from msq_jupyter.persistence.records import size_text
from msq_jupyter.persistence.tables import table_html, table_text
from msq_jupyter.runtime.happenings import Migrated

logger = logging.getLogger("msq_jupyter")

#: The handler by which the log is shown.
_SHOWN_LOG = "msq_jupyter shown log"

#: How many lines are kept, the newest ones.
LINES_MAX = 500
#: How much of one line is kept, in characters.
LINE_CHARACTERS = 2_000


@dataclass(frozen=True)
class LogLine:
    """Something that happened.

    Attributes:
        time: when, with time zone, by this kernel's clock.
        level: "debug", "info", "warning" or "error".
        text: what, in one line.
    """

    time: datetime.datetime
    level: str
    text: str


class SessionLog(list[LogLine]):
    """What happened in a session, oldest first; shows as a table in notebooks and terminals."""

    _COLUMNS = ("time", "level", "what")

    def _rows(self) -> list[tuple[str, ...]]:
        return [(line.time.astimezone().strftime("%H:%M:%S"), line.level, line.text) for line in self]

    def __repr__(self) -> str:
        return table_text(self._COLUMNS, self._rows()) if self else "nothing happened yet"

    def _repr_html_(self) -> str:
        return table_html(self._COLUMNS, self._rows()) if self else f"<p>{escape(repr(self))}</p>"


if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter  # generic at run time from Python 3.11 on


class Story(_Adapter):
    """A logger whose lines are kept, too, whatever its level lets through.

    What is told never holds what is sealed: no saved data, no password, no token.
    """

    def __init__(self) -> None:
        super().__init__(logger, {})
        self._lines: deque[LogLine] = deque(maxlen=LINES_MAX)
        self._lock = threading.Lock()  # the socket thread tells, too

    @property
    def lines(self) -> SessionLog:
        """What was told so far, oldest first."""
        with self._lock:
            return SessionLog(self._lines)

    def log(self, level: int, msg: object, *args: Any, **kwargs: Any) -> None:
        """Tell something; all of `info`, `warning` and so on end here."""
        text = shortened(str(msg) % args if args else str(msg), LINE_CHARACTERS)
        now = datetime.datetime.now(datetime.timezone.utc)
        with self._lock:
            self._lines.append(LogLine(now, logging.getLevelName(level).lower(), text))
        self.logger.log(level, msg, *args, **kwargs)


def compact_size(size_bytes: int) -> str:
    """A size in one word, `1.2KB`, as in the lines that `debug="session"` shows."""
    return size_text(size_bytes).replace(" ", "")


def clock_text(time_s: float) -> str:
    """The time of day of `time_s` seconds since 1970, here."""
    try:
        return datetime.datetime.fromtimestamp(time_s).strftime("%H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return "a time that is none"


def saved_text(number: int, author: str, time_s: float) -> str:
    """`version 3, saved by Ada at 12:00:04`."""
    by = f" by {shortened(author, 40)}" if author else ""
    return f"version {number}, saved{by} at {clock_text(time_s)}"


def migrated_text(migrated: Migrated) -> str:
    """What a step of a `PersistentModel` did."""
    steps = f"schema {migrated.from_version} to {migrated.from_version + 1}"
    return f"[Multisynq] {migrated.model}.{migrated.method} migrated it from {steps}"


def show_log() -> None:
    """Print what is logged about sessions, in notebooks under the running cell."""
    logger.setLevel(min(logger.level or logging.INFO, logging.INFO))
    if not any(isinstance(handler, logging.StreamHandler) for handler in logger.handlers):
        handler = logging.StreamHandler()
        handler.set_name(_SHOWN_LOG)
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)


def hide_log() -> None:
    """Print it no more."""
    logger.setLevel(logging.NOTSET)
    for handler in list(logger.handlers):
        if handler.get_name() == _SHOWN_LOG:
            logger.removeHandler(handler)
