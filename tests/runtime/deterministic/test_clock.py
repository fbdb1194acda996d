"""`time` and `datetime` of model code: session time, in UTC, and plain instances."""

from __future__ import annotations

import datetime
import time

import pytest

from msq_jupyter.errors import DeterminismError, OutsideModelError
from msq_jupyter.runtime.deterministic import substitute_for
from msq_jupyter.runtime.snapshot import NoWorld, pack_value, read_value
from tests.runtime.deterministic.running import running

clock = substitute_for(time)
dates = substitute_for(datetime)
UTC = datetime.timezone.utc
MS = 90_061_500.25  # a day, an hour, a minute, a second and a half, and a quarter of a millisecond


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch):
    """Another zone on this machine: nothing may depend on it."""
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_6_1_clocks_show_session_time():
    with running(time_ms=MS):
        for name in ("time", "monotonic", "perf_counter"):
            assert getattr(clock, name)() == 90_061.50025
            assert substitute_for(getattr(time, name))() == 90_061.50025
            assert getattr(clock, f"{name}_ns")() == 90_061_500_250_000
        assert dates.datetime.now() == datetime.datetime(1970, 1, 2, 1, 1, 1, 500250)
        assert dates.datetime.now() == dates.datetime.utcnow() == dates.datetime.today()
        assert dates.datetime.now(UTC).isoformat() == "1970-01-02T01:01:01.500250+00:00"
        assert dates.date.today() == datetime.date(1970, 1, 2)
        assert clock.gmtime() == clock.localtime() == time.gmtime(90_061)
        assert clock.strftime("%Y-%m-%d %H:%M:%S %Z") == "1970-01-02 01:01:01 UTC"
        assert clock.ctime() == clock.asctime() == "Fri Jan  2 01:01:01 1970"


def test_6_1_the_zone_of_model_code_is_utc():
    moment = datetime.datetime(2024, 5, 6, 7, 8, 9)
    seconds = moment.replace(tzinfo=UTC).timestamp()
    assert moment.timestamp() != seconds  # on this machine
    assert dates.datetime.fromtimestamp(seconds) == moment
    assert dates.datetime.utcfromtimestamp(seconds) == moment
    assert dates.datetime.fromtimestamp(seconds, UTC) == moment.replace(tzinfo=UTC)
    assert dates.datetime.fromtimestamp(-1.5) == datetime.datetime(1969, 12, 31, 23, 59, 58, 500000)
    assert dates.datetime.timestamp(moment) == seconds
    assert dates.datetime.astimezone(moment) == moment.replace(tzinfo=UTC)
    assert dates.date.fromtimestamp(seconds) == moment.date()
    assert clock.mktime(clock.localtime(seconds)) == seconds
    assert clock.localtime(seconds).tm_zone == "UTC"
    assert (clock.timezone, clock.altzone, clock.daylight, clock.tzname) == (0, 0, 0, ("UTC", "UTC"))


def test_6_1_datetime_and_date_are_still_classes():
    kind, day = dates.datetime, dates.date
    made = kind(2024, 1, 2, 3, tzinfo=UTC)
    assert type(made) is datetime.datetime
    assert isinstance(made, kind)
    assert isinstance(made, day)
    assert not isinstance(day(2024, 1, 2), kind)
    assert issubclass(kind, day)
    assert issubclass(datetime.datetime, kind)
    assert type(made) == kind  # noqa: E721
    assert {kind: 1}[datetime.datetime] == 1
    assert kind.min == datetime.datetime.min
    assert kind.fromisoformat("2024-01-02") == datetime.datetime(2024, 1, 2)
    assert kind.combine(day(2024, 1, 2), datetime.time(3)).hour == 3
    assert isinstance(made, kind | None)
    assert repr(kind) == "<class 'datetime.datetime'>"
    match made:
        case kind(year=year):
            assert year == 2024
        case _:
            pytest.fail("no match")
    assert read_value(pack_value(made, "value"), NoWorld()) == made
    assert substitute_for(datetime.datetime) is kind
    assert dates.timedelta is datetime.timedelta


def test_6_1_nothing_can_be_set_on_the_clock():
    with pytest.raises(DeterminismError, match=r"^datetime.now cannot be set in model code"):
        dates.datetime.now = None
    with pytest.raises(DeterminismError, match=r"^time.time cannot be set in model code: modules are not replicated"):
        clock.time = None
    with pytest.raises(DeterminismError, match="a subclass of datetime is not available in model code"):
        type("Mine", (dates.datetime,), {})


def test_6_1_outside_of_models_there_is_no_session_time():
    for ask in (clock.time, clock.monotonic_ns, clock.gmtime, dates.datetime.now, dates.date.today):
        with pytest.raises(OutsideModelError, match=r"a cell or a view asks session\.model\.now"):
            ask()


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("sleep", r"use self.future\(ms\).method\(\)"), ("process_time", "measure in a cell"), ("tzset", "measure")],
)
def test_6_1_waiting_and_measuring_are_refused(name, remedy):
    for refused in (getattr(clock, name), substitute_for(getattr(time, name))):
        with pytest.raises(DeterminismError, match=rf"^time.{name} is not available in model code: .*{remedy}"):
            refused(1)
