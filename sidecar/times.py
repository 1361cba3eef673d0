"""Moments as people write them: ``2026-01-31T14:00:00Z``, ``2h ago``, ``yesterday 14:00``.

Pure: what the time is now, and in which zone, is the caller's to say.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from sidecar import config_units as units

_AGO = re.compile(r"(.+) ago")
_DAY = re.compile(r"(?:(today|yesterday) +)?([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?")


def moment(text: str, now: datetime) -> datetime:
    """The moment that is meant, with its zone. ``now`` has the zone in which people think.

    Raises:
        ValueError: it is no time, or it has not come yet.
    """
    found = _read(text.strip(), now)
    if found > now:
        raise ValueError(f"{text!r} has not come yet; it is {now:%Y-%m-%d %H:%M:%S %Z}")
    return found


def _read(text: str, now: datetime) -> datetime:
    if text == "now":
        return now
    if ago := _AGO.fullmatch(text):
        return now - timedelta(seconds=units.seconds(ago[1].replace(" ", "")))
    if day := _DAY.fullmatch(text):
        return _of_day(day, now)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(
            f"{text!r} is no time; write it as 2026-01-31T14:00:00Z, 2026-01-31 14:00, 14:00, "
            "yesterday 14:00 or 2h ago"
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=now.tzinfo)


def _of_day(day: re.Match[str], now: datetime) -> datetime:
    try:
        found = now.replace(hour=int(day[2]), minute=int(day[3]), second=int(day[4] or 0), microsecond=0)
    except ValueError as error:
        raise ValueError(f"{day[0]!r} is no time of day") from error
    return found - timedelta(days=1) if day[1] == "yesterday" else found
