"""What `time` and `datetime` are in model code: session time, on a clock that every replica reads alike.

The clock of model code began on 1 January 1970, 00:00 UTC, when the session began, and shows `self.now()`. Its zone is
UTC. What time it is outside comes into a model by an event: `session.publish(scope, event, time.time())`.

`datetime` and `date` stay usable as classes. Their instances are plain ones, of Python's own classes; what model code
has under the names stands before those: `datetime(2024, 1, 1)`, `isinstance(x, datetime)`, `except`, `match` and
`datetime.now()` work, and `type(x) == datetime`; `type(x) is datetime` does not.
"""

from __future__ import annotations

import calendar
import datetime
import time
from collections.abc import Callable
from typing import Any

from msq_jupyter.errors import DeterminismError, OutsideModelError
from msq_jupyter.runtime.model import running_replica

_UTC = datetime.timezone.utc
_EPOCH = datetime.datetime(1970, 1, 1)


def _now_ms() -> float:
    replica = running_replica()
    if replica is None:
        raise OutsideModelError(
            "session time as time.time() or datetime.now() is for a model's methods only; a cell or a view asks "
            "session.model.now(), or imports time itself"
        )
    return replica.time_ms


def _now_s() -> float:
    return _now_ms() / 1000.0


def _now_ns() -> int:
    return round(_now_ms() * 1_000_000)


def _moment() -> datetime.datetime:
    return _EPOCH + datetime.timedelta(milliseconds=_now_ms())


# --- the module time -----------------------------------------------------------------------------------------------


def gmtime(secs: float | None = None, /) -> time.struct_time:
    """Session time, or seconds since 1970, as a `struct_time` of UTC."""
    if secs is None:
        secs = _now_s()
    moment = _EPOCH + datetime.timedelta(seconds=secs // 1)
    # Named, because a `struct_time` also holds the zone, which is the machine's unless it is given.
    return time.struct_time((*moment.timetuple()[:8], 0, "UTC", 0))


def mktime(t: Any, /) -> float:
    """Seconds since 1970 of a `struct_time`, in UTC."""
    return float(calendar.timegm(t))


def strftime(format: str, t: Any = None, /) -> str:  # noqa: A002 (the name is the standard library's)
    """A time as text; without one, session time."""
    return time.strftime(format, gmtime() if t is None else t)


def asctime(t: Any = None, /) -> str:
    """A time as text; without one, session time."""
    return time.asctime(gmtime() if t is None else t)


def ctime(secs: float | None = None, /) -> str:
    """Seconds since 1970 as text, in UTC; without them, session time."""
    return time.asctime(gmtime(secs))


def _named(name: str, function: Callable[..., Any], doc: str) -> Callable[..., Any]:
    def read() -> Any:
        return function()

    read.__name__ = read.__qualname__ = name
    read.__doc__ = doc
    return read


TIME: dict[str, Any] = {
    **{name: _named(name, _now_s, "Session time in seconds.") for name in ("time", "monotonic", "perf_counter")},
    **{
        name: _named(name, _now_ns, "Session time in nanoseconds.")
        for name in ("time_ns", "monotonic_ns", "perf_counter_ns")
    },
    "gmtime": gmtime,
    "localtime": gmtime,
    "mktime": mktime,
    "strftime": strftime,
    "asctime": asctime,
    "ctime": ctime,
    "tzname": ("UTC", "UTC"),
    "timezone": 0,
    "altzone": 0,
    "daylight": 0,
}
"""What stands in for members of the module `time`."""


# --- the classes of datetime ---------------------------------------------------------------------------------------


class _StandsBefore(type):
    """Of classes that stand before another: calling one makes an instance of the other."""

    original: type

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return cls.original(*args, **kwargs)

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls.original)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(getattr(subclass, "original", subclass), cls.original)

    def __getattr__(cls, name: str) -> Any:
        return getattr(cls.original, name)

    def __setattr__(cls, name: str, value: object) -> None:
        raise DeterminismError(
            f"{cls.original.__qualname__}.{name} cannot be set in model code: only what models hold is replicated"
        )

    def __eq__(cls, other: object) -> bool:
        return other is cls or other is cls.original

    def __hash__(cls) -> int:
        return hash(cls.original)

    def __repr__(cls) -> str:
        return repr(cls.original)

    def __or__(cls, other: Any) -> Any:
        return cls.original | other

    def __ror__(cls, other: Any) -> Any:
        return other | cls.original


class DateTime(metaclass=_StandsBefore):
    """What `datetime.datetime` is in model code."""

    original = datetime.datetime

    def __init_subclass__(cls) -> None:
        raise DeterminismError("a subclass of datetime is not available in model code: write a function")

    @staticmethod
    def now(tz: datetime.tzinfo | None = None) -> datetime.datetime:
        """Session time since 1 January 1970; without a zone, naive and in UTC."""
        return _moment() if tz is None else _moment().replace(tzinfo=_UTC).astimezone(tz)

    @staticmethod
    def utcnow() -> datetime.datetime:
        """Session time since 1 January 1970, naive and in UTC."""
        return _moment()

    @staticmethod
    def today() -> datetime.datetime:
        """Session time since 1 January 1970, naive and in UTC."""
        return _moment()

    @staticmethod
    def fromtimestamp(timestamp: float, tz: datetime.tzinfo | None = None) -> datetime.datetime:
        """Seconds since 1970 as a time; without a zone, naive and in UTC."""
        moment = _EPOCH + datetime.timedelta(seconds=timestamp)
        return moment if tz is None else moment.replace(tzinfo=_UTC).astimezone(tz)

    @staticmethod
    def utcfromtimestamp(timestamp: float) -> datetime.datetime:
        """Seconds since 1970 as a naive time in UTC."""
        return DateTime.fromtimestamp(timestamp)

    @staticmethod
    def timestamp(moment: datetime.datetime) -> float:
        """Seconds since 1970 of a time; a naive one is in UTC."""
        return (moment if moment.tzinfo else moment.replace(tzinfo=_UTC)).timestamp()

    @staticmethod
    def astimezone(moment: datetime.datetime, tz: datetime.tzinfo | None = None) -> datetime.datetime:
        """The same time in another zone; a naive one is in UTC, and so is the result without a zone."""
        return (moment if moment.tzinfo else moment.replace(tzinfo=_UTC)).astimezone(tz or _UTC)


class Date(metaclass=_StandsBefore):
    """What `datetime.date` is in model code."""

    original = datetime.date

    def __init_subclass__(cls) -> None:
        raise DeterminismError("a subclass of date is not available in model code: write a function")

    @staticmethod
    def today() -> datetime.date:
        """The day of session time since 1 January 1970."""
        return _moment().date()

    @staticmethod
    def fromtimestamp(timestamp: float) -> datetime.date:
        """The day in UTC of seconds since 1970."""
        return DateTime.fromtimestamp(timestamp).date()


DATETIME: dict[str, Any] = {"datetime": DateTime, "date": Date}
"""What stands in for members of the module `datetime`."""
