"""Maintenance windows from YAML: when they come, by which clock, and whom they are about."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

from sidecar import config_units as units
from sidecar.config_fields import (
    Place,
    Reader,
    Wrong,
    faultless,
    few_of,
    list_of,
    one_of,
    read_as,
    scalar,
    switch,
    text,
    unknown_word,
)
from sidecar.decide.window import span
from sidecar.model.quiet import LONGEST, Day, Window

MOST = 50
"""Windows; each is asked for whenever something happens."""
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,60}")
_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])|24:00")
_LOCAL = "local"
_LOCALTIME = Path("/etc/localtime")
_AGAIN, _ONCE = ("from", "to"), ("start", "end")


def windows(place: Place) -> tuple[Window, ...]:
    """The windows, each with a name of its own."""
    found = few_of(_window, MOST, "windows; one may name several days and sessions")(place)
    taken = Counter(window.name for window in found)
    twice = next((name for name, times in taken.items() if times > 1), None)
    if twice is not None:
        raise Wrong(f"has two windows called {twice}; give each a name of its own")
    return found


def _window(place: Place) -> Window:
    values = faultless(place, _WINDOW, required=("name",))
    again = [key for key in ("days", *_AGAIN) if key in values]
    once = [key for key in _ONCE if key in values]
    if again and once:
        raise Wrong(
            f"has `{again[0]}`, which comes again, and `{once[0]}`, which comes once; give one of them"
        )
    wanted = _ONCE if once else _AGAIN
    missing = [key for key in wanted if key not in values]
    if missing:
        other = "" if once else " (or `start` and `end`, for a window that comes once)"
        raise Wrong(f"needs the key `{missing[0]}`{other}")
    zone, tz = values.pop("zone", None) or (_LOCAL, _local())
    times = _once(values, tz) if once else _times(values)
    return Window(**values, **times, zone=zone, tz=tz)


def _times(values: dict[str, Any]) -> dict[str, int]:
    begins, ends = (values.pop(key) for key in _AGAIN)
    if begins == ends:
        raise Wrong("begins and ends at the same time; a whole day is from '00:00' to '24:00'")
    return {"begins": begins, "ends": ends}


def _once(values: dict[str, Any], tz: tzinfo) -> dict[str, float]:
    start, end = (values.pop(key) for key in _ONCE)
    if (start.tzinfo is None) is not (end.tzinfo is None):
        raise Wrong("has an offset in one of `start` and `end`; give both or none")
    begins, ends = (start.timestamp(), end.timestamp()) if start.tzinfo else span(start, end, tz)
    if end <= start:
        raise Wrong("ends before it begins")
    if ends - begins > LONGEST:
        raise Wrong(f"lasts {units.show_seconds(ends - begins)}, and may last {units.show_seconds(LONGEST)}")
    return {"start": begins, "end": ends}


def _name(word: str) -> str:
    if not _NAME.fullmatch(word):
        raise ValueError(f"{word!r} is no name for a window; it takes up to 60 letters, digits and _ . -")
    return word


def _minute(place: Place) -> int:
    # YAML takes 22:00 without quotes for a number to the base 60.
    word = scalar(place, "a time of day")
    match = _TIME.fullmatch(word)
    if match is None:
        raise Wrong(f"{word!r} is no time of day; write it as 02:00 or 22:30")
    return int(match[1]) * 60 + int(match[2]) if match[1] else 24 * 60


def _beginning(place: Place) -> int:
    minute = _minute(place)
    if minute == 24 * 60:
        raise Wrong("24:00 is an end; what begins at midnight begins at 00:00")
    return minute


def _moment(place: Place) -> datetime:
    word = scalar(place, "a time")
    try:
        return datetime.fromisoformat(word)
    except ValueError:
        raise Wrong(
            f"{word!r} is no time; write it as 2026-01-31T02:00:00+01:00 or 2026-01-31 02:00"
        ) from None


def _some(read: Reader[tuple[Any, ...]], what: str) -> Reader[tuple[Any, ...]]:
    def read_some(place: Place) -> tuple[Any, ...]:
        values = read(place)
        if not values and not place.node.value:
            raise Wrong(f"is empty, so it would be about no {what}")
        return values

    return read_some


def _days(place: Place) -> frozenset[Day]:
    return frozenset(_some(list_of(one_of(Day, "day")), "day")(place))


def _zone(place: Place) -> tuple[str, tzinfo]:
    word = text(place)
    if word == _LOCAL:
        return word, _local()
    # It takes half a megabyte, which nobody pays who has no windows.
    import zoneinfo

    try:
        return word, zoneinfo.ZoneInfo(word)
    except (KeyError, ValueError, OSError):
        pass
    known = zoneinfo.available_timezones()
    if not known:
        raise Wrong(f"{word!r} is not known: this machine has no time zone data (Debian: tzdata)")
    raise Wrong(unknown_word("time zone", word, sorted(known), "local, UTC, Europe/Berlin and so on"))


def _local() -> tzinfo:
    """The clock of this machine, as the C library has it."""
    import zoneinfo

    named = os.environ.get("TZ", "").removeprefix(":")
    file = Path(named) if named.startswith("/") else _LOCALTIME
    try:
        if named and not named.startswith("/"):
            return zoneinfo.ZoneInfo(named)
        with file.open("rb") as data:
            return zoneinfo.ZoneInfo.from_file(data, _LOCAL)
    except FileNotFoundError:
        return UTC
    except (KeyError, ValueError, OSError) as error:
        what = f"TZ={named}" if named else str(_LOCALTIME)
        raise Wrong(f"needs a `zone`: the machine's own is not understood ({what})") from error


_WINDOW: Mapping[str, Reader[Any]] = {
    "name": read_as(_name),
    "sessions": _some(list_of(read_as(units.glob)), "session"),
    "days": _days,
    "from": _beginning,
    "to": _minute,
    "start": _moment,
    "end": _moment,
    "zone": _zone,
    "hold": switch,
    "reason": text,
}
