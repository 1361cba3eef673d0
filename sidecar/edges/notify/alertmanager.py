"""Alerts to an Alertmanager's API v2: what went wrong fires, and a verified recovery resolves it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sidecar.edges.notify.post import post
from sidecar.model.notice import ENDS, GOOD_NEWS, Alertmanager, Matter, Message, Notice, labels_of

FIRES_FOR = 86_400.0
"""Seconds after which an alert ends by itself, should nobody ever say that it is over."""


async def deliver(target: Alertmanager, message: Message) -> None:
    """See :meth:`sidecar.edges.notify.LocalMessenger.deliver`."""
    alerts = [alert for notice in message.notices for alert in alerts_of(notice, message.host)]
    await post(f"{target.url.rstrip('/')}/api/v2/alerts", alerts, {})


def alerts_of(notice: Notice, host: str) -> Iterator[dict[str, Any]]:
    """The alerts that a notice begins or ends."""
    if notice.matter in GOOD_NEWS:
        # To end an alert that does not fire means nothing to Alertmanager.
        for matter in sorted(ENDS[notice.matter]):
            yield _alert(matter, notice, host, notice.at)
    else:
        yield _alert(notice.matter, notice, host, notice.at + FIRES_FOR)


def _alert(matter: Matter, notice: Notice, host: str, ends: float) -> dict[str, Any]:
    return {
        "labels": labels_of(notice, matter, host),
        "annotations": {"summary": notice.text, "trace": notice.trace},
        "startsAt": _moment(notice.at),
        "endsAt": _moment(ends),
    }


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
