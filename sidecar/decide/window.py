"""When a window is open, by the clock of its zone. Pure.

A window is as long as the clock on the wall shows: from the first time that it shows the beginning to
the last time that it shows the end. A beginning in the hour that is left out in spring is the moment at
which the clock is put forward, and such a window lasts as long as it is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, tzinfo
from functools import lru_cache

from sidecar.model.quiet import Day, Window

_DAYS = tuple(Day)
_DAY_MINUTES = 24 * 60


def open_until(window: Window, now: float) -> float | None:
    """When the window closes that is open now; None if it is closed."""
    ends = [end for begin, end in _occurrences(window, now) if begin <= now < end]
    return max(ends, default=None)


def _occurrences(window: Window, now: float) -> Iterator[tuple[float, float]]:
    """Beginnings and ends around this moment."""
    if window.start is not None and window.end is not None:
        yield window.start, window.end
    if window.begins is None or window.ends is None:
        return
    today = datetime.fromtimestamp(now, window.tz).date()
    # Some zones have left out a whole day.
    for back in (2, 1, 0):
        day = today - timedelta(days=back)
        if _DAYS[day.weekday()] in window.days:
            yield _on(day, window.begins, window.ends, window.tz)


@lru_cache(maxsize=512)
def _on(day: date, begins: int, ends: int, tz: tzinfo) -> tuple[float, float]:
    """Asked many times a day, and always with the same answer."""
    return span(_at(day, begins), _at(day, _end_of(begins, ends)), tz)


def _end_of(begins: int, ends: int) -> int:
    return ends if ends > begins else ends + _DAY_MINUTES


def _at(day: date, minute: int) -> datetime:
    days, minute = divmod(minute, _DAY_MINUTES)
    return datetime.combine(day + timedelta(days=days), time(*divmod(minute, 60)))


def span(begin: datetime, end: datetime, tz: tzinfo) -> tuple[float, float]:
    """Wall seconds between two times that the clock of a zone shows."""
    early, late = _stamps(begin, tz)
    early_end, late_end = _stamps(end, tz)
    last = max(early_end, late_end)
    if early <= late:
        return early, last
    begins = _change(late, early, tz)
    as_written = begins + (end - begin).total_seconds()
    return begins, as_written if early_end > late_end else max(last, as_written)


def _stamps(shown: datetime, tz: tzinfo) -> tuple[float, float]:
    """A time that is shown twice has two moments, one that is never shown has them the other way round."""
    early, late = (shown.replace(tzinfo=tz, fold=fold).timestamp() for fold in (0, 1))
    return early, late


def _change(before: float, after: float, tz: tzinfo) -> float:
    """The moment between these two, in whole seconds, from which on the clock is another one."""
    low, high = int(before), int(after)
    wanted = _offset(high, tz)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _offset(middle, tz) == wanted else (middle, high)
    return float(high)


def _offset(moment: float, tz: tzinfo) -> timedelta | None:
    return datetime.fromtimestamp(moment, tz).utcoffset()
