"""When a window is open, also in the nights in which the clock is changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.decide.window import open_until, span
from sidecar.model.quiet import Day, Window

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "UTC",
)
DAY = 24 * 60


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def window(begins: str, ends: str, days: str = "", zone: ZoneInfo = BERLIN) -> Window:
    named = frozenset(map(Day, days.split())) if days else frozenset(Day)
    return Window("w", days=named, begins=minute(begins), ends=minute(ends), tz=zone)


def minute(text: str) -> int:
    hours, minutes = map(int, text.split(":"))
    return hours * 60 + minutes


@pytest.mark.parametrize(
    ("begins", "ends", "days", "now", "until"),
    [
        ("02:00", "04:00", "", "2026-01-31T02:00:00+01:00", "2026-01-31T04:00:00+01:00"),
        ("02:00", "04:00", "", "2026-01-31T01:59:59+01:00", None),
        ("02:00", "04:00", "", "2026-01-31T04:00:00+01:00", None),
        # 2026-01-31 is a Saturday.
        ("02:00", "04:00", "sat", "2026-01-31T03:00:00+01:00", "2026-01-31T04:00:00+01:00"),
        ("02:00", "04:00", "mon fri sun", "2026-01-31T03:00:00+01:00", None),
        # Over midnight the day is the one on which it begins.
        ("22:00", "04:00", "fri", "2026-01-31T03:00:00+01:00", "2026-01-31T04:00:00+01:00"),
        ("22:00", "04:00", "sat", "2026-01-31T03:00:00+01:00", None),
        ("00:00", "24:00", "sat", "2026-01-31T23:59:59+01:00", "2026-02-01T00:00:00+01:00"),
        ("12:00", "00:00", "sat", "2026-01-31T23:59:59+01:00", "2026-02-01T00:00:00+01:00"),
        # The clock is put forward from 02:00 to 03:00: what is in between is taken to be at that moment.
        ("01:00", "04:00", "", "2026-03-29T03:30:00+02:00", "2026-03-29T04:00:00+02:00"),
        ("02:15", "02:45", "", "2026-03-29T03:29:59+02:00", "2026-03-29T03:30:00+02:00"),
        ("02:15", "02:45", "", "2026-03-29T01:59:59+01:00", None),
        ("02:30", "03:00", "", "2026-03-29T03:10:00+02:00", "2026-03-29T03:30:00+02:00"),
        ("01:30", "02:30", "", "2026-03-29T03:20:00+02:00", "2026-03-29T03:30:00+02:00"),
        # It is put back from 03:00 to 02:00: what comes twice counts both times.
        ("02:15", "02:45", "", "2026-10-25T02:15:00+02:00", "2026-10-25T02:45:00+01:00"),
        ("02:15", "02:45", "", "2026-10-25T02:05:00+01:00", "2026-10-25T02:45:00+01:00"),
        ("01:00", "03:00", "", "2026-10-25T02:59:59+01:00", "2026-10-25T03:00:00+01:00"),
    ],
)
def test_when_it_is_open(begins: str, ends: str, days: str, now: str, until: str | None) -> None:
    found = open_until(window(begins, ends, days), at(now))
    assert found == (None if until is None else at(until))


def test_one_that_comes_once() -> None:
    once = Window("w", start=at("2026-01-31T02:00:00+00:00"), end=at("2026-01-31T04:00:00+00:00"))
    assert open_until(once, at("2026-01-31T03:59:59+00:00")) == once.end
    assert open_until(once, at("2026-01-31T04:00:00+00:00")) is None
    assert open_until(once, at("2026-01-31T01:59:59+00:00")) is None


def test_a_day_that_was_left_out() -> None:
    apia = ZoneInfo("Pacific/Apia")
    begin, end = span(datetime(2011, 12, 30, 12), datetime(2011, 12, 30, 18), apia)
    assert datetime.fromtimestamp(begin, apia) == datetime(2011, 12, 31, tzinfo=apia)
    assert end - begin == 6 * 3_600.0


moments = st.integers(1_262_300_000, 1_900_000_000)
minutes = st.integers(0, DAY - 1)
days = st.frozensets(st.sampled_from(list(Day)), min_size=1)


@given(moments, minutes, st.integers(1, DAY), days, st.sampled_from(ZONES))
def test_what_the_clock_on_the_wall_says_is_covered(
    now: int, begins: int, length: int, on: frozenset[Day], zone: str
) -> None:
    tz = ZoneInfo(zone)
    ends = begins + length
    # An end that is the beginning of the next day cannot be written.
    ends = ends if ends <= DAY else ends - DAY
    if begins == ends:
        return
    here = Window("w", days=on, begins=begins, ends=ends, tz=tz)
    shown = datetime.fromtimestamp(now, tz)
    until = open_until(here, float(now))
    if _says(here, shown):
        assert until is not None
    elif until is not None:
        # Only where the clock is changed may it be open at another time than it says.
        around = {
            datetime.fromtimestamp(now + hours * 3_600, tz).utcoffset() for hours in (-50, -26, -3, 3, 26, 50)
        }
        assert len(around) > 1
    if until is not None:
        assert now < until <= now + (DAY + 60 * 25) * 60


def _says(here: Window, shown: datetime) -> bool:
    assert here.begins is not None
    assert here.ends is not None
    at_minute = shown.hour * 60 + shown.minute
    today, yesterday = (list(Day)[(shown - timedelta(days=back)).weekday()] for back in (0, 1))
    if here.begins < here.ends:
        return today in here.days and here.begins <= at_minute < here.ends
    return (today in here.days and at_minute >= here.begins) or (
        yesterday in here.days and at_minute < here.ends
    )


@given(moments, minutes, st.integers(1, DAY), st.sampled_from(ZONES))
def test_no_window_is_empty(now: int, begins: int, length: int, zone: str) -> None:
    day = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, tzinfo=None)
    begin = day + timedelta(minutes=begins)
    begun, ended = span(begin, begin + timedelta(minutes=length), ZoneInfo(zone))
    # A window that is open when the clock is put forward loses that hour, and no more.
    assert ended - begun > 0
