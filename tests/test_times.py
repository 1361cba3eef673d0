"""Moments as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from sidecar.times import moment

NOW = datetime(2026, 3, 10, 15, 30, 20, tzinfo=timezone(timedelta(hours=2)))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("now", "2026-03-10T13:30:20"),
        ("2h ago", "2026-03-10T11:30:20"),
        ("1h30m ago", "2026-03-10T12:00:20"),
        ("1h 30m ago", "2026-03-10T12:00:20"),
        ("3d ago", "2026-03-07T13:30:20"),
        ("14:00", "2026-03-10T12:00:00"),
        ("today 14:00:05", "2026-03-10T12:00:05"),
        ("yesterday 23:59", "2026-03-09T21:59:00"),
        ("2026-01-31T14:00:00Z", "2026-01-31T14:00:00"),
        ("2026-01-31T14:00:00-05:00", "2026-01-31T19:00:00"),
        ("2026-01-31 14:00", "2026-01-31T12:00:00"),
        (" 2026-01-31 ", "2026-01-30T22:00:00"),
    ],
)
def test_read(text: str, wanted: str) -> None:
    assert moment(text, NOW).astimezone(UTC).isoformat() == wanted + "+00:00"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no time; write it as"),
        ("soon", "is no time; write it as"),
        ("2 ago", "is no duration"),
        ("a while ago", "is no duration"),
        ("25:00", "is no time of day"),
        ("16:00", "has not come yet; it is 2026-03-10 15:30:20"),
        ("2026-13-01", "is no time; write it as"),
        ("2027-01-01T00:00:00Z", "has not come yet"),
    ],
)
def test_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        moment(text, NOW)
